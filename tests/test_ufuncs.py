"""Every ufunc of NumPy through raptors' objects, with kernels and without: the whole interface."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import pytest
from helpers import Mismatches, Rules, mine, rules_for

import raptors

NAMES = sorted(name for name in dir(numpy) if isinstance(getattr(numpy, name), numpy.ufunc))
ATTRIBUTES = ("nin", "nout", "nargs", "ntypes", "types", "identity", "signature", "__name__", "__doc__")


def loose(name: str) -> Rules:
    return replace(rules_for(name), flags=False)


def operands(xp: Any, f: numpy.ufunc, code: str) -> list[Any]:
    """Small arrays of the type codes of one loop; square matrices and vectors where it is generalized."""
    shapes = {1: (4,), 2: (4, 4)}
    parts = f.signature.split("->")[0].replace("),(", ");(").split(";") if f.signature else ["()"] * f.nin
    made = []
    for char, part in zip(code, parts, strict=False):
        a = numpy.array([1, 2, 3, 1]).astype("i8" if char in "mM" else char if char != "O" else "i8")
        a = a.astype(f"{char}8[D]") if char in "mM" else a.astype(char)
        core = part.strip("()").split(",") if part.strip("()") else []
        made.append(mine(xp, numpy.resize(a, shapes.get(len(core), (4,)))))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name: str) -> None:
    ours, theirs = getattr(raptors, name), getattr(numpy, name)
    assert isinstance(ours, numpy.ufunc)
    assert isinstance(ours, raptors.ufunc)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert ours is getattr(raptors, theirs.__name__, ours)
    for attribute in (*ATTRIBUTES, "__qualname__", "__module__", "__class__"):
        assert getattr(ours, attribute, None) == getattr(theirs, attribute, None), attribute
    assert repr(ours) == repr(theirs)
    for made in (
        copy.copy(ours),
        copy.deepcopy(ours),
        *(pickle.loads(pickle.dumps(ours, p)) for p in range(6)),
    ):
        assert made is ours
    try:
        expected = inspect.signature(theirs)
    except ValueError:
        return
    assert inspect.signature(ours) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_loop(name: str) -> None:
    """The same values, dtypes, errors and warnings for each type that NumPy's ufunc has a loop for."""
    theirs = getattr(numpy, name)
    found = Mismatches()
    for loop in theirs.types:
        code = loop.split("->")[0]

        def body(xp: Any, code: str = code) -> Any:
            return getattr(xp, name)(*operands(xp, theirs, code))

        found.check(loop, body, loose(name))
        found.check(
            ("resolve_dtypes", loop),
            lambda xp, code=code: getattr(xp, name).resolve_dtypes(
                (*(numpy.dtype(c) for c in code), *(None,) * theirs.nout)
            ),
        )
    found.done()


def _out(xp: Any, f: Any, args: list[Any], **more: Any) -> Any:
    results = f(*args)
    results = results if isinstance(results, tuple) else (results,)
    out = tuple(xp.zeros_like(r) if isinstance(r, numpy.ndarray) else xp.zeros(()) for r in results)
    got = f(*args, out=out, **more)
    assert (got if isinstance(got, tuple) else (got,)) == out or got is out[0]
    return out


CALLS: dict[str, Callable[[Any, Any, list[Any]], Any]] = {
    "plain": lambda xp, f, args: f(*args),
    "positional out": lambda xp, f, args: f(*args, *[None] * f.nout),
    "out": lambda xp, f, args: f(*args, out=None),
    "out tuple": lambda xp, f, args: [id(r) for r in _out(xp, f, args)] and _out(xp, f, args),
    "short out": lambda xp, f, args: f(*args, out=(None,) * (f.nout + 1)),
    "where": lambda xp, f, args: f(*args, where=True),
    "casting": lambda xp, f, args: f(*args, casting="no"),
    "unsafe": lambda xp, f, args: f(*args, dtype="f4", casting="unsafe"),
    "bad casting": lambda xp, f, args: f(*args, casting="nonsense"),
    "order": lambda xp, f, args: f(*args, order="F"),
    "dtype": lambda xp, f, args: f(*args, dtype="f8"),
    "object": lambda xp, f, args: f(*args, dtype=object),
    "signature": lambda xp, f, args: f(*args, signature="d" * f.nin + "->" + "d" * f.nout),
    "bad signature": lambda xp, f, args: f(*args, signature="d->dddd"),
    "subok": lambda xp, f, args: f(*args, subok=False),
    "axis": lambda xp, f, args: f(*args, axis=0),
    "axes": lambda xp, f, args: f(*args, axes=[0] * f.nargs),
    "keepdims": lambda xp, f, args: f(*args, keepdims=True),
    "unknown": lambda xp, f, args: f(*args, nonsense=1),
    "too many": lambda xp, f, args: f(*args, *args, *args),
    "too few": lambda xp, f, args: f(),
    "shapes": lambda xp, f, args: f(*args[:-1], xp.ones((2, 3, 5))),
    "reduce": lambda xp, f, args: f.reduce(args[0]),
    "reduce more": lambda xp, f, args: f.reduce(args[0], 0, None, None, True),
    "accumulate": lambda xp, f, args: f.accumulate(args[0]),
    "reduceat": lambda xp, f, args: f.reduceat(args[0], [0, 2]),
    "outer": lambda xp, f, args: f.outer(*args),
    "at": lambda xp, f, args: (f.at(args[0], [0, 1], *args[1:]), args[0]),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_argument(name: str) -> None:
    theirs = getattr(numpy, name)
    loops = [loop.split("->")[0] for loop in theirs.types]
    chosen = [code for code in ("d" * theirs.nin, "l" * theirs.nin, "?" * theirs.nin) if code in loops]
    found = Mismatches()
    for code in chosen or loops[:1]:
        for label, call in CALLS.items():

            def body(xp: Any, call: Any = call, code: str = code) -> Any:
                return call(xp, getattr(xp, name), operands(xp, theirs, code))

            found.check((label, code), body, loose(name))
    found.done()


def test_frompyfunc() -> None:
    def add(x: Any, y: Any) -> Any:
        return x + y

    found = Mismatches()
    for body in (
        lambda xp: xp.frompyfunc(add, 2, 1)(xp.arange(3), 1),
        lambda xp: xp.frompyfunc(add, 2, 1, identity=0).reduce(xp.arange(4)),
        lambda xp: xp.frompyfunc(add, 2, 1).outer(xp.arange(2), xp.arange(2)),
        lambda xp: xp.frompyfunc(add, 2, 1).nin,
        lambda xp: isinstance(xp.frompyfunc(add, 2, 1), xp.ufunc),
        lambda xp: xp.frompyfunc(add, 2, -1),
    ):
        found.check(body.__code__.co_names, body)
    found.done()
