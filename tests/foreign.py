"""What a program can see of other libraries' objects, as values that two runs can be compared by."""

from __future__ import annotations

import importlib
import io
import operator
import pickle
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pytest
from helpers import Rules, numpys_class

import raptors

NEAR = Rules(rtol=1e-12)
UNNAMED = re.compile(r"0x[0-9a-fA-F]+")


class Inner(numpy.ndarray):
    """Marks what a foreign object holds: its values count, not which library's array they are in."""


def need(name: str) -> Any:
    """The module, or the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"{name} is not installed")


# ---- what a program can see of a result ----------------------------------------------------------


def need_torch() -> Any:
    torch = need("torch")
    torch.set_warn_always(True)  # else the library that comes second gets no warning
    return torch


def held(x: Any) -> Any:
    return numpy.array(x, subok=False, order="C").view(Inner)


def class_name(x: Any) -> str:
    cls = numpys_class(type(x))
    return f"{cls.__module__}.{cls.__qualname__}"


def seen(x: Any, own: bool) -> Any:
    """A foreign object as tuples that `difference` can compare; exact arrays stay if they must be `own`."""
    if type(x) in (numpy.ndarray, raptors.ndarray):
        if x.dtype.hasobject and x.dtype.names is None:
            items = [seen(y, False) for y in x.ravel().tolist()]
            return (class_name(x) if own else "array", x.shape, items)
        return x if own else ("array", held(x))
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, numpy.generic, numpy.dtype)):
        return x
    if type(x) in (list, tuple) or (isinstance(x, tuple) and hasattr(x, "_fields")):
        return [type(x).__name__, *(seen(y, own) for y in x)]
    if isinstance(x, dict):
        return {key: seen(value, own) for key, value in x.items()}
    if isinstance(x, type):
        return x if x not in (numpy.ndarray, raptors.ndarray) else "ndarray"
    if isinstance(x, numpy.ma.MaskedArray):
        if x.dtype.hasobject:
            return (class_name(x), seen(numpy.asarray(x.filled(None)), False), held(x.mask))
        data = held(x.filled(x.dtype.type(0)))
        return (class_name(x), x._baseclass.__name__, data, held(x.mask), x.fill_value)
    module = class_name(x).split(".")[0]
    if module in _PARTS:
        return (class_name(x), *(seen(y, False) for y in _PARTS[module](x)))
    if isinstance(x, numpy.ndarray):
        return (class_name(x), held(x))
    if hasattr(x, "parts"):
        return (class_name(x), *(seen(y, False) for y in x.parts()))
    return (class_name(x), UNNAMED.sub("0x", repr(x)).replace("raptors.ndarray", "numpy.ndarray"))


def _pandas(x: Any) -> Sequence[Any]:
    if hasattr(x, "columns"):
        return [list(map(str, x.columns)), x.index, *(x.iloc[:, k] for k in range(x.shape[1]))]
    if hasattr(x, "index") and not callable(x.index):
        return [str(x.name), str(x.dtype), x.index, _pandas_values(x)]
    if hasattr(x, "dtype"):
        return [str(x.dtype), _pandas_values(x)]
    return [repr(x)]


def _pandas_values(x: Any) -> Any:
    values = numpy.asarray(x)
    return [repr(v) for v in values] if values.dtype.kind == "O" else values


def _astropy(x: Any) -> Sequence[Any]:
    return [str(x.unit), held(x)] if hasattr(x, "unit") else [repr(x)]


def _xarray(x: Any) -> Sequence[Any]:
    if hasattr(x, "data_vars"):
        return [repr(x)]
    coordinates = {str(k): numpy.asarray(v) for k, v in getattr(x, "coords", {}).items()}
    return [str(x.dims), str(x.attrs), coordinates, numpy.asarray(x)]


def _dask(x: Any) -> Sequence[Any]:
    if not hasattr(x, "chunks"):
        return [repr(x)]
    return [str(x.dtype), str(x.chunks), type(x._meta).__name__, x.compute(scheduler="synchronous")]


def _scipy(x: Any) -> Sequence[Any]:
    if hasattr(x, "toarray"):
        return [str(x.dtype), str(x.shape), x.format, x.toarray()]
    return [repr(x)] if not hasattr(x, "__dict__") else [{k: v for k, v in vars(x).items() if k[0] != "_"}]


def _torch(x: Any) -> Sequence[Any]:
    return [str(x.dtype), str(tuple(x.shape)), str(x.tolist())] if hasattr(x, "tolist") else [repr(x)]


_PARTS: dict[str, Callable[[Any], Sequence[Any]]] = {
    "pandas": _pandas,
    "astropy": _astropy,
    "xarray": _xarray,
    "dask": _dask,
    "scipy": _scipy,
    "torch": _torch,
}


def put(target: Any, key: Any, value: Any) -> Any:
    target[key] = value
    return target


def also(*values: Any) -> Any:
    """What an in-place call gave and left behind."""
    return list(values)


_SCOPE = {
    "numpy": numpy,
    "operator": operator,
    "pickle": pickle,
    "io": io,
    "put": put,
    "also": also,
    "need": need,
}


def answer(expression: str, scope: dict[str, Any], own: bool) -> Any:
    """The value as tuples, or the exception with its text, in which our class may be named as itself.

    A subclass on the right of a comparison is asked first, with the mirrored operator: so ours is, too.
    """
    try:
        return seen(eval(compile(expression, "<expression>", "eval"), {**_SCOPE, **scope}), own)
    except Exception as error:
        text = UNNAMED.sub("0x", str(error)).replace("raptors.ndarray", "numpy.ndarray")
        mirrored = re.search("not supported between|did not contain a loop", text)
        return ("raised", type(error), "" if mirrored or isinstance(error, RecursionError) else text)
