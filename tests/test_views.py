"""Views by their axes, what an array says of itself, where its elements are; overrides are found."""

from __future__ import annotations

import ctypes
import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import mine
from parity import attempt, numpy_parity

import raptors

SHAPES = ((6,), (1,), (0,), (4, 6), (5, 1), (0, 3), (2, 3, 4), (3, 0, 2), (2, 1, 3, 2))
DTYPES = ("f8", "f4", "i2", "?", "f2", "c16", "c8", "M8[D]", "S3", "U2", ">i4", "i4,f8")


def arrays(xp: Any, dtype: str = "f8") -> Iterator[tuple[str, Any]]:
    for shape in SHAPES:
        n = int(numpy.prod(shape))
        a = numpy.arange(n).astype("i8").astype(dtype.split(",")[0]).reshape(shape)
        if "," in dtype:
            a = numpy.zeros(shape, dtype)
        for layout, b in (("C", a), ("F", a.T), ("backwards", a[::-1]), ("every other", a[..., ::2])):
            yield f"{shape} {layout}", mine(xp, b)


#: Calls that make views, or tell of the array, by name; each on arrays of every shape.
VIEWS: dict[str, list[tuple[Any, ...]]] = {
    "diagonal": [
        (),
        (1,),
        (-1,),
        (2,),
        (9,),
        (-9,),
        (0, 0, 1),
        (0, 1, 0),
        (0, -1, 0),
        (1, 0, 2),
        (0, 1, 1),
        (0, 0, 7),
    ],
    "linalg.diagonal": [()],
    "flip": [(), (0,), (-1,), (1,), ((0, 1),), ((0, 0),), (7,), ([0],), (1.0,)],
    "flipud": [()],
    "fliplr": [()],
    "moveaxis": [
        (0, 1),
        (0, -1),
        (-1, 0),
        ((0, 1), (1, 0)),
        ([0, 1], [-1, -2]),
        (0, 9),
        ((0, 0), (0, 1)),
        ((0,), (0, 1)),
    ],
    "rollaxis": [(0,), (1,), (-1,), (0, 2), (1, 1), (0, -1), (2, 0), (0, 3), (0, 9), (9,)],
    "matrix_transpose": [()],
    "linalg.matrix_transpose": [()],
    "atleast_1d": [()],
    "atleast_2d": [()],
    "atleast_3d": [()],
    "shape": [()],
    "ndim": [()],
    "size": [(), (0,), (-1,)],
    "iscomplexobj": [()],
    "isrealobj": [()],
}
#: Of their calls, those that are not NumPy's: errors, tuples of axes and lists make up the rest.
SHARE = {"diagonal": 0.32, "flip": 0.47, "moveaxis": 0.43, "rollaxis": 0.45, "fliplr": 0.6, "size": 0.3}


@pytest.mark.parametrize("name", VIEWS)
@numpy_parity(
    native=lambda name: SHARE.get(name, 0.6 if "linalg" in name or "matrix" in name else 0.96),
    of=lambda name: name,
    reason="what NumPy refuses it is asked for",
)
def test_views(xp: Any, name: str) -> Iterator[Any]:
    function = operator.attrgetter(name)(xp)
    for dtype in ("f8", "c8", "S3"):
        for label, a in arrays(xp, dtype):
            for arguments in VIEWS[name]:
                result = attempt(function, a, *arguments)
                yield f"{label} {dtype} {arguments}", result
                if isinstance(result, numpy.ndarray):
                    yield "memory", (result.base is not None or result is a, numpy.shares_memory(a, result))
    for x in ([[1, 2], [3, 4]], 1.5, numpy.array(2.0), mine(xp, numpy.arange(4.0)).view(xp.matrix)):
        yield repr(x), attempt(function, x, *VIEWS[name][0])


@numpy_parity(native=0.7, of="flip", reason="wrong calls")
def test_keywords(xp: Any) -> Iterator[Any]:
    a = mine(xp, numpy.arange(24.0).reshape(2, 3, 4))
    yield "flip", [xp.flip(m=a, axis=None), xp.flip(a, axis=1), *(xp.flip(a, axis=(0, 2)) for _ in range(9))]
    yield "diagonal", a.diagonal(offset=1, axis2=2, axis1=1)
    yield "linalg.diagonal", xp.linalg.diagonal(a, offset=-1)
    yield (
        "wrong",
        [
            attempt(f, a, nonsense=1)
            for f in (xp.flip, xp.diagonal, xp.moveaxis, xp.shape, xp.sort, xp.hstack)
        ],
    )
    yield (
        "too few",
        [attempt(f) for f in (xp.flip, xp.diagonal, xp.moveaxis, xp.sort, xp.concatenate, xp.atleast_1d)],
    )
    yield (
        "too many",
        [attempt(f, a, 0, 0, 0, 0, 0, 0) for f in (xp.flip, xp.diagonal, xp.sort, xp.concatenate, xp.roll)],
    )


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(
    native=lambda dtype: 1.0 if numpy.dtype(dtype).kind in "fc" else None, reason="attributes are not counted"
)
def test_attributes(xp: Any, dtype: str) -> Iterator[Any]:
    for label, a in arrays(xp, dtype):
        for name in ("real", "imag", "T", "mT", "shape", "dtype", "ndim", "size"):
            part = attempt(getattr, a, name)
            yield f"{label} {name}", part
            if isinstance(part, numpy.ndarray):
                yield f"{label} {name} itself", (part is a, part.base is None)
        yield label, attempt(a.view)
    if numpy.dtype(dtype).kind in "fc":
        a = mine(xp, numpy.ones((2, 3), dtype))
        a.real = 2
        a.real[0] = 3
        yield "set", a
        yield "set T", attempt(setattr, a, "T", 1)
        yield "delete", [attempt(delattr, a, name) for name in ("real", "T", "mT", "shape", "dtype", "ndim")]
        yield "read-only attributes", [attempt(setattr, a, name, 1) for name in ("ndim", "size", "nbytes")]
        yield "wrong", [attempt(setattr, a, name, "x") for name in ("shape", "dtype")]
        a.flags.writeable = False
        yield "read-only", [attempt(setattr, a, "real", 1), a.real, a.imag, a.view()]


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(
    native=lambda dtype: 0.75 if numpy.dtype(dtype).kind in "fib" and dtype[0] != ">" else 0.33,
    of=("conjugate", "conj", "__copy__", "__array__"),
    reason="NumPy's loop conjugates; with a dtype, and other dtypes than numbers, calls are NumPy's",
)
def test_methods(xp: Any, dtype: str) -> Iterator[Any]:
    for label, a in arrays(xp, dtype):
        yield f"{label} conj", [attempt(f) for f in (a.conj, a.conjugate)]
        yield f"{label} itself", (numpy.dtype(dtype).kind in "fib" and a.conj() is a, a.__array__().shape)
        yield f"{label} copy", [a.__copy__(), attempt(a.__array__, a.dtype)]


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "S2", "M8[s]", "O"])
@numpy_parity(
    native=lambda dtype: 0.6 if dtype in samples.DTYPES else 0.0,
    of=("nonzero", "flatnonzero", "argwhere", "where"),
    reason="empty arrays, and dtypes without kernels, are NumPy's",
)
def test_nonzero(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    rng = samples.generator("nonzero", dtype)
    for shape in (*SHAPES, (200,), (13, 70), (5, 4, 33), (70, 1), (64,), (129,)):
        for share in (0.0, 0.02, 0.5, 1.0):
            a = (rng.random(shape) < share).astype("i8").astype(dtype)
            if numpy.dtype(dtype).kind in "fc" and a.size:
                a[a == 0] *= -1
                a.flat[0] = numpy.nan
            for layout, b in (("C", a), ("F", a.T), ("backwards", a[::-1]), ("every other", a[..., ::2])):
                x = mine(xp, b)
                label = f"{shape} {share} {layout}"
                yield label, [xp.nonzero(x), xp.where(x), xp.flatnonzero(x), xp.argwhere(x)]
                if dtype != "O":  # arrays of objects are NumPy's, and so are results of their methods
                    yield f"{label} method", x.nonzero()
                if shape == (13, 70):
                    indices = x.nonzero()
                    yield "base", [i.base is not None and i.base.shape == (len(i), 2) for i in indices]
                    yield "write", attempt(indices[0].fill, 1)
    yield "wrong", [attempt(xp.nonzero, x) for x in (1.0, numpy.array(1), [0, 1], None)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_nonzero_of_many(threads: int) -> None:
    rng = samples.generator("many")
    with raptors.threads(threads):
        for share in (0.001, 0.5, 0.999):
            a = rng.random((700, 900)) < share
            for expected, got in zip(numpy.nonzero(a), raptors.nonzero(a.view(raptors.ndarray)), strict=True):
                assert (expected == got).all()


@numpy_parity(native=0.7, of=("compress", "extract"), reason="other masks than of the array's shape")
def test_selection_by_masks(xp: Any) -> Iterator[Any]:
    for dtype in DTYPES:
        for label, a in arrays(xp, dtype):
            n = a.shape[0]
            for m in (numpy.arange(n) % 3 == 0, numpy.ones(n, bool), numpy.zeros(n, bool)):
                mask = mine(xp, m)
                if a.ndim == 1 and n:
                    yield f"{label} {dtype}", [a.compress(mask), xp.compress(mask, a), xp.extract(mask, a)]
    a = mine(xp, numpy.arange(12.0).reshape(3, 4))
    yield "matrix", [xp.extract(a > 3, a), attempt(xp.extract, a[0] > 3, a), a.compress([True, False], 0)]
    yield (
        "others",
        [
            xp.compress([0, 1], a, axis=1),
            attempt(a.compress, a > 3),
            a[0].compress(a[0] > 1, out=xp.zeros(2)),
        ],
    )


@numpy_parity(native=0.6, of="put", reason="other modes and values than one for each index")
def test_put(xp: Any) -> Iterator[Any]:
    for dtype in ("f8", "i4", "c8", "U3", "?"):
        for indices in ([0, 2], [-1, -1, 3], 4, [], [[0, 1], [2, 3]]):
            i = mine(xp, numpy.array(indices, int))
            n = numpy.size(indices)
            for values in (
                1,
                numpy.arange(n).reshape(numpy.shape(indices)).astype(dtype),
                numpy.zeros(1, dtype),
            ):
                v = mine(xp, values) if isinstance(values, numpy.ndarray) else values
                for shape in ((6,), (2, 3)):
                    a = mine(xp, numpy.arange(6).astype(dtype).reshape(shape))
                    yield (
                        (dtype, indices, shape),
                        [attempt(a.put, i, v), a, attempt(xp.put, a, indices, v), a],
                    )
    a = mine(xp, numpy.arange(6.0))
    for arguments in (
        ([6], 1),
        ([0, -7], 1),
        ([0, 1, 2], [5, 6]),
        ([1, 2], a[1:3]),
        ([2.5], 1),
        ([0], "x"),
        ([0], 2.5, "clip"),
    ):
        yield arguments, [attempt(a.put, *arguments), a]
    a.flags.writeable = False
    yield "read-only", attempt(a.put, [0], 1)


@numpy_parity(native=0.27, of="copyto", reason="masks, casts that may lose and errors are NumPy's")
def test_copyto(xp: Any) -> Iterator[Any]:
    for to, of in itertools.product(("f8", "f4", "i8", "u8", "i2", "c8", "?", "U3", "M8[s]"), repeat=2):
        a = mine(xp, numpy.zeros((2, 3), to))
        for b in (numpy.ones((2, 3), of), numpy.ones(3, of), numpy.ones((2, 1), of), numpy.ones((3, 2), of)):
            yield (to, of, b.shape), [attempt(xp.copyto, a, mine(xp, b)), a]
    a = mine(xp, numpy.arange(6.0))
    yield "overlap", [xp.copyto(a[1:], a[:-1]), a]
    yield "keywords", [xp.copyto(a, a[::-1], where=a > 2), xp.copyto(a, 1, casting="unsafe"), a]
    yield "wrong", [attempt(xp.copyto, *x) for x in ((1, a), (a, "x"), (a, None), (a,))]


@pytest.mark.parametrize("dtype", DTYPES)
@numpy_parity(native=0.38, of=("repeat", "tile", "roll"), reason="empty arrays, wrong axes, other forms")
def test_repeating(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for label, a in arrays(xp, dtype):
        for axis in (None, 0, -1, 1, 2):
            for n in (1, 2, 3, 4, 5, 9):
                yield f"repeat {label} {n} {axis}", attempt(xp.repeat, a, n, axis)
            for n in (0, 1, -1, 3, -7, 100):
                rolled = attempt(xp.roll, a, n, axis)
                yield f"roll {label} {n} {axis}", rolled
                if isinstance(rolled, numpy.ndarray) and a.size:
                    yield "base", (rolled.base is None, rolled.base is not None and rolled.base.shape)
        for n in (0, 1, 2, 3, 7, (2,), (2, 3), [2]):
            tiled = attempt(xp.tile, a, n)
            yield f"tile {label} {n}", tiled
            if isinstance(tiled, numpy.ndarray) and a.size:
                yield "base", (tiled.base is None, tiled.base is not None and tiled.base.shape)
        yield f"methods {label}", [attempt(a.repeat, 2), attempt(a.repeat, repeats=3, axis=0)]


@numpy_parity(native=0.15, of=("repeat", "tile", "roll"), reason="wrong calls, and forms that are not common")
def test_other_ways_of_repeating(xp: Any) -> Iterator[Any]:
    a = mine(xp, numpy.arange(6.0).reshape(2, 3))
    for arguments in (
        (-1,),
        (0,),
        ([1, 2],),
        ([1, 2], 0),
        (2.0,),
        ("x",),
        (2, 5),
        (2**62,),
        (True,),
        (numpy.int8(2),),
    ):
        yield arguments, attempt(a.repeat, *arguments)
    for arguments in (
        ((1, 2),),
        ((1, 2), (0, 1)),
        (1, (0, 1)),
        (2.5,),
        ("x",),
        (1, 7),
        (2**70,),
        (-(2**62),),
        (numpy.int8(1),),
    ):
        yield arguments, attempt(xp.roll, a, *arguments)
    yield "tile", [attempt(xp.tile, a[0], n) for n in (2, 2**62, -1, 2.0, numpy.int64(2), "x")]
    yield "lists", [xp.repeat([1, 2], 2), xp.roll([1, 2, 3], 1), xp.tile([1, 2], 2)]
    yield (
        "long",
        [xp.repeat(xp.arange(70_000), 3), xp.roll(xp.arange(200_000), 7), xp.tile(xp.arange(500.0), 400)],
    )


@numpy_parity(native=0.5, of=("column_stack", "append"), reason="lists and other numbers of axes")
def test_joins(xp: Any) -> Iterator[Any]:
    a, m = mine(xp, numpy.arange(3.0)), mine(xp, numpy.arange(6).reshape(3, 2))
    for both in (
        (a, a),
        (a, m),
        (m, a, m),
        (a,),
        (m.T, a),
        (a[::-1], m[:, ::-1]),
        (a, a.astype("f4")),
        (m, [1, 2, 3]),
        (),
    ):
        yield "column_stack", attempt(xp.column_stack, both)
    yield (
        "append",
        [
            xp.append(a, a),
            xp.append(a, a.astype("c8")),
            xp.append(m, a),
            xp.append(a, 5),
            xp.append(m, m, axis=0),
        ],
    )
    yield "generators", attempt(xp.column_stack, (x for x in (a, a)))


@numpy_parity(native=None, reason="items of a sequence are not counted")
def test_sequence(xp: Any) -> Iterator[Any]:
    get_item = ctypes.pythonapi.PySequence_GetItem
    get_item.restype, get_item.argtypes = ctypes.py_object, (ctypes.py_object, ctypes.c_ssize_t)
    for dtype in (*DTYPES, "O"):
        for label, a in arrays(xp, dtype):
            yield f"{label} {dtype}", [*a]
            yield (
                f"{label} {dtype} by number",
                [attempt(get_item, a, i) for i in (0, 1, -1, 5, -6, -7, 2**62, -(2**62))],
            )
    yield "0-d", attempt(lambda: [*mine(xp, numpy.array(1.0))])


def test_rows_are_views() -> None:
    a = raptors.arange(6.0).reshape(2, 3)
    for row in a:
        row += 1
    assert a.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert {type(row) for row in a} == {type(a)}


@numpy_parity(native=0.8, of=("equal", "logical_or", "any"), reason="texts and objects are NumPy's")
def test_contains(xp: Any) -> Iterator[Any]:
    for label, a in arrays(xp):
        yield label, [attempt(operator.contains, a, x) for x in (3, 3.5, True, numpy.float32(2), 2j)]
    a = mine(xp, numpy.array([1.0, numpy.nan, 2]))
    yield (
        "others",
        [attempt(operator.contains, a, x) for x in (numpy.nan, None, "x", a, a[:2], [1, 2], object)],
    )
    for dtype in ("S3", "M8[s]", "O"):
        b = mine(xp, numpy.array(["1", "2"]).astype(dtype) if dtype != "M8[s]" else numpy.zeros(2, dtype))
        yield dtype, [attempt(operator.contains, b, x) for x in (b[0], "1", b"1", 7)]


@numpy_parity(native=0.6, of="__getitem__", reason="several fields, and those of arrays, are NumPy's")
def test_fields(xp: Any) -> Iterator[Any]:
    dtype = [
        ("a", "i4"),
        ("b", ">f8"),
        ("c", "f4", (2,)),
        ("d", "U3"),
        (("title", "e"), "c8"),
        ("f", [("g", "i1")]),
    ]
    for shape in SHAPES:
        a = mine(xp, numpy.zeros(shape, dtype))
        for name in ("a", "b", "c", "d", "e", "title", "f", "nonsense", ""):
            yield (shape, name), attempt(lambda a=a, name=name: a[name])
        yield (shape, "view"), a["a"].base is not None
        a["a"] += 1
        yield (shape, "written"), a
        yield (shape, "several"), a[["a", "d"]]
    b = mine(xp, numpy.zeros(3, dtype))
    first = b[0]
    first["a"] = 7
    yield "scalar", [b, first.base is b, attempt(lambda: xp.arange(3.0)["a"])]


@numpy_parity(native=0.38, of="__setitem__", reason="values that do not fit, indices out of range")
def test_elements_of_matrices(xp: Any) -> Iterator[Any]:
    for dtype in samples.DTYPES:
        a = mine(xp, numpy.zeros((2, 3, 2), dtype))
        for index in ((0, 0, 0), (1, 2, 1), (-1, -3, -2), (0, 1, 0), (1, 1, 1)):
            a[index] = 1
            yield (dtype, index), [a, a[index], a.T[index[::-1]]]
        yield (
            dtype,
            [
                attempt(operator.setitem, a, index, 1)
                for index in ((2, 0, 0), (0, -4, 0), (0, 0, 0, 0), (0, 2**70, 0))
            ],
        )
        yield (
            dtype,
            [
                attempt(operator.setitem, a, (0, 0, 0), value)
                for value in (1.5, 2j, "x", None, 300, -1, [1], True)
            ],
        )
    a.flags.writeable = False
    yield "read-only", attempt(operator.setitem, a, (0, 0, 0), 1)


@numpy_parity(
    native=0.72,
    of=("multiply", "subtract", "less", "floor_divide"),
    reason="lists; integers are divided by NumPy's loop",
)
def test_outer(xp: Any) -> Iterator[Any]:
    a, m = mine(xp, numpy.arange(1.0, 4)), mine(xp, numpy.arange(1, 7).reshape(2, 3))
    for x, y in itertools.product((a, m, m.T, a[::-1], a.astype("f4"), a[:0]), repeat=2):
        yield "outer", [f.outer(x, y) for f in (xp.multiply, xp.subtract, xp.less, xp.floor_divide)]
    yield "others", [xp.multiply.outer(a, [1, 2]), xp.multiply.outer(2, a), xp.add.outer(a, a, dtype="f4")]
    yield "wrong", [attempt(xp.multiply.outer, *x) for x in ((a,), (a, a, a), (a, "x"))]
    yield "unary", attempt(xp.sqrt.outer, a, a)


@numpy_parity(
    native=0.6, of=("asarray", "asfortranarray", "ascontiguousarray"), reason="copies in Fortran order"
)
def test_asarray_of_orders(xp: Any) -> Iterator[Any]:
    for label, a in arrays(xp):
        for order in ("C", "K", "F", "A", None):
            for dtype in (None, "f8", float, "f4"):
                b = xp.asarray(a, dtype=dtype, order=order)
                yield f"{label} {order} {dtype}", [b, b is a, numpy.shares_memory(a, b)]
        for f in (xp.ascontiguousarray, xp.asfortranarray, xp.asarray, xp.asanyarray):
            yield f"{label} {f.__name__}", [f(a), f(a) is a, f(a, "f4"), f(a, dtype=None)]
    yield "wrong", [attempt(xp.asarray, [1], None, x) for x in ("X", "CC", 1)]
    yield "list", [xp.asfortranarray([[1, 2], [3, 4]]), xp.asarray([[1, 2], [3, 4]], order="F")]
    yield "no order", attempt(xp.ascontiguousarray, a, "f8", "C")


class Overriding:
    """An object whose class answers for NumPy's functions."""

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function.__name__, len(args)


OVERRIDING = Overriding()


class Bag:
    """A sequence that is no list: what is in it only NumPy's dispatch finds."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


@numpy_parity(native=None, reason="functions that NumPy serves", of="none of them")
def test_dispatch_finds_overrides(xp: Any) -> Iterator[Any]:
    a, x = mine(xp, numpy.arange(3.0)), OVERRIDING
    for function in (xp.sort, xp.roll, xp.trace, xp.unwrap, xp.nan_to_num, xp.median):
        yield function.__name__, attempt(function, x)
    for items in ([a, x], (a, x), [[a], [x]], Bag(a, x), Bag(a, a), [Bag(x)], iter([a, x])):
        yield "block", attempt(xp.dstack, items)
        yield "lexsort", attempt(xp.lexsort, items)
    yield "deep", attempt(xp.block, [[[[a, x]]]])
    yield (
        "keyword",
        [attempt(xp.sort, a=x), attempt(xp.interp, a, a, fp=x), attempt(xp.put_along_axis, a, a, x, 0)],
    )
    yield (
        "none",
        [
            attempt(xp.dstack, 5),
            attempt(xp.sort, a, 7),
            attempt(xp.sort, a, kind="x"),
            attempt(xp.lexsort, 5),
        ],
    )


def test_overriding_class_may_change() -> None:
    """What is known of a type is forgotten when the type changes."""

    class Late:
        pass

    x = Late()
    with pytest.raises(TypeError, match="not supported"):
        raptors.sort([x, x])
    Late.__array_function__ = Overriding.__array_function__  # type: ignore[attr-defined]
    assert raptors.sort(x) == ("sort", 1)
    assert raptors.dstack([x, x]) == ("dstack", 1)
    del Late.__array_function__  # type: ignore[attr-defined]
    assert raptors.sort([1, 0]).tolist() == [0, 1]
    assert raptors.array([x]).dtype == object
