"""Every scan of the table, on every size and axis."""

from __future__ import annotations

import operator

from .common import DTYPES, LIBRARIES, SIZES, array, library, rows

OPS = [row["name"] for row in rows("scan")]


class Scan:
    """One run: each element waits for the one before."""

    params = (OPS, DTYPES, list(SIZES), LIBRARIES)
    param_names = ("op", "dtype", "size", "library")

    def setup(self, op: str, dtype: str, size: str, name: str) -> None:
        np = library(name)
        self.function = operator.attrgetter(op)(np)
        self.a = array(np, dtype, SIZES[size])

    def time_all(self, op: str, dtype: str, size: str, name: str) -> None:
        self.function(self.a)


class Axes:
    """A square matrix along one axis."""

    params = (OPS, ["float32", "float64"], [64, 512, 2048], [0, 1], LIBRARIES)
    param_names = ("op", "dtype", "side", "axis", "library")

    def setup(self, op: str, dtype: str, side: int, axis: int, name: str) -> None:
        np = library(name)
        self.function = operator.attrgetter(op)(np)
        self.a = array(np, dtype, (side, side))

    def time_axis(self, op: str, dtype: str, side: int, axis: int, name: str) -> None:
        self.function(self.a, axis=axis)
