"""Every scan of the operation table against NumPy: a new row is tested with no new test."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, SCANS, Mismatches, by_name, clones, counted, difference, mine
from parity import attempt, numpy_parity

import raptors

rows = pytest.mark.parametrize("row", SCANS, ids=by_name)
Cases = Iterator[tuple[Any, Any]]


def accumulate(xp: Any, row: dict[str, Any]) -> Callable[..., Any]:
    """The row's ufunc method of a library."""
    return operator.attrgetter(row["name"])(xp)  # type: ignore[no-any-return]


def forms(xp: Any, row: dict[str, Any], x: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each way of calling a scan: the ufunc's method, functions, and methods of arrays of our class."""
    yield "accumulate", accumulate(xp, row)
    for name in row["aliases"]:
        yield name, getattr(xp, name)
        if x.ndim and x.dtype != object:
            yield f".{name}", lambda x, *args, name=name, **keywords: getattr(x, name)(*args, **keywords)


def values(row: dict[str, Any], dtype: Any, n: int) -> Any:
    return samples.mixed(dtype, n, samples.generator("scan", row["name"], dtype, n))


def test_table() -> None:
    """The rows are complete and name NumPy's functions."""
    assert len(SCANS) >= 4
    assert len({row["name"] for row in SCANS}) == len(SCANS)
    for row in SCANS:
        assert row["types"]
        assert set(row["types"]) <= set(samples.DTYPES)
        assert row["doc"].endswith(".")
        assert row["exact"]
        assert callable(accumulate(numpy, row))
        for name in row["aliases"]:
            assert callable(getattr(numpy, name))
            assert callable(getattr(numpy.ndarray, name))


@rows
@numpy_parity()
def test_lengths(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """Contiguous arrays of every length around the vector widths; all elements, and without an axis."""
    for dtype in row["types"]:
        for n in sorted({*samples.lengths(dtype), *range(1, 70), 1000, 1023, 1025, 10_007} - {0}):
            x = mine(xp, values(row, dtype, n))
            for label, call in forms(xp, row, x):
                yield (label, dtype, n), call(x)


@rows
@numpy_parity()
def test_layouts(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """Any stride, alignment and order of axes; each axis, and all elements."""
    for dtype in row["types"]:
        for n in (1, 12, 33, 132):
            v = values(row, dtype, n)
            for label, layout in samples.LAYOUTS.items():
                yield (dtype, n, label), accumulate(xp, row)(mine(xp, layout(v)))
            for label, shape in samples.SHAPED.items():
                x = mine(xp, shape(v))
                if not x.size:
                    continue
                for form, call in forms(xp, row, x):
                    for axis in range(-x.ndim, x.ndim):
                        yield (form, dtype, n, label, axis), call(x, axis=axis)
                    if form != "accumulate":
                        yield (form, dtype, n, label, None), call(x)


@rows
@numpy_parity()
def test_shapes(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """Few and many runs, along rows and down columns, in several dimensions, axes backwards and in gaps."""
    for dtype in row["types"]:
        for shape in ((3, 257), (257, 3), (1, 40), (40, 1), (5, 7, 9), (2, 65, 2), (17, 16), (2, 3, 2, 5)):
            a = values(row, dtype, math.prod(shape)).reshape(shape)
            for b in (a, numpy.asfortranarray(a), a[::-1], a[..., ::-1], a[:, :1], a.swapaxes(0, 1)):
                x = mine(xp, b)
                for axis in range(b.ndim):
                    yield (dtype, shape, b.strides, axis), accumulate(xp, row)(x, axis)
                for name in row["aliases"]:
                    yield (name, dtype, shape, b.strides), getattr(x, name)()


@rows
@numpy_parity()
def test_special_values(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """NaN, infinities, both zeros and extremes at every position; what they raise, for one and many runs."""
    for dtype in row["types"]:
        ordinary = numpy.abs(samples.tame(dtype, 19, samples.generator("scan special", dtype)))
        for special in samples.special(dtype):
            for position in range(0, 19, 3):
                a = ordinary.copy()
                a[position:] = special
                x = mine(xp, a)
                yield (dtype, special, position), accumulate(xp, row)(x)
                yield (dtype, special, position, "reversed"), accumulate(xp, row)(x[::-1])
                many = mine(xp, numpy.stack([a, a[::-1]] * 5, axis=1))
                yield (dtype, special, position, "down"), accumulate(xp, row)(many)
                yield (dtype, special, position, "along"), accumulate(xp, row)(many.T.copy(), 1)
        zeros = numpy.array([0.0, -0.0, -0.0, 0.0, 0.0, -0.0]).astype(dtype)
        yield (dtype, "zeros"), accumulate(xp, row)(mine(xp, zeros))
        yield (dtype, "negative zeros"), accumulate(xp, row)(mine(xp, zeros[1:3]))


@rows
@numpy_parity(native=0.05)  # NumPy's: dtypes without kernels, casts that may raise; logic only makes booleans
def test_every_dtype(xp: Any, row: dict[str, Any]) -> Cases:
    """dtype=, also dtypes without kernels: results and refusals."""
    for source in (*samples.DTYPES, *samples.OTHERS):
        if source in samples.DTYPES:
            a = values(row, source, 6)
        else:
            a = numpy.zeros(6, source)
            if a.dtype.kind in "fciOm":
                a = numpy.array([1, 2, 3, 1, 2, 3]).astype(source)
        for shape, axis in (((6,), 0), ((2, 3), 0), ((2, 3), 1)):
            x = mine(xp, a.reshape(shape))
            for form, call in forms(xp, row, x):
                yield (form, source, shape, axis), attempt(call, x, axis)
                for target in (*samples.DTYPES, "float16", "complex64", "longlong", ">i4", "O", "S3", None):
                    yield (form, source, shape, axis, target), attempt(call, x, axis, dtype=target)


@rows
@numpy_parity(native=lambda row: 1.0 if row["types"] else 0.0)
def test_type_numbers(xp: Any, row: dict[str, Any]) -> Cases:
    """Where several type numbers are one dtype, the result has NumPy's."""
    for char in "lqLQ":
        if numpy.dtype(char).name in row["types"]:
            result = accumulate(xp, row)(mine(xp, numpy.arange(5).astype(char)))
            yield char, (result, result.dtype.char)


@rows
@numpy_parity(native=0.3)  # NumPy's: outputs of other dtypes, that do not fit or overlap
def test_out(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """Outputs of each layout, dtype and shape, in the array's place and overlapping it."""
    for dtype in row["types"]:
        a = values(row, dtype, 60).reshape(5, 12)
        for axis in (0, 1, -1):
            result = accumulate(numpy, row)(a, axis)
            outputs = {
                "C": numpy.zeros(result.shape, result.dtype),
                "F": numpy.zeros(result.shape[::-1], result.dtype).T,
                "strided": numpy.zeros((10, 36), result.dtype)[::-2, ::3],
                "own dtype": numpy.zeros(result.shape, dtype),
                "float64": numpy.zeros(result.shape),
                "other order of bytes": numpy.zeros(result.shape, result.dtype.newbyteorder()),
                "wrong shape": numpy.zeros(result.shape[::-1], result.dtype),
                "more axes": numpy.zeros((1, *result.shape), result.dtype),
                "read-only": samples.LAYOUTS["read-only"](result),
            }
            for form, call in forms(xp, row, a):
                for label, out in outputs.items():
                    x, o = clones(xp, a, out)
                    made = attempt(call, x, axis, out=o)
                    yield (form, dtype, axis, label), (made is o, made, o)
                x, o = clones(xp, a, outputs["C"])
                yield (form, dtype, axis, "tuple"), (attempt(call, x, axis, out=(o,)), o)
                x, o = clones(xp, a, outputs["C"])
                yield (form, dtype, axis, "tuple by position"), (attempt(call, x, axis, None, (o,)), o)
                x, o = clones(xp, a, outputs["C"])
                yield (form, dtype, axis, "dtype"), (attempt(call, x, axis, o.dtype, o), o)
                yield (form, dtype, axis, "list"), attempt(call, x, axis, out=[1])
                yield (form, dtype, axis, "none"), call(x, axis, out=None)
                (x,) = clones(xp, a)
                yield (form, dtype, axis, "in place"), attempt(call, x, axis, out=x)
                for place in (numpy.s_[1:, :], numpy.s_[::-1, :], numpy.s_[:, ::-1]):
                    (x,) = clones(xp, a)
                    part = x[place]
                    source = x[: part.shape[0], : part.shape[1]]
                    yield (
                        (form, dtype, axis, "overlapping", place),
                        (attempt(call, source, axis, out=part), x),
                    )
        for name in row["aliases"]:
            for out in (numpy.zeros(60, result.dtype), numpy.zeros(120, result.dtype)[::-2]):
                for b in (a, numpy.asfortranarray(a), a[:, ::-1]):
                    x, o = clones(xp, b, out)
                    yield (name, dtype, b.strides), (attempt(getattr(xp, name), x, out=o), o)


@rows
@numpy_parity(native=0.05)  # what raises, and what is empty, is NumPy's
def test_empty_and_errors(xp: Any, row: dict[str, Any]) -> Cases:
    """Empty arrays and axes, 0-d arrays, bad arguments: results and exceptions."""
    for dtype in row["types"]:
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 3), (), (1,), (1, 1, 1), (2, 3)):
            x = mine(xp, numpy.ones(shape, dtype))
            for form, call in forms(xp, row, x):
                yield (form, dtype, shape), attempt(call, x)
                for axis in (0, 1, -1, 2, -4, (0,), (0, 1), (), None, 1.5, "x", [0], True, 2**70):
                    yield (form, dtype, shape, axis), attempt(call, x, axis=axis)
                yield (form, dtype, shape, "scalar axis"), attempt(call, x, axis=numpy.int64(0))
    x = mine(xp, numpy.ones((2, 3)))
    for form, call in forms(xp, row, x):
        yield (form, "keyword"), attempt(call, x, nonsense=1)
        yield (form, "keepdims"), attempt(call, x, keepdims=True)
        yield (form, "positional"), attempt(call, x, 0, None, None)
        yield (form, "too many"), attempt(call, x, 0, None, None, 1)
        yield (form, "twice"), attempt(call, x, 0, axis=0)
        yield (form, "bad dtype"), attempt(call, x, 0, "nonsense")
        if not form.startswith("."):
            for given in (3.5, True, None, "x", [], [1, 2, 3], [[1, 2], [3, 4]]):
                yield (form, given), attempt(call, given)


@rows
@numpy_parity()
def test_numpys_ufunc(xp: Any, row: dict[str, Any]) -> Cases:
    """NumPy's own method, given our arrays, runs the same kernels."""
    for dtype in row["types"]:
        x = mine(xp, values(row, dtype, 12).reshape(3, 4))
        yield dtype, accumulate(numpy, row)(x, axis=1)


@rows
@numpy_parity()
def test_long_arrays(xp: Any, row: dict[str, Any], isa: str) -> Cases:
    """Several threads share the runs; one run stays with one thread."""
    with raptors.threads(4):
        for dtype in row["types"]:
            v = values(row, dtype, 240_000)
            for shape in ((240_000,), (600, 400), (400, 600), (3, 80_000), (80_000, 3), (60, 50, 80)):
                x = mine(xp, v.reshape(shape))
                for axis in range(len(shape)):
                    yield (dtype, shape, axis), accumulate(xp, row)(x, axis)
                yield (dtype, shape, "transposed"), accumulate(xp, row)(x.T, 0)


@rows
def test_equal_on_every_instruction_set(row: dict[str, Any]) -> None:
    found = Mismatches()
    with counted() as count:
        for dtype in row["types"]:
            a = values(row, dtype, 1003 * 9).reshape(1003, 9).view(raptors.ndarray)
            results = []
            with numpy.errstate(all="ignore"):
                for name in raptors.available_isas():
                    with raptors.simd(name):
                        results.append([accumulate(raptors, row)(a, axis) for axis in (0, 1)])
            for other in results[1:]:
                found.add(dtype, difference(results[0], other))
    found.done()
    count.require()


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
@rows
def test_what_ran(row: dict[str, Any], isa: str) -> None:
    """Every dtype of the row runs natively on every instruction set, contiguous or not."""
    for dtype in row["types"]:
        a = samples.benign("float64", 40, samples.generator(dtype)).astype(dtype).view(raptors.ndarray)
        for layout, x in (("contiguous", a), ("strided", a[::2])):
            for form, call in forms(raptors, row, x):
                call(x)
                last = raptors.explain_last_dispatch()
                name = row["ufunc"] if form == "accumulate" else form.lstrip(".")
                got = (last["op"], last["backend"], last["isa"], last["layout"], last["shape"])
                assert got == (name, "raptors", isa, layout, x.shape), (form, dtype)
