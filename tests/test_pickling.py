"""Modules, functions, classes and instances pickle wherever NumPy's do, and come back as what they were."""

from __future__ import annotations

import copy
import io
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from foreign import need
from helpers import python_ok
from test_namespace import MODULES, both, public

import raptors

pytestmark = pytest.mark.filterwarnings("ignore:.*chararray:DeprecationWarning")


def python_pickler(x: Any) -> bytes:
    file = io.BytesIO()
    pickle._Pickler(file).dump(x)  # type: ignore[attr-defined]
    return file.getvalue()


def dumps(pickler: str) -> Callable[[Any], bytes]:
    if pickler == "python":
        return python_pickler
    if pickler.isdigit():
        return lambda x: pickle.dumps(x, int(pickler))
    found: Callable[[Any], bytes] = need(pickler).dumps
    return found


PICKLERS = [*map(str, range(pickle.HIGHEST_PROTOCOL + 1)), "python", "cloudpickle", "dill"]
GONE = object()


def back(dump: Callable[[Any], bytes], x: Any) -> Any:
    """What the pickle of `x` gives, or GONE if there is none."""
    try:
        return pickle.loads(dump(x))
    except Exception:
        return GONE


def names() -> Iterator[tuple[str, str, Any, Any]]:
    """Module, name, ours, NumPy's; the modules themselves have no name."""
    for module in MODULES:
        ours, numpys = both(module)
        yield module, "", ours, numpys
        for name in public(numpys):
            yield module, name, getattr(ours, name), getattr(numpys, name)


def has_state(x: Any) -> bool:
    """A method of NumPy's hidden RandomState: its pickle has the state, by which another process goes on."""
    return isinstance(getattr(x, "__self__", None), numpy.random.RandomState)


@pytest.mark.parametrize("pickler", PICKLERS)
def test_names_come_back_as_themselves(pickler: str, tmp_path: Path) -> None:
    """In this process and in another."""
    dump = dumps(pickler)
    pickled = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module, name, ours, numpys in names():
            # `test` of a module that is NumPy's own, and the version, are made anew or come back equal.
            if ours is numpys or has_state(ours) or name in ("test", "__version__"):
                continue
            if back(dump, numpys) is numpys or isinstance(ours, type(raptors.fft)):
                assert back(dump, ours) is ours, (module, name)
                pickled.append((module, name, dump(ours)))
            else:
                assert type(back(dump, ours)) is type(ours) or back(dump, numpys) is GONE, (module, name)
    assert len(pickled) > 1000
    (tmp_path / "pickled").write_bytes(pickle.dumps(pickled))
    code = f"""
import importlib, pickle, warnings
warnings.simplefilter("ignore")
import raptors
for module, name, pickled in pickle.load(open({str(tmp_path / "pickled")!r}, "rb")):
    x = pickle.loads(pickled)
    at = "raptors." + module if module and module != "emath" else "raptors"
    at = importlib.import_module(at) if module != "emath" else raptors.emath
    if x is not (getattr(at, name) if name else at): print(module, name, x)
"""
    assert python_ok(code) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("pickler", ["2", "cloudpickle"])
def test_what_a_pickle_names_is_imported(pickler: str) -> None:
    """One by one, each where nothing else has imported raptors."""
    values = [raptors, raptors.ma, raptors.fft.rfft, raptors.isscalar, raptors.add, raptors.ma.MaskedArray]
    values += [raptors.r_, raptors.ma.add, raptors.random.seed, raptors.emath, raptors.ndarray]
    code = """
import numpy, os, pickle
for pickled in {0!r}:
    if not os.fork():
        print(repr(pickle.loads(pickled)).split(" at ")[0], flush=True)
        os._exit(0)
    os.wait()
"""
    dump = dumps(pickler)
    lines = python_ok(code.format([dump(x) for x in values])).split("\n")
    assert lines == [*(repr(x).split(" at ")[0] for x in values), ""]


def instances(library: Any, folder: Path) -> list[Any]:
    a = library.arange(6.0).reshape(2, 3)
    mapped = library.memmap(folder / library.__name__, mode="w+", shape=(2, 2), dtype=float)
    records = library.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
    random = [library.random.default_rng(1), library.random.RandomState(1)]
    functions = [library.vectorize(divmod), library.add, library.ma.add, library.mgrid, library.c_]
    polynomials = [library.polynomial.Polynomial([1, 2]), library.poly1d([1, 2])]
    masked = library.ma.array(a, mask=a > 3)
    return [a, a.T, mapped, library.matrix(a), records, masked, *random, *functions, *polynomials, a.dtype]


#: NumPy's classes whose instances act as functions: ours are of hidden classes derived from them.
HIDDEN = ("__class__", "__init_subclass__", "__subclasshook__", "__reduce__")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("pickler", ["2", "5", "python", "cloudpickle", "dill"])
def test_instances_and_their_methods(pickler: str, tmp_path: Path) -> None:
    dump = dumps(pickler)
    compared = 0
    for ours, numpys in zip(instances(raptors, tmp_path), instances(numpy, tmp_path), strict=True):
        got, expected = back(dump, ours), back(dump, numpys)
        assert (type(got) is type(ours)) >= (type(expected) is type(numpys)), ours
        for name in dir(numpys):
            if name in HIDDEN:
                continue
            try:
                method, numpys_method = getattr(ours, name), getattr(numpys, name)
            except (AttributeError, ValueError):  # .mT of a vector
                continue
            if not callable(numpys_method):
                continue
            got, expected = back(dump, method), back(dump, numpys_method)
            assert (type(got) is type(method)) >= (type(expected) is type(numpys_method)), (ours, name)
            compared += 1
    assert compared > 1000


CLASSES = {
    "Array": ("np.ndarray", "np.ones(3).view"),
    "Matrix": ("np.matrix", "(lambda cls: cls([[1.0]]))"),
    "Memmap": ("np.memmap", ""),
    "Masked": ("np.ma.MaskedArray", "(lambda cls: cls([1.0, 2.0]))"),
    "Generator": ("np.random.Generator", "(lambda cls: cls(np.random.PCG64(1)))"),
    "RandomState": ("np.random.RandomState", "(lambda cls: cls(1))"),
    "Vectorized": ("np.vectorize", "(lambda cls: cls(len))"),
    "Holder": ("object", "(lambda cls: cls())"),
}


@pytest.mark.parametrize("pickler", ["cloudpickle", "dill"])
def test_classes_of_a_program(pickler: str, tmp_path: Path) -> None:
    """Their source is not importable in the process that gets them: they travel whole."""
    need(pickler)
    lines = [f"import sys, raptors as np, {pickler}"]
    for name, (base, make) in CLASSES.items():
        lines += [f"class {name}({base}):", "    f, g, h = np.isscalar, np.sum, np.add"]
        lines += ["    def total(self): return np.sum(np.ones(3))"]
        lines += [f"made_{name} = {make}({name})" if make else f"made_{name} = None"]
    pairs = ", ".join(f"({name}, made_{name})" for name in CLASSES)
    options = ", byref=False, recurse=True" if pickler == "dill" else ""
    lines += [f"sys.stdout.write({pickler}.dumps([{pairs}]{options}).hex())"]
    code = f"""
import {pickler}, raptors as np
for cls, made in {pickler}.loads(bytes.fromhex({python_ok(chr(10).join(lines))!r})):
    assert cls.f is np.isscalar and cls.h is np.add and cls.g is np.sum and cls.total(None) == 3
    print(cls.__name__, cls.__mro__[1] , type(cls), type(made))
"""
    found = python_ok(code).replace("raptors._classes.", "").split("\n")
    for line, (name, (base, _)) in zip(found, CLASSES.items(), strict=False):
        cls = eval(base, {"np": raptors, "object": object})
        # NumPy's generators of derived classes come back as NumPy's, so ours as ours.
        made = cls if base.startswith("np.random") else f"<class '__main__.{name}'>"
        made = type(None) if name == "Memmap" else made
        meta = str(type(cls)).replace("raptors._classes.", "")
        assert line == f"{name} {cls} {meta} {made}"


def test_results_of_what_came_back_are_ours() -> None:
    normal = pickle.loads(pickle.dumps(raptors.random.normal))
    expected = numpy.random.RandomState()
    expected.set_state(raptors.random.get_state())
    got = normal(size=3)
    assert type(got) is raptors.ndarray
    assert got.tolist() == expected.normal(size=3).tolist()
    assert type(pickle.loads(pickle.dumps(raptors.add.outer))([1], [2])) is raptors.ndarray
    assert type(pickle.loads(pickle.dumps(raptors.vectorize(len)))(["a"])) is raptors.ndarray
    assert type(pickle.loads(pickle.dumps(raptors.ones(3).cumsum))()) is raptors.ndarray


def test_types_of_functions() -> None:
    """`ufunc = type(np.sin)` is found in programs."""
    for f in (raptors.sin, raptors.sum, raptors.array, raptors.ndarray):
        for dump in (pickle.dumps, need("cloudpickle").dumps, need("dill").dumps):
            assert pickle.loads(dump(type(f))) is type(f)


def test_frompyfunc() -> None:
    """As NumPy: what it makes has no name to be found by."""
    for library in (numpy, raptors):
        made = library.frompyfunc(lambda x: x, 1, 1)
        assert copy.copy(made) is made
        assert copy.deepcopy([made])[0] is made
        with pytest.raises(pickle.PicklingError, match=r"Can't pickle <ufunc '<lambda> \(vectorized\)'>"):
            pickle.dumps(made)


def test_copies() -> None:
    for x in (raptors, raptors.fft, raptors.lib.stride_tricks, raptors.sum, raptors.isscalar, raptors.array):
        assert copy.copy(x) is x
        assert copy.deepcopy([x])[0] is x
    for x in (raptors.add, raptors.ndarray, raptors.r_, raptors.ma.add, raptors.random.seed):
        assert copy.copy(x) is x
        assert copy.deepcopy([x])[0] is x
    assert copy.copy(raptors.random.normal) is raptors.random.normal
