"""Parts, triangles, grids, choices and padding against NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, mine
from parity import attempt, numpy_parity

import raptors

NUMBERS = samples.DTYPES
DTYPES = (*NUMBERS, "M8[s]", "S3", "U2", "g", ">f8", "i4,f8")


def elements(dtype: Any, shape: tuple[int, ...]) -> Any:
    rng = samples.generator("rearranging", dtype, shape)
    dtype = numpy.dtype(dtype)
    if dtype.kind == "V":
        out = numpy.zeros(shape, dtype)
        for name in dtype.names:
            out[name] = rng.integers(0, 9, shape)
        return out
    return rng.integers(0, 3, shape).astype("i8").astype(dtype)


def layouts(xp: Any, dtype: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    whole = elements(dtype, shape)
    yield "C", mine(xp, whole)
    if len(shape) > 1:
        yield "F", mine(xp, numpy.asfortranarray(whole))
        yield "reversed", mine(xp, whole)[::-1, ..., ::-1]
    elif shape:
        yield "reversed", mine(xp, whole)[::-1]
    frozen = mine(xp, whole)
    frozen.flags.writeable = False
    yield "frozen", frozen


SHAPES = ((), (6,), (0,), (4, 6), (3, 3), (2, 4, 6), (2, 0, 4))
SECTIONS: tuple[Any, ...] = (
    1,
    2,
    3,
    4,
    0,
    -1,
    7,
    [1],
    [2, 4],
    (1, 1, 3),
    [],
    [-2],
    [4, 2],
    [0, 100],
    [True],
    [1.5],
    2.0,
    None,
    numpy.int64(2),
    numpy.array([1, 3]),
)


@pytest.mark.parametrize("dtype", ["f8", "S3", "i4,f8"])
@numpy_parity(native=0.3, of=("split", "array_split", "vsplit", "hsplit", "dsplit", "unstack"))
def test_parts(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, dtype, shape):
            for sections in SECTIONS:
                if not shape and isinstance(sections, numpy.ndarray):
                    continue
                label = (shape, layout, repr(sections))
                for name in ("split", "array_split"):
                    function = getattr(xp, name)
                    yield (*label, name), attempt(function, a, sections)
                    yield (*label, name, "axis"), attempt(function, a, sections, axis=-1)
                for name in ("vsplit", "hsplit", "dsplit"):
                    yield (*label, name), attempt(getattr(xp, name), a, sections)
            yield (shape, layout, "bad axis"), attempt(xp.split, a, 1, 5)
            if hasattr(xp, "unstack"):  # newer than NumPy 2.0
                for axis in (0, 1, -1, 5):
                    yield (shape, layout, axis, "unstack"), attempt(xp.unstack, a, axis=axis)


@numpy_parity(native=0.9, of="split")
def test_parts_are_views(xp: Any) -> Iterator[Any]:
    a = xp.zeros((4, 6))
    first, second = xp.split(a, [2])
    second[...] = 1
    first[0, 0] = 2
    yield "changed", a
    yield "base", (first.base is a, xp.split(first, 2)[1].base is a)


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(native=0.2, of=("rot90", "diag", "diagflat", "tril", "triu", "fill_diagonal", "trim_zeros"))
def test_matrices(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, dtype, shape):
            for k in (0, 1, 2, 3, -1, 5, -7, 2**45, 1.0):
                label = (shape, layout, k)
                yield (*label, "rot90"), attempt(xp.rot90, a, k)
                yield (*label, "rot90 by axes"), attempt(xp.rot90, a, k=k, axes=(-1, 0))
                if k == 2**45:
                    continue  # diagonals of other arrays would need that many elements
                for name in ("diag", "diagflat"):
                    yield (*label, name), attempt(getattr(xp, name), a, k)
                if a.dtype.names is None:  # a number has no fields
                    for name in ("tril", "triu"):
                        yield (*label, name), attempt(getattr(xp, name), a, k)
            for axes in ((0, 0), (1, 0), (0, 1, 2), 1, (0, 5), [0, 1]):
                yield (shape, layout, axes), attempt(xp.rot90, a, 1, axes)
            for value in (0, 2, 1.5, "x", True, None, numpy.float32(1), [1, 2], numpy.arange(3)):
                b = a.copy("K") if layout != "frozen" else a
                yield (shape, layout, repr(value), "fill"), (attempt(xp.fill_diagonal, b, value), b)
            b = a.copy("K")
            yield (shape, layout, "wrap"), (attempt(xp.fill_diagonal, b, 1, wrap=True), b)
            for trim in ("fb", "f", "b", "bf", "x", "B"):
                yield (shape, layout, trim), attempt(xp.trim_zeros, a, trim)
    yield "zeros", (xp.trim_zeros(xp.zeros(3, dtype)) if dtype in NUMBERS else None)


@numpy_parity(native=0.4, of=("tri", "diag_indices", "indices", "meshgrid"))
def test_grids(xp: Any) -> Iterator[Any]:
    for n in (0, 1, 3, 4, -1, 2.0, None):
        for k in (0, 1, -1, 9, -9, 2**45):
            yield (n, k, "tri"), attempt(xp.tri, n, k=k)
            for dtype in ("i1", bool, "c8", "f2", "O", "S3"):
                yield (n, k, dtype), attempt(xp.tri, n, 3, k, dtype)
        for nd in (1, 2, 3, 0, -1, 1.0):
            yield (n, nd, "diag_indices"), attempt(xp.diag_indices, n, nd)
    for shape in ((), (3,), (2, 3), [2, 3], (0, 2), (2, 1, 4), 3, (2, -1), (2.0,)):
        yield (shape, "indices"), attempt(xp.indices, shape)
        for dtype in (int, float, "i4", "f8", bool):
            yield (shape, dtype), attempt(xp.indices, shape, dtype)
        yield (shape, "sparse"), attempt(xp.indices, shape, sparse=True)
    vectors = [
        xp.arange(3.0),
        xp.arange(4, dtype="i2")[::-1],
        xp.array(["a", "bc"]),
        xp.array(1.0),
        xp.ones(0),
    ]
    for i, x in enumerate(vectors):
        yield (i, "one"), (xp.meshgrid(x), xp.meshgrid(x, indexing="ij"))
        for j, y in enumerate(vectors):
            for indexing in ("xy", "ij", "yx"):
                yield (i, j, indexing), attempt(xp.meshgrid, x, y, indexing=indexing)
                yield (i, j, indexing, 3), attempt(xp.meshgrid, x, y, vectors[0], indexing=indexing)
            yield (
                (i, j, "views"),
                ([g.copy() for g in xp.meshgrid(x, y, copy=False)], xp.meshgrid(x, y, sparse=True)),
            )
    yield "others", (xp.meshgrid(), xp.meshgrid([1, 2], 3), xp.meshgrid(xp.ones((2, 2)), xp.arange(2)))


WIDTHS: tuple[Any, ...] = (
    0,
    2,
    (1, 2),
    [1, 2],
    ((1, 2),),
    ((1, 0), (0, 3)),
    ((1, 0), (0, 3), (2, 2)),
    [(1, 2), [3, 4]],
    (3,),
    -1,
    (1, -1),
    1.5,
    True,
    "x",
    numpy.array([1, 2]),
    ((1,), (2,)),
    (1, 2, 3),
    {0: 1},
)


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(native=lambda dtype: 0.05 if dtype in NUMBERS else 0.0, of="pad")
def test_padding(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, dtype, shape):
            for width in WIDTHS:
                label = (shape, layout, repr(width))
                yield label, attempt(xp.pad, a, width)
                if a.dtype.kind in "biufc":
                    for value in (1, 2.5, True, None, (1, 2), numpy.int8(3), 10**30):
                        yield (*label, repr(value)), attempt(xp.pad, a, width, constant_values=value)
            yield (shape, layout, "mode"), attempt(xp.pad, a, 1, "edge")
            yield (shape, layout, "no mode"), attempt(xp.pad, a, 1, "constantly")
            yield (shape, layout, "keyword"), attempt(xp.pad, a, 1, stat_length=1)


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity(native=1.0, of="pad")
def test_padding_of_long_arrays(xp: Any, dtype: str) -> Iterator[Any]:
    """Those of which the border alone is filled."""
    value = True if numpy.dtype(dtype) == bool else 1
    for shape in ((20_000,), (150, 140), (20, 30, 40), (0, 3000), (3000, 0)):
        whole = mine(xp, elements(dtype, shape))
        for layout, a in (("C", whole), ("F", xp.asfortranarray(whole)), ("backwards", whole[::-1])):
            for width in (0, 1, (2, 3), tuple((axis, 2 * axis + 1) for axis in range(len(shape)))):
                yield (shape, layout, repr(width)), xp.pad(a, width, constant_values=value)


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(native=lambda dtype: 0.2 if dtype in NUMBERS else 0.0, of=("choose", "select"))
def test_choices(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for shape in ((5,), (3, 4), (0,), (300,)):
        choices = [mine(xp, elements(dtype, shape)) for _ in range(2)]
        choices.append(mine(xp, elements(dtype, (*shape[:-1], 2 * shape[-1])))[..., ::2])
        numbers = mine(xp, elements("i8", shape))
        for kind in ("i8", "u1", "i4", bool, "f8"):
            yield (
                (shape, kind),
                (
                    attempt(numbers.astype(kind).choose, choices),
                    attempt(xp.choose, numbers.astype(kind), tuple(choices)),
                ),
            )
        yield (
            (shape, "modes"),
            [attempt(xp.choose, numbers - 1, choices, mode=m) for m in ("raise", "wrap", "clip", "x")],
        )
        yield (shape, "rows"), (attempt(xp.choose, numbers, [choices[0][:1], choices[1], choices[2][:1]]))
        yield (shape, "out"), attempt(xp.choose, numbers, choices, out=xp.zeros(shape, dtype))
        yield (
            (shape, "others"),
            (
                attempt(xp.choose, numbers, []),
                attempt(xp.choose, numbers, [1, 2, 3]),
                attempt(xp.choose, numbers, [choices[0], numbers, 1]),
                attempt(xp.choose, numbers, xp.array(choices)),
                attempt(xp.choose, numbers, [choices[0]] * 2),
                attempt(xp.choose, 1, choices),
                attempt(xp.choose, xp.zeros((1,) * 33, int), [choices[0][:1]] * 2),
            ),
        )
        conditions = [numbers == 0, numbers != 1, numbers > 5]
        yield (shape, "select"), attempt(xp.select, conditions, choices)
        for default in (0, 1, 2.5, 1j, True, None, "x", numpy.float32(2), choices[0], 10**30):
            yield (shape, "default", repr(default)), attempt(xp.select, conditions, choices, default)
        yield (shape, "fewer"), attempt(xp.select, conditions[:2], choices)
        yield (shape, "none"), attempt(xp.select, [], [])
        yield (shape, "numbers"), attempt(xp.select, [numbers], choices[:1])
        yield (shape, "broadcast"), attempt(xp.select, [conditions[0][:1]], [choices[1]])
        yield (shape, "broadcast choices"), attempt(xp.select, [conditions[0]], [choices[1][:1]])
        yield (shape, "mixed"), attempt(xp.select, conditions[:2], [choices[0], numbers])
        yield (shape, "lists"), attempt(xp.select, [[True]], [[1, 2]])


@pytest.mark.parametrize("dtype", [*DTYPES, "O"])
@numpy_parity(
    native=lambda dtype: 0.5 if dtype in NUMBERS else 0.0, of=("isreal", "iscomplex", "from_dlpack")
)
def test_whole_arrays(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, dtype, shape):
            if a.dtype.kind == "c":
                a = a + 1j * mine(xp, elements("f4", shape))
            if a.dtype.names is None:
                yield (shape, layout, "real"), (attempt(xp.isreal, a), attempt(xp.iscomplex, a))
            if dtype in NUMBERS:
                yield (shape, layout, "dlpack"), attempt(xp.from_dlpack, a)
    records = xp.zeros(3, [("a", "i1"), ("b", "f8")])
    yield "steps that are no elements", attempt(xp.from_dlpack, records["b"])
    yield "numbers", (xp.isreal([1, 2j]), xp.iscomplex(1j), xp.isreal(xp.float32(1)))


@numpy_parity(
    native=0.35,
    of=("tril_indices", "triu_indices", "tril_indices_from", "triu_indices_from", "diag_indices_from"),
)
def test_indices_of_triangles(xp: Any) -> Iterator[Any]:
    for n in (0, 1, 4, -1, 2.0):
        for k in (0, 1, -1, 9, -9):
            for m in (None, 0, 3, 6, -2):
                for name in ("tril_indices", "triu_indices"):
                    yield (n, k, m, name), attempt(getattr(xp, name), n, k, m)
    for shape in SHAPES:
        a = xp.zeros(shape)
        yield (shape, "diagonal"), attempt(xp.diag_indices_from, a)
        for k in (0, 2, -1, 1.5):
            for name in ("tril_indices_from", "triu_indices_from"):
                yield (shape, k, name), attempt(getattr(xp, name), a, k)
                yield (shape, k, name, "keyword"), attempt(getattr(xp, name), a, k=k)


def copies(arrays: Any) -> Any:
    """To look at whether broadcast arrays may be written to is to be warned."""
    return [a.copy() for a in arrays] if isinstance(arrays, (list, tuple)) and len(arrays) != 2 else arrays


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(native=0.01, of=("broadcast_arrays", "ix_", "resize"))
def test_repeated_elements(xp: Any, dtype: str) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, dtype, shape):
            for other in ((), (1,), (6,), (4, 1), (3, 1, 1), (5,)):
                b = mine(xp, elements("i2", other))
                yield (
                    (shape, layout, other, "broadcast"),
                    attempt(lambda a=a, b=b: copies((*xp.broadcast_arrays(a, b), a))),
                )
            for new in ((), 0, 1, 5, 13, (2, 3), (0, 3), (3, -1), (7, 7), 2.0, None):
                yield (shape, layout, new, "resize"), attempt(xp.resize, a, new)
            yield (shape, layout, "ix_"), (attempt(xp.ix_, a), attempt(xp.ix_, a, xp.arange(2)))
    yield "masks", (xp.ix_(xp.array([True, False]), xp.arange(3)), xp.ix_([1, 2], xp.arange(2)), xp.ix_())


@numpy_parity(native=0.0, of="broadcast_arrays")
def test_writing_to_broadcast_arrays(xp: Any) -> Iterator[Any]:
    frozen = xp.arange(3)
    frozen.flags.writeable = False
    for a in (xp.arange(3), frozen):
        b, c = xp.broadcast_arrays(a, xp.zeros((2, 3)))
        yield "itself", (c.base is None, b.base is a, b.strides)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            writeable = b.flags.writeable
            written = attempt(b.__setitem__, (0, 0), 5)
        yield "written", (writeable, written, [(w.category, str(w.message)) for w in caught], a.copy())


REQUIREMENTS: tuple[Any, ...] = (
    None,
    "C",
    "F",
    "A",
    "W",
    "O",
    "E",
    "x",
    [],
    ["C"],
    ["C", "F"],
    ["A", "W", "O"],
    ("C", "A"),
    ["F", "W"],
    ["ENSUREARRAY"],
    "CA",
)


@numpy_parity(native=0.2, of="require")
def test_required_arrays(xp: Any) -> Iterator[Any]:
    for shape in SHAPES:
        for layout, a in layouts(xp, "f8", shape):
            for requirements in REQUIREMENTS:
                if DISABLED and requirements in ("E", ["ENSUREARRAY"]):
                    continue  # NumPy makes a view of an instance of a subclass
                for dtype in (None, "f8", float, "f4", int):
                    got = attempt(xp.require, a, dtype, requirements)
                    yield (shape, layout, requirements, dtype), (got, got is a)


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity()
def test_common_forms_are_native(xp: Any, dtype: str) -> Iterator[Any]:
    one = True if dtype == "bool" else 1
    a, b = mine(xp, elements(dtype, (4, 6))), mine(xp, elements(dtype, (6,)))
    yield "parts", (xp.split(a, 2), xp.split(a, [2, 3], axis=1), xp.array_split(b, 4), xp.hsplit(a, 3))
    yield "rows", (xp.vsplit(a, 2), xp.dsplit(xp.reshape(a, (2, 2, 6)), [1]))
    yield "quarter turns", [xp.rot90(a, k) for k in range(-4, 5)]
    yield "diagonals", (xp.diag(a), xp.diag(b), xp.diag(b, -2), xp.diagflat(a, 1))
    yield "triangles", (xp.tril(a), xp.triu(a), xp.tril(a, 1), xp.triu(a, -1), xp.tri(3, 4, 1, dtype))
    yield (
        "indices",
        (xp.diag_indices(3), xp.indices((2, 3)), xp.meshgrid(b, b), xp.meshgrid(b, b, indexing="ij")),
    )
    yield (
        "indices of triangles",
        (xp.tril_indices(3, 1), xp.triu_indices_from(a), xp.diag_indices_from(a[:, :4])),
    )
    yield "repeated", (xp.resize(b, (4, 5)), xp.ix_(xp.arange(3), xp.arange(2)))
    if numpy.broadcast_arrays(whole := numpy.zeros(2), 1)[0] is whole:  # not in older ones
        yield "broadcast", [x.copy() for x in xp.broadcast_arrays(a, b, b[:1])]
    yield "required", (xp.require(a, None, "C") is a, xp.require(a, dtype, ["C", "W"]) is a)
    yield "padded", (xp.pad(a, 1), xp.pad(b, (1, 2)), xp.pad(a, ((1, 2), (0, 3)), constant_values=one))
    if not isinstance(b[0], numpy.complexfloating | numpy.inexact):
        yield "chosen", (xp.choose(xp.array([0, 1, 1, 0, 0, 1]), [b, b[::-1]]),)
    condition = mine(xp, elements("bool", (6,)))
    yield "selected", xp.select([condition, condition[::-1]], [b, b[::-1]], one)
    xp.fill_diagonal(a, one)
    yield "filled", a
    yield "trimmed", xp.trim_zeros(mine(xp, numpy.array([0, 0, 1, 0, 1, 0], dtype)))
    yield "real", (xp.isreal(a), xp.iscomplex(a))


def test_dlpack_shares_memory() -> None:
    a = raptors.arange(3.0)
    b = raptors.from_dlpack(a)
    a[0] = 5
    assert b[0] == 5
    assert type(b) is raptors.ndarray


@pytest.mark.parametrize("dtype", NUMBERS)
@numpy_parity()
def test_long_runs_of_zeros(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for before in (0, 1, 255, 256, 257, 600):
        for behind in (0, 1, 255, 256, 257):
            whole = numpy.zeros(before + 3 + behind, dtype)
            whole[[before, before + 2]] = 1
            a = mine(xp, whole)
            yield (
                (before, behind),
                [xp.trim_zeros(x, trim) for x in (a, a[::-1]) for trim in ("fb", "f", "b")],
            )
