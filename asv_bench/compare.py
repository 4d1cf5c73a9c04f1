"""Every public function, method and operator on small arrays: python asv_bench/compare.py [REGEX].

Each library runs in two processes of its own, NumPy without raptors' memory, and all four take turns on one
processor; the least of many runs counts. How NumPy's two processes differ tells the noise. Losses first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import multiprocessing
import os
import pathlib
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any

# Also where the interpreter does not put a script's folder first (-P).
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from benchmarks.calls import calls, operands


def looped(statement: str, names: dict[str, Any]) -> Callable[[int], float]:
    """Seconds that `n` executions take; the statement sees local names, as in a program."""
    local = ", ".join(f"{key}={key}" for key in names if re.search(rf"\b{key}\b", statement))
    source = (
        f"def loop(_n, _clock, {local}):\n"
        "    _start = _clock()\n"
        f"    for _ in range(_n):\n        {statement}\n"
        "    return _clock() - _start\n"
    )
    space = {**names}
    exec(compile(source, statement, "exec"), space)
    loop = space["loop"]
    return lambda n: float(loop(n, time.perf_counter))


def serve(connection: Connection, library: str) -> None:
    """Answer (statement, n, repeats) with the least seconds that it takes n times, until None comes."""
    if hasattr(os, "sched_setaffinity"):  # all on one processor, before a library counts them
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    np = importlib.import_module(library)
    names = operands(np)
    loops: dict[str, Callable[[int], float]] = {}
    while (request := connection.recv()) is not None:
        statement, n, repeats = request
        if statement not in loops:
            loops = {statement: looped(statement, names)}
        connection.send(min(loops[statement](n) for _ in range(repeats)))


class Library:
    """A process that has imported a library."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name), daemon=True)
        self.process.start()
        theirs.close()

    def time(self, statement: str, n: int, repeats: int = 1) -> float:
        self.connection.send((statement, n, repeats))
        return float(self.connection.recv())

    def close(self) -> None:
        self.connection.send(None)
        self.process.join()


#: Runs of a process in one of its turns: the first one warms the caches that the others have filled.
RUNS = 4

#: How often a call is looked at that seems to be a loss.
LOOKS = 3


def least(libraries: list[Library], statement: str, seconds: float, rounds: int) -> list[float]:
    """Nanoseconds a call in each: the minimum of the runs in `rounds` turns of about `seconds` each."""
    n, taken = 1, min(library.time(statement, 1) for library in libraries)
    while taken < seconds / 4 and n < 10**6:
        n *= 2
        taken = min(library.time(statement, n) for library in libraries)
    n = max(1, int(n * seconds / RUNS / max(taken, 1e-9)))
    best = [math.inf] * len(libraries)
    for turn in range(rounds):
        for i in (range(len(libraries)), reversed(range(len(libraries))))[turn % 2]:
            best[i] = min(best[i], libraries[i].time(statement, n, RUNS) / n * 1e9)
    return best


def geometric_mean(ratios: Iterable[float]) -> float:
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms))


def row_of(name: str, statement: str, times: list[float]) -> dict[str, Any]:
    numpy_ns, raptors_ns, numpy_again, raptors_again = times
    best, own = min(numpy_ns, numpy_again), min(raptors_ns, raptors_again)
    return {
        "name": name,
        "statement": statement,
        "times": times,
        "numpy": best,
        "raptors": own,
        "ratio": best / own,
        "noise": numpy_again / numpy_ns,
    }


def measure(pattern: str, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """A row for each call.

    What looks like a loss, and where NumPy's processes differ, is measured again much later: a processor
    whose other half is busy is slow for seconds.
    """
    libraries = [Library(name) for name in ("numpy", "raptors", "numpy", "raptors")]
    rows: dict[str, dict[str, Any]] = {}
    wanted = {
        name: statement
        for name, statement in calls().items()
        if re.search(pattern, name) or re.search(pattern, statement)
    }
    for _ in range(LOOKS):
        for name, statement in wanted.items():
            times = least(libraries, statement, seconds, rounds)
            if name in rows:
                times = [min(pair) for pair in zip(times, rows[name]["times"], strict=True)]
            rows[name] = row_of(name, statement, times)
            if sys.stderr.isatty():
                print(f"\r{len(rows)} calls", end="", file=sys.stderr, flush=True)
        wanted = {
            name: row["statement"]
            for name, row in rows.items()
            if row["ratio"] < 0.97 or not 0.95 < row["noise"] < 1.05
        }
    for library in libraries:
        library.close()
    return sorted(rows.values(), key=lambda row: float(row["ratio"]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pattern", nargs="?", default="", help="a regular expression: calls that contain it")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each process (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=4e-3,
        help="length of a turn, many times what caches take to warm (default: %(default)s)",
    )
    parser.add_argument("--below", type=float, default=math.inf, help="list only ratios below this")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    rows = measure(options.pattern, options.seconds, options.rounds)
    if not rows:
        parser.error("no such call")
    print(f"{'numpy/raptors':>13} {'noise':>6} {'numpy':>9} {'raptors':>9}  ns a call")
    for row in rows:
        if row["ratio"] < options.below:
            figures = "{ratio:13.2f} {noise:6.2f} {numpy:9.0f} {raptors:9.0f}  {statement}"
            print(figures.format(**row))
    ratios = [row["ratio"] for row in rows]
    noise = [row["noise"] for row in rows]
    print(f"{len(rows)} calls: geometric mean {geometric_mean(ratios):.2f}", end="; ")
    print(f"NumPy against itself {geometric_mean(noise):.2f}")
    for bound in (0.85, 0.95):
        share, of_noise = (sum(r < bound for r in part) / len(rows) for part in (ratios, noise))
        print(f"below {bound}: {share:.1%}; NumPy against itself {of_noise:.1%}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
