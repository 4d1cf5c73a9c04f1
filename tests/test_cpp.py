"""Builds the C++ tests of the kernels and runs them, one entry here for each of them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import native
import pytest

import raptors

pytestmark = pytest.mark.timeout(native.BUILD_SECONDS)

SOURCES = sorted((native.ROOT / "tests" / "cpp").glob("test_*.cpp"))


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config) -> Path:
    return native.build(native.build_folder(pytestconfig))


@pytest.fixture(scope="module")
def names(folder: Path) -> list[str]:
    listing = json.loads(native.run(native.tool("ctest"), "--test-dir", folder, "--show-only=json-v1").stdout)
    return [test["name"] for test in listing["tests"]]


def belongs(name: str, source: Path) -> bool:
    """`test_casts` or `casts`, alone or followed by an ISA or a case, come from test_casts.cpp."""
    stem = source.stem.removeprefix("test_")
    return re.match(rf"^(test_)?{re.escape(stem)}($|[^a-z])", name) is not None


def test_every_cpp_test_has_a_source(names: list[str]) -> None:
    assert names
    assert [name for name in names if not any(belongs(name, source) for source in SOURCES)] == []


def environment() -> dict[str, str]:
    """With the BLAS library that the installed package would load, for test_blas.cpp."""
    library = raptors.runtime_info()["blas"]["requested"]
    return {**os.environ, "RAPTORS_TEST_BLAS": library} if library else dict(os.environ)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_cpp(source: Path, folder: Path, names: list[str]) -> None:
    chosen = [name for name in names if belongs(name, source)]
    assert chosen, f"CMake knows no test of {source.name}"
    pattern = "|".join(f"^{re.escape(name)}$" for name in chosen)
    done = native.run(
        *(native.tool("ctest"), "--test-dir", folder, "--output-on-failure", "--no-tests=error"),
        *("--timeout", "900", "-R", pattern),
        timeout=native.BUILD_SECONDS,
        env=environment(),
    )
    print(done.stdout)
    assert re.search(rf"100% tests passed\b.* out of {len(chosen)}\b", done.stdout)
