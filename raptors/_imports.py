"""NumPy's imports, answered with raptors where they are the program's.

The program's own files get raptors where they import numpy; installed libraries go on with NumPy, and
``sys.modules["numpy"]`` stays NumPy. Whose an import is, is decided by the code that imports.

A child process of a run loads this file before everything else, without the package: see `_processes`.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import os
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any, cast

from raptors._hooks import when_imported

__all__ = ["install"]

Scope = Mapping[str, object]

# Who imports ------------------------------------------------------------------------------------

# Tools that run the program's code and import what it names. Where their own code names NumPy, it is
# for their own use.
_RUNNERS = frozenset({"_pytest", "execnet", "pluggy", "pytest", "xdist"})

_library_folders: tuple[str, ...] = ()
_standard_folders: tuple[str, ...] = ()
_owners: dict[str, bool | None] = {}


def _find_folders() -> None:
    """Learn where installed libraries and the standard library are."""
    global _library_folders, _standard_folders
    import importlib.util  # these two with the first import of NumPy, not in every child process
    import sysconfig

    def whole(*folders: str) -> tuple[str, ...]:
        both = {path for folder in folders for path in (os.path.abspath(folder), os.path.realpath(folder))}
        return tuple(os.path.join(path, "") for path in both)

    paths = sysconfig.get_paths()
    try:
        numpys = importlib.util.find_spec("numpy")
    except ValueError:  # something of the program's has that name
        numpys = None
    # A source checkout of NumPy is NumPy all the same.
    sources = [os.path.dirname(numpys.origin)] if numpys and numpys.origin else []
    _standard_folders = whole(paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__))
    _library_folders = whole(paths["purelib"], paths["platlib"], os.path.dirname(__file__), *sources)


def _is_programs_file(path: str) -> bool | None:
    """Whether a file is the program's; None if it belongs to the standard library."""
    if path in _owners:
        return _owners[path]
    if not _library_folders:
        _find_folders()
    absolute = os.path.abspath(path)
    installed = {"site-packages", "dist-packages"} & set(absolute.split(os.sep))
    owner: bool | None
    if installed or absolute.startswith(_library_folders):
        owner = False
    else:
        owner = None if absolute.startswith(_standard_folders) else True
    _owners[path] = owner
    return owner


def _is_programs_code(name: str, scope: Scope, code: types.CodeType) -> bool | None:
    """Whether code that imports `name`, known by its globals, is the program's; None if it only passes on."""
    module = scope.get("__name__")
    # A spawned process knows the program's main module as __mp_main__.
    if module in ("__main__", "__mp_main__"):
        return True
    if isinstance(module, str) and module.partition(".")[0] in _RUNNERS and name not in code.co_names:
        return None
    file = scope.get("__file__")
    return _is_programs_file(file) if isinstance(file, str) else None


def _is_for_program(name: str, scope: Scope | None, frame: types.FrameType | None) -> bool:
    """Whether the import of `name` in this frame, with these globals, is the program's.

    The standard library and test runners import NumPy for whoever calls them, and code that carries
    neither a name that says so nor a file (``exec`` in a bare dictionary) belongs to whoever runs it.
    So the search goes on through the callers; where there is nobody else, it is the program.
    """
    owner = None if scope is None or frame is None else _is_programs_code(name, scope, frame.f_code)
    while owner is None and frame is not None:
        owner = _is_programs_code(name, frame.f_globals, frame.f_code)
        frame = frame.f_back
    return owner is not False


# What is imported -------------------------------------------------------------------------------

_python_import = builtins.__import__
_python_import_module = importlib.import_module


def _is_numpys(name: str) -> bool:
    return name == "numpy" or name.startswith("numpy.")


def _twin(name: str) -> types.ModuleType:
    """The module that stands for NumPy's module `name`, which is loaded: raptors' own, or NumPy's.

    A module that raptors does not offer is bound in its parent, as an import binds it.
    """
    if name == "numpy":
        return _python_import_module("raptors")
    parent_name, _, last = name.rpartition(".")
    parent = _twin(parent_name)
    numpys = sys.modules[name]
    if last.startswith("_") or not parent.__name__.startswith("raptors"):
        return numpys  # private modules are NumPy's, whatever raptors has by that name
    own = "raptors" + name.removeprefix("numpy")
    try:
        return _python_import_module(own)
    except ModuleNotFoundError as error:
        if not f"{own}.".startswith(f"{error.name}."):
            raise  # raptors has the module, and something it needs is missing
    found = getattr(parent, last, None)
    if isinstance(found, types.ModuleType):
        return found
    if found is None:
        setattr(parent, last, numpys)
    return numpys


def _import_twin(
    name: str, scope: Scope | None, local: Scope | None, wanted: Sequence[str] | None
) -> types.ModuleType:
    """Do ``import name`` or ``from name import *wanted`` for code of the program."""
    # NumPy's own module first: a missing one is reported in NumPy's words.
    numpys = _python_import(name, scope, local, wanted, 0)
    if not wanted:
        _twin(name)
        return _twin("numpy")
    twin = _twin(name)
    for item in wanted:
        if item == "*":
            continue
        full_name = f"{name}.{item}"
        if full_name in sys.modules:
            _twin(full_name)
        elif not hasattr(twin, item):
            if not hasattr(numpys, item):
                return numpys  # the import is about to fail, and should name NumPy
            setattr(twin, item, getattr(numpys, item))
    return twin


def _without_own_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    while trace is not None and trace.tb_frame.f_code in _own_codes:
        trace = trace.tb_next
    return trace


def _import(
    name: Any,
    globals: Scope | None = None,
    locals: Scope | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> types.ModuleType:
    """Import a module, see `builtins.__import__`; numpy becomes raptors for code of the program."""
    try:
        if (
            level == 0
            and isinstance(name, str)
            and _is_numpys(name)
            # C code asks for a module with an empty list and gets it from sys.modules anyway.
            and not (isinstance(fromlist, list) and not fromlist)
            and _is_for_program(name, globals, sys._getframe(1))
        ):
            return _import_twin(name, globals, locals, fromlist)
        return _python_import(name, globals, locals, fromlist, level)
    except BaseException as error:
        # A bare raise does not enter this frame again, so tracebacks look as if it were not there.
        error.__traceback__ = _without_own_frames(error.__traceback__)
        raise


def _import_module(name: str, package: str | None = None) -> types.ModuleType:
    """Import a module, see `importlib.import_module`; numpy becomes raptors for code of the program."""
    try:
        module = _python_import_module(name, package)
        if _is_numpys(name) and _is_for_program(name, None, sys._getframe(1)):
            return _twin(name)
        return module
    except BaseException as error:
        error.__traceback__ = _without_own_frames(error.__traceback__)
        raise


# `warnings` counts its stack levels without the frames of the import system, which it knows by these
# words in the file name. A module that warns about its being imported must blame the importer.
for _function in (_import, _import_module):
    _function.__code__ = _function.__code__.replace(co_filename="<raptors importlib._bootstrap>")
del _function
_own_codes = frozenset(function.__code__ for function in (_import, _import_module, _import_twin, _twin))


def _fit_importorskip(outcomes: types.ModuleType) -> None:
    """Have pytest.importorskip return the twin: it takes what it has imported from ``sys.modules``."""
    find = getattr(outcomes, "importorskip", None)
    if find is None:
        return

    @functools.wraps(find)
    def importorskip(modname: str, *arguments: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        module = find(modname, *arguments, **keywords)
        if _is_numpys(modname) and _is_for_program(modname, None, sys._getframe(1)):
            return _twin(modname)
        return module

    vars(outcomes)["importorskip"] = importorskip


def install() -> None:
    """Give raptors to the program's files where they import numpy, from now on, in this process.

    The program is ``__main__`` and every file outside the folders of installed libraries (any
    site-packages or dist-packages) and of the standard library. What the standard library and pytest
    import because the program tells them to is the program's import, too.
    """
    global _python_import, _python_import_module
    if builtins.__import__ is _import:
        return
    _python_import = builtins.__import__
    _python_import_module = importlib.import_module
    builtins.__import__ = cast(Any, _import)
    importlib.import_module = _import_module
    when_imported("_pytest.outcomes", _fit_importorskip)
