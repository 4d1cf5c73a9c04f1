"""What raptors registers with libraries that move arrays between processes, once they are imported.

They look for NumPy's classes, which ours equal: without this they would copy ours, or give NumPy's back.
"""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy

from raptors import _classes
from raptors import _raptors_core as _core
from raptors._hooks import when_imported

_memmap = _classes.twin(numpy.memmap)


def register() -> None:
    """Register with the libraries that are imported, and with others when they are."""
    when_imported("joblib.numpy_pickle", _map_dumped_arrays)
    when_imported("joblib.hashing", _hash_as_numpys)
    when_imported("joblib._memmapping_reducer", _map_shared_arrays)
    when_imported("distributed.protocol.numpy", _send_as_ours)


# joblib -----------------------------------------------------------------------------------------


def adopt(array: Any) -> Any:
    """NumPy's array or memmap as ours: pickles that have ours as NumPy's name it."""
    if type(array) is numpy.memmap:
        array.__class__ = _memmap  # not a view: joblib and the mapped file live by this very object
        return array
    return array.view(_core.ndarray)


#: ``rebuild(function, arguments)`` is ``function(*arguments)`` as ours: pickles name it.
rebuild = _core._wrap(lambda function, arguments: function(*arguments), "raptors._integrations.rebuild", True)


def _save_as_numpys(pickler: Any, array: Any) -> None:
    if array.dtype.hasobject:  # neither it nor what it holds is mapped
        reduced: Any = (pickle.loads, (pickle.dumps(array, pickle.HIGHEST_PROTOCOL),))
    else:
        reduced = (adopt, (array.view(numpy.ndarray),))
    pickler.save_reduce(*reduced, obj=array)


def _is_ours(array: Any) -> bool:
    return type(array) is _core.ndarray or type(array) is _memmap


def _map_dumped_arrays(numpy_pickle: Any) -> None:
    """joblib.dump writes arrays of NumPy's classes so that joblib.load can map them."""
    pickler = getattr(numpy_pickle, "NumpyPickler", None)
    if pickler is None:
        return
    save_any = pickler.save

    @functools.wraps(save_any)
    def save(self: Any, obj: Any) -> Any:
        return _save_as_numpys(self, obj) if _is_ours(obj) else save_any(self, obj)

    pickler.save = save


def _save_numpys_class(hasher: Any, cls: Any) -> None:
    numpys = numpy.ndarray if cls is _core.ndarray else vars(cls).get("_numpy")
    if numpys is None:
        hasher.save_global(cls)
    else:
        hasher.save(numpys)  # which remembers that it did


def _hash_as_numpys(hashing: Any) -> None:
    """joblib.hash takes the class of an array into the hash: results cached under NumPy are found."""
    dispatch = getattr(getattr(hashing, "Hasher", None), "dispatch", {})
    for cls in (type(_core.ndarray), _classes.Twin):
        dispatch[cls] = _save_numpys_class


def _reduce(reducer: Callable[[Any], tuple[Any, ...]], array: Any) -> tuple[Any, ...]:
    reduced = reducer(array)
    return (rebuild, reduced) if _is_ours(array) else reduced


def _map_shared_arrays(memmapping: Any) -> None:
    """joblib's workers map long arrays, by reducers for NumPy's classes that every pool gets."""
    get_reducers = getattr(memmapping, "get_memmapping_reducers", None)
    if get_reducers is None:
        return

    @functools.wraps(get_reducers)
    def get_memmapping_reducers(*args: Any, **kwargs: Any) -> Any:
        both = get_reducers(*args, **kwargs)
        for reducers in both:
            for cls in (numpy.ndarray, numpy.memmap):  # ours are looked up as these
                if cls in reducers:
                    reducers[cls] = functools.partial(_reduce, reducers[cls])
        return both

    for name in (memmapping.__name__, "joblib.pool", "joblib.executor"):  # the others import it from there
        names = vars(sys.modules[name]) if name in sys.modules else {}
        if names.get("get_memmapping_reducers") is get_reducers:
            names["get_memmapping_reducers"] = get_memmapping_reducers


# distributed ------------------------------------------------------------------------------------


def _mark(save: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(save)
    def marking(array: Any, *args: Any, **kwargs: Any) -> Any:
        header, frames = save(array, *args, **kwargs)
        cls = type(array)
        own = cls is _core.ndarray or (isinstance(cls, _classes.Twin) and "_numpy" in vars(cls))
        return ({**header, "raptors": True} if own else header), frames

    return marking


def _receive(load: Callable[..., Any]) -> Callable[..., Any]:
    path = f"raptors._integrations.{getattr(load, '__name__', 'load')}"
    adopting = _core._wrap(load, path, True)

    @functools.wraps(load)
    def receiving(header: Any, frames: Any) -> Any:
        return (adopting if header.get("raptors") else load)(header, frames)

    return receiving


def _send_as_ours(protocol: Any) -> None:
    """distributed sends our arrays as NumPy's, without copies: what comes is ours, too."""
    for name, wrapped in (("dask_serialize", _mark), ("dask_deserialize", _receive)):
        dispatch = getattr(protocol, name)
        for cls in (numpy.ndarray, numpy.matrix, numpy.ma.MaskedArray):
            dispatch.register(cls, wrapped(dispatch.dispatch(cls)))
