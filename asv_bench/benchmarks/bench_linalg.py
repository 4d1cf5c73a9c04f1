"""Inverses, solutions and determinants of small matrices, alone and in stacks."""

from __future__ import annotations

import numpy

from .common import LIBRARIES, array, library


class Equations:
    params = (("float32", "float64"), ("single", "stack"), (2, 3, 4, 8), LIBRARIES)
    param_names = ("dtype", "matrices", "n", "library")

    def setup(self, dtype: str, matrices: str, n: int, name: str) -> None:
        self.np = library(name)
        stack = (10_000,) if matrices == "stack" else ()
        self.a = array(self.np, dtype, (*stack, n, n)) + n * numpy.eye(n, dtype=dtype)
        self.b = array(self.np, dtype, (*stack, n, 1), 1)

    def time_inv(self, *_: object) -> None:
        self.np.linalg.inv(self.a)

    def time_solve(self, *_: object) -> None:
        self.np.linalg.solve(self.a, self.b)

    def time_det(self, *_: object) -> None:
        self.np.linalg.det(self.a)
