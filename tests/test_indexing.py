"""Indexing and assignment against NumPy: basic indices natively, the others through NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, Mismatches, clones, counted, mine, rules_on, same_as_numpy

import raptors


class Index:
    """Answers __index__."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        return self.value


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


@pytest.mark.parametrize("label", arrays())
def test_getting(label: str) -> None:
    """Values, type (scalar or array), strides, flags, sharing and .base, errors: up to three parts."""
    found, a = Mismatches(), arrays()[label]
    indices: list[Any] = [*PARTS, *ODD]
    indices += list(itertools.product(PARTS, PARTS))
    if label in ("3-d", "reversed"):
        indices += list(itertools.product(PARTS[::2], PARTS[1::2], PARTS[::3]))
    for index in indices:
        found.check((label, index), lambda xp, i=index: get(xp, _owned(xp, a), i), rules_on(a))
        found.check((label, index, "view"), lambda xp, i=index: get(xp, mine(xp, a), i)[:2], rules_on(a))
    found.done(100)


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
        _ = a[[0, 1]], a[:, [0, 1]], a[0, [1, 2]]
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


@pytest.mark.parametrize(
    "label",
    ["1-d", "2-d", "3-d", "Fortran", "reversed", "0-d", "one", "bool", "object", "complex", "swapped"],
)
def test_setting(label: str) -> None:
    """What is stored, conversions with their warnings, refusals that change nothing."""
    found, a = Mismatches(), arrays()[label]
    for target, value in itertools.product(TARGETS, VALUES):

        def body(xp: Any, target: Any = target, value: Any = value) -> Any:
            x, v = clones(xp, a, value) if label != "object" else (mine(xp, a.copy()), value)
            try:
                x[target] = v
            except Exception as error:
                return x, type(error), str(error)
            return x

        found.check((label, target, value), body)
    found.done(100)


def test_setting_overlapping_and_read_only() -> None:
    found = Mismatches()
    a = numpy.arange(12.0)
    for target, source in (
        (slice(1, None), slice(None, -1)),
        (slice(None, -1), slice(1, None)),
        (slice(None), slice(None, None, -1)),
        (slice(None, None, 2), slice(None, 6)),
        (slice(6), slice(None, None, -2)),
    ):

        def body(xp: Any, target: Any = target, source: Any = source) -> Any:
            (x,) = clones(xp, a)
            x[target] = x[source]
            return x

        found.check((target, source), body)

    def read_only(xp: Any) -> Any:
        (x,) = clones(xp, a)
        x.flags.writeable = False
        x[0] = 1

    def deleting(xp: Any) -> None:
        (x,) = clones(xp, a)
        del x[0]

    def attribute(xp: Any) -> Any:
        (x,) = clones(xp, a)
        x.flat[3] = 7
        x.itemset = 1

    def broadcast(xp: Any) -> Any:
        x = xp.broadcast_to(mine(xp, a[:1]), (3,))
        x[0] = 1

    def augmented(xp: Any) -> Any:
        (x,) = clones(xp, a)
        x[2:5] += 1
        x[::2] *= x[1::2]
        x[[0, 0, 1]] -= 1
        x[x > 5] = 0
        return x

    for case in (read_only, deleting, attribute, broadcast, augmented):
        found.check(case.__name__, case)
    found.done()


def test_fields() -> None:
    found = Mismatches()
    a = numpy.zeros(3, [("x", "i4"), ("y", "f8", 2)])
    for index in ("x", "y", "z", ["x"], ["x", "y"], [], 0, (0, "x")):
        found.check(index, lambda xp, i=index: mine(xp, a)[i])

    def set_field(xp: Any) -> Any:
        (x,) = clones(xp, a)
        x["x"] = 3
        x["y"][1] = 2
        return x, x["x"] + 1, x["y"].sum()

    found.check("set", set_field)
    found.done()


def test_iteration_and_sequences() -> None:
    """iter, in, len, reversed, unpacking, enumerate, sorted, sum; item access past the ends raises."""
    found = Mismatches()
    for label, a in arrays().items():
        if label == "fields":
            continue
        found.check((label, "iter"), lambda xp, a=a: list(mine(xp, a)))
        found.check((label, "len"), lambda xp, a=a: len(mine(xp, a)))
        found.check((label, "reversed"), lambda xp, a=a: list(reversed(mine(xp, a))))
        found.check((label, "flat"), lambda xp, a=a: list(mine(xp, a).flat))
        found.check((label, "tolist"), lambda xp, a=a: mine(xp, a).tolist())
        for element in (a.flat[0] if a.size else 0, 99, "nothing", None):
            found.check((label, "in", element), lambda xp, a=a, e=element: e in mine(xp, a))
    a = numpy.arange(5.0)
    found.check("unpack", lambda xp: (lambda x, *y: (x, y))(*mine(xp, a)))
    found.check("builtin sum", lambda xp: sum(mine(xp, a)))
    found.check("sorted", lambda xp: sorted(mine(xp, -a)))
    found.check("max", lambda xp: max(mine(xp, a)))
    found.check("zip", lambda xp: list(zip(mine(xp, a), mine(xp, a[::-1]), strict=True)))
    found.check("iterator over a 0-d array", lambda xp: iter(mine(xp, numpy.array(1))))
    found.check("truth", lambda xp: bool(mine(xp, a)))
    found.check("truth of one", lambda xp: bool(mine(xp, a[:1])))
    found.check("truth of none", lambda xp: bool(mine(xp, a[:0])))
    for f in (
        int,
        float,
        complex,
        hash,
        bytes,
        str,
        repr,
        "{}".format,
        "{:.2f}".format,
        list,
        tuple,
        set,
        memoryview,
    ):
        found.check(
            f,
            lambda xp, f=f: (
                str(f(mine(xp, a[1:2].reshape(())))) if f is not memoryview else f(mine(xp, a)).tolist()
            ),
        )
        found.check((f, "1-d"), lambda xp, f=f: str(f(mine(xp, a[:1]))) if f is not memoryview else None)
    found.done()


@pytest.mark.parametrize(
    "name",
    [
        "item",
        "take",
        "put",
        "compress",
        "choose",
        "diagonal",
        "nonzero",
        "ravel",
        "squeeze",
        "swapaxes",
        "transpose",
        "flatten",
        "repeat",
        "reshape",
    ],
)
def test_index_methods(name: str) -> None:
    """Methods that select or rearrange: values, views or copies, errors."""
    found = Mismatches()
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
    for label in (
        "1-d",
        "3-d",
        "Fortran",
        "reversed",
        "broadcast",
        "0-d",
        "empty",
        "one",
        "object",
        "swapped",
    ):
        a = arrays()[label]
        for p in arguments[name]:

            def body(xp: Any, a: Any = a, p: Any = p, label: str = label) -> Any:
                (x,) = clones(xp, a) if label != "object" else (mine(xp, a.copy()),)
                r = getattr(x, name)(*p)
                return r, x, isinstance(r, numpy.ndarray) and bool(numpy.shares_memory(r, x)), r is x

            found.check((label, p), body, rules_on(a))
            if name == "reshape":
                for order in ("C", "F", "A", "x", None):
                    body = lambda xp, a=a, p=p, o=order: mine(xp, a).reshape(*p, order=o)  # noqa: E731
                    found.check((label, p, order), body, rules_on(a))
                for copy in (True, False):
                    body = lambda xp, a=a, p=p, c=copy: mine(xp, a).reshape(*p, copy=c)  # noqa: E731
                    found.check((label, p, "copy", copy), body, rules_on(a))
    found.done()


def test_transposes() -> None:
    found = Mismatches()
    for label, a in arrays().items():
        found.check((label, "T"), lambda xp, a=a: (mine(xp, a).T, mine(xp, a).T.T))
        found.check((label, "mT"), lambda xp, a=a: mine(xp, a).mT)

        def base(xp: Any, a: Any = a) -> Any:
            x = _owned(xp, a)
            return x.T.base is x, x.T.T.base is x

        found.check((label, "base"), base)
    found.done()


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


def test_views_write_through() -> None:
    def body(xp: Any) -> Any:
        x = xp.zeros((4, 6))
        x[1][2] = 5
        x.T[3, 2] = 6
        x[::2, ::-1][0, 0] = 7
        x.reshape(-1)[1] = 8
        v = x[1:3]
        v += 1
        v[...] = v * 2
        return x, v

    same_as_numpy(body)


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "complex128", ">f8", "S3", "O", "i4,f4"])
def test_masks(dtype: str, isa: str) -> None:
    """a[mask] of every length, share and shape; wrong shapes are NumPy's to judge."""
    found = Mismatches()
    random = samples.generator("masks", dtype)
    for n in (*range(18), 31, 100, 257, 1000):
        a = random.integers(0, 100, n).astype(dtype)
        for share in (0, 0.1, 0.5, 0.9, 1):
            m = random.random(n) < share
            found.check((n, share), lambda xp, a=a, m=m: mine(xp, a)[mine(xp, m)])
            found.check(("plain mask", n, share), lambda xp, a=a, m=m: mine(xp, a)[m])
    a = random.integers(0, 100, (6, 7, 4)).astype(dtype)
    m = random.random(a.shape) < 0.5
    for label, x, y in (
        *(("3-d", a, m), ("Fortran", a.T, m.T), ("strided", a[::2], m[::2]), ("reversed", a[:, ::-1], m)),
        *(("mask strided", a[:3], m[::2]), ("first axes", a, m[:, :, 0]), ("first axis", a, m[:, 0, 0])),
        *(("too short", a, m[:3]), ("too many axes", a[0], m), ("0-d", a[0, 0, 0:1].reshape(()), m[0, 0, 0])),
        *(
            ("0-d mask", a, numpy.array(True)),
            ("empty", a[:0], m[:0]),
            ("ints", a, m.astype(int)[:, 0, 0] * 2),
        ),
        *(
            ("list", a[0, :, 0], m[0, :, 0].tolist()),
            ("tuple", a[0], (m[0, :, 0], 1)),
            ("none", a[0, 0], None),
        ),
    ):
        body = lambda xp, x=x, y=y: mine(xp, x)[mine(xp, y) if isinstance(y, numpy.ndarray) else y]  # noqa: E731
        found.check(label, body, rules_on(x))
    found.done(100)


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_masks_are_native() -> None:
    a = raptors.arange(24.0).reshape(4, 6)
    with counted() as count:
        _ = (a[a > 3], a.reshape(-1)[numpy.ones(24, bool)], a[a < 0])
    assert count.of("__getitem__").native == 3
    assert a[a > 3].flags.owndata
    assert a[a > 3].base is None


def test_stored_bytes_of_a_mask() -> None:
    """Any byte but 0 is true."""
    raw = numpy.array([0, 1, 2, 255, 0, 128, 1, 0, 7] * 5, "u1").view(bool)
    a = raptors.arange(45)
    assert a[mine(raptors, raw)].tolist() == [i for i in range(45) if raw.view("u1")[i]]
