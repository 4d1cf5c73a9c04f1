"""Threads: who may work, the same results whoever does, the GIL, forks, signals, the end of the process.

RAPTORS_FORKS and RAPTORS_EXITS set how often a process forks, and ends with work in flight.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy
import pytest
import samples
from helpers import ANY_ZERO, DISABLED, EXACT, OPS, Mismatches, close, counted, mine, python, python_ok

import raptors
from raptors import _raptors_core as core

FORKS = int(os.environ.get("RAPTORS_FORKS", "100"))
EXITS = int(os.environ.get("RAPTORS_EXITS", "25"))
LINUX = sys.platform.startswith("linux")
X86 = platform.machine() == "x86_64"
SHARED = {"RAPTORS_MIN_PARALLEL": "1", "RAPTORS_NUM_THREADS": "4"}  # every call is shared

linux = pytest.mark.skipif(not LINUX, reason="reads /proc")
native = pytest.mark.skipif(DISABLED, reason="no native call")


def clean(**environment: str) -> dict[str, str]:
    """Variables that give a process the default threads, and then these."""
    names = ("RAPTORS_NUM_THREADS", "OMP_NUM_THREADS", "RAPTORS_MIN_PARALLEL", "RAPTORS_FAIL_THREAD")
    return {**dict.fromkeys(names, ""), **environment}


def usable() -> int:
    return len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1


class TestNumber:
    def test_default(self) -> None:
        n = int(python_ok("import raptors; print(raptors.get_num_threads())", **clean()))
        assert 1 <= n <= usable()

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({"RAPTORS_NUM_THREADS": "3"}, 3),
            ({"OMP_NUM_THREADS": "5"}, 5),
            ({"OMP_NUM_THREADS": "6,2,1"}, 6),
            ({"OMP_NUM_THREADS": "100000"}, 256),
            ({"RAPTORS_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ],
    )
    def test_environment(self, environment: dict[str, str], expected: int) -> None:
        code = "import raptors; print(raptors.get_num_threads())"
        assert int(python_ok(code, **clean(**environment))) == expected

    @pytest.mark.parametrize("value", ["nonsense", "0", "-1", "-5"])
    def test_what_openmp_would_not_take_is_left_alone(self, value: str) -> None:
        code = "import raptors; print(raptors.get_num_threads())"
        assert 1 <= int(python_ok(code, **clean(OMP_NUM_THREADS=value))) <= usable()

    @pytest.mark.parametrize("value", ["0", "-1", "257", "9999", "text", "2.5", "1" * 100])
    def test_bad_environment(self, value: str) -> None:
        done = python("import raptors", **clean(RAPTORS_NUM_THREADS=value))
        assert done.returncode == 1
        assert "RAPTORS_NUM_THREADS" in done.stderr
        assert "Error: " in done.stderr

    def test_setting(self) -> None:
        before = raptors.get_num_threads()
        try:
            raptors.set_num_threads(7)
            assert raptors.get_num_threads() == 7
            with raptors.threads(numpy.int64(2)):
                assert raptors.get_num_threads() == 2
                with raptors.threads(1):
                    assert raptors.get_num_threads() == 1
                    raptors.set_num_threads(5)
                    assert raptors.get_num_threads() == 1
                assert raptors.get_num_threads() == 2
            assert raptors.get_num_threads() == 5
        finally:
            raptors.set_num_threads(before)

    def test_context(self) -> None:
        """Other threads do not see what a context chose."""
        seen = []
        outside = raptors.get_num_threads()
        with raptors.threads(outside + 1):
            thread = threading.Thread(target=lambda: seen.append(raptors.get_num_threads()))
            thread.start()
            thread.join()
        assert seen == [outside]

    @pytest.mark.parametrize("number", [0, -1, 257, 2**63, -(2**70)])
    def test_out_of_range(self, number: int) -> None:
        for setter in (raptors.set_num_threads, raptors.threads):
            with pytest.raises((ValueError, TypeError)):
                setter(number)

    @pytest.mark.parametrize("number", [1.0, "2", None])
    def test_no_number(self, number: Any) -> None:
        for setter in (raptors.set_num_threads, raptors.threads):
            with pytest.raises(TypeError):
                setter(number)

    @linux
    def test_affinity(self) -> None:
        code = """
import os, time, raptors
one = min(os.sched_getaffinity(0))
before = raptors.get_num_threads()
os.sched_setaffinity(0, {one})
time.sleep(1.1)  # it is looked at once a second
assert raptors.get_num_threads() == 1, raptors.get_num_threads()
"""
        python_ok(code, **clean())


@native
class TestResults:
    """The very bytes of one thread, from any number of threads. (The C++ test has the layouts.)"""

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
    def test_same_as_alone(self, dtype: str) -> None:
        rng = numpy.random.default_rng(3)
        a = raptors.asarray((rng.standard_normal((301, 997)) * 100).astype(dtype))
        b = raptors.asarray((rng.standard_normal((301, 997)) * 100 + 300).astype(dtype))
        mask = raptors.asarray(rng.random((301, 997)) < 0.5)
        calls = [
            lambda: a + b,
            lambda: a * 3,
            lambda: raptors.maximum(a.T, b.T),
            lambda: a[::-1, ::2] == b[::-1, ::2],
            lambda: a + b[0],
            lambda: raptors.add(a, b, dtype="float64"),
            lambda: raptors.where(mask, a, b),
            lambda: a.sum(),
            lambda: a.sum(axis=0),
            lambda: a.sum(axis=1, keepdims=True),
            lambda: a.mean(axis=-1),
            lambda: a.max(),
            lambda: a.min(axis=0),
            lambda: a.prod(axis=1) if dtype in ("int32", "bool") else a.std(),
            lambda: a.var(axis=0),
            lambda: raptors.add(a, b, out=raptors.zeros_like(a, dtype=(a + b).dtype), where=mask),
        ]
        limits = core._pool_limits()
        core._set_pool_limits(0, 0)
        try:
            for number, call in enumerate(calls):
                with raptors.threads(1):
                    alone = call()
                for n in (2, 3, 8):
                    with raptors.threads(n):
                        shared = call()
                    assert shared.dtype == alone.dtype, number
                    assert shared.tobytes() == alone.tobytes(), (number, n)
                    assert shared.strides == alone.strides, number
        finally:
            core._set_pool_limits(*limits)
        assert core._pool_stats()["shared"] > 0

    @pytest.mark.parametrize("threads", [1, 2, 3])
    @pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1"])
    def test_long_columns(self, dtype: str, threads: int, isa: str) -> None:
        """Folds down columns of more than 4 MiB, where rows are asked for ahead, the last ones not there."""
        rng = samples.generator("columns", dtype, threads)
        a = samples.benign(dtype, 8203 * 1031, rng).reshape(8203, 1031)
        found = Mismatches()
        shared = core._pool_stats()["shared"]
        limits = core._pool_limits()
        core._set_pool_limits(0, 0)  # also while a worker rests
        try:
            with raptors.threads(threads), counted() as count:
                for name in ("max", "min", "sum", "mean"):
                    rules = close(dtype, 8203) if name in ("sum", "mean") else EXACT
                    for key, view in (("whole", a), ("strip", a[3:, 5:700]), ("reversed", a[::-1])):
                        found.check(
                            (name, key), lambda xp, n=name, v=view: getattr(mine(xp, v), n)(axis=0), rules
                        )
        finally:
            core._set_pool_limits(*limits)
        found.done()
        count.of("max").require()
        count.of("sum").require()
        if threads > 1:
            assert core._pool_stats()["shared"] > shared

    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("dtype", samples.ELEMENTARY)
    def test_long_calls_from_either_end(self, dtype: str, threads: int, isa: str) -> None:
        """In chunks, whose order changes from call to call: NumPy's results, warnings and errors."""
        rng = samples.generator("long", dtype, threads)
        rows, columns = 257, 2048
        a, b = (samples.mixed(dtype, rows * columns, rng).reshape(rows, columns) for _ in range(2))
        tame = samples.benign(dtype, rows * columns, rng).reshape(rows, columns)
        mask = rng.random((rows, columns)) < 0.5
        one = numpy.dtype(dtype).type(1)
        exact = {
            "add": lambda xp, a, b: xp.add(a, b),
            "divide": lambda xp, a, b: xp.true_divide(a, b),
            "scalar": lambda xp, a, b: xp.maximum(a, one),
            "less": lambda xp, a, b: a < b,
            "reversed": lambda xp, a, b: xp.add(a[::-1, ::-1], b[::-1]),
            "turned": lambda xp, a, b: xp.minimum(a.T, b.T),
            "row": lambda xp, a, b: xp.add(a, b[0]),
            "in place": lambda xp, a, b: xp.add(a, b, out=a.copy()),
            "where": lambda xp, a, b: xp.where(mine(xp, mask), a, b),
            "max": lambda xp, a, b: a.max(),
            "min axis": lambda xp, a, b: a.min(axis=1),
            "argmax": lambda xp, a, b: a.argmax(),
            "any": lambda xp, a, b: a.any(),
            "all": lambda xp, a, b: a.all(),
        }
        sums = {
            "sum": lambda xp, a, b: a.sum(),
            "sum axis": lambda xp, a, b: a.sum(axis=1),
            "mean axis": lambda xp, a, b: a.mean(axis=0),
        }
        found = Mismatches()
        floats = dtype.startswith("float")
        with counted() as count, raptors.threads(threads):
            for state in ("warn", "raise") if floats else ("warn",):
                with numpy.errstate(all=state):
                    for name, call in exact.items():
                        rules = (
                            ANY_ZERO if floats and name in ("max", "min axis", "scalar", "turned") else EXACT
                        )
                        for turn in range(2):
                            found.check(
                                (name, state, turn), lambda xp, f=call: f(xp, mine(xp, a), mine(xp, b)), rules
                            )
            for name, call in sums.items():
                for turn in range(2):
                    found.check(
                        (name, turn),
                        lambda xp, f=call: f(xp, mine(xp, tame), None),
                        close(dtype, rows * columns),
                    )
        found.done()
        count.require(0.6)

    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("name", ["any", "all"])
    def test_what_decides_lies_anywhere(self, name: str, threads: int, isa: str) -> None:
        found = Mismatches()
        n = 300_001
        with counted() as count, raptors.threads(threads):
            for dtype in samples.ELEMENTARY:
                for step in (1, 2, -1):
                    for position in (0, 4095, 4096, 4097, n // 2, n - 1, None):
                        a = numpy.full(n * abs(step), name == "all", dtype)[::step]
                        if position is not None:
                            a[position] = not a[position]
                        for turn in range(2):
                            key = (dtype, step, position, turn)
                            found.check(key, lambda xp, a=a: getattr(mine(xp, a), name)())
        found.done()
        count.of(name).require()

    def test_explained(self) -> None:
        code = """
import raptors as np
a = np.ones(100_000)
a + a
assert np.explain_last_dispatch()["threads"] == 4
with np.threads(1):
    a.sum()
assert np.explain_last_dispatch()["threads"] == 1
a.max()
assert np.explain_last_dispatch()["threads"] == 4
np.arange(3)
assert np.explain_last_dispatch()["threads"] == 1
"""
        python_ok(code, **SHARED)

    def test_errors_of_workers(self) -> None:
        """What only a worker's part raises is warned of, or raised, by the caller."""
        code = """
import warnings, numpy, raptors as np
a = np.ones(200_000)
for place in (0, 100_000, 199_999):
    b = np.ones(200_000)
    b[place] = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        c = a / b
    assert [str(w.message) for w in caught] == ["divide by zero encountered in divide"], caught
    assert c[place] == np.inf and c.sum() == np.inf
    with np.errstate(all="raise"):
        try:
            a / b
        except FloatingPointError as error:
            assert "divide by zero" in str(error)
        else:
            raise AssertionError("nothing was raised")
with warnings.catch_warnings():
    warnings.simplefilter("error")
    a / a
assert np.runtime_info()["pool"]["shared"] > 3
"""
        python_ok(code, **SHARED)

    def test_refused_threads(self) -> None:
        code = """
import raptors as np
a = np.arange(300_000.0)
assert (a + a).sum() == 300_000 * 299_999.0
print(np.runtime_info()["pool"]["workers"])
"""
        assert int(python_ok(code, **SHARED, RAPTORS_FAIL_THREAD="1")) == 0
        assert int(python_ok(code, **SHARED, RAPTORS_FAIL_THREAD="3")) == 2
        assert int(python_ok(code, **SHARED)) == 3


@native
class TestGil:
    def test_long_calls_release_it(self) -> None:
        """With a switch interval of minutes another thread runs only if it is given the GIL."""
        code = """
import sys, threading, raptors as np
a = np.arange(4_000_000.0).reshape(2000, 2000)
sys.setswitchinterval(1000)
calls = {
    "add": lambda: a + a,
    "out": lambda: np.multiply(a, a, out=b),
    "broadcast": lambda: a + a[0],
    "strided": lambda: a[:, ::2] + a[:, 1::2],
    "cast": lambda: np.add(a, 1, dtype="float64"),
    "sum": lambda: a.sum(),
    "axis": lambda: a.sum(axis=0),
    "std": lambda: a.std(),
}
b = np.empty_like(a)
for name, call in calls.items():
    ran = threading.Event()
    go = threading.Event()
    other = threading.Thread(target=lambda: (go.wait(), ran.set()))
    other.start()
    go.set()
    for _ in range(50):  # its turn comes when this thread lets go
        call()
    assert ran.is_set(), name
    other.join()
"""
        for threads in ("1", "2"):
            python_ok(code, **clean(RAPTORS_NUM_THREADS=threads))

    def test_callers_share_the_pool(self) -> None:
        code = """
import threading, raptors as np
rng = np.random.default_rng(1)
data = [rng.standard_normal(50_000) for _ in range(8)]
wanted = [(x * x + x).sum() for x in data]
wrong = []
def work(i):
    for _ in range(150):
        x = data[i]
        if (x * x + x).sum() != wanted[i] or (x + 1).max() != x.max() + 1:
            wrong.append(i)
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert not wrong
"""
        python_ok(code, **SHARED)


@linux
class TestProcess:
    def test_import_starts_nothing(self) -> None:
        code = """
import os, numpy
before = len(os.listdir("/proc/self/task"))
import raptors as np
(np.ones(8) + 1).sum()
assert len(os.listdir("/proc/self/task")) == before
"""
        python_ok(code, **clean())

    @native
    def test_no_more_threads_than_asked_for(self) -> None:
        code = """
import os, numpy
before = len(os.listdir("/proc/self/task"))
import raptors as np
a = np.ones(2_000_000)
for _ in range(20): a = a + 1
assert np.get_num_threads() == 3
assert len(os.listdir("/proc/self/task")) <= before + 2
with np.threads(1):
    a = a + 1
"""
        python_ok(code, **clean(RAPTORS_NUM_THREADS="3"))

    @native
    def test_signals_are_not_for_workers(self) -> None:
        code = """
import os, signal, raptors as np
handler = signal.getsignal(signal.SIGINT)
a = np.ones(100_000)
a + a
assert signal.getsignal(signal.SIGINT) is handler
names = {}
for task in os.listdir("/proc/self/task"):
    with open(f"/proc/self/task/{task}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    names.setdefault(status["Name"].strip(), []).append(int(status["SigBlk"], 16))
assert len(names["raptors"]) == 3
for blocked in names["raptors"]:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGALRM):
        assert blocked >> (number - 1) & 1
"""
        python_ok(code, **SHARED)

    @native
    def test_interrupts(self) -> None:
        """A KeyboardInterrupt comes when the call returns; the timer's signals change nothing."""
        code = """
import os, signal, raptors as np
a = np.ones(1_000_000)
ticks = 0
def tick(*_):
    global ticks
    ticks += 1
signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(300):
    assert (a + a).sum() == 2_000_000
signal.setitimer(signal.ITIMER_REAL, 0)
assert ticks
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
for i in range(25):
    signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.0007 * i)
    try:
        while True:
            a = a * 1.0
    except KeyboardInterrupt:
        pass
    assert a.sum() == 1_000_000
"""
        python_ok(code, **SHARED)


FORKING = f"""
import os, sys, threading, warnings, signal
import raptors as np
a = np.arange(30_000.0)
wanted = (a + a).sum()
def child(depth):
    signal.alarm(20)
    right = (a + a).sum() == wanted and a.max() == 29_999
    if right and depth:
        right = fork(depth - 1)
    os._exit(0 if right else 3)
def fork(depth=0):
    pid = os.fork()
    if pid == 0:
        child(depth)
    return os.waitpid(pid, 0)[1] == 0
wrong = 0
for i in range({FORKS}):
    (a + a).sum()
    wrong += not fork(depth=i % 5 == 0)
assert not wrong, wrong
print("alone")
"""

BUSY = f"""
stop = False
def work():
    x = np.arange(20_000.0)
    while not stop:
        assert (x * 2).sum() == 2 * x.sum()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Python's own, of the threads below
    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for t in threads: t.start()
    def fork_often():
        global wrong
        for _ in range({FORKS} // 10 + 1):
            wrong += not fork()
    forkers = [threading.Thread(target=fork_often) for _ in range(4)]
    for t in forkers: t.start()
    for t in forkers: t.join()
    stop = True
    for t in threads: t.join()
assert not wrong, wrong
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
class TestForks:
    @pytest.mark.timeout(60 + FORKS)
    def test_child_computes(self) -> None:
        """With every warning an error: Python warns of a fork while there are threads."""
        assert "alone" in python_ok(FORKING, "-W", "error", timeout=60 + FORKS, **SHARED)

    @pytest.mark.timeout(60 + FORKS)
    def test_while_others_work(self) -> None:
        python_ok(FORKING + BUSY, timeout=60 + FORKS, **SHARED)

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_multiprocessing(self, method: str, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            f"""
import multiprocessing, sys
import raptors as np
def work(a):
    return (a * a).sum()
if __name__ == "__main__":
    a = np.arange(50_000.0)
    wanted = work(a)
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(work, [a] * 8) == [wanted] * 8
"""
        )
        python_ok(
            f"import runpy, sys; sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, "
            "run_name='__main__')"
            if method == "fork"
            else "import subprocess, sys; "
            f"sys.exit(subprocess.run([sys.executable, '-P', {str(script)!r}]).returncode)",
            **SHARED,
        )

    def test_subprocesses_while_computing(self) -> None:
        code = """
import subprocess, sys, threading, raptors as np
stop = False
def work():
    a = np.ones(100_000)
    while not stop:
        assert (a + a).sum() == 200_000
t = threading.Thread(target=work)
t.start()
for i in range(40):
    assert subprocess.run(["true"], preexec_fn=(lambda: None) if i % 2 else None).returncode == 0
stop = True
t.join()
"""
        python_ok(code, "-W", "ignore", **SHARED)


@pytest.mark.timeout(60 + 5 * EXITS)
def test_ends_with_work_in_flight() -> None:
    """Daemon threads compute while the interpreter ends, in several ways: no hang, no crash."""
    code = """
import atexit, os, sys, threading, time, raptors as np
way = int(sys.argv[1])
a = np.ones((1000, 300))
def work():
    while True:
        a + a; a.sum(axis=0); a.std(); np.ptp(a); np.array_equal(a, a); np.exp(a); np.dot(a[0], a[1])
for _ in range(3): threading.Thread(target=work, daemon=True).start()
kept = a + 1
time.sleep(0.005 * (way % 7))
if way % 4 == 1: atexit.register(lambda: (a * a).sum())
if way % 4 == 2: os._exit(0)
if way % 4 == 3: sys.exit(0)
"""
    for way in range(EXITS):
        done = python(f"import sys; sys.argv = ['', '{way}']\n{code}", timeout=30, **SHARED)
        assert done.returncode == 0, (way, done.returncode, done.stderr)
        assert "Fatal" not in done.stderr, (way, done.stderr)


@native
class TestCalibration:
    LIMIT = 550  # seconds, of which it takes five, but with sanitizers hundreds
    USED = """
import raptors as np
from raptors import _raptors_core as core
np.ones(1_000_000) + 1
print(*core._pool_limits(), core._stream_from(), core._blas_from(True, False), core._blas_from(False, True))
"""
    NEVER: ClassVar[dict[str, None]] = {"one": None, "several": None}
    SOUND: ClassVar[dict[str, Any]] = {
        "ops": {"add": {"float64": 1.0}},
        "folds": {},
        "limits_ns": {"hot": 1, "parked": 2},
        "families": {"add": {"float64": ["numpy", ""]}},
        "stream_from": 12345,
        "blas_from": {"float32": NEVER, "float64": {"one": 1e6, "several": None}},
    }

    def calibrate(self, where: Path) -> dict[str, Any]:
        code = "import json, raptors; print(json.dumps(raptors.calibrate()))"
        printed = python_ok(code, timeout=self.LIMIT, **clean(RAPTORS_TUNING_DIR=str(where)))
        return cast("dict[str, Any]", json.loads(printed))

    def test_kept_and_used(self, tmp_path: Path) -> None:
        found = self.calibrate(tmp_path)
        path = Path(found["file"])
        assert path.parent == tmp_path
        assert list(tmp_path.iterdir()) == [path]
        assert found["ops"].keys() == {row["name"] for row in OPS if "reduce" not in row["kind"]}
        assert all(ns > 0 for row in found["ops"].values() for ns in row.values())
        assert {len(names) for row in found["families"].values() for names in row.values()} <= {2}
        limits = found["limits_ns"]
        assert 0 < limits["hot"] <= limits["parked"]
        used = python_ok(self.USED, **clean(RAPTORS_TUNING_DIR=str(tmp_path), RAPTORS_NUM_THREADS="2"))
        flips = found["blas_from"]
        expected = [limits["hot"], limits["parked"], found["stream_from"]]
        expected += [flips["float64"]["one"], flips["float32"]["several"]]
        expected = [float("inf") if x is None else x for x in expected]
        assert [float(x) for x in used.split()] == pytest.approx(expected)

    def test_command(self, tmp_path: Path) -> None:
        command = "import sys; from raptors.__main__ import main; sys.exit(main(['calibrate']))"
        done = python(command, timeout=self.LIMIT, **clean(RAPTORS_TUNING_DIR=str(tmp_path)))
        assert done.returncode == 0, done.stderr
        assert "BLAS, float32, one" in done.stdout
        assert "100% float64 2048 x 2048" in done.stderr or "100% results are streamed" in done.stderr
        assert len(list(tmp_path.iterdir())) == 1

    def test_first_long_call_imports_little(self, tmp_path: Path) -> None:
        """Only of this package, where nothing is kept: others take ten times as long as the call."""
        code = """
import sys, raptors as np
a = np.ones(1_000_000)
before = set(sys.modules)
a.sum()
print(*sorted(set(sys.modules) - before))
"""
        where = clean(RAPTORS_TUNING_DIR=str(tmp_path), RAPTORS_NUM_THREADS="2")
        builtin = {"atexit"}
        assert {*python_ok(code, **where).split()} - builtin == {"raptors._tuning"}

    def test_sound_file(self, tmp_path: Path) -> None:
        """The file that the damaged ones below differ from."""
        name = os.path.basename(python_ok("from raptors import _tuning; print(_tuning.file())").strip())
        (tmp_path / name).write_text(json.dumps(self.SOUND))
        used = python_ok(self.USED, **clean(RAPTORS_TUNING_DIR=str(tmp_path))).split()
        assert [float(x) for x in used] == [1, 2, 12345 if X86 else sys.maxsize, 1e6, float("inf")]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            '{"ops": 1}',
            json.dumps(SOUND | {"limits_ns": {"hot": -1, "parked": 2}}),
            json.dumps(SOUND | {"ops": {"add": {"float64": "x"}}}),
            json.dumps(SOUND | {"ops": {"add": {"float64": 1e300}}}),
            json.dumps(SOUND | {"families": 1}),
            json.dumps(SOUND | {"families": {"nothing": {}}}),
            json.dumps(SOUND | {"families": {"add": 1}}),
            json.dumps(SOUND | {"families": {"add": {"float": ["", ""]}}}),
            json.dumps(SOUND | {"families": {"add": {"float64": ["numpy"]}}}),
            json.dumps(SOUND | {"families": {"add": {"float64": ["", "avx3"]}}}),
            json.dumps(SOUND | {"families": {"add": {"float64": ["", 1]}}}),
            json.dumps(SOUND | {"stream_from": 0}),
            json.dumps(SOUND | {"stream_from": "x"}),
            json.dumps(SOUND | {"stream_from": 1 << 63}),
            json.dumps({key: value for key, value in SOUND.items() if key != "blas_from"}),
            json.dumps(SOUND | {"blas_from": {"float16": NEVER}}),
            json.dumps(SOUND | {"blas_from": {"float32": {"two": None}}}),
            json.dumps(SOUND | {"blas_from": {"float32": {"one": "x"}}}),
            json.dumps(SOUND | {"blas_from": {"float32": NEVER, "float64": {"one": -1.0, "several": None}}}),
        ],
    )
    def test_damaged_file(self, text: str, tmp_path: Path) -> None:
        name = os.path.basename(python_ok("from raptors import _tuning; print(_tuning.file())").strip())
        (tmp_path / name).write_text(text)
        built_in = python_ok(self.USED, **clean(RAPTORS_TUNING_DIR=str(tmp_path / "none")))
        assert python_ok(self.USED, **clean(RAPTORS_TUNING_DIR=str(tmp_path))) == built_in

    def test_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        assert self.calibrate(tmp_path / "file" / "below")["file"] is None

    LONG = """
import sys, raptors as np
from raptors import _raptors_core as core
k, products, threads = map(int, sys.argv[1:])
a, b = np.ones((1024, k), "float32"), np.ones((k, 1024), "float32")
done = []
for _ in range(products):
    assert (a @ b == k).all()
    c = a @ b
    done.append(np.explain_last_dispatch()["backend"])
print(core._blas_from(False, threads > 1), *done)
"""

    def multiply(
        self, k: int, where: Path, products: int, policy: str = "auto", threads: int = 1
    ) -> tuple[float, list[str]]:
        """From where on BLAS is faster, and who did every second product of (1024, k) and (k, 1024)."""
        environment = clean(
            RAPTORS_TUNING_DIR=str(where),
            RAPTORS_NUM_THREADS=str(threads),
            RAPTORS_BACKEND=policy,
            RAPTORS_BLAS="auto",
        )
        done = python(
            f"import sys; sys.argv = ['', '{k}', '{products}', '{threads}']\n{self.LONG}", **environment
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        least, *backends = done.stdout.split()
        return float(least), backends

    @pytest.mark.skipif(not core._load_blas(), reason="no BLAS library in this build")
    def test_a_programs_products_teach_who_is_faster(self, tmp_path: Path) -> None:
        never = float("inf")
        for policy, k in (("auto", 1000), ("raptors", 1024), ("blas", 1024)):
            assert self.multiply(k, tmp_path, 4, policy)[0] == never
        assert self.multiply(1024, tmp_path, 2)[0] == never  # four products
        assert not list(tmp_path.iterdir())
        found, backends = self.multiply(1024, tmp_path, 6)
        faster = "raptors" if found == never else "blas"
        assert found in (never, 1024.0**3)
        assert backends == ["blas"] * 3 + [faster] * 3  # the second of each pair
        (path,) = tmp_path.iterdir()
        kept = json.loads(path.read_text())
        assert kept["blas_from"] == {"float32": {"one": None if found == never else found}}

        for figure, faster in ((1000.0, "blas"), (1e12, "raptors")):
            kept["blas_from"]["float32"]["one"] = figure
            path.write_text(json.dumps(self.SOUND | kept))
            assert self.multiply(1024, tmp_path, 4) == (figure, [faster] * 4)
            assert json.loads(path.read_text()) == self.SOUND | kept  # it was there: nothing was learnt
        path.write_text(json.dumps(self.SOUND | {"blas_from": {"float64": {"one": 1e6}}}))
        self.multiply(1024, tmp_path, 4)
        both = json.loads(path.read_text())  # what others have found stays
        assert both["ops"] == self.SOUND["ops"]
        assert both["blas_from"].keys() == {"float32", "float64"}
        path.write_text("{")
        self.multiply(1024, tmp_path, 4)
        assert json.loads(path.read_text())["blas_from"].keys() == {"float32"}
        (tmp_path / "file").write_text("no folder")
        self.multiply(1024, tmp_path / "file" / "below", 4)

    @pytest.mark.skipif(not core._load_blas(), reason="no BLAS library in this build")
    def test_several_threads_of_blas_come_last(self, tmp_path: Path) -> None:
        """They wait on their cores for more work, and would slow ours down."""
        found, backends = self.multiply(1024, tmp_path, 5, threads=2)
        faster = "raptors" if found == float("inf") else "blas"
        assert backends == ["raptors", "blas", "blas", faster, faster]

    @pytest.mark.skipif(not core._load_blas(), reason="no BLAS library in this build")
    def test_the_first_long_product_is_one_product(self, tmp_path: Path) -> None:
        """Nothing is measured beside it, nor loaded; and a forked child keeps nothing."""
        code = """
import os, sys, raptors as np
from raptors import _raptors_core as core
a = np.ones((1024, 1024), "float32")
a @ a
assert not core._blas_info(1)["loaded"]
assert "raptors._tuning" in sys.modules and "tempfile" not in sys.modules
for _ in range(5): a @ a
assert core._learnt_blas_from()
pid = os.fork()
if pid == 0: sys.exit(0)
os.waitpid(pid, 0)
assert not os.listdir(os.environ["RAPTORS_TUNING_DIR"])
"""
        tmp_path.joinpath("kept").mkdir()
        where = tmp_path / "kept"
        python_ok(code, **clean(RAPTORS_TUNING_DIR=str(where), RAPTORS_NUM_THREADS="1", RAPTORS_BLAS="auto"))
        assert len(list(where.iterdir())) == 1

    def test_the_file_is_named_after_all_that_decides(self) -> None:
        name = "from raptors import _tuning; print(_tuning.file())"
        one = python_ok(
            f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {name}", **clean()
        )
        names = {
            python_ok(name, **clean(**s)) for s in ({}, {"RAPTORS_SIMD": "scalar"}, {"RAPTORS_BLAS": "none"})
        }
        assert len(names) == 3
        assert (one in names) == (len(os.sched_getaffinity(0)) == 1)

    def test_calibration_notices_others(self, tmp_path: Path) -> None:
        """Another program on every processor: each step is tried again, and the figures say so."""
        code = """
import os, subprocess, sys
from raptors import _tuning
if not os.path.exists("/proc/stat"): sys.exit(0)
tries = []
def measure():
    tries.append(1)
    begin = _tuning.time.perf_counter()
    while _tuning.time.perf_counter() < begin + 0.4: pass
    return len(tries)
others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in _tuning.processors()]
try:
    found, alone = _tuning._undisturbed(measure)
finally:
    for other in others: other.kill()
assert not alone and len(tries) == 3 and found in (1, 2, 3), (found, alone, tries)
"""
        python_ok(code, **clean(RAPTORS_TUNING_DIR=str(tmp_path)))

    def test_import_reads_nothing(self, tmp_path: Path) -> None:
        code = """
import sys, raptors as np
np.ones(8) + 1
assert "raptors._tuning" not in sys.modules
"""
        python_ok(code, **clean(RAPTORS_TUNING_DIR=str(tmp_path)))


LIMITS = """
import json, os, sys
{imports}
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits
assert raptors.build_info()["openblas"] == "" or not raptors.runtime_info()["blas"]["loaded"]
{first}

def found():
    own = lambda i: "raptors" in os.path.basename(i["filepath"])
    return {{i["internal_api"]: i for i in threadpool_info() if own(i)}}

def ran():
    a = raptors.ones((300, 300))
    _ = a + a
    threads = [raptors.explain_last_dispatch()["threads"]]
    with raptors.backend_policy("blas"):
        _ = a @ a
    threads.append(raptors.explain_last_dispatch()["threads"])
    return [*threads, raptors.runtime_info()["blas"].get("num_threads")]

{body}
"""
THREADPOOLCTL_FIRST = "import threadpoolctl; threadpoolctl.threadpool_info(); import raptors"
FIRST_PRODUCT = "a = raptors.ones((9, 9)); raptors.set_backend_policy('blas'); _ = a @ a"
packaged = pytest.mark.skipif(not raptors.build_info()["openblas"], reason="built without OpenBLAS")


@native
class TestThreadpoolctl:
    @pytest.fixture(autouse=True)
    def _needs_it(self) -> None:
        pytest.importorskip("threadpoolctl", "3.5")

    def ask(self, body: str, imports: str = "import raptors", first: str = "") -> Any:
        unset = dict.fromkeys(("RAPTORS_BLAS", "RAPTORS_BACKEND", "OPENBLAS_NUM_THREADS"), "")
        environment = clean(**SHARED, **unset)
        return json.loads(python_ok(LIMITS.format(imports=imports, first=first, body=body), **environment))

    @packaged
    @pytest.mark.parametrize("first", ["", FIRST_PRODUCT], ids=["before the first product", "after"])
    @pytest.mark.parametrize("imports", ["import raptors", THREADPOOLCTL_FIRST], ids=["earlier", "later"])
    def test_both_are_shown_and_limited(self, imports: str, first: str) -> None:
        """And the limit holds for the first product; afterwards all is as before."""
        body = """
shown = found()
with threadpool_limits(2):
    inside, two = ran(), found()
with threadpool_limits(1):
    alone = ran()
after = found()
print(json.dumps([shown, inside, two, alone, after]))
"""
        shown, inside, two, alone, after = self.ask(body, imports, first)
        assert set(shown) == {"raptors", "openblas"}
        pool, blas = shown["raptors"], shown["openblas"]
        assert (pool["user_api"], blas["user_api"]) == ("raptors", "blas")
        assert (pool["version"], pool["num_threads"]) == (raptors.__raptors_version__, 4)
        assert pool["prefix"] == "_raptors_core"
        assert Path(pool["filepath"]).samefile(cast(str, core.__file__))
        assert (blas["version"], blas["num_threads"]) == (raptors.build_info()["openblas"], usable())
        assert inside == [2, 2, min(2, usable())]
        assert two["raptors"]["num_threads"] == 2
        assert two["openblas"]["num_threads"] == min(2, usable())
        assert alone == [1, 1, 1]
        assert after == shown

    def test_limits_of_scikit_learn(self) -> None:
        """One controller for all calls, which limits the libraries of one kind."""
        body = """
controller = ThreadpoolController()
with controller.limit(limits=1, user_api="blas"):
    blas = ran()
with controller.limit(limits=1, user_api="raptors"):
    pool = ran()
@controller.wrap(limits=1)
def wrapped():
    return ran()
print(json.dumps([blas, pool, wrapped(), raptors.get_num_threads()]))
"""
        blas, pool, wrapped, after = self.ask(body)
        assert blas[0] == 4
        assert blas[2] in (1, None)
        assert pool == [1, 1, pool[2]]
        assert pool[2] in (1, None)
        assert wrapped == pool
        assert after == 4

    def test_choice_of_a_context_wins(self) -> None:
        """And is not taken for the number that is restored."""
        body = """
with raptors.threads(3), threadpool_limits(1):
    inside = [raptors.get_num_threads(), found()["raptors"]["num_threads"]]
    raptors.set_num_threads(2)
print(json.dumps([*inside, raptors.get_num_threads()]))
"""
        assert self.ask(body) == [3, 1, 4]

    def test_any_number_is_taken(self) -> None:
        body = """
numbers = []
for n in (0, -3, 1, 256, 100_000):
    with threadpool_limits(n, user_api="raptors"):
        numbers.append(raptors.get_num_threads())
print(json.dumps(numbers))
"""
        assert self.ask(body) == [1, 1, 1, 256, 256]

    @linux
    def test_a_restored_number_follows_the_processors_again(self) -> None:
        code = """
import os, time, raptors, threadpoolctl
with threadpoolctl.threadpool_limits(1):
    pass
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
time.sleep(1.1)  # so long a number is kept
print(raptors.get_num_threads())
"""
        assert python_ok(code, **clean()).strip() == "1"

    def test_foreign_library_of_that_name(self, tmp_path: Path) -> None:
        """It is not asked for anything, and not taken for raptors."""
        if not LINUX:
            pytest.skip("copies a shared library")
        library = importlib.import_module("numpy.random._bounded_integers").__file__
        shutil.copy(str(library), tmp_path / "_raptors_core_other.so")
        body = f"""
import ctypes
ctypes.CDLL({str(tmp_path / "_raptors_core_other.so")!r})
print(json.dumps([i["prefix"] for i in threadpool_info() if i["internal_api"] == "raptors"]))
"""
        assert self.ask(body) == ["_raptors_core"]
