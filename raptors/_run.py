"""Running a program as ``python`` would run it.

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
import textwrap
import time
import types
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, cast

__all__ = ["Program", "begin_session", "measured", "python", "restart_interactively", "run"]


class Program(NamedTuple):
    """What to run: a script's path, a module's name, a piece of code or standard input, and its arguments."""

    kind: Literal["script", "module", "code", "stdin"]
    target: str
    arguments: Sequence[str]


Path0 = Literal["insert", "replace", "keep"]


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


def _execute(program: Program, path0: Path0) -> None:
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
    elif program.kind == "stdin":
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


def run(program: Program, path0: Path0 = "replace") -> None:
    """Run a program in this process, as ``python`` would run it, and return when it has ended.

    `path0` says what becomes of ``sys.path[0]``, which plain ``python`` sets to the program's folder.

    Raises whatever the program raises, ready to leave the process: the interpreter prints the
    program's own traceback and ends with the status it has for that exception.
    """
    try:
        _execute(program, path0)
    except BaseException as error:
        # Before an interactive session it is shown, too.
        if sys.flags.inspect or not isinstance(error, SystemExit):
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


# Interactive sessions ---------------------------------------------------------------------------


def python() -> list[str]:
    """The command that starts this interpreter again, with the switches that it was started with."""
    subprocess = importlib.import_module("subprocess")
    return [sys.executable, *vars(subprocess)["_args_from_interpreter_flags"]()]


def begin_session(greeting: str, *switches: str) -> NoReturn:
    """Put the interpreter's own session in the place of this process, which leads a run."""
    if not sys.flags.quiet:
        print(greeting, file=sys.stderr, flush=True)
    os.execv(sys.executable, [*python(), *switches])


def restart_interactively(arguments: Sequence[str]) -> NoReturn:
    """Put ``python -i`` with this command line in the place of this process.

    The interpreter's own session comes after all that runs in it, and only under that option do errors
    and `sys.exit` lead there.
    """
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # A checkout of raptors in the current folder is not the raptors that runs.
    hide = "" if sys.flags.safe_path else f"sys.path[0] = {folder!r}; "
    start = f"import sys; {hide}from raptors.__main__ import main; main()"
    os.execv(sys.executable, [*python(), "-i", "-c", start, *arguments])


# Measuring --------------------------------------------------------------------------------------


def measured(arguments: Sequence[str]) -> None:
    """Run a program for `_compare` and leave its time in an open file.

    `arguments` are ``numpy`` or ``raptors``, the file's descriptor, what becomes of ``sys.path[0]``,
    and the program: kind, target, arguments.
    """
    library, descriptor_text, path0, kind, target, *rest = arguments
    descriptor = int(descriptor_text)
    os.set_inheritable(descriptor, False)
    identity = os.fstat(descriptor)
    process = os.getpid()
    importlib.import_module("numpy")
    if library == "raptors":
        importlib.import_module("raptors._processes").follow()
        importlib.import_module("raptors")

    def leave_record() -> None:
        seconds = time.perf_counter() - start
        if os.getpid() != process:
            return  # a forked child that ends as a normal program does
        try:
            # A program may close what it did not open and use the number for a file of its own.
            if os.path.samestat(identity, os.fstat(descriptor)):
                os.write(descriptor, json.dumps(seconds).encode())
        except OSError:
            pass  # no record: the parent knows the time of the whole process

    # Registered before the program's own functions, so it comes after them.
    atexit.register(leave_record)
    start = time.perf_counter()
    run(Program(cast(Any, kind), target, rest), cast(Any, path0))


if __name__ == "__main__":
    measured(sys.argv[1:])
