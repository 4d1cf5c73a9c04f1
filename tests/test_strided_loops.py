"""Ufuncs on dates, texts, longdouble and others without kernels: NumPy's strided loops in our frame."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from helpers import mine
from parity import attempt, numpy_parity

import raptors

DATES = numpy.array(["2024-02-28", "NaT", "1970-01-01", "2000-12-31", "1969-07-20", "2024-02-29"], "M8[D]")
ARRAYS: dict[str, Any] = {
    "M8[D]": DATES,
    "M8[ns]": DATES.astype("M8[ns]"),
    "M8[2D]": DATES.astype("M8[2D]"),
    "M8": numpy.full(6, "NaT", "M8"),
    "m8[D]": DATES - DATES[2],
    "m8[s]": (DATES - DATES[2]).astype("m8[s]"),
    "int64": numpy.array([3, 0, -2, 7, 1, 5]),
    "longlong": numpy.array([3, 0, -2, 7, 1, 5], "q"),
    "float64": numpy.array([1.5, numpy.nan, -0.0, 0.0, 2.0, numpy.inf]),
    "int8": numpy.array([1, 2, 3, 0, -1, 2], "i1"),
    "longdouble": numpy.array([1.5, numpy.nan, -0.0, 0.0, 2.0, numpy.inf], "g"),
    "clongdouble": numpy.array([1.5, numpy.nan, -0.0, 0.0, 2j, numpy.inf], "G"),
    "S3": numpy.array([b"a", b"abc", b"", b"b ", b"b", b"zz"]),
    "S5": numpy.array([b"a", b"abcde", b"", b"b ", b"bb", b"zz"]),
    "U3": numpy.array(["a", "abc", "", "b ", "b", "\u00e9"]),
    "U1": numpy.array(["a", "b", "", " ", "b", "\u00e9"]),
    ">M8[D]": DATES.astype(">M8[D]"),
    ">U3": numpy.array(["a", "abc", "", "b ", "b", "c"], ">U3"),
    "bool": numpy.array([True, False, True, True, False, False]),
}
COMPARISONS = ("lt", "le", "eq", "ne", "gt", "ge")
OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", *COMPARISONS)
UNARY = ("isnat", "negative", "absolute", "sign", "sqrt", "isnan", "isfinite", "conjugate", "rint")
WITHOUT_KERNELS = [a for a in ARRAYS if a[0] in "Mm>SU" or "longdouble" in a]
PAIRS = [(a, b) for a in ARRAYS for b in ARRAYS if a in WITHOUT_KERNELS or b in WITHOUT_KERNELS]
PRIVATE = "the loops are NumPy's"


@pytest.mark.parametrize("name", OPERATORS)
@numpy_parity(native=0.0, reason=PRIVATE)
def test_operators(xp: Any, name: str) -> Iterator[Any]:
    function = getattr(operator, name)
    for a, b in PAIRS:
        yield (a, b), attempt(function, mine(xp, ARRAYS[a]), mine(xp, ARRAYS[b]))
        yield (a, b, "scalar"), attempt(function, mine(xp, ARRAYS[a]), ARRAYS[b][3])
        if name not in COMPARISONS:  # the array is asked first, so warnings name the mirrored comparison
            yield (a, b, "scalar on the left"), attempt(function, ARRAYS[a][0], mine(xp, ARRAYS[b]))


@numpy_parity(native=0.0, reason=PRIVATE)
def test_dates_out_of_range(xp: Any) -> Iterator[Any]:
    """From NumPy 2.5 on an OverflowError, which a loop sets without saying so; before, they wrap."""
    most = numpy.iinfo(numpy.int64).max
    for unit in ("s", "D"):
        spans = mine(xp, numpy.array([0, most - 1, -most, 5], f"m8[{unit}]"))
        days = mine(xp, numpy.array([0, most - 1, -most + 1, 5], f"M8[{unit}]"))
        for step in (1, 2, -2):
            span = numpy.timedelta64(step, unit)
            for x in (spans, days, spans[::2], days[:0]):
                yield (unit, step, "add"), attempt(operator.add, x, span)
                yield (unit, step, "subtract"), attempt(operator.sub, x, span)
                yield (unit, step, "add, reflected"), attempt(operator.add, span, x)
            yield (unit, step, "multiply"), attempt(operator.mul, spans, step)
        yield (unit, "floor_divide"), attempt(operator.floordiv, spans, spans[::-1])
        yield (unit, "days"), attempt(operator.sub, days, days[::-1])


@pytest.mark.parametrize("name", UNARY)
@numpy_parity(native=0.0, reason=PRIVATE)
def test_unary(xp: Any, name: str) -> Iterator[Any]:
    for a, x in ARRAYS.items():
        yield a, attempt(getattr(xp, name), mine(xp, x))
        yield a, attempt(getattr(xp, name), mine(xp, x[::-2]))


@numpy_parity(native=0.0, reason=PRIVATE)
def test_functions(xp: Any) -> Iterator[Any]:
    for a, b in PAIRS:
        x, y = mine(xp, ARRAYS[a]), mine(xp, ARRAYS[b])
        for name in ("maximum", "fmin", "hypot", "copysign", "logaddexp", "divmod", "remainder"):
            yield (name, a, b), attempt(getattr(xp, name), x, y)
        for name in ("add", "equal", "find", "startswith"):
            yield (name, a, b), attempt(getattr(xp.strings, name), x, y)


@numpy_parity(native=0.0, reason=PRIVATE)
def test_layouts(xp: Any) -> Iterator[Any]:
    for a in ("M8[D]", "m8[s]", "U3", "S5", "longdouble", "clongdouble"):
        x = numpy.resize(ARRAYS[a], (4, 6, 2))
        odd = numpy.frombuffer(b"x" + x.tobytes(), "u1")[1:].view(x.dtype).reshape(x.shape)  # unaligned
        layouts = (
            x,
            x.T,
            x[::-1],
            x[:, ::2],
            x[:, :, :1],
            x[0],
            x[:, :1],
            x[:0],
            numpy.asfortranarray(x),
            odd,
        )
        for i, one in enumerate(layouts):
            for k, other in enumerate(layouts):
                yield (a, i, k, "=="), attempt(operator.eq, mine(xp, one), mine(xp, other))
                if a[0] in "ml":
                    yield (a, i, k, "+"), attempt(operator.add, mine(xp, one), mine(xp, other))


@numpy_parity(native=0.0, reason=PRIVATE)
def test_other_forms(xp: Any) -> Iterator[Any]:
    t, s, g = (mine(xp, ARRAYS[name].copy()) for name in ("m8[D]", "U3", "longdouble"))
    yield "out", [xp.add(t, t, out=t.copy()), xp.equal(s, s, out=xp.zeros(6, bool)), xp.add(g, g, dtype="g")]
    yield "where", xp.add(t, t, where=t > t[3], out=t.copy())
    yield "numbers", [t * 2, 2 * t, t / 2, g + 1, g * 2.5, s == "abc", s != "b"]
    yield "lists", [attempt(operator.eq, s, ["a"] * 6), attempt(operator.add, t, [1] * 6)]
    for errors in ("ignore", "warn", "raise"):
        with xp.errstate(all=errors):
            yield errors, attempt(operator.truediv, t, t - t)
            yield errors, attempt(lambda: g / (g - g))
            yield errors, attempt(xp.sqrt, -g)
    t += t
    yield "in place", t
    described = mine(xp, numpy.zeros(3, numpy.dtype("m8[s]", metadata={"a": 1})))
    yield "metadata", (described + described).dtype.metadata


def test_many_lengths_of_text() -> None:
    """More dtypes than loops are kept."""
    for n in range(1, 400):
        a = raptors.array(["x" * n, "y"])
        equal = a == a
        assert equal.all()
        assert type(equal) is raptors.ndarray


def test_by_several_threads() -> None:
    days = raptors.arange(200_000).astype("M8[s]")
    wrong = []

    def work() -> None:
        for _ in range(20):
            gaps = days[1:] - days[:-1]
            if (gaps != raptors.timedelta64(1, "s")).any():
                wrong.append(gaps)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
