"""Every public name of the installed NumPy is ours, borrowed for a reason, or NumPy's own object."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import operator
import os
import pydoc
import subprocess
import sys
import types
import warnings
from typing import Any

import numpy
import pytest
from helpers import NUMPY, python, python_ok

import raptors
from raptors import _raptors_core as core

pytestmark = pytest.mark.filterwarnings("ignore:.*chararray:DeprecationWarning")

SUBMODULES = [
    name
    for name in (
        *("char", "ctypeslib", "dtypes", "exceptions", "f2py", "fft", "lib", "lib.array_utils", "lib.format"),
        *("lib.introspect", "lib.mixins", "lib.npyio", "lib.scimath", "lib.stride_tricks", "linalg", "ma"),
        *("ma.core", "ma.extras", "ma.mrecords", "matlib", "polynomial", "polynomial.chebyshev"),
        *("polynomial.hermite", "polynomial.hermite_e", "polynomial.laguerre", "polynomial.legendre"),
        *("polynomial.polynomial", "polynomial.polyutils", "random", "rec", "strings", "testing", "typing"),
        "version",
    )
    if importlib.util.find_spec(f"numpy.{name}")
]
MODULES = ["", "emath", *SUBMODULES]
ROWS = core._name_rows()
#: The registry's rows by name. The method and the function `sum` are two rows.
SUBMODULE_ROWS = {row["name"]: row for row in ROWS if row["kind"] == "submodule"}
FAMILIES = tuple(row["name"] for row in ROWS if row["kind"] == "family")
FUNCTION_ROWS = {row["name"]: row for row in ROWS if row["kind"] in ("function", "ufunc")}
METHOD_ROWS = {row["name"]: row for row in ROWS if row["kind"] == "method"}
#: Those that are mirrors: the others stay NumPy's.
MIRRORED = [module for module in MODULES if core._view_mode(module.partition(".")[0]) != "as it is"]
#: Names of our own that stand where NumPy has others.
OURS = {"ndarray", "show_config", "show_runtime"}


def both(module: str) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matlib says that it may go
        if module == "emath":  # an attribute, no module that can be imported
            return raptors.emath, numpy.emath
        suffix = f".{module}" if module else ""
        return importlib.import_module("raptors" + suffix), importlib.import_module("numpy" + suffix)


def public(module: types.ModuleType) -> list[str]:
    return sorted({*(key for key in dir(module) if not key.startswith("_")), *getattr(module, "__all__", ())})


def is_proxy(x: Any) -> bool:
    return core._unwrap(x) is not x


def has_row(module: types.ModuleType, name: str, numpys: Any) -> bool:
    """Whether the registry has a row for the function, at the top or in its module, or for those around it.

    An elementwise ufunc needs none: kernels or NumPy's loop run it.
    """
    if vars(numpy).get(name) is numpys and name not in OURS:
        elementwise = isinstance(numpys, numpy.ufunc) and not numpys.signature
        return elementwise or name in FUNCTION_ROWS or name.startswith(FAMILIES)
    parts = module.__name__.split(".")[1:]
    return ".".join([*parts, name]) in FUNCTION_ROWS or bool({parts[0], ".".join(parts)} & {*SUBMODULE_ROWS})


def standing(module: str, name: str, ours: Any, numpys: Any) -> str | None:
    """What the name is; None: nothing that a drop-in may have."""
    if not module and name in OURS:
        return "ours"
    if is_proxy(ours):
        if core._unwrap(ours) is not numpys:
            return None
        return "native" if core._is_native(ours) else "borrowed"
    if ours is numpys or (ours != ours and numpys != numpys):
        return "numpy's"
    if isinstance(ours, types.ModuleType):
        return "module" if ours.__name__.startswith("raptors.") else None
    if ours is raptors.ndarray:
        return "class" if numpys is numpy.ndarray else None
    if isinstance(ours, type):
        return "class" if issubclass(ours, numpys) or (module, name) == ("random", "Generator") else None
    if isinstance(numpys, type(ours).__mro__[1]):
        return "instance"
    if (module, name) in {("typing", "NDArray"), ("random", "default_rng")}:
        return "ours"
    return None


@pytest.mark.parametrize("module", MODULES)
def test_every_name_has_a_standing(module: str) -> None:
    ours, numpys = both(module)
    names = [name for name in public(numpys) if name != "test"]
    missing = [name for name in names if not hasattr(ours, name)]
    assert missing == []
    found = {name: standing(module, name, getattr(ours, name), getattr(numpys, name)) for name in names}
    assert [name for name, what in found.items() if what is None] == []
    if not module:
        assert sum(what == "native" for what in found.values()) > 90


@pytest.mark.parametrize("module", MODULES)
def test_every_function_has_a_row(module: str) -> None:
    """Why NumPy serves it, or calls of it, and what it sees: for each function, or for its submodule."""
    ours, numpys = both(module)
    functions = [name for name in public(numpys) if name != "test" and is_proxy(getattr(ours, name))]
    assert len(functions) > 300 or module
    assert [name for name in functions if not has_row(numpys, name, getattr(numpys, name))] == []


def test_every_method_has_a_row() -> None:
    methods = {
        name
        for name in dir(numpy.ndarray)
        if not name.startswith("_") and callable(getattr(numpy.ndarray, name))
    }
    assert sorted(methods - METHOD_ROWS.keys() - {"tostring"}) == []  # of older versions
    inherited = {
        name for name, row in METHOD_ROWS.items() if row["view"] == "as it is" and not name.startswith("_")
    }
    there = {name for name in METHOD_ROWS if hasattr(numpy.ndarray, name)}
    assert vars(raptors.ndarray).keys() & METHOD_ROWS.keys() == there - inherited
    assert raptors.ndarray.tolist(numpy.arange(2)) == [0, 1]


def stands(name: str, of: types.ModuleType) -> Any:
    """What stands at "submodule.name"; None: nothing, in this version of NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return functools.reduce(lambda found, part: getattr(found, part, None), name.split("."), of)


def test_rows_are_true() -> None:
    assert {row["view"] for row in ROWS} == {"deep", "top", "original", "as it is"}
    assert len({(row["name"], row["kind"]) for row in ROWS}) == len(ROWS)
    objects = {name: stands(name, raptors) for name in FUNCTION_ROWS}
    there = {name: x for name, x in objects.items() if x is not None}
    assert len(there) > len(objects) - 10  # the others are of older or newer versions
    as_is = {name for name in there if FUNCTION_ROWS[name]["view"] == "as it is"}
    # In NumPy 2.0 these are no functions.
    objects_of_older = {"ma.core.empty_like", "ma.core.zeros_like", "ma.core.ones_like"}
    older = objects_of_older if NUMPY == (2, 0) else set()
    assert as_is == {name for name, x in there.items() if not is_proxy(x)} - older
    assert [name for name in as_is if there[name] is not stands(name, numpy)] == []
    functions = {
        name: FUNCTION_ROWS[name]["native"] for name, x in there.items() if type(x) is not core.ufunc
    }
    assert functions == {name: name not in as_is and core._is_native(there[name]) for name in functions}


def test_reasons_are_given() -> None:
    """By all but ufuncs with kernels; what is counted as one has one."""
    kernels = {name for op in raptors.ops() for name in (op["name"], *op["aliases"])}
    silent = {row["name"] for row in ROWS if not row["reason"]}
    assert silent == {row["name"] for row in ROWS if row["kind"] == "ufunc"} & kernels
    counted = {name for name, row in METHOD_ROWS.items() if row["view"] != "as it is"} & FUNCTION_ROWS.keys()
    assert len(counted) > 30
    reasons = {name: (METHOD_ROWS[name]["reason"], FUNCTION_ROWS[name]["reason"]) for name in counted}
    assert {name: pair for name, pair in reasons.items() if len({*pair} - {""}) > 1} == {}


def test_what_has_no_row_is_viewed() -> None:
    """But for methods of NumPy's classes and helpers of our own, which see the arrays themselves."""
    assert core._view_mode("raptors.of_a_newer_numpy") == "deep"
    assert core._view_mode("raptors.linalg.of_a_newer_numpy") == "deep"
    assert (
        core._view_mode("raptors.matrix.sum") == core._view_mode("raptors._pickle._frombuffer") == "original"
    )
    assert core._view_mode("raptors.ma.MaskedArray.put") == "original"
    assert core._view_mode("raptors.array") == core._view_mode("array") == "top"


LOOKS = ("__name__", "__qualname__", "__module__", "__doc__", "__text_signature__")


def signature(f: Any) -> Any:
    try:
        return inspect.signature(f)
    except (TypeError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("module", MODULES)
def test_functions_look_like_numpys(module: str) -> None:
    ours, numpys = both(module)
    for name in public(numpys):
        f, g = getattr(ours, name), getattr(numpys, name)
        if not is_proxy(f):
            continue
        assert f == g
        assert hash(f) == hash(g)
        assert repr(f) == repr(g)
        assert isinstance(f, type(g)) or not isinstance(g, numpy.ufunc)
        assert signature(f) == signature(g), name
        assert inspect.isroutine(f) or not inspect.isroutine(g), name
        assert inspect.getdoc(f) == inspect.getdoc(g), name
        if isinstance(g, types.FunctionType):  # by this, inspect finds its source
            assert inspect.unwrap(f) is inspect.unwrap(g), name
        for attribute in LOOKS:
            assert getattr(f, attribute, None) == getattr(g, attribute, None), (name, attribute)


@pytest.mark.parametrize("module", MODULES)
def test_methods_look_like_numpys(module: str) -> None:
    """Those of the classes that stand for NumPy's."""
    ours, numpys = both(module)
    for name in public(numpys):
        cls, base = getattr(ours, name), getattr(numpys, name)
        if not isinstance(cls, type) or cls is base:
            continue
        assert cls.__name__ == base.__name__
        assert cls.__doc__ == base.__doc__
        for key in dir(base):
            f, g = getattr(cls, key, None), getattr(base, key)
            assert f is not None or g is None, (name, key)
            if not key.startswith("_") and callable(g):
                assert signature(f) == signature(g), (name, key)
                assert f.__doc__ == g.__doc__, (name, key)


def test_star_imports_bring_the_same_names() -> None:
    for module in ("", "linalg", "fft", "random", "ma", "polynomial", "strings", "char", "rec"):
        ours, numpys = both(module)
        assert sorted(ours.__all__) == sorted(numpys.__all__)


def test_the_version_that_programs_ask_for_is_numpys() -> None:
    """Code for old versions would run otherwise, which hands out memory where a copy is wanted."""
    assert raptors.__version__ == raptors.version.version == numpy.__version__
    for module in MODULES:
        ours, numpys = both(module)
        for name in ("__version__", "version", "full_version"):
            assert getattr(ours, name, None) is getattr(numpys, name, None), (module, name)


def test_tools_see_numpys_functions() -> None:
    """np.sum, a dispatcher in NumPy, and np.isscalar, a plain function there."""
    for name in ("sum", "isscalar"):
        f, g = getattr(raptors, name), getattr(numpy, name)
        assert inspect.getsource(f) == inspect.getsource(g)
        shown, numpys = (pydoc.plain(pydoc.render_doc(x)).split("\n")[2:] for x in (f, g))
        own = (
            [line.strip() for line in shown].index("In raptors: Sum of the elements over axes.")
            if name == "sum"
            else None
        )
        assert "\n".join(shown[:own]).rstrip() == "\n".join(numpys).rstrip()
        wrapper: Any = functools.wraps(f)(lambda *args: None)
        assert (wrapper.__name__, wrapper.__doc__, wrapper.__wrapped__) == (name, g.__doc__, f)


@pytest.mark.parametrize("name", ["sum", "isscalar", "array", "add", "random.seed", "random.normal"])
def test_functions_bind_as_numpys(name: str) -> None:
    """As attributes of a class."""
    f, g = (operator.attrgetter(name)(library) for library in (raptors, numpy))
    bound, numpys = (type("Holder", (), {"attribute": x})().attribute for x in (f, g))
    assert (bound is f) == (numpys is g)


IMPORTS = """\
import raptors.linalg as la, raptors.random, raptors.fft, raptors.ma as ma
import raptors.polynomial.chebyshev as chebyshev
from raptors.random import Generator, default_rng
from raptors.lib.stride_tricks import sliding_window_view
from raptors.lib import NumpyVersion
from raptors.linalg import LinAlgError, norm
from raptors.typing import ArrayLike, NDArray
from raptors.exceptions import AxisError
from raptors.testing import assert_allclose
from raptors.polynomial import Polynomial
from raptors.ma.core import MaskedArray
import raptors.strings, raptors.char, raptors.rec, raptors.ctypeslib, raptors.dtypes
import numpy, raptors
assert la is raptors.linalg and ma.MaskedArray is MaskedArray and norm is la.norm
assert LinAlgError is numpy.linalg.LinAlgError and AxisError is numpy.exceptions.AxisError
assert type(sliding_window_view(raptors.arange(5), 2)) is raptors.ndarray
assert isinstance(default_rng(0), Generator) and isinstance(numpy.random.default_rng(0), Generator)
assert chebyshev.chebval is raptors.polynomial.chebyshev.chebval
try:
    import raptors.nothing
except ModuleNotFoundError as error:
    assert error.name == "raptors.nothing"
"""


def test_submodules_import_by_name() -> None:
    """In a process of its own, in which nothing has been imported before."""
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", IMPORTS], check=True, timeout=60)


FIRST_USE = """\
import importlib, sys, threading
import raptors
names = [("random", "randn"), ("linalg", "norm"), ("fft", "rfft"), ("ma", "masked_array"), ("emath", "sqrt"),
         ("polynomial", "Polynomial"), ("lib", "NumpyVersion"), ("testing", "assert_equal"), ("rec", "array"),
         ("strings", "upper"), ("char", "upper"), ("typing", "NDArray")]
sys.setswitchinterval(1e-6)
wrong = []
def look(barrier, found, module, name, by_name):
    barrier.wait()
    try:
        at = importlib.import_module("raptors." + module) if by_name else getattr(raptors, module)
        found.append(getattr(at, name))
    except Exception as error:
        wrong.append((module, name, error))
for module, name in names:
    barrier, found = threading.Barrier(8), []
    imports = [i % 4 == 3 and module != "emath" for i in range(8)]
    threads = [threading.Thread(target=look, args=(barrier, found, module, name, i)) for i in imports]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    wrong += [(module, name, x) for x in found if x is not getattr(getattr(raptors, module), name)]
print(wrong)
"""


def test_first_use_by_several_threads_at_once() -> None:
    """All wait for the one that makes the submodule: they see it whole, and the same one."""
    for _ in range(3):
        assert python_ok(FIRST_USE).strip() == "[]"


def test_first_use_that_is_cut_short() -> None:
    """An interrupt while a submodule is being made leaves nothing half made."""
    code = """
import raptors
from raptors import _namespace
whole, calls = _namespace.translate, 0
def cut(*arguments):
    global calls
    calls += 1
    if calls == 5: raise KeyboardInterrupt
    return whole(*arguments)
_namespace.translate = cut
for use in (lambda: raptors.linalg.norm, lambda: raptors.linalg.norm, lambda: raptors.linalg.inv):
    try: use()
    except KeyboardInterrupt: print("cut")
import numpy, raptors.linalg
print({*numpy.linalg.__all__} - {*dir(raptors.linalg)})
"""
    assert python_ok(code).split("\n") == ["cut", "set()", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_first_use_in_the_child_of_a_fork() -> None:
    """Another thread of the parent was making a submodule."""
    code = """
import os, signal, threading
import raptors
from raptors import _namespace
begun, over = threading.Event(), threading.Event()
def stop_midway(*arguments):
    begun.set()
    over.wait()
    return whole(*arguments)
whole, _namespace.translate = _namespace.translate, stop_midway
thread = threading.Thread(target=lambda: raptors.linalg.norm)
thread.start()
begun.wait()
_namespace.translate = whole
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if raptors.linalg.norm(raptors.ones(4)) == 2 and raptors.fft.rfft is raptors.fft.rfft else 1)
status = os.waitpid(child, 0)[1]
over.set()
thread.join()
print(status, raptors.linalg.norm(raptors.ones(4)))
"""
    assert python_ok(code, "-W", "ignore::DeprecationWarning").strip() == "0 2.0"


def failure(call: Any) -> AttributeError:
    with pytest.raises(AttributeError) as raised:
        call()
    return raised.value


@pytest.mark.parametrize("module", MIRRORED)
def test_unknown_names_are_not_blamed_on_numpy(module: str) -> None:
    ours, numpys = both(module)
    found, theirs = failure(lambda: ours.nosuch), failure(lambda: numpys.nosuch)
    assert str(found) == f"module {ours.__name__!r} has no attribute 'nosuch'"
    assert str(theirs) == str(found).replace("raptors", "numpy")
    assert (found.name, found.obj) == ("nosuch", ours)


@pytest.mark.parametrize("name", ["float_", "NINF", "product", "bool8", "int", "complex"])
def test_names_that_are_gone_have_numpys_hint(name: str) -> None:
    found, theirs = failure(lambda: getattr(raptors, name)), failure(lambda: getattr(numpy, name))
    assert str(found) == str(theirs).replace("module 'numpy'", "module 'raptors'")
    assert found.name == theirs.name
    assert found.obj is (None if theirs.obj is None else raptors)


SUGGESTIONS = {"arrange": "arange", "linalg.norn": "norm", "lib.stride_trick": "stride_tricks"}


@pytest.mark.parametrize(("wrong", "right"), SUGGESTIONS.items())
def test_misspelt_names_get_a_suggestion(wrong: str, right: str) -> None:
    said = python(f"import raptors as np; np.{wrong}").stderr.splitlines()[-1]
    assert said.startswith("AttributeError: module 'raptors")
    assert f". Did you mean: '{right}'" in said


def test_deprecated_names_of_submodules_warn_the_caller() -> None:
    """Where NumPy points: at the line that asks."""
    told = []
    for library in (numpy, raptors):
        submodule = library.typing
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _ = submodule.NBitBase
        told.append([(w.category, w.filename) for w in caught])
    assert told[0] == told[1]


def test_help_tells_of_kernels() -> None:
    """Below NumPy's text: the row's, its dtypes and its accuracy. The attribute is NumPy's alone."""
    text = pydoc.render_doc(raptors.add, renderer=pydoc.plaintext)
    assert "In raptors: Sum of two arrays." in text
    assert "float64" in text.partition("In raptors")[2]
    assert "the bits are NumPy's" in text
    assert "ULP in float32" in pydoc.render_doc(raptors.exp, renderer=pydoc.plaintext)
    assert "In raptors" not in pydoc.render_doc(raptors.hypot, renderer=pydoc.plaintext)
    assert raptors.add.__doc__ == numpy.add.__doc__
