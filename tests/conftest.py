"""What every test shares: the header, one fixture per forced instruction set, tracebacks on crashes."""

from __future__ import annotations

import faulthandler
import os

import numpy
import pytest

import raptors

ISAS = raptors.available_isas()
if os.environ.get("RAPTORS_TEST_ISAS") == "best":
    ISAS = ISAS[-1:]


def pytest_configure() -> None:
    if not faulthandler.is_enabled():
        faulthandler.enable()


def pytest_report_header() -> list[str]:
    return [
        f"raptors: {raptors.__file__}",
        f"numpy: {numpy.__version__}",
        f"instruction sets: {', '.join(raptors.available_isas())} (in use: {raptors.get_simd()})",
    ]


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest):
    """The name of an instruction set, forced for the test and restored after it."""
    before = raptors.get_simd()
    with raptors.simd(request.param):
        yield request.param
    assert raptors.get_simd() == before


@pytest.fixture(autouse=True)
def _restored_settings():
    """No test may leave another error state or instruction set behind."""
    state, simd = numpy.geterr(), raptors.get_simd()
    yield
    assert numpy.geterr() == state
    assert raptors.get_simd() == simd
