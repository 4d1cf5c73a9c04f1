"""What random calls are made of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, Mismatches, Rules, counted, mismatch

import raptors

#: The one case that runs, if it is named.
ONE = os.environ.get("RAPTORS_FUZZ_SEED")


class RandomCase:
    """Draws, the same for the same seed."""

    def __init__(self, name: str, seed: int) -> None:
        self.seed = seed
        self.rng = samples.generator(name, seed)
        self.rules: Rules = EXACT

    def skipped(self) -> bool:
        """Whether NumPy itself gets it wrong."""
        return False

    def run(self, xp: Any) -> Any:
        raise NotImplementedError  # each kind of call has its own

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def layout(self, a: Any) -> Any:
        """The same values with other strides, alignment, order or byte order."""
        how = int(self.rng.integers(10))
        if how < 4 or a.ndim == 0 or a.dtype.char in "gD":
            return a
        if how == 4:
            return a.copy(order="F")
        if how == 5:
            axes = tuple(int(i) for i in self.rng.permutation(a.ndim))
            return numpy.ascontiguousarray(a.transpose(axes)).transpose(numpy.argsort(axes))
        if how == 6:
            flips = tuple(slice(None, None, -1) if self.chance(0.5) else slice(None) for _ in range(a.ndim))
            return a[flips].copy()[flips]
        if how == 7:
            steps = [int(self.pick((1, 2, 3, 5))) for _ in range(a.ndim)]
            room = numpy.zeros([n * s for n, s in zip(a.shape, steps, strict=True)], a.dtype)
            view = room[tuple(slice(None, None, s) for s in steps)]
            view[...] = a
            return view
        if how == 8:
            offset = int(self.rng.integers(1, 64))
            room = numpy.zeros(a.nbytes + offset, "u1")[offset:].view(a.dtype)
            room[...] = a.ravel()
            return room.reshape(a.shape)
        if self.chance(0.2) and a.dtype.itemsize > 1:
            return a.astype(a.dtype.newbyteorder(">"))
        packed = numpy.zeros(a.shape, [("pad", "u1"), ("value", a.dtype)])
        packed["value"] = a
        return packed["value"]


def compare_cases(
    kind: type[Any], seeds: Iterable[int], parts: int, native: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails if a case differs from NumPy, or less than the share `native` of the calls was that.

    The instruction sets take turns. `kind`: a RandomCase that is made of a seed.
    """
    found = Mismatches()
    names = raptors.available_isas()
    with counted() as count:
        for seed in [int(ONE)] if ONE else seeds:
            case = kind(seed)
            if case.skipped():
                continue
            isa = names[(seed // parts) % len(names)]
            with raptors.simd(isa):
                problem = mismatch(case.run, case.rules)
            found.add(f"{case} on {isa}" if problem else "", problem)
    with capsys.disabled():
        print(f"\n{found.cases} cases, {count.share:.1%} of {count.total} calls native")
    found.done()
    assert ONE or DISABLED or count.share >= native, count.reasons()
