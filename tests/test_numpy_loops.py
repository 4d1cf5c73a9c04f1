"""Ufuncs without kernels: NumPy's own loops, which raptors' frame calls, against NumPy's calls of them."""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, NUMPY, Mismatches, counted, mine, rules_on

import raptors
from raptors import _raptors_core as core

NAN, INF = float("nan"), float("inf")
LOOP = "no kernel: NumPy's own loop"
#: Ufuncs of one or two inputs that have neither kernels nor a signature.
UFUNCS = sorted(
    {
        f.__name__
        for f in vars(numpy).values()
        if isinstance(f, numpy.ufunc)
        and not f.signature
        and f.nin < 3
        and not core._is_native(getattr(raptors, f.__name__, None))
    }
)
CODES = "?bBhHiIlLqQfd"
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 3.0, 1e300, -1e-300, 5e-324, NAN, INF, -INF, 700.0, 1e-8]


def sample(code: str, n: int, seed: str = "") -> Any:
    """Ordinary and special values of one dtype."""
    rng = samples.generator(f"loops {code} {n} {seed}")
    with numpy.errstate(all="ignore"):
        if code in "fd":
            values = rng.normal(size=n) * 10.0 ** rng.integers(-3, 3, n)
            values[: min(n, len(SPECIAL))] = rng.permutation(SPECIAL)[: min(n, len(SPECIAL))]
            return values.astype(code)
        return rng.integers(-9, 9, n).astype(code)


def loop_share(call: Callable[[], Any]) -> tuple[int, int]:
    """How many calls were counted, and how many of them as NumPy's own loops."""
    with counted() as count:
        call()
    return count.total, sum(row["numpy"] for row in count.rows if row["reason"] == LOOP)


def operands(name: str, codes: str, n: int) -> list[Any]:
    return [sample(code, n, f"{name}{i}") for i, code in enumerate(codes)]


@pytest.mark.parametrize("name", UFUNCS)
def test_dtypes(name: str) -> None:
    """Every mix of dtypes: the same values to the last bit, the same dtypes, warnings and errors."""
    f = getattr(numpy, name)
    found = Mismatches()
    for codes in itertools.product(CODES + "eg", repeat=f.nin):
        if f.nin == 2 and codes[0] != codes[1] and not {"d", "i"} & {*codes}:
            continue
        for n in (1, 3, 8, 100, 1001) if f.nin == 1 else (1, 8, 33):
            given = operands(name, "".join(codes), n)
            found.check(
                (codes, n),
                lambda xp, g=given: getattr(xp, name)(*(mine(xp, x.copy()) for x in g)),
            )
    found.done()


@pytest.mark.parametrize("name", UFUNCS)
def test_scalars(name: str) -> None:
    f = getattr(numpy, name)
    values: list[Any] = [2, 2.5, True, -3, 0.0, NAN, 2**40, 2**70, 1e300]
    values += [numpy.float64(1.5), numpy.float32(1.5), numpy.int8(3), numpy.uint64(7), numpy.bool(True)]
    values += [numpy.float16(2), 1 + 2j, "a", None, [1.0, 2.0], numpy.array(2.5), numpy.array(3)]
    arrays = [numpy.array([1.0, 2.0, 0.5]), numpy.array([1, 2, 3]), numpy.array([1.5, 2], "f4")]
    found = Mismatches()
    if f.nin == 1:
        for x in values:
            found.check(x, lambda xp, x=x: getattr(xp, name)(mine(xp, x)))
    else:
        for x, y in itertools.product(values + arrays, values + arrays):
            if getattr(x, "shape", ()) and getattr(y, "shape", ()) and x.shape != y.shape:
                continue
            found.check((x, y), lambda xp, x=x, y=y: getattr(xp, name)(mine(xp, x), mine(xp, y)))
    found.done(10)


def layouts(xp: Any, dtype: str) -> list[Any]:
    a = mine(xp, numpy.linspace(0.1, 9, 24).astype(dtype).reshape(2, 3, 4))
    unaligned = numpy.zeros(24 * a.itemsize + 1, "u1")[1:].view(dtype)
    unaligned[...] = numpy.asarray(a).ravel()
    frozen = a.copy()
    frozen.flags.writeable = False
    return [
        *(a, a.T, a[:, ::2], a[::-1], a.transpose(1, 0, 2), xp.asfortranarray(a), a[:1], a[..., :1]),
        *(
            a[0, 0],
            a[0, 0, ::2],
            a[0, 0, ::-1],
            a[0, :, 1],
            a[0],
            a[0].T,
            a[0, 0, 0:0],
            a[:, :0],
            a[1, 2, 3:],
        ),
        *(mine(xp, unaligned), frozen, xp.array(a[0, 0, 0]), a.astype(a.dtype.newbyteorder())),
        mine(xp, numpy.broadcast_to(numpy.asarray(a[0, 0, :1]), (4,))),
    ]


@pytest.mark.parametrize("name", ["log", "arctan2", "floor_divide", "power", "modf", "divmod", "frexp"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_layouts(name: str, dtype: str) -> None:
    f = getattr(numpy, name)
    if dtype == "i4" and "i->" not in str(f.types) and f.nin == 1 and name != "log":
        pytest.skip("it has no loop for integers: they are converted, which test_dtypes covers")
    found = Mismatches()
    each = range(len(layouts(numpy, dtype)))
    for index in itertools.product(each, repeat=f.nin):

        def body(xp: Any, index: Any = index) -> Any:
            every = layouts(xp, dtype)
            return getattr(xp, name)(*(every[i] for i in index))

        found.check(index, body)
    found.done(15)


@pytest.mark.parametrize("name", ["log", "hypot"])
def test_outputs(name: str) -> None:
    """out= of every layout and dtype, by position and keyword, overlapping the inputs or not."""
    f = getattr(numpy, name)
    found = Mismatches()
    each = range(len(layouts(numpy, "f8")))
    for i, o, dtype in itertools.product(each, each, ("f8", "f4", "i8", "c16")):

        def body(xp: Any, i: int = i, o: int = o, dtype: str = dtype) -> Any:
            x, out = layouts(xp, "f8")[i], layouts(xp, dtype)[o]
            got = getattr(xp, name)(*([x] * f.nin), out=out)
            return (got, got is out)

        found.check((i, o, dtype), body)
    shifted: list[Callable[[Any], Any]] = [
        lambda a: (a[:-1], a[1:]),
        lambda a: (a[1:], a[:-1]),
        lambda a: (a, a),
        lambda a: (a, a[::-1]),
        lambda a: (a[::2], a[::2]),
        lambda a: (a[:4], a[4:]),
        lambda a: (a[::2], a[1::2]),
    ]
    for k, pick in enumerate(shifted):

        def overlapping(xp: Any, pick: Any = pick) -> Any:
            a = mine(xp, numpy.linspace(0, 3, 8))
            x, out = pick(a)
            return (getattr(xp, name)(*([x] * f.nin), out), a)

        found.check(("overlap", k), overlapping)
    keywords: list[dict[str, Any]] = [
        *(
            {"out": None},
            {"where": True},
            {"dtype": "f4"},
            {"dtype": "f8"},
            {"casting": "no"},
            {"order": "F"},
        ),
        *({"subok": False}, {"out": ()}, {"out": 3}, {"nonsense": 1}, {"signature": "d"}, {"dtype": None}),
    ]
    for given in keywords:
        found.check(
            given,
            lambda xp, g=given: getattr(xp, name)(*([mine(xp, numpy.linspace(0, 3, 8))] * f.nin), **g),
        )
    ours = lambda xp: mine(xp, numpy.linspace(0, 3, 8))  # noqa: E731
    found.check("tuple", lambda xp: getattr(xp, name)(*([ours(xp)] * f.nin), out=(ours(xp),)))
    found.check(
        "where",
        lambda xp: getattr(xp, name)(*([ours(xp)] * f.nin), out=ours(xp), where=ours(xp) > 1),
    )
    found.check("none", lambda xp: getattr(xp, name)())
    found.check("many", lambda xp: getattr(xp, name)(*([ours(xp)] * 5)))
    found.done(500)


EVENTS: dict[str, Callable[[Any], Any]] = {
    "overflow": lambda xp: xp.sinh(xp.array([1.0, 1000.0])),
    "underflow": lambda xp: xp.power(xp.array([1.0, 1e-200]), xp.array([2.0, 2.0])),
    "divide": lambda xp: xp.log(xp.array([1.0, 0.0])),
    "invalid": lambda xp: xp.log(xp.array([1.0, -1.0])),
    "integer": lambda xp: xp.array([1, 2]) // xp.array([1, 0]),
    "scalar": lambda xp: xp.log(0.0),
    "two outputs": lambda xp: xp.divmod(xp.array([1.0, 2.0]), xp.array([0.0, 1.0])),
    "power": lambda xp: xp.array([10.0, 1e200]) ** 3,
    "single": lambda xp: xp.sinh(xp.array([1.0, 1000.0], "f4")),
    "out": lambda xp: xp.log(xp.array([1.0, 0.0]), out=xp.zeros(2)),
    "quiet": lambda xp: xp.log(xp.array([NAN, INF])),
}


@pytest.mark.parametrize("event", EVENTS)
def test_events(event: str) -> None:
    """Floating-point events go where numpy.errstate says, in NumPy's words."""
    found = Mismatches()
    for mode in ("warn", "ignore", "raise", "call", "print"):
        seen: list[Any] = []

        def body(xp: Any, mode: str = mode, seen: list[Any] = seen) -> Any:
            call = (lambda *words: seen.append((xp.__name__, words))) if mode == "call" else None
            with xp.errstate(all=mode, call=call):
                return EVENTS[event](xp)

        found.check(mode, body)
        assert [w for x, w in seen if x == "numpy"] == [w for x, w in seen if x == "raptors"]
    found.done()


def test_integers_to_negative_powers() -> None:
    found = Mismatches()
    found.check("array", lambda xp: xp.array([1, 2]) ** xp.array([1, -1]))
    found.check("scalar", lambda xp: xp.power(2, -1))
    found.check("long", lambda xp: xp.power(xp.full(5000, 2), xp.full(5000, -1)))
    exponents = numpy.zeros(300_000, int)
    for at in (0, 150_000, 299_999):  # by no thread of the pool, whose exceptions nobody would see
        exponents[:] = 0
        exponents[at] = -1
        with raptors.threads(4):
            found.check(at, lambda xp: xp.power(mine(xp, exponents + 2), mine(xp, exponents)))
    found.done()


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "//": operator.floordiv,
    "%": operator.mod,
    "divmod": divmod,
    "**": operator.pow,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
}


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators(sign: str) -> None:
    found = Mismatches()
    arrays: list[Any] = [
        *(numpy.array([1.5, -2.0, 0.0, 7.25]), numpy.array([2, -3, 5, 1]), numpy.array([2, 3, 0, 1], "u1")),
        *(numpy.array([1.5, 2, -1, 3], "f4"), numpy.array([True, False, True, True]), numpy.array(3.0)),
        *(numpy.array([1 + 1j] * 4), numpy.array([1, 2, 3, 4], "f2"), numpy.ones((3, 4)), numpy.arange(4).T),
    ]
    numbers: list[Any] = [
        *(3, 3.0, 2, 2.0, -1, -1.0, 0, 0.0, 0.5, 1, 1.0, -2, 2.5, 2**40, 2**70, True, 1j, NAN, -0.5),
        *(numpy.float64(3), numpy.float32(2.5), numpy.int64(3), numpy.int8(2), "a", None, [1, 2, 3, 4]),
    ]
    f = OPERATORS[sign]
    for x, y in itertools.product(arrays, arrays + numbers):
        found.check((x, y), lambda xp, x=x, y=y: f(mine(xp, x.copy()), mine(xp, y)), rules_on(x))
        if not sign.endswith("="):
            found.check((y, x), lambda xp, x=x, y=y: f(mine(xp, y), mine(xp, x.copy())), rules_on(x))
    found.done(200)


def test_other_types_are_declined() -> None:
    class Sub(raptors.ndarray):  # type: ignore[misc]
        pass

    class Foreign:
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
            return (ufunc, method)

        __array_priority__ = 5.0

    a = raptors.arange(1.0, 5.0)
    sub = a.view(Sub)
    assert type(raptors.log1p(sub)) is Sub
    assert type(raptors.hypot(a, sub)) is Sub
    assert type(a // sub) is type(sub // a) is type(a**sub) is Sub
    assert raptors.hypot(a, Foreign()) == (numpy.hypot, "__call__")
    assert raptors.log1p(a, out=Foreign()) == (numpy.log1p, "__call__")
    masked = numpy.ma.masked_array([1.0, 2.0, 3.0, 4.0], [True, False, False, False])
    assert isinstance(a // masked, numpy.ma.MaskedArray)
    assert isinstance(raptors.hypot(a, masked), numpy.ma.MaskedArray)
    assert type(numpy.log1p(a)) is raptors.ndarray
    assert type(raptors.log1p(numpy.arange(3.0))) is raptors.ndarray


def test_long_arrays() -> None:
    """Beyond the length from which the GIL is released."""
    found = Mismatches()
    for n in (500, 501, 8192, 8193, 100_003):
        found.check(n, lambda xp, n=n: (xp.sin(xp.arange(float(n))), xp.log1p(xp.arange(n) % 50)))
        found.check((n, "pow"), lambda xp, n=n: xp.arange(float(n)) ** 1.5)
    found.done()


def test_loops_are_looked_up_in_the_table() -> None:
    """A loop that a program registers for its own type does not touch the others."""
    f = raptors.frompyfunc(lambda x, y: x + y, 2, 1)
    assert f(raptors.arange(3), raptors.arange(3)).tolist() == [0, 2, 4]
    assert raptors.log1p(raptors.array([0.0, 1.0])).tolist() == numpy.log1p([0.0, 1.0]).tolist()


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_the_ledger_says_whose_loop_ran() -> None:
    a, b, i = raptors.linspace(1, 2, 8), raptors.full(8, 2.0), raptors.arange(8)
    out = raptors.empty(8)
    calls: dict[str, Callable[[], Any]] = {
        "log1p": lambda: raptors.log1p(a),
        "of integers": lambda: raptors.log1p(i),
        "out": lambda: raptors.log1p(a, out=out),
        "positional out": lambda: raptors.log1p(a, out),
        "two": lambda: raptors.hypot(a, b),
        "scalar": lambda: raptors.power(a, 3),
        "scalars": lambda: raptors.log1p(2.0),
        "NumPy's scalar": lambda: raptors.log1p(numpy.float64(3)),
        "strided": lambda: raptors.log1p(a[::2]),
        "F order": lambda: raptors.log1p(raptors.ones((3, 4)).T),
        "two results": lambda: raptors.frexp(a),
        "//": lambda: i // 3,
        "%": lambda: a % b,
        "**": lambda: a**3,
        "** array": lambda: 2.0**a,
        "//=": lambda: operator.ifloordiv(a.copy(), 2.0),
        "by numpy": lambda: numpy.log1p(a),
    }
    for name, call in calls.items():
        total, loops = loop_share(call)
        assert loops == 1, name
        assert total - loops in (0, 1), name
    raptors.log1p(a)
    last = raptors.explain_last_dispatch()
    assert (last["op"], last["backend"], last["reason"]) == ("log1p", "numpy", LOOP)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raptors.log1p(raptors.array([NAN, INF]))


@pytest.mark.skipif(NUMPY < (2, 1), reason="old headers")
def test_every_ufunc_has_a_place() -> None:
    assert {"log", "sin", "power", "floor_divide", "hypot", "logaddexp", "frexp"} <= {*UFUNCS}
