"""Constructors that pickles of raptors' arrays name."""

from __future__ import annotations

from typing import Any

from numpy._core.numeric import _frombuffer as _numpy_frombuffer  # type: ignore[attr-defined]

from raptors import _raptors_core as _core

_frombuffer = _core._wrap(_numpy_frombuffer, "raptors._pickle._frombuffer", "deep", True)


def frombuffer(*args: Any) -> Any:
    """An array around an out-of-band pickle buffer (arguments: buffer, dtype, shape, order)."""
    return _frombuffer(*args)
