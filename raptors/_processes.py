"""The processes of a run: the program's own, and those that it starts with the same Python.

A child finds the folder `STARTUP` in front of PYTHONPATH. The sitecustomize in there hides the folder from
``sys.path``, calls `follow` and lets the user's own sitecustomize run. A Python that does not read PYTHONPATH
(-E, -I), or not sitecustomize (-S), or that has not this very raptors, runs as if there were no raptors.

Where calls are counted, each process leaves its counts in a folder when it ends; the leading process, or
`_compare`, adds them up.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.machinery
import json
import os
import signal
import sys
import time
import types
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from raptors._imports import install

__all__ = ["VARIABLE", "begin", "counted", "environment", "follow", "plain_environment"]

PACKAGE = os.path.dirname(os.path.abspath(__file__))
STARTUP = os.path.join(PACKAGE, "_startup")

#: Which Python the run uses, the number of the process that leads it, and the folder for counts.
VARIABLE = "_RAPTORS_RUN"


def plain_environment() -> dict[str, str]:
    """The environment for children that get plain NumPy."""
    environ = {**os.environ}
    if environ.pop(VARIABLE, None) is not None:
        path = environ.get("PYTHONPATH", "").split(os.pathsep)
        path = [folder for folder in path if folder != STARTUP]
        environ.pop("PYTHONPATH", None)
        if path:
            environ["PYTHONPATH"] = os.pathsep.join(path)
    return environ


def environment(leader: int = 0, folder: str = "") -> dict[str, str]:
    """The environment for children that get raptors, and leave their counts in `folder` if there is one."""
    environ = plain_environment()
    path = environ.get("PYTHONPATH")
    environ["PYTHONPATH"] = STARTUP + os.pathsep + path if path else STARTUP
    environ[VARIABLE] = f"{sys.implementation.cache_tag}{sys.abiflags}:{leader}:{folder}"
    return environ


class _Finder:
    """Finds raptors where this file is, whatever has that name in the program's folder."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "raptors":
            return None
        return importlib.machinery.PathFinder.find_spec(name, [os.path.dirname(PACKAGE)])


def begin(report: bool) -> None:
    """Lead a run: this process and its children get raptors. With `report` their counts are shown last."""
    install()
    folder = ""
    if report:
        import tempfile

        folder = tempfile.mkdtemp(prefix="raptors-run-")
        _count(folder, leads=True)
    elif _Finder in sys.meta_path:
        return  # a run within a run: the other one leads, and may count
    os.environ.update(environment(os.getpid(), folder))


def follow() -> None:
    """Go on with raptors in a process of a run, as its environment has it."""
    install()
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    _, leader, folder = os.environ[VARIABLE].split(":", 2)
    if folder and not _counts.folder:
        # A leading process may replace itself by another program.
        _count(folder, leads=int(leader) == os.getpid())


# Counts -----------------------------------------------------------------------------------------


class _Counts:
    """Where this process leaves its counts, and whether it shows those of all."""

    folder = ""
    file = ""
    leads = False

    def take_name(self) -> None:
        """Take a name that no other process has, nor this one before it was replaced by ``exec``."""
        self.file = os.path.join(self.folder, f"{os.getpid()}-{time.monotonic_ns()}.json")


_counts = _Counts()


def _count(folder: str, leads: bool) -> None:
    """Leave the counts of this process in `folder` when it ends, and of the children that it forks."""
    fresh = not _counts.folder
    _counts.folder, _counts.leads = folder, leads
    _counts.take_name()
    if not fresh:
        return
    # Registered before the program's own functions, so it comes after them.
    atexit.register(_leave)
    os.register_at_fork(after_in_child=_begin_fork)
    # Forked children of multiprocessing end by os._exit.
    vars(os)["_exit"] = _exit
    for name in ("execv", "execve"):
        vars(os)[name] = _writing_before(vars(os)[name])
    # multiprocessing.Pool ends its workers by this signal.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _begin_fork() -> None:
    _counts.leads = False
    _counts.take_name()
    reset = getattr(sys.modules.get("raptors._config"), "reset_report", None)
    if reset is not None:
        reset()


def _write() -> None:
    report = getattr(sys.modules.get("raptors._config"), "report", None)
    rows = [] if report is None else report().rows
    if not rows:
        return
    part = f"{_counts.file}.part"
    # The folder is gone where the leading process has ended before.
    with contextlib.suppress(OSError):
        with open(part, "w", encoding="utf-8") as file:
            json.dump(rows, file)
        os.replace(part, _counts.file)


def _leave() -> None:
    _write()
    if not _counts.leads:
        return
    _counts.leads = False
    import shutil

    report, processes = counted(_counts.folder)
    shutil.rmtree(_counts.folder, ignore_errors=True)
    where = "1 process" if processes == 1 else f"{processes} processes"
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # a broken pipe, a closed file
            print(f"{report}\ncounted in {where}", file=sys.stderr, flush=True)


_python_exit = os._exit


def _exit(status: int) -> NoReturn:
    try:
        _leave()
    finally:
        _python_exit(status)


def _writing_before(replace: Any) -> Any:
    @functools.wraps(replace)
    def replacing(*arguments: Any, **keywords: Any) -> Any:
        _write()
        return replace(*arguments, **keywords)

    return replacing


def _terminate(number: int, frame: types.FrameType | None) -> None:
    try:
        _leave()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def counted(folder: str) -> tuple[Any, int]:
    """The sum of the counts in `folder`, a `raptors.Report`, and the number of processes that left some."""
    total: dict[tuple[str, str, str], dict[str, Any]] = {}
    names = [name for name in os.listdir(folder) if name.endswith(".json")]
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            rows: list[Mapping[str, Any]] = json.load(file)
        for row in rows:
            key = (row["function"], row["dtype"], row["reason"])
            sums = total.setdefault(key, {name: 0 if isinstance(n, int) else n for name, n in row.items()})
            for name, number in row.items():
                if isinstance(number, int):
                    sums[name] += number
    config = importlib.import_module("raptors._config")
    return config.Report(list(total.values())), len(names)
