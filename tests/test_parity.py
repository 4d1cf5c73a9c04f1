"""The decorator `numpy_parity` sees every difference between two libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from helpers import DISABLED, EXACT, Rules, close, mine, python_ok
from parity import attempt, numpy_parity

import raptors

needs_kernels = pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")


# ---- bodies that pass, in every form that pytest gives them


@numpy_parity()
def test_a_native_call(xp: Any) -> Any:
    return xp.add(xp.ones(3), 1)


@pytest.mark.parametrize("n", [0, 1, 70])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@numpy_parity()
def test_with_parameters_and_a_fixture(xp: Any, dtype: str, isa: str, n: int) -> Any:
    assert raptors.get_simd() == isa
    return {"sum": xp.ones(n, dtype) + xp.ones(n, dtype), "length": n}


@numpy_parity()
@pytest.mark.parametrize("n", [1, 2])
def test_with_parameters_below(xp: Any, n: int) -> Any:
    return [xp.zeros(n), (xp.ones(n), {"x": xp.float64(n)})]


@numpy_parity(native=0.6)  # whatever raises is NumPy's
def test_an_exception(xp: Any) -> Any:
    return xp.ones(3) + xp.ones(4)


@numpy_parity()
def test_a_warning(xp: Any) -> None:
    xp.ones(3) / xp.zeros(3)


@pytest.mark.parametrize("dtype", ["f8", "O"])
@numpy_parity(native=lambda dtype: 1.0 if dtype == "f8" else 0.0)
def test_a_share_by_parameter(xp: Any, dtype: str) -> Any:
    return xp.add(mine(xp, numpy.arange(3).astype(dtype)), 1)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@numpy_parity(rules=lambda dtype: close(dtype, 2000))
def test_rules_by_parameter(xp: Any, dtype: str) -> Any:
    return xp.sum(mine(xp, numpy.linspace(0, 1, 2000, dtype=dtype)))


@numpy_parity(native=None, reason="attributes are not counted")
def test_without_calls(xp: Any) -> Any:
    return mine(xp, numpy.ones((2, 3))).shape


@numpy_parity(native=0.8)
def test_attempts(xp: Any) -> Any:
    return [attempt(xp.add, xp.ones(3), xp.ones(n)) for n in (3, 4)]


@numpy_parity(native=0.8)
def test_cases(xp: Any) -> Iterator[Any]:
    for n in (3, 4):
        yield n, attempt(xp.add, xp.ones(3), xp.ones(n))


# ---- bodies that have to fail


def warn(library: Any, xp: Any, category: type[Warning], text: str) -> None:
    """In one library."""
    if xp is library:
        warnings.warn(text, category, stacklevel=2)


def warn_in_both(xp: Any, category: type[Warning], text: str, stacklevel: int = 2) -> None:
    warnings.warn(text, category, stacklevel=stacklevel)


def fail(xp: Any, error: type[Exception], text: str) -> None:
    xp.ones(2)
    raise error(text)


def two_places(xp: Any) -> Any:
    if xp is numpy:
        warnings.warn("same", UserWarning, stacklevel=1)
    else:
        warnings.warn("same", UserWarning, stacklevel=1)
    return xp.ones(2)


def unwritable(xp: Any) -> Any:
    a = xp.ones(3)
    a.flags.writeable = xp is raptors
    return a


DIFFERENT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "value": (lambda xp: xp.ones(3) * (1 + (xp is numpy)), "element 0"),
    "value of an item": (lambda xp: [xp.ones(3), (xp.ones(1) * (1 + (xp is numpy)),)], "item 1: item 0"),
    "value of a key": (lambda xp: {"x": xp.ones(3) * (1 + (xp is numpy))}, "'x'"),
    "zero's sign": (lambda xp: xp.zeros(3) * (1 if xp is numpy else -1), "element 0"),
    "dtype": (lambda xp: xp.ones(3, "f4" if xp is numpy else "f8"), "dtype"),
    "dtype of a scalar": (lambda xp: xp.ones(3, "i4" if xp is numpy else "i8")[0], "type"),
    "shape": (lambda xp: xp.ones(3 if xp is numpy else (3, 1)), "shape"),
    "strides": (lambda xp: xp.ones((2, 3), order="F" if xp is numpy else "C"), "strides"),
    "strides of a view": (lambda xp: xp.ones(6)[::2] if xp is numpy else xp.ones(3)[:], "strides"),
    "flags": (unwritable, "writeable"),
    "class": (lambda xp: (xp.ones(2), numpy.ones(2)), "type"),
    "warning": (lambda xp: (xp.ones(2), warn(raptors, xp, UserWarning, "x")), "warned"),
    "class of a warning": (
        lambda xp: (xp.ones(2), warn_in_both(xp, UserWarning if xp is numpy else FutureWarning, "x")),
        "warned",
    ),
    "text of a warning": (
        lambda xp: (xp.ones(2), warn_in_both(xp, UserWarning, xp.__name__)),
        "warned",
    ),
    "place of a warning": (two_places, "warned"),
    "exception": (lambda xp: xp.ones(3) + xp.ones(4 if xp is numpy else 3), "raised"),
    "class of an exception": (lambda xp: fail(xp, KeyError if xp is numpy else ValueError, "x"), "raised"),
    "text of an exception": (lambda xp: fail(xp, ValueError, xp.__name__), "message"),
    "text of an attempt": (lambda xp: attempt(fail, xp, ValueError, xp.__name__), "item 1"),
    "nothing": (lambda xp: xp.add(xp.ones(1), 1) and None, "nothing to compare"),
    "nothing in a list": (lambda xp: [None, {"x": (xp.ones(1) is None or None)}], "nothing to compare"),
}


@pytest.mark.parametrize("label", DIFFERENT)
def test_differences(label: str) -> None:
    body, problem = DIFFERENT[label]
    with pytest.raises(AssertionError, match=problem):
        numpy_parity()(body)()


def test_differences_of_cases() -> None:
    def cases(xp: Any) -> Iterator[Any]:
        yield "first", xp.ones(3)
        yield ("second", 2), xp.ones(3) * (1 + (xp is numpy))

    def fewer(xp: Any) -> Iterator[Any]:
        yield "first", xp.ones(3)
        if xp is numpy:
            yield "second", xp.ones(3)

    def none(xp: Any) -> Iterator[Any]:
        yield from ()

    def raising(xp: Any) -> Iterator[Any]:
        yield "first", xp.ones(3)
        yield "second", fail(xp, ValueError, "escapes")

    for body, error, text in (
        (cases, AssertionError, "second.*element 0"),
        (fewer, AssertionError, "second"),
        (none, AssertionError, "nothing to compare"),
        (raising, ValueError, "escapes"),
    ):
        with pytest.raises(error, match=text):
            numpy_parity()(body)()


def test_rules_of_a_case() -> None:
    def cases(xp: Any) -> Iterator[Any]:
        yield "first", xp.ones(3)
        yield "second", xp.zeros(3) * (1 if xp is numpy else -1), Rules(zero_sign=False)

    numpy_parity()(cases)()


def test_failures_of_the_body_itself() -> None:
    """An assertion, or a misspelt name, is no result, although both libraries give it."""

    def asserting(xp: Any) -> Any:
        assert xp.ones(3).size == 4, "of the test"

    for wrapped in (asserting, lambda xp: attempt(asserting, xp)):
        with pytest.raises(AssertionError, match="of the test"):
            numpy_parity()(wrapped)()
    with pytest.raises(NameError, match="misspelt"):
        numpy_parity()(lambda xp: xp.ones(misspelt))()  # type: ignore[name-defined]  # noqa: F821


def test_looser_rules() -> None:
    zero, layout = DIFFERENT["zero's sign"][0], DIFFERENT["strides"][0]
    numpy_parity(rules=Rules(zero_sign=False))(zero)()
    numpy_parity(rules=Rules(flags=False))(layout)()
    with pytest.raises(AssertionError, match="element 0"):
        numpy_parity(rules=EXACT)(zero)()


def half(xp: Any) -> Any:
    """One native call, one of NumPy's."""
    return xp.add(xp.float64(1), numpy.ones(2, "f8")), xp.nanmedian([1.0, 2.0])


@needs_kernels
def test_native_share() -> None:
    with pytest.raises(AssertionError, match="were native"):
        numpy_parity()(half)()
    with pytest.raises(AssertionError, match="were native"):
        numpy_parity(of="nanmedian")(half)()
    numpy_parity(native=0.5)(half)()
    numpy_parity(of="add")(half)()


@needs_kernels
@pytest.mark.parametrize("native", [1.0, 0.0])
def test_numpy_with_numpy(native: float) -> None:
    """Nothing is counted, so nothing was tested, whatever share is asked for."""
    body = lambda xp: numpy.add(numpy.ones(3), 1)  # noqa: E731
    with pytest.raises(AssertionError, match="only 0 calls counted"):
        numpy_parity(native=native, rules=Rules(adopt=False))(body)()
    with pytest.raises(AssertionError, match="only 0 calls counted"):
        numpy_parity(of="sin")(lambda xp: xp.ones(3))()
    numpy_parity(native=None, reason="NumPy's own call", rules=Rules(adopt=False))(body)()


@needs_kernels
def test_calls_without_a_share() -> None:
    with pytest.raises(AssertionError, match="calls are counted"):
        numpy_parity(native=None, reason="a wrong one")(lambda xp: xp.ones(3))()


def test_wrong_use() -> None:
    with pytest.raises(TypeError, match="needs a reason"):
        numpy_parity(native=None)
    with pytest.raises(TypeError, match="has to be xp"):
        numpy_parity()(lambda a, xp: None)


def test_when_nothing_is_native() -> None:
    """With RAPTORS_DISABLE=1 the same tests pass, and a native call would fail."""
    python_ok(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from helpers import Count\n"
        "from parity import numpy_parity\n"
        "numpy_parity()(lambda xp: xp.add(xp.ones(3), 1))()\n"
        "try:\n"
        "    Count(native=1, total=1).require()\n"
        "except AssertionError:\n"
        "    sys.exit(0)\n"
        "sys.exit(1)\n",
        RAPTORS_DISABLE="1",
    )
