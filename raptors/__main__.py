"""The command line: ``raptors``, or ``python -m raptors``."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import io
import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from raptors import _run
from raptors._version import __version__

__all__ = ["main"]

DESCRIPTION = "NumPy-compatible arrays in less time: run programs with raptors in NumPy's place."

RUN_USAGE = "raptors run [options] (script.py | -m module | -c code | -) [arguments ...]"

RUN_DESCRIPTION = """\
Run a program as python would, with raptors in NumPy's place: the program's own files get raptors
where they import numpy, installed libraries and the standard library go on with NumPy.

With --compare the program runs under NumPy and under raptors in turn, each time in a process of its
own with the same arguments and the same standard input; what it prints, its exit status and its
times are compared. The program's own output is not shown.
"""

RUN_EPILOG = """\
Options of raptors come before the program; all that follows it belongs to the program.
Processes that the program starts through multiprocessing follow it; others get plain NumPy.

exit status: the program's own; with --compare 0 if both agree, 1 if not; 2 after a usage error

examples:
  raptors run simulation.py --steps 1000
  raptors run --report -m package.tool input.csv
  raptors run --compare --rounds 3 simulation.py
"""


def _rounds(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _tolerance(text: str) -> float:
    value = float(text)
    if not (0 <= value < math.inf):
        raise ValueError
    return value


_rounds.__name__ = "number of rounds"  # as argparse names it in "invalid ... value"
_tolerance.__name__ = "tolerance"


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The parser of the whole command line and the one of ``run``."""
    parser = argparse.ArgumentParser(prog="raptors", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"raptors {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    run = commands.add_parser(
        "run",
        usage=RUN_USAGE,
        help="run a program with raptors in NumPy's place, or compare the two",
        description=RUN_DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("--compare", action="store_true", help="run under NumPy and under raptors, and compare")
    run.add_argument(
        "--report",
        action="store_true",
        help="afterwards, show which calls ran natively and why others did not (standard error)",
    )
    run.add_argument(
        "--rounds",
        type=_rounds,
        metavar="N",
        help="with --compare: runs under each of the two (default: 5)",
    )
    run.add_argument(
        "--rtol",
        type=_tolerance,
        metavar="X",
        help="with --compare: relative tolerance of printed numbers (default: 1e-6)",
    )
    run.add_argument(
        "--atol",
        type=_tolerance,
        metavar="X",
        help="with --compare: absolute tolerance of printed numbers (default: 0)",
    )

    commands.add_parser(
        "calibrate",
        help="measure this machine, for when threads and BLAS pay",
        description="Measure what calls cost here, how fast threads are and from where on BLAS multiplies "
        "faster, and keep the figures for this user's programs. Takes some seconds; nothing else should run.",
        allow_abbrev=False,
    )
    info = commands.add_parser(
        "info",
        help="show versions, instruction sets, threads, build and settings",
        description="Show versions, instruction sets, threads, build and settings in force.",
        allow_abbrev=False,
    )
    info.add_argument("--json", action="store_true", help="as JSON")
    return parser, run


# run --------------------------------------------------------------------------------------------

VALUED = ("--rounds", "--rtol", "--atol")


def _split(arguments: Sequence[str]) -> tuple[list[str], _run.Program | None]:
    """Part the options of ``run`` from the program, as ``python`` parts its own."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word[:2] in ("-m", "-c"):
            attached = [word[2:]] if len(word) > 2 else []
            rest = [*attached, *arguments[index + 1 :]]
            if not rest:
                return [*arguments[:index], word], None
            kind: Literal["module", "code"] = "module" if word[1] == "m" else "code"
            return list(arguments[:index]), _run.Program(kind, rest[0], rest[1:])
        if word == "--":
            index += 1
            break
        if word == "-" or not word.startswith("-"):
            break
        index += 2 if word in VALUED else 1
    options = [word for word in arguments[:index] if word != "--"]
    rest = list(arguments[index:])
    return options, _run.Program("script", rest[0], rest[1:]) if rest else None


def _show_report(process: int) -> None:
    if os.getpid() == process:  # not a forked child that ends as a normal program does
        with contextlib.suppress(BrokenPipeError):
            print(importlib.import_module("raptors").report(), file=sys.stderr)


def _run_command(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    words, program = _split(arguments)
    if program is None and words and words[-1] in ("-m", "-c"):
        parser.error(f"argument expected for the {words[-1]} option")
    options = parser.parse_args(words)
    if program is None:
        parser.error("what to run is missing: a script, -m module or -c code")
    chosen = {
        name: value for name in ("rounds", "rtol", "atol") if (value := getattr(options, name)) is not None
    }
    if not options.compare:
        if chosen:
            parser.error(f"--{next(iter(chosen))} needs --compare")
        if options.report:
            # Registered before the program's own functions, so it comes after them.
            atexit.register(_show_report, os.getpid())
        _run.install()
        _run.run(program, "keep" if sys.flags.safe_path else "replace")
        return 0
    if program.kind == "script" and program.target != "-" and not os.path.exists(program.target):
        parser.error(f"there is no file {program.target!r}")
    from raptors import _compare

    try:
        return 0 if _compare.compare_program(program, report=options.report, **chosen) else 1
    except KeyboardInterrupt:
        return 130  # what a shell makes of it


# info -------------------------------------------------------------------------------------------


def _ask(name: str) -> Any:
    """What raptors' function of that name says, or None if there is none."""
    function = getattr(importlib.import_module("raptors"), name, None)
    return None if function is None else function()


def _build() -> Any:
    show_config = importlib.import_module("raptors").show_config
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return show_config(mode="dicts")
        except TypeError:
            return show_config()


def _information() -> dict[str, Any]:
    isas = _ask("available_isas")
    told: dict[str, Any] = {
        "raptors": __version__,
        "numpy": importlib.import_module("numpy").__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "isa": _ask("get_simd"),
        "available_isas": None if isas is None else list(isas),
        "threads": _ask("get_num_threads"),
    }
    for name, value in (_ask("show_runtime") or {}).items():
        if told.get(name) is None:
            told[name] = value
    told["build"] = _build()
    told["environment"] = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith("RAPTORS_")
    }
    return told


def _table(information: Mapping[str, Any], indent: int = 0) -> list[str]:
    rows = []
    for name, value in information.items():
        title = f"{'':{indent}}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += [title, *_table(value, indent + 2)] if value else [f"{title:24} none"]
            continue
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        rows.append(f"{title:24} {'unknown' if value is None else value}")
    return rows


def _info_command(as_json: bool) -> int:
    information = _information()
    if as_json:
        print(json.dumps(information, indent=2, default=str))
    else:
        print("\n".join(_table(information)))
    return 0


def _calibrate_command() -> int:
    tuning = importlib.import_module("raptors._tuning")

    def tell(line: str, share: float) -> None:
        if sys.stderr.isatty():  # one line, written over
            end = "\n" if share == 1 else ""
            print(f"\r\x1b[K[{'#' * round(20 * share):20}] {line}", end=end, file=sys.stderr, flush=True)
        else:
            print(f"{share:4.0%} {line}", file=sys.stderr, flush=True)

    figures = tuning.calibrate(tell)
    shown = {key: figures[key] for key in ("processor", "hand_off_ns", "limits_ns")}
    for dtype, row in figures["blas_from"].items():
        for crew, least in row.items():
            points = (
                "never" if least is None else f"from {round(least ** (1 / 3))} x {round(least ** (1 / 3))} on"
            )
            shown[f"BLAS, {dtype}, {crew}"] = points
    print("\n".join(_table(shown | {"file": figures["file"]})))
    if figures["disturbed"]:
        print("another program ran on these processors: the figures may be wrong", file=sys.stderr)
    if figures["file"] is None:
        print("the figures could not be kept: see RAPTORS_TUNING_DIR", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Raises SystemExit after ``--help``, ``--version`` and usage errors (status 2), and whatever a
    program raises that ``run`` was asked to run.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser, run = _parsers()
    if words[:1] == ["run"]:
        return _run_command(run, words[1:])
    options = parser.parse_args(words)
    return _calibrate_command() if options.command == "calibrate" else _info_command(options.json)


if __name__ == "__main__":
    sys.exit(main())
