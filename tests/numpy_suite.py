"""Runs NumPy's own tests, from the installed wheel, against raptors: `python tests/numpy_suite.py --help`.

The test files are copied to a scratch folder; in the copies the imports of NumPy's public modules give
raptors, private modules and `numpy.testing` stay NumPy's. Every file runs in a process of its own under both
libraries, and the outcomes are compared test by test. `numpy_suite_excused.py` lists what cannot pass.
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest

__all__ = ["QUICK", "Verdict", "judge", "main"]

Library = Literal["numpy", "raptors"]

#: Package of the copies: `numpy.lib.tests.test_io` becomes `numpy_tests.lib.tests.test_io`.
PACKAGE = "numpy_tests"

#: Seconds for one test, and for one process; whatever takes longer hangs.
TEST_LIMIT = 300
FILE_LIMIT = 1800

#: Files that are left out, by the beginning of their path, with the reason. Files in which no import becomes
#: raptors' are left out, too: they test NumPy's private modules alone.
OUT = {
    "_core/tests/test_cpu_dispatcher.py": "NumPy's own choice of kernels",
    "_core/tests/test_cpu_features.py": "NumPy's own choice of kernels",
    "_core/tests/test_cython.py": "compiles Cython",
    "_core/tests/test_limited_api.py": "compiles C",
    "_pyinstaller/": "freezes a program that imports numpy",
    "distutils/": "NumPy's build system",
    "f2py/": "a tool that compiles Fortran",
    "random/tests/test_extending.py": "compiles Cython and C",
    "tests/test_configtool.py": "the command numpy-config",
    "tests/test_lazyloading.py": "imports numpy in a process of its own",
    "tests/test_numpy_config.py": "NumPy's build information",
    "tests/test_numpy_version.py": "NumPy's version",
    "tests/test_reloading.py": "reloads NumPy's modules",
    "tests/test_scripts.py": "the command f2py",
    "tests/test_warnings.py": "reads NumPy's sources",
    "typing/tests/test_isfile.py": "NumPy's stub files",
    "typing/tests/test_typing.py": "runs mypy on NumPy's stub files",
}

#: What `--quick` runs: array type, ufuncs, indexing, protocols, pickling, printing, creation, subclassing.
QUICK = (
    "_core/tests/test_abc.py",
    "_core/tests/test_api.py",
    "_core/tests/test_array_coercion.py",
    "_core/tests/test_array_interface.py",
    "_core/tests/test_arrayprint.py",
    "_core/tests/test_casting_floatingpoint_errors.py",
    "_core/tests/test_deprecations.py",
    "_core/tests/test_dlpack.py",
    "_core/tests/test_errstate.py",
    "_core/tests/test_function_base.py",
    "_core/tests/test_indexerrors.py",
    "_core/tests/test_indexing.py",
    "_core/tests/test_item_selection.py",
    "_core/tests/test_mem_policy.py",
    "_core/tests/test_memmap.py",
    "_core/tests/test_multiarray.py",
    "_core/tests/test_multiprocessing.py",
    "_core/tests/test_multithreading.py",
    "_core/tests/test_nditer.py",
    "_core/tests/test_nep50_promotions.py",
    "_core/tests/test_numeric.py",
    "_core/tests/test_overrides.py",
    "_core/tests/test_protocols.py",
    "_core/tests/test_records.py",
    "_core/tests/test_regression.py",
    "_core/tests/test_scalarinherit.py",
    "_core/tests/test_scalarmath.py",
    "_core/tests/test_shape_base.py",
    "_core/tests/test_ufunc.py",
    "_core/tests/test_umath.py",
    "lib/tests/test_index_tricks.py",
    "lib/tests/test_mixins.py",
    "lib/tests/test_stride_tricks.py",
    "ma/tests/test_subclassing.py",
    "matrixlib/tests/test_defmatrix.py",
    "matrixlib/tests/test_interaction.py",
    "random/tests/test_smoke.py",
    "tests/test_public_api.py",
)

#: The outcome of tests that NumPy has and raptors' run has not.
NOT_RUN = "not run"

#: Public modules of NumPy in which tests look for private names: they stay NumPy's.
INTERNAL = re.compile(r"numpy\.(testing|core|f2py|distutils|ma\.testutils)(\.|$)")

#: NumPy's pytest.ini, without what is about its source tree, and what newer versions of pytest warn of.
OPTIONS = """\
[pytest]
filterwarnings =
    error
    ignore:Not importing directory
    ignore:numpy.dtype size changed
    ignore:numpy.ufunc size changed
    ignore::UserWarning:cpuinfo,
    ignore:the matrix subclass is not
    ignore:Importing from numpy.matlib is
    ignore:assertions not in test modules or plugins:pytest.PytestConfigWarning
    ignore::pytest.PytestDeprecationWarning
"""


# ---- the copies ----------------------------------------------------------------------------------


def numpy_folder() -> Path:
    spec = find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def suite_files(folder: Path) -> list[str]:
    """The files that NumPy's wheel brings and that are not left out, relative to the package."""
    found = (path.relative_to(folder).as_posix() for path in folder.glob("**/tests/**/test_*.py"))
    return sorted(name for name in found if not name.startswith(tuple(OUT)))


def is_public(module: str) -> bool:
    parts = module.split(".")
    return parts[0] == "numpy" and not INTERNAL.match(module) and not any(p.startswith("_") for p in parts)


def is_test_module(module: str) -> bool:
    return module.startswith("numpy.") and ".tests" in module


def moved(module: str, library: Library) -> str:
    """What a test has to import instead of a module of NumPy."""
    if is_test_module(module):
        return PACKAGE + module[len("numpy") :]
    return "raptors" + module[len("numpy") :] if library == "raptors" and is_public(module) else module


def moved_import(node: ast.Import, library: Library) -> str | None:
    """`import numpy...` as it has to read, or None if it stays."""
    names, rebind = [], False
    for alias in node.names:
        new, name = moved(alias.name, library), alias.asname
        if alias.name == "numpy" and library == "raptors":
            name = name or "numpy"
        elif library == "raptors" and alias.name.startswith("numpy.") and not name:
            rebind = True  # it would bind the name numpy
        names.append(ast.alias(new, name))
    if rebind:
        names.append(ast.alias("raptors", "numpy"))
    new_text = ast.unparse(ast.Import(names))
    return None if new_text == ast.unparse(node) else new_text


def rewrite(source: str, library: Library) -> tuple[str, int]:
    """The source with NumPy's public modules imported from `library`, and how many imports became raptors'.

    Only import statements change, and no line moves.
    """
    lines = [line.encode() for line in source.split("\n")]
    edits: list[tuple[int, int, int, str]] = []
    count = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            text = moved_import(node, library)
            if text is not None:
                assert node.lineno == node.end_lineno
                assert node.end_col_offset is not None
                edits.append((node.lineno, node.col_offset, node.end_col_offset, text))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            text = moved(node.module, library)
            if text != node.module:
                line = lines[node.lineno - 1]
                found = re.compile(rb"from\s+([\w.]+)").match(line, node.col_offset)
                assert found is not None
                assert found[1].decode() == node.module
                edits.append((node.lineno, found.start(1), found.end(1), text))
        else:
            continue
        count += text is not None and "raptors" in text
    for row, start, end, text in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + text.encode() + line[end:]
    return b"\n".join(lines).decode(), count


def copy_tests(folder: Path, target: Path, library: Library) -> dict[str, int]:
    """Copies every tests folder into `target`; gives how many imports of each file became raptors'."""
    counts = {}
    package = target / PACKAGE
    ignored = shutil.ignore_patterns("__pycache__")
    for tests in sorted(folder.glob("**/tests")):
        place = tests.relative_to(folder)
        if tests.is_dir() and not f"{place.as_posix()}/".startswith(tuple(OUT)):
            shutil.copytree(tests, package / place, ignore=ignored, dirs_exist_ok=True)
    for path in sorted(package.glob("**/*.py")):
        with tokenize.open(path) as file:
            text, counts[path.relative_to(package).as_posix()] = rewrite(file.read(), library)
        path.write_text(text, encoding="utf-8")
    for path in [package, *package.glob("**/")]:
        (path / "__init__.py").touch()
    shutil.copy(folder / "conftest.py", package)
    (target / "options.ini").write_text(OPTIONS)
    (target / "tmp").mkdir(exist_ok=True)
    return counts


def fingerprint(folder: Path) -> str:
    """A hash of all that decides about NumPy's outcomes: the tests, the versions, the machine."""
    digest = hashlib.sha256()
    for path in sorted({*folder.glob("**/tests/**/*"), folder / "conftest.py"}):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    for text in (version("numpy"), sys.version, version("pytest"), version("hypothesis"), OPTIONS):
        digest.update(f"{text}\0".encode())
    digest.update(" ".join(platform.uname()[i] for i in (0, 1, 4)).encode())
    return digest.hexdigest()


# ---- one process ---------------------------------------------------------------------------------


class Recorder:
    """A pytest plugin: writes a line as each test starts, and one as it ends, with outcome and reason."""

    def __init__(self, record: str, skip: Iterable[str], limit: float) -> None:
        self.file = open(record, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open until the process ends
        self.errors = os.fdopen(os.dup(2), "w")  # pytest captures what is written to 2 during a test
        self.skip = set(skip)
        self.limit = limit
        self.outcome = ""
        self.reason = ""
        self.started = 0.0

    def write(self, **row: Any) -> None:
        self.file.write(json.dumps(row) + "\n")

    @staticmethod
    def name(nodeid: str) -> str:
        """The same under both libraries: parameters may be modules."""
        return nodeid.removeprefix(f"{PACKAGE}/").replace("raptors", "numpy")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self.name(item.nodeid) not in self.skip]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            reason = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
            text = one_line(reason[-1][1:] if reason else str(report.longrepr))
            name = f"{self.name(report.nodeid)}::<collection>"
            self.write(end=name, outcome="failed", reason=text, seconds=0)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.outcome, self.reason, self.started = "passed", "", time.perf_counter()
        self.write(start=self.name(nodeid))
        faulthandler.dump_traceback_later(self.limit, exit=True, file=self.errors)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.failed:
            self.outcome = "failed"
            if call.excinfo is not None:
                own = [e for e in call.excinfo.traceback if PACKAGE in str(e.path)] or call.excinfo.traceback
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


def run_child(name: str, record: str, skip: str, limit: float, marks: str) -> int:
    """In a process of its own, in the folder of the copies: the tests of one file."""
    words = ["-c", "options.ini", "--rootdir=.", "-p", "hypothesispytest", "-p", "no:cacheprovider"]
    words += [
        "-q",
        "--tb=short",
        "--disable-warnings",
        "--continue-on-collection-errors",
        *(["-m", marks] if marks else []),
    ]
    recorder = Recorder(record, json.loads(Path(skip).read_text()), limit)
    return int(pytest.main([*words, f"{PACKAGE}/{name}"], plugins=[recorder]))


@dataclass
class Outcome:
    """How one test ended: passed, skipped, xfailed, failed, crashed, hung."""

    ended: str
    reason: str = ""
    seconds: float = 0.0


def environment(scratch: Path) -> dict[str, str]:
    """The caller's, without what changes how pytest runs or the names of tests; RAPTORS_* pass through."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHONPATH"))}
    defaults = {"NPY_AVAILABLE_MEM": "4 GB", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    fixed = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", "TMPDIR": str(scratch / "tmp")}
    return {**defaults, **kept, **fixed}


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


def run_file(folder: Path, name: str, marks: str, limit: float) -> dict[str, Outcome]:
    """All tests of a file; after a crash or a hang the rest of them in another process."""
    results: dict[str, Outcome] = {}
    stem = name.replace("/", ".")
    record, skip, log = folder / f"{stem}.jsonl", folder / f"{stem}.skip", folder / f"{stem}.log"
    while True:
        record.write_text("")
        skip.write_text(json.dumps(sorted(results)))
        command = [sys.executable, "-P", "-X", "faulthandler", __file__, "--child"]
        command += [name, str(record), str(skip), str(limit), marks]
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
    folders: dict[Library, Path], names: dict[Library, Sequence[str]], args: argparse.Namespace
) -> tuple[dict[Library, Results], dict[Library, float]]:
    """Each library's results by file, and the seconds that its processes took; long files come first."""
    seconds: dict[Library, float] = dict.fromkeys(folders, 0.0)
    results: dict[Library, Results] = {library: {} for library in folders}

    def run(library: Library, name: str) -> None:
        start = time.perf_counter()
        tests = run_file(folders[library], name, "" if args.slow else "not slow", args.limit)
        spent = time.perf_counter() - start
        seconds[library] += spent
        results[library][name] = tests
        if not args.quiet:
            counts = Counter(test.ended for test in tests.values())
            summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())
            print(f"{library}: {name}: {summary} in {spent:.1f} s", flush=True)

    def size(task: tuple[Library, str]) -> int:
        return (folders[task[0]] / PACKAGE / task[1]).stat().st_size

    tasks = [(library, name) for library in folders for name in names[library]]
    with ThreadPoolExecutor(args.jobs) as pool:
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
    def fine(self) -> bool:
        return not (
            self.failures or self.stale or self.outside or self.count("crashed") or self.count("hung")
        )

    def text(self) -> str:
        """The report: figures, then every failure with its reason, by file."""
        judged = self.numpy_passes - len(self.excused)
        share = 100 * self.passes / max(self.numpy_passes, 1)
        lines = [
            f"of {self.numpy_passes} tests that pass under NumPy {version('numpy')}, "
            f"{self.passes} pass under raptors: {share:.3f} %",
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


def read_baseline(path: str, key: str) -> Results:
    """The cached results of NumPy, if they are of these files and versions."""
    if not path or not os.path.exists(path):
        return {}
    cache = json.loads(Path(path).read_text(encoding="utf-8"))
    if cache["key"] != key:
        return {}
    return {
        file: {name: Outcome(*row) for name, row in tests.items()} for file, tests in cache["files"].items()
    }


def rows_of(tests: dict[str, Outcome]) -> dict[str, list[Any]]:
    return {name: [test.ended, test.reason, test.seconds] for name, test in tests.items()}


def judge(arguments: Sequence[str] = ()) -> Verdict:
    """Runs the tests as the command line says and compares."""
    args = parser().parse_args(arguments)
    from numpy_suite_excused import EXCUSED, OPEN  # here: not importable in the processes of the tests

    source = numpy_folder()
    scratch = Path(args.folder or tempfile.mkdtemp(prefix="numpy-suite-")).resolve()
    try:
        folders: dict[Library, Path] = {"numpy": scratch / "plain", "raptors": scratch / "rewritten"}
        for library, folder in folders.items():
            counts = copy_tests(source, folder, library)
        names = [name for name in suite_files(source) if counts[name]]
        if args.quick:
            names = [name for name in names if name in QUICK]
        names = [name for name in names if re.search(args.files, name)]
        key = fingerprint(source) + (" slow" if args.slow else "")
        baseline = read_baseline(args.baseline, key)
        wanted = [name for name in names if name not in baseline]
        results, seconds = run_files(folders, {"numpy": wanted, "raptors": names}, args)
        baseline |= results["numpy"]
        if args.baseline and wanted:
            content = {"key": key, "files": {file: rows_of(tests) for file, tests in baseline.items()}}
            Path(args.baseline).write_text(json.dumps(content, indent=1), encoding="utf-8")
        verdict = compare({name: baseline[name] for name in names}, results["raptors"], EXCUSED, OPEN)
        verdict.seconds = seconds
    finally:
        if not args.folder:
            shutil.rmtree(scratch, ignore_errors=True)
    if args.report:
        Path(args.report).write_text(verdict.text() + "\n", encoding="utf-8")
    if args.json:
        content = {
            "numpy": {name: rows_of(baseline[name]) for name in names},
            "raptors": {name: rows_of(tests) for name, tests in results["raptors"].items()},
            "failures": rows_of(verdict.failures),
            "known": rows_of(verdict.known),
            "excused": rows_of(verdict.excused),
            "stale": verdict.stale,
        }
        Path(args.json).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return verdict


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description="NumPy's own tests under NumPy and under raptors.")
    p.add_argument("--quick", action="store_true", help="a representative part, about a minute")
    p.add_argument("--files", default="", metavar="REGEX", help="only files whose path matches")
    p.add_argument("--slow", action="store_true", help="also the tests that NumPy marks as slow")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time (default 1)")
    p.add_argument("--limit", type=float, default=TEST_LIMIT, metavar="SECONDS", help="for one test")
    p.add_argument("--baseline", default="", metavar="FILE", help="NumPy's results, read and written")
    p.add_argument("--report", default="", metavar="FILE", help="write the report there, too")
    p.add_argument("--json", default="", metavar="FILE", help="write every outcome")
    p.add_argument("--folder", default="", metavar="FOLDER", help="for the copies; it is kept")
    p.add_argument("--quiet", action="store_true", help="no line for each file")
    return p


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--child"]:
        name, record, skip, limit, marks = arguments[1:]
        return run_child(name, record, skip, float(limit), marks)
    verdict = judge(arguments)
    print(verdict.text())
    return 0 if verdict.fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
