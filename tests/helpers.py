"""Runs one body with NumPy and with raptors and compares everything that a program can see."""

from __future__ import annotations

import math
import operator
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

import raptors

#: Both libraries, NumPy first.
LIBRARIES = (numpy, raptors)

#: The suite may run with RAPTORS_DISABLE=1: the same results, but nothing native.
DISABLED = os.environ.get("RAPTORS_DISABLE", "0") not in ("", "0")

_NUMPY = os.path.dirname(numpy.__file__)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


# ---- the ledger ----------------------------------------------------------------------------------


@dataclass
class Count:
    """What ran natively between the start and the end of `counted()`."""

    native: int = 0
    total: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.native / self.total if self.total else 0.0

    def of(self, *functions: str) -> Count:
        """The part of some functions only."""
        rows = [row for row in self.rows if row["function"] in functions]
        native = sum(row["native"] for row in rows)
        return Count(native, native + sum(row["numpy"] for row in rows), rows)

    def reasons(self) -> list[str]:
        return [
            f"{r['function']}[{r['dtype']}] x{r['numpy']}: {r['reason']}" for r in self.rows if r["numpy"]
        ]

    def require(self, share: float = 1.0, at_least: int = 1) -> None:
        """Fails if less than this share of the calls was native: such a comparison would prove nothing."""
        if DISABLED:
            assert self.native == 0, f"native calls although disabled: {self.rows}"
            return
        assert self.total >= at_least, f"only {self.total} calls counted, expected {at_least}"
        assert self.share >= share, (
            f"{self.native} of {self.total} calls were native ({self.share:.1%} < {share:.1%}): "
            f"{self.reasons()[:10]}"
        )


@contextmanager
def counted() -> Iterator[Count]:
    raptors.reset_report()
    count = Count()
    try:
        yield count
    finally:
        report = raptors.report()
        count.rows = list(report.rows)
        count.native, count.total = report.native_calls, report.total_calls


# ---- running -------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """Everything that a call gave: its value or exception, and its warnings with their places."""

    value: Any = None
    error: BaseException | None = None
    warned: list[tuple[type, str, str, int]] = field(default_factory=list)


def text_of(error: BaseException | None) -> str:
    """The text of an exception, without addresses."""
    return _ADDRESS.sub("0x", str(error))


def run(body: Callable[[Any], Any], library: Any) -> Outcome:
    outcome = Outcome()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome.value = body(library)
        except Exception as error:
            outcome.error = error
    outcome.warned = [(w.category, str(w.message), w.filename, w.lineno) for w in caught]
    return outcome


# ---- comparing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """How strict a comparison is. The default: every bit but the payload of a NaN."""

    rtol: float = 0.0  # 0: bit by bit
    atol: float = 0.0
    ulps: float = 0.0  # in units in the last place
    loop: str = ""  # of that dtype; empty: of the result's
    zero_sign: bool = True
    flags: bool = True  # memory layout and flags of arrays
    adopt: bool = True  # what is numpy.ndarray with NumPy has to be of adopted_class()


EXACT = Rules()
ANY_ZERO = Rules(zero_sign=False)


def close(dtype: Any, n: int = 1) -> Rules:
    """Rules for floating-point results whose order of evaluation is free: n roundings."""
    dtype = numpy.dtype(dtype)
    if dtype.kind not in "fc":
        return EXACT
    return Rules(rtol=4 * max(n, 2) * float(numpy.finfo(dtype).eps))


def _text(x: Any) -> str:
    text = repr(x)
    return text if len(text) < 200 else text[:200] + "..."


def _same_bits(e: Any, g: Any, rules: Rules) -> str | None:
    """Compares two arrays of the same shape and dtype; both are plain NumPy arrays."""
    kind = e.dtype.kind
    if not e.size:
        return None
    if e.dtype.hasobject or e.dtype.names:
        return None if repr(e.tolist()) == repr(g.tolist()) else f"values {_text(g)}, NumPy {_text(e)}"
    if kind not in "fc":
        if e.tobytes() == g.tobytes():
            return None
        where = numpy.flatnonzero(_raw(e) != _raw(g))
    else:
        eb, gb = _raw(e), _raw(g)
        differ = (eb != gb).reshape(e.size, -1).any(axis=1)
        if not differ.any():
            return None
        x, y = e.reshape(-1), g.reshape(-1)
        if e.dtype.char in "gG":  # padding bytes mean nothing
            differ = x != y
        differ &= ~(numpy.isnan(x) & numpy.isnan(y))
        with numpy.errstate(all="ignore"):
            if not rules.zero_sign:
                differ &= ~((x == 0) & (y == 0))
            if rules.rtol or rules.atol:
                within = numpy.abs(x - y) <= rules.rtol * numpy.abs(x) + rules.atol
                differ &= ~(within & ((x != 0) | (y != 0)))
            if rules.ulps:
                loop, own = numpy.finfo(rules.loop or x.dtype), numpy.finfo(x.dtype)
                unit = numpy.spacing(numpy.abs(x)) * (float(loop.eps) / float(own.eps))
                unit = numpy.maximum(unit, float(loop.smallest_subnormal))
                differ &= ~((numpy.abs(x - y) <= rules.ulps * unit) & (x != 0))
        where = numpy.flatnonzero(differ)
        if not where.size:
            return None
    i = int(where[0])
    if kind not in "fc":  # index of a byte
        i //= max(e.dtype.itemsize, 1)
    x, y = e.reshape(-1)[i], g.reshape(-1)[i]
    return f"element {i} of {e.shape}: {y!r}, NumPy {x!r} ({where.size} differ)"


def _raw(a: Any) -> Any:
    """The bytes of the elements in C order."""
    return numpy.frombuffer(a.tobytes(), numpy.uint8)


def _layout(a: Any) -> tuple[Any, ...]:
    f = a.flags
    strides = tuple(s for s, n in zip(a.strides, a.shape, strict=True) if n > 1) if a.size else ()
    return (strides, f.c_contiguous, f.f_contiguous, f.owndata, f.writeable, f.aligned)


NUMPY = tuple(int(part) for part in numpy.__version__.split(".")[:2])


def numpys_class(cls: type) -> type:
    """NumPy's class for one of ours that stands for it (raptors.ma.MaskedArray); others are themselves."""
    return vars(cls).get("_numpy", cls)


def adopted_class(a: Any) -> type:
    """The class in which raptors gives such an array: one of objects, or without axes, stays NumPy's."""
    return raptors.ndarray if a.ndim and a.dtype != object else numpy.ndarray


def rules_on(*operands: Any, rules: Rules = EXACT) -> Rules:
    """Rules for what operators, indices and methods make of arrays, some of which may stay NumPy's."""
    arrays = [a for a in operands if isinstance(a, numpy.ndarray)]
    return replace(rules, adopt=rules.adopt and all(adopted_class(a) is raptors.ndarray for a in arrays))


def difference(e: Any, g: Any, rules: Rules = EXACT) -> str | None:
    """What distinguishes raptors' result `g` from NumPy's `e`, or None."""
    if isinstance(e, numpy.ndarray):
        expected = adopted_class(e) if rules.adopt and type(e) is numpy.ndarray else type(e)
        if numpys_class(type(g)) is not expected and not (not rules.adopt and isinstance(g, numpy.ndarray)):
            return f"type {type(g)}, expected {expected}"
        if e.dtype != g.dtype or e.dtype.char != g.dtype.char:
            return f"dtype {g.dtype!r}, NumPy {e.dtype!r}"
        if e.shape != g.shape:
            return f"shape {g.shape}, NumPy {e.shape}"
        if rules.flags and _layout(e) != _layout(g):
            return f"(strides, C, F, owndata, writeable, aligned) {_layout(g)}, NumPy {_layout(e)}"
        return _same_bits(e.view(numpy.ndarray), g.view(numpy.ndarray), rules)
    if isinstance(e, numpy.generic):
        if type(e) is not type(g):
            return f"type {type(g)}, NumPy {type(e)}"
        if e.dtype != g.dtype:
            return f"dtype {g.dtype!r}, NumPy {e.dtype!r}"
        return _same_bits(numpy.asarray(e).reshape(1), numpy.asarray(g).reshape(1), rules)
    if isinstance(e, (list, tuple)):
        if type(e) is not type(g) or len(e) != len(g):
            return f"{_text(g)}, NumPy {_text(e)}"
        for i, (x, y) in enumerate(zip(e, g, strict=True)):
            if problem := difference(x, y, rules):
                return f"item {i}: {problem}"
        return None
    if isinstance(e, dict):
        if type(e) is not type(g) or list(e) != list(g):
            return f"{_text(g)}, NumPy {_text(e)}"
        for key in e:
            if problem := difference(e[key], g[key], rules):
                return f"[{key!r}]: {problem}"
        return None
    if isinstance(e, float) and type(g) is type(e):
        same = (math.isnan(e) and math.isnan(g)) or (e == g and math.copysign(1, e) == math.copysign(1, g))
        return None if same else f"{g!r}, NumPy {e!r}"
    if isinstance(e, type) or e is NotImplemented or e is None:
        if e is numpy.ndarray and rules.adopt:
            e = raptors.ndarray
        return None if e is g else f"{g!r}, NumPy {e!r}"
    if type(e) is not type(g) or e != g:
        return f"{_text(g)}, NumPy {_text(e)}"
    return None


def _same_warnings(e: list[tuple[type, str, str, int]], g: list[tuple[type, str, str, int]]) -> bool:
    """The same places, too; but where NumPy points into its own Python code raptors may name the caller."""
    if [w[:2] for w in e] != [w[:2] for w in g]:
        return False
    return all(x[2:] == y[2:] or x[2].startswith(_NUMPY) for x, y in zip(e, g, strict=True))


def compare(
    e: Outcome,
    g: Outcome,
    rules: Rules = EXACT,
    how: Callable[[Any, Any, Rules], str | None] = difference,
) -> str | None:
    if (e.error is None) != (g.error is None):
        return f"raised {g.error!r}, NumPy {e.error!r} (value {_text(g.value)}, NumPy {_text(e.value)})"
    if e.error is not None:
        if type(e.error) is not type(g.error):
            return f"raised {g.error!r}, NumPy {e.error!r}"
        x, y = text_of(e.error), text_of(g.error)
        if x != y:
            return f"message {y!r}, NumPy {x!r}"
    if not _same_warnings(e.warned, g.warned):
        x, y = ([f"{c.__name__}: {m} ({os.path.basename(f)}:{n})" for c, m, f, n in o.warned] for o in (e, g))
        return f"warned {y}, NumPy {x}"
    return how(e.value, g.value, rules) if e.error is None else None


def mismatch(body: Callable[[Any], Any], rules: Rules = EXACT) -> str | None:
    """What raptors does differently in `body(library)`, or None."""
    return compare(run(body, numpy), run(body, raptors), rules)


def same_as_numpy(body: Callable[[Any], Any], rules: Rules = EXACT) -> None:
    """Fails unless `body(library)` gives the same with both libraries."""
    if problem := mismatch(body, rules):
        raise AssertionError(problem)


class Mismatches:
    """Collects what differs in a long test; fails once, with the first ten."""

    def __init__(self) -> None:
        self.cases = 0
        self.found: list[str] = []

    def add(self, label: Any, problem: str | None) -> None:
        self.cases += 1
        if problem:
            self.found.append(f"{label}: {problem}")

    def check(self, label: Any, body: Callable[[Any], Any], rules: Rules = EXACT) -> None:
        self.add(label, mismatch(body, rules))

    def done(self, at_least: int = 1) -> None:
        shown = "\n".join(self.found[:10])
        assert not self.found, f"{len(self.found)} of {self.cases} cases differ from NumPy:\n{shown}"
        assert self.cases >= at_least, f"only {self.cases} cases ran"


#: NumPy's vector loops (2.4, some in 2.5) of these go wrong: the first four with a strided output,
#: `negative` with a stride of 64 bytes. The reference is computed without them.
_BROKEN_STRIDES = ("isnan", "isinf", "isfinite", "signbit", "negative")


def call_into(library: Any, name: str, inputs: Any, out: Any) -> Any:
    """`library.name(*inputs, out=out)`, right also where NumPy's is not."""
    if name in _BROKEN_STRIDES and (library is numpy or DISABLED):
        out[...] = getattr(numpy, name)(*(numpy.array(x) for x in inputs))
        return out
    return getattr(library, name)(*inputs, out=out)


# ---- operands ------------------------------------------------------------------------------------


def mine(library: Any, a: Any) -> Any:
    """An array in the class that the library gives it, on the same memory; anything else as it is."""
    if type(a) not in (numpy.ndarray, raptors.ndarray):
        return a
    return a.view(numpy.ndarray if library is numpy else adopted_class(a))


def clones(library: Any, *arrays: Any) -> tuple[Any, ...]:
    """Copies of arrays for one library that keep strides, alignment, flags and which of them share memory."""
    spans: list[list[int]] = []
    for a in arrays:
        if isinstance(a, numpy.ndarray) and a.size:
            low, high = numpy.lib.array_utils.byte_bounds(a)
            for span in [s for s in spans if s[0] < high and low < s[1]]:
                low, high = min(low, span[0]), max(high, span[1])
                spans.remove(span)
            spans.append([low, high])
    copies = []
    for low, high in spans:
        room = numpy.zeros(high - low + 128, numpy.uint8)
        at = (low - room.ctypes.data) % 64
        for a in arrays:
            if (
                isinstance(a, numpy.ndarray)
                and a.size
                and low <= numpy.lib.array_utils.byte_bounds(a)[0] < high
            ):
                _copy_bytes(room, at, a, low)
        copies.append((low, high, room, at))
    out = []
    for a in arrays:
        if not isinstance(a, numpy.ndarray):
            out.append(a)
            continue
        b = None
        if a.size:
            start = a.__array_interface__["data"][0]
            for low, high, room, at in copies:
                if low <= start < high:
                    b = numpy.ndarray(a.shape, a.dtype, room, at + start - low, a.strides)
        if b is None:
            b = numpy.empty(a.shape, a.dtype)
        b = mine(library, b)
        b.flags.writeable = a.flags.writeable
        out.append(b)
    return tuple(out)


def _copy_bytes(room: Any, at: int, a: Any, low: int) -> None:
    start = a.__array_interface__["data"][0]
    target = numpy.ndarray(a.shape, a.dtype, room, at + start - low, a.strides)
    numpy.lib.stride_tricks.as_strided(target, writeable=True)[...] = a


# ---- the operation table -------------------------------------------------------------------------

SCANS: list[dict[str, Any]] = [row for row in raptors.ops() if row["kind"] == "scan"]
OPS: list[dict[str, Any]] = [row for row in raptors.ops() if row["kind"] != "scan"]
ELEMENTWISE = [row for row in OPS if row["kind"] in ("unary", "binary")]
REDUCTIONS = [row for row in OPS if row["kind"] in ("reduce", "argreduce")]
ROW = {row["name"]: row for row in OPS}
#: Rows that tell a bound of their error.
APPROXIMATE = [row for row in OPS if "ulp" in row]


#: Of complex numbers NumPy fuses multiplications and additions, and takes roots, where the processor can.
ROUNDED_COMPLEX = {"multiply", "square", "absolute"}


def rules_for(name: str, *operands: Any) -> Rules:
    """How far an elementwise operation's results may be from NumPy's, which have an error of their own.

    `operands`: arrays, or dtypes.
    """
    rules = Rules(ulps=4) if "ulp" in ROW.get(name, {}) else EXACT
    dtypes = [numpy.dtype(getattr(x, "dtype", x)) for x in operands]
    if name in ROUNDED_COMPLEX:
        for dtype in dtypes:
            if dtype.kind == "c":
                eps = float(numpy.finfo(dtype).eps)
                rules = replace(rules, rtol=4 * eps, atol=float(numpy.finfo(dtype).tiny))
    if name in ("minimum", "maximum") and "float16" in dtypes:  # NumPy's loop takes the first zero
        rules = ANY_ZERO
    return rules


def by_name(row: dict[str, Any]) -> str:
    return str(row["name"])


def named(xp: Any, name: str) -> Any:
    """The function of a row: `sum`, `linalg.norm`."""
    return operator.attrgetter(name)(xp)


# ---- sub-processes -------------------------------------------------------------------------------


def python(
    code: str, *options: str, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", *options, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_ok(code: str, *options: str, timeout: float = 120, **environment: str) -> str:
    """Runs code in a fresh interpreter that has to end well; gives what it printed."""
    done = python(code, *options, timeout=timeout, **environment)
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
