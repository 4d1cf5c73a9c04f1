"""Making, converting, copying and filling arrays against NumPy."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, clones, counted, mine, mismatch, same_as_numpy
from parity import attempt, numpy_parity

import raptors

SHAPES: list[Any] = [
    0,
    1,
    5,
    (),
    (0,),
    (3,),
    (2, 3),
    (2, 0, 3),
    (1, 1, 1),
    [2, 3],
    numpy.int64(4),
    (numpy.int8(2), 3),
    (4, 5, 6),
]
BAD_SHAPES: list[Any] = [
    -1,
    (2, -1),
    1.5,
    "3",
    None,
    (2, "x"),
    2**70,
    (2**40, 2**40),
    (1,) * 65,
    [[1]],
    {},
    object,
    True,
    (2.0,),
]
DTYPES: list[Any] = [
    None,
    float,
    int,
    bool,
    "f4",
    "i1",
    "u8",
    "c8",
    "f2",
    ">f8",
    "S3",
    "U2",
    "O",
    "M8[s]",
    "i4,f8",
    numpy.float32,
    "longdouble",
    numpy.dtype("i2"),
    "nonsense",
    object(),
]


def uninitialised(x: Any) -> Any:
    """Everything about an array but its values."""
    return (
        x.shape,
        x.strides,
        str(x.dtype),
        x.flags.c_contiguous,
        x.flags.f_contiguous,
        x.flags.owndata,
        x.flags.writeable,
        x.base is None,
    )


def shown(x: Any, name: str) -> Any:
    """A new array; of one that is not initialised only what is certain."""
    return uninitialised(x) if name.startswith("empty") else (x, uninitialised(x))


@pytest.mark.parametrize("name", ["empty", "zeros", "ones"])
@numpy_parity(native=0.12, of=lambda name: name)  # most shapes and dtypes raise, or have no kernels
def test_by_shape(xp: Any, name: str) -> Iterator[Any]:
    f = getattr(xp, name)

    def make(*arguments: Any, **keywords: Any) -> Any:
        return shown(f(*arguments, **keywords), name)

    for shape, dtype, order in itertools.product([*SHAPES, *BAD_SHAPES], DTYPES, (None, "C", "F")):
        keywords = {k: v for k, v in {"dtype": dtype, "order": order}.items() if v is not None}
        yield (shape, keywords), attempt(make, shape, **keywords)
    for arguments in (
        *((), (3, float), (3, float, "F"), (3, None), (3, float, "K"), (3, float, "A"), (3, float, "x")),
        (3, float, None, 1),
    ):
        yield arguments, attempt(make, *arguments)
    for keywords in (
        *({"shape": 3}, {"like": None}, {"device": "cpu"}, {"device": "gpu"}, {"nonsense": 1}),
        {"dtype": None},
    ):
        yield keywords, attempt(make, **{"shape": 3} | keywords)
    yield "like", type(f(3, like=mine(xp, numpy.ones(2)))) is xp.ndarray


@pytest.mark.parametrize("name", ["empty_like", "zeros_like", "ones_like", "full_like"])
@numpy_parity(native=0.38, of=lambda name: name)  # shape=, order="A", views and objects are NumPy's
def test_like(xp: Any, name: str) -> Iterator[Any]:
    f = getattr(xp, name)
    extra = (7,) if name == "full_like" else ()
    cube = numpy.arange(24.0).reshape(2, 3, 4)
    repeated, single = numpy.broadcast_to(cube[0], (2, 3, 4)), cube[0, 0, 0:1].reshape(())
    for a in (cube, cube.T, cube[:, ::2], cube[::-1], repeated, single, cube[:0], [1, 2], 3):
        for keywords in (
            *({}, {"dtype": "i4"}, {"order": "F"}, {"order": "C"}, {"shape": (5, 2)}, {"subok": False}),
            *({"order": "A"}, {"dtype": "O"}),
        ):
            yield (numpy.shape(a), keywords), shown(f(mine(xp, a), *extra, **keywords), name)


def test_zeros_are_zero_after_dirty_blocks() -> None:
    """Recycled memory never shows through."""
    for n in [*range(70), 100, 1000, 5000, 100_000]:
        for _ in range(3):
            dirty = [raptors.ones(n) * -1 for _ in range(5)]
            del dirty
            fresh = [raptors.zeros(n) for _ in range(5)]
            assert not any(x.any() for x in fresh)
            assert all(
                (x == 1).all() for x in (raptors.ones(n), raptors.ones(n, "i1"), raptors.ones((n, 2), "f4"))
            )


def test_many_live_arrays_keep_their_values() -> None:
    rng = samples.generator("live")
    live: dict[int, tuple[Any, float]] = {}
    for i in range(20_000):
        n = int(rng.integers(0, 40))
        live[i] = (raptors.empty(n), float(i))
        live[i][0].fill(i)
        if len(live) > 200:
            key = int(rng.choice(list(live)[:50]))
            a, value = live.pop(key)
            assert (a == value).all()
    for a, value in live.values():
        assert (a == value).all()


def test_alignment() -> None:
    """Elements are aligned for their dtype; big blocks for vectors."""
    for n in (1, 3, 8, 100, 10_000):
        for dtype in samples.DTYPES:
            a = raptors.empty(n, dtype)
            assert a.flags.aligned
            assert a.ctypes.data % 16 == 0


SOURCES: dict[str, Any] = {
    "list": [1, 2, 3],
    "nested": [[1, 2], [3, 4.5]],
    "tuple": (1, 2),
    "int": 3,
    "float": 2.5,
    "bool": True,
    "None": None,
    "str": "abc",
    "ragged": [[1], [2, 3]],
    "empty": [],
    "huge": [2**70],
    "mixed": [1, "a", None],
    "range": range(4),
    "bytes": b"abc",
    "bytearray": bytearray(b"abc"),
    "scalar": numpy.float32(1.5),
    "scalars": [numpy.int8(1), numpy.int64(2)],
    "complex": [1j, 2],
    "big int": [2**63],
    "array": numpy.arange(6.0).reshape(2, 3),
    "fortran": numpy.arange(6.0).reshape(2, 3).T,
    "read-only": numpy.broadcast_to(1.0, 3),
    "0-d": numpy.array(5),
    "swapped": numpy.arange(3, dtype=">i4"),
    "matrix": numpy.array([[1, 2]]).view(numpy.matrix),
    "list of arrays": [numpy.ones(2), numpy.zeros(2)],
    "masked": numpy.ma.array([1, 2], mask=[0, 1]),
    "strings": ["a", "bcd"],
    "dates": numpy.arange(3).astype("M8[D]"),
    "set": {1},
    "generator": (i for i in ()),
    "memoryview": memoryview(b"xyz"),
    "dict": {"a": 1},
    "object": numpy.array([None, 1], object),
}


#: From lists, scalars and foreign objects NumPy makes the arrays; what it has to copy is its, too.
SHARE_OF_CONVERSION = {
    "array": 0.1,
    "asarray": 0.05,
    "asanyarray": 0.05,
    "ascontiguousarray": 0.23,
    "asfortranarray": 0.0,
    "copy": 0.11,
    "require": 0.0,
}


@pytest.mark.parametrize("name", SHARE_OF_CONVERSION)
@numpy_parity(native=lambda name: SHARE_OF_CONVERSION[name], of=lambda name: name)
def test_from_objects(xp: Any, name: str) -> Iterator[Any]:
    variants: list[dict[str, Any]] = [{}]
    if name in ("array", "asarray", "asanyarray"):
        variants += [{"dtype": d} for d in ("f4", "i8", "O", "U", "c16", bool)]
        variants += [{"order": o} for o in ("F", "C", "K", "A", "x")]
        variants += [{"copy": c} for c in (True, False, None)] + [{"dtype": "f8", "copy": False}]
    if name == "array":
        variants += [{"ndmin": 3}, {"subok": True}, {"ndmin": 2, "copy": False}]
    if name in ("ascontiguousarray", "asfortranarray"):
        variants += [{"dtype": "f4"}]

    def convert(source: Any, keywords: dict[str, Any]) -> Any:
        s = mine(xp, source)
        r = getattr(xp, name)(s, **keywords)
        if not isinstance(s, numpy.ndarray):
            return r
        return r, bool(numpy.may_share_memory(r, s)), r is s

    for (label, source), keywords in itertools.product(SOURCES.items(), variants):
        yield (label, keywords), attempt(convert, source, keywords)


def test_identity() -> None:
    """asarray(a) is a, and where NumPy makes a new array raptors does too."""
    for xp in (numpy, raptors):
        a = xp.arange(6.0).reshape(2, 3).copy()
        for same in (
            xp.asarray(a),
            xp.asanyarray(a),
            xp.array(a, copy=None),
            xp.array(a, copy=False),
            xp.ascontiguousarray(a),
            xp.require(a),
            a.astype("f8", copy=False),
            xp.asarray(a, dtype=float),
            xp.asarray(a, order="C"),
            xp.asarray(a, order="K"),
            xp.add(a, 0, out=a),
            a.__array__(),
            xp.atleast_1d(a),
            xp.atleast_2d(a),
            xp.clip(a, 0, 9, out=a),
            a.__iadd__(0),
            xp.asarray_chkfinite(a),
            xp.require(a, requirements="C"),
            xp.asarray(a, a.dtype),
            a.squeeze(),
        ):
            assert same is a
        for other in (
            a.copy(),
            xp.array(a),
            a.astype("f8"),
            a[...],
            a.view(),
            a.T,
            xp.asarray(a, order="F"),
            +a,
            a.reshape(2, 3),
        ):
            assert other is not a
            assert type(other) is xp.ndarray
    plain = numpy.arange(3.0)
    ours = raptors.asarray(plain)
    assert isinstance(ours, raptors.ndarray)
    assert numpy.shares_memory(ours, plain)


@numpy_parity(native=0.4)
def test_other_constructors(xp: Any) -> list[Any]:
    return [
        *(xp.arange(5), xp.arange(2.0, 5), xp.arange(5, 1, -2), xp.arange(3, dtype="f4"), xp.arange(0)),
        *(xp.linspace(0, 1, 5), xp.linspace(0, 1, 5, retstep=True), xp.eye(3), xp.identity(2)),
        *(xp.full((2, 2), 7), xp.full(3, 2.5, "f4"), xp.full(2, "x"), xp.diag([1, 2]), xp.tri(3)),
        *(xp.fromiter(range(4), int), xp.frombuffer(b"abcd", "u2"), xp.fromstring("1 2", sep=" ")),
        *(xp.fromfunction(lambda i, j: i + j, (2, 2)), xp.indices((2, 2)), xp.meshgrid([1, 2], [3, 4])),
        *(xp.logspace(0, 2, 3), xp.geomspace(1, 4, 3), xp.vander([1, 2]), xp.array([1, 2]).repeat(2)),
        *(xp.concatenate([xp.ones(2), [3]]), xp.stack([xp.ones(2)] * 2), xp.tile([1, 2], 2)),
        *(xp.ndarray((2,), float, numpy.arange(4.0), 8), xp.ndarray(3).shape, xp.ndarray().shape),
        *(xp.ndarray((2, 2), "i4", bytes(16)), attempt(xp.ndarray, 2, "f8", bytes(3))),
        *(xp.mgrid[0:2, 0:2], xp.r_[1:3, 5], xp.c_[[1, 2], [3, 4]], xp.from_dlpack(xp.arange(3))),
        xp.block([[xp.ones(2)]]),
    ]


# ---- conversion, copies, filling -----------------------------------------------------------------


@pytest.mark.parametrize("source", samples.DTYPES)
@numpy_parity(
    native=lambda source: (
        0.09 if source.startswith("complex") else 0.35 if source.startswith("float") else 0.69
    ),
    of="astype",
)
def test_astype(xp: Any, source: str, isa: str) -> Iterator[Any]:
    """Every pair of dtypes, layout, order and casting rule; invalid values with NumPy's warnings."""
    rng = samples.generator("astype", source)
    contiguous = samples.LAYOUTS["contiguous"]
    for target in samples.DTYPES:
        for n in (0, 1, 3, 8, 17, 33, 70, 257):
            a = samples.mixed(source, n, rng)
            for layout in samples.LAYOUTS.values() if n in (17, 33) else (contiguous,):
                yield (target, n), mine(xp, layout(a)).astype(target)
        tame = samples.tame(source, 60, rng)
        for shape in samples.SHAPED.values():
            yield target, mine(xp, shape(tame)).astype(target)
            for order in ("K", "C", "F", "A"):
                yield (target, order), mine(xp, shape(tame)).astype(target, order=order)
        x = mine(xp, tame)
        for casting in ("no", "equiv", "safe", "same_kind", "unsafe", "x"):
            yield (target, casting), attempt(x.astype, target, casting=casting)
        r = x.astype(target, copy=False)
        yield (target, "copy=False"), (r, r is x)
    for target in (*samples.OTHERS, "nonsense", None, float, int, object, "U", "M8"):
        yield target, attempt(x.astype, target)


@numpy_parity(native=0.68)
def test_astype_invalid_values(xp: Any, isa: str) -> Iterator[Any]:
    """NaN, infinities and values out of range at every position: NumPy's very bits and warnings."""
    for source, target in itertools.product(("float32", "float64"), samples.DTYPES):
        for n, bad in itertools.product((1, 4, 9, 16, 33), samples.special(source)):
            for position in {0, n // 2, n - 1}:
                a = samples.benign(source, n, samples.generator(n))
                a[position] = bad
                x = mine(xp, a)
                yield (source, target, bad, n, position), x.astype(target)
                if position == 0:
                    with numpy.errstate(all="raise"):
                        result = attempt(x.astype, target)
                    yield (source, target, bad, n, "raise"), result


@pytest.mark.parametrize("dtype", samples.DTYPES)
@numpy_parity(native=0.45, of=("copy", "fill"))
def test_copy_and_fill(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("copy", dtype)
    for n in (0, 1, 7, 16, 33, 64, 100, 1000):
        v = samples.mixed(dtype, n, rng)
        for label, layout in {**samples.LAYOUTS, **samples.SHAPED}.items():
            a = layout(v)
            for order in (None, "C", "F", "A", "K"):
                keywords = {} if order is None else {"order": order}
                yield (n, label, order), mine(xp, a).copy(**keywords)
                yield (n, label, order, "function"), xp.copy(mine(xp, a), **keywords)
            if not a.flags.writeable:
                continue
            for value in (0, 1, True, 7.0, numpy.float64(3), numpy.int8(2)):
                (x,) = clones(xp, a)
                yield (n, label, value), (attempt(x.fill, value), x)
    a = samples.tame(dtype, 10, rng)
    for value in (
        *(-1, 300, 2.5, 1e39, 10**30, 2j, None, "x", "3", [1], [1, 2], numpy.array(4), numpy.array([5])),
        *(float("nan"), -0.0, b"1"),
    ):
        (x,) = clones(xp, a)
        yield ("fill", value), (attempt(x.fill, value), x)


@numpy_parity(native=0.5)
def test_fill_of_read_only(xp: Any) -> Any:
    x = xp.ones(3)
    x.flags.writeable = False
    return attempt(x.fill, 2), x, [attempt(xp.ones(3).fill, *arguments) for arguments in ((), (1, 2))]


@pytest.mark.parametrize("source", samples.DTYPES)
@numpy_parity(native=lambda source: 0.4 if source[0] in "fc" else 0.58)
def test_copyto_and_assignment(xp: Any, source: str, isa: str) -> Iterator[Any]:
    """Values of one dtype into an array of another, broadcast, in any layout."""
    v = samples.mixed(source, 24, samples.generator("copyto", source))
    for target in samples.DTYPES:
        for label, layout in samples.LAYOUTS.items():
            if label == "read-only":
                continue
            out = layout(numpy.zeros(24, target))
            x, y = clones(xp, out, layout(v))
            x[...] = y
            x[:5] = y[5:10]
            yield (target, label), (attempt(operator.setitem, x, 1, y[2]), x)
            x, y = clones(xp, out, layout(v))
            xp.copyto(x, y, casting="unsafe")
            yield (target, label, "copyto"), x.copy()
            done = attempt(xp.copyto, x, y, where=mine(xp, numpy.arange(24) % 3 == 0))
            yield (target, label, "where"), (done, x)


def test_a_big_block_comes_back() -> None:
    """zeros of a large size is cheap, and zero."""
    a = raptors.zeros(20_000_000)
    assert a[::4096].sum() == 0
    a[:] = 1
    del a
    assert not raptors.zeros(20_000_000)[::1000].any()
    same_as_numpy(lambda xp: xp.zeros((2**31, 2**31, 2**31)))
    same_as_numpy(lambda xp: xp.zeros((0, 2**40)).shape)


def test_sizes() -> None:
    for shape in ((), (3,), (2, 3, 4)):
        assert sys.getsizeof(raptors.ones(shape)) == sys.getsizeof(numpy.ones(shape))
        assert sys.getsizeof(raptors.ones((9, 9))[1:]) == sys.getsizeof(numpy.ones((9, 9))[1:])


@pytest.mark.skipif(DISABLED, reason="RAPTORS_DISABLE is set")
def test_creation_is_native() -> None:
    with counted() as count:
        a = raptors.empty((3, 4)), raptors.zeros(5), raptors.ones(5, "i4"), raptors.zeros((2, 2), dtype=float)
        b = a[0].copy(), a[1].astype("f4"), raptors.asarray(a[1])
        a[1].fill(3)
        assert b[2] is a[1]
    for name in ("empty", "zeros", "ones", "copy", "astype", "fill"):
        count.of(name).require()


def test_rules() -> None:
    """The comparison itself sees what it has to see."""
    a = numpy.array([1.0, -0.0, numpy.nan])
    different = [
        lambda xp: numpy.array(1.0) if xp is numpy else raptors.array(2.0),
        lambda xp: xp.ones(3 if xp is numpy else 4),
        lambda xp: xp.ones(3, "f8" if xp is numpy else "f4"),
        lambda xp: numpy.ones(3),
        lambda xp: mine(xp, a) * (1 if xp is numpy else -1),
        lambda xp: xp.ones(3) if xp is numpy else xp.ones(6)[::2],
        lambda xp: xp.float64(1) if xp is numpy else xp.asarray(1.0),
        lambda xp: 1 if xp is numpy else 1.0,
        lambda xp: [1] if xp is numpy else (1,),
        lambda xp: 1 / (xp is numpy),
        lambda xp: mine(xp, a) / 0 if xp is numpy else numpy.divide(1, numpy.ones(3)).view(raptors.ndarray),
        lambda xp: xp.ones((2, 3), order="F" if xp is numpy else "C"),
        lambda xp: {}["x"] if xp is numpy else {}["y"],
        lambda xp: xp.ones(3).view() if xp is numpy else xp.ones(3),
    ]
    for body in different:
        assert mismatch(body, EXACT) is not None, body.__code__.co_names
    same_as_numpy(lambda xp: [mine(xp, a), xp.float64("nan"), {"x": (1, None)}, mine(xp, a) / 0])
