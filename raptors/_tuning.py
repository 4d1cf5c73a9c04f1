"""What calls cost on this processor: measured once for a user, kept in a file, used from then on.

A program's first long call imports this; what only a kept file needs is imported where that is met.
"""

from __future__ import annotations

import atexit
import os
import platform
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy

from raptors import _raptors_core as _core
from raptors._backend import backend_policy
from raptors._threads import threads
from raptors._version import __version__


def processor() -> str:
    """The model of this processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(("model name", "CPU part")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def processors() -> set[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _blas() -> str:
    """The BLAS library, which need not be loaded."""
    library = os.path.basename(_core._blas_info(1)["requested"])
    own = "raptors" in library
    return f"openblas {_core._build()['openblas']}" if own else library[-60:] or "no blas"


def file() -> str:
    """Where the figures of this processor, BLAS and version are kept, whether or not they are."""
    own = os.environ.get("RAPTORS_TUNING_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    key = f"{processor()} {len(processors())} {_core.get_simd()} {_blas()} {__version__}"
    name = re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")
    return os.path.join(own or os.path.join(cache, "raptors"), f"{name}.json")


DTYPES = ("float32", "float64")
CREWS = ("one", "several")  # threads
_SIZES = (512, 1024, 2048)  # of square matrices


def _use(figures: dict[str, Any]) -> None:
    """Check all, then use all. What a program's products taught may be there alone."""
    blas_from = {
        (dtype, team): float(least or 0)  # 0: never
        for dtype, row in figures["blas_from"].items()
        for team, least in row.items()
    }
    if not all(key[0] in DTYPES and key[1] in CREWS for key in blas_from):
        raise ValueError("not a product that BLAS may do")
    if not all(0 <= least < float("inf") for least in blas_from.values()):
        raise ValueError("BLAS takes over from a number of multiplications on, or never")
    stream_from = figures.get("stream_from")
    if stream_from is not None and not (isinstance(stream_from, int) and 0 < stream_from < 1 << 63):
        raise ValueError("results are streamed from a number of bytes on")
    if "ops" in figures:
        ops, folds, limits = figures["ops"], figures["folds"], figures["limits_ns"]
        for row in (*ops.values(), *folds.values()):
            if not all(isinstance(ns, float) and 0 < ns < 1e6 for ns in row.values()):
                raise ValueError("costs must be positive numbers of nanoseconds")
        hot, parked = (float(limits[key]) for key in ("hot", "parked"))
        if not 0 < hot <= parked < 1e9:
            raise ValueError("limits must be positive numbers of nanoseconds")
        _core._set_families(figures.get("families", {}))  # or an error, and none
        _core._set_costs(ops, folds)
        _core._set_pool_limits(hot, parked)
    if stream_from is not None:
        _core._set_stream_from(stream_from)
    for (dtype, team), least in blas_from.items():
        _core._set_blas_from(dtype == "float64", team == "several", least)


def load() -> dict[str, Any]:
    """Use what was kept, and return it; {}: there is nothing that can be used.

    What the products of this process teach is kept at its end.
    """
    atexit.register(_keep_learnt, os.getpid())
    try:
        with open(file(), encoding="utf-8") as kept:
            text = kept.read()
        import json

        figures = json.loads(text)
        _use(figures)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dict(figures)


def _keep_learnt(process: int) -> None:
    learnt = _core._learnt_blas_from()
    if not learnt or os.getpid() != process:  # a forked child has the counts of its parent
        return
    figures = {"processor": processor(), "version": __version__, "blas_from": {}, **load()}
    for wide, several, least in learnt:
        row = figures["blas_from"].setdefault(DTYPES[wide], {})
        row.setdefault(CREWS[several], least if least < float("inf") else None)
    _keep(figures)


def _flip(
    dtype: str, team: int, sizes: tuple[int, ...], runs: int, tell: Callable[[str], None]
) -> float | None:
    """From how many multiplications on raptors was not faster than BLAS any more; None: it always was.

    The best of so many runs by each, or of as many more as a twentieth of a second has room for.
    """
    flip = None
    cold = True  # the first products start threads and fill buffers
    for n in sizes:
        a = _core.ndarray((n, n), dtype)
        a[...] = numpy.random.default_rng(n).random((n, n))
        best = {"raptors": float("inf"), "blas": float("inf")}
        if team > 1:
            time.sleep(0.12)  # OpenBLAS's threads wait for more work on their cores, for a tenth of a second
        for policy in best:
            with backend_policy(policy), threads(team):
                if cold:
                    a @ a
                run, first = 0, time.perf_counter()
                while run < runs or time.perf_counter() < first + 0.05:
                    begin = time.perf_counter()
                    a @ a
                    best[policy] = min(best[policy], time.perf_counter() - begin)
                    run += 1
        cold = False
        ratio = best["raptors"] / best["blas"]
        tell(f"{dtype} {n} x {n}, {team} thread{'s' * (team > 1)}: {ratio:.2f} of BLAS's time")
        if best["raptors"] < best["blas"]:
            flip = None
        elif flip is None:
            flip = float(n) ** 3
    return flip


def _products() -> list[tuple[str, str, int]]:
    crews = [("one", 1), ("several", _core.get_num_threads())]
    measured = crews[: 1 + (crews[1][1] > 1)] if _core._load_blas() else []
    return [(dtype, name, team) for dtype in DTYPES for name, team in measured]


def _measure_products(tell: Callable[[str], None]) -> dict[str, dict[str, float | None]]:
    """Square matrices of several sizes, by raptors and by BLAS."""
    found: dict[str, dict[str, float | None]] = {dtype: dict.fromkeys(CREWS) for dtype in DTYPES}
    for dtype, name, team in _products():
        found[dtype][name] = _flip(dtype, team, _SIZES, 3, tell)
    return found


def _worked() -> float | None:
    """Seconds that the processors of this process have worked, for anybody; None: the system does not say."""
    try:
        with open("/proc/stat", encoding="ascii") as lines:
            rows = [line.split() for line in lines if line.startswith("cpu")]
    except OSError:
        return None
    names = {f"cpu{number}" for number in processors()}
    # user, nice, system, irq, softirq, steal: what is neither idle nor a guest's
    ticks = [sum(int(row[i]) for i in (1, 2, 3, 6, 7, 8)) for row in rows if row[0] in names]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


_Found = TypeVar("_Found")
_TRIES = 3


def _undisturbed(measure: Callable[[], _Found]) -> tuple[_Found, bool]:
    """What `measure` finds, of several tries the first in which nobody else worked on these processors.

    Returns that, and whether there was such a try; if not, the find of the least disturbed one.
    """
    least, kept = float("inf"), None
    for _ in range(_TRIES):
        before, own, start = _worked(), time.process_time(), time.perf_counter()
        found = measure()
        after, seconds = _worked(), time.perf_counter() - start
        if before is None or after is None:
            return found, True
        others = (after - before - (time.process_time() - own)) / seconds
        if others < 0.1 + 0.03 / seconds:  # the system counts hundredths of a second
            return found, True
        if others < least:
            least, kept = others, (found,)
        time.sleep(0.3)
    assert kept is not None
    return kept[0], False


def calibrate(tell: Callable[[str, float], None] = lambda line, share: None) -> dict[str, Any]:
    """See `raptors.calibrate`. `tell` gets a line for every step done, and the share of all steps."""
    steps = 4 + len(_products()) * len(_SIZES)
    done, disturbed = 0, False

    def step(line: str) -> None:
        nonlocal done
        done += 1
        tell(line, min(done / steps, 1))

    def find(measure: Callable[[], _Found]) -> _Found:
        nonlocal disturbed, done
        before = done

        def again() -> _Found:
            nonlocal done
            done = before
            return measure()

        found, alone = _undisturbed(again)
        disturbed |= not alone
        return found

    ops, folds = find(_core._measure_costs)
    step(f"add of float64: {ops.get('add', {}).get('float64', 0):.2f} ns an element")
    hot, parked = find(_core._measure_hand_off)
    step(f"threads begin after {hot / 1e3:.1f} us, sleeping ones after {parked / 1e3:.1f} us")
    families = find(_core._measure_families)
    step(f"other kernels are faster in long calls of {', '.join(families) or 'no operation'}")
    stream_from = find(_core._measure_stream_from)
    step(f"results are streamed from {stream_from / 2**20:.1f} MiB of operands on")
    # A thread that waits pays once a call is some ten hand-offs long. One that sleeps comes late: half of
    # what its caller did meanwhile would have been its own, and the call pays for its cold cache, too.
    limits = {
        "hot": min(max(20 * hot, 2_000.0), 50_000.0) if hot else 5_000.0,
        "parked": min(max(3 * parked, 100_000.0), 2e6) if parked else 100_000.0,
    }
    figures: dict[str, Any] = {
        "processor": processor(),
        "version": __version__,
        "ops": ops,
        "folds": folds,
        "hand_off_ns": {"hot": hot, "parked": parked},
        "limits_ns": limits,
        "families": families,
        "stream_from": stream_from,
        "blas_from": find(lambda: _measure_products(step)),
        "disturbed": disturbed,
    }
    _use(figures)
    return {**figures, "file": _keep(figures)}


def _keep(figures: dict[str, Any]) -> str | None:
    import json
    import tempfile

    path = file()
    folder = os.path.dirname(path)
    temporary = None
    try:
        os.makedirs(folder, exist_ok=True)
        # Another process reads the old file or the new one, never half of one.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, suffix=".part", delete=False
        ) as part:
            temporary = part.name
            json.dump(figures, part, indent=1)
        os.replace(temporary, path)
    except OSError:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        return None
    return path
