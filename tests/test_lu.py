"""inv, solve and det of stacks of small matrices: values, errors, warnings and layouts as NumPy's.

What is singular or nearly so, not finite, or raises an event is NumPy's own work: the same in every bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import DISABLED, Mismatches, Rules, counted, mine, python_ok

import raptors

ORDERS = range(1, 9)
STACKS: list[tuple[int, ...]] = [(), (1,), (2,), (7,), (8,), (9,), (33,), (3, 5), (2, 1, 3)]
NAMES = ("linalg.inv", "linalg.solve", "linalg.det")


def matrices(dtype: str, shape: tuple[int, ...], *key: Any) -> Any:
    """Well-conditioned, of any order of rows."""
    rng = samples.generator("lu", dtype, shape, *key)
    a = rng.uniform(-1, 1, shape) + 2 * numpy.eye(shape[-1])
    return rng.permuted(a, axis=-2).astype(dtype) if key else a.astype(dtype)


def near(a: Any, body: Callable[[Any], Any]) -> Rules:
    """Within the forward error n eps cond(A) of the elimination, relative to the largest element."""
    result, n = numpy.asarray(body(numpy)), a.shape[-1]
    # float32 is computed in double and rounded once
    condition = 1.0 if result.dtype == "f4" else float(numpy.linalg.cond(a).max())
    eps = float(numpy.finfo(result.dtype).eps)
    return Rules(atol=8 * n * eps * condition * float(abs(result).max()))


def layouts(a: Any) -> dict[str, Callable[[Any], Any]]:
    """The same elements in other places, made by each library itself."""
    last = (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)
    return {
        "C": lambda xp: xp.array(a),
        "columns": lambda xp: xp.array(a.transpose(last).copy()).transpose(last),
        "F": lambda xp: xp.array(a, order="F"),
        "reversed": lambda xp: xp.array(a[..., ::-1, ::-1].copy())[..., ::-1, ::-1],
        "every other": lambda xp: xp.repeat(xp.repeat(xp.array(a), 2, axis=-1), 3, axis=-2)[..., ::3, ::2],
        "stack reversed": lambda xp: xp.array(a[::-1].copy())[::-1],
        "stack turned": lambda xp: xp.array(a.swapaxes(0, -3).copy()).swapaxes(0, -3),
        "unaligned": lambda xp: mine(xp, unaligned(a)),
        "read-only": lambda xp: mine(xp, frozen(a)),
        "other byte order": lambda xp: xp.array(a.astype(a.dtype.newbyteorder())),
    }


def unaligned(a: Any) -> Any:
    room = numpy.zeros(a.nbytes + 1, numpy.uint8)[1:]
    view = room.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def frozen(a: Any) -> Any:
    b = a.copy()
    b.flags.writeable = False
    return b


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_every_order_and_stack(dtype: str, isa: str) -> None:
    found = Mismatches()
    with counted() as count:
        for n, stack in itertools.product(ORDERS, STACKS):
            a = matrices(dtype, (*stack, n, n), "every")
            for name in ("inv", "det"):

                def body(xp: Any, name: str = name, a: Any = a) -> Any:
                    return getattr(xp.linalg, name)(xp.array(a))

                found.check((name, n, stack), body, near(a, body))
            for right in (
                (n,),
                (n, 1),
                (n, 3),
                (*stack, n, 2),
                (*stack, n, 1),
                (1, n, 9),
                (4, *stack, n, 1)[-6:],
            ):
                b = samples.generator("right", right).uniform(-1, 1, right).astype(dtype)

                def body(xp: Any, a: Any = a, b: Any = b) -> Any:
                    return xp.linalg.solve(xp.array(a), xp.array(b))

                found.check(("solve", n, stack, right), body, near(a, body))
    found.done(600)
    count.of(*NAMES).require(0.99, 600)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_every_layout(dtype: str) -> None:
    found = Mismatches()
    with counted() as count:
        for n, stack in itertools.product((1, 2, 3, 4, 6), ((5,), (4, 3), (2, 3, 2))):
            a = matrices(dtype, (*stack, n, n), "layout")
            b = matrices(dtype, (*stack, n, n), "right")
            for (one, x), (other, y) in itertools.product(layouts(a).items(), layouts(b).items()):

                def body(xp: Any, x: Any = x, y: Any = y) -> Any:
                    return xp.linalg.solve(x(xp), y(xp))

                found.check(("solve", n, stack, one, other), body, near(a, body))
            for one, x in layouts(a).items():
                for name in ("inv", "det"):

                    def body(xp: Any, name: str = name, x: Any = x) -> Any:
                        return getattr(xp.linalg, name)(x(xp))

                    found.check((name, n, stack, one), body, near(a, body))
    found.done(1500)
    count.of(*NAMES).require(0.5, 1500)


def test_repeated_matrices() -> None:
    found = Mismatches()
    a = matrices("f8", (4, 3, 3), "repeated")
    for shape in ((5, 4, 3, 3), (4, 3, 3)):
        for name in ("inv", "det"):

            def body(xp: Any, name: str = name, shape: Any = shape) -> Any:
                return getattr(xp.linalg, name)(xp.broadcast_to(xp.array(a), shape))

            found.check((name, shape), body, near(a, body))
    for s, t in (
        ((4, 1), (1, 6)),
        ((1,), (6,)),
        ((6,), ()),
        ((), (6,)),
        ((2, 1, 3), (4, 1)),
        ((0,), (1,)),
        ((2,), (3,)),
    ):
        x, y = matrices("f8", (*s, 3, 3), "s"), matrices("f8", (*t, 3, 3), "t")

        def body(xp: Any, x: Any = x, y: Any = y) -> Any:
            return xp.linalg.solve(xp.array(x), xp.array(y))

        found.check((s, t), body, Rules(rtol=1e-12, atol=1e-13))
    found.done(10)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_many_columns(dtype: str, isa: str) -> None:
    """Those of a single matrix go through the lanes; each is what it is alone."""
    found = Mismatches()
    for n, k in itertools.product((1, 2, 3, 5, 8), (2, 7, 9, 100, 1000)):
        a, b = matrices(dtype, (n, n), "columns"), matrices(dtype, (max(n, k),) * 2, k)[:n, :k]
        for x, y in itertools.product(layouts(a[None]).values(), layouts(b[None]).values()):

            def body(xp: Any, x: Any = x, y: Any = y) -> Any:
                return xp.linalg.solve(x(xp)[0], y(xp)[0])

            found.check((n, k), body, near(a, body))
        whole = raptors.linalg.solve(raptors.array(a), raptors.array(b))
        for c in (0, k // 2, k - 1):
            alone = raptors.linalg.solve(raptors.array(a), raptors.array(b[:, c]))
            assert DISABLED or (whole[:, c] == alone).all()
    found.done(400)


def test_dtypes() -> None:
    found = Mismatches()
    rng = samples.generator("lu dtypes")
    whole = rng.integers(0, 5, (6, 3, 3)) + 7 * numpy.eye(3, dtype=int)
    dtypes = [*samples.DTYPES, *samples.OTHERS]
    for one in dtypes:
        a = (
            whole.astype("f8").astype(one)
            if one not in ("M8[s]", "m8[s]", "i4,f8")
            else whole.astype("i8").astype(one)
        )
        for name in ("inv", "det"):
            for x in (a, a[0]):
                found.check(
                    (name, one, x.ndim),
                    lambda xp, x=x, name=name: getattr(xp.linalg, name)(mine(xp, x)),
                    Rules(rtol=1e-6, atol=1e-9),
                )
        for other in dtypes:
            b = (
                numpy.ones(3).astype(other)
                if other not in ("M8[s]", "m8[s]", "i4,f8")
                else numpy.ones(3, "i8").astype(other)
            )
            found.check(
                ("solve", one, other),
                lambda xp, a=a, b=b: xp.linalg.solve(mine(xp, a), mine(xp, b)),
                Rules(rtol=1e-6, atol=1e-7),
            )
    found.done(300)
    with counted() as count:
        for one in samples.ELEMENTARY[1:]:
            raptors.linalg.inv(raptors.array(whole.astype(one)))
            raptors.linalg.det(raptors.array(whole[0].astype(one)))
            raptors.linalg.solve(raptors.array(whole.astype(one)), raptors.ones(3, "i2"))
    count.of(*NAMES).require(1.0, 30)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_residuals(dtype: str, isa: str) -> None:
    """Badly scaled and ill-conditioned: Higham, Accuracy and Stability of Numerical Algorithms, 9.3."""
    rng = samples.generator("residuals", dtype)
    eps, rounding = float(numpy.finfo("f8").eps), float(numpy.finfo(dtype).eps)
    signs = 0
    with counted() as count:
        for trial in range(300):
            n, count_of = int(rng.integers(1, 9)), int(rng.integers(1, 30))
            a = rng.normal(size=(count_of, n, n))
            if trial % 3 == 1:  # rows and columns of any scale
                a *= 2.0 ** rng.integers(-3, 4, (count_of, n, 1)) * 2.0 ** rng.integers(
                    -20, 20, (count_of, 1, n)
                )
            elif trial % 3 == 2:  # near a singular one
                u, s, v = numpy.linalg.svd(a)
                s[:, -1] = s[:, 0] * 10.0 ** rng.uniform(-7, -1)
                a = u * s[:, None] @ v
            a = a.astype(dtype)
            b = rng.normal(size=(count_of, n, 3)).astype(dtype)
            for right, x in (
                (b, raptors.linalg.solve(raptors.array(a), raptors.array(b))),
                (numpy.eye(n, dtype=dtype), raptors.linalg.inv(raptors.array(a))),
            ):
                exact, x = a.astype("g"), numpy.asarray(x).astype("g")
                error = abs(right - exact @ x)
                size = abs(exact).max(axis=-2, keepdims=True) @ abs(x)
                assert (error <= (16 * n * n * eps + n * rounding) * size + rounding).all(), (trial, n)
            det, numpys = raptors.linalg.det(raptors.array(a)), numpy.linalg.det(a)
            condition = numpy.linalg.cond(a.astype("f8"))
            sure = condition * eps * n < 0.01
            assert (numpy.sign(det)[sure] == numpy.sign(numpys)[sure]).all()
            signs += int(sure.sum())
            error = abs(numpy.asarray(det) - numpys)
            assert (error <= (8 * n * n * eps * condition + rounding) * abs(numpys) * 4).all(), (trial, n)
    assert signs > 2000
    count.of(*NAMES).require(0.9, 600)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_singular_matrices(dtype: str, isa: str) -> None:
    """Anywhere in a stack: NumPy's error, and its determinants."""
    found = Mismatches()
    for n, count in itertools.product(ORDERS, (1, 2, 5, 8, 17)):
        good = (samples.generator("singular", n).uniform(-9, 9, (count, n, n)) + 30 * numpy.eye(n)).astype(
            dtype
        )
        for where in {0, count // 2, count - 1}:
            zero, equal = good.copy(), good.copy()
            zero[where, :, n // 2] = 0
            equal[where, -1] = equal[where, 0] * 2 if n > 1 else 0
            series = good.copy()
            series[where] = numpy.arange(n * n).reshape(n, n)
            for kind, a in (("zero", zero), ("equal", equal), ("series", series)):
                for name in ("inv", "det", "solve"):
                    arguments = (numpy.ones(n),) if name == "solve" else ()
                    found.check(
                        (kind, name, n, count, where),
                        lambda xp, a=a, name=name, r=arguments: getattr(xp.linalg, name)(xp.array(a), *r),
                        Rules(rtol=1e-5 if dtype == "f4" else 1e-12, atol=1e-300),
                    )
    found.done(500)


def test_the_smallest_singular_matrices() -> None:
    """Of small integers, all that are singular: whether one is found to be depends on roundings."""
    found = Mismatches()
    values = [numpy.array(v, "f8") for v in itertools.product((1, 2, 3), repeat=3)]
    for row, other, factor in itertools.product(values[::2], values[1::3], (1, 3)):
        a = numpy.array([row, other, row * factor + other / 3])
        for name in ("inv", "det"):
            found.check(
                (a.tolist(), name),
                lambda xp, a=a, name=name: getattr(xp.linalg, name)(xp.array(a)),
                Rules(rtol=1e-10),
            )
    for p, q, r in itertools.product((1, 3, 5, 7, 11, 49), repeat=3):
        a = numpy.array([[p, q], [p * r, q * r]], "f8")
        found.check(a.tolist(), lambda xp, a=a: xp.linalg.inv(xp.array(a)))
        found.check((a.tolist(), "T"), lambda xp, a=a: xp.linalg.solve(xp.array(a.T), [1.0, 2.0]))
    found.done(400)


def test_special_values(isa: str) -> None:
    found = Mismatches()
    nan, inf = numpy.nan, numpy.inf
    rng = samples.generator("lu special")
    cases: list[Any] = [numpy.full((2, 2), value) for value in (nan, inf, -inf)]
    for n, value, row, column in itertools.product((1, 2, 3, 5), (nan, inf, -inf, -0.0), (0, -1), (0, -1)):
        a = rng.uniform(1, 2, (9, n, n))
        a[int(rng.integers(9)), row, column] = value
        cases.append(a)
    cases += [numpy.eye(3) * scale for scale in (1e300, 1e-300, 5e-324, 1e150, 1e-110, 1e-160)]
    cases += [
        numpy.diag([1e300, 1e300, 1e-300]),
        numpy.diag([1e-300, 1e-300, 1e300]),
        numpy.diag([1e200, 1e200]),
    ]
    cases += [
        numpy.array(m) for m in ([[5e-324, 1], [1, 5e-324]], [[0, nan], [0, 1]], [[0, 1], [0, nan]], [[-0.0]])
    ]
    cases += [
        numpy.eye(n, dtype="f4") * numpy.float32(scale)
        for n in (2, 3)
        for scale in (1e38, 1e-38, 1e20, 1e-20, 1e-40)
    ]
    for i, a in enumerate(cases):
        n = a.shape[-1]
        rights = (numpy.ones(n), numpy.where(numpy.arange(n) == n - 1, nan, 1.0), numpy.full((n, 2), -inf))
        for mode in ("warn", "raise", "ignore"):
            for name in ("inv", "det"):

                def body(xp: Any, a: Any = a, mode: str = mode, name: str = name) -> Any:
                    with xp.errstate(all=mode):
                        return getattr(xp.linalg, name)(xp.array(a))

                found.check((i, name, mode), body, Rules(rtol=1e-6 if a.dtype == "f4" else 1e-9))
            for right in rights:

                def body(xp: Any, a: Any = a, mode: str = mode, b: Any = right) -> Any:
                    with xp.errstate(all=mode):
                        return xp.linalg.solve(xp.array(a), xp.array(b))

                found.check((i, "solve", mode, right), body, Rules(rtol=1e-9))
    found.done(800)


@pytest.mark.skipif(DISABLED, reason="NumPy's LAPACK takes reciprocals of pivots")
def test_subnormal_pivots(isa: str) -> None:
    """Solved where LAPACK, which multiplies by reciprocals of the pivots, finds infinities."""
    rng, native, total = samples.generator("subnormal pivots"), 0, 0
    for n in [*range(2, 9)] * 20:
        a, x = rng.normal(size=(n, n)) * 1e-308, numpy.arange(1.0, 2 * n + 1).reshape(n, 2)
        with counted() as count, numpy.errstate(all="ignore"):
            solved = numpy.asarray(raptors.linalg.solve(mine(raptors, a), mine(raptors, a @ x)))
        total += 1
        if count.of("linalg.solve").native:
            native += 1
            # an element of `a` has about 50 bits
            assert numpy.abs(solved - x).max() <= n * 2.0**-46 * numpy.linalg.cond(a * 2.0**60) * x.max()
    assert native > total // 4


def test_errors_and_other_arguments() -> None:
    found = Mismatches()
    a, b = matrices("f8", (4, 3, 3)), numpy.ones((4, 3, 2))
    calls: list[Callable[[Any], Any]] = [
        *(
            lambda xp, s=s: xp.linalg.inv(xp.ones(s))
            for s in ((), (3,), (2, 3), (3, 2, 3), (0, 0), (0, 3, 3), (2, 0, 0), (9, 9))
        ),
        *(
            lambda xp, s=s: xp.linalg.det(xp.ones(s))
            for s in ((), (3,), (2, 3), (3, 2, 3), (0, 0), (0, 3, 3), (2, 0, 0))
        ),
        *(
            lambda xp, s=s: xp.linalg.solve(xp.array(a), xp.ones(s))
            for s in ((), (2,), (3,), (4, 3), (3, 0), (2, 3), (4, 2, 3), (5, 3, 1), (0, 3, 1), (4, 3, 0))
        ),
        *(
            lambda xp, s=s: xp.linalg.solve(xp.array(a[0]), xp.ones(s))
            for s in ((), (2,), (4, 3), (3, 3), (5, 3, 3))
        ),
        lambda xp: xp.linalg.solve(xp.zeros((3, 3)), xp.zeros((3, 0))),
        lambda xp: xp.linalg.inv(),
        lambda xp: xp.linalg.inv(a=xp.array(a)),
        lambda xp: xp.linalg.inv(xp.array(a), xp.array(a)),
        lambda xp: xp.linalg.inv(xp.array(a), out=None),
        lambda xp: xp.linalg.solve(xp.array(a)),
        lambda xp: xp.linalg.solve(xp.array(a), b=xp.array(b)),
        lambda xp: xp.linalg.solve(a=xp.array(a), b=xp.array(b)),
        lambda xp: xp.linalg.solve(b=xp.array(b), a=xp.array(a)),
        lambda xp: xp.linalg.solve(xp.array(a), xp.array(b), None),
        lambda xp: xp.linalg.solve(xp.array(a), b.tolist()),
        lambda xp: xp.linalg.solve(a.tolist(), xp.array(b)),
        lambda xp: xp.linalg.inv(a.tolist()),
        lambda xp: xp.linalg.det([[1.0, 2.0], [3.0, 4.0]]),
        lambda xp: xp.linalg.det(3.0),
        lambda xp: type(xp.linalg.inv(xp.matrix(a[0]))).__name__,
        lambda xp: type(xp.linalg.solve(xp.array(a[0]), xp.matrix(b[0]))).__name__,
        lambda xp: type(xp.linalg.inv(xp.ma.array(a[0]))).__name__,
        lambda xp: xp.linalg.tensorinv(xp.eye(4).reshape(2, 2, 2, 2)),
        lambda xp: xp.linalg.matrix_power(xp.array(a), -2),
        lambda xp: xp.linalg.slogdet(xp.array(a)),
    ]
    for i, call in enumerate(calls):
        found.check(i, call, Rules(rtol=1e-12, atol=1e-12))
    found.done(40)


def test_operands_are_left_alone() -> None:
    a, b = raptors.array(matrices("f8", (9, 4, 4))), raptors.array(matrices("f8", (9, 4, 4), 1))
    before = a.tobytes(), b.tobytes()
    for result in (raptors.linalg.inv(a), raptors.linalg.solve(a, b), raptors.linalg.det(a)):
        assert not raptors.shares_memory(result, a)
        assert not raptors.shares_memory(result, b)
    assert (a.tobytes(), b.tobytes()) == before


def test_bits_do_not_depend_on_who_works() -> None:
    code = """
import hashlib, numpy, raptors as np
rng = numpy.random.default_rng(3)
digest = hashlib.sha256()
for n in range(1, 9):
    for dtype in ("f4", "f8"):
        a = np.array((rng.normal(size=(300, n, n)) + 3 * numpy.eye(n)).astype(dtype))
        b = np.array(rng.normal(size=(300, n, 2)).astype(dtype))
        whole = np.linalg.inv(a), np.linalg.solve(a, b), np.linalg.det(a)
        for result in whole:
            digest.update(result.tobytes())
        for i in (0, 150, 299):
            assert (np.linalg.inv(a[i]) == whole[0][i]).all()
            assert (np.linalg.solve(a[i:i + 3], b[i:i + 3]) == whole[1][i:i + 3]).all()
            assert np.linalg.det(a[i]) == whole[2][i]
        digest.update(np.linalg.solve(a[0], np.array(rng.normal(size=(n, 900)).astype(dtype))).tobytes())
        columns = a.swapaxes(-1, -2).copy().swapaxes(-1, -2)
        assert (np.linalg.inv(columns) == whole[0]).all()
print(digest.hexdigest())
"""
    digests = {
        python_ok(code, RAPTORS_NUM_THREADS=threads, RAPTORS_MIN_PARALLEL=least)
        for threads, least in (("1", "1"), ("2", "1"), ("5", "1"), ("2", "100000"))
    }
    assert len(digests) == 1


def test_calls_run_beside_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    a = raptors.array(matrices("f8", (3000, 4, 4), "threads"))
    wanted = raptors.linalg.inv(a)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: raptors.linalg.inv(a), range(50)))
    assert all(numpy.array_equal(r, wanted) for r in results)


def test_single_matrices_are_native() -> None:
    with counted() as count:
        for n in ORDERS:
            a = raptors.array(matrices("f8", (n, n)))
            raptors.linalg.inv(a)
            raptors.linalg.det(a.T)
            raptors.linalg.solve(a, a[0])
            assert type(raptors.linalg.det(a)) is numpy.float64
    count.of(*NAMES).require(1.0, 4 * len(ORDERS))
