"""Elements moved, selected and found: the memory decides."""

from __future__ import annotations

from typing import Any

from .common import LIBRARIES, SIZES, array, data, library

#: Of `a` and `b`, `mask` (half of them), `at` (a random order), `near` (one within a part that fits L2).
CALLS = {
    "a[mask]": lambda np, x: x.a[x.mask],
    "a[mask] = 0": lambda np, x: x.a.__setitem__(x.mask, 0),
    "a[mask] = values": lambda np, x: x.a.__setitem__(x.mask, x.values),
    "a[at]": lambda np, x: x.a[x.at],
    "take(a, at)": lambda np, x: np.take(x.a, x.at),
    "take(a, near)": lambda np, x: np.take(x.a, x.near),
    "put(a, at, b)": lambda np, x: np.put(x.a, x.at, x.b),
    "where(mask, a, b)": lambda np, x: np.where(x.mask, x.a, x.b),
    "nonzero(mask)": lambda np, x: np.nonzero(x.mask),
    "count_nonzero(mask)": lambda np, x: np.count_nonzero(x.mask),
    "concatenate": lambda np, x: np.concatenate((x.a, x.b)),
    "stack": lambda np, x: np.stack((x.a, x.b)),
    "repeat": lambda np, x: np.repeat(x.a, 2),
    "tile": lambda np, x: np.tile(x.a, 2),
    "roll": lambda np, x: np.roll(x.a, 1001),
    "a[::2].copy()": lambda np, x: x.a[::2].copy(),
    "a[::-1].copy()": lambda np, x: x.a[::-1].copy(),
}


class Moves:
    params = (tuple(CALLS), ("float32", "float64", "int16"), ("L2", "L3"), LIBRARIES)
    param_names = ("call", "dtype", "size", "library")

    def setup(self, call: str, dtype: str, size: str, name: str) -> None:
        self.np, n = library(name), SIZES[size]
        self.a, self.b = array(self.np, dtype, n), array(self.np, dtype, n, 1)
        self.mask = array(self.np, "bool", n)
        self.values = self.a[self.mask]
        order = data("float64", n, 2).argsort()
        self.at, self.near = self.np.array(order), self.np.array(order % min(n, 60_000))

    def time_call(self, call: str, *_: Any) -> None:
        CALLS[call](self.np, self)


class Transposed:
    params = (("float32", "float64", "uint8"), (100, 1000, 2001, 2048, 4096), LIBRARIES)
    param_names = ("dtype", "n", "library")

    def setup(self, dtype: str, n: int, name: str) -> None:
        self.np = library(name)
        self.a, self.out = array(self.np, dtype, (n, n)), array(self.np, dtype, (n, n), 1)

    def time_copy(self, *_: Any) -> None:
        self.a.T.copy()

    def time_copyto(self, *_: Any) -> None:
        self.np.copyto(self.out, self.a.T)

    def time_add(self, *_: Any) -> None:
        self.a + self.a.T


class Interpolation:
    params = (("random", "rising"), (10, 1000, 100_000), LIBRARIES)
    param_names = ("places", "samples", "library")

    def setup(self, places: str, samples: int, name: str) -> None:
        self.np = library(name)
        self.x, self.y = (
            self.np.sort(array(self.np, "float64", samples)),
            array(self.np, "float64", samples, 1),
        )
        self.at = array(self.np, "float64", 300_000, 2)
        if places == "rising":
            self.at.sort()

    def time_interp(self, *_: Any) -> None:
        self.np.interp(self.at, self.x, self.y)
