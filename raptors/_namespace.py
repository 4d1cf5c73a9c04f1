"""Builds the namespace: NumPy's public names, each function behind one C++ proxy.

No Python function stands at the surface where NumPy has a builtin: `class T: array = np.array` must not bind.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy

from raptors import _classes, _integrations, _pickle
from raptors import _raptors_core as _core

#: Classes of functions. Those of the first kind bind, as attributes of a class, to its instances.
_BINDING = ("function", type(numpy.sum).__name__, "cython_function_or_method")
_BUILTINS = ("builtin_function_or_method", "method")
_proxies: dict[int, Any] = {}
_mirrors: dict[str, types.ModuleType] = {}
#: Mirrors that one thread is making, of modules that name each other: they are seen when all are whole.
_begun: dict[str, types.ModuleType] = {}
_making = threading.RLock()

#: What a module says of itself: a mirror has its own.
_IDENTITY = frozenset(
    {
        *("__name__", "__doc__", "__spec__", "__loader__", "__path__", "__package__", "__builtins__"),
        *("__cached__", "__getattr__"),
    }
)

_SUBMODULES = frozenset(
    {
        "char",
        "ctypeslib",
        "dtypes",
        "emath",
        "exceptions",
        "f2py",
        "fft",
        "lib",
        "linalg",
        "ma",
        "matlib",
        "polynomial",
        "random",
        "rec",
        "strings",
        "testing",
        "typing",
        "version",
    }
)


def _stays_numpys(path: str) -> bool:
    return _core._view_mode(path) == "as it is"


def _is_masked(path: str) -> bool:
    return path.split(".")[1:2] == ["ma"]


def _proxy(path: str, name: str, fn: Any, binds: bool) -> Any:
    found = _proxies.get(id(fn))
    if found is None:
        found = _proxies[id(fn)] = _core._wrap(fn, f"{path}.{name}", binds)
    return found


def translate(path: str, name: str, value: Any) -> Any:
    """What stands for NumPy's `value` under `path`.`name`: our type, a proxy, a mirror, or itself."""
    if name.startswith("_"):
        return value
    if isinstance(value, types.ModuleType):
        parts = value.__name__.split(".")
        public = parts[0] == "numpy" and len(parts) > 1 and not any(part.startswith("_") for part in parts)
        return mirror(value.__name__) if public and not _stays_numpys(parts[1]) else value
    if isinstance(value, type):
        return _classes.twin(value)
    if _stays_numpys(f"ma.core.{name}" if _is_masked(path) else f"{path}.{name}"):
        return value
    if _is_masked(path) and type(value).__module__.startswith("numpy.ma"):
        return _classes.adopting_instance(f"{path}.{name}", value)
    if isinstance(value, numpy.ufunc):
        return _proxy(path, name, value, False)
    kind = type(value).__name__
    if kind in _BINDING or kind in _BUILTINS:
        return _proxy(path, name, value, kind in _BINDING)
    return value


def mirror(numpy_name: str) -> types.ModuleType:
    """raptors' twin of a public submodule of NumPy, made on first use."""
    name = "raptors" + numpy_name[len("numpy") :]
    made = _mirrors.get(name)
    if made is not None:
        return made
    with _making:
        made = _mirrors.get(name) or _begun.get(name)
        if made is not None:
            return made
        outermost = not _begun
        try:
            made = _begin_mirror(name, importlib.import_module(numpy_name))
            if outermost:
                _show(_begun)
        finally:
            if outermost:
                _begun.clear()
    return made


def _begin_mirror(name: str, source: types.ModuleType) -> types.ModuleType:
    made = _begun[name] = types.ModuleType(name, source.__doc__)
    if hasattr(source, "__path__"):
        made.__path__ = []
    # An import that meets the mirror of another thread loads by this spec what is there already.
    made.__spec__ = _MirrorFinder.spec(name, hasattr(source, "__path__"))
    for key, value in vars(source).items():
        if key not in _IDENTITY:
            setattr(made, key, translate(name, key, value))
    if hasattr(source, "__getattr__"):  # where NumPy has none, the interpreter looks names up the fast way
        vars(made)["__getattr__"] = functools.partial(_core._ask, source, made, translate)
    vars(made)["__reduce_ex__"] = _reducer(name)
    if name == "raptors.random":
        from raptors import _random

        _random.populate(made)
    if name == "raptors.typing" and isinstance(source.NDArray, types.GenericAlias):
        vars(made)["NDArray"] = types.GenericAlias(_core.ndarray, source.NDArray.__args__)
    return made


def _reducer(name: str) -> Callable[[int], Any]:
    """The method __reduce_ex__ of the module `name`: pickles name it, and give it back."""
    return lambda protocol: (_pickle.by_path, (name,))


def _show(mirrors: dict[str, types.ModuleType]) -> None:
    """Let imports and other threads see them."""
    _mirrors.update(mirrors)
    sys.modules.update(mirrors)
    for name, made in mirrors.items():
        parent, _, child = name.rpartition(".")
        if parent in _mirrors:
            setattr(_mirrors[parent], child, made)


def _forget_other_threads() -> None:
    """In the child of a fork: the thread that was making mirrors is not there."""
    global _making
    _making = threading.RLock()
    _begun.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def _submodule(key: str) -> types.ModuleType:
    """The package's submodule `key`, on its first use: nothing of it is imported before."""
    found: types.ModuleType = translate("raptors", key, getattr(numpy, key))
    vars(sys.modules["raptors"])[key] = found
    return found


class _MirrorFinder:
    """Imports of raptors.linalg, raptors.random ...: mirrors of NumPy's submodules, or NumPy's own."""

    @staticmethod
    def spec(name: str, is_package: bool = False) -> importlib.machinery.ModuleSpec:
        return importlib.machinery.ModuleSpec(name, _MirrorFinder, is_package=is_package)  # type: ignore[arg-type]

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("raptors.") or name.split(".")[1] not in _SUBMODULES:
            return None
        if importlib.util.find_spec("numpy" + name[len("raptors") :]) is None:
            return None
        return _MirrorFinder.spec(name)

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> None:
        """An empty module, which exec_module replaces: NumPy's own module must keep its __spec__."""

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        numpy_name = "numpy" + module.__name__[len("raptors") :]
        own = _stays_numpys(module.__name__.split(".")[1])
        sys.modules[module.__name__] = importlib.import_module(numpy_name) if own else mirror(numpy_name)


def _use_handler() -> None:
    """NumPy's own results and temporaries come from raptors' memory."""
    _core._use_handler()
    # A handler is a context variable, and as soon as a context holds anything, NumPy's search for an error
    # state that nobody has set costs every ufunc 40 ns. So it finds the default there.
    umath = importlib.import_module("numpy._core.umath")
    state = getattr(umath, "_extobj_contextvar", None)
    if state is not None and state.get(None) is None:
        state.set(umath._make_extobj())


def populate(names: dict[str, Any]) -> None:
    """Fill the package's namespace. NumPy's names shadow builtins there: nothing else may run in it later."""
    package = sys.modules["raptors"]
    if not _core._disabled():
        _use_handler()
    _core._bind({"pickled": _pickle.reduce_array})
    _core._bind_reducer(_pickle.reduce_function)
    own = set(names)
    public = [key for key in dir(numpy) if not key.startswith("_") and key not in _SUBMODULES]
    for key in public:
        if key not in own:  # ours stay: ndarray, show_config, show_runtime
            names[key] = translate("raptors", key, getattr(numpy, key))
    for key in ("mgrid", "ogrid", "r_", "c_"):
        names[key] = _classes.adopting_instance(f"raptors.{key}", getattr(numpy, key))
    names["vectorize"] = _classes.adopting_calls(numpy.vectorize)
    array_api = {"__array_api_version__", "__array_namespace_info__"} & {*dir(numpy)}
    for key in (*array_api, "__config__", "__numpy_submodules__", "matrixlib"):
        if hasattr(numpy, key):
            names[key] = getattr(numpy, key)
    names["_ArrayType"] = type(_core.ndarray)  # pickles of classes that users derive name it
    names["__all__"] = sorted(numpy.__all__)

    for key, value in vars(numpy).items():
        if key.startswith("_") and not key.startswith("__"):
            names.setdefault(key, value)  # private names are NumPy's own objects

    def __dir__() -> list[str]:
        hidden = {"annotations", "matlib", "version"}
        return sorted({*public, *own, *_SUBMODULES, *array_api} - hidden)

    names["__dir__"] = __dir__
    names["__getattr__"] = _core._find_name
    names["__reduce_ex__"] = _reducer("raptors")
    _core._adopt_package(package, _SUBMODULES, _submodule)
    sys.meta_path.append(_MirrorFinder)
    _integrations.register()
