"""round, isclose, allclose, products of vectors and their norm, in every form of their arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, EXACT, Mismatches, Rules, counted, mine, rules_on

import raptors

NAN, INF = float("nan"), float("inf")
LOOP = "no kernel: NumPy's own loop"
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_round(dtype: str, isa: str) -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *({}, *({"decimals": d} for d in (0, 1, 2, 5, 8, 9, 15, 300, 400, -1, -2, -3, -8, -9, -400))),
        *({"decimals": 1.0}, {"decimals": None}, {"decimals": True}, {"out": None}, {"nonsense": 1}),
    ]
    for i, given in itertools.product(EACH, keywords):
        found.check((i, given), lambda xp, i=i, g=given: xp.round(layouts(xp, dtype)[i], **g))
        found.check((i, given), lambda xp, i=i, g=given: layouts(xp, dtype)[i].round(**g))
    for d in (0, 2, -2):
        found.check(("position", d), lambda xp, d=d: xp.around(layouts(xp, dtype)[0], d))
        for other in (dtype, "f8", "f4", "i8"):
            found.check(
                ("out", d, other),
                lambda xp, d=d, o=other: xp.round(layouts(xp, dtype)[0], d, out=layouts(xp, o)[0]),
            )

        def itself(xp: Any, d: int = d) -> Any:
            a = layouts(xp, dtype)[0].copy()
            got = a.round(d, a)
            return (got, got is a)

        found.check(("itself", d), itself)

        def shifted(xp: Any, d: int = d) -> Any:
            a = layouts(xp, dtype)[0].copy().ravel()
            return (a[:-1].round(d, out=a[1:]), a)

        found.check(("shifted", d), shifted)
    found.done(300)


def test_round_special_values(isa: str) -> None:
    found = Mismatches()
    for dtype, d in itertools.product(("f8", "f4"), range(-8, 9)):
        with numpy.errstate(all="ignore"):
            values = numpy.array([*FLOATS, 1e300, 3e38, -4e-39], "f8").astype(dtype)
        found.check((dtype, d), lambda xp, v=values, d=d: mine(xp, v).round(d))
        for mode in ("raise", "ignore"):

            def body(xp: Any, v: Any = values, d: int = d, mode: str = mode) -> Any:
                with xp.errstate(all=mode):
                    return mine(xp, v).round(d)

            found.check((dtype, d, mode), body)
    found.check("whole", lambda xp: mine(xp, numpy.array([149, 150, 151, -150, 2**40])).round(-2))
    found.check("too large", lambda xp: mine(xp, numpy.array([2**63 - 1])).round(-2))
    found.check("identity", lambda xp: (lambda a: a.round() is a)(xp.arange(3)))
    found.check("list", lambda xp: xp.round([1.25, 2.75], 1))
    found.check("scalars", lambda xp: (xp.round(1.25, 1), xp.round(numpy.float32(1.25), 1), xp.round(3, -1)))
    found.done()


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
def test_close(function: str, isa: str) -> None:
    found = Mismatches()
    dtypes = [
        (None, None),
        ("f4", "f4"),
        ("f4", "f8"),
        ("f8", "f4"),
        ("i4", "f8"),
        ("f8", "i4"),
        ("f2", "f2"),
    ]

    def array(xp: Any, x: Any, dtype: Any) -> Any:
        return mine(xp, numpy.array(x, dtype)) if isinstance(x, list) else x

    for (x, y), (s, t), given in itertools.product(PAIRS, dtypes, TOLERANCES):
        with numpy.errstate(all="ignore"):
            try:
                numpy.array(x, s), numpy.array(y, t)
            except (OverflowError, TypeError, ValueError):
                continue
        found.check(
            (x, y, s, t, given),
            lambda xp, x=x, y=y, s=s, t=t, g=given: getattr(xp, function)(
                array(xp, x, s), array(xp, y, t), **g
            ),
        )
    a, b = [1.0, 2.0], [1.0, 2.5]
    found.check("position", lambda xp: getattr(xp, function)(xp.array(a), xp.array(b), 0.5, 0.1, True))
    found.check("names", lambda xp: getattr(xp, function)(a=xp.array(a), b=xp.array(b)))
    found.check("lists", lambda xp: getattr(xp, function)(a, b))
    found.check("one", lambda xp: getattr(xp, function)(xp.array(a)))
    found.done(2000)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "?"])
def test_close_layouts(dtype: str, isa: str) -> None:
    found = Mismatches()
    for i, k in itertools.product(EACH, EACH):

        def body(xp: Any, i: int = i, k: int = k) -> Any:
            x, y = layouts(xp, dtype)[i], layouts(xp, "f4" if dtype == "f4" else "f8")[k]
            return (xp.isclose(x, y), xp.allclose(x, y), xp.isclose(x, x, equal_nan=True))

        found.check((i, k), body)
    found.done(300)


def test_close_events(isa: str) -> None:
    """NumPy tells of everything but invalid values."""
    found = Mismatches()
    for mode, function in itertools.product(("warn", "raise", "ignore", "print"), ("isclose", "allclose")):
        for x, y in (([1e308], [-1e308]), ([1e-320], [1e-310]), ([INF], [INF]), ([NAN], [1.0])):

            def body(xp: Any, mode: str = mode, f: str = function, x: Any = x, y: Any = y) -> Any:
                with xp.errstate(all=mode):
                    return getattr(xp, f)(xp.array(x), xp.array(y), rtol=1e-300)

            found.check((mode, function, x, y), body)
    found.done()


def test_close_in_pieces(isa: str) -> None:
    found = Mismatches()
    for n in (511, 512, 513, 5000):
        x = samples.generator("close").normal(size=n)
        y = x + numpy.where(numpy.arange(n) % 7 == 0, 1e-3, 0.0)
        for s, t in (("f8", "f8"), ("f4", "f4"), ("f4", "f8")):

            def body(xp: Any, x: Any = x, y: Any = y, s: str = s, t: str = t) -> Any:
                a, b = mine(xp, x.astype(s)), mine(xp, y.astype(t))
                return (xp.isclose(a, b), xp.isclose(a, 0.5, atol=0.1), xp.allclose(a, b), xp.allclose(a, a))

            found.check((n, s, t), body)
    found.done()


# ---- vectors


def rules_of_product(a: Any, b: Any) -> Rules:
    """Sums are taken in any order."""
    dtype = numpy.result_type(a, b)
    if dtype.kind not in "fc" or not a.ndim or not b.ndim:
        return EXACT
    most = [float(numpy.abs(x[numpy.isfinite(x)]).max(initial=0)) for x in (a, b)]
    return Rules(atol=4 * a.size * float(numpy.finfo(dtype).eps) * most[0] * most[1])


@pytest.mark.parametrize("function", ["dot", "inner", "vdot"])
def test_products(function: str) -> None:
    found = Mismatches()
    for dtype, other in [*((t, t) for t in DTYPES), ("f8", "i8"), ("f4", "f8")]:
        for i, k in itertools.product(EACH, EACH):
            body = lambda xp, i=i, k=k, s=dtype, t=other: getattr(xp, function)(  # noqa: E731
                layouts(xp, s)[i], layouts(xp, t)[k]
            )
            pair = (layouts(numpy, dtype)[i], layouts(numpy, other)[k])
            rules = rules_of_product(*pair)
            found.check((dtype, other, i, k), body, rules)
            if function == "dot":
                found.check(
                    (dtype, i, k),
                    lambda xp, i=i, k=k, s=dtype, t=other: layouts(xp, s)[i].dot(layouts(xp, t)[k]),
                    rules_on(*pair, rules=rules),
                )
    for n in (1, 2, 3, 7, 8, 64, 499, 500, 501, 1000, 12_345, 100_000):
        for dtype, step in itertools.product(("f8", "f4", "i8", "?", "u1"), (1, 2, -1)):
            x = (samples.generator(f"dot {n}").normal(size=2 * n) * 9).astype(dtype)
            found.check(
                (n, dtype, step),
                lambda xp, x=x, n=n, s=step: getattr(xp, function)(mine(xp, x)[::s][:n], mine(xp, x)[:n]),
                rules_of_product(x[:n], x[:n]),
            )
    special: list[list[float]] = [
        [-0.0],
        [-0.0, -0.0],
        [INF, 1.0],
        [NAN, 0.0],
        [1e308, 1e308],
        [1e-200, 1e-200],
    ]
    for x, y in itertools.product(special, special):
        for mode in ("warn", "raise", "ignore"):

            def event(xp: Any, x: Any = x, y: Any = y, mode: str = mode) -> Any:
                with xp.errstate(all=mode):
                    return getattr(xp, function)(xp.array(x), xp.array(y))

            found.check((x, y, mode), event)
    found.check("lists", lambda xp: getattr(xp, function)([1.0, 2.0], [3.0, 4.0]))
    found.check("list", lambda xp: getattr(xp, function)(xp.arange(2.0), [3.0, 4.0]))
    found.check("scalar", lambda xp: getattr(xp, function)(xp.arange(2.0), 3.0))
    found.check("names", lambda xp: getattr(xp, function)(a=xp.arange(2.0), b=xp.arange(2.0)))
    found.check("name", lambda xp: getattr(xp, function)(xp.arange(2.0), b=xp.arange(2.0)))
    found.check("out", lambda xp: getattr(xp, function)(xp.arange(2.0), xp.arange(2.0), out=xp.array(0.0)))
    found.check("no out", lambda xp: getattr(xp, function)(xp.arange(2.0), xp.arange(2.0), out=None))
    found.check("one", lambda xp: getattr(xp, function)(xp.arange(2.0)))
    found.done(500)


def test_norm() -> None:
    found = Mismatches()
    keywords: list[dict[str, Any]] = [
        *(
            {},
            {"ord": None},
            {"ord": 2},
            {"ord": 1},
            {"ord": INF},
            {"ord": "fro"},
            {"ord": "f"},
            {"ord": "nuc"},
        ),
        *({"ord": 2.0}, {"ord": 0}, {"axis": None}, {"axis": 0}, {"keepdims": True}, {"keepdims": False}),
        *({"axis": 0, "keepdims": True}, {"ord": 2, "axis": None, "keepdims": True}, {"nonsense": 1}),
    ]
    for dtype, i, given in itertools.product(DTYPES, EACH, keywords):
        if given.get("axis") == 0 or (given.get("ord") in (1, 2, 2.0, INF, "nuc") and i not in (9, 10)):
            continue  # the sums along an axis have their own order
        found.check(
            (dtype, i, given), lambda xp, d=dtype, i=i, g=given: xp.linalg.norm(layouts(xp, d)[i], **g)
        )
    for values in ([3.0, 4.0], [NAN, 1.0], [INF, 1.0], [1e300, 1.0], [1e-300, 0.0], [-0.0, 0.0], [-0.0], []):
        for mode in ("warn", "raise", "ignore"):

            def body(xp: Any, v: Any = values, mode: str = mode) -> Any:
                with xp.errstate(all=mode):
                    return (xp.linalg.norm(xp.array(v)), xp.linalg.norm(xp.array(v, "f4")))

            found.check((values, mode), body)
    found.check("list", lambda xp: xp.linalg.norm([3.0, 4.0]))
    for n in (2, 100, 499, 501, 10_000, 20_001):
        found.check(n, lambda xp, n=n: xp.linalg.norm(xp.arange(float(n))))
    found.done(300)


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
    for name, call in native.items():
        with counted() as count:
            call()
        assert count.total == count.native > 0, name
    numpys: dict[str, Callable[[], Any]] = {
        "norm": lambda: raptors.linalg.norm(a),
        "norm ord": lambda: raptors.linalg.norm(a, 2),
        "norm matrix": lambda: raptors.linalg.norm(m.T, "fro"),
    }
    for name, call in numpys.items():
        with counted() as count:
            call()
        assert count.native == 0, name
        assert [row["reason"] for row in count.rows] == [LOOP], name


FAR = [2**31, 2**31 - 1, -(2**31), -(2**31) - 1, 2**63, -(2**63) - 1, 10**30, 401, -401, 400, 309, -309]


@pytest.mark.parametrize("dtype", [*samples.DTYPES, "f2", "c8", "c16"])
def test_round_far_from_the_point(dtype: str) -> None:
    """Beyond a C int NumPy raises. Just below it takes seconds to find infinity, as for 400 decimals."""
    found = Mismatches()
    for a in (numpy.array([0, 1, 100]).astype(dtype), numpy.array(1).astype(dtype)):
        for decimals in FAR:
            fits = -(2**31) <= decimals < 2**31
            asked = max(-400, min(decimals, 400)) if fits else decimals

            def method(xp: Any, a: Any = a, d: int = decimals, asked: int = asked) -> Any:
                return mine(xp, a).round(d if xp is raptors else asked)

            def function(xp: Any, a: Any = a, d: int = decimals, asked: int = asked) -> Any:
                return xp.round(mine(xp, a), decimals=d if xp is raptors else asked)

            found.check((dtype, a.shape, decimals, "method"), method)
            found.check((dtype, a.shape, decimals, "function"), function)
    found.done(2 * 2 * len(FAR))
    with numpy.errstate(all="ignore"):
        assert numpy.isnan(raptors.round([1.5], 2**31 - 1)).all()
