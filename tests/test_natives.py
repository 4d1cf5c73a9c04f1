"""Functions that make, join and reshape arrays, in every form of their arguments, against NumPy."""

from __future__ import annotations

import array
import itertools
import mmap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, NUMPY, close, counted, rules_on
from parity import attempt, numpy_parity

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


#: The native share of the calls of each function below: the other forms raise, or NumPy has to judge them.
SHARES = {
    **{"empty_like": 0.52, "zeros_like": 0.52, "ones_like": 0.52, "full_like": 0.15},
    **{"ravel": 0.34, "squeeze": 0.24, "expand_dims": 0.25, "swapaxes": 0.44, "transpose": 0.55},
    **{
        "broadcast_to": 0.18,
        "concatenate": 0.21,
        "stack": 0.21,
        "vstack": 0.15,
        "hstack": 0.12,
        "concat": 0.21,
    },
}


def share_of(function: str) -> float:
    return SHARES[function]


def typed(dtype: Any) -> dict[str, Any]:
    return {} if dtype is None else {"dtype": dtype}


@pytest.mark.parametrize("function", ["array", "asarray", "asanyarray", "ascontiguousarray"])
@numpy_parity(native=0.23, of=lambda function: function)
def test_from_lists(xp: Any, function: str, isa: str) -> Iterator[Any]:
    for values, dtype in itertools.product(LISTS, DTYPES):
        yield (values, dtype), attempt(getattr(xp, function), values, **typed(dtype))


@numpy_parity(native=0.37, of="array")
def test_array_keywords(xp: Any) -> Iterator[Any]:
    keywords: list[dict[str, Any]] = [
        *({"copy": value} for value in (False, None, True, 3)),
        *({"order": value} for value in "CFAK"),
        *({"ndmin": value} for value in (0, 1, 2, 5)),
        *({"subok": True}, {"dtype": "i4", "copy": None}, {"dtype": "f4", "order": "C"}, {"nonsense": 1}),
    ]
    for (i, a), given in itertools.product(enumerate([*arrays(xp), *LISTS]), keywords):
        yield (i, given), attempt(xp.array, a, **given)


@pytest.mark.parametrize("function", ["array", "asarray", "asanyarray", "ascontiguousarray"])
@numpy_parity(native=0.62, of=lambda function: function)
def test_from_arrays(xp: Any, function: str, isa: str) -> Iterator[Any]:
    for (i, a), dtype in itertools.product(
        enumerate(arrays(xp)), (None, "f8", "f4", "i4", "u4", "?", complex)
    ):
        yield (i, dtype), attempt(getattr(xp, function), a, **typed(dtype))


@pytest.mark.parametrize("function", ["empty_like", "zeros_like", "ones_like", "full_like"])
@numpy_parity(native=share_of, of=lambda function: function)
def test_like(xp: Any, function: str, isa: str) -> Iterator[Any]:
    keywords: list[dict[str, Any]] = [
        *({}, {"dtype": "i4"}, {"dtype": None}, {"order": "C"}, {"order": "F"}, {"order": "A"}),
        *({"order": "K"}, {"subok": False}, {"shape": (2,)}, {"nonsense": 1}),
    ]
    fills = [(fill,) for fill in SCALARS] if function == "full_like" else [()]
    for (i, a), given, fill in itertools.product(enumerate(arrays(xp)), keywords, fills):
        out = attempt(getattr(xp, function), a, *fill, **given)
        if function == "empty_like" and isinstance(out, numpy.ndarray):
            out = (out.shape, out.strides, out.dtype, out.flags.num)
        yield (i, given, fill), out


@numpy_parity(native=0.11, of=("full", "eye", "identity"))
def test_full_eye_and_identity(xp: Any) -> Iterator[Any]:
    shapes: list[Any] = [3, (2, 3), [2], (), 0, (2, 0), -1, (2, -1), 2.0, (2**40, 2**40), None]
    for shape, value, dtype in itertools.product(shapes, SCALARS, (None, "f4", "u1", int, "?", object)):
        yield ("full", shape, value, dtype), attempt(xp.full, shape, value, dtype=dtype)
    for rows, columns, k, dtype in itertools.product(
        (0, 1, 3, -1, 2.0, True), (None, 4, 0), (0, 1, -2, 3, -9, 9, 1.0), (float, "i4", "?", object)
    ):
        yield ("eye", rows, columns, k, dtype), attempt(xp.eye, rows, columns, k, dtype=dtype)
    for n, dtype in itertools.product((0, 3, -1, 2.0, None), (None, "i4", object)):
        yield ("identity", n, dtype), attempt(xp.identity, n, dtype=dtype)
    yield "order", (xp.eye(3, 2, order="F"), xp.full((2, 3), 1.0, order="F"))


RANGES: list[tuple[Any, ...]] = [
    *((5,), (0,), (-3,), (2, 9), (2, 9, 2), (9, 2, -3), (5.0,), (0, 1, 0.1), (0.5, 2), (1, 2, 0)),
    *((1.0, 2.0, 0.0), (0, 5, 2.5), (True,), (numpy.int64(4),), (2**62, 2**62 + 3), (2**53, 2**53 + 3)),
    *((0, 1e-320, 1e-321), (NAN,), (INF,), (1e308, -1e308, -1e308), (), (1, 2, 3, 4), (0.1, 0.7, 0.2)),
    *((1, 10, 3.3), (0, -1), (3, 3), (1e17, 1e17 + 100, 7), (-0.0, 3), (0, 70_000), (0.0, 7_000.0, 0.1)),
    *((-3, 200_000, 3), (None,), (1, None), ("a",), (numpy.float32(3),), (1e-300, 2e-300, 1e-301)),
]


@numpy_parity(native=0.41, of="arange")
def test_arange(xp: Any, isa: str) -> Iterator[Any]:
    for given, dtype in itertools.product(RANGES, DTYPES):
        yield (given, dtype), attempt(xp.arange, *given, **typed(dtype))
    yield "start, stop", xp.arange(start=1, stop=5)
    yield "step", attempt(xp.arange, 5, step=2)
    rng = samples.generator("arange")
    for _ in range(300):
        start, step = (float(x) for x in rng.normal(size=2) * 10.0 ** rng.integers(-3, 4))
        n = int(rng.integers(0, 300))
        yield (start, step, n), xp.arange(start, start + n * step, step)


@numpy_parity(native=0.15, of="linspace")
def test_linspace(xp: Any, isa: str) -> Iterator[Any]:
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
        yield (start, stop, given), attempt(xp.linspace, start, stop, **given)


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
@numpy_parity(native=share_of, of=lambda function: (function, "flatten"))
def test_shaping(xp: Any, function: str) -> Iterator[Any]:
    for (i, a), given in itertools.product(enumerate(arrays(xp)), SHAPING[function]):
        yield (i, given), attempt(getattr(xp, function), a, *given)
        if hasattr(numpy.ndarray, function):
            yield (i, given, "method"), attempt(getattr(a, function), *given), rules_on(a)
    if function == "ravel":
        for (i, a), order in itertools.product(enumerate(arrays(xp)), "CFAK"):
            yield ("flatten", i, order), a.flatten(order=order), rules_on(a)


@numpy_parity(native=0.9)
def test_views_share_memory(xp: Any) -> Iterator[Any]:
    """Where NumPy gives a view, writing through it reaches the array, and its base is that array."""
    for i, make in enumerate(
        (
            lambda a: a.ravel(),
            lambda a: a.squeeze(),
            lambda a: xp.expand_dims(a, 1),
            lambda a: a.swapaxes(0, 1),
            lambda a: xp.asarray(a),
            lambda a: xp.broadcast_to(a, (2, *a.shape)),
        )
    ):
        a = xp.zeros((2, 1, 3))
        view = make(a)
        if view.flags.writeable:
            view[...] = 1.0
        yield i, (a, view.base is a, view.flags.owndata, view.flags.writeable)


@pytest.mark.parametrize("function", ["concatenate", "stack", "vstack", "hstack", "concat"])
@numpy_parity(native=share_of, of=lambda function: function.replace("concatenate", "concat"))
def test_joining(xp: Any, function: str, isa: str) -> Iterator[Any]:
    f = getattr(xp, function)
    for (i, a), (j, b) in itertools.product(enumerate(arrays(xp)), repeat=2):
        yield (i, j), attempt(f, (a, b))
    for i, a in enumerate(arrays(xp)):
        yield (i, "three"), attempt(f, [a, a[:1] if a.ndim and function != "stack" else a, a])
        if function in ("vstack", "hstack"):
            continue
        for axis in (0, 1, -1, 2, 7, -7, None, 1.0):
            yield (i, axis), attempt(f, [a] * 2, axis=axis)
            yield (i, axis, "position"), attempt(f, [a] * 2, axis)
    for values in ((), [], [[1, 2], [3]], [1, 2], 5, "ab", [[1.0, 2.0], [3.0, 4.0]], None):
        yield values, attempt(f, values)
    yield "many", f([xp.full(3, float(i)) for i in range(100)])
    yield "views", f(list(xp.arange(12.0).reshape(4, 3)))
    yield "out", attempt(f, (xp.ones(2), xp.ones(2)), out=xp.ones(4))
    yield "dtype", attempt(f, (xp.ones(2), xp.ones(2)), dtype="f4")


@numpy_parity(native=0.02, of="array")
def test_array_of_arrays(xp: Any, isa: str) -> Iterator[Any]:
    for (i, a), (j, b), dtype in itertools.product(
        enumerate(arrays(xp)), enumerate(arrays(xp)), (None, "f4")
    ):
        yield (i, j, dtype), attempt(xp.array, [a, b], dtype=dtype)


@pytest.mark.parametrize("function", ["var", "std"])
@numpy_parity(native=0.32, of=lambda function: function)
def test_variance(xp: Any, function: str, isa: str) -> Iterator[Any]:
    """The steps are NumPy's; only a sum along an outer axis may be folded in another order."""
    f = getattr(xp, function)
    keywords: list[dict[str, Any]] = [
        *({}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": ()}, {"axis": 7}, {"keepdims": True}),
        *({"axis": 1, "keepdims": True}, {"ddof": 1}, {"ddof": 0.5, "axis": 0}, {"ddof": 100}, {"ddof": "x"}),
        *({"correction": 1}, {"correction": 1, "ddof": 1}, {"dtype": "f8"}, {"dtype": "f4"}, {"axis": None}),
    ]
    rng = samples.generator("variance")
    shapes: list[tuple[int, ...]] = [(8,), (100,), (3, 5), (2, 3, 4), (40, 50), (0,), (1,), ()]
    for dtype, shape in itertools.product(("f8", "f4", "i4", "u1", "?", "c16", "f2"), shapes):
        x = (rng.random(shape) * 50).astype(dtype)
        exact = dtype in ("f8", "f4") and len(shape) == 1
        rules = EXACT if exact else close(numpy.dtype("f4" if dtype in ("f4", "f2") else "f8"), 64)
        a = xp.array(x)
        b = xp.asfortranarray(x)[::-1] if x.ndim else a
        for given in keywords:
            yield (dtype, shape, given), (attempt(f, a, **given), attempt(f, b, **given)), rules
            if "correction" not in given:
                yield ("method", dtype, shape, given), attempt(getattr(a, function), **given), rules
    yield "inf", f(xp.array([1.0, INF, 2.0]))
    yield "nan", f(xp.array([1.0, NAN, 2.0]))
    if NUMPY >= (2, 4):  # older ones name another ufunc in the warning
        yield "overflow", f(xp.array([1e300, -1e300]))


@numpy_parity(native=0.51, of="ptp")
def test_ptp(xp: Any, isa: str) -> Iterator[Any]:
    keywords: list[dict[str, Any]] = [
        *({}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": 9}, {"axis": ()}, {"keepdims": True}),
        *({"axis": None, "keepdims": True}, {"axis": 1, "keepdims": True}, {"out": None}, {"nonsense": 1}),
    ]
    for (i, a), given in itertools.product(enumerate(arrays(xp)), keywords):
        yield (i, given), attempt(xp.ptp, a, **given)
    for values in ([1.0, NAN, 2.0], [INF, -INF, 0.0], [INF, INF], [1e308, -1e308], [True, False]):
        yield values, attempt(xp.ptp, xp.array(values))
        yield ("list", values), attempt(xp.ptp, values)
    for dtype in ("i1", "u1", "i8", "u8", "f4"):
        yield dtype, xp.ptp(xp.array([-128, 127, 3]).astype(dtype))
    yield "out", xp.ptp(xp.arange(6.0).reshape(2, 3), axis=0, out=xp.zeros(3))


@numpy_parity(native=0.68, of="array_equal")
def test_array_equal(xp: Any, isa: str) -> Iterator[Any]:
    for (i, a), (k, b) in itertools.product(enumerate(arrays(xp)), repeat=2):
        yield (i, k), attempt(xp.array_equal, a, b)
    pairs = (([1.0, NAN], [1.0, NAN]), ([1.0, 2.0], [1.0, 2.0]), ([1, 2], [1.0, 2.0]), ([2**63], [2.0**63]))
    for given, (x, y) in itertools.product(
        ({"equal_nan": True}, {"equal_nan": False}, {"equal_nan": 1}, {"nonsense": 1}), pairs
    ):
        yield (given, x, y), attempt(xp.array_equal, xp.array(x), xp.array(y), **given)
        yield ("lists", given, x, y), attempt(xp.array_equal, x, y, **given)
    yield "one", attempt(xp.array_equal, xp.ones(3))
    yield "keyword", xp.array_equal(a1=xp.ones(3), a2=xp.ones(3))
    yield "plain", xp.array_equal(numpy.ones(3), numpy.ones(3))


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
        if len(shape) == 1 and NUMPY > (2, 0):  # and NumPy's own bits
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


#: Those whose memory is NumPy's to read, or to refuse.
OTHER_BUFFERS = ("strided memoryview", "numpy array", "raptors array", "nothing", "no buffer", "text")


@pytest.mark.parametrize("kind", BUFFERS)
@numpy_parity(native=lambda kind: 0.0 if kind in OTHER_BUFFERS else 0.34, of="frombuffer")
def test_frombuffer(xp: Any, kind: str) -> Iterator[Any]:
    keywords: list[dict[str, Any]] = [
        *({}, {"count": 3}, {"count": 0}, {"count": 100}, {"count": -2}, {"count": 2.5}, {"nonsense": 1}),
        *({"offset": value} for value in (0, 3, 8, 64, 65, -1, 2**62)),
        *({"dtype": dtype} for dtype in ("i4", "u1", "?", "f2", ">i4", "S3", object, "i4,f4", None)),
        *({"dtype": "i2", "count": 5, "offset": 3}, {"dtype": "f8", "count": 1, "offset": 57}),
        {"like": None},
    ]
    buffer = BUFFERS[kind]()

    def read(given: dict[str, Any]) -> Any:
        out = xp.frombuffer(buffer, **given)
        return out, type(out.base) if isinstance(buffer, (bytes, array.array, mmap.mmap)) else None

    for given in keywords:
        yield given, attempt(read, given)


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
@numpy_parity(native=lambda dtype: 0.7 if dtype in (None, *DTYPES[1:9]) else 0.0, of="fromiter")
def test_fromiter(xp: Any, dtype: Any) -> Iterator[Any]:
    for (i, values), count in itertools.product(enumerate(ITERABLES), (None, -1, 0, 2, 5, -7)):
        given = {} if count is None else {"count": count}
        yield (i, count), attempt(xp.fromiter, values, dtype, **given)
        generator = (x for x in values) if isinstance(values, Iterable) else values
        yield (i, count, "generator"), attempt(xp.fromiter, generator, dtype, **given)


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
