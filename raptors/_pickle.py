"""How raptors' objects are pickled, and the functions that their pickles name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from numpy._core.numeric import _frombuffer as _numpy_frombuffer  # type: ignore[attr-defined]

from raptors import _raptors_core as _core

#: By the path of a module: what functions in it, or in a module of it, are pickled as (None: by their paths).
reducers: dict[str, Callable[[Any], Any]] = {}

_frombuffer = _core._wrap(_numpy_frombuffer, "raptors._pickle._frombuffer", True)


def by_path(path: str) -> Any:
    """The module, class or function at "raptors.sub.name"."""
    found: Any = sys.modules["raptors"]
    for part in path.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:  # a submodule that its parent does not import
            found = importlib.import_module(f"{found.__name__}.{part}")
    return found


def frombuffer(*args: Any) -> Any:
    """An array around an out-of-band pickle buffer (arguments: buffer, dtype, shape, order)."""
    return _frombuffer(*args)


def reduce_array(reduced: Any) -> Any:
    """(constructor, arguments[, state]) of numpy.ndarray.__reduce_ex__, with our type in its place."""
    if reduced[0].__name__ == "_frombuffer":
        return (frombuffer, *reduced[1:])
    return (reduced[0], (_core.ndarray, *reduced[1][1:]), *reduced[2:])


def reduce_function(function: Any, path: str) -> Any:
    """What stands for the proxy of NumPy's `function`: the proxy at `path`."""
    if not path:  # made by frompyfunc: NumPy gives a name, too, under which nothing is found
        return function.__name__
    for home, reduce in reducers.items():
        if path.startswith(f"{home}."):
            return reduce(function) or (by_path, (path,))
    return by_path, (path,)
