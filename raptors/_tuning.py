"""What calls cost on this processor: measured once for a user, kept in a file, used from then on."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def file() -> Path:
    """Where the figures of this processor and version are kept, whether or not they are."""
    own = os.environ.get("RAPTORS_TUNING_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{processor()} {_core.get_simd()} {__version__}").strip("-")
    return Path(own or os.path.join(cache, "raptors")) / f"{name}.json"


#: Sizes of square matrices at which raptors' products are compared with those of the BLAS library.
_SIZES = (512, 1024, 2048)


def _use(figures: dict[str, Any]) -> None:
    ops, folds, limits = figures["ops"], figures["folds"], figures["limits_ns"]
    blas_from = {
        (name, crew): float(figures["blas_from"][name][crew] or 0)  # 0: never
        for name in ("float32", "float64")
        for crew in ("one", "several")
    }
    if not all(0 <= least < float("inf") for least in blas_from.values()):
        raise ValueError("BLAS takes over from a number of multiplications on, or never")
    for row in (*ops.values(), *folds.values()):
        if not all(isinstance(ns, float) and 0 < ns < 1e6 for ns in row.values()):
            raise ValueError("costs must be positive numbers of nanoseconds")
    hot, parked = (float(limits[key]) for key in ("hot", "parked"))
    if not 0 < hot <= parked < 1e9:
        raise ValueError("limits must be positive numbers of nanoseconds")
    _core._set_costs(ops, folds)
    _core._set_pool_limits(hot, parked)
    for (name, crew), least in blas_from.items():
        _core._set_blas_from(name == "float64", crew == "several", least)


def load() -> bool:
    """Use what an earlier `calibrate` kept; False: there is nothing that can be used."""
    try:
        _use(json.loads(file().read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _flip(dtype: str, crew: int, tell: Callable[[str], None]) -> float | None:
    """From how many multiplications on BLAS was faster by 2 % and more; None: never."""
    flip = None
    for n in _SIZES:
        a = _core.ndarray((n, n), dtype)
        a[...] = numpy.random.default_rng(n).random((n, n))
        best = {"raptors": float("inf"), "blas": float("inf")}
        for _ in range(3):
            for policy in best:
                with backend_policy(policy), threads(crew):
                    begin = time.perf_counter()
                    a @ a
                    best[policy] = min(best[policy], time.perf_counter() - begin)
        ratio = best["raptors"] / best["blas"]
        tell(f"{dtype} {n} x {n}, {crew} thread{'s' * (crew > 1)}: {ratio:.2f} of BLAS's time")
        if best["blas"] > 0.98 * best["raptors"]:
            flip = None
        elif flip is None:
            flip = float(n) ** 3
    return flip


def _measure_products(tell: Callable[[str], None]) -> dict[str, dict[str, float | None]]:
    crew = _core.get_num_threads()
    if not _core._load_blas():
        return {dtype: {"one": None, "several": None} for dtype in ("float32", "float64")}
    return {
        dtype: {"one": _flip(dtype, 1, tell), "several": _flip(dtype, crew, tell) if crew > 1 else None}
        for dtype in ("float32", "float64")
    }


def calibrate(tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """See `raptors.calibrate`. `tell` gets a line for every step."""
    tell("what an element costs")
    ops, folds = _core._measure_costs()
    tell("how fast threads are")
    hot, parked = _core._measure_hand_off()
    # A thread that waits pays once a call is some ten hand-offs long. One that sleeps comes late, to a cold
    # cache and perhaps a slow clock: measured, calls of less than ten times its delay may only have lost.
    limits = {
        "hot": min(max(20 * hot, 2_000.0), 50_000.0) if hot else 5_000.0,
        "parked": min(max(10 * parked, 100_000.0), 2e6) if parked else 400_000.0,
    }
    figures: dict[str, Any] = {
        "processor": processor(),
        "version": __version__,
        "ops": ops,
        "folds": folds,
        "hand_off_ns": {"hot": hot, "parked": parked},
        "limits_ns": limits,
        "blas_from": _measure_products(tell),
    }
    _use(figures)
    return {**figures, "file": _keep(figures)}


def _keep(figures: dict[str, Any]) -> str | None:
    path = file()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process reads the old file or the new one, never half of one.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
        ) as part:
            temporary = part.name
            json.dump(figures, part, indent=1)
        os.replace(temporary, path)
    except OSError:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        return None
    return str(path)
