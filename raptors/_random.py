"""raptors.random: NumPy's generators, bit for bit, with results that are raptors' arrays."""

from __future__ import annotations

import types
from typing import Any

import numpy.random as _numpy_random
import numpy.random._pickle as _numpy_pickle

from raptors import _pickle
from raptors import _raptors_core as _core
from raptors._classes import Twin


def _subclass(base: type) -> Any:
    """`base` with every public method's results adopted."""
    body: dict[str, Any] = {
        "__module__": "raptors.random",
        "__qualname__": base.__name__,
        "__doc__": base.__doc__,
        "__slots__": (),
        "__reduce__": __reduce__,
        "_numpy": base,
    }
    for key, value in vars(base).items():
        if not key.startswith("_") and callable(value):
            body[key] = _core._wrap(value, f"raptors.random.{base.__name__}.{key}", True)
    return Twin(base.__name__, (base,), body)


def __reduce__(self: Any) -> Any:  # the name by which a bound one is pickled
    make = make_generator if self._numpy is _numpy_random.Generator else make_random_state
    return (make, *self._numpy.__reduce__(self)[1:])


def make_generator(*args: Any) -> Any:
    """Unpickles a Generator: NumPy's helper, which knows old pickles, makes the bit generator."""
    return Generator(_numpy_pickle.__generator_ctor(*args).bit_generator)


def make_random_state(*args: Any) -> Any:
    """Unpickles a RandomState."""
    return RandomState(_numpy_pickle.__randomstate_ctor(*args)._bit_generator)


def reduce_method(function: Any) -> Any:
    """How NumPy pickles the functions that are methods of one hidden RandomState: with its state.

    None for other functions.
    """
    owner = getattr(function, "__self__", None)
    if not isinstance(owner, _numpy_random.RandomState):
        return None
    _, arguments, state = owner.__reduce__()
    return (make_method, (function.__name__, arguments, state))


def make_method(name: str, arguments: Any, state: Any) -> Any:
    """Unpickles a method of a RandomState."""
    owner = make_random_state(*arguments)
    owner.__setstate__(state)
    return getattr(owner, name)


def default_rng(seed: Any = None) -> Any:
    """A `Generator` with the default bit generator; a Generator as `seed` is passed through."""
    if isinstance(seed, Generator):
        return seed
    return Generator(_numpy_random.default_rng(seed).bit_generator)


Generator: Any = _subclass(_numpy_random.Generator)
RandomState: Any = _subclass(_numpy_random.RandomState)


def populate(module: types.ModuleType) -> None:
    """Put our generators in place of NumPy's."""
    _pickle.reducers[module.__name__] = reduce_method
    for value in (Generator, RandomState, default_rng):
        setattr(module, value.__name__, value)
