"""Memory: what is kept and reused, its limit, failing allocations, debugging."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
from helpers import DISABLED

import raptors
from raptors import _raptors_core as core
from raptors import memory

MEGABYTE = 1 << 20
needs_reuse = pytest.mark.skipif(
    DISABLED or not memory.stats().limit or not core._memory_stats()["object_cache"], reason="nothing is kept"
)


@pytest.fixture(autouse=True)
def _same_limit() -> Iterator[None]:
    gc.collect()  # arrays in cycles that other tests left would leave the count of live bytes at any moment
    before = memory.stats().limit
    yield
    memory.limit(before)


def run(code: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done


def others() -> int:
    """After a trim: bytes that other threads, of libraries, keep for themselves."""
    memory.trim()
    return memory.stats().cached_bytes


@needs_reuse
def test_stats_count_what_is_live_and_what_is_kept() -> None:
    kept = others()
    before = memory.stats()
    a = raptors.empty(MEGABYTE // 8)
    during = memory.stats()
    assert MEGABYTE <= during.live_bytes - before.live_bytes <= MEGABYTE * 5 // 4
    b = raptors.empty(8 * MEGABYTE, "u1")
    assert memory.stats().arenas - before.arenas >= 8 * MEGABYTE
    del a, b
    after = memory.stats()
    assert after.live_bytes == before.live_bytes
    assert after.cached_bytes >= 9 * MEGABYTE
    a = raptors.empty(MEGABYTE // 8)
    assert memory.stats().hits > after.hits
    assert memory.stats().misses == after.misses
    del a
    assert memory.trim() >= 9 * MEGABYTE
    assert memory.stats().cached_bytes == kept
    assert memory.stats().arenas == before.arenas


@needs_reuse
def test_small_arrays_are_kept_too() -> None:
    kept = others()
    keep = [raptors.ones(n) for n in (3, 8, 9, 60, 100, 128)]
    addresses = {a.ctypes.data for a in keep}
    del keep
    assert memory.stats().cached_bytes >= 64 + 64 + 128 + 512 + 832 + 1024
    again = [raptors.ones(n) for n in (3, 8, 9, 60, 100, 128)]
    assert {a.ctypes.data for a in again} == addresses
    del again
    assert memory.trim() > 0
    assert memory.stats().cached_bytes == kept


@needs_reuse
def test_the_limit_holds() -> None:
    kept = others()
    assert memory.limit(4 * MEGABYTE) == 4 * MEGABYTE
    generator = numpy.random.default_rng(1)
    held: list[Any] = []
    for _ in range(2000):
        held.append(raptors.empty(int(2 ** generator.uniform(0, 22)), "u1"))
        if len(held) > 5:
            del held[int(generator.integers(len(held)))]
        assert memory.stats().cached_bytes <= 4 * MEGABYTE
    del held
    assert memory.stats().cached_bytes <= 4 * MEGABYTE
    assert memory.limit(0) == 0
    assert memory.stats().cached_bytes == kept
    raptors.ones(1000)
    raptors.ones(3)
    assert memory.stats().cached_bytes == kept


def test_limits_that_are_none() -> None:
    for wrong in (-1, 2**63, 2**70):
        with pytest.raises(ValueError, match="between 0 and"):
            memory.limit(wrong)
    for wrong in ("1", 1.5, [1]):
        with pytest.raises(TypeError):
            memory.limit(wrong)  # type: ignore[arg-type]
    assert memory.limit() == memory.stats().limit
    assert memory.limit(numpy.int64(MEGABYTE)) == MEGABYTE


@needs_reuse
def test_threads_give_back_what_they_kept() -> None:
    kept = others()
    live = memory.stats().live_bytes
    results: list[Any] = []

    def work() -> None:
        for n in range(1, 3000, 7):
            results.append(raptors.ones(n))
            if len(results) > 50:
                results.pop(0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((a == 1).all() for a in results)
    results.clear()
    deadline = time.monotonic() + 10  # a thread ends a little after join()
    while others() != kept and time.monotonic() < deadline:
        time.sleep(0.01)
    assert others() == kept
    assert memory.stats().live_bytes == live


@pytest.mark.parametrize("n", [3, 100, 1000, 5000, 40_000, 300_000, 600_000])
def test_zeros_after_dirty_reuse(n: int) -> None:
    for _ in range(20):
        dirty = [numpy.full(n, 0xFF, "u1"), raptors.full(n, 0xFF, "u1")]
        del dirty
        for xp in (raptors, numpy):
            assert not xp.zeros(n, "u1").view(numpy.ndarray).any()
            assert not xp.zeros_like(raptors.empty(n, "u1")).view(numpy.ndarray).any()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_long_zeros_cost_no_memory() -> None:
    """Pages that nobody touches are not there, also after a dirty block of that length was freed."""

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    del (lambda: [raptors.ones(8 * MEGABYTE)])()[:]
    memory.trim()
    before = resident()
    a = raptors.zeros(64 * MEGABYTE)
    assert a[0] == a[-1] == 0
    assert resident() - before < 64 * MEGABYTE


@pytest.mark.parametrize("n", [0, 1, 100, 1000, 100_000, 3_000_000])
def test_tracemalloc_sees_what_it_sees_with_numpy(n: int) -> None:
    def traced(xp: Any) -> int:
        xp.concatenate([xp.ones(n, "u1")] * 2)  # whatever the first calls keep
        before = tracemalloc.get_traced_memory()[0]
        a = xp.ones(n, "u1")
        b = xp.concatenate([a, a])
        during = tracemalloc.get_traced_memory()[0] - before
        del a, b
        assert abs(tracemalloc.get_traced_memory()[0] - before) < 1024
        return during

    tracemalloc.start()
    try:
        assert abs(traced(raptors) - traced(numpy)) <= 1024
    finally:
        tracemalloc.stop()


def _broadcast_sum() -> Any:
    return raptors.arange(40_000.0).reshape(200, 200).T.sum(axis=0)


#: Each makes arrays, scratch memory or both.
CALLS: dict[str, Callable[[], Any]] = {
    "empty": lambda: raptors.empty(5000).fill(1),
    "zeros": lambda: raptors.zeros(50_000),
    "add": lambda: raptors.ones(5000) + raptors.ones(5000),
    "mixed dtypes": lambda: raptors.ones(5000, "f4") + raptors.arange(5000),
    "strided": lambda: raptors.ones((70, 70)).T * raptors.ones((70, 70)),
    "compare": lambda: raptors.ones(5000) > raptors.zeros(5000),
    "where": lambda: raptors.where(raptors.ones(3000) > 0, 1.0, raptors.arange(3000)),
    "sum": lambda: raptors.ones((300, 40)).sum(axis=0),
    "sum of ints": lambda: raptors.ones((300, 40), "i4").sum(axis=1),
    "transposed sum": _broadcast_sum,
    "mean": lambda: raptors.ones((300, 40), "f4").mean(axis=0),
    "var": lambda: raptors.ones((300, 40)).var(axis=1),
    "argmax": lambda: raptors.arange(6000).reshape(60, 100).argmax(axis=0),
    "astype": lambda: raptors.arange(5000).astype("f4"),
    "copy": lambda: raptors.arange(5000).copy(),
    "concatenate": lambda: raptors.concatenate([raptors.ones(3000)] * 3),
    "stack": lambda: raptors.stack([raptors.ones((30, 50))] * 3, axis=1),
    "list": lambda: raptors.array([[1.0, 2.0]] * 700),
    "fromiter": lambda: raptors.fromiter(range(3000), float),
    "linspace": lambda: raptors.linspace(0, 1, 3000),
    "in place": lambda: raptors.ones(3000).__iadd__(1),
    "overlap": lambda: (lambda a: raptors.add(a[1:], a[:-1], out=a[1:]))(raptors.ones(3000)),
}


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_allocations_that_fail(name: str, sticky: bool) -> None:
    """Every allocation of a call fails in turn: MemoryError or the right result, and nothing is lost."""
    call = CALLS[name]
    expected = call()
    failures = 0
    for n in range(1, 60):
        memory.trim()
        live = memory.stats().live_bytes
        core._fail_allocation(n, sticky)
        try:
            result = call()
        except MemoryError:
            result = None
            failures += 1
        finally:
            core._fail_allocation(0, False)
        if result is not None:
            assert numpy.array_equal(result, expected)
        del result
        assert memory.stats().live_bytes == live, n
        if not failures and n > 20:
            break
    assert failures or not sticky or DISABLED


@needs_reuse
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space")
def test_what_is_kept_goes_before_a_memory_error() -> None:
    code = """
import resource, raptors, os
raptors.memory.limit(1 << 40)
del (lambda: [raptors.ones(40 << 17) for _ in range(8)])()[:]
assert raptors.memory.stats().cached_bytes > 300 << 20
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
a = raptors.empty(300 << 20, "u1")
assert raptors.memory.stats().cached_bytes < 100 << 20
try:
    raptors.empty(2 << 30, "u1")
except MemoryError as error:
    assert "Unable to allocate 2.00 GiB" in str(error), error
else:
    raise AssertionError
"""
    run(code, RAPTORS_CACHE_MAX_BYTES="")


@pytest.mark.skipif(DISABLED, reason="NumPy's memory")
def test_debugging_finds_what_was_written_beyond_an_array() -> None:
    code = """
import ctypes, faulthandler, raptors
for n in (3, 1000, 100_000):
    a = raptors.arange(float(n))
    assert (a + 1).sum() == n * (n + 1) / 2
    assert raptors.empty(n, "u1")[0] == 0xA5
print("so far so good", flush=True)
ctypes.memset(a.ctypes.data + a.nbytes, 0, 1)
del a
"""
    done = run(code, expect=-6, RAPTORS_ALLOC_DEBUG="1")
    assert done.stdout == "so far so good\n"
    assert "written beyond its end" in done.stderr
    run("import raptors; assert raptors.memory.stats().hits == 0; raptors.ones(3)", RAPTORS_ALLOC_DEBUG="1")


def test_environment() -> None:
    code = "import raptors; print(raptors.memory.stats().limit)"
    assert run(code, RAPTORS_CACHE_MAX_BYTES="12345678").stdout == "12345678\n"
    assert run(code, RAPTORS_CACHE_MAX_BYTES="0").stdout == "0\n"
    for name in ("RAPTORS_CACHE_MAX_BYTES", "RAPTORS_FAIL_ALLOC"):
        for value in ("-1", "many", "1.5"):
            done = run("import raptors", expect=1, **{name: value})
            assert f"{name} must be a number" in done.stderr
            assert repr(value) in done.stderr
    failing = "import raptors, numpy\ntry: raptors.empty(10**5)\nexcept MemoryError: print('refused')"
    if not DISABLED:
        assert run(failing, RAPTORS_FAIL_ALLOC="1", RAPTORS_FAIL_STICKY="1").stdout == "refused\n"


SIZES = {
    **{"64k": 64_000, "512MB": 512_000_000, "2 gb": 2 * 10**9, "3T": 3 * 10**12, "7B": 7},
    **{"64Ki": 64 << 10, "512MiB": 512 << 20, "2 gib": 2 << 30, "3TiB": 3 << 40},
}


@pytest.mark.parametrize(("value", "bytes"), SIZES.items())
def test_sizes_with_units(value: str, bytes: int) -> None:
    code = "import raptors; print(raptors.memory.stats().limit)"
    assert int(run(code, RAPTORS_CACHE_MAX_BYTES=value).stdout) == bytes


@pytest.mark.parametrize(
    "value", ["GB", "1X", "1GBB", "1 G B", "1kB,", "0x10", "+1", " 1", "1e9", "9999999999T", str(2**63)]
)
def test_sizes_that_are_none(value: str) -> None:
    done = run("import raptors", expect=1, RAPTORS_CACHE_MAX_BYTES=value)
    assert "RAPTORS_CACHE_MAX_BYTES must be a number of bytes" in done.stderr
    assert repr(value) in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_memory_after_fork() -> None:
    keep = [raptors.ones(n) for n in (3, 5000, 100_000)]
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                ok = all((a == 1).all() and ((a + a) == 2).all() for a in keep)
                keep.clear()
                memory.trim()
                os._exit(0 if ok and raptors.zeros(100_000).sum() == 0 else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(DISABLED, reason="NumPy's own memory")
def test_reductions_take_scratch_from_the_arena() -> None:
    """Casts, masks and parts of long folds: nothing comes from the heap."""
    a = raptors.asarray(numpy.arange(600_000.0).reshape(600, 1000))
    mask = a % 3 == 0
    calls = [
        lambda: a.sum(),
        lambda: a.sum(axis=0),
        lambda: a.astype("int32").mean(axis=1),
        lambda: a.astype("float32").sum(dtype="float64"),
        lambda: a.sum(where=mask),
        lambda: a[:, ::3].max(axis=0),
        lambda: a.var(),
        lambda: a.argmax(),
    ]
    for call in calls:
        call()
    before = memory.stats()
    for threads in (1, 4):
        with raptors.threads(threads):
            for _ in range(5):
                for call in calls:
                    call()
    after = memory.stats()
    assert after.scratch_taken > before.scratch_taken
    assert after.scratch_from_heap == before.scratch_from_heap
