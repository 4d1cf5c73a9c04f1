"""The command line: ``raptors``, or ``python -m raptors``."""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from raptors import _processes, _run
from raptors._version import __version__

__all__ = ["main"]

DESCRIPTION = "NumPy-compatible arrays in less time: run programs with raptors in NumPy's place."

RUN_USAGE = "raptors [run] [options] [script.py | -m module | -c code | -] [arguments ...]"

USAGE = f"""\
{RUN_USAGE}
       raptors (calibrate | info) [options]"""

RUN_DESCRIPTION = """\
Run a program as python would, with raptors in NumPy's place: the program's own files get raptors
where they import numpy, installed libraries go on with NumPy. What the standard library and pytest
import at the program's word is the program's. Without a program, an interactive session begins,
or the program comes from standard input where that is no terminal.

With --compare the program runs under NumPy and under raptors in turn, each time in a process of its
own with the same arguments and the same standard input; what it prints, its exit status and its
times are compared. The program's own output is not shown. What it does to files and elsewhere, it
does in each run.
"""

RUN_EPILOG = """\
The word run may be left out; a script that is named like a command needs it.
Options of raptors come before the program; all that follows it belongs to the program.

Processes that the program starts with the same Python get raptors, too, and --report counts their
calls: those of multiprocessing, of subprocess, of os.system and the like. For this, PYTHONPATH has
one folder more in the program's environment, and there is a variable _RAPTORS_RUN. A child without
these two, or under -E, -I or -S, gets plain NumPy; so does a Python that has not this raptors.

exit status: the program's own; with --compare 0 if both agree, 1 if not or if the program fails;
2 after a usage error

examples:
  raptors run simulation.py --steps 1000
  raptors run --report -m package.tool input.csv
  raptors run --compare --rounds 3 simulation.py
  raptors run -i analysis.py
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


def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of the whole command line and those of the commands."""
    parser = argparse.ArgumentParser(prog="raptors", usage=USAGE, description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"raptors {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", prog="raptors")

    run = commands.add_parser(
        "run",
        usage=RUN_USAGE,
        help="run a program with raptors in NumPy's place, or compare the two",
        description=RUN_DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument(
        "-i", action="store_true", dest="interactive", help="afterwards, begin an interactive session"
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
        help="show versions, instruction set, threads, BLAS, settings and problems",
        description="Show versions, instruction set, threads, BLAS, settings in force and what is wrong.",
        allow_abbrev=False,
    )
    info.add_argument("--all", action="store_true", help="then all that is known, with NumPy's build")
    info.add_argument("--json", action="store_true", help="all that is known as JSON")
    return parser, commands.choices


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
    if not rest:
        return options, None
    return options, _run.Program("stdin" if rest[0] == "-" else "script", rest[0], rest[1:])


def _status(command: Callable[[], int]) -> int:
    """What a command that prints returns, or what a shell makes of the signal that stops it."""
    try:
        status = int(command())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # nobody reads on, so what is still to be written at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def _run_command(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    words, program = _split(arguments)
    if program is None and words and words[-1] in ("-m", "-c"):
        parser.error(f"argument expected for the {words[-1]} option")
    options = parser.parse_args(words)
    chosen = {
        name: value for name in ("rounds", "rtol", "atol") if (value := getattr(options, name)) is not None
    }
    terminal = sys.stdin is not None and sys.stdin.isatty()
    interactive = options.interactive or (terminal and (program is None or bool(sys.flags.inspect)))
    if options.compare:
        if program is None:
            parser.error("what to compare is missing: a script, -m module or -c code")
        if options.interactive:
            parser.error("-i and --compare exclude each other")
        if program.kind == "script" and not os.path.exists(program.target):
            parser.error(f"there is no file {program.target!r}")
        compare = importlib.import_module("raptors._compare")
        return _status(lambda: not compare.compare_program(program, report=options.report, **chosen))
    if chosen:
        parser.error(f"--{next(iter(chosen))} needs --compare")
    if interactive and program is not None and not sys.flags.interactive:
        _run.restart_interactively(["run", *arguments])
    if interactive and program is None and (sys.flags.ignore_environment or sys.flags.no_site):
        parser.error("python's -E, -I and -S leave a session without raptors: run a program")
    _processes.begin(options.report)
    if interactive and program is None:
        numpys = sys.modules["numpy"].__version__  # an import here gives raptors from now on
        greeting = f"raptors {__version__} in the place of NumPy {numpys}"
        _run.begin_session(greeting, *["-i"] * options.interactive)
    path0: _run.Path0 = "keep" if sys.flags.safe_path else "replace"
    _run.run(program or _run.Program("stdin", "", ()), path0)
    return 0


def _check_word(parser: argparse.ArgumentParser, commands: Collection[str], arguments: Sequence[str]) -> None:
    """End with a usage error if the word that names a program, or should name a command, names neither."""
    _, program = _split(arguments)
    if program is not None and program.kind == "script" and not os.path.exists(program.target):
        close = difflib.get_close_matches(program.target, commands, 1)
        hint = f"; did you mean the command {close[0]!r}?" if close else ""
        parser.error(f"there is neither a command nor a file {program.target!r}{hint}")


# info -------------------------------------------------------------------------------------------


def _info_command(options: argparse.Namespace) -> int:
    from raptors import _config, _info

    _info.try_blas()
    found, build = _config.runtime_info(), _config.build_info()
    if options.json:
        print(json.dumps(_info.details(found, build), indent=2, allow_nan=False))
    else:
        print("\n".join(_info.summary(found)))
        if options.all:
            print("\n".join(["", *_info.table(_info.details(found, build))]))
    return 0


def _calibrate_command() -> int:
    info = importlib.import_module("raptors._info")
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
        for team, least in row.items():
            points = (
                "never" if least is None else f"from {round(least ** (1 / 3))} x {round(least ** (1 / 3))} on"
            )
            shown[f"BLAS, {dtype}, {team}"] = points
    print("\n".join(info.table(shown | {"file": figures["file"]})))
    if figures["disturbed"]:
        print("another program ran on these processors: the figures may be wrong", file=sys.stderr)
    if figures["file"] is None:
        print("the figures could not be kept: see RAPTORS_TUNING_DIR", file=sys.stderr)
        return 1
    return 0


def _answer(words: Sequence[str]) -> int:
    parser, commands = _parsers()
    if words and (words[0] in {"-h", "--help", "--version"} or words[0] in commands.keys() - {"run"}):
        options = parser.parse_args(words)
        calibrate = options.command == "calibrate"
        return _status(_calibrate_command if calibrate else lambda: _info_command(options))
    if words[:1] == ["run"]:
        return _run_command(commands["run"], words[1:])
    _check_word(parser, commands, words)
    return _run_command(commands["run"], words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Raises SystemExit after ``--help``, ``--version`` and usage errors (status 2), and whatever a
    program raises that ``run`` was asked to run.
    """
    return _answer(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    # Not `sys.exit(0)`: a session of `python -i` comes after it.
    if status := main():
        sys.exit(status)
