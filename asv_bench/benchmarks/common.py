"""What the benchmarks share: the libraries, sizes for each level of the memory, seeded data, the table."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any

import numpy

import raptors

LIBRARIES = ["numpy", "raptors"]

# Elements: call overhead, first-level cache, second-level, last-level, main memory.
SIZES = {"call": 8, "L1": 1_000, "L2": 30_000, "L3": 1_000_000, "memory": 8_000_000}

DTYPES = ["float32", "float64", "int32", "bool"]


def library(name: str) -> ModuleType:
    return importlib.import_module(name)


def rows(*kinds: str) -> list[dict[str, Any]]:
    """The rows of the operation table: what is in it has a benchmark."""
    return [row for row in raptors.ops() if row["kind"] in kinds]


@cache
def data(dtype: str, shape: int | tuple[int, ...], seed: int = 0) -> numpy.ndarray[Any, Any]:
    """The same numbers on every run: no zeros, no special values, small enough for shifts and products."""
    rng = numpy.random.default_rng([20240229, seed])
    kind = numpy.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.integers(1, 7, shape).astype(dtype)
    return rng.uniform(0.5, 1.5, shape).astype(dtype)


def array(np: ModuleType, dtype: str, shape: int | tuple[int, ...], seed: int = 0) -> Any:
    """An array of the library under test, with memory of its own."""
    return np.array(data(dtype, shape, seed))


def takes(function: Any, *arguments: Any) -> bool:
    """Whether the operation is defined for such operands."""
    try:
        function(*arguments)
    except TypeError:
        return False
    return True


def skip(message: str) -> None:
    """asv leaves a benchmark out if its setup raises this."""
    raise NotImplementedError(message)
