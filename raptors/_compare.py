"""Comparing a program under NumPy with the same program under raptors: its output and its time."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from raptors import _processes, _run

__all__ = ["Comparison", "Difference", "compare_outputs", "compare_program"]

Library = Literal["numpy", "raptors"]
LIBRARIES: tuple[Library, Library] = ("numpy", "raptors")
SHOWN = {"numpy": "NumPy", "raptors": "raptors"}

# A number, unless its digits are part of a word (float64) or of something dotted (1.2.3). The sign
# belongs to it only where it cannot be an operator or a hyphen. nan and inf are compared as words.
NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![\w.)\]][-+])(?<![)\]])[-+])?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\.\d)"
)


# Outputs ----------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """Two versions of a line that do not agree; the number of a line counts from 1."""

    line: int
    first: str | None
    second: str | None
    reason: str


@dataclass
class Comparison:
    """The outcome of `compare_outputs`."""

    lines: int = 0
    numbers: int = 0
    inexact: int = 0
    largest: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Whether every line agrees."""
        return not self.differences


def _is_whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _relative_difference(first: float, second: float) -> float:
    size = max(abs(first), abs(second))
    return abs(first - second) / size if size else 0.0


def _words(text: str) -> list[str]:
    # A number of another length moves the blanks around it, as in a printed array.
    return [" ".join(piece.split()) for piece in NUMBER.split(text)]


def _compare_line(first: str, second: str, rtol: float, atol: float, outcome: Comparison) -> str:
    """The reason why two lines do not agree, or nothing; the numbers are counted in `outcome`."""
    numbers = NUMBER.findall(first), NUMBER.findall(second)
    outcome.numbers += len(numbers[0])
    if first == second:
        return ""
    if _words(first) != _words(second):
        return "the text differs"
    for one, other in zip(*numbers, strict=True):
        if one == other:
            continue
        if _is_whole(one) and _is_whole(other):
            if int(one) == int(other):
                continue
            return f"the whole numbers {one} and {other} differ"
        values = float(one), float(other)
        difference = _relative_difference(*values)
        if not (difference <= rtol or abs(values[0] - values[1]) <= atol):
            return f"{one} and {other} differ by {difference:.2g} of their size"
        outcome.inexact += values[0] != values[1]
        outcome.largest = max(outcome.largest, difference)
    return ""


def compare_outputs(
    first: str,
    second: str,
    *,
    rtol: float = 1e-6,
    atol: float = 0.0,
    skip: Collection[int] = (),
) -> Comparison:
    """Compare two printed texts line by line.

    Text outside numbers must be equal, up to the amount of blank space between words; whole numbers
    must be equal; other numbers must agree to the relative tolerance `rtol` or the absolute tolerance
    `atol`.
    Lines whose number is in `skip` are not compared.
    """
    lines = first.splitlines(), second.splitlines()
    outcome = Comparison(lines=len(lines[0]))
    for index in range(max(map(len, lines))):
        line = index + 1
        if line in skip:
            continue
        one, other = (side[index] if index < len(side) else None for side in lines)
        if one is None or other is None:
            outcome.differences.append(Difference(line, one, other, "the line is missing"))
            break
        reason = _compare_line(one, other, rtol, atol, outcome)
        if reason:
            outcome.differences.append(Difference(line, one, other, reason))
    return outcome


# Runs -------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """One run of the program; `program` is its own time, and missing if it ended abruptly."""

    status: int
    output: str
    error: str
    whole: float
    program: float | None
    report: Any
    processes: int


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "backslashreplace")


def _run_once(library: Library, program: _run.Program, stdin: IO[bytes] | None) -> Run:
    path0 = "keep" if sys.flags.safe_path else "insert"
    # Files, not pipes: a process that the program leaves behind would keep a pipe open.
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as error,
        tempfile.TemporaryFile() as record,
        tempfile.TemporaryDirectory(prefix="raptors-run-", ignore_cleanup_errors=True) as counts,
    ):
        # -P: a checkout of raptors in the current folder is not the raptors to be measured.
        command = [*_run.python(), "-P", _run.__file__]
        command += [library, str(record.fileno()), path0]
        command += [program.kind, program.target, *program.arguments]
        if stdin is not None:
            stdin.seek(0)
        plain = library == "numpy"
        start = time.perf_counter()
        status = subprocess.run(
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=output,
            stderr=error,
            pass_fds=[record.fileno()],
            env=_processes.plain_environment() if plain else _processes.environment(folder=counts),
            check=False,
        ).returncode
        whole = time.perf_counter() - start
        seconds = json.loads(_content(record) or "null")
        return Run(status, _content(output), _content(error), whole, seconds, *_processes.counted(counts))


def _spool_stdin() -> IO[bytes] | None:
    """A file with the content of standard input, or None if that is a terminal or closed."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    spool.write(sys.stdin.buffer.read())
    return spool


def _show_progress(text: str) -> None:
    """Write over the line of progress, where somebody sits and waits."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _collect(program: _run.Program, rounds: int) -> dict[Library, list[Run]]:
    """The runs, as many under each; the round in which one fails is the last."""
    runs: dict[Library, list[Run]] = {library: [] for library in LIBRARIES}
    stdin = _spool_stdin()
    try:
        for number in range(rounds):
            # Each goes first in turn: a machine that slows down or warms up favours neither.
            for library in LIBRARIES if number % 2 == 0 else LIBRARIES[::-1]:
                _show_progress(f"round {number + 1} of {rounds}, {SHOWN[library]} ...")
                runs[library].append(_run_once(library, program, stdin))
            if any(runs[library][-1].status for library in LIBRARIES):
                break
    finally:
        _show_progress("")
        if stdin is not None:
            stdin.close()
    return runs


# Verdict ----------------------------------------------------------------------------------------


def _quoted(line: str | None) -> str:
    return "(no such line)" if line is None else repr(line)[1:-1]


def _judge_stream(
    name: str, numpys: Sequence[str], ours: Sequence[str], rtol: float, atol: float
) -> tuple[str, list[str]]:
    """What is wrong where not all texts of one stream agree, and lines that compare them."""
    # What NumPy's own runs do not agree on (times, unseeded random numbers) says nothing.
    unstable: set[int] = set()
    for text in numpys[1:]:
        own = compare_outputs(numpys[0], text, rtol=rtol, atol=atol)
        unstable |= {difference.line for difference in own.differences}
    outcomes = [compare_outputs(numpys[0], text, rtol=rtol, atol=atol, skip=unstable) for text in ours]
    lines = outcomes[0].lines
    note = []
    if unstable:
        note = [
            f"{'':12} {len(unstable)} left out, which NumPy's own runs do not agree on "
            f"(line {min(unstable)} is the first)"
        ]
    for outcome in outcomes:
        if outcome.agree:
            continue
        first = outcome.differences[0]
        return name, [
            f"{name:12} DIFFERENT at line {first.line}: {first.reason}",
            f"{'':12} NumPy:   {_quoted(first.first)}",
            f"{'':12} raptors: {_quoted(first.second)}",
            *note,
        ]
    if unstable and len(unstable) >= lines:
        none = f"{name:12} not comparable: NumPy's own runs agree on no line"
        return f"{name} (not comparable)", [none, *note]
    if not lines:
        return "", [f"{name:12} empty under both"]
    inexact = max(outcome.inexact for outcome in outcomes)
    largest = max(outcome.largest for outcome in outcomes)
    text = f"{name:12} agree: {lines - len(unstable)} lines with {outcomes[0].numbers} numbers"
    if inexact:
        text += f", {inexact} of them not in every digit (by {largest:.1g} of their size at most)"
    return "", [text, *note]


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else str(status)


def _ending(status: int) -> str:
    return _status(status) if status < 0 else f"status {status}"


def _judge(runs: Mapping[Library, Sequence[Run]], rtol: float, atol: float) -> tuple[list[str], list[str]]:
    """What the two do not agree in, and lines that compare them."""
    apart = []
    text = []
    for name in ("output", "error"):
        numpys, ours = ([getattr(run, name) for run in runs[library]] for library in LIBRARIES)
        wrong, said = _judge_stream(f"std{name[:3]}", numpys, ours, rtol, atol)
        apart += [wrong] if wrong else []
        text += said
    statuses = [sorted({run.status for run in runs[library]}) for library in LIBRARIES]
    one, other = (", ".join(map(_status, some)) for some in statuses)
    if statuses[0] == statuses[1]:
        text.append(f"{'exit status':12} {one} under both")
    else:
        apart.append("exit status")
        text.append(f"{'exit status':12} DIFFERENT: NumPy {one}, raptors {other}")
    return apart, text


def _failure_rows(failed: Mapping[Library, Run]) -> list[str]:
    """What the failed runs wrote to standard error, once if it is the same."""
    texts: dict[str, str] = {}
    for library, run in failed.items():
        text = run.error.rstrip()
        texts[text] = "both" if text in texts else SHOWN[library]
    rows = []
    for text, where in texts.items():
        if text:
            rows += ["", f"standard error under {where}:", text]
    return rows


def _verdict(failed: Mapping[Library, Run], apart: Sequence[str]) -> str:
    endings = {library: _ending(run.status) for library, run in failed.items()}
    if len(endings) == 1:
        ((library, ending),) = endings.items()
        return f"FAILED under {SHOWN[library]} alone, with {ending}"
    if endings:
        one, other = endings.values()
        how = one if one == other else f"{one} under NumPy, {other} under raptors"
        return f"FAILED under both, with {how}"
    return f"DIFFERENT in {' and '.join(apart)}" if apart else "agree"


def _time_rows(runs: Mapping[Library, Sequence[Run]]) -> list[str]:
    rows = [f"{'seconds':30} {'NumPy':>10} {'raptors':>10} {'NumPy / raptors':>16}"]
    for title, name in (("the program's own run", "program"), ("whole process", "whole")):
        times = [
            [time for run in runs[library] if (time := getattr(run, name)) is not None]
            for library in LIBRARIES
        ]
        if not all(times):
            rows.append(f"{title:30} not measured: it ended abruptly")
            continue
        for label, pick in (("minimum", min), ("median", statistics.median)):
            ours, raptors = (pick(values) for values in times)
            ratio = ours / raptors if raptors else float("nan")
            rows.append(f"{f'{title}, {label}':30} {ours:10.4f} {raptors:10.4f} {ratio:16.2f}")
    rows.append("whole process = start of Python, imports of NumPy and raptors, the program's own run")
    return rows


def _share_row(run: Run) -> str:
    native, total = run.report.native_calls, run.report.total_calls
    if not total:
        return f"{'native calls':12} none: the program called nothing of raptors"
    where = "" if run.processes == 1 else f" in {run.processes} processes"
    return f"{'native calls':12} {native} of {total} ({native / total:.1%}){where}"


def compare_program(
    program: _run.Program,
    *,
    rounds: int = 5,
    rtol: float = 1e-6,
    atol: float = 0.0,
    report: bool = False,
) -> bool:
    """Run a program `rounds` times under NumPy and under raptors, and print how they compare.

    Returns whether no run failed and they agree in standard output and standard error. With `report`,
    raptors' ledger of the last run follows; the last line is the verdict. Standard input, unless it is a
    terminal, is read to its end first and given to every run.
    """
    flag = {"module": "-m ", "code": "-c "}.get(program.kind, "")
    tolerance = f"relative tolerance {rtol:g}" + (f", absolute {atol:g}" if atol else "")
    print(
        f"{flag}{program.target} runs {2 * rounds} times, with all that it does to files and elsewhere: "
        f"{rounds} under NumPy, {rounds} under raptors\n"
        f"numbers compared with {tolerance}; whole numbers and text must be equal\n",
        flush=True,
    )
    runs = _collect(program, rounds)
    apart, rows = _judge(runs, rtol, atol)
    last = {library: runs[library][-1] for library in LIBRARIES}
    failed = {library: run for library, run in last.items() if run.status}
    done = len(runs["numpy"])
    told = [*rows, _share_row(last["raptors"]), "", *_time_rows(runs)]
    if done < rounds:
        told.append(f"stopped after round {done} of {rounds}, in which the program failed")
    told += _failure_rows(failed)
    if report:
        told += ["", str(last["raptors"].report)]
    print("\n".join([*told, "", f"{'verdict':12} {_verdict(failed, apart)}"]))
    return not failed and not apart
