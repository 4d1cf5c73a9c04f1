"""round, isclose, allclose, products of vectors and their norm, in every form of their arguments."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, NUMPY, Rules, close, counted, mine, rules_on
from parity import attempt, numpy_parity

import raptors

NAN, INF = float("nan"), float("inf")
FLOATS = [0.0, -0.0, 0.5, 1.5, -2.5, 2.675, 1e-9, 1e16, 123456.789, -987.654, NAN, INF, -INF, 5e-324]


def layouts(xp: Any, dtype: Any) -> list[Any]:
    """The same elements in several orders of memory."""
    values = (samples.generator(f"composed {dtype}").normal(size=24) * 300).astype(dtype)
    a = mine(xp, values.reshape(2, 3, 4))
    return [
        *(a, a.T, a[:, ::2], a[::-1], a.transpose(1, 0, 2), xp.asfortranarray(a), a[:1], a[0], a[0].T),
        *(a[0, 0], a[0, 0, ::2], a[0, 0, ::-1], a[0, :, 1], a[0, 0, :0], a[:, :0], a[0, 0, :1], a[0, 0, 0]),
        xp.array(a[0, 0, 0]),
    ]


EACH = range(len(layouts(numpy, "f8")))
DTYPES = ["f8", "f4", "i8", "i4", "i1", "u1", "u4", "u8", "?", "f2", "c16", ">f8"]


# ---- round


def share_of_round(dtype: str) -> float:
    """Decimals that overflow, and forms that raise, are NumPy's; so are dtypes without a kernel."""
    return {"f8": 0.49, "f4": 0.49, "u4": 0.48, "u8": 0.54}.get(dtype, 0.65 if dtype[0] in "iu" else 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:invalid value")
@numpy_parity(native=share_of_round, of=("round", "around"))
def test_round(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    keywords: list[dict[str, Any]] = [
        *({}, *({"decimals": d} for d in (0, 1, 2, 5, 8, 9, 15, 300, 400, -1, -2, -3, -8, -9, -400))),
        *({"decimals": 1.0}, {"decimals": None}, {"decimals": True}, {"out": None}, {"nonsense": 1}),
    ]
    for i, given in itertools.product(EACH, keywords):
        yield (i, given), attempt(xp.round, layouts(xp, dtype)[i], **given)
        yield (i, given, "method"), attempt(layouts(xp, dtype)[i].round, **given)
    for d in (0, 2, -2):
        yield ("position", d), attempt(xp.around, layouts(xp, dtype)[0], d)
        for other in (dtype, "f8", "f4", "i8"):
            out = layouts(xp, other)[0]
            yield ("out", d, other), attempt(xp.round, layouts(xp, dtype)[0], d, out=out)
        a = layouts(xp, dtype)[0].copy()
        got = attempt(a.round, d, a)
        yield ("itself", d), (got, a, got is a)
        a = layouts(xp, dtype)[0].copy().ravel()
        yield ("shifted", d), (attempt(a[:-1].round, d, out=a[1:]), a)


@numpy_parity(native=0.94, of="round")
def test_round_special_values(xp: Any, isa: str) -> Iterator[Any]:
    for dtype, d in itertools.product(("f8", "f4"), range(-8, 9)):
        with numpy.errstate(all="ignore"):
            values = mine(xp, numpy.array([*FLOATS, 1e300, 3e38, -4e-39], "f8").astype(dtype))
        yield (dtype, d), attempt(values.round, d)
        for mode in ("raise", "ignore"):
            with xp.errstate(all=mode):
                yield (dtype, d, mode), attempt(values.round, d)
    yield "whole", mine(xp, numpy.array([149, 150, 151, -150, 2**40])).round(-2)
    yield "too large", attempt(mine(xp, numpy.array([2**63 - 1])).round, -2)
    a = xp.arange(3)
    yield "identity", a.round() is a
    yield "list", xp.round([1.25, 2.75], 1)
    yield "scalars", (xp.round(1.25, 1), xp.round(numpy.float32(1.25), 1), xp.round(3, -1))


# ---- isclose, allclose

PAIRS: list[tuple[Any, Any]] = [
    *(([1.0, 2.0], [1.0, 2.0 + 1e-6]), ([1.0, NAN], [1.0, NAN]), ([INF, -INF, 1.0], [INF, INF, 1.0])),
    *(([1e10, 1e-7], [1.00001e10, 1e-8]), ([0.0, -0.0], [-0.0, 0.0]), ([1e-8, 1e-7], [0.0, 0.0])),
    *(([1.0, 2.0], 1.0), (1.0, [1.0, 2.0]), ([1.0, 2.0], 1), (2, [1, 2]), ([1, 2], [1, 3]), ([1, 2], 1.5)),
    *(([True, False], [True, True]), ([True], [1.0]), ([300, 2], [300.0, 2.0]), ([NAN], INF), ([INF], NAN)),
    *(([1e308, -1e308], [-1e308, 1e308]), ([1e-320, 1.0], [0.0, 1.0]), ([5e-324], [1e-323])),
    *(([2**62, 3], [2**62 + 1, 3]), ([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]), ([1.0], [1.0, 2.0, 3.0])),
    *(([1.0, 2.0], [1.0, 2.0, 3.0]), ([], []), (1.0, 1.0), (1, 2), ([1.0, 2.0], None), ([1.0], "a")),
    *(([1.0, 2.0], 2**70), ([1.0], 1j), ([1.0, 2.0], INF), ([1.0, 2.0], NAN), (NAN, [NAN, 1.0])),
    *(([1.0, 2.0], numpy.float64(1)), ([1.0, 2.0], numpy.float32(1)), (numpy.int64(1), [1, 2])),
]
TOLERANCES: list[dict[str, Any]] = [
    *({}, {"rtol": 0}, {"rtol": 0.5}, {"atol": 0}, {"atol": 1.0, "rtol": 0.0}, {"rtol": 1e-3, "atol": 1e-3}),
    *({"equal_nan": True}, {"equal_nan": False}, {"equal_nan": 1}, {"rtol": NAN}, {"atol": INF}),
    *({"rtol": -1.0}, {"rtol": numpy.float64(1e-3)}, {"atol": numpy.float32(1e-3)}, {"atol": [1e-3, 1e-3]}),
    *({"rtol": "a"}, {"rtol": None}, {"nonsense": 1}, {"rtol": 1e-50}, {"rtol": 1e300}, {"atol": 2**70}),
]


@pytest.mark.parametrize("function", ["isclose", "allclose"])
@numpy_parity(native=0.19, of=lambda function: function)  # most tolerances, and lists, are NumPy's
def test_close(xp: Any, function: str, isa: str) -> Iterator[Any]:
    f = getattr(xp, function)
    dtypes = (
        (None, None),
        ("f4", "f4"),
        ("f4", "f8"),
        ("f8", "f4"),
        ("i4", "f8"),
        ("f8", "i4"),
        ("f2", "f2"),
    )

    def array(x: Any, dtype: Any) -> Any:
        return mine(xp, numpy.array(x, dtype)) if isinstance(x, list) else x

    for (x, y), (s, t), given in itertools.product(PAIRS, dtypes, TOLERANCES):
        with numpy.errstate(all="ignore"):
            try:
                numpy.array(x, s), numpy.array(y, t)
            except (OverflowError, TypeError, ValueError):
                continue
            operands = array(x, s), array(y, t)
        yield (x, y, s, t, given), attempt(f, *operands, **given)
    a, b = [1.0, 2.0], [1.0, 2.5]
    yield "position", f(xp.array(a), xp.array(b), 0.5, 0.1, True)
    yield "names", f(a=xp.array(a), b=xp.array(b))
    yield "lists", f(a, b)
    yield "one", attempt(f, xp.array(a))


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "?"])
@numpy_parity(native=0.23, of=("isclose", "allclose"))  # most shapes do not fit
def test_close_layouts(xp: Any, dtype: str, isa: str) -> Iterator[Any]:
    for i, k in itertools.product(EACH, EACH):
        x, y = layouts(xp, dtype)[i], layouts(xp, "f4" if dtype == "f4" else "f8")[k]
        yield (i, k, "isclose"), attempt(xp.isclose, x, y)
        yield (i, k, "allclose"), attempt(xp.allclose, x, y)
        yield (i, k, "itself"), attempt(xp.isclose, x, x, equal_nan=True)


@numpy_parity(native=0.5, of=("isclose", "allclose"))
def test_close_events(xp: Any, isa: str) -> Iterator[Any]:
    """NumPy tells of everything but invalid values."""
    for mode, function in itertools.product(("warn", "raise", "ignore", "print"), ("isclose", "allclose")):
        for x, y in (([1e308], [-1e308]), ([1e-320], [1e-310]), ([INF], [INF]), ([NAN], [1.0])):
            with xp.errstate(all=mode):
                result = attempt(getattr(xp, function), xp.array(x), xp.array(y), rtol=1e-300)
            yield (mode, function, x, y), result


@numpy_parity()
def test_close_in_pieces(xp: Any, isa: str) -> Iterator[Any]:
    for n in (511, 512, 513, 5000):
        x = samples.generator("close").normal(size=n)
        y = x + numpy.where(numpy.arange(n) % 7 == 0, 1e-3, 0.0)
        for s, t in (("f8", "f8"), ("f4", "f4"), ("f4", "f8")):
            a, b = mine(xp, x.astype(s)), mine(xp, y.astype(t))
            yield (n, s, t, "isclose"), (xp.isclose(a, b), xp.isclose(a, 0.5, atol=0.1))
            yield (n, s, t, "allclose"), (xp.allclose(a, b), xp.allclose(a, a))


# ---- vectors


def rules_of_product(a: Any, b: Any) -> Rules:
    """Sums are taken in any order."""
    dtype = numpy.result_type(a, b)
    if dtype.kind not in "fc" or not a.ndim or not b.ndim:
        return EXACT
    most = [float(numpy.abs(x[numpy.isfinite(x)]).max(initial=0)) for x in (a, b)]
    return Rules(atol=4 * a.size * float(numpy.finfo(dtype).eps) * most[0] * most[1])


#: Most shapes do not fit.
SHARE_OF_PRODUCTS = {"dot": 0.17, "inner": 0.32, "vdot": 0.09}


@pytest.mark.parametrize("function", SHARE_OF_PRODUCTS)
@numpy_parity(native=lambda function: SHARE_OF_PRODUCTS[function], of=lambda function: function)
def test_products(xp: Any, function: str) -> Iterator[Any]:
    f = getattr(xp, function)
    for dtype, other in [*((t, t) for t in DTYPES), ("f8", "i8"), ("f4", "f8")]:
        ours, plain = ((layouts(library, dtype), layouts(library, other)) for library in (xp, numpy))
        for i, k in itertools.product(EACH, EACH):
            pair = (plain[0][i], plain[1][k])
            rules = rules_of_product(*pair)
            yield (dtype, other, i, k), attempt(f, ours[0][i], ours[1][k]), rules
            if function == "dot":
                result = attempt(operator.methodcaller("dot", ours[1][k]), ours[0][i])
                yield (dtype, other, i, k, "method"), result, rules_on(*pair, rules=rules)
    for n in (1, 2, 3, 7, 8, 64, 499, 500, 501, 1000, 12_345, 100_000):
        for dtype, step in itertools.product(("f8", "f4", "i8", "?", "u1"), (1, 2, -1)):
            x = (samples.generator(f"dot {n}").normal(size=2 * n) * 9).astype(dtype)
            result = f(mine(xp, x)[::step][:n], mine(xp, x)[:n])
            yield (n, dtype, step), result, rules_of_product(x[:n], x[:n])
    special: list[list[float]] = [
        *([-0.0], [-0.0, -0.0], [INF, 1.0], [NAN, 0.0], [1e308, 1e308], [1e-200, 1e-200]),
    ]
    for x, y in itertools.product(special, special):
        for mode in ("warn", "raise", "ignore"):
            with xp.errstate(all=mode):
                result = attempt(f, xp.array(x), xp.array(y))
            yield (x, y, mode), result
    a = xp.arange(2.0)
    yield "lists", f([1.0, 2.0], [3.0, 4.0])
    yield "list", f(a, [3.0, 4.0])
    yield "scalar", attempt(f, a, 3.0)
    yield "names", attempt(f, a=a, b=a)
    yield "name", attempt(f, a, b=a)
    yield "out", attempt(f, a, a, out=xp.array(0.0))
    yield "no out", attempt(f, a, a, out=None)
    yield "one", attempt(f, a)


@numpy_parity(native=0.28, of="linalg.norm", reason="only roots of sums of squares are native")
def test_norm(xp: Any, isa: str) -> Iterator[Any]:

    def norm_of(values: list[float], dtype: str) -> Any:
        return xp.linalg.norm(xp.array(values, dtype))

    keywords: list[dict[str, Any]] = [
        *({}, *({"ord": o} for o in (None, 2, 1, INF, "fro", "f", "nuc", 2.0, 0)), {"nonsense": 1}),
        *({"axis": None}, {"axis": 0}, {"keepdims": True}, {"keepdims": False}),
        *({"axis": 0, "keepdims": True}, {"ord": 2, "axis": None, "keepdims": True}),
    ]
    for dtype in DTYPES:
        arrays, rules = layouts(xp, dtype), close("f4" if dtype == "f4" else "f8", 24)
        for i, given in itertools.product(EACH, keywords):
            if given.get("ord") == "nuc" and i in (9, 10):
                continue
            yield (dtype, i, given), attempt(xp.linalg.norm, arrays[i], **given), rules
    for values in ([3.0, 4.0], [NAN, 1.0], [INF, 1.0], [1e300, 1.0], [1e-300, 0.0], [-0.0, 0.0], [-0.0], []):
        for mode, dtype in itertools.product(("warn", "raise", "ignore"), ("f8", "f4")):
            with xp.errstate(all=mode):
                result = attempt(norm_of, values, dtype)
            yield (values, mode, dtype), result
    yield "list", xp.linalg.norm([3.0, 4.0])
    for n in (2, 100, 499, 501, 10_000, 20_001):
        yield n, xp.linalg.norm(xp.arange(float(n))), close("f8", 24)


def test_other_types_are_declined() -> None:
    class Sub(raptors.ndarray):  # type: ignore[misc]
        pass

    a = raptors.arange(4.0)
    sub = a.view(Sub)
    masked = numpy.ma.masked_array([1.0, 2.0, 3.0, 4.0], [True, False, False, False])
    assert type(raptors.round(sub)) is Sub
    assert type(sub.round()) is Sub
    assert isinstance(raptors.isclose(a, masked), numpy.ma.MaskedArray)
    assert type(numpy.isclose(sub, sub)) is type(raptors.isclose(sub, sub))
    assert raptors.dot(sub, a) == raptors.dot(a, sub) == 14.0
    assert raptors.linalg.norm(masked) == numpy.linalg.norm(masked)
    assert type(numpy.round(a, 1)) is raptors.ndarray
    assert numpy.dot(a, a) == numpy.linalg.norm(a) ** 2 // 1 == 14.0


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_common_forms_are_native() -> None:
    a, b, m, i = raptors.linspace(1, 2, 8), raptors.ones(8), raptors.ones((4, 5)), raptors.arange(8)
    out = raptors.empty(8)
    native: dict[str, Callable[[], Any]] = {
        "round": lambda: raptors.round(a),
        "round decimals": lambda: raptors.round(m, 2),
        "round method": lambda: a.round(3),
        "round out": lambda: a.round(3, out=out),
        "round whole": lambda: i.round(-1),
        "around": lambda: raptors.around(m.T, decimals=-1),
        "isclose": lambda: raptors.isclose(a, b),
        "isclose number": lambda: raptors.isclose(a, 1.0, rtol=1e-3),
        "isclose whole": lambda: raptors.isclose(i, a),
        "allclose": lambda: raptors.allclose(m, m, atol=0, equal_nan=True),
        "allclose F": lambda: raptors.allclose(m.T, m.T),
        "allclose strided": lambda: raptors.allclose(a[::2], b[::2]),
        "dot": lambda: raptors.dot(a, b),
        "dot strided": lambda: raptors.dot(a[::-1], b),
        "method": lambda: a.dot(b),
        "inner": lambda: raptors.inner(i, i),
        "vdot": lambda: raptors.vdot(a, b),
        "vdot strided": lambda: raptors.vdot(a[::2], b[::2]),
        "vdot matrices": lambda: raptors.vdot(m, m),
        "@": lambda: a @ b,
        "one": lambda: raptors.dot(a[:1], b[:1]),
        "none": lambda: raptors.dot(a[:0], b[:0]),
        "by numpy": lambda: numpy.dot(a, b),
    }
    norms: dict[str, Callable[[], Any]] = {
        "norm": lambda: raptors.linalg.norm(a),
        "norm ord": lambda: raptors.linalg.norm(a, 2),
        "norm matrix": lambda: raptors.linalg.norm(m.T, "fro"),
        "norm axis": lambda: raptors.linalg.norm(m, axis=1, keepdims=True),
        "norm axes": lambda: raptors.linalg.norm(i.reshape(2, 2, 2), axis=(0, 2)),
    }
    for name, call in native.items():
        with counted() as count:
            call()
        assert count.total == count.native > 0, name
    for name, call in norms.items():
        with counted() as count:
            call()
        assert count.total == count.native > 0, name
        assert count.of("linalg.norm").total == 1, name


FAR = [2**31, 2**31 - 1, -(2**31), -(2**31) - 1, 2**63, -(2**63) - 1, 10**30, 401, -401, 400, 309, -309]


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "f2", "c8", "c16"])
@numpy_parity(native=0.0, of="round")  # of integers 4 in 24
def test_round_far_from_the_point(xp: Any, dtype: str) -> Iterator[Any]:
    """Beyond a C int NumPy raises. Just below it takes seconds to find infinity, as for 400 decimals."""
    if NUMPY == (2, 0):
        pytest.skip("NumPy 2.0 crashes: array(True).round(-2**31)")
    for a in (numpy.array([0, 1, 100]).astype(dtype), numpy.array(1).astype(dtype)):
        x = mine(xp, a)
        for decimals in FAR:
            fits = -(2**31) <= decimals < 2**31
            slow = fits and (xp is numpy or DISABLED)
            asked = max(-400, min(decimals, 400)) if slow else decimals
            yield (a.shape, decimals, "method"), attempt(x.round, asked)
            yield (a.shape, decimals, "function"), attempt(xp.round, x, decimals=asked)


def test_round_to_more_decimals_than_there_are() -> None:
    with numpy.errstate(all="ignore"):
        assert numpy.isnan(raptors.round([1.5], 2**31 - 1)).all()
