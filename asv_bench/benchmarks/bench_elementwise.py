"""Every elementwise operation of the table, on every size; then the layouts, on addition."""

from __future__ import annotations

from typing import Any

from .common import DTYPES, LIBRARIES, SIZES, array, library, rows, skip, takes

INPUTS = {
    row["name"]: {"unary": 1, "binary": 2, "ternary": 3}[row["kind"]]
    for row in rows("unary", "binary", "ternary")
}


class Elementwise:
    """A fresh result each time."""

    params = (list(INPUTS), DTYPES, list(SIZES), LIBRARIES)
    param_names = ("op", "dtype", "size", "library")

    def setup(self, op: str, dtype: str, size: str, name: str) -> None:
        np = library(name)
        self.function = getattr(np, op)
        arrays = [array(np, dtype, SIZES[size], seed) for seed in range(INPUTS[op])]
        if op == "where":
            arrays[0] = array(np, "bool", SIZES[size])
        if op == "clip":
            arrays = [arrays[0], arrays[1].min(), arrays[2].max()]
        if not takes(self.function, *arrays):
            skip(f"{op} is not defined for {dtype}")
        self.arrays = arrays

    def time_new(self, op: str, dtype: str, size: str, name: str) -> None:
        self.function(*self.arrays)


class Into:
    """The result goes into an array that is there already."""

    params = (
        [op for op in INPUTS if op not in ("where", "clip")],
        ["float64"],
        ["call", "L2", "memory"],
        LIBRARIES,
    )
    param_names = ("op", "dtype", "size", "library")

    def setup(self, op: str, dtype: str, size: str, name: str) -> None:
        np = library(name)
        self.function = getattr(np, op)
        self.arrays = [array(np, dtype, SIZES[size], seed) for seed in range(INPUTS[op])]
        if not takes(self.function, *self.arrays):
            skip(f"{op} is not defined for {dtype}")
        self.out = self.function(*self.arrays)

    def time_out(self, op: str, dtype: str, size: str, name: str) -> None:
        self.function(*self.arrays, out=self.out)


LAYOUTS = {
    "contiguous": lambda a, b: (a, b),
    "scalar": lambda a, b: (a, 1.5),
    "row": lambda a, b: (a, b[0]),
    "column": lambda a, b: (a, b[:, :1]),
    "transposed": lambda a, b: (a, b.T),
    "every other": lambda a, b: (a[:, ::2], b[:, ::2]),
    "reversed": lambda a, b: (a[:, ::-1], b),
    "part of rows": lambda a, b: (a[:, :500], b[:, :500]),
}


class Layouts:
    """Addition of two matrices of 1000 x 1000 in memory orders that programs have."""

    params = (list(LAYOUTS), ["float32", "float64"], LIBRARIES)
    param_names = ("layout", "dtype", "library")

    def setup(self, layout: str, dtype: str, name: str) -> None:
        np = library(name)
        self.a, self.b = LAYOUTS[layout](array(np, dtype, (1000, 1000)), array(np, dtype, (1000, 1000), 1))

    def time_add(self, layout: str, dtype: str, name: str) -> None:
        _ = self.a + self.b


class ShortRows:
    """A short inner axis, where the cost of starting a loop shows."""

    params = (["float32", "float64"], LIBRARIES)
    param_names = ("dtype", "library")

    def setup(self, dtype: str, name: str) -> None:
        np = library(name)
        self.points = array(np, dtype, (100_000, 3))
        self.shift = array(np, dtype, 3, 1)

    def time_add_in_place(self, dtype: str, name: str) -> None:
        self.points += self.shift

    def time_scale_columns(self, dtype: str, name: str) -> None:
        _ = self.points * self.shift


class Scale:
    """array * scalar at the sizes where an earlier raptors lost."""

    params = ([512, 1024, 2048], ["float32", "float64"], LIBRARIES)
    param_names = ("side", "dtype", "library")

    def setup(self, side: int, dtype: str, name: str) -> None:
        self.a = array(library(name), dtype, (side, side))

    def time_scale(self, side: int, dtype: str, name: str) -> None:
        _ = self.a * 1.0001


class Casts:
    """astype, copy and fill."""

    params = (["bool", "int32", "int64", "float32", "float64"], ["int32", "float32", "float64"], LIBRARIES)
    param_names = ("source", "target", "library")

    def setup(self, source: str, target: str, name: str) -> None:
        self.a: Any = array(library(name), source, SIZES["L3"])

    def time_astype(self, source: str, target: str, name: str) -> None:
        self.a.astype(target)
