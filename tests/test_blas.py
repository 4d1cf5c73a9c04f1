"""The BLAS library: when it is loaded, which one, its threads, forks. Its calls: tests/cpp/test_blas.cpp.

RAPTORS_PRODUCTS sets how many products several threads make at once, RAPTORS_FORKS how often a process forks.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy
import pytest
from helpers import python, python_ok

import raptors
from raptors import _raptors_core as core

PRODUCTS = int(os.environ.get("RAPTORS_PRODUCTS", "1000"))
FORKS = int(os.environ.get("RAPTORS_FORKS", "100"))
LEAST = (0, 3, 33, 112)  # OpenMathLib/OpenBLAS 5836
TYPES = ("float32", "float64", "complex64", "complex128")
INFO = "print(__import__('json').dumps(raptors.runtime_info()['blas']))"

packaged = pytest.mark.skipif(not raptors.build_info()["openblas"], reason="built without OpenBLAS")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def clean(**environment: str) -> dict[str, str]:
    names = ("RAPTORS_BLAS", "OPENBLAS_NUM_THREADS", "RAPTORS_NUM_THREADS", "OMP_NUM_THREADS")
    return {**dict.fromkeys(names, ""), **environment}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version))


def ask(code: str, **environment: str) -> dict[str, Any]:
    """What a process that ran `code` says of its BLAS."""
    return json.loads(python_ok(f"import raptors\n{code}\n{INFO}", **clean(**environment)).splitlines()[-1])


def numpys_library() -> Path:
    found = sorted(Path(numpy.__file__).parent.parent.glob("numpy.libs/libscipy_openblas64_*.so"))
    if not found:
        pytest.skip("NumPy has no OpenBLAS of its own")
    return found[0].resolve()


LOAD = "from raptors import _raptors_core as core; assert core._load_blas()"


class TestLoading:
    @linux
    def test_import_loads_nothing(self) -> None:
        code = """
import raptors, os
tasks = len(os.listdir("/proc/self/task"))
a = raptors.ones(10) + 1
raptors.build_info()
info = raptors.runtime_info()["blas"]
maps = open("/proc/self/maps").read()
from raptors import _raptors_core as core
before = "openblas_raptors" in maps
core._load_blas()
after = "openblas_raptors" in open("/proc/self/maps").read()
print(info["loaded"], before, after)
"""
        after = bool(raptors.build_info()["openblas"])
        assert python_ok(code, **clean()).split() == ["False", "False", str(after)]

    @packaged
    def test_copy_of_the_package(self) -> None:
        info = ask(LOAD)
        assert info["loaded"]
        assert info["name"] == "OpenBLAS"
        assert info["version"] == raptors.build_info()["openblas"]
        assert numbers(info["version"]) >= LEAST
        assert not info["races"]
        assert "warning" not in info
        assert info["interface"] == "ILP64"
        assert info["threading_layer"] == "pthreads"
        assert 1 <= info["num_threads"] <= raptors.get_num_threads()
        assert Path(info["filepath"]).parent == Path(raptors.__file__).parent / "_openblas"
        assert (Path(info["filepath"]).parent / "LICENSE.txt").is_file()

    @packaged
    @linux
    def test_copy_is_private(self) -> None:
        """No name in common with other packages' copies, nothing needed beside the C library, no way out."""
        if shutil.which("readelf") is None:
            pytest.skip("needs binutils")
        copy = Path(raptors.__file__).parent / "_openblas" / "libopenblas_raptors.so"
        dynamic = subprocess.run(["readelf", "-dW", copy], capture_output=True, text=True, check=True).stdout
        assert re.findall(r"\(SONAME\).*\[(.+)\]", dynamic) == ["libopenblas_raptors.so"]
        assert "(SYMBOLIC)" in dynamic
        assert "PATH)" not in dynamic
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
        assert [
            n
            for n in needed
            if not re.match(r"(libm|libpthread|libc|libdl|ld-linux[-\w]*)\.so|libc\.musl", n)
        ] == []

    def test_none(self) -> None:
        info = ask(
            "from raptors import _raptors_core as core; assert not core._load_blas()", RAPTORS_BLAS="none"
        )
        assert not info["loaded"]
        assert info["requested"] == ""

    def test_numpys_library(self) -> None:
        """A system's library with other names of its functions, here of the same scheme."""
        info = ask(LOAD, RAPTORS_BLAS=str(numpys_library()))
        assert Path(info["filepath"]).resolve() == numpys_library()
        assert info["races"] == (numbers(info["version"]) < LEAST)
        assert ("5836" in info.get("warning", "")) == info["races"]

    @packaged
    def test_name_in_the_library_path(self, tmp_path: Path) -> None:
        copy = Path(raptors.__file__).parent / "_openblas" / "libopenblas_raptors.so"
        shutil.copy(copy, tmp_path / "libplanted.so")
        info = ask(LOAD, RAPTORS_BLAS="planted", LD_LIBRARY_PATH=str(tmp_path))
        assert Path(info["filepath"]).name == "libplanted.so"

    @pytest.mark.parametrize("value", ["/nowhere/libblas.so", "./none", "x" * 2000])
    def test_bad_environment(self, value: str) -> None:
        done = python("import raptors", **clean(RAPTORS_BLAS=value))
        assert done.returncode == 1
        assert "Error: RAPTORS_BLAS must be" in done.stderr
        assert value[:100] in done.stderr

    @pytest.mark.parametrize("value", ["nosuchlibrary", "/proc/self/exe", __file__, "m"])
    def test_unusable_library(self, value: str) -> None:
        """It warns once, at first use, and goes on without."""
        code = f"""
import warnings
from raptors import _raptors_core as core
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert not core._load_blas()
    assert not core._load_blas()
assert [w.category for w in caught] == [RuntimeWarning], caught
assert "without BLAS: " in str(caught[0].message)
{"" if value in ("m", "/proc/self/exe") else f"assert {value[:100]!r} in str(caught[0].message), caught[0]"}
"""
        info = ask(code, RAPTORS_BLAS=value)
        assert not info["loaded"]
        assert info["error"]

    def test_warning_as_error(self) -> None:
        code = "import raptors; from raptors import _raptors_core as core; core._load_blas()"
        done = python(code, "-W", "error", **clean(RAPTORS_BLAS="nosuchlibrary"))
        assert done.returncode == 1
        assert "RuntimeWarning: raptors goes on without BLAS" in done.stderr


@packaged
class TestCalls:
    @pytest.mark.parametrize("dtype", TYPES)
    @pytest.mark.parametrize("threads", [1, 2])
    def test_products(self, dtype: str, threads: int) -> None:
        random = numpy.random.default_rng(1)
        tolerance = 1e-4 if dtype in ("float32", "complex64") else 1e-12
        for m, n, k in [(1, 1, 1), (3, 5, 7), (130, 70, 90), (300, 200, 400)]:
            for orders in itertools.product("CF", repeat=3):
                a = numpy.asarray(random.random((m, k)), dtype, order=orders[0])
                b = numpy.asarray(random.random((k, n)), dtype, order=orders[1])
                c = numpy.empty((m, n), dtype, orders[2])
                assert core._blas_multiply(a, b, c, threads)
                numpy.testing.assert_allclose(c, a @ b, tolerance)

    def test_what_it_does_not_take(self) -> None:
        a, c = numpy.ones((4, 4)), numpy.empty((4, 4))
        for bad in (a[::-1], a[:, ::2], numpy.broadcast_to(a[0], (4, 4)), numpy.ones((8, 8))[::2, ::2]):
            with pytest.raises(ValueError, match="as BLAS takes it"):
                core._blas_multiply(bad, a, c, 1)
        assert core._blas_multiply(numpy.ones((8, 8))[::2, 2:6], a, c, 1)
        assert (c == 4).all()

    def test_statistics(self) -> None:
        before = raptors.runtime_info()["blas"]["calls"]
        a = numpy.ones((4, 4))
        core._blas_multiply(a, a.T, numpy.empty((4, 4)), 1)
        after = raptors.runtime_info()["blas"]
        assert after["calls"] == before + 1
        assert after["zero_copy_share"] == 1.0

    def test_limit_of_the_environment(self) -> None:
        info = ask(LOAD, OPENBLAS_NUM_THREADS="1", RAPTORS_NUM_THREADS="4")
        assert info["num_threads"] == 1
        assert ask(LOAD, RAPTORS_NUM_THREADS="4")["num_threads"] == 4

    @linux
    @pytest.mark.parametrize(("threads", "helped"), [(1, False), (2, True)])
    def test_number_of_threads_is_followed(self, threads: int, helped: bool) -> None:
        """The processor time of the library's own threads."""
        code = f"""
import os, time, raptors, numpy
TASKS = "/proc/self/task"
def tasks():
    return {{t: open(f"{{TASKS}}/{{t}}/schedstat").read().split()[0] for t in os.listdir(TASKS)}}
old = set(tasks())
{LOAD}
new = set(tasks()) - old
a = numpy.ones((700, 700))
out = numpy.empty_like(a)
core._blas_multiply(a, a, out, {threads})
time.sleep(1)  # threads that have just started wait for a while, and that is work, too
before = tasks()
for _ in range(8):
    core._blas_multiply(a, a, out, {threads})
after = tasks()
print(max((int(after[t]) - int(before[t]) for t in new), default=0))
"""
        if len(os.sched_getaffinity(0)) < 2:
            pytest.skip("one processor")
        assert (int(python_ok(code, **clean())) > 5_000_000) == helped

    def test_concurrent_products(self) -> None:
        """Eight threads, all layouts, types and numbers of threads, beside NumPy's own products."""
        random = numpy.random.default_rng(2)
        callers, wrong, done = 8, [], []
        cases = []
        for dtype, orders, n in itertools.product(TYPES, itertools.product("CF", repeat=2), (8, 60, 150)):
            a = numpy.asarray(random.random((n, n + 3)), dtype, order=orders[0])
            b = numpy.asarray(random.random((n + 3, n)), dtype, order=orders[1])
            cases.append((a, b, a.astype("complex128") @ b.astype("complex128")))
        barrier = threading.Barrier(callers)

        def work(number: int) -> None:
            barrier.wait()
            for i in range(PRODUCTS // callers):
                a, b, expected = cases[(i * 7 + number) % len(cases)]
                c = numpy.empty(expected.shape, a.dtype, "CF"[i % 2])
                core._blas_multiply(a, b, c, 1 + (i + number) % 2)
                if i % 8 == 0:
                    a @ b
                bound = 1e-5 if a.dtype.char in "fF" else 1e-12
                if not numpy.allclose(c, expected, bound, 0):
                    wrong.append((number, i))
            done.append(number)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == callers
        assert wrong == []


FORK = """
import os, sys, threading, raptors, numpy, faulthandler
from raptors import _raptors_core as core
faulthandler.dump_traceback_later({limit}, exit=True)
raptors.set_num_threads(2)
a = numpy.arange(90000.0).reshape(300, 300) / 1e5
expected = a @ a
def right(threads=2):
    out = numpy.empty_like(a)
    core._blas_multiply(a, a, out, threads)
    return numpy.allclose(out, expected, 1e-12)
def child(depth=0):
    pid = os.fork()
    if not pid:
        good = right() and right(1) and (depth == 0 or child(depth - 1))
        os._exit(0 if good else 3)
    return os.waitpid(pid, 0)[1] == 0
assert right()
"""


@packaged
@linux
class TestForks:
    @pytest.mark.timeout(120 + FORKS)
    def test_children_and_parents_multiply(self) -> None:
        code = f"assert all(child(i % 2) and right() for i in range({FORKS}))\nprint('done')"
        done = python(
            FORK.format(limit=60 + FORKS) + code,
            *("-W", "error"),
            timeout=90 + FORKS,
            **clean(OPENBLAS_NUM_THREADS="2"),
        )
        assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr

    @pytest.mark.timeout(120 + FORKS)
    def test_while_others_multiply(self) -> None:
        code = f"""
stop = False
wrong = []
def work(number):
    i = number
    while not stop:
        i += 1
        if not right(1 + i % 3):
            wrong.append(i)
others = [threading.Thread(target=work, args=(i,)) for i in range(6)]
for t in others: t.start()
try:
    forks = [child() for _ in range({max(FORKS // 4, 1)})]
finally:
    stop = True
    for t in others: t.join()
assert all(forks) and not wrong, (forks, wrong)
print("done")
"""
        done = python(
            FORK.format(limit=60 + FORKS) + code,
            *("-W", "ignore::DeprecationWarning"),  # these threads are Python's
            timeout=90 + FORKS,
            **clean(OPENBLAS_NUM_THREADS="2"),
        )
        assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr

    def test_end_of_the_process(self) -> None:
        """Daemon threads multiply when the interpreter and the library end."""
        code = """
def work():
    while True: right(1 + threading.get_ident() // 4096 % 2)
for _ in range(4): threading.Thread(target=work, daemon=True).start()
import time; time.sleep(0.05)
print("done")
"""
        for _ in range(max(FORKS // 20, 1)):
            done = python(FORK.format(limit=50) + code, timeout=60, **clean())
            assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
