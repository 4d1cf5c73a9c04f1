"""Floating-point status: nothing reported that did not happen, nothing lost, errstate obeyed as by NumPy."""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import platform
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import (
    APPROXIMATE,
    DISABLED,
    ELEMENTWISE,
    Mismatches,
    by_name,
    clones,
    counted,
    mine,
    mismatch,
    rules_for,
    same_as_numpy,
)

import raptors

FLOATS = ("float32", "float64")
#: Rows of one output whose operands have one dtype; test_elementwise looks at the events of the others.
ROWS = [row for row in ELEMENTWISE if row["outputs"] == 1 and {*row["signature"]} <= {*"T?R->"}]
REPORTING = [row for row in ROWS if row["reports"] and set(FLOATS) & set(row["types"])]
QUIET = [row for row in ROWS if not row["reports"] and set(FLOATS) & set(row["types"])]
reporting = pytest.mark.parametrize("row", REPORTING, ids=by_name)

#: Operands that raise an event, by operation: (x, y).
BAD = {
    "add": [("inf", "-inf"), ("max", "max")],
    "subtract": [("inf", "inf"), ("-max", "max")],
    "multiply": [("inf", "0"), ("max", "max"), ("tiny", "tiny")],
    "divide": [("1", "0"), ("0", "0"), ("max", "tiny"), ("tiny", "max"), ("inf", "inf")],
    "square": [("max", ""), ("tiny", "")],
    "sqrt": [("-1", ""), ("-inf", "")],
    "reciprocal": [("0", ""), ("-0.0", ""), ("subnormal", "")],
    "negative": [],
}
eventful = pytest.mark.parametrize("row", [row for row in REPORTING if BAD.get(row["name"])], ids=by_name)


def number(text: str, dtype: str) -> Any:
    info = numpy.finfo(dtype)
    names = {"max": info.max, "-max": -info.max, "tiny": info.tiny, "subnormal": info.smallest_subnormal}
    return numpy.dtype(dtype).type(names.get(text, text))


@pytest.fixture(name="all_native")
def _all_native() -> Iterator[None]:
    """Every call of the test has to be native: what NumPy's own code reports proves nothing."""
    with counted() as count:
        yield
    count.require()


all_native = pytest.mark.usefixtures("all_native")


def reported(name: str, text: str) -> bool:
    with numpy.errstate(all="raise"):
        try:
            getattr(numpy, name)(number(text, "float64"))
        except FloatingPointError:
            return True
    return False


#: Of functions that are approximated, whatever NumPy reports.
for _row in APPROXIMATE:
    BAD[_row["name"]] = [(x, "") for x in ("max", "-max", "0", "-1", "inf") if reported(_row["name"], x)]


def test_every_reporting_row_has_bad_operands() -> None:
    assert REPORTING
    for row in REPORTING:
        assert row["name"] in BAD, f"name the operands that make {row['name']} report"


@reporting
@pytest.mark.parametrize("dtype", FLOATS)
def test_benign_data_raises_nothing(row: dict[str, Any], dtype: str, isa: str) -> None:
    """Every length 1..260 in several layouts: tails and padding never compute on what is not there."""
    rng = samples.generator("benign", row["name"], dtype)
    function = getattr(raptors, row["name"])
    calls = 0
    with numpy.errstate(all="raise"), counted() as count:
        out = raptors.empty(260, dtype)
        for n in range(1, 261):
            x, y = (samples.benign(dtype, n + 3, rng).view(raptors.ndarray) for _ in "xy")
            pairs = [(x[:n], y[:n]), (x[3:], y[1 : n + 1]), (x[::-1][:n], y[:n]), (x[:n:2], y[:n:2])]
            pairs += [(x[:n], y[0]), (x[0], y[:n])] if row["inputs"] == 2 else []
            for pair in pairs:
                function(*pair[: row["inputs"]])
                calls += 1
            function(*pairs[0][: row["inputs"]], out=out[:n])
            calls += 1
    count.of(row["name"]).require(at_least=calls)


@all_native
@eventful
def test_masked_out_elements_raise_nothing(row: dict[str, Any], isa: str) -> None:
    """where=: what the mask leaves out is not computed, or at least not reported."""
    for dtype in FLOATS:
        for bad_x, bad_y in BAD[row["name"]]:
            for n in (1, 5, 16, 33, 70):
                x, y = (samples.benign(dtype, n, samples.generator(k)) for k in "xy")
                mask = numpy.ones(n, bool)
                mask[n // 2] = False
                x[n // 2] = number(bad_x, dtype)
                y[n // 2] = number(bad_y, dtype) if bad_y else 1
                ours = [a.view(raptors.ndarray) for a in (x, y)][: row["inputs"]]
                out = raptors.zeros(n, dtype)
                with numpy.errstate(all="raise"):
                    getattr(raptors, row["name"])(*ours, out=out, where=mask.view(raptors.ndarray))
                assert out[n // 2] == 0


@all_native
@eventful
@pytest.mark.parametrize("dtype", FLOATS)
def test_one_bad_element_at_every_position(row: dict[str, Any], dtype: str, isa: str) -> None:
    """raise, warn, call, log and ignore: exactly as NumPy, wherever the element is."""
    found, name = Mismatches(), row["name"]
    for bad_x, bad_y in BAD[name]:
        for n in (1, 3, 8, 17, 33, 65, 130, 259):
            x, y = (samples.benign(dtype, n, samples.generator(k)) for k in "xy")
            arrays = (x, y)[: row["inputs"]]
            for position in range(n):
                kept = x[position], y[position]
                x[position] = number(bad_x, dtype)
                y[position] = number(bad_y, dtype) if bad_y else 1
                for mode in (
                    ("raise", "warn") if 0 < position < n - 1 else ("raise", "warn", "call", "log", "ignore")
                ):
                    found.add((name, dtype, bad_x, bad_y, n, position, mode), _event(name, arrays, mode))
                x[position], y[position] = kept
    found.done()


def _event(name: str, arrays: tuple[Any, ...], mode: str, **keywords: Any) -> str | None:
    """One call under one mode of errstate with both libraries: what was raised, warned, called, logged."""
    if mode in ("raise", "ignore"):
        seen: list[Any] = []
        for xp in (numpy, raptors):
            with numpy.errstate(all=mode):  # type: ignore[call-overload]
                try:
                    getattr(xp, name)(*(mine(xp, a) for a in arrays), **keywords)
                    seen.append(None)
                except FloatingPointError as error:
                    seen.append(str(error))
        return None if seen[0] == seen[1] else f"{seen[1]}, NumPy {seen[0]}"

    def body(xp: Any) -> Any:
        events: list[Any] = []

        class Log:
            def write(self, text: str) -> None:
                events.append(text)

        call = Log() if mode == "log" else lambda *a: events.append(a)
        with numpy.errstate(all=mode, call=call):  # type: ignore[call-overload]
            result = getattr(xp, name)(*(mine(xp, a) for a in arrays), **keywords)
        return events, result

    return mismatch(body, rules_for(name))


@all_native
@eventful
def test_events_in_other_layouts(row: dict[str, Any], isa: str) -> None:
    """Strided operands, scalars, conversion, 0-d, out=, in-place: the same report."""
    found, name = Mismatches(), row["name"]
    for dtype in FLOATS:
        for bad_x, bad_y in BAD[name]:
            for n in (1, 6, 40):
                x, y = (samples.benign(dtype, n, samples.generator(k)) for k in "xy")
                x[n // 2], y[n // 2] = number(bad_x, dtype), number(bad_y, dtype) if bad_y else 1
                for layout in samples.LAYOUTS.values():
                    arrays = (layout(x), layout(y))[: row["inputs"]]
                    for mode in ("raise", "warn"):
                        found.add((dtype, bad_x, bad_y, n, mode), _event(name, arrays, mode))
                if row["inputs"] == 2:
                    scalar = y[n // 2]
                    with numpy.errstate(all="ignore"):
                        narrow = x.astype("f4"), y.astype("f8")
                    for arrays in (
                        (x, scalar),
                        (x, float(scalar)),
                        (scalar, x),
                        narrow,
                        (x, y[n // 2 :][:1]),
                    ):
                        for mode in ("raise", "warn", "call"):
                            found.add((dtype, bad_x, bad_y, n, mode, "mixed"), _event(name, arrays, mode))
                arrays = tuple(a[n // 2 :][:1].reshape(()) for a in (x, y)[: row["inputs"]])
                found.add((dtype, bad_x, bad_y, "0-d"), _event(name, arrays, "warn"))
                found.add(
                    (dtype, bad_x, bad_y, "out"),
                    _event(name, (x, y)[: row["inputs"]], "raise", out=numpy.ones(n, dtype)),
                )
                if name in ("add", "subtract", "multiply", "divide"):
                    operator = {
                        "add": "__iadd__",
                        "subtract": "__isub__",
                        "multiply": "__imul__",
                        "divide": "__itruediv__",
                    }[name]

                    def in_place(xp: Any, x: Any = x, y: Any = y, operator: str = operator) -> Any:
                        a, b = clones(xp, x, y)
                        with numpy.errstate(all="raise"):
                            try:
                                getattr(a, operator)(b)
                            except FloatingPointError as error:
                                return a, str(error)
                        return a

                    found.check((dtype, bad_x, bad_y, "in place"), in_place)
    found.done()


@all_native
@pytest.mark.parametrize("row", QUIET, ids=by_name)
def test_quiet_rows_report_nothing(row: dict[str, Any], isa: str) -> None:
    """Special values, every position: no event where NumPy has none."""
    found = Mismatches()
    for dtype in set(row["types"]) & set(FLOATS):
        values = samples.special(dtype)
        for n in (1, 7, 17, 64, 131):
            x = numpy.resize(values, n)
            y = numpy.resize(values[::-1], n)
            for mode in ("raise", "warn"):
                for shift in range(0, n, 5):
                    arrays = (numpy.roll(x, shift), y)[: row["inputs"]]
                    found.add((dtype, n, shift, mode), _quiet(row["name"], arrays, mode))
    found.done()


def _quiet(name: str, arrays: tuple[Any, ...], mode: str) -> str | None:
    with numpy.errstate(all=mode), warnings.catch_warnings(record=True) as caught:  # type: ignore[call-overload]
        warnings.simplefilter("always")
        try:
            getattr(raptors, name)(*(mine(raptors, a) for a in arrays))
        except FloatingPointError as error:
            return str(error)
    return str(caught[0].message) if caught else None


REDUCTION_EVENTS = {
    "sum": [("inf", "-inf"), ("max", "max")],
    "prod": [("max", "max"), ("inf", "0"), ("tiny", "tiny")],
    "mean": [("inf", "-inf"), ("max", "max")],
}


@all_native
@pytest.mark.parametrize("name", REDUCTION_EVENTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_reductions_report(name: str, dtype: str, isa: str) -> None:
    """Events in any lane of any accumulator, along any axis; the neutral elements of tails raise none."""
    found = Mismatches()
    for n in (2, 3, 9, 17, 33, 66, 131, 260):
        x = samples.benign(dtype, n, samples.generator(n)) if name != "prod" else numpy.ones(n, dtype)
        with numpy.errstate(all="raise"):
            getattr(x.view(raptors.ndarray), name)()
            getattr(numpy.stack([x, x, x]).view(raptors.ndarray), name)(axis=0)
        for first, second in REDUCTION_EVENTS[name]:
            for position in range(n - 1):
                other = (position * 7 + 1) % n
                if other == position:
                    continue
                a = x.copy()
                a[position], a[other] = number(first, dtype), number(second, dtype)
                for mode in ("raise", "warn"):
                    found.add((n, first, second, position, other, mode), _event(name, (a,), mode))
                if position % 5 == 0:
                    b = numpy.stack([x, a, x])
                    for axis in (0, 1):
                        found.add((n, first, second, position, axis), _event(name, (b,), "raise", axis=axis))
                        found.add(
                            (n, first, second, position, axis, "F"), _event(name, (b.T,), "warn", axis=axis)
                        )
    found.done()


@all_native
@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax", "any", "all"])
def test_other_reductions_report_nothing(name: str, isa: str) -> None:
    for dtype in FLOATS:
        for n in (1, 5, 33, 131):
            x = numpy.resize(samples.special(dtype), n)
            with numpy.errstate(all="raise"):
                getattr(x.view(raptors.ndarray), name)()
                getattr(numpy.stack([x, x[::-1]]).view(raptors.ndarray), name)(axis=0)


# ---- flags from elsewhere ------------------------------------------------------------------------


def _raise_flags() -> None:
    """Sets every floating-point flag of this thread, as other code may have left them."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
    assert library.feraiseexcept(0x3D if x86 else 0x1F) == 0


def _flags() -> int:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    return int(
        library.fetestexcept(0x1D if platform.machine().lower() in ("x86_64", "amd64", "i686") else 0x0F)
    )


@all_native
@pytest.mark.skipif(not ctypes.util.find_library("m"), reason="needs the C library's feraiseexcept")
def test_earlier_flags_do_not_leak_in(isa: str) -> None:
    """What other code did before the call is not this call's event."""
    a, b = (samples.benign("float64", 40, samples.generator(k)).view(raptors.ndarray) for k in "ab")
    _raise_flags()
    assert _flags(), "the flags are raised"
    calls: list[Any] = [
        lambda f=f, n=n: getattr(raptors, f["name"])(*[(a[:n], b[:n])[i] for i in range(f["inputs"])])
        for f in (*REPORTING, *QUIET)
        for n in (1, 7, 40)
    ]
    calls += [
        lambda n=n, f=f: getattr(a[:n], f)()
        for f in ("sum", "prod", "mean", "min", "any", "argmax")
        for n in (1, 7, 40)
    ]
    calls += [
        lambda: a[::2] + b[::2],
        lambda: a + 1,
        lambda: a.astype("f4"),
        lambda: a.copy(),
        lambda: a.clip(1, 2),
    ]
    calls += [
        lambda: a.sum(where=a > 1.5),
        lambda: a.astype("i4"),
        lambda: a + b.astype("f4"),
        lambda: raptors.sqrt(a, where=a > 1, out=a),
    ]
    with numpy.errstate(all="raise"):
        for call in calls:
            _raise_flags()
            call()


@all_native
@pytest.mark.skipif(not ctypes.util.find_library("m"), reason="needs the C library's fetestexcept")
def test_events_do_not_stay_behind(isa: str) -> None:
    """An ignored event is not seen by NumPy's next operation (which looks at the flags of its own)."""
    a = numpy.zeros(9).view(raptors.ndarray)
    with numpy.errstate(all="ignore"):
        _ = a / a, (a + numpy.inf).sum(), (a - numpy.inf) * 0
    with numpy.errstate(all="raise"):
        _ = numpy.ones(4) + numpy.ones(4), numpy.float64(1) / numpy.float64(3), a + 1, a.sum()


# ---- contexts ------------------------------------------------------------------------------------


def test_errstate_is_the_threads_own() -> None:
    a = numpy.ones(5).view(raptors.ndarray)
    zero = numpy.zeros(5).view(raptors.ndarray)
    seen: dict[str, Any] = {}
    barrier = threading.Barrier(2)

    def work(mode: str) -> None:
        with numpy.errstate(all=mode):  # type: ignore[call-overload]
            barrier.wait()
            for _ in range(200):
                try:
                    _ = a / zero
                    outcome = "nothing"
                except FloatingPointError:
                    outcome = "raised"
                seen.setdefault(mode, set()).add(outcome)

    threads = [threading.Thread(target=work, args=(mode,)) for mode in ("raise", "ignore")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"raise": {"raised"}, "ignore": {"nothing"}}


@pytest.mark.skipif(DISABLED, reason="NumPy loses what the threads of its BLAS meet")
@pytest.mark.parametrize("n", [20_000, 1_000_000])
@pytest.mark.parametrize("where", [slice(None, 5), slice(-5, None)])
def test_long_products_overflow(n: int, where: slice) -> None:
    """Told whichever thread meets it; NumPy loses what the threads of its BLAS meet."""
    a = numpy.ones(n).view(raptors.ndarray)
    a[where] = 1e200
    with raptors.backend_policy("raptors"), raptors.threads(2), numpy.errstate(over="raise"):
        for body in (lambda: a @ a, lambda: raptors.stack([a, a]) @ a):
            with pytest.raises(FloatingPointError, match="overflow encountered in matmul"):
                body()


def test_errstate_is_the_tasks_own() -> None:
    a, zero = (f(5).view(raptors.ndarray) for f in (numpy.ones, numpy.zeros))

    async def work(mode: str) -> str:
        with numpy.errstate(all=mode):  # type: ignore[call-overload]
            await asyncio.sleep(0)
            try:
                _ = a / zero
            except FloatingPointError:
                return "raised"
            return "nothing"

    async def both() -> list[str]:
        return await asyncio.gather(work("raise"), work("ignore"), work("raise"))

    assert asyncio.run(both()) == ["raised", "nothing", "raised"]


@all_native
def test_warning_filters_and_place() -> None:
    """The warning points to the caller's line; as an error it is an exception; once is once."""
    a, zero = (f(5).view(raptors.ndarray) for f in (numpy.ones, numpy.zeros))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ = a / zero
        _ = raptors.divide(a, zero)
        (a * numpy.finfo("f8").max * 2).sum()
        a /= zero
    assert [w.filename for w in caught] == [__file__] * 4
    lines = [w.lineno for w in caught]
    assert lines == list(range(lines[0], lines[0] + 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="divide by zero encountered in divide"):
            _ = zero + 1 / zero
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("once")
        for _i in range(3):
            _ = (zero + 1) / zero
    assert len(caught) == 1


@all_native
def test_error_callbacks_that_fail() -> None:
    """An exception from the user's callback comes through, and the next call works."""
    a, zero = (f(5).view(raptors.ndarray) for f in (numpy.ones, numpy.zeros))

    def fail(*_: Any) -> None:
        raise KeyError("from the callback")

    for body in (
        lambda: a / zero,
        lambda: raptors.divide(a, zero, out=raptors.ones(5)),
        lambda: raptors.divide(a[::2], 0.0),
    ):
        with numpy.errstate(all="call", call=fail), pytest.raises(KeyError, match="from the callback"):
            body()
    assert (a + a).tolist() == [2.0] * 5


@all_native
def test_integer_events() -> None:
    """Integer reciprocals of zero warn as NumPy's; wrap-around never does."""
    for dtype in samples.DTYPES[1:9]:
        a = samples.special(dtype)
        same_as_numpy(lambda xp, a=a: xp.reciprocal(mine(xp, a)))
        same_as_numpy(
            lambda xp, a=a: [
                mine(xp, a) + mine(xp, a),
                mine(xp, a) * mine(xp, a),
                -mine(xp, a),
                abs(mine(xp, a)),
            ]
        )
        same_as_numpy(lambda xp, a=a: mine(xp, a) / mine(xp, a[::-1]))
