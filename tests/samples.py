"""Operands: every dtype with kernels, special values, lengths around vector widths, every layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
#: Those that kernels of every family take: neither half precision nor complex numbers.
ELEMENTARY = tuple(d for d in DTYPES if numpy.dtype(d).kind != "c" and d != "float16")
#: Dtypes without kernels: NumPy's, and correct.
OTHERS = (
    "longdouble",
    "clongdouble",
    ">i4",
    ">f8",
    "S3",
    "U3",
    "M8[s]",
    "m8[s]",
    "O",
    "i4,f8",
)

SEED = 20260801


def generator(*key: Any) -> numpy.random.Generator:
    """A generator that depends on nothing but its key."""
    words = [b for part in key for b in str(part).encode()]
    return numpy.random.default_rng([SEED, *words])


def real_part(dtype: Any) -> Any:
    return numpy.empty(0, dtype).real.dtype


def operand_dtypes(row: dict[str, Any], dtype: Any) -> list[Any]:
    """The dtypes that an operation of raptors.ops() takes in a loop of this dtype."""
    letters = {"T": dtype, "?": "bool", "i": "int32", "R": real_part(dtype)}
    return [letters[letter] for letter in row["signature"].split("->")[0]]


def result_dtype(row: dict[str, Any], dtype: Any) -> Any:
    """The dtype that an operation of raptors.ops() gives for a loop of this dtype."""
    by_kind = {"boolean": "bool", "real": real_part(dtype), "same": dtype}
    return by_kind[row["result"]]


def pair(dtype: Any, re: Any, im: Any) -> Any:
    """Complex numbers of two arrays of reals, bit by bit."""
    out = numpy.empty(re.shape, dtype)
    out.real, out.imag = re, im
    return out


def special(dtype: Any) -> Any:
    """Values at which implementations differ."""
    dtype = numpy.dtype(dtype)
    if dtype.kind == "b":
        return numpy.array([False, True])
    if dtype.kind in "iu":
        info = numpy.iinfo(dtype)
        values = {
            0,
            1,
            2,
            3,
            7,
            8,
            31,
            63,
            64,
            100,
            info.min,
            info.min + 1,
            info.max,
            info.max - 1,
            info.max // 2,
        }
        values |= {-1, -2, -7, -100} if dtype.kind == "i" else set()
        return numpy.array(sorted(values), dtype)
    if dtype.kind == "c":
        real = special(real_part(dtype))
        return numpy.concatenate([pair(dtype, real, numpy.roll(real, k)) for k in (0, 5, 11)])
    info = numpy.finfo(dtype)
    tiny = info.smallest_subnormal
    positive = [0.0, tiny, info.tiny, info.eps, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.49999997, 1e10]
    positive += [
        2.0**23 - 0.5,
        2.0**23 + 1,
        2.0**31,
        2.0**52 - 0.5,
        2.0**52 + 1,
        2.0**63,
        info.max,
        float("inf"),
    ]
    values = [*positive, *(-v for v in positive), float("nan"), -float("nan")]
    with numpy.errstate(over="ignore", under="ignore"):  # half precision holds less
        return numpy.array(values, "float64").astype(dtype)


def tame(dtype: Any, n: int, rng: numpy.random.Generator) -> Any:
    """Random values of ordinary size: no overflow, no division by zero, nothing inexact at the edge."""
    dtype = numpy.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(1 if dtype.kind == "u" else -100, 100, n).astype(dtype)
    if dtype.kind == "c":
        return pair(dtype, tame(real_part(dtype), n, rng), tame(real_part(dtype), n, rng))
    return (rng.uniform(1, 2, n) * rng.choice([-1.0, 1.0], n)).astype(dtype)


def benign(dtype: Any, n: int, rng: numpy.random.Generator) -> Any:
    """Floats in [1, 2): no operation of the table raises a floating-point event on them."""
    return rng.uniform(1, 2, n).astype(dtype)


def mixed(dtype: Any, n: int, rng: numpy.random.Generator) -> Any:
    """Random bits, ordinary values and special values in turn."""
    dtype = numpy.dtype(dtype)
    values = tame(dtype, n, rng)
    if dtype.kind in "iuf":
        bits = numpy.frombuffer(rng.bytes(n * dtype.itemsize), dtype)
        if dtype.kind == "f":  # signalling NaNs raise flags by position, in NumPy
            bits = numpy.where(numpy.isnan(bits), numpy.array(numpy.nan, dtype), bits)
        values = numpy.where(rng.random(n) < 0.3, bits, values)
    values = numpy.where(rng.random(n) < 0.3, rng.choice(special(dtype), n), values)
    return values.astype(dtype)


def lengths(dtype: Any) -> list[int]:
    """Lengths around the lane counts of 16, 32 and 64-byte vectors, and a few beyond."""
    size = numpy.dtype(dtype).itemsize
    found = {0, 1, 2, 3, 257}
    for width in (16, 32, 64):
        lanes = width // size
        for base in (lanes, 2 * lanes, 4 * lanes):
            found |= {base - 1, base, base + 1}
    return sorted(n for n in found if n <= 300)


def _strided(step: int) -> Callable[[Any], Any]:
    def make(v: Any) -> Any:
        room = numpy.zeros(max(v.size * abs(step), 1), v.dtype)
        view = room[:: abs(step)][: v.size]
        view = view[::-1] if step < 0 else view
        view[...] = v
        return view

    return make


def _unaligned(v: Any) -> Any:
    a = numpy.frombuffer(bytearray(v.nbytes + 1), numpy.uint8)[1:].view(v.dtype)
    a[...] = v
    return a


def _offset(v: Any) -> Any:
    a = numpy.empty(v.size + 3, v.dtype)[3:]
    a[...] = v
    return a


def _field(v: Any) -> Any:
    packed = numpy.zeros(v.size, numpy.dtype([("head", "u1"), ("value", v.dtype), ("tail", "u2")]))
    packed["value"] = v
    return packed["value"]


def _column(v: Any) -> Any:
    room = numpy.zeros((v.size, 3), v.dtype)
    room[:, 1] = v
    return room[:, 1]


def _read_only(v: Any) -> Any:
    a = v.copy()
    a.flags.writeable = False
    return a


#: One-dimensional values -> the same values in another layout.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda v: v.copy(),
    "offset": _offset,
    "reversed": lambda v: v[::-1].copy()[::-1],
    "step 2": _strided(2),
    "step 5": _strided(5),
    "step -3": _strided(-3),
    "unaligned": _unaligned,
    "field": _field,
    "column": _column,
    "read-only": _read_only,
}


def _fortran(v: Any) -> Any:
    rows = 4 if v.size % 4 == 0 else 3 if v.size % 3 == 0 else 1
    return numpy.asfortranarray(v.reshape(rows, -1))


def _cube(v: Any) -> Any:
    rows = 4 if v.size % 4 == 0 else 3 if v.size % 3 == 0 else 1
    return numpy.ascontiguousarray(v.reshape(rows, -1, 1).transpose(1, 2, 0)).transpose(2, 0, 1)


#: One-dimensional values -> an array of two or three dimensions; equal sizes give equal shapes in each.
SHAPED: dict[str, Callable[[Any], Any]] = {
    "fortran": _fortran,
    "cube": _cube,
    "zero stride": lambda v: numpy.broadcast_to(
        v[: max(1, v.size // 5)], (5, max(1, v.size // 5)) if v.size else (5, 0)
    ),
    "inner zero stride": lambda v: numpy.broadcast_to(v[:, None], (v.size, 3)),
    "short rows": lambda v: v[: v.size // 3 * 3].reshape(-1, 3),
    "padded rows": lambda v: numpy.concatenate([v, v]).reshape(2, -1).T.copy().T[:, : v.size // 2],
}

#: Shapes that broadcast with each other.
BROADCAST = [
    ((), (5,)),
    ((1,), (7,)),
    ((3, 1), (1, 4)),
    ((4, 3), (3,)),
    ((3,), (4, 3)),
    ((2, 1, 5), (3, 1)),
    ((0,), (1,)),
    ((0, 3), (1, 3)),
    ((2, 3, 4), (2, 3, 4)),
    ((17, 3), (3,)),
    ((33, 1), (33, 2)),
    ((1, 1), ()),
    ((2, 0, 3), (2, 1, 1)),
    ((1, 65), (2, 1)),
    ((5, 1, 1, 2), (1, 3, 4, 1)),
]


def overlapping(
    rng: numpy.random.Generator, size: int, count: int, ndim: int
) -> list[tuple[int, tuple[int, ...]]]:
    """`count` (start, steps) of views of one buffer of `size` elements; their shape comes first."""
    shape = tuple(int(n) for n in rng.integers(1, 5 if ndim > 1 else 60, ndim))
    views: list[tuple[int, tuple[int, ...]]] = [(0, shape)]
    while len(views) <= count:
        steps = tuple(int(s) for s in rng.choice([-3, -2, -1, 1, 1, 2, 3, 5, 8], ndim))
        low = sum(min(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True))
        high = sum(max(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True))
        if high - low < size:
            views.append((int(rng.integers(-low, size - high)), steps))
    return views


def outputs_of_product(dtype: str) -> dict[str, Callable[[Any], Any]]:
    """What may be given, rightly or not, for the product (6, 5) of two matrices of a dtype."""
    return {
        "C": lambda xp: xp.ones((6, 5), dtype),
        "F": lambda xp: xp.ones((5, 6), dtype).T,
        "strided": lambda xp: xp.ones((12, 15), dtype)[::2, ::3],
        "reversed": lambda xp: xp.ones((6, 5), dtype)[::-1, ::-1],
        "wrong shape": lambda xp: xp.ones((5, 6), dtype),
        "wider": lambda xp: xp.ones((6, 5), "f8"),
        "narrower": lambda xp: xp.ones((6, 5), "i1"),
        "stack": lambda xp: xp.ones((2, 6, 5), dtype),
        "none": lambda xp: None,
        "list": lambda xp: [1],
        "repeated": lambda xp: xp.broadcast_to(xp.ones(5, dtype), (6, 5)),
        "tuple": lambda xp: (xp.ones((6, 5), dtype),),
    }
