"""Bandwidth in GB/s, counting what an operation must read and write once; and what a fresh result costs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from .common import LIBRARIES, array, library

BYTES = {"L1": 16_000, "L2": 256_000, "L3": 4_000_000, "memory": 64_000_000}

# operation -> (bytes moved for each byte of an operand, what to do)
OPERATIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "copy": (2, lambda np, a, b, out: np.copyto(out, a)),
    "fill": (1, lambda np, a, b, out: out.fill(1.0)),
    "scale": (2, lambda np, a, b, out: np.multiply(a, 2.0, out=out)),
    "add": (3, lambda np, a, b, out: np.add(a, b, out=out)),
    "sum": (1, lambda np, a, b, out: a.sum()),
    "max": (1, lambda np, a, b, out: a.max()),
}


class Bandwidth:
    """Gigabytes a second: more is better."""

    params = (list(OPERATIONS), list(BYTES), ["float32", "float64"], LIBRARIES)
    param_names = ("operation", "level", "dtype", "library")
    unit = "GB/s"

    def setup(self, operation: str, level: str, dtype: str, name: str) -> None:
        np = library(name)
        n = BYTES[level] // np.dtype(dtype).itemsize
        self.arguments = np, array(np, dtype, n), array(np, dtype, n, 1), np.zeros(n, dtype)

    def track_bandwidth(self, operation: str, level: str, dtype: str, name: str) -> float:
        factor, function = OPERATIONS[operation]
        calls = max(3, 50_000_000 // BYTES[level])
        best = float("inf")
        for _ in range(5):
            start = perf_counter()
            for _ in range(calls):
                function(*self.arguments)
            best = min(best, perf_counter() - start)
        return factor * BYTES[level] * calls / best / 1e9


class Fresh:
    """Big results that are made and dropped: page faults, not arithmetic, unless memory is used again."""

    params = (["a + b", "a * b + a / b - a", "zeros", "empty and fill"], [1_000_000, 8_000_000], LIBRARIES)
    param_names = ("expression", "n", "library")

    def setup(self, expression: str, n: int, name: str) -> None:
        np = library(name)
        a, b = array(np, "float64", n), array(np, "float64", n, 1)
        self.run: Callable[[], Any] = {
            "a + b": lambda: a + b,
            "a * b + a / b - a": lambda: a * b + a / b - a,
            "zeros": lambda: np.zeros(n),
            "empty and fill": lambda: np.empty(n).fill(1.0),
        }[expression]
        self.run()

    def time_result(self, expression: str, n: int, name: str) -> None:
        self.run()

    def peakmem_result(self, expression: str, n: int, name: str) -> None:
        self.run()
