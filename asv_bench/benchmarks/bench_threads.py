"""Long calls by one thread and by two: back to back, and after pauses in which threads go to sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .common import LIBRARIES, array, library, skip

CALLS: dict[str, Callable[[ModuleType, Any, Any, Any], Any]] = {
    "add": lambda np, a, b, c: np.add(a, b, out=c),
    "scale": lambda np, a, b, c: np.multiply(a, 2.0, out=c),
    "sum": lambda np, a, b, c: a.sum(),
    "sum, axis 0": lambda np, a, b, c: a.reshape(-1, 1000).sum(axis=0),
    "std": lambda np, a, b, c: a.std(),
}
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


class Streams:
    """Back to back: the threads are awake."""

    params = (list(CALLS), SIZES, (1, 2), LIBRARIES)
    param_names = ("call", "n", "threads", "library")
    pause = 0.0

    def setup(self, call: str, n: int, threads: int, name: str) -> None:
        if name == "numpy" and threads > 1:
            skip("NumPy has one thread")
        self.np = library(name)
        if name == "raptors":
            self.np.set_num_threads(threads)
        self.arrays = [array(self.np, "float32", n, seed) for seed in range(3)]
        self.time_call(call, n, threads, name)

    def time_call(self, call: str, n: int, threads: int, name: str) -> None:
        if self.pause:
            time.sleep(self.pause)
        CALLS[call](self.np, *self.arrays)


class StreamsAfterPauses(Streams):
    """300 microseconds between calls, which the figures include: two threads are never slower than one."""

    pause = 3e-4
