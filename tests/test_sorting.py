"""Sorting, searching, interpolation, ufunc.at and ufunc.reduceat against NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import EXACT, Rules, mine
from parity import attempt, numpy_parity

NUMBERS = samples.DTYPES
WITHOUT_KERNELS = ("float16", "complex64", "complex128")
KINDS = (None, "quicksort", "stable", "mergesort", "heapsort")
#: NumPy's own sorts order what is equal (0.0 and -0.0, NaNs) as they like, always in the same way.
OTHERS = ("g", "M8[s]", "S3", "U2", ">f8", ">i4")


def elements(dtype: Any, shape: tuple[int, ...]) -> Any:
    """Few distinct values among many, and special ones."""
    rng = samples.generator("sorting", dtype, shape)
    dtype = numpy.dtype(dtype)
    if dtype.kind in "SU":
        return rng.integers(0, 300, shape).astype(dtype)
    values = rng.integers(-50, 50, shape).astype("i8").astype(dtype)
    if dtype.kind in "fc" and values.size > 4:
        values.flat[rng.integers(0, values.size, 3)] = numpy.nan
        values.flat[rng.integers(0, values.size, 3)] = -0.0
        values.flat[0] = numpy.inf
    return values


def unaligned(a: Any) -> Any:
    room = numpy.zeros(a.nbytes + 1, "u1")[1:].view(a.dtype).reshape(a.shape)
    room[...] = a
    return room


@pytest.mark.parametrize("dtype", [*NUMBERS, *OTHERS])
@numpy_parity(native=0.0)
def test_sorts(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in ((0,), (1,), (8,), (1000,), (3, 7), (2, 3, 5), (4, 0)):
        whole = elements(dtype, shape)
        layouts = {
            "C": mine(xp, whole),
            "F": mine(xp, numpy.asfortranarray(whole)),
            "reversed": mine(xp, whole)[..., ::-1],
            "unaligned": mine(xp, unaligned(whole)),
        }
        for layout, a in layouts.items():
            for kind in KINDS:
                for axis in (-1, 0):
                    label = (shape, layout, kind, axis)
                    yield ((*label, "sort"), xp.sort(a, axis=axis, kind=kind))
                    yield ((*label, "argsort"), a.argsort(axis, kind=kind))
                    copy = a.copy("K")
                    yield ((*label, "method"), (copy.sort(axis, kind), copy))
            yield ((shape, layout, "flat"), (xp.sort(a, axis=None), xp.argsort(a, axis=None)))
            if shape[-1] > 2:
                copy = a.copy("K")
                yield (
                    (shape, layout, "partition"),
                    (xp.partition(a, 2), xp.argpartition(a, -1), a.argpartition(1), copy.partition(2), copy),
                )


@numpy_parity(native=0.0)
def test_sorts_by_other_arguments(xp: Any) -> Iterator[Any]:
    a = mine(xp, elements("f8", (4, 6)))
    records = mine(xp, numpy.array([(2, 1.0), (1, 3.0), (1, 2.0)], "i4,f8"))
    frozen = mine(xp, elements("f8", (5,)))
    frozen.flags.writeable = False
    for name in ("sort", "argsort"):
        function = getattr(xp, name)
        yield (name, "stable"), function(a, stable=True)
        yield (name, "fields"), (function(records), function(records, order="f1"))
        for label, keywords in {
            "axis": {"axis": 2},
            "negative axis": {"axis": -3},
            "no axis": {"axis": 1.0},
            "kind": {"kind": "fast"},
            "kind and stable": {"kind": "stable", "stable": True},
            "fields": {"order": "x"},
            "unknown": {"reverse": True},
        }.items():
            yield (name, label), attempt(function, a, **keywords)
            yield (name, label, "method"), attempt(getattr(a.copy(), name), **keywords)
        yield (name, "no array"), attempt(function, [3, 1, 2])
        yield (name, "no axes"), attempt(function, xp.array(1.0))
        yield (name, "frozen"), attempt(getattr(frozen, name))
    for kth in (9, -7, [1, 2], 1.0, True, (0,), None, xp.array(1), xp.array([0, 3])):
        for name in ("partition", "argpartition"):
            yield (name, repr(kth)), attempt(getattr(xp, name), a, kth)
            yield (name, repr(kth), "method"), attempt(getattr(a.copy(), name), kth)
    yield "frozen", attempt(frozen.partition, 1)


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity(native=lambda dtype: 0.0 if dtype in WITHOUT_KERNELS else 0.9, of="searchsorted")
def test_searches(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for n in (0, 1, 2, 3, 7, 8, 100):
        a = mine(xp, numpy.sort(elements(dtype, (n,))))
        for shape in ((), (1,), (7,), (8,), (50,), (2, 9), (0,)):
            keys = mine(xp, elements(dtype, (*shape,)))
            for side in ("left", "right"):
                yield (n, shape, side), (a.searchsorted(keys, side), xp.searchsorted(a, keys, side=side))
        every = mine(xp, numpy.sort(samples.special(dtype)))
        yield (n, "special"), (a.searchsorted(every), every.searchsorted(every, "right"))


@numpy_parity(native=0.05, of="searchsorted")
def test_searches_for_others(xp: Any) -> Iterator[Any]:
    arrays = [
        xp.arange(10.0),
        xp.arange(10),
        xp.arange(10, dtype="f4"),
        xp.arange(20.0)[::2],
        xp.arange(10, dtype="u1"),
    ]
    keys = (
        0.5,
        3,
        True,
        -1,
        2**40,
        2**70,
        float("nan"),
        numpy.float32(2.5),
        numpy.int8(3),
        "x",
        None,
        [1, 2.5],
    )
    for i, a in enumerate(arrays):
        for key in keys:
            for side in ("left", "right"):
                yield (i, repr(key), side), attempt(a.searchsorted, key, side)
        yield (i, "sorter"), a.searchsorted([3, 4], sorter=xp.argsort(a))
        yield (i, "side"), attempt(a.searchsorted, 1, "middle")
        yield (i, "mixed"), (a.searchsorted(xp.arange(3)), a.searchsorted(xp.arange(6.0)[::2]))
    yield "matrix", attempt(xp.searchsorted, xp.ones((2, 2)), 1.0)
    yield "no axes", attempt(xp.searchsorted, xp.array(1.0), 1.0)


def samples_at(n: int, dtype: str) -> Any:
    """Places in ascending order, some of them twice."""
    return numpy.sort(samples.generator("interpolation", n).integers(0, 2 * n, n)).astype(dtype)


@pytest.mark.parametrize("places", ["random", "rising", "falling", "dense", "special"])
@numpy_parity(native=0.95, of="interp")
def test_interpolates(xp: Any, places: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("interpolation", places)
    for n in (2, 3, 5, 30, 200):
        for m in (0, 1, 7, 8, 9, 64, 500):
            at = rng.uniform(-2.0, 2 * n + 2.0, m)
            if places == "special":
                at[::3] = rng.choice([numpy.nan, numpy.inf, -numpy.inf, 0.0, -0.0, n, 2 * n], at[::3].shape)
            elif places == "dense":
                at = numpy.sort(rng.uniform(1.0, 1.5, m))
            elif places != "random":
                at = numpy.sort(at)[:: 1 if places == "rising" else -1]
            for x_dtype, y_dtype in (("f8", "f8"), ("i8", "f4"), ("u1", "i4"), ("f4", "?")):
                x, y = mine(xp, samples_at(n, x_dtype)), mine(xp, rng.integers(-9, 9, n).astype(y_dtype))
                yield (
                    (n, m, x_dtype),
                    (xp.interp(mine(xp, at), x, y), xp.interp(mine(xp, at), x, y, -1, right=0.5)),
                )
            steep = rng.choice([numpy.inf, -numpy.inf, numpy.nan, 1.0, 1e308, -1e308], n)
            wide = samples_at(n, "f8")
            wide[-1] = numpy.inf
            yield (n, m, "steep"), xp.interp(mine(xp, at), mine(xp, wide), mine(xp, steep))
            wide[0] = -numpy.inf
            yield (n, m, "wide"), xp.interp(mine(xp, at), mine(xp, wide), mine(xp, steep))


@numpy_parity(native=0.2, of="interp")
def test_interpolates_others(xp: Any) -> Iterator[Any]:
    x, y = xp.arange(5.0), xp.arange(5.0) ** 2
    for at in (
        0,
        1.5,
        9,
        numpy.float64(2.5),
        numpy.float32(0.5),
        True,
        2**70,
        None,
        "x",
        [0.5, 2],
        1j,
        xp.array(2.5),
    ):
        yield repr(at), attempt(xp.interp, at, x, y)
    for at in (
        xp.arange(6.0)[::2],
        xp.arange(6.0).reshape(2, 3).T,
        xp.arange(4, dtype="f2"),
        xp.ones(3, ">f8"),
        xp.ones((2, 0)),
    ):
        yield (at.shape, at.dtype.str, at.strides), attempt(xp.interp, at, x, y)
    a = xp.arange(3.0)
    yield "unsorted", xp.interp(a, x[::-1], y)
    yield (
        "unsorted 2",
        xp.interp(xp.arange(20.0), mine(xp, numpy.array([3.0, 1, 7, 2, 9, 4, 4, 0])), xp.arange(8.0)),
    )
    yield "not a number", xp.interp(a, mine(xp, numpy.array([0, numpy.nan, 2, 3])), xp.arange(4.0))
    yield "one", (xp.interp(a, x[:1], y[:1]), xp.interp(float("nan"), x[:1], y[:1]))
    yield "none", attempt(xp.interp, a, x[:0], y[:0])
    yield "lengths", attempt(xp.interp, a, x, y[:3])
    yield "matrix", attempt(xp.interp, a, x.reshape(1, 5), y)
    yield "complex", xp.interp(a, x, y * 1j)
    yield "period", xp.interp(a + 7, x, y, period=4)
    yield "ends", (xp.interp(a - 9, x, y, left=xp.float32(3)), attempt(xp.interp, a, x, y, left="x"))
    many = xp.arange(100_000.0)
    yield "many samples", (xp.interp(2.5, many, many), xp.interp(many + 0.5, many, many))


@numpy_parity(native=0.25, of="unravel_index")
def test_unravels(xp: Any) -> Iterator[Any]:
    rng = samples.generator("unravel")
    for shape in ((7,), (2, 3), (4, 1, 5), (2, 2, 2, 2), (1,) * 9, 12):
        size = int(numpy.prod(shape))
        for of in ((), (1,), (5,), (2, 3), (0,), (2, 1, 2)):
            at = mine(xp, numpy.asarray(rng.integers(0, size, of)))
            yield (shape, of), xp.unravel_index(at, shape)
            yield (shape, of, "F"), xp.unravel_index(at, shape, "F")
            yield (shape, of, "across"), xp.unravel_index(at.T, shape)
        for index in (0, size - 1, numpy.int8(0), numpy.uint64(0), size, -1, True, 1.5, None, 2**70, [0, 0]):
            yield (shape, repr(index)), attempt(xp.unravel_index, index, shape)
        yield (shape, "far"), attempt(xp.unravel_index, mine(xp, numpy.array([0, size, -1])), shape)
    for shape in ((), (0, 3), (-2, 3), (2**40, 2**40), (2.0, 3), None):
        yield (
            repr(shape),
            (attempt(xp.unravel_index, 1, shape), attempt(xp.unravel_index, xp.arange(2), shape)),
        )
    yield "by name", attempt(xp.unravel_index, indices=3, shape=(2, 2))
    yield (
        "of another dtype",
        (xp.unravel_index(xp.arange(3, dtype="i4"), (2, 2)), attempt(xp.unravel_index, xp.ones(2), (2,))),
    )


@numpy_parity(native=0.17, of="ravel_multi_index")
def test_ravels(xp: Any) -> Iterator[Any]:
    rng = samples.generator("ravel")
    for shape in ((7,), (2, 3), (4, 1, 5), (2, 2, 2, 2), (1,) * 9, 12):
        lengths = numpy.atleast_1d(shape)
        for of in ((1,), (5,), (2, 3), (0,), (2, 1, 2), ()):
            along = tuple(mine(xp, numpy.asarray(rng.integers(0, length, of))) for length in lengths)
            yield (shape, of), xp.ravel_multi_index(along, shape)
            yield (shape, of, "F"), xp.ravel_multi_index(along, shape, order="F")
            yield (shape, of, "across"), xp.ravel_multi_index(tuple(x.T for x in along), shape)
            yield (shape, of, "list"), xp.ravel_multi_index(list(along), shape)
            yield (shape, of, "i4"), xp.ravel_multi_index(tuple(x.astype("i4") for x in along), shape)
            if of:
                far = (along[0] + 9, *along[1:])
                yield (shape, of, "far"), attempt(xp.ravel_multi_index, far, shape)
                yield (shape, of, "wrap"), xp.ravel_multi_index(far, shape, "wrap")
                yield (
                    (shape, of, "negative"),
                    attempt(xp.ravel_multi_index, (along[0] - 9, *along[1:]), shape),
                )
                yield (shape, of, "mixed"), xp.ravel_multi_index((*along[:-1], 0), shape)
        for index in (0, numpy.int8(0), True, -1, 99, 0.0, None, 2**70):
            yield (shape, repr(index)), attempt(xp.ravel_multi_index, (index,) * len(lengths), shape)
    a = xp.arange(2)
    for shape in ((), (0, 3), (-2, 3), (2**40, 2**40), (2.0, 3), (2,), None):
        yield (
            repr(shape),
            (attempt(xp.ravel_multi_index, (a, a), shape), attempt(xp.ravel_multi_index, (1, 1), shape)),
        )
    yield "table", xp.ravel_multi_index(xp.ones((2, 3), "i8"), (2, 2))
    yield "shapes", attempt(xp.ravel_multi_index, (a, xp.arange(3)), (9, 9))
    yield "broadcast", xp.ravel_multi_index((a, a[:1]), (9, 9))


def operands(dtype: str, n: int) -> Any:
    """NumPy's complex loops raise events of their padding where there are infinities or NaNs."""
    values = elements(dtype, (n,))
    return (
        numpy.where(numpy.isfinite(values), values, 2).astype(dtype) if values.dtype.kind == "c" else values
    )


AT = ("add", "subtract", "multiply", "divide", "maximum", "fmin", "bitwise_and", "bitwise_xor", "left_shift")


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity(native=lambda dtype: 0.0 if dtype in ("bool", "float16") else 0.3, of=AT)
def test_operations_at_indices(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("at", dtype)
    for n in (1, 7, 50):
        indices = mine(xp, rng.integers(-n, n, 3 * n))
        for step in (1, -2):
            for name in AT:
                ufunc = getattr(xp, name)
                a = mine(xp, operands(dtype, 2 * n))[::step]
                values = mine(xp, operands(dtype, 3 * n))
                yield (n, step, name), (attempt(ufunc.at, a, indices, values), a)
                yield (n, step, name, "one"), (attempt(ufunc.at, a, indices, values[0]), a)
                yield (n, step, name, "strided"), (attempt(ufunc.at, a, indices[:n], values[::3]), a)
                yield (n, step, name, "list"), (attempt(ufunc.at, a, [0, 0, -1], values[1]), a)


@numpy_parity(native=0.1, of=("add", "multiply"))
def test_operations_at_other_indices(xp: Any) -> Iterator[Any]:
    def case(ufunc: Any, a: Any, *arguments: Any) -> Any:
        return attempt(ufunc.at, a, *arguments), a

    big = numpy.finfo("f8").max
    yield "overflow", case(xp.multiply, xp.array([big, 1.0]), [0, 0], 2.0)
    yield "out of range", case(xp.add, xp.arange(3.0), [0, 3], 1.0)
    yield "far out of range", case(xp.add, xp.arange(3.0), [0, -4], 1.0)
    yield "float32 and a Python number", case(xp.add, xp.ones(3, "f4"), [0, 0], 0.1)
    yield "integers and a Python number", case(xp.add, xp.arange(3), [0, 0], 0.5)
    yield "small integers and a Python number", case(xp.add, xp.arange(3, dtype="i1"), [0, 0], 300)
    yield "float64 and an integer", case(xp.add, xp.arange(3.0), [0, 0], 2**60 + 1)
    yield "other dtype", case(xp.add, xp.arange(3.0), [0, 0], xp.arange(2))
    yield "shapes", case(xp.add, xp.arange(3.0), [0, 0], xp.ones(3))
    yield "rows", case(xp.add, xp.ones((3, 2)), [0, 0], xp.ones(2))
    yield "tuple", case(xp.add, xp.ones((3, 2)), ([0, 0], [1, 1]), 1.0)
    yield "slice", case(xp.add, xp.ones(3), slice(0, 2), 1.0)
    yield "mask", case(xp.add, xp.ones(3), [True, False, True], 1.0)
    yield "none", case(xp.add, xp.ones(3), [], 1.0)
    yield "one index", case(xp.add, xp.ones(3), 1, 1.0)
    yield "unary", case(xp.negative, xp.ones(3), [0, 1])
    yield "no value", case(xp.add, xp.ones(3), [0])
    yield "text", case(xp.add, xp.ones(3), [0], "x")
    frozen = xp.ones(3)
    frozen.flags.writeable = False
    yield "frozen", case(xp.add, frozen, [0], 1.0)
    a = xp.arange(4)
    yield "its own indices", case(xp.add, a, a[::-1], a)
    yield "floats as indices", case(xp.add, xp.ones(3), [0.0], 1.0)


#: Sums of floats are within the bound of pairwise summation.
CLOSE = Rules(rtol=1e-6)


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity(
    native=lambda dtype: 0.0 if dtype in WITHOUT_KERNELS else 0.5,
    of=("add", "multiply", "minimum", "logical_and"),
    rules=lambda dtype: CLOSE if numpy.dtype(dtype).kind in "fc" else EXACT,
)
def test_reductions_at_indices(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("reduceat", dtype)
    for n in (1, 9, 400):
        for step in (1, -1):
            a = mine(xp, rng.integers(0, 3, n).astype(dtype))[::step]
            for name in ("add", "multiply", "minimum", "logical_and", "subtract"):
                ufunc = getattr(xp, name)
                indices = mine(xp, rng.integers(0, n, 7))
                yield (n, step, name), attempt(ufunc.reduceat, a, indices)
                yield (n, step, name, "axis"), attempt(ufunc.reduceat, a, [0, n - 1], axis=-1)
    a = mine(xp, elements(dtype, (4, 6)))
    for label, arguments in {
        "matrix": (a, [0, 2]),
        "rows": (a, [0, 2], 1),
        "out of range": (a[0], [0, 6]),
        "negative": (a[0], [0, -1]),
        "none": (a[0], []),
        "one": (a[0], 2),
        "floats": (a[0], [0.0]),
        "dtype": (a[0], [0, 3], 0, "f8"),
        "out": (a[0], [0, 3], 0, None, xp.zeros(2)),
    }.items():
        yield label, attempt(xp.add.reduceat, *arguments)


@pytest.mark.parametrize("dtype", [*NUMBERS, "g", "M8[s]", "S3"])
@numpy_parity(native=0.0)
def test_traces_bytes_and_fields(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in ((3, 3), (2, 5), (5, 2, 4), (0, 3)):
        for a in (mine(xp, elements(dtype, shape)), mine(xp, elements(dtype, shape)).T):
            for offset in (0, 1, -1, 7, -7):
                yield (shape, offset), attempt(a.trace, offset)
                yield (shape, offset, "axes"), attempt(xp.trace, a, offset, -1, 0)
                yield (shape, offset, "matrices"), attempt(xp.linalg.trace, a, offset=offset)
            yield (shape, "dtype"), attempt(a.trace, dtype="f4")
            yield (shape, "out"), attempt(a.trace, out=xp.zeros((), "f8"))
            yield (shape, "axis"), (attempt(a.trace, 0, 1, 1), attempt(a.trace, 0, 0, 9))
            yield (shape, "swapped"), (a.byteswap(), a.copy("K").byteswap(True))
            for field in ("i1", "u2", a.dtype, "nothing", "V3"):
                yield (shape, field), (attempt(a.getfield, field), attempt(a.getfield, field, 1))
    yield "one axis", (attempt(xp.ones(3).trace), attempt(xp.trace, xp.ones(3)))
    yield "list", xp.trace([[1, 2], [3, 4]])
    yield "negative offset", attempt(xp.ones(3).getfield, "i1", -1)
