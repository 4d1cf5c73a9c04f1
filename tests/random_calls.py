"""What random calls are made of."""

from __future__ import annotations

from typing import Any

import numpy
import samples


class RandomCase:
    """Draws, the same for the same seed."""

    def __init__(self, name: str, seed: int) -> None:
        self.seed = seed
        self.rng = samples.generator(name, seed)

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
