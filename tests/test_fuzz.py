"""Differential fuzzing against NumPy: seeded calls over everything that a call can vary in.

RAPTORS_FUZZ_CASES sets how many cases run; RAPTORS_FUZZ_SEED=n replays the one case that a failure names.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import Any

import numpy
import pytest
import samples
from helpers import (
    ANY_ZERO,
    DISABLED,
    NUMPY,
    OPS,
    Rules,
    clones,
    counted,
    named,
    rules_for,
)
from random_calls import ONE, RandomCase, compare_cases

import raptors

pytestmark = pytest.mark.skipif(NUMPY == (2, 0), reason="NumPy 2.0 crashes: greater(-45, uint32, out=bool)")

CASES = int(os.environ.get("RAPTORS_FUZZ_CASES", "20000"))
PARTS = 4

ROWS = [row for row in OPS if row["kind"] != "ternary"]
BORROWED = ("float16", "complex128", "longdouble")


class Case(RandomCase):
    """One random call, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        super().__init__("fuzz", seed)
        self.row = self.pick(ROWS)
        self.inputs: list[Any] = []
        self.keywords: dict[str, Any] = {}
        self.out: Any = None
        self.where: Any = None
        self.method = self.chance(0.3)
        self.rules = rules_for(self.row["name"])
        if self.row["kind"] in ("reduce", "argreduce"):
            self.reduction()
        else:
            self.elementwise()

    def dtype(self) -> str:
        if self.chance(0.04):
            return str(self.pick(BORROWED))
        return str(self.pick(self.row["types"]) if self.chance(0.7) else self.pick(samples.DTYPES))

    def shape(self, ndim: int) -> tuple[int, ...]:
        sizes = (0, 1, 1, 2, 3, 5, 8, 17) if ndim > 1 else (0, 1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 65, 130)
        return tuple(int(self.pick(sizes)) if not self.chance(0.03) else 40 for _ in range(ndim))

    def values(self, dtype: str, shape: tuple[int, ...], wild: bool) -> Any:
        n = int(numpy.prod(shape))
        if dtype in BORROWED:
            return self.rng.integers(1, 5, n).astype(dtype).reshape(shape)
        # Where these overflow, NumPy's loops for one layout and another give other infinities and NaNs.
        differs = numpy.dtype(dtype).kind == "c" and self.row["name"] in ("multiply", "square", "absolute")
        make = samples.mixed if wild and not differs else samples.tame
        return make(dtype, n, self.rng).reshape(shape)

    def scalar(self, dtype: str) -> Any:
        value = samples.tame(dtype, 1, self.rng)[0] if self.chance(0.7) else self.pick(samples.special(dtype))
        kind = int(self.rng.integers(4))
        return value if kind == 0 else numpy.array(value) if kind == 1 else value.item()

    def elementwise(self) -> None:
        row = self.row
        shape = self.shape(int(self.pick((0, 1, 1, 1, 2, 2, 3, 4))))
        first = self.dtype()
        same = self.chance(0.6)
        wild = self.chance(0.7)
        for i in range(row["inputs"]):
            dtype = first if same else self.dtype()
            if i and self.chance(0.2) and dtype not in BORROWED:
                self.inputs.append(self.scalar(dtype))
                continue
            mine = shape
            if row["inputs"] == 2 and self.chance(0.3):  # broadcast
                mine = tuple(1 if self.chance(0.4) else n for n in shape)[
                    int(self.rng.integers(len(shape) + 1)) :
                ]
            a = self.values(dtype, mine, wild)
            if self.chance(0.05) and a.ndim:
                a = numpy.broadcast_to(a[:1], a.shape) if a.shape[0] else a
            self.inputs.append(self.layout(a))
        if row["inputs"] == 2 and self.chance(0.15):
            self.inputs.reverse()
        self.rules = rules_for(row["name"], *(a for a in self.inputs if isinstance(a, numpy.ndarray)))
        if row["name"] in ("fmin", "fmax"):
            self.rules = ANY_ZERO
        try:
            full = numpy.broadcast_shapes(*(numpy.shape(x) for x in self.inputs))
        except ValueError:
            full = shape
        if self.chance(0.3):
            result = (
                "bool"
                if row["result"] == "boolean"
                else (first if self.chance(0.8) else str(self.pick(samples.DTYPES)))
            )
            if result in BORROWED:
                result = "complex128"
            target = full if self.chance(0.9) else (2, *full)
            self.out = self.layout(numpy.ones(target, result))
        if self.chance(0.15):
            mask = self.rng.random(full) < 0.5 if self.chance(0.7) else self.rng.random(full[-1:]) < 0.5
            self.where = self.layout(mask)
            if self.out is None:
                self.out = numpy.ones(full, "bool" if row["result"] == "boolean" else "float64")
        if self.chance(0.1):
            self.keywords["dtype"] = str(self.pick(samples.DTYPES))
        if self.chance(0.1):
            self.keywords["casting"] = self.pick(("no", "safe", "same_kind", "unsafe"))
        if self.chance(0.05):
            self.keywords["order"] = self.pick(("C", "F", "A", "K"))
        if self.out is not None:  # the loop may be of less precision
            self.rules = replace(self.rules, loop="float32")
        self.method = False

    def reduction(self) -> None:
        row = self.row
        dtype = self.dtype()
        shape = self.shape(int(self.pick((0, 1, 1, 2, 2, 3, 4))))
        exact = row["exact"] or row["kind"] == "argreduce"
        # Long integers of any size have sums that cancel; what is left depends on their order.
        whole = numpy.dtype(dtype).kind in "biu" and numpy.dtype(dtype).itemsize < 8
        a = self.values(dtype, shape, exact or whole)
        if not exact and numpy.dtype(dtype).kind == "f" and dtype not in BORROWED:
            a = abs(a)
        self.inputs.append(self.layout(a))
        if self.chance(0.7):
            axes: list[Any] = [None, *range(-a.ndim, a.ndim)]
            if row["kind"] == "reduce" and a.ndim > 1:
                axes += [(0, 1), (-1, 0), tuple(range(a.ndim))]
            self.keywords["axis"] = self.pick(axes) if self.chance(0.95) else 7
        if self.chance(0.3):
            self.keywords["keepdims"] = self.chance(0.7)
        self.method &= row["method"]
        parameters = row["parameters"].split()
        if row["kind"] == "reduce":
            if "initial" in parameters and self.chance(0.2):
                self.keywords["initial"] = self.pick((0, 1, 2, 5))
            if "dtype" in parameters and not row["finish"] and self.chance(0.15):
                wider = {"float32": ("float32", "float64"), "float64": ("float64",)}
                self.keywords["dtype"] = self.pick(wider.get(dtype, ("int64", "int32", "uint8")))
            if "where" in parameters and self.chance(0.15):
                self.where = self.layout(self.rng.random(a.shape if self.chance(0.6) else a.shape[-1:]) < 0.6)
        if "out" in parameters and self.chance(0.2):
            try:
                r = named(numpy, row["name"])(self.inputs[0], **self.keywords)
                self.out = self.layout(numpy.zeros(r.shape, r.dtype))
            except Exception:
                self.out = None
        if row["combine"] in ("minimum", "maximum", "fmin", "fmax"):
            self.rules = ANY_ZERO
        elif not exact:
            rough = {"float16": 2e-2, "float32": 2e-5, "float64": 1e-12}
            self.rules = Rules(
                rtol=rough.get("float32" if dtype == "float32" else dtype, 1e-12), zero_sign=True
            )

    def skipped(self) -> bool:
        """Calls that NumPy itself gets wrong."""
        strided = self.out is not None and not self.out.flags.c_contiguous
        if self.row["name"] in ("isnan", "isinf", "isfinite", "signbit") and strided:
            return True
        if self.where is not None and any(type(x) is int for x in self.inputs):
            return True  # NumPy up to 2.5 crashes in comparisons with integers out of range
        arrays = [a for a in (*self.inputs, self.out) if isinstance(a, numpy.ndarray)]
        return self.row["name"] == "negative" and any(
            abs(s) % 64 == 0 and s for a in arrays for s in a.strides
        )

    def run(self, xp: Any) -> Any:
        out, where, *inputs = clones(xp, self.out, self.where, *self.inputs)
        keywords = dict(self.keywords)
        if out is not None:
            keywords["out"] = out
        if where is not None:
            keywords["where"] = where
        if self.method and isinstance(inputs[0], numpy.ndarray):
            result = getattr(inputs[0], self.row["name"])(**keywords)
        else:
            result = named(xp, self.row["name"])(*inputs, **keywords)
        if out is not None:
            assert result is out
        return result

    def __str__(self) -> str:
        def show(x: Any) -> str:
            return f"{x.dtype}{x.shape}strides{x.strides}" if isinstance(x, numpy.ndarray) else repr(x)

        parts = [show(x) for x in self.inputs] + [f"{k}={v!r}" for k, v in self.keywords.items()]
        parts += [f"{k}={show(v)}" for k, v in (("out", self.out), ("where", self.where)) if v is not None]
        return f"RAPTORS_FUZZ_SEED={self.seed} {self.row['name']}({', '.join(parts)})"


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Values, dtypes, layout, flags, warnings and exceptions are NumPy's; most calls are native."""
    compare_cases(Case, range(part, CASES, PARTS), PARTS, 0.6, capsys)


def loop_of(row: dict[str, Any], dtype: str) -> str:
    """The dtype whose kernel runs, which is what a call is counted by."""
    if row.get("map") == "truth":
        return "bool"
    averages = row.get("map") == "elements" and "divide" in row["finish"]
    return "float64" if averages and not dtype.startswith("float") else dtype


@pytest.mark.skipif(DISABLED or bool(ONE), reason="counts native calls")
def test_every_row_and_dtype_was_hit() -> None:
    """The generator reaches every kernel (a smaller sample does for this)."""
    with counted() as count, numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of empty arrays, and of nothing but NaNs
        for seed in range(0, 24_000):
            case = Case(seed + 10_000_000)
            if numpy.dtype(getattr(case.inputs[0], "dtype", float)).name in samples.DTYPES:
                mismatch_free = [a for a in case.inputs if isinstance(a, numpy.ndarray)]
                keywords = case.keywords if "combine" in case.row else {}
                plain = case.out is None and case.where is None and case.keywords == keywords
                if mismatch_free and plain:
                    try:
                        named(raptors, case.row["name"])(*clones(raptors, *case.inputs), **keywords)
                    except (TypeError, ValueError, OverflowError):
                        continue
    hit = {(row["function"], row["dtype"]) for row in count.rows if row["native"]}
    missing = [
        (row["name"], dtype)
        for row in ROWS
        for dtype in row["types"]
        if (row["name"], loop_of(row, dtype)) not in hit
    ]
    assert len(missing) <= 0.02 * sum(len(row["types"]) for row in ROWS), missing
