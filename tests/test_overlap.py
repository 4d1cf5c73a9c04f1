"""Operands and outputs that share memory: the result is as if the inputs had been copied first."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, Mismatches, Rules, counted, mine, same_as_numpy
from parity import numpy_parity

import raptors

PAIRS = int(os.environ.get("RAPTORS_OVERLAP_PAIRS", "20000"))

BINARY = (
    "add",
    "subtract",
    "multiply",
    "minimum",
    "maximum",
    "bitwise_xor",
    "left_shift",
    "less",
    "copysign",
    "divide",
)
UNARY = ("negative", "square", "absolute", "invert", "sign", "positive", "rint", "sqrt", "isfinite")


def view(buffer: Any, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    size = buffer.itemsize
    return numpy.ndarray(shape, buffer.dtype, buffer, start * size, tuple(s * size for s in steps))


def _operation(rng: numpy.random.Generator, dtype: str) -> tuple[str, int]:
    while True:
        name = str(rng.choice(BINARY if rng.random() < 0.6 else UNARY))
        kind = numpy.dtype(dtype).kind
        if kind == "f" and name in ("bitwise_xor", "left_shift", "invert"):
            continue
        if kind in "iu" and name in ("copysign", "divide", "sqrt", "rint"):
            continue
        return name, 2 if name in BINARY else 1


@pytest.mark.parametrize("part", range(4))
def test_random_views_of_one_buffer(part: int) -> None:
    """Unary, binary and in-place calls whose output shares memory with the inputs in any way."""
    rng = samples.generator("overlap", part)
    found = Mismatches()
    shared = 0
    with numpy.errstate(all="ignore"), counted() as count:
        while found.cases < PAIRS // 4:
            dtype = str(rng.choice(["int8", "uint16", "int32", "float32", "float64", "int64"]))
            name, inputs = _operation(rng, dtype)
            ndim = int(rng.choice([1, 1, 1, 2, 3, 4, 5]))
            size = 300 if ndim < 3 else 400
            values = samples.tame(dtype, size, rng)
            try:
                (_, shape), *views = samples.overlapping(rng, size, inputs + 1, ndim)
            except ValueError:
                continue
            if rng.random() < 0.15:  # the very same view as input and output
                views[-1] = views[0]
            elif rng.random() < 0.3:  # shifted by a few elements
                start = int(numpy.clip(views[0][0] + rng.integers(-9, 10), 0, size - 1))
                if _fits(start, shape, views[0][1], size):
                    views[-1] = (start, views[0][1])
            if not _injective(shape, views[-1][1]):
                continue
            if name == "negative" and any(8 in steps for _, steps in views):
                continue  # NumPy 2.4's vector loop reads a stride of 64 bytes as contiguous
            out = numpy.bool if name in ("less", "isfinite") else numpy.dtype(dtype)
            if out is numpy.bool and dtype != "int8":
                continue
            results = []
            for library in (numpy, raptors):
                buffer = values.copy()
                operands = [view(buffer, start, shape, steps) for start, steps in views]
                target = operands[-1].view(bool) if out is numpy.bool else operands[-1]
                shared += library is raptors and any(numpy.shares_memory(o, target) for o in operands[:-1])
                ins = [o.copy() if library is numpy else mine(raptors, o) for o in operands[:-1]]
                function = getattr(library, name)
                if library is raptors and inputs == 2 and views[0] == views[-1] and name == "add" and shape:
                    ins[0] += ins[1]
                else:
                    got = function(*ins, out=mine(library, target))
                    assert got.shape == shape
                results.append(buffer.tobytes())
            found.add(
                (name, dtype, shape, views), None if results[0] == results[1] else "differs from copy-first"
            )
    native = count.of(*BINARY, *UNARY).native
    found.done(PAIRS // 4)
    assert shared > found.cases // 4
    assert DISABLED or native > found.cases // 20, (
        "views that only touch each other's memory, or nothing of it, are native"
    )


def _fits(start: int, shape: tuple[int, ...], steps: tuple[int, ...], size: int) -> bool:
    low = start + sum(min(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True))
    high = start + sum(max(0, s * (n - 1)) for s, n in zip(steps, shape, strict=True))
    return low >= 0 and high < size


def _injective(shape: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """No element of the output is written twice (then the order of writing would show)."""
    offsets: set[int] = {0}
    for n, s in zip(shape, steps, strict=True):
        new = {o + i * s for o in offsets for i in range(n)}
        if len(new) != len(offsets) * n:
            return False
        offsets = new
    return True


@pytest.mark.parametrize(
    "shift", [*range(-20, 21), 31, 32, 33, 63, 64, 65, 127, 128, 129, 130, -64, -65, -128, -130]
)
@numpy_parity(native=lambda shift: 0.06 if shift else 1.0, rules=Rules(adopt=False))
def test_shifts_in_bytes(xp: Any, shift: int) -> Iterator[Any]:
    """Contiguous input and output a few bytes apart, down to the byte, around the vector widths."""
    for dtype, n in itertools.product(("int8", "int16", "float32", "float64"), (1, 5, 33, 70)):
        size = numpy.dtype(dtype).itemsize
        room = (numpy.arange(2000) % 7).astype("u1")
        x = mine(xp, room[200 : 200 + n * size].view(dtype))
        o = mine(xp, room[200 + shift : 200 + shift + n * size].view(dtype))
        with numpy.errstate(all="ignore"):
            if xp is numpy:
                o[...] = numpy.add(x.copy(), x.copy())
                o[...] = numpy.multiply(o.copy(), x.copy())
            else:
                xp.add(x, x, out=o)
                xp.multiply(o, x, out=o)
        yield (dtype, n), room


@numpy_parity(native=0.5)
def test_reductions_into_their_input(xp: Any) -> Iterator[Any]:
    """out= inside the array that is folded."""
    names = ("sum", "prod", "min", "max", "any", "all", "argmin")
    for name, axis, place in itertools.product(names, (0, 1), (0, 1, 2, -1)):
        x = mine(xp, numpy.arange(1, 17).reshape(4, 4))
        out = x[place] if axis == 0 else x[:, place]
        r = getattr(xp, name)(x.copy() if xp is numpy else x, axis=axis, out=out)
        yield (name, axis, place), (x, r is out)


@numpy_parity(native=0.63)
def test_in_place_with_views_of_itself(xp: Any) -> Iterator[Any]:
    views: list[Any] = [
        *(lambda a: a[::-1], lambda a: a.T, lambda a: a[:1], lambda a: a[..., :1], lambda a: a[-1:]),
        *(lambda a: a.reshape(a.shape), lambda a: numpy.broadcast_to(a[0], a.shape), lambda a: a[[0]]),
        *(lambda a: a.flat[0], lambda a: a[0]),
    ]
    for shape in ((5,), (33,), (4, 4), (7, 7), (65, 65)):
        for (i, other), sign in itertools.product(enumerate(views), ("add", "sub", "mul", "truediv")):
            x = mine(xp, numpy.arange(1.0, 1 + numpy.prod(shape)).reshape(shape))
            r = getattr(x, f"__i{sign}__")(other(x))
            yield (shape, i, sign), (x, r is x)


def test_adjacent_buffers_stay_native() -> None:
    """Neighbours that share no byte are no overlap; interleaved ones neither."""
    room = mine(raptors, numpy.arange(2000.0))
    with counted() as count:
        for n in range(1, 200):
            raptors.add(room[:n], room[:n], out=room[n : 2 * n])
            raptors.add(room[n : 2 * n], 1, out=room[:n])
            raptors.negative(room[: 2 * n : 2], out=room[1 : 2 * n : 2])
            raptors.add(room[:n], room[:n], out=room[:n])
    count.of("add").require(at_least=3 * 199)
    same_as_numpy(
        lambda xp: (
            [xp.negative(x[::2], out=x[1::2]) for x in [mine(xp, numpy.arange(40.0))]]
            + [xp.add(x[:5], x[5:10], out=x[5:10]) for x in [mine(xp, numpy.arange(40))]]
        )
    )


@numpy_parity(native=0.83)
def test_masks_that_overlap(xp: Any) -> Iterator[Any]:
    """where= sharing memory with the output or an input."""
    for start, stop in itertools.product((0, 1, 5), (20, 21, 25)):
        x = mine(xp, numpy.arange(60) % 3 == 0)
        mask = x[stop - 20 : stop].copy() if xp is numpy else x[stop - 20 : stop]
        source = x[40:60].copy() if xp is numpy else x[40:60]
        xp.logical_not(source, out=x[start : start + 20], where=mask)
        yield (start, stop), x


def test_inputs_are_never_changed() -> None:
    """Long expressions: every operand is as it was, also when the intermediate results are large."""
    for n in (10, 1000, 300_000):
        a, b = (mine(raptors, samples.benign("float64", n, samples.generator(k))) for k in "ab")
        before = a.tobytes(), b.tobytes()
        c = a * b + a / b - a
        d = (a + b) * (a - b) + (b + a)
        e = -(a + b) - -a
        f = (lambda x: x + 1)(a + b) + [a + b][0]
        assert (a.tobytes(), b.tobytes()) == before
        x, y = (numpy.asarray(v) for v in (a, b))
        for ours, theirs in (
            (c, x * y + x / y - x),
            (d, (x + y) * (x - y) + (y + x)),
            (e, -(x + y) - -x),
            (f, x + y + 1 + (x + y)),
        ):
            assert ours.tobytes() == theirs.tobytes()
