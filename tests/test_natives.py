"""Functions that make, join and reshape arrays, in every form of their arguments, against NumPy."""

from __future__ import annotations

import array
import itertools
import mmap
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, NUMPY, Mismatches, close, counted, rules_on

import raptors

NAN, INF = float("nan"), float("inf")
DTYPES: list[Any] = [
    *(None, "f8", "f4", "i8", "i4", "i2", "u1", "u8", "?", int, float, bool),
    *("f2", "c8", object, "S3", ">f8"),
]
LISTS: list[Any] = [
    *([1, 2, 3], [1.0, 2.0], [True, False], [1, 2.5], [True, 2], [True, 2.5], (1, 2, 3), [1e400]),
    *([[1, 2], [3, 4]], [[1.0, 2.0], [3, 4]], [(1, 2), (3, 4)], [[1, 2], (3, 4)], [[[1]]]),
    *([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], [], [[]], [[], []], [1, [2]], [[1], [2, 3]], [[1, 2], 3]),
    *([2**62, 1.5], [2**63], [2**64], [-(2**63)], [2**63, -1], [2**53 + 1, 0.5], [300, -1]),
    *([1, "a"], [None], [1j], [NAN, INF, -0.0], [numpy.float64(3), 1], [numpy.float32(3)]),
    *([numpy.int64(3)], [numpy.array(1.5), 2.5], [[1.5] * 3] * 4, list(range(300))),
]
SCALARS: list[Any] = [
    *(1, 2.5, True, -1, 300, 1e300, 2**64, NAN, numpy.float32(2.5), numpy.int8(3), numpy.bool(True)),
    *("a", None, [1, 2, 3], numpy.array(3), 1j),
]


def arrays(xp: Any) -> list[Any]:
    """Layouts and dtypes, of the library."""
    a = xp.arange(24.0).reshape(2, 3, 4)
    return [
        *(a, a.T, a[:, ::2], a[::-1], xp.asfortranarray(a), a.transpose(1, 0, 2), a[:1], a[None, :, :1]),
        *(a[0], a[0, 0], a[0, :, :1], a[0, :1], xp.array(3.5), xp.zeros((0, 3)), xp.ones((1,)), a[..., :0]),
        *(a.astype("f4"), a.astype("i4"), a.astype("u1").T, a > 3, a[0].astype("i4"), a[0, 0] > 1),
        *(a.astype(">f8"), a.astype(complex), xp.array(["a", "b"]), xp.zeros(3, "i4,f4")),
    ]


COUNT = len(arrays(numpy))
EACH = range(COUNT)


def with_dtype(function: str, first: Any, dtype: Any) -> Callable[[Any], Any]:
    return lambda xp: getattr(xp, function)(first, **({} if dtype is None else {"dtype": dtype}))


@pytest.mark.parametrize("function", ["array", "asarray", "asanyarray", "ascontiguousarray"])
def test_from_lists(function: str, isa: str) -> None:
    found = Mismatches()
    for values, dtype in itertools.product(LISTS, DTYPES):
        found.check((function, values, dtype), with_dtype(function, values, dtype))
    found.done(500)


def test_array_keywords() -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({"copy": value} for value in (False, None, True, 3)),
        *({"order": value} for value in "CFAK"),
        *({"ndmin": value} for value in (0, 1, 2, 5)),
        *({"subok": True}, {"dtype": "i4", "copy": None}, {"dtype": "f4", "order": "C"}, {"nonsense": 1}),
    ]
    for i, given in itertools.product(EACH, keywords):
        found.check((i, given), lambda xp, i=i, given=given: xp.array(arrays(xp)[i], **given))
    for values, given in itertools.product(LISTS, keywords):
        found.check((values, given), lambda xp, v=values, given=given: xp.array(v, **given))
    found.done(500)


@pytest.mark.parametrize("function", ["array", "asarray", "asanyarray", "ascontiguousarray"])
def test_from_arrays(function: str, isa: str) -> None:
    found = Mismatches()
    for i, dtype in itertools.product(EACH, (None, "f8", "f4", "i4", "u4", "?", complex)):
        found.check(
            (function, i, dtype),
            lambda xp, i=i, dtype=dtype: with_dtype(function, arrays(xp)[i], dtype)(xp),
        )
    found.done(100)


@pytest.mark.parametrize("function", ["empty_like", "zeros_like", "ones_like", "full_like"])
def test_like(function: str, isa: str) -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({}, {"dtype": "i4"}, {"dtype": None}, {"order": "C"}, {"order": "F"}, {"order": "A"}),
        *({"order": "K"}, {"subok": False}, {"shape": (2,)}, {"nonsense": 1}),
    ]
    fills = SCALARS if function == "full_like" else [None]
    for i, given, fill in itertools.product(EACH, keywords, fills):

        def body(xp: Any, i: int = i, given: Any = given, fill: Any = fill) -> Any:
            more = (fill,) if function == "full_like" else ()
            out = getattr(xp, function)(arrays(xp)[i], *more, **given)
            return (out.shape, out.strides, out.dtype, out.flags.num) if function == "empty_like" else out

        found.check((function, i, given, fill), body)
    found.done(100)


def test_full_eye_and_identity() -> None:
    found = Mismatches()
    shapes: list[Any] = [3, (2, 3), [2], (), 0, (2, 0), -1, (2, -1), 2.0, (2**40, 2**40), None]
    for shape, value, dtype in itertools.product(shapes, SCALARS, (None, "f4", "u1", int, "?", object)):
        found.check(
            ("full", shape, value, dtype), lambda xp, s=shape, v=value, d=dtype: xp.full(s, v, dtype=d)
        )
    for rows, columns, k in itertools.product(
        (0, 1, 3, -1, 2.0, True), (None, 4, 0), (0, 1, -2, 3, -9, 9, 1.0)
    ):
        for dtype in (float, "i4", "?", object):
            found.check(
                ("eye", rows, columns, k, dtype),
                lambda xp, n=rows, m=columns, k=k, d=dtype: xp.eye(n, m, k, dtype=d),
            )
    for n, dtype in itertools.product((0, 3, -1, 2.0, None), (None, "i4", object)):
        found.check(("identity", n, dtype), lambda xp, n=n, d=dtype: xp.identity(n, dtype=d))
    found.check("order", lambda xp: (xp.eye(3, 2, order="F"), xp.full((2, 3), 1.0, order="F")))
    found.done(500)


RANGES: list[tuple[Any, ...]] = [
    *((5,), (0,), (-3,), (2, 9), (2, 9, 2), (9, 2, -3), (5.0,), (0, 1, 0.1), (0.5, 2), (1, 2, 0)),
    *((1.0, 2.0, 0.0), (0, 5, 2.5), (True,), (numpy.int64(4),), (2**62, 2**62 + 3), (2**53, 2**53 + 3)),
    *((0, 1e-320, 1e-321), (NAN,), (INF,), (1e308, -1e308, -1e308), (), (1, 2, 3, 4), (0.1, 0.7, 0.2)),
    *((1, 10, 3.3), (0, -1), (3, 3), (1e17, 1e17 + 100, 7), (-0.0, 3), (0, 70_000), (0.0, 7_000.0, 0.1)),
    *((-3, 200_000, 3), (None,), (1, None), ("a",), (numpy.float32(3),), (1e-300, 2e-300, 1e-301)),
]


def test_arange(isa: str) -> None:
    found = Mismatches()
    for given, dtype in itertools.product(RANGES, DTYPES):
        found.check(
            (given, dtype),
            lambda xp, g=given, d=dtype: xp.arange(*g) if d is None else xp.arange(*g, dtype=d),
        )
    found.check("start, stop", lambda xp: xp.arange(start=1, stop=5))
    found.check("step", lambda xp: xp.arange(5, step=2))
    rng = samples.generator("arange")
    for _ in range(300):
        start, step = (float(x) for x in rng.normal(size=2) * 10.0 ** rng.integers(-3, 4))
        n = int(rng.integers(0, 300))
        found.check((start, step, n), lambda xp, a=start, s=step, n=n: xp.arange(a, a + n * s, s))
    found.done(500)


def test_linspace(isa: str) -> None:
    found = Mismatches()
    ends: list[Any] = [
        *((0, 1), (0, 10.5), (1, 1), (1.0, 1.0), (5, -5), (0, 1e308), (-1e308, 1e308), (1e-310, 1e-309)),
        *((0, numpy.float64(3)), (0, numpy.float32(3)), (0, 1j), ([0, 1], 2), (NAN, 1), (0, 2**60)),
        *((numpy.int8(1), 100), (True, 2), (-0.0, 3), (None, 1), (0, 1e-300)),
    ]
    keywords: list[dict[str, Any]] = [
        *({}, {"num": 8}, {"num": 1}, {"num": 0}, {"num": -1}, {"num": 2}, {"num": 5.0}, {"num": 70_001}),
        *({"endpoint": False}, {"num": 1, "endpoint": False}, {"retstep": True}, {"dtype": "f4"}),
        *({"dtype": int}, {"axis": -1}, {"num": 7, "endpoint": False}, {"num": 3, "dtype": float}),
    ]
    for (start, stop), given in itertools.product(ends, keywords):
        found.check((start, stop, given), lambda xp, a=start, b=stop, g=given: xp.linspace(a, b, **g))
    found.done(200)


SHAPING: dict[str, list[tuple[Any, ...]]] = {
    "ravel": [(), ("C",), ("F",), ("A",), ("K",), (None,), (1,)],
    "squeeze": [(), (0,), (1,), (-1,), (5,), ((0,),), ((0, 1),), (None,), ("x",)],
    "expand_dims": [(0,), (1,), (-1,), (3,), (-5,), (9,), ((0, 2),), (1.0,)],
    "swapaxes": [(0, 1), (-1, 0), (1, 1), (0, 7), (2, 0), (0,), (1.0, 0)],
    "transpose": [(), ((1, 0),), ((2, 0, 1),), (None,), ((0, 0),)],
    "broadcast_to": [
        *(((2, 3, 4),), ((5, 2, 3, 4),), ((4,),), ((3, 4),), ((2,),), (7,), ((4, 3, 2),), ((1,),), ((),)),
        *(((2**40, 2**40, 2, 3, 4),), ((-1,),), ((2, 3, 1),), ((0, 3),), ((3, 3, 4),), ([2, 3, 4],), ()),
    ],
}


@pytest.mark.parametrize("function", SHAPING)
def test_shaping(function: str) -> None:
    found = Mismatches()
    for i, given in itertools.product(EACH, SHAPING[function]):
        found.check((i, given), lambda xp, i=i, g=given: getattr(xp, function)(arrays(xp)[i], *g))
        if hasattr(numpy.ndarray, function):
            body = lambda xp, i=i, g=given: getattr(arrays(xp)[i], function)(*g)  # noqa: E731
            found.check((i, given), body, rules_on(arrays(numpy)[i]))
    if function == "ravel":
        for i, order in itertools.product(EACH, "CFAK"):
            body = lambda xp, i=i, o=order: arrays(xp)[i].flatten(order=o)  # noqa: E731
            found.check(("flatten", i, order), body, rules_on(arrays(numpy)[i]))
    found.done(100)


def test_views_share_memory() -> None:
    """Where NumPy gives a view, writing through it reaches the array, and its base is that array."""

    def body(xp: Any) -> list[Any]:
        out = []
        for make in (
            lambda a: a.ravel(),
            lambda a: a.squeeze(),
            lambda a: xp.expand_dims(a, 1),
            lambda a: a.swapaxes(0, 1),
            lambda a: xp.asarray(a),
            lambda a: xp.broadcast_to(a, (2, *a.shape)),
        ):
            a = xp.zeros((2, 1, 3))
            view = make(a)
            if view.flags.writeable:
                view[...] = 1.0
            out.append((a, view.base is a, view.flags.owndata, view.flags.writeable))
        return out

    found = Mismatches()
    found.check("views", body)
    found.done()


@pytest.mark.parametrize("function", ["concatenate", "stack", "vstack", "hstack", "concat"])
def test_joining(function: str, isa: str) -> None:
    found = Mismatches()
    for i, j in itertools.product(EACH, EACH):
        found.check((i, j), lambda xp, i=i, j=j: getattr(xp, function)((arrays(xp)[i], arrays(xp)[j])))
    for i in EACH:

        def three(xp: Any, i: int = i) -> Any:
            a = arrays(xp)[i]
            return getattr(xp, function)([a, a[:1] if a.ndim and function != "stack" else a, a])

        found.check((i, "three"), three)
        if function in ("vstack", "hstack"):
            continue
        for axis in (0, 1, -1, 2, 7, -7, None, 1.0):
            found.check((i, axis), lambda xp, i=i, x=axis: getattr(xp, function)([arrays(xp)[i]] * 2, axis=x))
            found.check((i, axis), lambda xp, i=i, x=axis: getattr(xp, function)([arrays(xp)[i]] * 2, x))
    for values in ((), [], [[1, 2], [3]], [1, 2], 5, "ab", [[1.0, 2.0], [3.0, 4.0]], None):
        found.check(values, lambda xp, v=values: getattr(xp, function)(v))
    found.check("many", lambda xp: getattr(xp, function)([xp.full(3, float(i)) for i in range(100)]))
    found.check("views", lambda xp: getattr(xp, function)(list(xp.arange(12.0).reshape(4, 3))))
    found.check("out", lambda xp: getattr(xp, function)((xp.ones(2), xp.ones(2)), out=xp.ones(4)))
    found.check("dtype", lambda xp: getattr(xp, function)((xp.ones(2), xp.ones(2)), dtype="f4"))
    found.done(500)


def test_array_of_arrays(isa: str) -> None:
    found = Mismatches()
    for i, j, dtype in itertools.product(EACH, EACH, (None, "f4")):
        found.check(
            (i, j, dtype),
            lambda xp, i=i, j=j, d=dtype: xp.array([arrays(xp)[i], arrays(xp)[j]], dtype=d),
        )
    found.done(500)


@pytest.mark.parametrize("function", ["var", "std"])
def test_variance(function: str, isa: str) -> None:
    """The steps are NumPy's; only a sum along an outer axis may be folded in another order."""
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": ()}, {"axis": 7}, {"keepdims": True}),
        *({"axis": 1, "keepdims": True}, {"ddof": 1}, {"ddof": 0.5, "axis": 0}, {"ddof": 100}, {"ddof": "x"}),
        *({"correction": 1}, {"correction": 1, "ddof": 1}, {"dtype": "f8"}, {"dtype": "f4"}, {"axis": None}),
    ]
    rng = samples.generator("variance")
    for dtype in ("f8", "f4", "i4", "u1", "?", "c16", "f2"):
        for shape in ((8,), (100,), (3, 5), (2, 3, 4), (40, 50), (0,), (1,), ()):
            x = (rng.random(shape) * 50).astype(dtype)
            exact = dtype in ("f8", "f4") and len(shape) == 1
            rules = EXACT if exact else close(numpy.dtype("f4" if dtype in ("f4", "f2") else "f8"), 64)
            for given in keywords:

                def body(xp: Any, x: Any = x, given: Any = given) -> Any:
                    a = xp.array(x)
                    b = xp.asfortranarray(x)[::-1] if x.ndim else a
                    return (getattr(xp, function)(a, **given), getattr(xp, function)(b, **given))

                found.check((dtype, shape, given), body, rules)
                if "correction" not in given:
                    found.check(
                        ("method", dtype, shape, given),
                        lambda xp, x=x, g=given: getattr(xp.array(x), function)(**g),
                        rules,
                    )
    found.check("inf", lambda xp: getattr(xp, function)(xp.array([1.0, INF, 2.0])))
    found.check("nan", lambda xp: getattr(xp, function)(xp.array([1.0, NAN, 2.0])))
    if NUMPY >= (2, 4):  # older ones name another ufunc in the warning
        found.check("overflow", lambda xp: getattr(xp, function)(xp.array([1e300, -1e300])))
    found.done(500)


def test_ptp(isa: str) -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": 9}, {"axis": ()}, {"keepdims": True}),
        *({"axis": None, "keepdims": True}, {"axis": 1, "keepdims": True}, {"out": None}, {"nonsense": 1}),
    ]
    for i, given in itertools.product(EACH, keywords):
        found.check((i, given), lambda xp, i=i, given=given: xp.ptp(arrays(xp)[i], **given))
    for values in ([1.0, NAN, 2.0], [INF, -INF, 0.0], [INF, INF], [1e308, -1e308], [True, False]):
        found.check(values, lambda xp, v=values: xp.ptp(xp.array(v)))
        found.check(("list", values), lambda xp, v=values: xp.ptp(v))
    for dtype in ("i1", "u1", "i8", "u8", "f4"):
        found.check(dtype, lambda xp, d=dtype: xp.ptp(xp.array([-128, 127, 3]).astype(d)))
    found.check("out", lambda xp: xp.ptp(xp.arange(6.0).reshape(2, 3), axis=0, out=xp.zeros(3)))
    found.done(200)


def test_array_equal(isa: str) -> None:
    found = Mismatches()
    for i, k in itertools.product(EACH, EACH):
        found.check((i, k), lambda xp, i=i, k=k: xp.array_equal(arrays(xp)[i], arrays(xp)[k]))
    for given in ({"equal_nan": True}, {"equal_nan": False}, {"equal_nan": 1}, {"nonsense": 1}):
        for a, b in (
            ([1.0, NAN], [1.0, NAN]),
            ([1.0, 2.0], [1.0, 2.0]),
            ([1, 2], [1.0, 2.0]),
            ([2**63], [2.0**63]),
        ):
            found.check(
                (given, a, b), lambda xp, a=a, b=b, g=given: xp.array_equal(xp.array(a), xp.array(b), **g)
            )
            found.check(("lists", given, a, b), lambda xp, a=a, b=b, g=given: xp.array_equal(a, b, **g))
    found.check("one", lambda xp: xp.array_equal(xp.ones(3)))
    found.check("keyword", lambda xp: xp.array_equal(a1=xp.ones(3), a2=xp.ones(3)))
    found.check("plain", lambda xp: xp.array_equal(numpy.ones(3), numpy.ones(3)))
    assert raptors.array_equal(raptors.ones(3), raptors.ones(3)) is True
    assert raptors.array_equal(raptors.ones(3), raptors.ones(4)) is False
    found.done(400)


def test_variance_with_mean() -> None:
    """Given the mean that mean() gives, the result is the same to the last bit."""
    a = raptors.asarray(samples.generator("mean").normal(size=(10, 20, 5)))
    for axis in (0, 1, 2, None):
        mean = raptors.mean(a, axis=axis, keepdims=True)
        assert numpy.array_equal(raptors.std(a, axis=axis), raptors.std(a, axis=axis, mean=mean))
        assert numpy.array_equal(raptors.var(a, axis=axis), a.var(axis=axis, mean=mean))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_variance_is_its_steps(dtype: str, isa: str) -> None:
    """To the last bit what differences, squares and their sum give, whatever is skipped in between."""
    rng = samples.generator("steps")
    shapes = [
        (7,),
        (129,),
        (4096,),
        (300_001,),
        (3, 5),
        (1, 900),
        (900, 1),
        (5000, 3),
        (400, 300),
        (40, 9, 30),
    ]
    for shape in shapes:
        whole = raptors.asarray((rng.normal(size=shape) * 3 + 100).astype(dtype))
        for a in (whole, whole.T, whole[::-1], whole[::2]):
            for axis in (None, *range(-1, a.ndim)):
                mean = a.mean(axis=axis, keepdims=True)
                squares = raptors.square(a - mean)
                n = squares.size / squares.sum(axis=axis).size
                wanted = squares.sum(axis=axis) / numpy.dtype(dtype).type(n)
                with counted() as count:
                    got = a.var(axis=axis)
                assert numpy.array_equal(got, wanted), (shape, a.strides, axis)
                count.of("var").require()
                if a.flags.c_contiguous:  # in one pass, without the steps
                    assert not count.of("subtract", "square").total, (shape, axis)
        if len(shape) == 1:  # and NumPy's own bits
            assert whole.std() == numpy.std(numpy.asarray(whole).view(numpy.ndarray)), shape


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: bytes(range(64)),
    "bytearray": lambda: bytearray(range(64)),
    "memoryview": lambda: memoryview(bytearray(64)),
    "memoryview of items": lambda: memoryview(array.array("d", [1.0, 2.0])),
    "strided memoryview": lambda: memoryview(bytearray(64))[::2],
    "array.array": lambda: array.array("d", [1.0, 2.0]),
    "mmap": lambda: mmap.mmap(-1, 64),
    "numpy array": lambda: numpy.arange(8.0),
    "raptors array": lambda: raptors.arange(8.0),
    "nothing": lambda: b"",
    "no buffer": lambda: [1.0, 2.0],
    "text": lambda: "abcdefgh",
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_frombuffer(kind: str) -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({}, {"count": 3}, {"count": 0}, {"count": 100}, {"count": -2}, {"count": 2.5}, {"nonsense": 1}),
        *({"offset": value} for value in (0, 3, 8, 64, 65, -1, 2**62)),
        *({"dtype": dtype} for dtype in ("i4", "u1", "?", "f2", ">i4", "S3", object, "i4,f4", None)),
        *({"dtype": "i2", "count": 5, "offset": 3}, {"dtype": "f8", "count": 1, "offset": 57}),
        {"like": None},
    ]
    buffer = BUFFERS[kind]()

    def body(xp: Any, given: dict[str, Any]) -> Any:
        out = xp.frombuffer(buffer, **given)
        f = out.flags
        base = type(out.base) if isinstance(buffer, (bytes, array.array, mmap.mmap)) else None
        return (out, f.writeable, f.aligned, f.owndata, base)

    for given in keywords:
        found.check((kind, given), lambda xp, given=given: body(xp, given))
    found.done()


def test_frombuffer_holds_the_buffer() -> None:
    memory = bytearray(range(16))
    a = raptors.frombuffer(memory, "u1")
    with pytest.raises(BufferError):
        memory.extend(b"more")
    a[3] = 200
    assert memory[3] == 200
    b = a[4:]
    del a
    assert b.tolist() == list(range(4, 16))
    del b
    memory.extend(b"more")
    file = mmap.mmap(-1, 4096)
    c = raptors.frombuffer(file)
    with pytest.raises(BufferError):
        file.close()
    del c
    file.close()
    with pytest.raises(ValueError, match="mmap closed"):
        raptors.frombuffer(file)


class Hinted:
    """An iterable that says any length of itself."""

    def __init__(self, hint: int, items: list[Any]) -> None:
        self.hint, self.items = hint, items

    def __length_hint__(self) -> int:
        return self.hint

    def __iter__(self) -> Any:
        return iter(self.items)


ITERABLES: list[Any] = [
    *([1, 2, 3], range(5), [True, False], [1.5, NAN], [1, "a"], [300, -1], [], 5, [2**70], [None], [[1, 2]]),
    *([numpy.float32(1.5), numpy.int8(3)], [numpy.float64(1.5)], [1j], ["3", "4"], {"a": 1}, "123", b"12"),
    *(Hinted(100, [1, 2]), Hinted(0, [1, 2, 3] * 10), Hinted(-1, [1]), Hinted(2**62, [1]), Hinted(2**62, [])),
    *([numpy.array(2.5)], [raptors.array(2)], [raptors.ones(2)], numpy.arange(3), raptors.arange(3.0)),
]


@pytest.mark.parametrize(
    "dtype", [None, "f8", "f4", "f2", "i8", "i4", "u1", "?", "c16", "O", "S2", ">f8", "i4,f4"], ids=str
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_fromiter(dtype: Any) -> None:
    found = Mismatches()
    for values, count in itertools.product(ITERABLES, (None, -1, 0, 2, 5, -7)):
        given = {} if count is None else {"count": count}
        found.check((values, count), lambda xp, v=values, g=given: xp.fromiter(v, dtype, **g))
        found.check((values, count), lambda xp, v=values, g=given: xp.fromiter((x for x in v), dtype, **g))
    found.done(200)


def test_fromiter_takes_no_more_than_asked() -> None:
    numbers = itertools.count()
    assert raptors.fromiter(numbers, float, count=5).tolist() == [0, 1, 2, 3, 4]
    assert next(numbers) == 5

    def fails() -> Any:
        yield 1.0
        raise KeyError("in the iterator")

    with pytest.raises(KeyError, match="in the iterator"):
        raptors.fromiter(fails(), float)
    assert raptors.fromiter(range(100_000), "i8").tolist() == list(range(100_000))
    assert raptors.fromiter(iter(range(100_000)), "i8").flags.owndata


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_common_forms_are_native() -> None:
    a, b, m = raptors.arange(8.0), raptors.ones(8), raptors.ones((4, 5))
    calls: dict[str, Callable[[], Any]] = {
        "array": lambda: raptors.array([1.0, 2.0, 3.0]),
        "asarray": lambda: raptors.asarray([[1, 2], [3, 4]]),
        "ascontiguousarray": lambda: raptors.ascontiguousarray(m.T),
        "arange": lambda: raptors.arange(8),
        "linspace": lambda: raptors.linspace(0, 1, 8),
        "frombuffer": lambda: raptors.frombuffer(bytes(64)),
        "fromiter": lambda: raptors.fromiter([1, 2, 3], float),
        "full": lambda: raptors.full((2, 3), 2.5),
        "eye": lambda: raptors.eye(3),
        "identity": lambda: raptors.identity(3),
        "empty_like": lambda: raptors.empty_like(m.T),
        "zeros_like": lambda: raptors.zeros_like(a),
        "ones_like": lambda: raptors.ones_like(a),
        "full_like": lambda: raptors.full_like(a, 3),
        "concat": lambda: raptors.concatenate((a, b)),
        "stack": lambda: raptors.stack([a, b], axis=1),
        "vstack": lambda: raptors.vstack((a, b)),
        "hstack": lambda: raptors.hstack((m, m.T.copy().T)),
        "ravel": lambda: m.T.ravel(),
        "flatten": lambda: m.flatten(),
        "squeeze": lambda: raptors.squeeze(m[:1]),
        "swapaxes": lambda: m.swapaxes(0, 1),
        "expand_dims": lambda: raptors.expand_dims(a, 0),
        "broadcast_to": lambda: raptors.broadcast_to(a, (3, 8)),
        "ptp": lambda: raptors.ptp(m),
        "array_equal": lambda: raptors.array_equal(a, b),
        "var": lambda: m.var(axis=0),
        "std": lambda: raptors.std(a),
    }
    for name, call in calls.items():
        with counted() as count:
            call()
        assert count.total == count.native > 0, name
        count.of(name).require(1.0)
