"""What only moves elements goes by their size: every dtype whose elements are bytes, every layout."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, mine
from parity import attempt, numpy_parity

import raptors
from raptors import _raptors_core as core

#: Of every size with a kernel of its own, of others, with parts that are padding, of the other byte order.
DTYPES: dict[str, Any] = {
    **{
        name: numpy.dtype(name)
        for name in ("M8[ns]", "m8[s]", "g", "G", "f2", "c16", "?", ">f8", ">i4", ">c16")
    },
    **{
        name: numpy.dtype(name)
        for name in ("S1", "S3", "S5", "S16", "S20", "U1", "U2", "U3", ">U2", "V7", "V40")
    },
    "packed": numpy.dtype([("a", "i4"), ("b", "f8")]),
    "padded": numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
    "texts": numpy.dtype([("a", "S3"), ("b", "U1")]),
    "array": numpy.dtype([("x", "f4", (2, 3)), ("y", ">i2")]),
}
SHAPES = ((6,), (4, 6), (1, 6), (0, 3), (70, 33), (2, 3, 4), (3, 1, 5))


def shapes_of(dtype: str) -> tuple[tuple[int, ...], ...]:
    """Records of arrays are compared slowly."""
    return SHAPES if dtype != "array" else ((6,), (2, 3), (0, 3), (2, 3, 2))


def elements(dtype: Any, shape: tuple[int, ...]) -> Any:
    rng = samples.generator(f"moves {dtype} {shape}")
    n = math.prod(shape)
    if dtype.kind == "U":
        return numpy.array([str(i) for i in range(n)], dtype).reshape(shape)
    if dtype.kind in "fc":
        return rng.normal(size=n).astype(dtype).reshape(shape)
    a = numpy.frombuffer(rng.integers(0, 2, n * dtype.itemsize, "u1").tobytes(), dtype).reshape(shape).copy()
    if dtype.names:  # padding is anything
        b = numpy.zeros(shape, dtype)
        for name in dtype.names:
            b[name] = b[name] if "U" in str(dtype[name]) else a[name]
        return b
    return a


def layouts(a: Any) -> Iterator[tuple[str, Any]]:
    yield "as it is", a
    yield "transposed", a.T
    yield "backwards", a[::-1]
    yield "every second", a[..., ::2]
    yield "one", a[..., :1]
    yield "repeated", numpy.broadcast_to(a[None], (2, *a.shape)).transpose()
    raw = numpy.zeros(a.nbytes + 1, "u1")
    unaligned = raw[1:].view(a.dtype).reshape(a.shape)
    unaligned[...] = a
    yield "unaligned", unaligned


def cases(dtype: str) -> Iterator[tuple[str, Any]]:
    for shape in shapes_of(dtype):
        for layout, a in layouts(elements(DTYPES[dtype], shape)):
            yield f"{shape} {layout}", a


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity()
def test_copies(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for label, value in cases(dtype):
        a = mine(xp, value)
        yield (f"copy {label}", a.copy())
        yield (f"copy in order K {label}", xp.copy(a))
        yield (f"array {label}", xp.array(a))
        yield (f"flatten {label}", a.flatten())
        if a.size:
            yield (f"ravel {label}", a.ravel())
            yield (f"ascontiguousarray {label}", xp.ascontiguousarray(a))


@pytest.mark.parametrize("dtype", ["?", "i2", "f4", "M8[s]", "c16", "V3", "S20"])
@numpy_parity()
def test_transposed_of_every_shape(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    """Tiles and what they leave over, few lines, lines of few elements, axes that run backwards."""
    lengths = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65)
    shapes = [(r, c) for r in lengths for c in lengths]
    shapes += [(r, c) for few in (2, 3, 4, 7, 15) for r, c in ((few, 1100), (1100, few))]
    shapes += [(40, 256), (40, 1024), (1100, 40)]
    for shape in shapes:
        a = mine(xp, elements(numpy.dtype(dtype), shape))
        yield (shape, "as it is"), a.T.copy()
        yield (shape, "rotated"), a.T[::-1].copy()
        yield (shape, "mirrored"), a.T[:, ::-1].copy()
        yield (shape, "in Fortran order"), a[::-1].copy(order="F")


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "padded"])
@numpy_parity(
    native=lambda dtype: 0.0 if ">" in dtype or dtype == "array" else 1.0, reason="results are native"
)
def test_joins(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for label, value in cases(dtype):
        a = mine(xp, value)
        yield (f"concatenate {label}", xp.concatenate([a, a]))
        yield (f"last axis {label}", xp.concatenate([a, a[..., :1]], axis=-1))
        yield (f"stack {label}", xp.stack([a, a], axis=-1))


@numpy_parity(native=0.0, reason="the result has no padding")
def test_joins_of_padded_records(xp: Any) -> Iterator[Any]:
    a = mine(xp, elements(DTYPES["padded"], (3, 4)))
    yield ("concatenate", xp.concatenate([a, a]))
    yield ("with others", attempt(xp.concatenate, [a, mine(xp, numpy.zeros((1, 4)))]))


@numpy_parity(native=0.0, reason="mixtures are NumPy's")
def test_joins_of_several_dtypes(xp: Any) -> Iterator[Any]:
    arrays = [mine(xp, elements(dtype, (2, 3))) for dtype in DTYPES.values()]
    for i, a in enumerate(arrays):
        for j, b in enumerate(arrays):
            yield ((i, j), attempt(xp.concatenate, [a, b]))


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity()
def test_selection_by_a_mask(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for shape in shapes_of(dtype):
        a = mine(xp, elements(DTYPES[dtype], shape))
        mask = mine(xp, samples.generator(f"{dtype} {shape}").random(shape) < 0.5)
        yield (shape, a[mask])
        yield (f"{shape}: none", a[xp.zeros(shape, bool)])


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "padded"])
@numpy_parity(of="__setitem__")
def test_assignment_of_arrays_by_a_mask(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for shape in shapes_of(dtype):
        a = mine(xp, elements(DTYPES[dtype], shape))
        mask = mine(xp, samples.generator(f"{dtype} {shape}").random(shape) < 0.5)
        values = a[mask]
        to = xp.zeros(shape, DTYPES[dtype])
        to[mask] = values
        yield (shape, to.copy())
        if values.size:
            to[mask] = values[:1].copy()
            yield (f"{shape}: one", to)


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "padded"])
@numpy_parity(of="__setitem__")
def test_assignment_of_arrays(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for label, value in cases(dtype):
        a = mine(xp, value)
        to = xp.empty(a.shape, a.dtype)
        to[...] = a
        yield (label, to)
        if a.ndim > 1:
            to[:] = a[-1:] if a.shape[0] else a
            yield (f"{label}: a row", to)


@numpy_parity(of="__setitem__", native=0.0, reason="what lies between the fields is not written")
def test_assignment_keeps_what_lies_between_fields(xp: Any) -> Iterator[Any]:
    whole = numpy.dtype([("a", "i4"), ("b", "f8"), ("c", "S2")])
    nested = numpy.dtype([("a", whole[["a", "c"]]), ("b", "i2")])
    for dtype in (
        numpy.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 8}),
        DTYPES["padded"],
        whole[["a", "c"]],
        whole[["b"]],
        nested,
        numpy.dtype([("x", nested, 2)]),
        numpy.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 0], "itemsize": 8}),
    ):
        n = 5
        under = mine(xp, numpy.zeros(n * dtype.itemsize, "u1"))
        over = mine(xp, numpy.full(n * dtype.itemsize, 255, "u1"))
        under.view(dtype)[...] = over.view(dtype)
        yield dtype, under.copy()
    a, b = (mine(xp, numpy.full(4, value, whole)) for value in (1, 2))
    a[["a", "c"]][:] = b[["a", "c"]]
    yield "fields", a
    a[1:][["c", "a"]] = b[1:][["c", "a"]]
    yield "fields in another order", a


@numpy_parity(of="__setitem__", native=0.25, reason="overlapping and unequal dtypes are NumPy's")
def test_assignment_declines(xp: Any) -> Iterator[Any]:
    a = mine(xp, elements(DTYPES["U3"], (8,)))
    a[1:] = a[:-1]
    yield ("overlap", a)
    a[::2] = a[1::2]
    yield ("interleaved", a)
    days, seconds = mine(xp, numpy.arange(4).astype("M8[D]")), mine(xp, numpy.arange(4).astype("M8[s]"))
    seconds[:] = days
    yield ("days to seconds", seconds)
    yield ("shapes", attempt(a.__setitem__, slice(None), a[:3]))
    read_only = mine(xp, numpy.broadcast_to(numpy.array("a", "U3"), (8,)))
    yield ("read-only", attempt(read_only.__setitem__, slice(None), a))
    seconds[::-1] = mine(xp, numpy.arange(4).astype("M8[s]"))
    yield ("backwards", seconds)
    texts = mine(xp, numpy.array(["a", "b"], "U1"))
    a[:2] = texts
    yield ("longer texts", a)


@numpy_parity(native=0.0, reason="objects and StringDType own memory: NumPy's")
def test_what_cannot_be_moved(xp: Any) -> Iterator[Any]:
    objects = mine(xp, numpy.array([[1, None, "a"], [(), [], 2.5]], object))
    texts = mine(xp, numpy.array(["a", "bc", "def" * 20], numpy.dtypes.StringDType()))
    records = mine(xp, numpy.zeros(3, [("a", "O"), ("b", "i4")]))
    for a in (objects, texts, records):
        yield (f"copy of {a.dtype}", a.copy())
        yield (f"ravel of {a.dtype}", a.T.ravel())
        yield (f"concatenate of {a.dtype}", xp.concatenate([a, a]))
        yield (f"selection of {a.dtype}", a[xp.ones(a.shape, bool)])
        to = a.copy()
        to[::-1] = a
        yield (f"assignment of {a.dtype}", to)


INDICES: dict[str, Any] = {
    "few": [2, 0, -1],
    "none": numpy.zeros(0, int),
    "one": [0],
    "matrix": [[0, 1], [-1, -2]],
    "number": 1,
    "many": samples.generator("indices").integers(-3, 3, 70),
    "strided": samples.generator("indices").integers(-3, 3, 80)[::-2],
    "Fortran": numpy.asfortranarray(samples.generator("indices").integers(-2, 2, (5, 7))),
    "int8": numpy.array([0, -1, 1], "i1"),
    "uint64": numpy.array([0, 2, 1], "u8"),
    "other order": numpy.array([0, -1, 1], ">i4"),
    "truth": [True, False],
}


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(
    of="take",
    native=lambda dtype: 0.55 if dtype == "array" else 0.74,
    reason="what is empty, out of range or not cast safely is NumPy's",
)
def test_take(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for shape in ((6,), (5, 33), (3, 4, 5)) if dtype != "array" else ((3, 2),):
        for layout, value in layouts(elements(DTYPES[dtype], shape)):
            a = mine(xp, value)
            for name, indices in INDICES.items():
                i = mine(xp, indices) if isinstance(indices, numpy.ndarray) else indices
                for axis in (None, *range(-1, a.ndim)):
                    label = f"{shape} {layout} {name} {axis}"
                    yield (label, attempt(xp.take, a, i, axis=axis))
                yield (f"{shape} {layout} {name} method", attempt(a.take, i, -1))


@numpy_parity(of="take", native=0.22, reason="errors, and forms that are not common, are NumPy's")
def test_take_of_indices_out_of_range(xp: Any, isa: str) -> Iterator[Any]:
    a = mine(xp, numpy.arange(24.0).reshape(4, 6))
    far = (4, 5, 6, 23, 24, -4, -5, -6, -7, -24, -25, 2**62, -(2**63), 2**63 - 1)
    for mode in ("raise", "wrap", "clip", "RAISE", "nonsense", None, 0):
        for axis in (None, 0, 1, 2):
            for index in far[:11] if mode == "wrap" else far:  # NumPy subtracts the length again and again
                for indices in (index, [index], [0, 1, 2, 3, index], [index] * 9):
                    yield (mode, axis, index), attempt(a.take, indices, axis, None, mode)
    for indices in (
        [1.5],
        [2**63],
        [2**64],
        ["x"],
        [None],
        [],
        [[]],
        [[1], [1, 2]],
        2**63,
        -(2**70),
        True,
        1.0,
        None,
        "x",
        a > 3,
        a,
    ):
        yield ("indices", str(indices)), attempt(xp.take, a, indices)
    for shape in ((0,), (0, 3), (3, 0)):
        for axis in (None, 0, 1):
            for indices in ([], [0], [1]):
                yield ("empty", shape, axis, indices), attempt(xp.take, xp.zeros(shape), indices, axis)
    i = mine(xp, numpy.array([0, 3]))
    yield "out", attempt(xp.take, a, i, out=xp.zeros(2))
    yield "out of another dtype", attempt(xp.take, a, i, out=xp.zeros(2, "i4"))
    yield "names", attempt(xp.take, a=a, indices=i)
    yield "keyword", attempt(xp.take, a, indices=i, mode="clip", axis=1)
    yield "none", attempt(xp.take, a)
    yield "list", attempt(xp.take, [1, 2, 3], i[:1])
    yield "without axes", attempt(xp.take, xp.array(1.5), [0, 0])
    yield "masked", attempt(xp.take, a, numpy.ma.masked_array([0, 1], [True, False]))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_take_by_threads(threads: int) -> None:
    rng = samples.generator("take by threads")
    with raptors.threads(threads):
        for shape, axis, n in (
            ((100_000,), 0, 300_000),
            ((50, 3000), 0, 400),
            ((3000, 50), 1, 400),
            ((9, 9, 9, 40), 1, 99),
        ):
            a = rng.normal(size=shape)
            i = rng.integers(-shape[axis], shape[axis], n)
            for b in (a, a.T.copy().T, a[::-1]):
                expected = numpy.take(b, i, axis)
                got = raptors.take(b.view(raptors.ndarray), i, axis)
                assert (got == expected).all()
                assert got.flags.c_contiguous
            i[n // 2] = shape[axis]
            with pytest.raises(IndexError):
                raptors.take(a.view(raptors.ndarray), i, axis)


def values_of(dtype: str) -> list[Any]:
    own = elements(DTYPES[dtype], (2,))[1]
    return [
        own,
        own.item() if dtype != "G" else own,
        numpy.array(own),
        1,
        0,
        2.5,
        "ab",
        b"ab",
        None,
        (1, 2),
        [1],
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(
    of="fill",
    native=lambda dtype: {"padded": 0.0, "?": 0.15}.get(dtype, 0.3),
    reason="a value of another kind is NumPy's",
)
def test_fill(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for shape in shapes_of(dtype):
        for layout, value in layouts(elements(DTYPES[dtype], shape)):
            if not value.flags.writeable:
                continue
            for v in values_of(dtype):
                a = mine(xp, value.copy(order="K"))
                yield (shape, layout, str(v)), attempt(a.fill, v), None
                yield (shape, layout, str(v), "after"), a
    a = mine(xp, numpy.broadcast_to(elements(DTYPES[dtype], (1,)), (3, 4)))
    yield "read-only", attempt(a.fill, 1)


def test_values_that_change_the_array_meanwhile() -> None:
    """Code that runs while indices or a value are read: an error, or a result of what is there then."""

    class Index:
        def __init__(self, act: Callable[[], None]) -> None:
            self.act = act

        def __index__(self) -> int:
            self.act()
            return 0

    for mode in ("raise", "wrap", "clip"):
        a = raptors.ones(1000)
        with contextlib.suppress(IndexError, ValueError, TypeError):
            raptors.take(a, [Index(lambda a=a: a.resize(0, refcheck=False)), 5], mode=mode)
        assert a.size in (0, 1000)

    class Text:
        def __init__(self, act: Callable[[], None]) -> None:
            self.act = act

        def __str__(self) -> str:
            self.act()
            return "ab"

    b = raptors.zeros(400, "U4")
    b.fill(Text(lambda: b.resize(2, refcheck=False)))
    assert b.tolist() == ["ab", "ab"]


@pytest.mark.skipif(DISABLED, reason="NumPy's own fill ends the process")
@pytest.mark.filterwarnings("ignore:Setting the dtype:DeprecationWarning")  # NumPy 2.5
@pytest.mark.parametrize("dtype", ["U1", "U2", "S16", "S4"])
def test_a_value_that_changes_the_dtype(dtype: str) -> None:
    class Text:
        def __str__(self) -> str:
            a.dtype = dtype
            return "ab"

    a = raptors.zeros(400, "U4")
    with pytest.raises(RuntimeError, match="changed the array's dtype"):
        a.fill(Text())
    assert not a.view("u1").any()


@pytest.mark.skipif(DISABLED, reason="nothing is native")
def test_past_the_caches() -> None:
    """Copies and results of short arrays: every place within lines and pieces."""
    before = core._stream_from()
    rng = samples.generator("past the caches")
    room = mine(raptors, rng.integers(0, 100, 9000))
    places = [(first, n) for first in (0, 1, 7, 8, 13) for n in (1024, 4096, 4099, 8191, 8980)]
    calls: dict[str, Callable[[Any], Any]] = {
        "copy": lambda a: a.copy(),
        "join": lambda a: raptors.concatenate([a, a[1:], a]),
        "reversed": lambda a: a[::-1].copy(),
        "sum": lambda a: a + a[::-1],
        "twice": lambda a: a * 2,
        "thrice": lambda a: a + a,
        "strided": lambda a: a[::2] - 1,
        "to float": lambda a: a.astype("f8"),
        "to short": lambda a: a.astype("i2"),
        "compared": lambda a: a < 50,
        "chosen": lambda a: raptors.where(a > 50, a, 0),
        "root": lambda a: raptors.sqrt(a.astype("f4")),
    }
    dtypes = ("i1", "i2", "i4", "i8", "f4", "f8", "M8[s]", "V3", "S7")

    def results() -> Iterator[tuple[Any, bytes]]:
        for dtype in dtypes:
            numbers = dtype[0] in "if"
            size = numpy.dtype(dtype).itemsize
            whole = room.astype(dtype) if numbers else room.view("u1")[: 9000 * size].view(dtype)
            for first, n in places:
                for name, call in calls.items():
                    if numbers or name in ("copy", "join", "reversed"):
                        yield (dtype, first, n, name), call(whole[first : first + n]).tobytes()

    try:
        core._set_stream_from(1 << 62)
        usual = dict(results())
        core._set_stream_from(1024)
        differing = [label for label, got in results() if got != usual[label]]
    finally:
        core._set_stream_from(before)
    assert differing == []
    assert len(usual) > 2000


@pytest.mark.skipif(DISABLED, reason="nothing is native")
def test_transposed_past_the_caches(isa: str) -> None:
    """Operands that lie across each other: tiles, what is left of them, and every place within a line."""
    before = core._stream_from()
    rng = samples.generator("transposed past the caches")
    calls: dict[str, Callable[[Any, Any], Any]] = {
        "copy": lambda a, b: a.T.copy(),
        "reversed": lambda a, b: a.T[::-1].copy(),
        "upside down": lambda a, b: a[::-1].T.copy(),
        "to float": lambda a, b: a.T.astype("f8", order="C"),
        "sum": lambda a, b: b + a.T,
        "difference": lambda a, b: a.T - b,
        "twice": lambda a, b: a.T + a.T,
        "compared": lambda a, b: b > a.T,
    }
    dtypes = ("i1", "i2", "i4", "i8", "f4", "f8", "c16", "M8[s]", "V3", "S16")
    shapes = ((515, 513), (1031, 70), (64, 640))

    native: list[bool] = []

    def results(np: Any) -> Iterator[tuple[Any, bytes]]:
        for dtype in dtypes:
            numbers = dtype[0] in "if"
            size = numpy.dtype(dtype).itemsize
            for rows, columns in shapes:
                raw = mine(np, rng.integers(0, 100, 2 * rows * columns * max(size, 4), "u1"))
                whole = (
                    raw.astype(dtype) if numbers else raw.view("u1")[: raw.size // size * size].view(dtype)
                )
                a = whole[: rows * columns].reshape(rows, columns)
                b = whole[-rows * columns :].reshape(columns, rows)
                for name, call in calls.items():
                    if numbers or name in ("copy", "reversed", "upside down"):
                        result = call(a, b)
                        if np is raptors:
                            native.append(raptors.explain_last_dispatch()["backend"] == "raptors")
                        yield (dtype, rows, name), result.tobytes("A")
                for first in (1, 3):  # where a row of the result begins, and how far it is to the next
                    room = np.zeros((columns, rows + 7), dtype)
                    np.copyto(room[:, first : first + rows], a.T)
                    yield (dtype, rows, "into", first), room.tobytes()
                    if numbers:
                        np.multiply(a.T, b, out=room[:, first : first + rows])
                        yield (dtype, rows, "product", first), room.tobytes()

    try:
        core._set_stream_from(1024)
        got = dict(results(raptors))
        rng = samples.generator("transposed past the caches")
        differing = [label for label, bytes_ in results(numpy) if got[label] != bytes_]
    finally:
        core._set_stream_from(before)
    assert differing == []
    assert len(got) > 200
    assert len(native) > 100
    assert all(native)
