"""Products of matrices, vectors and stacks: shapes, layouts, dtypes, errors, events and outputs as NumPy's.

Sums may be taken in any order: floats are compared within gamma_k |A||B|, integers to the last bit.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import ANY_ZERO, DISABLED, EXACT, Mismatches, Rules, close, counted, python, python_ok, rules_on

import raptors
from raptors import _raptors_core as core

UFUNCS = [name for name in ("matmul", "vecdot", "matvec", "vecmat") if hasattr(numpy, name)]
FUNCTIONS = [*UFUNCS, "dot", "inner"]
SHAPES = [
    *(
        (),
        (1,),
        (3,),
        (4,),
        (0,),
        (3, 4),
        (4, 3),
        (4, 4),
        (1, 4),
        (4, 1),
        (0, 4),
        (4, 0),
        (2, 3, 4),
        (2, 4, 3),
    ),
    *((1, 4, 4), (5, 1, 4, 3), (3, 4, 4), (10, 10), (33, 33), (2, 0, 4), (2, 5, 4, 4)),
]
DTYPES = ["f8", "f4", "i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1", "?", "q"]


def numbers(dtype: str, shape: tuple[int, ...], *key: Any) -> Any:
    """Without cancellation, so that a relative bound holds."""
    rng = samples.generator("products", dtype, shape, *key)
    return (rng.random(shape) * (2 if dtype == "?" else 200)).astype(dtype)


def layouts(a: Any) -> dict[str, Callable[[Any], Any]]:
    """The same elements in other places, made by each library itself."""
    return {
        "C": lambda xp: xp.array(a),
        "F": lambda xp: xp.asfortranarray(xp.array(a)),
        "reversed": lambda xp: xp.array(a[..., ::-1].copy())[..., ::-1],
        "every other": lambda xp: xp.repeat(xp.array(a), 2, axis=-1)[..., ::2],
        "turned": lambda xp: xp.array(numpy.swapaxes(a, -1, -2).copy()).swapaxes(-1, -2),
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_shape(dtype: str, isa: str) -> None:
    found = Mismatches()
    for s, t in itertools.product(SHAPES, SHAPES):
        a, b = numbers(dtype, s), numbers(dtype, t, 1)
        rules = close(a.dtype, 40)
        for name in FUNCTIONS:
            found.check(
                (name, s, t),
                lambda xp, a=a, b=b, name=name: getattr(xp, name)(xp.array(a), xp.array(b)),
                rules,
            )
        found.check(("@", s, t), lambda xp, a=a, b=b: xp.array(a) @ xp.array(b), rules)
        rules = rules_on(numpy.asarray(a), rules=rules)
        found.check((".dot", s, t), lambda xp, a=a, b=b: xp.array(a).dot(xp.array(b)), rules)
    found.done(2000)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u1", "?"])
def test_every_layout(dtype: str, isa: str) -> None:
    found = Mismatches()
    for s, t in (
        *(((5, 7), (7, 6)), ((40, 30), (30, 50)), ((3, 8, 9), (3, 9, 4)), ((2, 3, 4, 5), (5, 6))),
        *(((1, 9), (9, 30)), ((30, 9), (9, 1)), ((64, 1), (1, 64)), ((2, 1, 4, 5), (3, 5, 6))),
    ):
        a, b = numbers(dtype, s), numbers(dtype, t, 1)
        for (one, x), (other, y) in itertools.product(layouts(a).items(), layouts(b).items()):
            found.check((s, t, one, other), lambda xp, x=x, y=y: x(xp) @ y(xp), close(a.dtype, 60))
    found.done(150)


def test_most_products_are_native() -> None:
    with counted() as count:
        for dtype in DTYPES:
            for s, t in (
                ((4, 4), (4, 4)),
                ((4, 4), (4,)),
                ((7,), (7, 3)),
                ((3, 2, 5), (5, 2)),
                ((200, 90), (90, 80)),
            ):
                a, b = raptors.array(numbers(dtype, s)), raptors.array(numbers(dtype, t))
                a @ b
                raptors.matmul(a.T.copy().T, b)
                numpy.matmul(a, b)
                raptors.dot(a, b)
                a.dot(b)
    count.of("matmul", "dot").require(0.99, 5 * len(DTYPES))


def exact_bound(a: Any, b: Any, k: int) -> Any:
    eps = float(numpy.finfo(a.dtype).eps)
    gamma = k * eps / 2 / (1 - k * eps / 2)
    return gamma * (abs(a).astype("g") @ abs(b).astype("g"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_error_bound(dtype: str, isa: str) -> None:
    """Higham, Accuracy and Stability of Numerical Algorithms, (3.13): |C - AB| <= gamma_k |A||B|."""
    rng = samples.generator("gamma", dtype)
    for _ in range(60):
        m, k, n = (int(x) for x in rng.integers(1, 150, 3))
        a = (rng.normal(size=(m, k)) * 10.0 ** rng.integers(-3, 3, (m, k))).astype(dtype)
        b = (rng.normal(size=(k, n)) * 10.0 ** rng.integers(-3, 3, (k, n))).astype(dtype)
        got = numpy.asarray(raptors.array(a) @ raptors.array(b)).astype("g")
        exact = a.astype("g") @ b.astype("g")
        assert (abs(got - exact) <= exact_bound(a, b, k + 1)).all(), (m, k, n)


def test_memory_order_of_stacks() -> None:
    """NumPy's, for stacks whose axes lie in any order in memory, and repeat."""
    rng = samples.generator("order of stacks")

    def stack() -> numpy.ndarray[Any, Any]:
        axes = int(rng.integers(0, 4))
        shape = rng.choice([1, 2, 3], axes)
        order = rng.permutation(axes)
        a = rng.random((*shape[order], 3, 3))
        return a.transpose(*numpy.argsort(order), axes, axes + 1)

    compared = 0
    for _ in range(1500):
        a, b = stack(), stack()
        try:
            expected = numpy.matmul(a, b)
        except ValueError:
            continue
        got = a.view(raptors.ndarray) @ b.view(raptors.ndarray)
        lengths = numpy.array(got.shape) > 1
        assert (numpy.array(got.strides)[lengths] == numpy.array(expected.strides)[lengths]).all(), (
            a.shape,
            a.strides,
            b.shape,
            b.strides,
        )
        compared += 1
    assert compared > 500


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "?"])
def test_vectors(dtype: str, isa: str) -> None:
    """Of every length that changes how they are cut, wherever their elements lie."""
    rng = samples.generator("vectors", dtype)
    with counted() as count:
        for n in (*range(70), 127, 1000, 8191, 8193, 16_384, 16_385, 65_537, 200_000):
            a, b = ((rng.normal(size=n) * 100).astype(dtype) for _ in range(2))
            exact = a.astype("g") @ b.astype("g") if a.dtype.kind == "f" else a @ b
            bound = exact_bound(a, b, n + 1) if a.dtype.kind == "f" else 0
            for one, other in itertools.product(("C", "reversed", "every other"), repeat=2):
                got = layouts(a)[one](raptors) @ layouts(b)[other](raptors)
                assert type(got) is a.dtype.type
                assert got == exact or abs(got.astype("g") - exact) <= bound, n
    count.of("matmul").require()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "?"])
def test_rows_times_a_vector(dtype: str, isa: str) -> None:
    """However many rows are read at once, and whatever remains of each."""
    rng = samples.generator("rows", dtype)
    with counted() as count:
        for m, k in (
            *itertools.product(range(2, 20), (2, 7, 8, 9, 31, 64, 65, 300)),
            (50, 3001),
            (70, 20_001),
        ):
            a, x = ((rng.normal(size=shape) * 100).astype(dtype) for shape in ((m, k), k))
            exact = a.astype("g") @ x.astype("g") if a.dtype.kind == "f" else a @ x
            bound = exact_bound(a, x, k + 1) if a.dtype.kind == "f" else 0
            for matrix in (
                raptors.array(a),
                raptors.array(a[::-1].copy())[::-1],
                raptors.repeat(a, 2, axis=0)[::2],
            ):
                got = numpy.asarray(matrix @ raptors.array(x))
                assert got.dtype == a.dtype
                assert got.shape == (m,)
                assert ((got == exact) | (abs(got.astype("g") - exact) <= bound)).all(), (m, k)
    count.of("matmul").require()


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "f2", "i4"])
def test_lone_elements(dtype: str) -> None:
    """With one of them, dot() scales: 0 times NaN is 0, and zeros keep their signs where BLAS does it."""
    found = Mismatches()
    values = [0.0, 1.0, 2.5] if dtype == "i4" else [0.0, -0.0, 1.0, numpy.nan, numpy.inf]
    for x, (s, t) in itertools.product(
        itertools.product(values, values),
        (((1,), (1,)), ((1, 1), (1, 3)), ((3, 1), (1, 1)), ((1, 1), (1,)), ((3, 1), (1,)), ((3, 1), (1, 3))),
    ):
        a, b = numpy.full(s, x[0]).astype(dtype), numpy.full(t, x[1]).astype(dtype)
        for name in ("dot", "inner", "matmul"):

            def body(xp: Any, a: Any = a, b: Any = b, name: str = name) -> Any:
                with xp.errstate(all="ignore"):
                    return getattr(xp, name)(xp.array(a), xp.array(b))

            found.check((name, dtype, x, s, t), body, ANY_ZERO if dtype == "c16" else EXACT)
    found.done(100)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_where_nan_and_infinity_go(dtype: str, isa: str) -> None:
    rng = samples.generator("nan", dtype)
    found = Mismatches()
    for trial in range(150):
        m, k, n = (int(x) for x in rng.integers(1, 40, 3))
        a, b = rng.random((m, k)).astype(dtype), rng.random((k, n)).astype(dtype)
        for x in (a, b):
            for value in (numpy.nan, numpy.inf, -numpy.inf):
                if rng.random() < 0.4:
                    x[int(rng.integers(x.shape[0])), int(rng.integers(x.shape[1]))] = value

        def body(xp: Any, a: Any = a, b: Any = b) -> Any:
            with xp.errstate(all="ignore"):
                return xp.array(a) @ xp.array(b)

        found.check((trial, m, k, n), body, close(dtype, 60))
    found.done(100)


def test_events_are_reported_as_numpys() -> None:
    found = Mismatches()
    huge = numpy.full((3, 3), 1e300)
    mixed = numpy.array([[numpy.inf, 1.0], [0.0, 1.0]])
    tiny = numpy.full((2, 2), 1e-300)
    for a, b in ((huge, huge), (mixed, mixed), (tiny, tiny), (huge, numpy.ones(3))):
        for mode in ("warn", "raise", "ignore"):
            for name in ("matmul", "dot"):

                def body(xp: Any, a: Any = a, b: Any = b, mode: str = mode, name: str = name) -> Any:
                    with xp.errstate(all=mode):
                        return getattr(xp, name)(xp.array(a), xp.array(b))

                found.check((a[0], mode, name), body, close("f8", 10))
    # Padding is not part of the product: nothing is reported of finite matrices of any shape.
    with numpy.errstate(all="raise"):
        for m, k, n in itertools.product((1, 3, 5, 17, 40), repeat=3):
            raptors.ones((m, k)) @ raptors.ones((k, n))
    found.done(20)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_outputs(dtype: str) -> None:
    found = Mismatches()
    a, b = numbers(dtype, (6, 7)), numbers(dtype, (7, 5))
    for name, make in samples.outputs_of_product(dtype).items():
        for form in (lambda o: {"out": o}, lambda o: {"out": (o,)}):

            def body(xp: Any, make: Any = make, form: Any = form) -> Any:
                out = make(xp)
                result = xp.matmul(xp.array(a), xp.array(b), **form(out))
                return result, out, result is out

            found.check(name, body, close(dtype, 40))
        found.check(
            (name, "positional"),
            lambda xp, m=make: xp.matmul(xp.array(a), xp.array(b), m(xp)),
            close(dtype, 40),
        )
        found.check(
            (name, "dot"), lambda xp, m=make: xp.dot(xp.array(a), xp.array(b), out=m(xp)), close(dtype, 40)
        )

    square = numbers(dtype, (5, 5))

    def into_input(xp: Any) -> Any:
        c = xp.array(square)
        xp.matmul(c, c, out=c)
        return c

    def into_view(xp: Any) -> Any:
        c = xp.array(numbers(dtype, (10, 5)))
        xp.matmul(c[:5], c[5:], out=c[2:7])
        return c

    def in_place(xp: Any) -> Any:
        c = xp.array(square)
        c @= c
        return c

    for body in (into_input, into_view, in_place):
        found.check(body.__name__, body, close(dtype, 40))
    found.done(30)


def test_other_operands_and_keywords() -> None:
    found = Mismatches()
    a, b = numbers("f8", (3, 4)), numbers("f8", (4, 3))
    for other in (
        [[1.0] * 3] * 4,
        2.0,
        None,
        "x",
        numpy.float64(1),
        a.astype("f4").T,
        a.astype("i4").T,
        a.astype("c16").T,
    ):
        found.check(("right", other), lambda xp, o=other: xp.array(a) @ o, close("f8", 40))
        found.check(("left", other), lambda xp, o=other: o @ xp.array(b.T), close("f8", 40))
        found.check(("dot", other), lambda xp, o=other: xp.dot(xp.array(a), o), close("f8", 40))
    for given in (
        *(
            {"dtype": "f4"},
            {"casting": "no"},
            {"order": "F"},
            {"axes": [(0, 1), (0, 1), (0, 1)]},
            {"nonsense": 1},
        ),
        *({"keepdims": True}, {"axis": 0}, {"where": True}, {"subok": False}, {"signature": "dd->d"}),
    ):
        found.check(given, lambda xp, g=given: xp.matmul(xp.array(a), xp.array(b), **g), close("f4", 40))
        found.check(
            ("vecdot", str(given)),
            lambda xp, g=given: xp.vecdot(xp.array(a), xp.array(a), **g),
            close("f4", 40),
        )
    found.check("one", lambda xp: xp.matmul(xp.array(a)))
    found.check("four", lambda xp: xp.matmul(xp.array(a), xp.array(b), None, None))
    found.check("keyword inputs", lambda xp: xp.matmul(x1=xp.array(a), x2=xp.array(b)))
    found.done(30)


def test_two_dtypes() -> None:
    """The lesser operand is converted; every pair, layout and function."""
    found = Mismatches()
    with counted() as count:
        for one, other in itertools.permutations(DTYPES, 2):
            for s, t in (((4, 5), (5, 3)), ((7,), (7,)), ((2, 3, 4), (4,)), ((4,), (3, 4, 2))):
                a, b = numbers(one, s), numbers(other, t, 1)
                rules = close(numpy.result_type(a, b), 40)
                for name in ("matmul", "dot"):
                    found.check(
                        (name, one, other, s, t),
                        lambda xp, a=a, b=b, name=name: getattr(xp, name)(xp.array(a), xp.array(b)),
                        rules,
                    )
    count.of("matmul", "dot").require(1.0, 1000)
    for one, other in (("f4", "f8"), ("i4", "f8"), ("i8", "u8"), ("i1", "f4"), ("l", "q")):
        a, b = numbers(one, (6, 7)), numbers(other, (7, 5), 1)
        for (_, x), (_, y) in itertools.product(layouts(a).items(), layouts(b).items()):
            found.check((one, other), lambda xp, x=x, y=y: x(xp) @ y(xp), close("f4", 40))
        for dtype in ("f8", "f4", "i8"):

            def into(xp: Any, a: Any = a, b: Any = b, dtype: str = dtype) -> Any:
                out = xp.zeros((6, 5), dtype)
                return xp.matmul(xp.array(a), xp.array(b), out=out), out

            found.check((one, other, dtype, "out"), into, close("f4", 40))
            found.check(
                (one, other, dtype, "dot"),
                lambda xp, a=a, b=b, d=dtype: xp.dot(xp.array(a), xp.array(b), out=xp.zeros((6, 5), d)),
                close("f4", 40),
            )

    def into_operand(xp: Any) -> Any:
        a = xp.array(numbers("f8", (5, 5)))
        xp.matmul(a, xp.array(numbers("i4", (5, 5))), out=a)
        return a

    found.check("into an operand", into_operand, close("f8", 40))
    for other in (">f8", "c8", "g", "O", "m8[s]", "S3"):
        found.check(other, lambda xp, o=other: xp.ones((3, 3)) @ xp.array(numpy.ones((3, 3), "i4").astype(o)))
    for shape in ((), (5,), (3, 4, 4)):
        found.check(shape, lambda xp, s=shape: xp.dot(xp.ones((3, 3)), xp.ones(s, "i4")))
    found.done(1000)


def test_half_precision() -> None:
    """Sums in float32, rounded once; NumPy's events."""
    found = Mismatches()
    with counted() as count:
        for s, t in itertools.product(SHAPES, SHAPES):
            a, b = numbers("f2", s), numbers("f2", t, 1)
            for name in FUNCTIONS:
                found.check(
                    (name, s, t),
                    lambda xp, a=a, b=b, name=name: getattr(xp, name)(xp.array(a), xp.array(b)),
                    close("f2"),
                )
        a, b = numbers("f2", (3, 6, 7)), numbers("f2", (7, 5), 1)
        for (one, x), (other, y) in itertools.product(layouts(a).items(), layouts(b).items()):
            found.check((one, other), lambda xp, x=x, y=y: x(xp) @ y(xp), close("f2"))
            found.check((one, other, "vdot"), lambda xp, x=x: xp.vdot(x(xp), x(xp)), close("f2", 60))
        for other in ("?", "i1", "u1", "i2", "f4", "f8", "i8"):
            c = numbers(other, (7, 5), 2)
            rules = close(numpy.result_type("f2", other))
            found.check(other, lambda xp, c=c: xp.array(a) @ xp.array(c), rules)
            found.check((other, "left"), lambda xp, c=c: xp.dot(xp.array(c).T, xp.array(a[0]).T), rules)
    assert DISABLED or count.of("matmul", "dot").native > 200
    values = [0.0, -0.0, 1.0, 65504.0, 300.0, -300.0, 6e-8, 1e-4, 2e-3, numpy.inf, numpy.nan]
    for x, y in itertools.product(values, values):
        for mode, name, n in itertools.product(("warn", "raise", "ignore"), ("matmul", "dot"), (1, 3)):

            def body(xp: Any, x: Any = x, y: Any = y, n: int = n, mode: str = mode, name: str = name) -> Any:
                with xp.errstate(all=mode):
                    return getattr(xp, name)(xp.full((n, n), x, "f2"), xp.full((n, n), y, "f2"))

            found.check((x, y, n, mode, name), body)
    every = numpy.arange(1 << 16, dtype="u2").view("f2")
    every = every[numpy.isfinite(every)].reshape(-1, 1)
    found.check("every half", lambda xp: xp.array(every) @ xp.ones((1, 1), "f2"))
    found.check("out", lambda xp: xp.matmul(xp.array(a[0]), xp.array(b), out=xp.zeros((6, 5), "f2")))
    found.done(3000)


def complex_numbers(dtype: str, shape: tuple[int, ...], *key: Any) -> Any:
    rng = samples.generator("complex", dtype, shape, *key)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex_numbers(dtype: str, isa: str) -> None:
    found = Mismatches()
    eps = float(numpy.finfo(dtype).eps)
    with counted() as count:
        for s, t in itertools.product(SHAPES, SHAPES):
            a, b = complex_numbers(dtype, s), complex_numbers(dtype, t, 1)
            for name in FUNCTIONS:
                found.check(
                    (name, s, t),
                    lambda xp, a=a, b=b, name=name: getattr(xp, name)(xp.array(a), xp.array(b)),
                    Rules(atol=500 * eps, zero_sign=False),
                )
        for s, t in (
            *(((5, 7), (7, 6)), ((40, 30), (30, 50)), ((3, 8, 9), (3, 9, 4)), ((2, 3, 4, 5), (5, 6))),
            *(((9, 200), (200, 30)), ((70, 9), (9, 1)), ((2, 1, 4, 5), (3, 5, 6)), ((300, 40), (40, 60))),
        ):
            a, b = complex_numbers(dtype, s), complex_numbers(dtype, t, 1)
            rules = Rules(atol=2000 * eps)
            for (one, x), (other, y) in itertools.product(layouts(a).items(), layouts(b).items()):
                found.check((s, t, one, other), lambda xp, x=x, y=y: x(xp) @ y(xp), rules)
            shape = (a @ b).shape
            for step in (1, 2, -1):

                def into(xp: Any, a: Any = a, b: Any = b, n: int = step, shape: Any = shape) -> Any:
                    out = xp.zeros((*shape[:-1], shape[-1] * abs(n)), dtype)[..., ::n]
                    return xp.matmul(xp.array(a), xp.array(b), out=out), out

                found.check((s, t, step, "out"), into, rules)
    assert DISABLED or count.of("matmul").native > 200
    rng = samples.generator("complex nan")
    for trial in range(100):
        m, k, n = (int(x) for x in rng.integers(2, 30, 3))
        a, b = complex_numbers(dtype, (m, k), trial), complex_numbers(dtype, (k, n), trial)
        for x in (a, b):
            if rng.random() < 0.6:
                x[int(rng.integers(x.shape[0])), int(rng.integers(x.shape[1]))] = numpy.nan

        def body(xp: Any, a: Any = a, b: Any = b) -> Any:
            with xp.errstate(all="ignore"):
                return xp.array(a) @ xp.array(b)

        found.check((trial, m, k, n), body, Rules(atol=2000 * eps))
    for value, mode in itertools.product((1e300, 1e-300, 1.0), ("warn", "raise", "ignore")):

        def event(xp: Any, value: float = value, mode: str = mode) -> Any:
            with xp.errstate(all=mode):
                return xp.matmul(xp.full((3, 3), value, "c16"), xp.full((3, 3), value, "c16"))

        found.check((value, mode), event)
    found.done(1000)


def test_bits_of_complex_products() -> None:
    code = """
import hashlib, numpy, raptors as np
rng = numpy.random.default_rng(4)
digest = hashlib.sha256()
for m, k, n in ((3, 3, 3), (33, 65, 17), (200, 300, 150), (600, 500, 70)):
    for dtype in ("c8", "c16"):
        shapes = ((m, k), (k, n))
        a, b = (np.array((rng.normal(size=s) + 1j * rng.normal(size=s)).astype(dtype)) for s in shapes)
        digest.update((a @ b).tobytes())
        digest.update((np.array(a.T).T @ b).tobytes())
print(digest.hexdigest())
"""
    assert (
        len({python_ok(code, RAPTORS_NUM_THREADS=n, RAPTORS_MIN_PARALLEL="1") for n in ("1", "2", "5")}) == 1
    )


def test_bits_do_not_depend_on_who_works() -> None:
    """Nor on alignment or on the place in a stack."""
    code = """
import hashlib, numpy, raptors as np
rng = numpy.random.default_rng(3)
digest = hashlib.sha256()
for m, k, n in (
    (3, 3, 3), (33, 65, 17), (200, 300, 150), (600, 500, 70), (1, 900, 800), (800, 900, 1), (1, 70000, 1)
):
    for dtype in ("f4", "f8"):
        a, b = (np.array(rng.normal(size=shape).astype(dtype)) for shape in ((m, k), (k, n)))
        digest.update((a @ b).tobytes())
        digest.update((np.array(a.T).T @ b).tobytes())
        moved = np.empty(m * k + 1, dtype)[1:].reshape(m, k)
        moved[...] = a
        assert ((moved @ b) == (a @ b)).all()
        stacked = np.stack([a, a + 1, a]) @ b
        assert (stacked[0] == stacked[2]).all()
print(digest.hexdigest())
"""
    digests = {
        python_ok(code, RAPTORS_NUM_THREADS=threads, RAPTORS_MIN_PARALLEL=least)
        for threads, least in (("1", "1"), ("2", "1"), ("5", "1"), ("2", "100000"))
    }
    assert len(digests) == 1


def test_symmetric_products_are_symmetric(isa: str) -> None:
    rng = samples.generator("symmetric")
    for n, k in ((3, 4), (20, 30), (65, 100), (130, 513)):
        for dtype in ("f4", "f8"):
            a = raptors.array(rng.normal(size=(n, k)).astype(dtype))
            c = a @ a.T
            assert (c == c.T).all()


def test_products_run_beside_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    a, b = raptors.array(numbers("f8", (150, 160))), raptors.array(numbers("f8", (160, 140)))
    wanted = a @ b
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: a @ b, range(200)))
    assert all(numpy.array_equal(r, wanted) for r in results)


def test_subclasses_and_overrides_keep_their_say() -> None:
    found = Mismatches()

    class Own:
        __array_ufunc__ = None

        def __rmatmul__(self, other: Any) -> str:
            return "reflected"

    found.check("None", lambda xp: xp.ones((2, 2)) @ Own())
    found.check("matrix", lambda xp: type(xp.ones((2, 2)) @ xp.matrix([[1.0, 2.0], [3.0, 4.0]])).__name__)
    found.check(
        "masked", lambda xp: type(xp.ones((2, 2)) @ xp.ma.array([[1.0, 2.0], [3.0, 4.0]])).__name__, EXACT
    )
    assert type(numpy.matmul(raptors.ones((2, 2)), numpy.ones((2, 2)))) is raptors.ndarray
    found.done(2)


# ---- who multiplies


needs_blas = pytest.mark.skipif(not core._load_blas(), reason="no BLAS library in this build")


@needs_blas
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_blas_agrees(dtype: str) -> None:
    """Within the same bound, for all layouts that it takes where they lie, and those that it does not."""
    rng = samples.generator("blas", dtype)
    for _ in range(80):
        m, k, n = (int(x) for x in rng.integers(1, 90, 3))
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        exact, bound = a.astype("g") @ b.astype("g"), exact_bound(a, b, k + 1)
        for (_, x), (_, y) in itertools.product(layouts(a).items(), layouts(b).items()):
            with raptors.backend_policy("blas"):
                got = x(raptors) @ y(raptors)
            assert (abs(numpy.asarray(got).astype("g") - exact) <= bound).all(), (m, k, n)
            out = raptors.zeros((n, m), dtype).T
            with raptors.backend_policy("blas"):
                raptors.matmul(x(raptors), y(raptors), out=out)
            assert (abs(numpy.asarray(out).astype("g") - exact) <= bound).all(), (m, k, n)


@needs_blas
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_stacks_by_blas(dtype: str) -> None:
    found = Mismatches()
    with raptors.backend_policy("blas"), counted() as count:
        for s, t in itertools.product(SHAPES, SHAPES):
            a, b = numbers(dtype, s), numbers(dtype, t, 1)
            for name in (*UFUNCS, "dot"):
                found.check(
                    (name, s, t),
                    lambda xp, a=a, b=b, name=name: getattr(xp, name)(xp.array(a), xp.array(b)),
                    close(dtype, 40),
                )
        a, b = numbers(dtype, (2, 3, 8, 9)), numbers(dtype, (3, 9, 4), 1)
        for (one, x), (other, y) in itertools.product(layouts(a).items(), layouts(b).items()):
            found.check((one, other), lambda xp, x=x, y=y: x(xp) @ y(xp), close(dtype, 60))
    found.done(1000)
    assert DISABLED or sum(row["blas"] for row in count.rows) > 200


@needs_blas
def test_policies_decide() -> None:
    if DISABLED:
        pytest.skip("everything is NumPy's")
    a = raptors.ones((150, 140))
    for policy, backend in (("raptors", "raptors"), ("blas", "blas"), ("auto", "raptors")):
        with raptors.backend_policy(policy):
            assert raptors.get_backend_policy() == policy
            for product in (lambda: a @ a.T, lambda: a @ a.T.copy(), lambda: a @ a[0], lambda: a[:, 0] @ a):
                product()
                last = raptors.explain_last_dispatch()
                assert last is not None
                assert last["backend"] == backend, last
            stack = raptors.ones((3, 5, 6))
            stack @ stack.transpose(0, 2, 1)
            assert raptors.explain_last_dispatch()["backend"] == ("blas" if policy == "blas" else "raptors")
    with raptors.backend_policy("blas"):
        for native in (
            lambda: a.astype("i4") @ a.T.astype("i4"),
            lambda: a[None, ::-1] @ a.T,
            lambda: a[::-1] @ a.T,
            lambda: raptors.ones((0, 5, 6)) @ raptors.ones((6, 5)),
        ):
            native()
            assert raptors.explain_last_dispatch()["backend"] == "raptors"
        raptors.ones((5, 5), "c16") @ raptors.ones((5, 5), "c16")
        assert raptors.explain_last_dispatch()["backend"] == "numpy"
    with raptors.backend_policy("blas"), counted() as count:
        a @ a.T
        a[::-1] @ a.T
    assert [row["blas"] for row in count.of("matmul").rows] == [1]
    assert count.of("matmul").native == 2
    before = core._blas_from(True, False)
    try:
        core._set_blas_from(True, False, 1e6)
        with raptors.threads(1):
            for n, backend in ((90, "raptors"), (110, "blas")):
                raptors.ones((n, n)) @ raptors.ones((n, n))
                last = raptors.explain_last_dispatch()
                assert (last["backend"], last["policy"]) == (backend, "auto")
                assert (last["multiplications"], last["blas_from"]) == (n**3, 1e6)
            raptors.ones(9) + 1
            assert "policy" not in raptors.explain_last_dispatch()
    finally:
        core._set_blas_from(True, False, before)


def test_settings_of_policies() -> None:
    for wrong in ("", "openblas", "x" * 1000):
        with pytest.raises(ValueError, match=r'must be "auto", "raptors" or "blas"'):
            raptors.set_backend_policy(wrong)
        with pytest.raises(ValueError, match=r'must be "auto", "raptors" or "blas"'):
            raptors.backend_policy(wrong)
    with pytest.raises(TypeError):
        raptors.set_backend_policy(1)  # type: ignore[arg-type]
    assert raptors.get_backend_policy() == "auto"
    raptors.set_backend_policy("blas")
    try:
        assert raptors.get_backend_policy() == "blas"
        with raptors.backend_policy("raptors"):
            assert raptors.get_backend_policy() == "raptors"
        assert raptors.get_backend_policy() == "blas"
    finally:
        raptors.set_backend_policy("auto")
    shown = "import raptors; print(raptors.get_backend_policy())"
    assert python_ok(shown, RAPTORS_BACKEND="raptors").strip() == "raptors"
    done = python(shown, RAPTORS_BACKEND="mkl")
    assert done.returncode
    assert "RAPTORS_BACKEND must be" in done.stderr
    product = "import raptors as np; a = np.ones((9, 9)); assert (a @ a == 9).all(); print('right')"
    assert python_ok(product, RAPTORS_BACKEND="blas", RAPTORS_BLAS="none").strip() == "right"


@needs_blas
def test_blas_from_many_threads() -> None:
    """Products and decompositions of all kinds at once: none is wrong (T18)."""
    from concurrent.futures import ThreadPoolExecutor

    rng = samples.generator("many threads")
    left = raptors.array(rng.normal(size=(130, 120)))
    right = raptors.array(rng.normal(size=(120, 110)))
    solid = raptors.array(left @ left.T + 200 * raptors.eye(130))
    calls: list[Callable[[], Any]] = [
        lambda: left @ right,
        lambda: left.T.copy().T @ right,
        lambda: left @ right.T.copy().T,
        lambda: (left @ right).astype("f4") @ right.T.astype("f4"),
        lambda: left @ left.T,
        lambda: left @ right[:, 0],
        lambda: raptors.linalg.solve(solid, left),
        lambda: raptors.linalg.eigvalsh(solid),
        lambda: raptors.linalg.svd(right, compute_uv=False),
        lambda: numpy.asarray(left).view(numpy.ndarray) @ numpy.asarray(right).view(numpy.ndarray),
    ]
    with raptors.threads(1):
        wanted = [numpy.asarray(call()) for call in calls]

    def work(number: int) -> bool:
        which = number % len(calls)
        with raptors.backend_policy("blas" if number % 3 else "raptors"), raptors.threads(1 + number % 2):
            got = numpy.asarray(calls[which]())
        rtol = 1e-4 if got.dtype == "f4" else 1e-10
        return numpy.allclose(got, wanted[which], rtol=rtol, atol=rtol * abs(wanted[which]).max())

    rounds = int(os.environ.get("RAPTORS_PRODUCTS", "1000"))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(rounds)))
