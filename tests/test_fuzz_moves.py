"""Differential fuzzing of indexing and of what moves elements: every dtype whose elements are bytes.

RAPTORS_FUZZ_MOVES sets how many cases run; RAPTORS_FUZZ_SEED=n replays the one case that a failure names.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy
import pytest
from helpers import clones, named
from random_calls import RandomCase, compare_cases
from test_moves import DTYPES

CASES = int(os.environ.get("RAPTORS_FUZZ_MOVES", "100000"))
PARTS = 4

ALL: dict[str, Any] = {
    **{name: numpy.dtype(name) for name in ("i1", "u2", "i4", "u8", "i8", "f4", "f8", "c8")},
    **DTYPES,
}


class Case(RandomCase):
    """One random call: a name, operands, and what is done with them."""

    def __init__(self, seed: int) -> None:
        super().__init__("fuzz moves", seed)
        self.array = self.layout(self.elements(self.pick(list(ALL)), self.shape()))
        self.operands: list[Any] = [self.array]
        self.arguments: list[Any] = []
        self.keywords: dict[str, Any] = {}
        group, self.name = self.pick(CALLS)
        getattr(self, group)()

    # ---- operands

    def shape(self) -> tuple[int, ...]:
        ndim = int(self.pick((1, 1, 1, 2, 2, 2, 3, 3, 4)))
        sizes = (1, 2, 3, 4, 5, 7) if ndim > 1 else (1, 2, 3, 5, 8, 9, 16, 17, 40, 70)
        return tuple(0 if self.chance(0.01) else int(self.pick(sizes)) for _ in range(ndim))

    def elements(self, dtype: str, shape: tuple[int, ...]) -> Any:
        n = math.prod(shape)
        kind = ALL[dtype]
        if kind.kind == "U":
            return numpy.array([str(i % 7) for i in range(n)], kind).reshape(shape)
        if kind.kind in "fciu":
            return self.rng.integers(0, 99, n).astype(kind).reshape(shape)
        a = self.rng.integers(0, 2, n * kind.itemsize, "u1").view(kind).reshape(shape)
        if not kind.names:
            return a
        b = numpy.zeros(shape, kind)
        for name in kind.names:
            if "U" not in str(kind[name]):
                b[name] = a[name]
        return b

    def alike(self, shape: tuple[int, ...]) -> Any:
        """Elements of the array's dtype."""
        if not self.array.size:
            return numpy.zeros(shape, self.array.dtype)
        return self.array.ravel()[self.rng.integers(0, self.array.size, math.prod(shape))].reshape(shape)

    def axis(self) -> Any:
        if self.chance(0.01):
            return self.array.ndim
        return int(self.rng.integers(-self.array.ndim, self.array.ndim))

    def integers(self, length: int, shape: tuple[int, ...]) -> Any:
        """Indices along an axis, most of them in range."""
        low, high = (-length, length) if length else (0, 1)
        if self.chance(0.005):
            high += 2
        return self.rng.integers(low, high, shape)

    def index_shape(self) -> tuple[int, ...]:
        return self.pick(((3,), (3,), (1,), (5,), (20,), (2, 3), (3, 1), (1, 3), (4, 2, 2)))

    def index(self, length: int, shape: tuple[int, ...], safe: float = 0.0) -> Any:
        """`safe`: how often no dtype that functions refuse to cast."""
        values = self.integers(length, shape)
        if self.chance(0.1) and values.ndim == 1:
            return values.tolist()
        dtype = self.pick(("i8", "i8", "i8", "i4", "i1", "u8", "u1"))
        if dtype == "u8" and self.chance(safe):
            dtype = "u4"
        if dtype[0] == "u":  # as many from the beginning
            values = numpy.where(values < 0, values + length, values)
        return self.layout(values.astype(dtype))

    # ---- keys

    def key(self) -> Any:
        shape = self.array.shape
        form = self.rng.random()
        if form < 0.12:
            mask = self.rng.random(shape) < self.pick((0.1, 0.5, 0.9))
            return self.layout(mask)
        if form < 0.2 and shape:
            at = int(self.rng.integers(1, len(shape) + 1))
            return self.rng.random(shape[:at]) < 0.5
        several = self.index_shape()
        items: list[Any] = []
        axis = 0
        while axis < len(shape):
            length, kind = shape[axis], self.rng.random()
            axis += 1
            if kind < 0.06:
                items.append(None)
                axis -= 1
            elif kind < 0.12 and Ellipsis not in [
                x for x in items if not isinstance(x, (numpy.ndarray, list))
            ]:
                items.append(...)
                axis = min(len(shape), axis - 1 + int(self.rng.integers(len(shape) - axis + 2)))
            elif kind < 0.35:
                items.append(self.slice(length))
            elif kind < 0.55:
                items.append(int(self.integers(length, ())))
            elif kind < 0.57:
                items.append(self.rng.random(length) < 0.5)
            elif kind < 0.95:
                mine = several if self.chance(0.7) else tuple(1 if self.chance(0.5) else n for n in several)
                items.append(self.index(length, mine))
            else:
                break
        return items[0] if len(items) == 1 and self.chance(0.7) else tuple(items)

    def slice(self, length: int) -> slice:
        def bound() -> Any:
            return None if self.chance(0.4) else int(self.rng.integers(-length - 1, length + 2))

        return slice(bound(), bound(), self.pick((None, None, 1, 2, 3, -1, -2)))

    def getting(self) -> None:
        self.keep(self.key())

    def setting(self) -> None:
        key = self.key()
        self.keep(key)
        try:
            shape = self.array[key].shape
        except (IndexError, DeprecationWarning):  # NumPy 2.0 warns where nothing is selected
            shape = (2,)
        self.operands.append(self.value(shape))

    def value(self, shape: tuple[int, ...]) -> Any:
        """Something to assign to a part of this shape."""
        kind = self.rng.random()
        if kind < 0.15 and self.array.dtype.kind in "iufc" and self.array.dtype.isnative:
            return int(self.rng.integers(0, 50))
        if kind < 0.16:
            return self.alike((*shape, 2))
        mine = tuple(1 if self.chance(0.2) else n for n in shape)[int(self.rng.integers(len(shape) + 1)) :]
        return self.layout(self.alike(shape if self.chance(0.6) else mine))

    def keep(self, key: Any) -> None:
        """Arrays of the key become operands, so that each library has its own."""
        self.operands += [
            x for x in (key if isinstance(key, tuple) else (key,)) if isinstance(x, numpy.ndarray)
        ]
        self.form = key

    def rebuilt(self, arrays: list[Any]) -> Any:
        def one(x: Any) -> Any:
            return arrays.pop(0) if isinstance(x, numpy.ndarray) else x

        return tuple(one(x) for x in self.form) if isinstance(self.form, tuple) else one(self.form)

    # ---- functions

    def taking(self) -> None:
        axis = None if self.chance(0.3) else self.axis()
        length = self.array.size if axis is None else self.array.shape[axis] if axis < self.array.ndim else 3
        self.operands.append(self.index(length, self.index_shape(), 0.9))
        self.keywords["axis"] = axis
        if self.chance(0.3):
            self.keywords["mode"] = self.pick(("wrap", "clip", "raise"))

    def putting(self) -> None:
        shape = self.index_shape()
        self.operands += [self.index(self.array.size, shape, 0.9), self.value(shape)]

    def along(self) -> None:
        axis = self.axis()
        shape = list(self.array.shape)
        if axis < len(shape):
            shape[axis] = int(self.pick((1, 2, 3, 6)))
        if self.chance(0.1):
            shape[int(self.rng.integers(len(shape)))] = 1
        length = self.array.shape[axis] if axis < self.array.ndim else 3
        self.operands.append(self.layout(self.integers(length, tuple(shape))))
        if self.name == "put_along_axis":
            self.operands.append(self.value(tuple(shape)))
        self.arguments.append(axis)

    def masking(self) -> None:
        """compress, extract: the mask comes first."""
        if self.name == "compress":
            self.array = self.operands[0] = self.array.ravel()
        self.operands.insert(0, self.rng.random(self.array.shape) < 0.5)

    def placing(self) -> None:
        self.operands.append(self.layout(self.rng.random(self.array.shape) < 0.5))
        shape = (
            self.array.shape
            if self.name == "putmask" or self.chance(0.3)
            else (int(self.pick((1, 2, 3, 30))),)
        )
        self.operands.append(self.value(shape) if self.chance(0.5) else self.alike(shape))

    def copying_to(self) -> None:
        self.operands.append(self.value(self.array.shape))
        if self.chance(0.7):
            shape = (
                self.array.shape[int(self.rng.integers(self.array.ndim)) :]
                if self.chance(0.3)
                else self.array.shape
            )
            self.operands.append(self.layout(self.rng.random(shape) < 0.5))

    def alone(self) -> None:
        pass

    def searching(self) -> None:
        """Truth has kernels for numbers and dates."""
        if self.array.dtype.kind not in "biufcmM" and self.chance(0.9):
            numbers = self.elements(
                self.pick(("i1", "f4", "f8", "c8", "?", "f2", "M8[ns]")), self.array.shape
            )
            self.array = self.operands[0] = self.layout(numbers)

    def by_axis(self) -> None:
        self.keywords["axis"] = self.axis()

    def by_axes(self) -> None:
        self.arguments += [self.axis(), self.axis()]

    def joining(self) -> None:
        n = int(self.pick((1, 2, 2, 3)))
        axis = self.axis()
        shape = list(self.array.shape)
        for _ in range(n - 1):
            if self.name == "concatenate" and axis < len(shape):
                shape[axis] = int(self.pick((1, 2, 5)))
            self.operands.append(self.layout(self.alike(tuple(shape))))
        if self.name in ("concatenate", "stack"):
            self.keywords["axis"] = axis

    def repeating(self) -> None:
        self.arguments.append(int(self.pick((1, 2, 3, 5))))
        if self.name == "roll":
            self.arguments[0] = int(self.rng.integers(-9, 9))
        if self.name != "tile" and self.chance(0.6):
            self.keywords["axis"] = self.axis()
        if self.name == "tile":
            self.array = self.operands[0] = self.array.ravel()

    def deleting(self) -> None:
        axis = None if self.chance(0.3) else self.axis()
        length = self.array.size if axis is None else self.array.shape[axis] if axis < self.array.ndim else 3
        form = self.rng.random()
        if form < 0.4:
            self.arguments.append(int(self.integers(length, ())))
        elif form < 0.6:
            self.arguments.append(self.slice(length))
        else:
            mask = self.rng.random(length) < 0.4
            self.operands.append(mask if form < 0.8 else self.index(length, self.index_shape()))
        self.keywords["axis"] = axis

    def inserting(self) -> None:
        axis = None if self.chance(0.6) else self.axis()
        length = self.array.size if axis is None else self.array.shape[axis] if axis < self.array.ndim else 3
        if axis is not None and self.chance(0.7):
            self.array = self.operands[0] = self.array.ravel()
            axis, length = 0, self.array.size
        self.arguments.append(int(self.integers(length + 1, ())) if self.chance(0.97) else -length - 2)
        self.keywords["axis"] = axis
        self.keywords["values"] = self.value(self.pick(((), (1,), (3,), (2, 1))))

    def reshaping(self) -> None:
        self.arguments.append(self.pick(((-1,), (self.array.size,), (1, -1), (-1, self.array.shape[-1]))))

    def of_numbers(self, shape: tuple[int, ...]) -> None:
        """Mostly: an array of numbers in C order."""
        if self.chance(0.95):
            numbers = ("?", "i1", "u2", "i4", "u8", "i8", "f4", "f8", "f2", "c8", "c16")
            self.array = self.operands[0] = self.elements(self.pick(numbers), shape)

    def splitting(self) -> None:
        axis = self.axis()
        length = self.array.shape[axis] if axis < self.array.ndim else 3
        if self.chance(0.5):
            parts = [n for n in range(1, length + 1) if length % n == 0] or [1]
            sections = int(self.pick(parts if self.name == "split" else (1, 2, 3, 4)))
            self.arguments.append(sections)
        else:
            self.arguments.append(
                self.rng.integers(-length - 1, length + 2, int(self.pick((0, 1, 2)))).tolist()
            )
        self.keywords["axis"] = axis

    def turning(self) -> None:
        self.arguments.append(int(self.rng.integers(-5, 6)))
        if self.array.ndim < 2 and self.chance(0.95):
            self.array = self.operands[0] = self.layout(self.alike((2, 3)))

    def by_diagonal(self) -> None:
        shape = self.array.shape
        if self.name in ("tril", "triu"):
            self.of_numbers(shape if len(shape) > 1 else (3, 4))
        elif self.chance(0.95):
            sides = ((4,), (7,), (3, 5)) if self.name == "diag" else ((4,), (2, 3))
            self.array = self.operands[0] = self.layout(self.alike(self.pick(sides)))
        self.arguments.append(int(self.rng.integers(-4, 5)))

    def filling(self) -> None:
        self.of_numbers(self.pick(((3, 3), (4, 2), (2, 5), (3, 3, 3))))
        self.arguments.append(int(self.rng.integers(0, 2)))

    def padding(self) -> None:
        self.of_numbers(self.array.shape)
        pairs = self.rng.integers(0, 4, (self.array.ndim, 2)).tolist()
        self.arguments.append(self.pick((2, (1, 2), 0)) if self.chance(0.5) else pairs)
        if self.chance(0.5):
            self.keywords["constant_values"] = int(self.rng.integers(0, 2))

    def resizing(self) -> None:
        self.of_numbers(self.array.shape)
        self.arguments.append(self.pick((1, 5, 30, (2, 3), (3, 1, 4))))

    def trimming(self) -> None:
        self.of_numbers((int(self.pick((1, 5, 9))),))
        if self.array.ndim == 1 and self.array.size > 2 and self.array.dtype.kind in "biufc":
            self.array[[0, -1, 1]] = 0
        self.arguments.append(self.pick(("fb", "f", "b")))

    def choosing(self) -> None:
        self.of_numbers(self.array.shape)
        n = int(self.pick((1, 2, 3)))
        numbers = self.rng.integers(0, n + (1 if self.chance(0.01) else 0), self.array.shape)
        self.operands = [self.layout(numbers.astype(self.pick(("i8", "u1", "i4"))))]
        self.operands += [self.layout(self.alike(self.array.shape)) for _ in range(n)]

    def finding(self) -> None:
        dtype = self.pick(("?", "i1", "u2", "i4", "u8", "i8", "f4", "f8"))
        a = numpy.sort(self.elements(dtype, (int(self.pick((0, 1, 5, 8, 40))),)))
        self.array = self.operands[0] = a
        self.operands.append(self.elements(dtype, self.shape()))
        self.arguments.append(self.pick(("left", "right")))

    def run(self, xp: Any) -> Any:
        a, *others = clones(xp, *self.operands)
        if self.name == "__getitem__":
            return a[self.rebuilt(others)]
        if self.name == "__setitem__":
            value = others.pop()
            a[self.rebuilt(others)] = value
            return a
        if self.name == "copyto":
            xp.copyto(a, others[0], **({"where": others[1]} if len(others) > 1 else {}))
            return a
        if self.name in ("concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"):
            return named(xp, self.name)([a, *others], **self.keywords)
        if self.name == "choose":
            return xp.choose(a, others)
        keywords = {key: clones(xp, x)[0] for key, x in self.keywords.items()}
        result = named(xp, self.name)(a, *others, *self.arguments, **keywords)
        return a if result is None else result

    def __str__(self) -> str:
        def show(x: Any) -> str:
            return f"{x.dtype}{x.shape}strides{x.strides}" if isinstance(x, numpy.ndarray) else repr(x)

        form = getattr(self, "form", None)
        parts = [show(x) for x in (*self.operands, *self.arguments)]
        parts += [f"{k}={v!r}" for k, v in self.keywords.items()]
        if form is not None:
            parts += ["key: " + ", ".join(show(x) for x in (form if isinstance(form, tuple) else (form,)))]
        return f"RAPTORS_FUZZ_SEED={self.seed} {self.name}({'; '.join(parts)})"


#: The method of Case that makes a call, and the call's name; common ones more than once.
CALLS = [
    *[("getting", "__getitem__")] * 12,
    *[("setting", "__setitem__")] * 12,
    *[("taking", "take")] * 3,
    *[("putting", "put")] * 2,
    ("along", "take_along_axis"),
    ("along", "put_along_axis"),
    ("masking", "compress"),
    ("masking", "extract"),
    ("placing", "place"),
    ("placing", "putmask"),
    *[("copying_to", "copyto")] * 2,
    *[("alone", name) for name in ("copy", "ravel", "transpose", "squeeze")],
    *[
        ("alone", name)
        for name in ("ascontiguousarray", "asfortranarray", "atleast_2d", "flipud", "zeros_like")
    ],
    *[("searching", name) for name in ("flatnonzero", "nonzero", "argwhere")],
    *[("by_axis", name) for name in ("flip", "expand_dims")],
    *[("by_axes", name) for name in ("moveaxis", "swapaxes")],
    *[("joining", name) for name in ("concatenate", "stack", "hstack", "vstack", "dstack", "column_stack")],
    *[("repeating", name) for name in ("repeat", "tile", "roll")],
    ("deleting", "delete"),
    ("inserting", "insert"),
    ("reshaping", "reshape"),
    *[("splitting", name) for name in ("split", "array_split")],
    ("turning", "rot90"),
    *[("by_diagonal", name) for name in ("diag", "diagflat", "tril", "triu")],
    ("filling", "fill_diagonal"),
    ("padding", "pad"),
    ("resizing", "resize"),
    ("trimming", "trim_zeros"),
    ("choosing", "choose"),
    ("finding", "searchsorted"),
]


@pytest.mark.parametrize("part", range(PARTS))
def test_random_moves(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Values, dtypes, layout, flags, warnings and exceptions are NumPy's; nearly all calls are native."""
    compare_cases(Case, range(part, CASES, PARTS), PARTS, 0.9, capsys)
