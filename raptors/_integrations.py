"""What raptors registers with libraries that move arrays between processes, once they are imported.

They look for NumPy's exact classes and would copy ours, or give NumPy's back.
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
    when_imported("distributed.protocol.serialize", _deserialize_as_ours)


# joblib -----------------------------------------------------------------------------------------


def adopt(array: Any) -> Any:
    """NumPy's array or memmap as ours: pickles that have ours as NumPy's name it."""
    if type(array) is numpy.memmap:
        array.__class__ = _memmap  # not a view: joblib and the mapped file live by this very object
        return array
    return array.view(_core.ndarray)


#: ``rebuild(function, arguments)`` is ``function(*arguments)`` as ours: pickles name it.
rebuild = _core._wrap(
    lambda function, arguments: function(*arguments), "raptors._integrations.rebuild", "original", True
)


def _save_as_numpys(pickler: Any, array: Any) -> None:
    if array.dtype.hasobject:  # neither it nor what it holds is mapped
        reduced: Any = (pickle.loads, (pickle.dumps(array, pickle.HIGHEST_PROTOCOL),))
    else:
        reduced = (adopt, (array.view(numpy.ndarray),))
    pickler.save_reduce(*reduced, obj=array)


def _map_dumped_arrays(numpy_pickle: Any) -> None:
    """joblib.dump writes arrays of NumPy's classes so that joblib.load can map them."""
    dispatch = getattr(getattr(numpy_pickle, "NumpyPickler", None), "dispatch", {})
    for cls in (_core.ndarray, _memmap):
        dispatch[cls] = _save_as_numpys


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
    return (rebuild, reducer(array))


def _map_shared_arrays(memmapping: Any) -> None:
    """joblib's workers map long arrays, by reducers for NumPy's classes that every pool gets."""
    get_reducers = getattr(memmapping, "get_memmapping_reducers", None)
    if get_reducers is None:
        return

    @functools.wraps(get_reducers)
    def get_memmapping_reducers(*args: Any, **kwargs: Any) -> Any:
        both = get_reducers(*args, **kwargs)
        for reducers in both:
            for numpys, ours in ((numpy.ndarray, _core.ndarray), (numpy.memmap, _memmap)):
                if numpys in reducers:
                    reducers[ours] = functools.partial(_reduce, reducers[numpys])
        return both

    for name in (memmapping.__name__, "joblib.pool", "joblib.executor"):  # the others import it from there
        names = vars(sys.modules[name]) if name in sys.modules else {}
        if names.get("get_memmapping_reducers") is get_reducers:
            names["get_memmapping_reducers"] = get_memmapping_reducers


# distributed ------------------------------------------------------------------------------------


def _deserialize_as_ours(serialize: Any) -> None:
    """distributed sends our arrays as it sends NumPy's, without copies, and names our class."""
    dispatch = getattr(serialize, "dask_deserialize", None)
    if dispatch is None:
        return

    def register() -> None:
        for numpys in (numpy.ndarray, numpy.matrix, numpy.memmap, numpy.recarray, numpy.ma.MaskedArray):
            deserialize = dispatch.dispatch(numpys)
            path = f"raptors._integrations.{deserialize.__name__}"
            dispatch.register(_classes.twin(numpys), _core._wrap(deserialize, path, "original", True))

    dispatch.register_lazy("raptors", register)  # called with the first array of ours
