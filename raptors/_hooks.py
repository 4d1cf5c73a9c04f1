"""Callbacks for when a module is imported: raptors fits a few foreign modules and imports none of them."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence
from importlib import _bootstrap
from typing import Any

__all__ = ["when_imported"]

Callback = Callable[[types.ModuleType], object]

#: By the full name of the module. A callback leaves its list just before it runs, so it runs once.
_waiting: dict[str, list[Callback]] = {}


def when_imported(name: str, callback: Callback) -> None:
    """Call ``callback(module)`` when the module of this full name has been imported; at once if it has been.

    It runs once, after the module's own code and as part of the import: no thread gets the module from an
    import before. Callbacks of one module run in the order in which they came. What one raises is raised by
    the import, so a callback should do nothing where a foreign module lacks what it expects there.

    A module whose own code loads raptors is passed as it is then.
    """
    _waiting.setdefault(name, []).append(callback)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    # Another thread may have begun to load it before: wait for that.
    _bootstrap._lock_unlock_module(name)  # type: ignore[attr-defined]
    module = sys.modules.get(name)
    if module is not None:
        _run(name, module)


def _run(name: str, module: types.ModuleType) -> None:
    waiting = _waiting[name]
    while waiting:
        try:
            callback = waiting.pop(0)
        except IndexError:  # another thread was quicker
            return
        callback(module)


class _Finder:
    """Finds the modules that somebody waits for, with the help of the other finders."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _waiting.get(name):
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if finder is _Finder or find_spec is None:
                continue
            spec: importlib.machinery.ModuleSpec | None = find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """Stands for a module's loader until that has loaded the module: then the callbacks run."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_loader"), name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        spec: Any = module.__spec__
        spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _run(spec.name, sys.modules.get(spec.name, module))
