"""NumPy's own array classes (memmap, recarray, matrix, MaskedArray): thin subclasses whose results are ours.

Their methods are NumPy's; a plain array that one returns becomes a `raptors.ndarray`. NumPy's own instances
(from other libraries, unpickled) count as instances, and what a borrowed function returns in NumPy's class
takes ours.
"""

from __future__ import annotations

import copy
import inspect
import sys
import types
from typing import Any

import numpy

from raptors import _pickle
from raptors import _raptors_core as _core


class Twin(type(_core.ndarray)):  # type: ignore[misc]  # so that classes may derive from both
    """Metaclass of the thin subclasses: instances of NumPy's class count as theirs.

    Classes that users derive from them are exact.
    """

    def __instancecheck__(cls, obj: Any) -> bool:
        base = cls.__dict__.get("_numpy")
        return isinstance(obj, base) if base is not None else super().__instancecheck__(obj)

    def __subclasscheck__(cls, other: Any) -> bool:
        base = cls.__dict__.get("_numpy")
        return issubclass(other, base) if base is not None else super().__subclasscheck__(other)


_METHODS = (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
#: `view` gives the class that it is asked for; setters of the others: NumPy looks at who defines them.
_INHERITED = {"view", "dtype", "shape"}
_array = _core.ndarray(0)
_twins: dict[type, Any] = {}
_instances: dict[int, Any] = {}


def adopting(path: str, value: Any) -> Any:
    """The method or property `value` with results that are ours."""
    if isinstance(value, property):
        return property(adopting(path, value.fget), value.fset, value.fdel, value.__doc__)
    return _core._wrap(value, path, True)


def _make(base: type, module: str, *special: str, views: bool, **body: Any) -> None:
    """Register the twin of `base`: its public methods and properties and the `special` ones adopt.

    NumPy's functions get `views` of the exact base class: some ask `type(a) is np.matrix`.
    """
    path = f"{module}.{base.__name__}"
    body |= {"__module__": module, "__doc__": base.__doc__, "__slots__": (), "_numpy": base}
    if views:
        body["__array_function__"] = lambda self, *call: _array.__array_function__(*call)
    for key, value in body.items():
        if isinstance(value, types.FunctionType):  # what pickles and tracebacks name
            value.__name__, value.__qualname__, value.__module__ = key, f"{base.__name__}.{key}", module
    for key in (*dir(base), *special):
        value = inspect.getattr_static(base, key)
        if key in body or (key.startswith("_") and key not in special) or key in _INHERITED:
            continue
        if isinstance(value, _METHODS) or (isinstance(value, property) and value.fget):
            body[key] = adopting(f"{path}.{key}", value)
    made = Twin(base.__name__, (base,), body)
    _twins[base] = made
    _core._adopt_class(base, made, views)


def twin(value: Any) -> Any:
    """What stands for a class of NumPy's: its twin, or itself."""
    if value is numpy.ndarray:
        return _core.ndarray
    masked = sys.modules.get("numpy.ma")  # imported on first use
    if value not in _twins and masked and value is masked.MaskedArray:
        data = property(_core._masked_data(), doc=value.data.__doc__)
        _make(value, "raptors.ma", views=False, _data=data, data=data)
    return _twins.get(value, value)


def adopting_instance(path: str, value: Any) -> Any:
    """A copy of an object that acts as a function (ma.add) or is indexed (mgrid): its results are ours."""
    base = type(value)
    methods = ("__call__", "__getitem__", "reduce", "accumulate", "outer")
    special = [key for key in methods if hasattr(base, key)]
    if isinstance(value, numpy.ndarray) or not (hasattr(value, "__name__") or hasattr(base, "__getitem__")):
        return value
    made = _instances.get(id(value))
    if made is None:
        body = {key: adopting(f"{path}.{key}", getattr(base, key)) for key in special}
        body |= {"__module__": base.__module__, "__doc__": base.__doc__, "__slots__": ()}
        body["__reduce__"] = lambda self: (_pickle.by_path, (path,))
        made = _instances[id(value)] = copy.copy(value)
        made.__class__ = type(base.__name__, (base,), body)
    return made


def adopting_calls(base: type) -> type:
    """A class whose instances' results, when called, are ours."""
    method = adopting(f"raptors.{base.__name__}.__call__", base.__call__)
    body = {"__call__": method, "__module__": "raptors", "__doc__": base.__doc__}
    return type(base)(base.__name__, (base,), body)


_make(numpy.memmap, "raptors", views=True, **_core._memmap_methods())
_make(numpy.recarray, "raptors", views=False, **_core._recarray_methods())
_make(numpy.matrix, "raptors", views=True)
