"""What runs of other projects' tests share: rewritten imports, a process for each file, the comparison.

Run as a program, this module is such a process. It is told what to do by one argument, a `Task` as JSON.
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pytest

Library = Literal["numpy", "raptors"]

#: Seconds for one test, and for one process; whatever takes longer hangs.
TEST_LIMIT = 300
FILE_LIMIT = 1800

#: The outcome of tests that NumPy has and raptors' run has not.
NOT_RUN = "not run"

#: Public modules of NumPy in which tests look for private names: they stay NumPy's.
INTERNAL = re.compile(r"numpy\.(testing|core|f2py|distutils|ma\.testutils)(\.|$)")

#: Calls that import the module that a string names.
IMPORTERS = ("importorskip", "import_module")


# ---- rewriting -----------------------------------------------------------------------------------


def is_public(module: str) -> bool:
    parts = module.split(".")
    return parts[0] == "numpy" and not INTERNAL.match(module) and not any(p.startswith("_") for p in parts)


def raptors_module(module: str) -> str:
    """raptors' instead of a public module of NumPy; any other stays."""
    return "raptors" + module[len("numpy") :] if is_public(module) else module


def moved_import(node: ast.Import, library: Library, moved: Callable[[str], str]) -> str | None:
    """`import numpy...` as it has to read, or None if it stays."""
    names, rebind = [], False
    for alias in node.names:
        new, name = moved(alias.name), alias.asname
        if alias.name == "numpy" and library == "raptors":
            name = name or "numpy"
        elif library == "raptors" and alias.name.startswith("numpy.") and not name:
            rebind = True  # it would bind the name numpy
        names.append(ast.alias(new, name))
    if rebind:
        names.append(ast.alias("raptors", "numpy"))
    new_text = ast.unparse(ast.Import(names))
    return None if new_text == ast.unparse(node) else new_text


def imported_name(node: ast.AST) -> ast.Constant | None:
    """The string in `pytest.importorskip("numpy")` and the like."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return node.args[0] if name in IMPORTERS and isinstance(node.args[0].value, str) else None


def rewrite(source: str, library: Library, moved: Callable[[str], str]) -> tuple[str, int]:
    """The source with modules imported as `moved` says, and how many imports became raptors'.

    Only imports change, and no line moves.
    """
    lines = [line.encode() for line in source.split("\n")]
    edits: list[tuple[int, int, int, str]] = []
    count = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            text = moved_import(node, library, moved)
            if text is not None:
                assert node.lineno == node.end_lineno
                assert node.end_col_offset is not None
                edits.append((node.lineno, node.col_offset, node.end_col_offset, text))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            text = moved(node.module)
            if text != node.module:
                line = lines[node.lineno - 1]
                found = re.compile(rb"from\s+([\w.]+)").match(line, node.col_offset)
                assert found is not None
                assert found[1].decode() == node.module
                edits.append((node.lineno, found.start(1), found.end(1), text))
        elif (name := imported_name(node)) is not None:
            text = moved(name.value)
            if text != name.value:
                assert name.lineno == name.end_lineno
                assert name.end_col_offset is not None
                edits.append((name.lineno, name.col_offset, name.end_col_offset, f'"{text}"'))
        else:
            continue
        count += text is not None and "raptors" in text
    for row, start, end, text in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + text.encode() + line[end:]
    return b"\n".join(lines).decode(), count


# ---- one process ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """How the tests of a suite run."""

    own: str  # part of the paths of its tests
    prefix: str = ""  # of their paths in the folder of the copies, left out of their names
    marks: str = ""
    limit: float = TEST_LIMIT
    sample: int = 0  # at most so many of each file, or 0 for all


@dataclass(frozen=True)
class Task(Settings):
    """What a process is told."""

    file: str = ""
    record: str = ""
    skip: str = ""


class Recorder:
    """A pytest plugin: writes a line as each test starts, and one as it ends, with outcome and reason."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.file = open(task.record, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open until the process ends
        self.errors = os.fdopen(os.dup(2), "w")  # pytest captures what is written to 2 during a test
        self.skip = set(json.loads(Path(task.skip).read_text()))
        self.outcome = ""
        self.reason = ""
        self.started = 0.0

    def write(self, **row: Any) -> None:
        self.file.write(json.dumps(row) + "\n")

    def name(self, nodeid: str) -> str:
        """The same under both libraries: parameters may be modules, or objects with an address."""
        name = nodeid.removeprefix(self.task.prefix).replace("raptors", "numpy")
        return re.sub(r"\b0x[0-9a-f]{6,}", "0x", name)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        names = {self.name(item.nodeid) for item in items}
        if self.task.sample:
            names = set(sorted(names, key=lambda name: zlib.crc32(name.encode()))[: self.task.sample])
        names -= self.skip
        items[:] = [item for item in items if self.name(item.nodeid) in names]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            reason = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
            text = one_line(reason[-1][1:] if reason else str(report.longrepr))
            name = f"{self.name(report.nodeid)}::<collection>"
            self.write(end=name, outcome="failed", reason=text, seconds=0)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.outcome, self.reason, self.started = "passed", "", time.perf_counter()
        self.write(start=self.name(nodeid))
        faulthandler.dump_traceback_later(self.task.limit, exit=True, file=self.errors)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.failed:
            self.outcome = "failed"
            if call.excinfo is not None:
                frames = call.excinfo.traceback
                own = [entry for entry in frames if self.task.own in str(entry.path)] or frames
                place = f"{Path(own[-1].path).name}:{own[-1].lineno + 1}"
                self.reason = self.reason or f"{one_line(call.excinfo.exconly())} ({place})"
            else:
                self.reason = self.reason or one_line(str(report.longrepr))
        elif self.outcome == "passed" and (report.skipped or hasattr(report, "wasxfail")):
            self.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        return report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        seconds = round(time.perf_counter() - self.started, 3)
        self.write(end=self.name(nodeid), outcome=self.outcome, reason=self.reason, seconds=seconds)

    def pytest_sessionfinish(self) -> None:
        self.write(done=True)

    def pytest_unconfigure(self) -> None:
        self.file.close()
        self.errors.close()


def one_line(text: str, width: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def run_child(task: Task) -> int:
    """In a process of its own, in the folder of the copies: the tests of one file."""
    words = ["-c", "options.ini", "--rootdir=.", "-p", "hypothesispytest", "-p", "no:cacheprovider"]
    words += ["-q", "--tb=short", "--disable-warnings", "--continue-on-collection-errors"]
    words += ["-m", task.marks] if task.marks else []
    return int(pytest.main([*words, task.prefix + task.file], plugins=[Recorder(task)]))


@dataclass
class Outcome:
    """How one test ended: passed, skipped, xfailed, failed, crashed, hung."""

    ended: str
    reason: str = ""
    seconds: float = 0.0


def environment(scratch: Path) -> dict[str, str]:
    """The caller's, without what changes how pytest runs or the names of tests; RAPTORS_* pass through."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    defaults = {"NPY_AVAILABLE_MEM": "4 GB", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    fixed = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", "TMPDIR": str(scratch / "tmp")}
    return {**defaults, **kept, **fixed, "PYTHONPATH": str(scratch)}


def run_process(command: Sequence[str], folder: Path, log: Path, limit: float) -> int | None:
    """The exit status, or None if it took longer than the limit and was killed with all that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def where(log: Path) -> str:
    """The innermost places that faulthandler named."""
    places = re.findall(r'File "(?:[^"]*/)?([^"/]+)", line (\d+) in (\S+)', log.read_text(errors="replace"))
    return " < ".join(f"{file}:{line} {function}" for file, line, function in places[:4])


def run_file(folder: Path, name: str, settings: Settings) -> dict[str, Outcome]:
    """All tests of a file; after a crash or a hang the rest of them in another process."""
    results: dict[str, Outcome] = {}
    stem = name.replace("/", ".")
    record, skip, log = folder / f"{stem}.jsonl", folder / f"{stem}.skip", folder / f"{stem}.log"
    task = Task(**asdict(settings), file=name, record=str(record), skip=str(skip))
    command = [sys.executable, "-P", "-X", "faulthandler", __file__, json.dumps(asdict(task))]
    while True:
        record.write_text("")
        skip.write_text(json.dumps(sorted(results)))
        status = run_process(command, folder, log, FILE_LIMIT)
        rows = [json.loads(line) for line in record.read_text().splitlines() if line.endswith("}")]
        for row in rows:
            if "end" in row:
                results[row["end"]] = Outcome(row["outcome"], row["reason"], row["seconds"])
        if rows and "done" in rows[-1] and status is not None and status >= 0:
            return results
        running = [row["start"] for row in rows[-1:] if "start" in row]
        hung = status is None or (status == 1 and "Timeout (" in log.read_text(errors="replace"))
        how = "took too long" if hung else f"exit status {status}"
        if status is not None and status < 0:
            how = signal.Signals(-status).name
        test = running[0] if running else f"{name}::<{'exit' if rows else 'start'}>"
        results[test] = Outcome("hung" if hung else "crashed", f"{how}: {where(log)}")
        if not running:
            return results


Results = dict[str, dict[str, Outcome]]


def run_files(
    folders: dict[Library, Path],
    names: dict[Library, Sequence[str]],
    settings: Settings,
    jobs: int = 1,
    quiet: bool = False,
) -> tuple[dict[Library, Results], dict[Library, float]]:
    """Each library's results by file, and the seconds that its processes took; long files come first."""
    seconds: dict[Library, float] = dict.fromkeys(folders, 0.0)
    results: dict[Library, Results] = {library: {} for library in folders}

    def run(library: Library, name: str) -> None:
        start = time.perf_counter()
        tests = run_file(folders[library], name, settings)
        spent = time.perf_counter() - start
        seconds[library] += spent
        results[library][name] = tests
        if not quiet:
            counts = Counter(test.ended for test in tests.values())
            summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())
            print(f"{library}: {name}: {summary} in {spent:.1f} s", flush=True)

    def size(task: tuple[Library, str]) -> int:
        return (folders[task[0]] / f"{settings.prefix}{task[1]}").stat().st_size

    tasks = [(library, name) for library in folders for name in names[library]]
    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(run, *task) for task in sorted(tasks, key=size, reverse=True)]:
            done.result()
    return results, seconds


# ---- the verdict ---------------------------------------------------------------------------------


def covers(pattern: str, test: str) -> bool:
    """An excuse names a test, all parameters of a test, or with a final * all that begins so."""
    if pattern.endswith("*"):
        return test.startswith(pattern[:-1])
    return test == pattern or test.startswith(f"{pattern}[")


@dataclass
class Verdict:
    """raptors' outcomes for the tests that pass under NumPy."""

    numpy_passes: int = 0
    numpy_fails: list[str] = field(default_factory=list)
    passes: int = 0
    failures: dict[str, Outcome] = field(default_factory=dict)  # neither excused nor known
    known: dict[str, Outcome] = field(default_factory=dict)  # gaps that the list calls open
    excused: dict[str, Outcome] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)  # excuse: a test that it covers and that passes
    outside: dict[str, Outcome] = field(default_factory=dict)  # crashes and hangs in no particular test
    seconds: dict[Library, float] = field(default_factory=dict)

    def count(self, ended: str) -> int:
        tests = [t for some in (self.failures, self.known, self.excused, self.outside) for t in some.values()]
        return sum(test.ended == ended for test in tests)

    @property
    def share(self) -> float:
        """The percentage that passes, with what is excused among the rest."""
        return 100 * self.passes / max(self.numpy_passes, 1)

    @property
    def fine(self) -> bool:
        return not (
            self.failures or self.stale or self.outside or self.count("crashed") or self.count("hung")
        )

    def text(self) -> str:
        """The report: figures, then every failure with its reason, by file."""
        judged = self.numpy_passes - len(self.excused)
        lines = [
            f"of {self.numpy_passes} tests that pass under NumPy {version('numpy')}, "
            f"{self.passes} pass under raptors: {self.share:.3f} %",
            f"without the {len(self.excused)} excused: {self.passes} of {judged}: "
            f"{100 * self.passes / max(judged, 1):.3f} %",
            f"crashes: {self.count('crashed')}, hangs: {self.count('hung')}, "
            f"failures: {len(self.failures)}, known gaps: {len(self.known)}, "
            f"entries of the list that pass: {len(self.stale)}",
            "seconds of processes: " + ", ".join(f"{k} {spent:.0f}" for k, spent in self.seconds.items()),
        ]
        by_file: dict[str, list[tuple[str, Outcome]]] = {}
        for name, test in sorted({**self.failures, **self.known, **self.outside}.items()):
            file, _, rest = name.partition("::")
            by_file.setdefault(file, []).append((rest, test))
        for file, rows in sorted(by_file.items(), key=lambda item: -len(item[1])):
            lines += ["", f"{file}: {len(rows)}"]
            lines += [f"  {test.ended} {rest}: {test.reason}" for rest, test in rows if test.ended != NOT_RUN]
            missing = Counter(test.reason for _, test in rows if test.ended == NOT_RUN)
            lines += [f"  {n} tests did not run: {reason}" for reason, n in missing.items()]
        if self.numpy_fails:
            lines += ["", "fail under NumPy, too (not counted):", *(f"  {name}" for name in self.numpy_fails)]
        if self.stale:
            lines += ["", "entries for tests that pass:", *(f"  {k}: {v}" for k, v in self.stale.items())]
        return "\n".join(lines)


def compare(
    expected: Results, got: Results, excuses: dict[str, str], gaps: dict[str, str] | None = None
) -> Verdict:
    """Excused tests leave the second rate; those of known gaps count as failures, but are no news."""
    gaps = gaps or {}
    verdict = Verdict()
    used: dict[str, str] = {}
    for file, tests in expected.items():
        missing = Outcome(NOT_RUN, "the process ended before")
        for name, test in got[file].items():
            if name.endswith("::<collection>"):
                missing = Outcome(NOT_RUN, f"not collected, {test.reason}")
            if test.ended in ("crashed", "hung") and (
                name not in tests or tests[name].ended in ("skipped", "xfailed")
            ):
                verdict.outside[name] = test
        for name, test in tests.items():
            if test.ended not in ("passed", "skipped", "xfailed"):
                verdict.numpy_fails.append(f"{name}: {test.reason}")
            if test.ended != "passed":
                continue
            verdict.numpy_passes += 1
            excuse = next((pattern for pattern in (*excuses, *gaps) if covers(pattern, name)), None)
            result = got[file].get(name, missing)
            if result.ended == "passed":
                verdict.passes += 1
                if excuse is not None:
                    used[excuse] = name
            elif excuse in excuses:
                verdict.excused[name] = result
            elif excuse in gaps:
                verdict.known[name] = result
            else:
                verdict.failures[name] = result
    verdict.stale = used
    return verdict


def rows_of(tests: dict[str, Outcome]) -> dict[str, list[Any]]:
    return {name: [test.ended, test.reason, test.seconds] for name, test in tests.items()}


def cached(entry: dict[str, Any], key: str) -> Results:
    """NumPy's results out of a cache, if they are of these files and versions."""
    files = entry["files"] if entry.get("key") == key else {}
    return {file: {name: Outcome(*row) for name, row in tests.items()} for file, tests in files.items()}


def entry_of(key: str, results: Results) -> dict[str, Any]:
    """What a cache holds for `cached`."""
    return {"key": key, "files": {file: rows_of(tests) for file, tests in results.items()}}


def read_json(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text(encoding="utf-8")) if path and os.path.exists(path) else {}


def write_json(path: str, content: dict[str, Any]) -> None:
    Path(path).write_text(json.dumps(content, indent=1), encoding="utf-8")


def everything(numpy: Results, raptors: Results, verdict: Verdict) -> dict[str, Any]:
    """Every outcome, for `--json`."""
    return {
        "numpy": {file: rows_of(numpy[file]) for file in raptors},
        "raptors": {file: rows_of(tests) for file, tests in raptors.items()},
        "failures": rows_of(verdict.failures),
        "known": rows_of(verdict.known),
        "excused": rows_of(verdict.excused),
        "stale": verdict.stale,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command lines of all suites have."""
    add = parser.add_argument
    add("--files", default="", metavar="REGEX", help="only files whose path matches")
    add("--slow", action="store_true", help="also the tests that are marked as slow")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time (default 1)")
    add("--limit", type=float, default=TEST_LIMIT, metavar="SECONDS", help="for one test")
    add("--baseline", default="", metavar="FILE", help="NumPy's results, read and written")
    add("--report", default="", metavar="FILE", help="write the report there, too")
    add("--json", default="", metavar="FILE", help="write every outcome")
    add("--folder", default="", metavar="FOLDER", help="for the copies; it is kept")
    add("--quiet", action="store_true", help="no line for each file")


if __name__ == "__main__":
    sys.exit(run_child(Task(**json.loads(sys.argv[1]))))
