"""Indexing and assignment against NumPy: basic indices, masks and one array of integers natively."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, clones, counted, mine, rules_on
from parity import attempt, numpy_parity

import raptors


class Index:
    """Answers __index__."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value!r})"


PARTS = [
    0,
    1,
    -1,
    2,
    -3,
    7,
    -9,
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(-2, 0, -1),
    slice(5, 1),
    slice(100),
    slice(None, None, 100),
    slice(-100, 100, -3),
    ...,
    None,
]

ODD = [
    True,
    False,
    numpy.int64(1),
    numpy.int8(-1),
    numpy.uint64(1),
    numpy.bool(True),
    Index(1),
    Index(-1),
    2**62,
    -(2**62),
    2**70,
    1.0,
    numpy.float64(1),
    "x",
    b"x",
    [],
    [0],
    [0, 1],
    [[0, 1]],
    [True, False, True],
    (),
    (()),
    ((0,),),
    [0, slice(1)],
    slice(0.5),
    slice(None, None, 0),
    slice(Index(1), Index(3)),
    slice(numpy.int64(1), None),
    slice("a"),
    slice(2**70),
    (..., ...),
    (None, ..., None),
    (0, 0, 0, 0),
    (None,) * 62,
    (None,) * 70,
    (slice(None),) * 4,
    (0, None),
    (None, 0),
    numpy.array(1),
    numpy.array([0, 1]),
    numpy.array([], int),
    numpy.array([True, False, True]),
    numpy.array(True),
    numpy.array([[0, 1], [1, 0]]),
    numpy.array([0.5]),
    (numpy.array([0, 1]), 0),
    ([0, 1], slice(None)),
    (slice(None), [0]),
    (0, [0, 1]),
    object,
    {},
    {"a": 1},
    set(),
    range(2),
    memoryview(b"ab"),
    1j,
    NotImplemented,
    Ellipsis,
    numpy.newaxis,
]


def arrays() -> dict[str, Any]:
    rng = samples.generator("indexing")
    cube = samples.mixed("float64", 60, rng).reshape(3, 4, 5)
    return {
        "1-d": samples.mixed("float64", 5, rng),
        "2-d": samples.mixed("int32", 12, rng).reshape(3, 4),
        "3-d": cube,
        "Fortran": numpy.asfortranarray(cube),
        "reversed": cube[::-1, :, ::2],
        "broadcast": numpy.broadcast_to(cube[:1], (3, 4, 5)),
        "0-d": numpy.array(3.5),
        "empty": numpy.zeros((0, 3)),
        "one": numpy.ones((1, 1, 1), "u1"),
        "bool": numpy.array([True, False, True]),
        "swapped": numpy.arange(4, dtype=">i4"),
        "object": numpy.array([1, "a", None], object),
        "complex": numpy.arange(3) * 1j,
        "text": numpy.array(["a", "bc"]),
        "time": numpy.arange(3).astype("M8[D]"),
        "fields": numpy.zeros(3, "i4,f8"),
    }


def _owned(xp: Any, a: Any) -> Any:
    """An array that owns its data, with strides as they come from a copy."""
    x = a.copy(order="K")
    return x if xp is numpy else raptors.array(x)


def get(xp: Any, x: Any, index: Any) -> Any:
    r = x[index]
    shares = bool(isinstance(r, numpy.ndarray) and numpy.shares_memory(r, x))
    return r, shares, isinstance(r, numpy.ndarray) and r.base is x


#: Lists and arrays of indices, and what raises, are NumPy's; so are dtypes without a kernel.
SHARE_OF_GETTING = {
    **dict.fromkeys(arrays(), 0.8),
    **{"1-d": 0.46, "bool": 0.46, "0-d": 1.0, "empty": 0.66, "one": 0.66, "object": 0.0},
    **dict.fromkeys(("swapped", "complex", "text", "time", "fields"), 0.11),
}


@pytest.mark.parametrize("label", arrays())
@numpy_parity(native=lambda label: SHARE_OF_GETTING[label], rules=lambda label: rules_on(arrays()[label]))
def test_getting(xp: Any, label: str) -> Iterator[Any]:
    """Values, type (scalar or array), strides, flags, sharing and .base, errors: up to three parts."""
    a = arrays()[label]
    indices: list[Any] = [*PARTS, *ODD]
    indices += list(itertools.product(PARTS, PARTS))
    if label in ("3-d", "reversed"):
        indices += list(itertools.product(PARTS[::2], PARTS[1::2], PARTS[::3]))
    for index in indices:
        yield index, attempt(get, xp, _owned(xp, a), index)
        yield (index, "view"), attempt(get, xp, mine(xp, a), index)[:2]


def test_basic_indices_are_native() -> None:
    a = raptors.arange(60.0).reshape(3, 4, 5)
    indices = [i for i in itertools.product(PARTS, PARTS) if i.count(...) < 2]
    done = 0
    with counted() as count:
        for index in indices:
            try:
                _ = a[index]
                done += 1
            except IndexError:
                continue
    assert DISABLED or count.of("__getitem__").native == done
    with counted() as count:
        _ = a[[True, False, True]], a[..., raptors.array(1)]
    assert count.of("__getitem__").native == 0


VALUES = [
    0,
    1.5,
    -1,
    True,
    None,
    "x",
    300,
    10**30,
    2j,
    float("nan"),
    [1, 2],
    [[1], [2]],
    [1, 2, 3],
    numpy.float32(2.5),
    numpy.int8(-1),
    numpy.arange(5),
    numpy.arange(4.0),
    numpy.ones((4, 1)),
    numpy.ones((3, 4, 5), "f4"),
    numpy.ones((2, 2, 2, 2)),
    numpy.array(7),
    numpy.array([]),
    object,
    numpy.ones((1, 1, 1, 1)),
    numpy.arange(5, dtype=">f8"),
    numpy.ones(5, "c8"),
]
TARGETS = [
    0,
    -1,
    9,
    slice(None),
    slice(None, None, -1),
    slice(1, 1),
    ...,
    None,
    (0, 0),
    (0, 0, 0),
    (..., 0),
    (slice(None), 1),
    (0, slice(None), slice(None, None, 2)),
    (None, 0),
    (slice(None), None),
    [0, 1],
    ([0, 1], 0),
    numpy.array([True, False, True]),
    1.5,
    "x",
    (0, 0, 0, 0),
    True,
    False,
    (slice(None), [0, 2]),
    Index(1),
    numpy.int64(2),
    (),
]


#: Values that do not fit, and arrays of indices, are NumPy's; arrays that stay NumPy's are not counted.
SHARE_OF_SETTING = {
    **{"1-d": 0.24, "2-d": 0.27, "3-d": 0.33, "Fortran": 0.33, "reversed": 0.32, "0-d": None, "one": 0.27},
    **{"bool": 0.21, "object": None, "complex": 0.2, "swapped": 0.2},
}


@pytest.mark.parametrize("label", SHARE_OF_SETTING)
@numpy_parity(native=lambda label: SHARE_OF_SETTING[label], reason="0-d arrays and objects stay NumPy's")
def test_setting(xp: Any, label: str) -> Iterator[Any]:
    """What is stored, conversions with their warnings, refusals that change nothing."""
    a = arrays()[label]
    for target, value in itertools.product(TARGETS, VALUES):
        x, v = clones(xp, a, value) if label != "object" else (mine(xp, a.copy()), value)
        yield (target, value), (attempt(operator.setitem, x, target, v), x)


@numpy_parity(native=0.6)
def test_setting_overlapping_and_read_only(xp: Any) -> Iterator[Any]:
    a = numpy.arange(12.0)
    for target, source in (
        (slice(1, None), slice(None, -1)),
        (slice(None, -1), slice(1, None)),
        (slice(None), slice(None, None, -1)),
        (slice(None, None, 2), slice(None, 6)),
        (slice(6), slice(None, None, -2)),
    ):
        (x,) = clones(xp, a)
        x[target] = x[source]
        yield (target, source), x
    (x,) = clones(xp, a)
    x.flags.writeable = False
    yield "read-only", (attempt(operator.setitem, x, 0, 1), x)
    (x,) = clones(xp, a)
    yield "deleting", (attempt(operator.delitem, x, 0), x)
    x.flat[3] = 7
    yield "attribute", (attempt(setattr, x, "itemset", 1), x)
    x = xp.broadcast_to(mine(xp, a[:1]), (3,))
    yield "broadcast", (attempt(operator.setitem, x, 0, 1), x)
    (x,) = clones(xp, a)
    x[2:5] += 1
    x[::2] *= x[1::2]
    x[[0, 0, 1]] -= 1
    x[x > 5] = 0
    yield "augmented", x


@numpy_parity(native=0.2)
def test_fields(xp: Any) -> Iterator[Any]:
    """The fields of a structure are NumPy's; what is computed with them is not."""
    a = numpy.zeros(3, [("x", "i4"), ("y", "f8", 2)])
    for index in ("x", "y", "z", ["x"], ["x", "y"], [], 0, (0, "x")):
        yield index, attempt(operator.getitem, mine(xp, a), index)
    (x,) = clones(xp, a)
    x["x"] = 3
    x["y"][1] = 2
    yield "set", (x, x["x"] + 1, x["y"].sum())


@numpy_parity(native=0.17)
def test_iteration_and_sequences(xp: Any) -> Iterator[Any]:
    """iter, in, len, reversed, unpacking, enumerate, sorted, sum; item access past the ends raises."""
    for label, a in arrays().items():
        if label == "fields":
            continue
        x = mine(xp, a)
        yield (label, "iter"), attempt(list, x)
        yield (label, "len"), attempt(len, x)
        yield (label, "reversed"), attempt(lambda x: list(reversed(x)), x)
        yield (label, "flat"), list(x.flat)
        yield (label, "tolist"), x.tolist()
        for element in (a.flat[0] if a.size else 0, 99, "nothing", None):
            yield (label, "in", element), attempt(operator.contains, x, element)
    a = numpy.arange(5.0)
    x = mine(xp, a)
    first, *rest = x
    yield "unpack", (first, rest)
    yield "builtin sum", sum(x)
    yield "sorted", sorted(mine(xp, -a))
    yield "max", max(x)
    yield "zip", list(zip(x, mine(xp, a[::-1]), strict=True))
    yield "iterator over a 0-d array", attempt(iter, mine(xp, numpy.array(1)))
    yield "truth", [attempt(bool, y) for y in (x, x[:1], x[:0])]
    for f in (int, float, complex, hash, bytes, str, repr, "{}".format, "{:.2f}".format, list, tuple, set):
        for y in (mine(xp, a[1:2].reshape(())), mine(xp, a[:1])):
            yield (f, y.ndim), str(attempt(f, y))
    yield "memoryview", memoryview(x).tolist()


#: What these methods are asked for is NumPy's but for views and copies of arrays that are ours.
SHARE_OF_METHODS = {
    "item": None,
    **dict.fromkeys(("choose", "repeat", "compress"), 0.0),
    **{"put": 0.12, "take": 0.5, "diagonal": 0.53, "nonzero": 0.75},
    **{"ravel": 0.17, "squeeze": 0.28, "swapaxes": 0.43, "transpose": 0.57, "flatten": 0.21},
    "reshape": 0.009,
}


@pytest.mark.parametrize("name", SHARE_OF_METHODS)
@numpy_parity(native=lambda name: SHARE_OF_METHODS[name], reason="NumPy's methods, not counted")
def test_index_methods(xp: Any, name: str) -> Iterator[Any]:
    """Methods that select or rearrange: values, views or copies, errors."""
    arguments: dict[str, list[Any]] = {
        "item": [(), (0,), (5,), (0, 0), (0, 0, 0), (99,), (-1,), ((0, 1, 2),), ("x",)],
        "take": [(0,), ([0, 1],), ([0, 1], 1), (99,), ([0, 99],), (-1, 0), ([[0, 1]], 2)],
        "put": [(0, 9), ([0, 1], [8, 9]), (99, 1)],
        "compress": [([True, False], 0), ([True], 5), ([0, 1, 1],)],
        "choose": [([1, 2],)],
        "diagonal": [(), (1,), (0, 1, 2), (0, 0, 0)],
        "nonzero": [()],
        "ravel": [(), ("F",), ("K",), ("A",), ("x",)],
        "squeeze": [(), (0,), ((0,),), (9,)],
        "swapaxes": [(0, 1), (0, -1), (0, 9), (0,)],
        "transpose": [(), (None,), (0, 1, 2), ((2, 0, 1),), (0, 0, 1), (0, 1), (-1, 0, 1)],
        "flatten": [(), ("F",), ("A",), ("K",)],
        "repeat": [(2,), (2, 0), ([1, 2, 3], 0), (-1,)],
        "reshape": [
            (-1,),
            (60,),
            (5, 12),
            ((5, 12),),
            (5, -1),
            (-1, -1),
            (7, 7),
            (),
            ((),),
            (2, 0),
            (1, 60, 1),
            (5.0, 12),
            ("x",),
            (-2, 30),
            (2**62, 4),
            (None,),
            (Index(60),),
            (numpy.int64(5), 12),
        ],
    }

    def call(x: Any, p: Any) -> Any:
        r = getattr(x, name)(*p)
        return r, isinstance(r, numpy.ndarray) and bool(numpy.shares_memory(r, x)), r is x

    for label in (
        *("1-d", "3-d", "Fortran", "reversed", "broadcast", "0-d", "empty", "one", "object", "swapped"),
    ):
        a = arrays()[label]
        rules = rules_on(a)
        for p in arguments[name]:
            (x,) = clones(xp, a) if label != "object" else (mine(xp, a.copy()),)
            yield (label, p), (attempt(call, x, p), x), rules
            if name == "reshape":
                x = mine(xp, a)
                for order in ("C", "F", "A", "x", None):
                    yield (label, p, order), attempt(x.reshape, *p, order=order), rules
                for copy in (True, False):
                    yield (label, p, "copy", copy), attempt(x.reshape, *p, copy=copy), rules


@numpy_parity(native=0.6)
def test_transposes(xp: Any) -> Iterator[Any]:
    for label, a in arrays().items():
        x = mine(xp, a)
        yield (label, "T"), (x.T, x.T.T)
        yield (label, "mT"), attempt(getattr, x, "mT")
        x = _owned(xp, a)
        yield (label, "base"), (x.T.base is x, x.T.T.base is x)


def test_base_chains() -> None:
    """A view's base is the owner, however long the chain; a view keeps its owner alive."""
    for xp in (numpy, raptors):
        a = xp.arange(24.0).copy()
        assert a.base is None
        assert a[1:].base is a
        assert a[1:][1:].base is a
        assert a.reshape(4, 6).T[1:, ::2].base is a
        assert a.view("u1").base is a
        assert a[...].base is a
        assert a[...] is not a
        b = a[2:5]
        del a
        assert b.tolist() == [2.0, 3.0, 4.0]


@numpy_parity()
def test_views_write_through(xp: Any) -> Any:
    x = xp.zeros((4, 6))
    x[1][2] = 5
    x.T[3, 2] = 6
    x[::2, ::-1][0, 0] = 7
    x.reshape(-1)[1] = 8
    v = x[1:3]
    v += 1
    v[...] = v * 2
    return x, v


# ---- masks ---------------------------------------------------------------------------------------


def share_of_masks(dtype: str) -> float | None:
    if dtype == "O":
        return None
    return 0.94 if dtype in samples.DTYPES else 0.0


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "complex128", ">f8", "S3", "O", "i4,f4"])
@numpy_parity(native=share_of_masks, reason="objects stay NumPy's")
def test_masks(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    """a[mask] of every length, share and shape; wrong shapes are NumPy's to judge."""
    random = samples.generator("masks", dtype)
    for n in (*range(18), 31, 100, 257, 1000):
        a = random.integers(0, 100, n).astype(dtype)
        for share in (0, 0.1, 0.5, 0.9, 1):
            m = random.random(n) < share
            yield (n, share), mine(xp, a)[mine(xp, m)]
            yield ("plain mask", n, share), mine(xp, a)[m]
    a = random.integers(0, 100, (6, 7, 4)).astype(dtype)
    m = random.random(a.shape) < 0.5
    for label, x, y in (
        *(("3-d", a, m), ("Fortran", a.T, m.T), ("strided", a[::2], m[::2]), ("reversed", a[:, ::-1], m)),
        *(("mask strided", a[:3], m[::2]), ("first axes", a, m[:, :, 0]), ("first axis", a, m[:, 0, 0])),
        *(("too short", a, m[:3]), ("too many axes", a[0], m), ("0-d", a[0, 0, 0:1].reshape(()), m[0, 0, 0])),
        *(("0-d mask", a, numpy.array(True)), ("empty", a[:0], m[:0])),
        *(("ints", a, m.astype(int)[:, 0, 0] * 2), ("list", a[0, :, 0], m[0, :, 0].tolist())),
        *(("tuple", a[0], (m[0, :, 0], 1)), ("none", a[0, 0], None)),
    ):
        index = mine(xp, y) if isinstance(y, numpy.ndarray) else y
        yield label, attempt(operator.getitem, mine(xp, x), index), rules_on(x)


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_masks_are_native() -> None:
    a = raptors.arange(24.0).reshape(4, 6)
    with counted() as count:
        _ = (a[a > 3], a.reshape(-1)[numpy.ones(24, bool)], a[a < 0])
    assert count.of("__getitem__").native == 3
    assert a[a > 3].flags.owndata
    assert a[a > 3].base is None


def share_of_masked_assignments(dtype: str) -> float:
    return {"i4,f4": 0.1, ">f8": 0.1, "S3": 0.0, "float16": 0.6}.get(dtype, 0.7 if dtype[0] in "fc" else 0.5)


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "complex128", ">f8", "S3", "i4,f4"])
@numpy_parity(
    of="__setitem__", native=share_of_masked_assignments, reason="values of another kind are NumPy's"
)
def test_assignment_by_masks(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("assignment by masks", dtype)
    for n in (*range(1, 18), 31, 32, 64, 65, 100, 257, 1000):
        own = rng.integers(0, 100, 2 * n).astype(dtype)
        for share in (0, 0.1, 0.5, 1):
            m = rng.random(n) < share
            total = int(m.sum())
            values: dict[str, Any] = {
                "own": mine(xp, own[n : n + total]),
                "strided": mine(xp, own[: 2 * total : 2]),
                "int8": mine(xp, rng.integers(0, 99, total).astype("i1")),
                "float32": mine(xp, rng.normal(size=total).astype("f4")),
                "one": mine(xp, own[:1]),
                "0-d": mine(xp, own[0, ...]),
                "number": 1,
                "float": 2.5,
                "too many": mine(xp, own[: total + 1]),
                "2-d": mine(xp, own[None, :total]),
                "list": own[:total].tolist(),
            }
            for name, value in values.items():
                a = mine(xp, own[:n].copy())
                yield (n, share, name), attempt(a.__setitem__, mine(xp, m), value)
                yield (n, share, name, "after"), a
    a = mine(xp, own[:24].reshape(4, 6).copy())
    m = mine(xp, rng.random((4, 6)) < 0.5)
    for name, x, mask in (
        *(("2-d", a, m), ("Fortran", a.T, m.T), ("strided", a[::2], m[::2]), ("row", a, m[:, 0])),
        *(("shape", a, m[:2]), ("0-d mask", a, xp.array(True)), ("plain", a, numpy.asarray(m))),
        ("read-only", mine(xp, numpy.broadcast_to(own[:6], (4, 6))), m),
    ):
        yield name, attempt(x.__setitem__, mask, own[0] if dtype == "i4,f4" else own[:1])
        yield (name, "after"), a
        yield (name, "number"), attempt(x.__setitem__, mask, 1)
        yield (name, "number", "after"), a


@numpy_parity(of="__setitem__", native=0.0, reason="overlapping operands are NumPy's")
def test_assignment_by_masks_that_overlap(xp: Any) -> Iterator[Any]:
    a = mine(xp, numpy.arange(10.0))
    a[a > 4] = a[:5]
    yield "values", a.copy()
    b = mine(xp, numpy.array([True, False, True]))
    b[b] = False
    yield "the mask itself", b


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_assignment_by_masks_by_threads(threads: int) -> None:
    rng = samples.generator("masks by threads")
    with raptors.threads(threads):
        for dtype in ("u1", "f4", "c16"):
            a, m = rng.integers(0, 9, 1_000_001).astype(dtype), rng.random(1_000_001) < 0.5
            x = raptors.array(a)
            a[m] = 77
            x[m] = 77
            assert x.tobytes() == a.tobytes()


def test_stored_bytes_of_a_mask() -> None:
    """Any byte but 0 is true."""
    raw = numpy.array([0, 1, 2, 255, 0, 128, 1, 0, 7] * 25, "u1").view(bool)
    a = raptors.arange(225)
    selected = [i for i in range(225) if raw.view("u1")[i]]
    assert a[mine(raptors, raw)].tolist() == selected
    for dtype in ("u1", "i2", "f4", "f8", "c16"):
        b = raptors.zeros(225, dtype)
        b[mine(raptors, raw)] = 1
        assert b.nonzero()[0].tolist() == selected
        b[mine(raptors, raw)] = raptors.arange(len(selected), dtype="i1").astype(dtype)
        assert b[selected].tolist() == list(raptors.arange(len(selected)).astype("i1").astype(dtype))


# ---- arrays of integers, alone or among slices


def index_arrays(length: int) -> dict[str, Any]:
    rng = samples.generator("index arrays", length)
    inside = rng.integers(-length, length, 40)
    return {
        "few": numpy.array([0, length - 1, -1]),
        "one": numpy.array([1 - length]),
        "many": inside,
        "strided": inside[::-3],
        "matrix": inside.reshape(8, 5),
        "Fortran": numpy.asfortranarray(inside.reshape(5, 8)),
        "row": inside[None, :4],
        "column": inside[:4, None],
        "int8": inside.astype("i1"),
        "uint64": numpy.abs(inside).astype("u8") % numpy.uint64(length),
        "swapped": inside.astype(">i2"),
        "part": inside.reshape(8, 5)[::-2, ::2],
        "turned": inside[:24].reshape(2, 3, 4).transpose(1, 0, 2),
        "list": [0, 0, -1, length - 1],
        "nested list": [[0], [-1]],
        "out of range": numpy.array([0, length]),
        "far out of range": numpy.array([-(2**63), 2**63 - 1, 0]),
        "just out of range": [0, -length - 1],
        "mask": rng.random(length) < 0.6,
        "none": numpy.zeros(0, int),
        "no axes": numpy.array(1),
        "truth": [True] * length,
    }


def keys(ndim: int, index: Any) -> Iterator[tuple[str, Any]]:
    """An array of indices at each position."""
    yield "alone", index
    yield "in a tuple", (index,)
    yield "and dots", (index, ...)
    yield "behind dots", (..., index)
    if ndim > 1:
        yield "first", (index, slice(None, None, 2))
        yield "second", (slice(1, None), index)
        yield "new axes", (None, slice(None), index, None)
        yield "an integer", (1, index)
        yield "an integer behind", (index, -1)
        yield "two", (index, index)
        if numpy.ndim(index):
            yield "two, one from behind", (index, index[::-1])
            yield "broadcast", (numpy.asarray(index)[..., None], index)
        yield "others", ([0, -1], index)
        yield "new axes between", (index, None, index)
        yield "new axes in front", (None, index, index)
    if ndim > 2:
        yield "last", (slice(None, None, -1), slice(1), index)
        yield "behind a slice", (slice(1, None), index, index)
        yield "before a slice", (index, index, slice(None, None, -2))
        yield "apart", (index, slice(None), index)
        yield "three", (index, 0, index)


LAID_OUT = (
    "1-d",
    "2-d",
    "3-d",
    "Fortran",
    "reversed",
    "broadcast",
    "one",
    "bool",
    "complex",
    "text",
    "time",
    "fields",
)
#: What is out of range, and lists of booleans, are NumPy's.
SHARE_OF_ARRAYS = {**dict.fromkeys(LAID_OUT, 0.47), "one": 0.2}


@pytest.mark.parametrize("label", LAID_OUT)
@numpy_parity(
    of="__getitem__", native=lambda label: SHARE_OF_ARRAYS[label], reason="forms that are not common"
)
def test_getting_by_arrays(xp: Any, label: str, isa: str) -> Iterator[Any]:
    a = mine(xp, arrays()[label])
    for length in sorted({*a.shape}):
        for name, value in index_arrays(length).items():
            index = mine(xp, value) if isinstance(value, numpy.ndarray) else value
            for position, key in keys(a.ndim, index):
                yield (length, name, position), attempt(a.__getitem__, key)


def values_for(xp: Any, a: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    rng = samples.generator("values", a.dtype, shape)
    n = int(numpy.prod(shape))
    own = (a.ravel() if a.size else numpy.zeros(1, a.dtype))[rng.integers(0, max(a.size, 1), n)].reshape(
        shape
    )
    yield "own", mine(xp, own.copy())
    yield "Fortran", mine(xp, numpy.asfortranarray(own))
    yield "number", 1
    yield "float", 2.5
    yield "int8", mine(xp, rng.integers(0, 99, shape).astype("i1"))
    yield "float32", mine(xp, rng.normal(size=shape).astype("f4"))
    yield "last axis", mine(xp, own[(0,) * (len(shape) - 1)].copy()) if shape else 1
    yield "without axes", mine(xp, numpy.array(own.flat[0]))
    yield "axes of one", mine(xp, own[:1, None] if shape else own)
    yield "strided", mine(xp, numpy.repeat(own, 2, axis=-1)[..., ::2])
    yield "list", own.tolist()


def parts_of_matrices() -> Iterator[tuple[str, Any]]:
    """Keys for arrays of (70, 45, 33): columns, rows, masks of several axes, arrays with others between."""
    rng = samples.generator("parts of matrices")
    yield "columns", (slice(None), slice(None), rng.integers(-33, 33, 40))
    yield "columns of a row", (3, slice(None), rng.integers(-33, 33, 40))
    yield "middle", (slice(None, None, 2), rng.integers(-45, 45, 50))
    yield "matrix of indices", (slice(None), slice(None), rng.integers(0, 33, (5, 9)))
    yield "mask of columns", (slice(None), slice(None), rng.random(33) < 0.6)
    yield "mask of rows", rng.random(70) < 0.5
    yield "mask of two axes", rng.random((70, 45)) < 0.3
    yield "mask of the last two axes", (slice(None), rng.random((45, 33)) < 0.3)
    yield "mask of all axes", rng.random((70, 45, 33)) < 0.2
    yield "mask and integer", (rng.random(70) < 0.5, 4)
    yield "masks", (rng.random(70) < 2, slice(None), 5)
    yield "apart", (rng.integers(0, 70, 20), slice(None), rng.integers(0, 33, 20))
    yield "grid", numpy.ix_(rng.integers(0, 70, 20), rng.integers(0, 45, 17), rng.integers(0, 33, 18))


@pytest.mark.parametrize("dtype", ["i1", "f2", "i4", "f8", "c16", "S3"])
@numpy_parity(of=("__getitem__", "__setitem__"), native=0.95, reason="rows for masks of all axes")
def test_parts_of_matrices(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("matrices", dtype)
    values = rng.integers(0, 99, 70 * 45 * 33).astype(dtype).reshape(70, 45, 33)
    for layout, whole in (("C", values), ("F", numpy.asfortranarray(values)), ("backwards", values[::-1])):
        for label, key in parts_of_matrices():
            a, *arrays = clones(xp, whole, *(key if isinstance(key, tuple) else (key,)))
            own = tuple(arrays) if isinstance(key, tuple) else arrays[0]
            yield (layout, label, "get"), attempt(a.__getitem__, own)
            shape = a[own].shape
            yield (layout, label, "set to one"), attempt(a.__setitem__, own, a[1, 1, 1:2].copy())
            yield (layout, label, "then"), a.copy()
            lengths = [n if d == len(shape) - 1 else 1 for d, n in enumerate(shape)]
            row = mine(xp, numpy.arange(shape[-1]).astype(dtype).reshape(lengths))
            yield (layout, label, "set to a row"), attempt(a.__setitem__, own, row)
            yield (layout, label, "then"), a.copy()


# NumPy, without raptors too, tries other shapes of the values while the error of the first is set, and a
# collection of garbage that comes then tells of it (3.12 and later).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("label", [name for name in LAID_OUT if name != "broadcast"])
@numpy_parity(
    of="__setitem__",
    native=lambda label: 0.9 * SHARE_OF_ARRAYS[label] / 2,
    reason="forms that are not common",
)
def test_setting_by_arrays(xp: Any, label: str, isa: str) -> Iterator[Any]:
    a = arrays()[label]
    for length in sorted({*a.shape}):
        for name, value in index_arrays(length).items():
            index = mine(xp, value) if isinstance(value, numpy.ndarray) else value
            for position, key in keys(a.ndim, index):
                try:
                    shape = a[numpy.asarray(value) if key is index else key].shape
                except IndexError:
                    shape = (2,)
                if not numpy.prod(shape):
                    continue
                for kind, values in values_for(xp, a, shape):
                    x = _owned(xp, a)
                    yield (length, name, position, kind), attempt(x.__setitem__, key, values)
                    yield (length, name, position, kind, "after"), x


@numpy_parity(of="__setitem__", native=0.25, reason="overlapping operands are NumPy's")
def test_setting_by_arrays_that_overlap(xp: Any) -> Iterator[Any]:
    a = mine(xp, numpy.arange(10))
    a[a] = a[::-1]
    yield "indices are the array", a.copy()
    a[a[:5]] = 7
    yield "indices are a part", a.copy()
    a[mine(xp, numpy.array([0, 1, 2]))] = a[1:4]
    yield "values are a part", a.copy()
    i = mine(xp, numpy.array([3, 3, 3, -7]))
    a[i] = mine(xp, numpy.arange(4))
    yield "the last of several", a.copy()
    b = mine(xp, numpy.zeros((3, 4)))
    b[:, mine(xp, numpy.array([1, 1]))] = mine(xp, numpy.arange(6.0).reshape(3, 2))
    yield "in each row", b
    shared = numpy.lib.stride_tricks.as_strided(numpy.zeros(6), (3, 4), (8, 8))
    x = mine(xp, shared)
    x[mine(xp, numpy.array([2, 0]))] = mine(xp, numpy.arange(8.0).reshape(2, 4))
    yield "elements that share memory", x.copy()
    frozen = mine(xp, numpy.broadcast_to(numpy.arange(4), (3, 4)))
    yield "read-only", attempt(frozen.__setitem__, i, 1)
    yield "out of range", attempt(a.__setitem__, mine(xp, numpy.array([0, 10])), 1)
    yield "nothing is written", a


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_errors_of_items_of_a_list(error: type[BaseException]) -> None:
    """The error of an item reaches the caller, as from NumPy."""

    class Item:
        def __index__(self) -> int:
            raise error

    for act in (lambda a: a[[Item()]], lambda a: a.__setitem__([Item()], 1), lambda a: a.take([Item()])):
        outcomes: list[type[BaseException]] = []
        for xp in (numpy, raptors):
            try:
                act(xp.arange(5))
            except BaseException as raised:
                outcomes.append(type(raised))
        assert len(outcomes) == 2
        assert outcomes[0] is outcomes[1]


def test_arrays_of_indices_are_native() -> None:
    a, i = raptors.arange(60.0).reshape(3, 4, 5).copy(), raptors.array([2, 0])
    with counted() as count:
        _ = a[i], a[:, i], a[..., i], a[i, None], a[[0, 1]], a[i.astype("i1")]
        _ = a[i, i], a[1, i], a[i, 1], a[:, i, i], a[[0, 1], [1, 2]], a[i[:, None], i], a[i, 0, i]
        a[i, i] = 3.0
        a[i, 1] = a[i, 2].copy()
        a[i] = 1.0
        a[:, i] = a[:, 1:3].copy()
        a[[0, 2]] = 2
    assert DISABLED or count.of("__getitem__").native >= 14
    assert DISABLED or count.of("__setitem__").native == 5


@pytest.mark.skipif(DISABLED, reason="NumPy reads memory that is gone")
@pytest.mark.parametrize("key", ["array", "slice", "integer", "mask"])
def test_slices_that_change_the_array_meanwhile(key: str) -> None:
    """Only ours: NumPy reads, and writes, the memory that is gone."""

    class Shrinks:
        def __index__(self) -> int:
            a.resize((2, 2), refcheck=False)
            return 0

    rows = raptors.ones(2000, bool) if key == "mask" else raptors.array([1999, 5])
    keys = {"array": rows, "slice": slice(100, 200), "integer": 1999, "mask": rows}
    whole = (keys[key], slice(Shrinks(), None))
    for method, values in (("__getitem__", ()), ("__setitem__", (1.0,))):
        a = raptors.zeros((2000, 2000))
        call = getattr(a, method)
        if key == "slice":
            result = call(whole, *values)
            assert result is None or result.shape == (0, 2)
        else:
            with pytest.raises(IndexError, match=r"out of bounds|did not match"):
                call(whole, *values)
        assert a.shape == (2, 2)
        assert not a.any()
