"""Running a program with raptors in NumPy's place.

The program's own files get raptors where they import numpy; installed libraries and the standard
library go on with NumPy, and ``sys.modules["numpy"]`` stays NumPy. Who is who is decided by the file
that imports, see `install`.

The file also starts as a script, without the rest of the package: this is how `_compare` runs a
program under plain NumPy without loading raptors. It therefore imports the standard library only.
"""

from __future__ import annotations

import atexit
import builtins
import importlib
import importlib.machinery
import io
import json
import linecache
import os
import pkgutil
import runpy
import sys
import sysconfig
import textwrap
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, cast

__all__ = ["Program", "install", "measured", "run"]

Scope = Mapping[str, object]


class Program(NamedTuple):
    """What to run: a script's path or ``-``, a module's name or a piece of code, and its arguments."""

    kind: Literal["script", "module", "code"]
    target: str
    arguments: Sequence[str]


# Who imports ------------------------------------------------------------------------------------

_library_folders: tuple[str, ...] = ()
_verdicts: dict[str, bool] = {}


def _find_library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {os.path.dirname(os.__file__), os.path.dirname(__file__)}
    numpy_file = getattr(sys.modules.get("numpy"), "__file__", None)
    if numpy_file:  # a source checkout of NumPy is NumPy all the same
        folders.add(os.path.dirname(numpy_file))
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)


def _is_user_file(path: str) -> bool:
    global _library_folders
    verdict = _verdicts.get(path)
    if verdict is None:
        _library_folders = _library_folders or _find_library_folders()
        absolute = os.path.abspath(path)
        installed = {"site-packages", "dist-packages"} & set(absolute.split(os.sep))
        verdict = not installed and not absolute.startswith(_library_folders)
        _verdicts[path] = verdict
    return verdict


def _is_user_code(scope: Scope | None, frame: types.FrameType | None) -> bool:
    """Whether the importing code, known by its globals, belongs to the program.

    Code that carries neither a name that says so nor a file (``exec`` in a bare dictionary) belongs
    to whoever runs it, so the search goes on through the callers' frames.
    """
    while True:
        if scope is not None:
            # A spawned process knows the program's main module as __mp_main__.
            if scope.get("__name__") in ("__main__", "__mp_main__"):
                return True
            file = scope.get("__file__")
            if isinstance(file, str):
                return _is_user_file(file)
            if getattr(scope.get("__spec__"), "origin", None) in ("built-in", "frozen"):
                return False
        if frame is None:
            return False
        scope, frame = frame.f_globals, frame.f_back


# What is imported -------------------------------------------------------------------------------

_python_import = builtins.__import__
_python_import_module = importlib.import_module


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
    found = getattr(parent, last, None)
    if isinstance(found, types.ModuleType):
        return found
    own = "raptors" + name.removeprefix("numpy")
    try:
        return _python_import_module(own)
    except ModuleNotFoundError as error:
        if not f"{own}.".startswith(f"{error.name}."):
            raise  # raptors has the module, and something it needs is missing
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
            and (name == "numpy" or name.startswith("numpy."))
            # C code asks for a module with an empty list and gets it from sys.modules anyway.
            and not (isinstance(fromlist, list) and not fromlist)
            and _is_user_code(globals, sys._getframe(1))
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
        if name == "numpy" or name.startswith("numpy."):
            frame = sys._getframe(1)
            if _is_user_code(frame.f_globals, frame.f_back):
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


# Processes started by multiprocessing -----------------------------------------------------------


class _InstallWhenUnpickled:
    """Travels in the data a spawned process reads before it imports the program's main module."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return install, ()


def _reach_spawned(spawn: types.ModuleType) -> None:
    """Make `multiprocessing.spawn` install the hook in the processes it prepares."""
    prepare: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**prepare(name), "raptors": _InstallWhenUnpickled()}

    vars(spawn)["get_preparation_data"] = get_preparation_data


class _SpawnFinder:
    """Finder that changes multiprocessing.spawn when it is loaded: only who uses it pays for it."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "multiprocessing.spawn":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                _reach_spawned(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec


def install() -> None:
    """Give raptors to the program's files where they import numpy, from now on, in this process.

    The program is ``__main__`` and every file outside the folders of installed libraries (any
    site-packages or dist-packages) and of the standard library. Processes started by multiprocessing
    follow; other child processes do not.
    """
    global _python_import, _python_import_module
    if builtins.__import__ is _import:
        return
    _python_import = builtins.__import__
    _python_import_module = importlib.import_module
    builtins.__import__ = cast(Any, _import)
    importlib.import_module = _import_module
    spawn = sys.modules.get("multiprocessing.spawn")
    if spawn is not None:
        _reach_spawned(spawn)
    else:
        sys.meta_path.insert(0, _SpawnFinder)


# Running ----------------------------------------------------------------------------------------


def _fail(message: str, status: int | None = None) -> NoReturn:
    """End with a message on standard error, with `status` or, as `sys.exit` does, with 1."""
    if status is None:
        raise SystemExit(message)
    print(message, file=sys.stderr)
    raise SystemExit(status)


def _module_scope(spec: importlib.machinery.ModuleSpec) -> dict[str, object]:
    return {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }


def _details(find: Callable[..., Any], *names: str) -> Any:
    """What runpy finds out about a module to be run: name, spec and code."""
    try:
        return find(*names, vars(runpy)["_Error"])
    except vars(runpy)["_Error"] as error:
        _fail(f"{sys.executable}: {error}")


def _load_module(program: Program) -> tuple[types.CodeType, dict[str, object]]:
    _, spec, code = _details(vars(runpy)["_get_module_details"], program.target)
    sys.argv[0] = spec.origin
    return code, _module_scope(spec)


def _load_script(program: Program) -> tuple[types.CodeType, dict[str, object]]:
    path = program.target
    if pkgutil.get_importer(path) is not None:  # a folder or a zip file with a __main__.py
        _, spec, code = _details(vars(runpy)["_get_main_module_details"])
        return code, _module_scope(spec)
    absolute = os.path.join(os.getcwd(), path)
    loader: importlib.machinery.SourceFileLoader | importlib.machinery.SourcelessFileLoader
    try:
        if path.endswith(".pyc"):
            loader = importlib.machinery.SourcelessFileLoader("__main__", absolute)
            code = loader.get_code("__main__")
        else:
            loader = importlib.machinery.SourceFileLoader("__main__", absolute)
            with io.open_code(absolute) as file:
                code = compile(file.read(), absolute, "exec", dont_inherit=True)
    except OSError as error:
        _fail(f"raptors: can't open file {absolute!r}: [Errno {error.errno}] {error.strerror}", 2)
    return code, {"__file__": absolute, "__cached__": None, "__loader__": loader}


def _load_code(program: Program) -> tuple[types.CodeType, dict[str, object]]:
    source = program.target
    if sys.version_info >= (3, 14):
        source = textwrap.dedent(source)
    if sys.version_info >= (3, 13):  # since then tracebacks quote the lines of -c
        lines = source.splitlines(keepends=True)
        linecache.cache["<string>"] = (len(source), None, lines, "<string>")
    code = compile(source, "<string>", "exec", dont_inherit=True)
    return code, {"__loader__": importlib.machinery.BuiltinImporter}


def _load_stdin(program: Program) -> tuple[types.CodeType, dict[str, object]]:
    code = compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True)
    return code, {"__loader__": importlib.machinery.BuiltinImporter}


def _execute(program: Program, path0: Literal["insert", "replace", "keep"]) -> None:
    """Set the process up as `python` does for the program, and run it."""
    main = types.ModuleType("__main__")
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    vars(main)["__builtins__"] = builtins

    folder, name = "", program.target
    if program.kind == "code":
        load, name = _load_code, "-c"
    elif program.kind == "module":
        load, folder, name = _load_module, os.getcwd(), "-m"
    elif name == "-":
        load = _load_stdin
    else:
        load, folder = _load_script, os.path.dirname(os.path.realpath(name))
        if pkgutil.get_importer(name) is not None:
            folder = os.path.join(os.getcwd(), name)
            path0 = "insert" if path0 == "keep" else path0
    if path0 == "insert":
        sys.path.insert(0, folder)
    elif path0 == "replace":
        sys.path[0] = folder
    sys.argv[:] = [name, *program.arguments]
    sys.modules["__main__"] = main
    code, scope = load(program)
    vars(main).update(scope)
    exec(code, vars(main))


def _users_part(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the program's first frame on."""
    ours = {__file__, runpy.__file__, runpy.run_path.__code__.co_filename}
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file not in ours and "importlib._bootstrap" not in file:
            break
        trace = trace.tb_next
    return trace


def run(program: Program, path0: Literal["insert", "replace", "keep"] = "replace") -> None:
    """Run a program in this process, as ``python`` would run it, and return when it has ended.

    `path0` says what becomes of ``sys.path[0]``, which plain ``python`` sets to the program's folder.

    Raises whatever the program raises, ready to leave the process: the interpreter prints the
    program's own traceback and ends with the status it has for that exception.
    """
    try:
        _execute(program, path0)
    except SystemExit:
        raise
    except BaseException as error:
        _show_as_users(error)
        raise


def _show_as_users(error: BaseException) -> None:
    """Have the interpreter print an exception that ends the program without the launcher's frames."""
    trace = _users_part(error.__traceback__)
    show = getattr(sys, "excepthook", sys.__excepthook__)

    def excepthook(
        kind: type[BaseException], value: BaseException, whole: types.TracebackType | None
    ) -> None:
        sys.excepthook = show
        if value is error:
            value.__traceback__ = whole = trace
        show(kind, value, whole)

    sys.excepthook = excepthook


# Measuring --------------------------------------------------------------------------------------


def _report() -> dict[str, object] | None:
    raptors = sys.modules.get("raptors")
    make = getattr(raptors, "report", None)
    if make is None:
        return None
    report = make()
    numbers = {name: getattr(report, name, None) for name in ("native_calls", "total_calls", "share")}
    return {**numbers, "text": str(report)}


def measured(arguments: Sequence[str]) -> None:
    """Run a program for `_compare` and leave its time, and raptors' report, in an open file.

    `arguments` are ``numpy`` or ``raptors``, the file's descriptor, what becomes of ``sys.path[0]``,
    and the program: kind, target, arguments.
    """
    library, descriptor_text, path0, kind, target, *rest = arguments
    descriptor = int(descriptor_text)
    os.set_inheritable(descriptor, False)
    identity = os.fstat(descriptor)
    process = os.getpid()
    importlib.import_module(library)
    importlib.import_module("numpy")
    if library == "raptors":
        install()

    def leave_record() -> None:
        seconds = time.perf_counter() - start
        if os.getpid() != process:
            return  # a forked child that ends as a normal program does
        record = {"seconds": seconds, "report": _report() if library == "raptors" else None}
        try:
            # A program may close what it did not open and use the number for a file of its own.
            if os.path.samestat(identity, os.fstat(descriptor)):
                os.write(descriptor, json.dumps(record).encode())
        except OSError:
            pass  # no record: the parent knows the time of the whole process

    # Registered before the program's own functions, so it comes after them.
    atexit.register(leave_record)
    start = time.perf_counter()
    run(Program(cast(Any, kind), target, rest), cast(Any, path0))


if __name__ == "__main__":
    if sys.argv[1] == "raptors":
        importlib.import_module("raptors._run").measured(sys.argv[1:])
    else:
        measured(sys.argv[1:])
