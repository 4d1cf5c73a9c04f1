"""Every reduction of the table, on every size and axis."""

from __future__ import annotations

from typing import ClassVar

from .common import DTYPES, LIBRARIES, SIZES, array, library, rows, skip, takes

OPS = [row["name"] for row in rows("reduce", "argreduce")]


class Reduce:
    """The whole array to one value."""

    params = (OPS, DTYPES, list(SIZES), LIBRARIES)
    param_names = ("op", "dtype", "size", "library")

    def setup(self, op: str, dtype: str, size: str, name: str) -> None:
        np = library(name)
        self.function = getattr(np, op)
        self.a = array(np, dtype, SIZES[size])
        if not takes(self.function, self.a):
            skip(f"{op} is not defined for {dtype}")

    def time_all(self, op: str, dtype: str, size: str, name: str) -> None:
        self.function(self.a)


class Axes:
    """A square matrix along one axis."""

    params = (OPS, ["float32", "float64"], [64, 512, 2048], [0, 1], LIBRARIES)
    param_names = ("op", "dtype", "side", "axis", "library")

    def setup(self, op: str, dtype: str, side: int, axis: int, name: str) -> None:
        np = library(name)
        self.function = getattr(np, op)
        self.a = array(np, dtype, (side, side))

    def time_axis(self, op: str, dtype: str, side: int, axis: int, name: str) -> None:
        self.function(self.a, axis=axis)


class Shapes:
    """Shapes on which a reduction can be slow: short last axes, pictures, views."""

    SHAPES: ClassVar = {
        "pairs": ((500_000, 2), 1),
        "triples": ((300_000, 3), 1),
        "picture": ((500, 500, 3), (0, 1)),
        "middle": ((100, 100, 100), 1),
        "tall": ((1_000_000, 4), 0),
    }
    params = (["sum", "max", "mean"], list(SHAPES), ["float32", "float64"], LIBRARIES)
    param_names = ("op", "shape", "dtype", "library")

    def setup(self, op: str, shape: str, dtype: str, name: str) -> None:
        np = library(name)
        self.function = getattr(np, op)
        lengths, self.axis = self.SHAPES[shape]
        self.a = array(np, dtype, lengths)

    def time_axis(self, op: str, shape: str, dtype: str, name: str) -> None:
        self.function(self.a, axis=self.axis)


class EarlyStop:
    """any and all may stop at the first element that settles the matter."""

    params = (["any", "all"], ["first", "last", "nowhere"], LIBRARIES)
    param_names = ("op", "where", "library")

    def setup(self, op: str, where: str, name: str) -> None:
        np = library(name)
        self.a = np.full(1_000_000, op == "all")
        if where != "nowhere":
            self.a[0 if where == "first" else -1] = op == "any"
        self.function = getattr(np, op)

    def time_all(self, op: str, where: str, name: str) -> None:
        self.function(self.a)
