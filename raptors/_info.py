"""What `raptors info` and `show_runtime()` tell people."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy

from raptors import _environment, _tuning
from raptors import _raptors_core as _core
from raptors._backend import get_backend_policy
from raptors._version import __version__

#: Variables of others that raptors follows.
_OTHERS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "XDG_CACHE_HOME")

_POLICIES = {
    "auto": "raptors or BLAS, whichever is faster (policy auto)",
    "raptors": "raptors (policy raptors)",
    "blas": "BLAS (policy blas)",
}


def _size(bytes: int) -> str:
    for unit, least in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if bytes >= least:
            return f"{bytes / least:.1f} {unit}"
    return f"{bytes} bytes"


def _is_own(file: str) -> bool:
    return file.startswith(os.path.dirname(__file__) + os.sep)


def _blas(found: Mapping[str, Any]) -> str:
    if found["loaded"]:
        place = "raptors' own copy" if _is_own(found["filepath"]) else found["filepath"]
        return f"{found['name']} {found['version']}, {place}, threads: {found['num_threads']}"
    if not found["requested"]:
        return "none"
    if _is_own(found["requested"]):
        return f"OpenBLAS {_core._build()['openblas']}, raptors' own copy, not needed so far"
    return f"{found['requested']}, not needed so far"


def _figures() -> str:
    folder, name = os.path.split(_tuning.file())
    known = os.path.exists(os.path.join(folder, name))
    return f"measured, kept in {folder}" if known else f"built-in; measured ones would be kept in {folder}"


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    if found["disabled"]:
        yield "RAPTORS_DISABLE is set: NumPy serves every call"
    best = found["available_isas"][-1]
    if found["isa"] != best:
        yield f"the instruction set is {found['isa']}, though this processor has {best}"
    unknown = _environment.unknown()
    if unknown:
        yield f"variables that raptors does not know: {', '.join(unknown)}"
    blas = found["blas"]
    if blas["requested"] and blas["error"]:
        yield f"no BLAS: {blas['error']}"
    elif not blas["requested"] and not _core._build()["openblas"]:
        yield "no BLAS: raptors was built without scipy-openblas64, and RAPTORS_BLAS names none"
    if "warning" in blas:
        yield f"{blas['name']} {blas['version']}: {blas['warning']}"
    if not _writable(os.path.dirname(_tuning.file())):
        yield f"figures cannot be kept in {os.path.dirname(_tuning.file())}"


def _writable(folder: str) -> bool:
    """Whether files can be made there, once the folder itself is."""
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder or ".") and os.access(folder or ".", os.W_OK | os.X_OK)


def summary(found: Mapping[str, Any]) -> list[str]:
    """One screen of what `runtime_info()` found: a title and its value on each line."""
    memory = found["memory"]
    rows = [
        ("raptors", __version__),
        ("NumPy", numpy.__version__),
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("system", found["platform"]),
        ("processor", _tuning.processor()),
        ("instruction set", f"{found['isa']} (available: {', '.join(found['available_isas'])})"),
        ("threads for a call", str(found["threads"])),
        ("BLAS", _blas(found["blas"])),
        ("matrix products by", _POLICIES[get_backend_policy()]),
        ("memory of arrays", f"{_size(memory['live_bytes'])} in use"),
        ("kept for new arrays", f"{_size(memory['cached_bytes'])} of at most {_size(memory['cache_limit'])}"),
        ("figures for choices", _figures()),
    ]
    variables = found["environment"] | {name: os.environ[name] for name in _OTHERS if name in os.environ}
    rows += _rows("environment", [f"{name}={value}" for name, value in variables.items()])
    rows += _rows("problems", list(_problems(found)))
    return [f"{title:20} {value}" for title, value in rows]


def _rows(title: str, values: list[str], most: int = 5) -> list[tuple[str, str]]:
    """As many of them as a screen has room for."""
    shown = values[:most] or ["none"]
    if len(values) > most:
        shown[-1] = f"and {len(values) - most + 1} more"
    return [(title if i == 0 else "", value[:200]) for i, value in enumerate(shown)]


def details(found: Mapping[str, Any], build: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known, with what `runtime_info()` and `build_info()` found."""
    return {
        **found,
        "machine": platform.machine(),
        "processor": _tuning.processor(),
        "policy": get_backend_policy(),
        "figures": _tuning.file(),
        "problems": list(_problems(found)),
        "build": build,
        "numpy_build": numpy.show_config(mode="dicts"),
    }


def table(values: Mapping[str, Any], indent: int = 0) -> list[str]:
    """Lines for a dict, those of dicts in it indented."""
    rows = []
    for name, value in values.items():
        title = f"{'':{indent}}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += [title, *table(value, indent + 2)] if value else [f"{title:24} none"]
            continue
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        rows.append(f"{title:24} {'unknown' if value is None else value}")
    return rows


def try_blas() -> None:
    """Load the BLAS library, so that its version, or what is wrong with it, is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the problem is among the problems
        _core._load_blas()
