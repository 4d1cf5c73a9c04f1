"""raptors' own surface: which kernels run, what ran, how it was built."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy

from raptors import _environment
from raptors import _raptors_core as _core
from raptors._context import Choice
from raptors._version import __version__

available_isas = _core.available_isas
explain_last_dispatch = _core.explain_last_dispatch
get_simd = _core.get_simd
ops = _core.ops


class simd(Choice):
    """Choose the instruction set of the kernels for the current context.

    As a function, ``raptors.simd("avx2")``, it holds until changed; as a context manager,
    ``with raptors.simd("scalar"): ...``, until the end of the block. The choice is a context variable:
    other threads and asyncio tasks keep theirs. The environment variable ``RAPTORS_SIMD`` sets the value that
    the process starts with.

    Parameters
    ----------
    name : str
        "auto" or one of `raptors.available_isas()`.

    Raises
    ------
    ValueError
        The name is no instruction set.
    RuntimeError
        The instruction set is not part of this build, or this CPU does not support it.
    """

    __slots__ = ()
    _leave = staticmethod(_core._reset_simd)

    def __init__(self, name: str) -> None:
        self._token = _core._set_simd(name)


@dataclass(frozen=True)
class Report:
    """What ran since the start or the last `reset_report()`.

    Attributes
    ----------
    rows : list of dict
        One per function, dtype and reason: function, dtype (of the first array among the arguments, or
        else of the result; "other": of another package, "none": neither is an array), native (calls that
        ran our kernels), blas (those of them that the BLAS library did), numpy (calls that NumPy served),
        reason (why NumPy), contiguous and strided (native calls by layout).
    """

    rows: list[dict[str, Any]]

    @property
    def native_calls(self) -> int:
        """Calls that ran natively."""
        return sum(row["native"] for row in self.rows)

    @property
    def total_calls(self) -> int:
        """All calls of raptors' functions, methods and operators."""
        return sum(row["native"] + row["numpy"] for row in self.rows)

    @property
    def share(self) -> float:
        """Native calls over all calls; NaN before the first one."""
        total = self.total_calls
        return self.native_calls / total if total else float("nan")

    def __str__(self) -> str:
        lines = [f"{'function':<20} {'dtype':<11} {'native':>9} {'strided':>9} {'numpy':>9}  reason"]
        ranked = sorted(self.rows, key=lambda row: -(row["native"] + row["numpy"]))
        lines += [
            f"{r['function']:<20} {r['dtype']:<11} {r['native']:>9} {r['strided']:>9} {r['numpy']:>9}  "
            f"{r['reason']}"
            for r in ranked
        ]
        lines.append(f"native: {self.native_calls} of {self.total_calls} calls")
        return "\n".join(lines)


def report() -> Report:
    """Which calls ran natively and which NumPy served, and why: a `Report`."""
    return Report(_core._report_rows())


def reset_report() -> None:
    """Set every counter of `report()` to zero."""
    _core._reset_report()


def build_info() -> dict[str, Any]:
    """How this build was made: version, compiler, flags, openblas, build_type, system, isas.

    "openblas" is the version of the copy in the package, "" without one; `runtime_info` tells which one runs.
    """
    return {"version": __version__, **_core._build()}


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print how NumPy was built, as `numpy.show_config` does, and then how raptors was.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, optional
        "dicts" returns NumPy's dict with the entry "raptors", which is `build_info()`, and prints nothing.

    Raises
    ------
    AttributeError
        Another mode, as NumPy says.
    """
    found: dict[str, Any] | None = numpy.show_config(mode=mode)  # type: ignore[call-overload]
    if found is not None:
        return {**found, "raptors": build_info()}
    from raptors import _info

    print("\n".join(["", "raptors", *_info.table(build_info(), indent=2)]))
    return None


def _blas() -> dict[str, Any]:
    """The BLAS library in threadpoolctl's words. It is loaded by the first product that wants it."""
    info = _core._blas_info(_core.get_num_threads())
    calls, copied = info["calls"], info.pop("copied")
    if info.get("races"):
        info["warning"] = (
            "this version makes mistakes where several threads multiply at once (OpenMathLib/OpenBLAS 5836); "
            "raptors' own calls take turns, those of other libraries that share it do not"
        )
    return {**info, "zero_copy_share": 1 - copied / calls if calls else None}


def runtime_info() -> dict[str, Any]:
    """What runs now: versions, platform, ISA, BLAS, threads, memory, RAPTORS_* variables.

    "blas": "loaded", "requested" (a file or a name; "": none) and "error" (why it could not be loaded); once
    it is loaded "name", "version", "filepath", "interface", "threading_layer", "num_threads" and others, as
    threadpoolctl has them; "calls" of it, and "zero_copy_share", for how many of them no operand was copied
    (None before the first call).
    """
    return {
        "raptors": __version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "isa": get_simd(),
        "available_isas": list(available_isas()),
        "blas": _blas(),
        "disabled": _core._disabled(),
        "threads": _core.get_num_threads(),
        "pool": _core._pool_stats(),
        "memory": _core._memory_stats(),
        "environment": _environment.chosen(),
    }


def calibrate() -> dict[str, Any]:
    """Measure what calls cost on this machine, which kernels are fastest, how fast threads are, and BLAS.

    It takes some seconds, and the figures are used from then on. They are kept in the user's cache directory
    (``RAPTORS_TUNING_DIR``, or ``raptors`` in ``XDG_CACHE_HOME`` or ``~/.cache``) and read by later
    processes, once they make a call that is long enough to share among threads; where that directory cannot
    be written, they hold for this process. Without them built-in figures are used. Nothing else should run
    meanwhile: what another program disturbs is measured again, up to three times.

    Returns
    -------
    dict
        "processor"; "ops" and "folds", nanoseconds for an element by name and dtype; "hand_off_ns", how long
        a thread that waits ("hot") and one that sleeps ("parked") take to begin; "limits_ns", from which
        length of a call on they are asked to help; "families", by operation and dtype, where other kernels
        are faster in long calls: those of another instruction set or "numpy"'s, for operands within the
        caches and for longer ones, "" where they are not; "stream_from", from how many bytes of operands on
        the results of elementwise calls are written past the caches; "blas_from", by dtype, for "one" thread
        and "several": from how many multiplications on the policy "auto" leaves a product of matrices to
        BLAS, or None for never; "disturbed", whether something else ran all the time; "file", where it is
        kept, or None.
    """
    from raptors import _tuning  # no other call needs it

    return _tuning.calibrate()


def _load_figures() -> None:
    from raptors import _tuning

    _tuning.load()


_core._bind_figures(_load_figures)  # asked by the first call that is long enough


def show_runtime() -> None:
    """Print what `numpy.show_runtime` prints, and then what `raptors info` does."""
    numpy.show_runtime()
    from raptors import _info

    print("\n".join(["", *_info.summary(runtime_info())]))
