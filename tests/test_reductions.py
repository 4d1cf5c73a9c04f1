"""Every reduction of the operation table against NumPy: a new row is tested with no new test."""

from __future__ import annotations

import functools
import itertools
import math
import sys
import warnings
from typing import Any

import numpy
import pytest
import samples
from helpers import (
    ANY_ZERO,
    DISABLED,
    EXACT,
    OPS,
    REDUCTIONS,
    ROW,
    Mismatches,
    Rules,
    by_name,
    clones,
    close,
    compare,
    counted,
    difference,
    mine,
    named,
    run,
    same_as_numpy,
)

import raptors

rows = pytest.mark.parametrize("row", REDUCTIONS, ids=by_name)
ufuncs = pytest.mark.parametrize("ufunc", [row for row in OPS if row.get("reduces")], ids=by_name)


def takes(row: dict[str, Any], parameter: str) -> bool:
    return parameter in row["parameters"].split()


with_out = pytest.mark.parametrize("row", [row for row in REDUCTIONS if takes(row, "out")], ids=by_name)


def callables(row: dict[str, Any], xp: Any, x: Any) -> list[Any]:
    """The function, bound to the array, and the method where there is one."""
    function = functools.partial(named(xp, row["name"]), x)
    return [function, getattr(x, row["name"])] if row["method"] else [function]


def averages(row: dict[str, Any]) -> bool:
    return "divide" in row["finish"]


def in_float64(row: dict[str, Any]) -> bool:
    """Whether integers are."""
    return averages(row) or row["map"] == "square"


def ignores_nans(row: dict[str, Any]) -> bool:
    return row["map"] == "NaN is identity" or "warns of NaN" in row["finish"]


def most_axes(row: dict[str, Any], ndim: int) -> int:
    """Norms are of vectors and matrices."""
    return min(ndim, 2) if row["map"] == "square" else ndim


def is_reshaped(row: dict[str, Any], keywords: dict[str, Any]) -> bool:
    """What NumPy makes of norms of several axes that are kept."""
    one_axis = isinstance(keywords.get("axis"), int)
    return row["map"] == "square" and keywords.get("keepdims", False) and not one_axis


def is_extreme(row: dict[str, Any]) -> bool:
    return row["combine"] in ("minimum", "maximum", "fmin", "fmax") and "minus" not in row["finish"]


def is_composed(row: dict[str, Any]) -> bool:
    """Of several reductions, whose keywords are fewer."""
    return row["map"] == "deviation" or "minus" in row["finish"]


def rules_of(row: dict[str, Any], dtype: Any, n: int) -> Rules:
    """Sums and products of floats may be folded in another order; min and max may pick either zero."""
    if is_extreme(row):
        return ANY_ZERO
    if row["exact"] or row["kind"] == "argreduce":
        return EXACT
    dtype = (
        numpy.dtype("float64") if in_float64(row) and numpy.dtype(dtype).kind in "biu" else numpy.dtype(dtype)
    )
    # NumPy rounds sums of half precision down columns at every row.
    in_turn = row["combine"] == "multiply" or dtype == "float16"
    terms = n if in_turn else 24 + max(n, 1).bit_length()
    return close(dtype, 4 * terms if row["map"] == "deviation" else terms)


def positive(dtype: Any, n: int, rng: numpy.random.Generator) -> Any:
    """Values whose sums and products are well conditioned: the relative error is the rounding error."""
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        return rng.uniform(0.75, 1.25, n).astype(dtype)
    if dtype.kind == "c":
        part = samples.real_part(dtype)
        return samples.pair(dtype, positive(part, n, rng), positive(part, n, rng))
    return samples.mixed(dtype, n, rng)


def values(row: dict[str, Any], dtype: str, n: int, rng: numpy.random.Generator) -> Any:
    exact = row["exact"] or row["kind"] == "argreduce"
    if in_float64(row) and numpy.dtype(dtype).kind in "iu":
        return rng.integers(1, 100, n).astype(dtype)
    if "minus" in row["finish"]:
        return samples.tame(dtype, n, rng)
    a = samples.mixed(dtype, n, rng) if exact else positive(dtype, n, rng)
    if ignores_nans(row) and numpy.dtype(dtype).kind in "fc":
        a[rng.random(n) < 0.2] = numpy.nan
    return a


def check_batch(
    row: dict[str, Any], batch: list[tuple[Any, Any, dict[str, Any]]], native: float = 1.0
) -> None:
    """All calls at once, as function and as method."""
    name = row["name"]

    def body(xp: Any) -> list[Any]:
        out = []
        for _, a, keywords in batch:
            out.append(tuple(f(**keywords) for f in callables(row, xp, mine(xp, a))))
        return out

    with counted() as count:
        e, g = run(body, numpy), run(body, raptors)
    found = Mismatches()
    if e.error is None and g.error is None:
        for (label, a, keywords), x, y in zip(batch, e.value, g.value, strict=True):
            found.add(
                (name, a.dtype.name, label, a.shape, keywords),
                difference(x, y, rules_of(row, a.dtype, a.size)),
            )
        e.value = g.value = None
    found.add(name, compare(e, g))
    found.done()
    # Where NumPy warns of a slice of NaNs, it does it all.
    count.of(name).require(min(native, 0.6) if "warns of NaN" in row["finish"] else native, len(batch))


@rows
def test_lengths(row: dict[str, Any], isa: str) -> None:
    """Contiguous arrays of every length around the vector widths."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("reduce", row["name"], dtype)
        for n in sorted({*samples.lengths(dtype), *range(1, 140), 255, 1000, 4096, 10_007} - {0}):
            batch.append(("contiguous", values(row, dtype, n, rng), {}))
    check_batch(row, batch)


@rows
def test_layouts(row: dict[str, Any], isa: str) -> None:
    """Any stride, alignment and order of axes; each axis, several, all; kept and dropped."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("reduce layouts", row["name"], dtype)
        for n in (1, 12, 33, 132):
            v = values(row, dtype, n, rng)
            batch += [(label, layout(v), {}) for label, layout in samples.LAYOUTS.items()]
            for label, shape in samples.SHAPED.items():
                a = shape(v)
                if not a.size:
                    continue
                axes: list[Any] = [None, *range(-a.ndim, a.ndim)]
                if row["kind"] == "reduce":
                    axes += [
                        tuple(c)
                        for k in range(most_axes(row, a.ndim) + 1)
                        for c in itertools.combinations(range(a.ndim), k)
                    ]
                for axis in axes:
                    if axis == () and (averages(row) or row["map"] == "square"):
                        continue
                    batch.append((label, a, {"axis": axis}))
                    batch.append((label, a, {"axis": axis, "keepdims": True}))

    def is_native(keywords: dict[str, Any]) -> bool:
        return keywords.get("axis") != () and not is_reshaped(row, keywords)

    check_batch(row, [b for b in batch if is_native(b[2])])
    others = [b for b in batch if not is_native(b[2])]
    if others:
        check_batch(row, others, 0.0)


@rows
def test_shapes(row: dict[str, Any], isa: str) -> None:
    """Long and short inner and outer axes, C and Fortran order, three dimensions, a gap between kept axes."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("reduce shapes", row["name"], dtype)
        for shape in (
            (3, 257),
            (257, 3),
            (1, 40),
            (40, 1),
            (5, 7, 9),
            (2, 65, 2),
            (17, 16),
            (64, 64),
            (2, 3, 2, 5),
        ):
            a = values(row, dtype, math.prod(shape), rng).reshape(shape)
            for b in (a, numpy.asfortranarray(a), a[::-1], a[..., ::-1], a[:, :1], a.swapaxes(0, 1)):
                for axis in range(b.ndim):
                    batch.append(("one axis", b, {"axis": axis}))
                if row["kind"] == "reduce" and b.ndim > 2:
                    batch += [
                        ("two axes", b, {"axis": (0, 2)}),
                        ("two axes", b, {"axis": (0, 1), "keepdims": row["map"] != "square"}),
                    ]
    check_batch(row, batch)


@rows
def test_special_values(row: dict[str, Any], isa: str) -> None:
    """NaN, infinities, both zeros, extremes at every position; ties take the first index."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("reduce special", row["name"], dtype)
        lengths = [n for n in samples.lengths(dtype) if 0 < n <= 40] + [67]
        for n in lengths:
            for special in samples.special(dtype):
                exact = row["exact"] or row["kind"] == "argreduce"
                if not exact and numpy.isfinite(special) and not -1e4 < special < 1e4:
                    continue
                a = values(ROW["mean"], dtype, n, rng)
                a[rng.integers(n)] = special
                batch.append((special, a, {}))
        for n in range(1, 70):
            a = numpy.zeros(n, dtype)
            batch.append(("equal", a, {}))
            b = numpy.ones(n, dtype)
            b[n // 2] = 0
            batch.append(("one zero", b, {}))
            if numpy.dtype(dtype).kind == "f" and (row["exact"] or row["kind"] == "argreduce"):
                c = samples.tame(dtype, n, rng)
                c[[n // 3, n // 2, -1]] = numpy.nan
                batch.append(("NaNs", c, {}))
                batch.append(("NaNs over rows", numpy.stack([c, c[::-1]]), {"axis": 0}))
                batch.append(("infinities", numpy.where(c > 0, numpy.inf, -numpy.inf).astype(dtype), {}))
    # NumPy warns of squares that overflow.
    check_batch(row, batch, 0.95 if row["map"] == "square" else 1.0)


@rows
def test_signed_zeros(row: dict[str, Any]) -> None:
    """The sign of a zero sum or product, also of one element and along axes."""
    if is_extreme(row):
        pytest.skip("NumPy picks either zero")
    found = Mismatches()
    for dtype in ("float32", "float64"):
        for n in (1, 2, 7, 8, 9, 16, 33, 128, 129, 300):
            for fill in ((-0.0,), (0.0,), (0.0, -0.0), (1.0, -1.0)):
                a = numpy.resize(numpy.array(fill, dtype), n)
                b = numpy.stack([a, a, a])
                for c, axis in (
                    (a, None),
                    (a[::-1], None),
                    (b, 0),
                    (b, 1),
                    (b, None),
                    (b.T, 0),
                    (b[:, ::2], 1),
                ):
                    found.check(
                        (dtype, n, fill, c.shape, axis),
                        lambda xp, c=c, axis=axis: callables(row, xp, mine(xp, c))[-1](axis=axis),
                        EXACT if n < 9 or fill != (1.0, -1.0) else close(dtype),
                    )
    found.done()


@rows
def test_every_dtype(row: dict[str, Any]) -> None:
    """Also dtypes without kernels, and dtype= where the function has it: results and refusals."""
    found, name = Mismatches(), row["name"]
    rng = samples.generator("reduce dtypes", name)
    for source in (*samples.DTYPES, *samples.OTHERS):
        a = numpy.zeros(6, source) if source in samples.OTHERS else values(row, source, 6, rng)
        if source in ("float16", "longdouble", "complex64", ">i4", ">f8", "m8[s]", "O"):
            a = numpy.array([1, 2, 3, 1, 2, 3]).astype(source)
        for shape, axis in (((6,), None), ((2, 3), 0), ((2, 3), 1)):
            b = a.reshape(shape)
            found.check(
                (source, shape, axis),
                lambda xp, b=b, x=axis: named(xp, name)(mine(xp, b), axis=x),
                _loose(b),
            )
        if not takes(row, "dtype"):
            found.check((source, "dtype="), lambda xp, a=a: named(xp, name)(mine(xp, a), dtype="f8"))
            continue
        for target in (*samples.DTYPES, "float16", "complex64", "longdouble", "O", "S3", None):
            for shape, axis in (((6,), None), ((2, 3), 0)):
                b = a.reshape(shape)
                found.check(
                    (source, target, axis),
                    lambda xp, b=b, t=target, x=axis: named(xp, name)(mine(xp, b), axis=x, dtype=t),
                    _loose(b, target),
                )
    found.done()


def _loose(a: Any, target: Any = None) -> Rules:
    kinds = [numpy.dtype(t) for t in (a.dtype, target) if t is not None and numpy.dtype(t).kind in "fc"]
    small = any(t.char in "efF" for t in kinds)
    return (
        ANY_ZERO
        if not kinds
        else Rules(rtol=1e-2 if any(t.char == "e" for t in kinds) else 1e-5 if small else 1e-13)
    )


@with_out
def test_keywords(row: dict[str, Any], isa: str) -> None:
    """out=, where=, initial=, keepdims= and their combinations."""
    found, name = Mismatches(), row["name"]
    with counted() as count:
        for dtype in row["types"]:
            rng = samples.generator("reduce keywords", name, dtype)
            a = values(row, dtype, 60, rng).reshape(5, 12)
            rules = rules_of(row, dtype, 60)
            for axis, shape in ((None, ()), (0, (12,)), (1, (5,)), (-1, (5,))):
                for keepdims in (False, True):
                    result = named(numpy, name)(a, axis=axis, keepdims=keepdims)
                    for order in (1, 2, -1):
                        out = numpy.zeros(2 * math.prod(shape) or 2, result.dtype)[::order][
                            : math.prod(shape) or 1
                        ]
                        out = out.reshape(result.shape)

                        def body(
                            xp: Any, a: Any = a, axis: Any = axis, keepdims: bool = keepdims, out: Any = out
                        ) -> Any:
                            x, o = clones(xp, a, out)
                            for f in callables(row, xp, x):
                                assert f(axis=axis, keepdims=keepdims, out=o) is o
                            return o

                        found.check((dtype, axis, keepdims, order), body, rules)
            if not takes(row, "where"):
                continue
            masks = [rng.random((5, 12)) < 0.6, rng.random(12) < 0.6, numpy.ones((5, 1), bool), True]
            initials: list[Any] = [0, 1, 3] + ([2.5] if dtype.startswith("float") else [])
            for i, mask in enumerate(masks):
                for axis in (None, 0, 1):
                    for initial in initials if takes(row, "initial") else [None]:
                        keywords = {"axis": axis} | ({} if initial is None else {"initial": initial})

                        def masked(xp: Any, a: Any = a, mask: Any = mask, keywords: Any = keywords) -> Any:
                            x, m = clones(xp, a, mask)
                            return [f(where=m, **keywords) for f in callables(row, xp, x)]

                        found.check((dtype, "mask", i, keywords), masked, rules)
            for initial in [*initials, -1, 300, 10**30, None, "x"] if takes(row, "initial") else []:
                found.check(
                    (dtype, "initial", initial),
                    lambda xp, a=a, i=initial: (
                        callables(row, xp, mine(xp, a))[-1](initial=i),
                        mine(xp, a[:0]).sum(initial=1),
                    ),
                    rules,
                )
    found.done()
    if not is_composed(row):
        count.of(name).require(0.5 if ignores_nans(row) else 0.75)


@ufuncs
def test_ufunc_reduce(ufunc: dict[str, Any], isa: str) -> None:
    """The ufunc's reduce: default axis 0, all keywords, positional arguments."""
    found, name = Mismatches(), ufunc["name"]
    row = {**ROW["sum"], "combine": name, "exact": name not in ("add", "multiply")}
    with counted() as count:
        for dtype in samples.DTYPES:
            rng = samples.generator("ufunc reduce", name, dtype)
            a = values(row, dtype, 60, rng).reshape(5, 12)
            rules = rules_of(row, dtype, 60)
            for keywords in (
                {},
                {"axis": 0},
                {"axis": 1},
                {"axis": -1},
                {"axis": None},
                {"axis": (0, 1)},
                {"keepdims": True},
                {"axis": 1, "keepdims": True},
                {"axis": ()},
                {"axis": 2},
                {"axis": (0, 0)},
                {"axis": "x"},
                {"initial": 1},
                {"dtype": "f8"},
                {"dtype": "i4"},
                {"where": True},
                {"out": None},
                {"axis": 1.5},
            ):
                found.check(
                    (dtype, keywords),
                    lambda xp, a=a, k=keywords: getattr(xp, name).reduce(mine(xp, a), **k),
                    rules if "dtype" not in keywords else _loose(a, keywords["dtype"]),
                )
            found.check(
                (dtype, "positional"),
                lambda xp, a=a: getattr(xp, name).reduce(mine(xp, a), 1, None, None, True),
                rules,
            )
            found.check((dtype, "list"), lambda xp, a=a: getattr(xp, name).reduce(a.tolist()), rules)
            found.check(
                (dtype, "0-d"),
                lambda xp, a=a: getattr(xp, name).reduce(mine(xp, a[0, :1].reshape(()))),
                rules,
            )
    found.done()
    count.require(0.45)


@rows
def test_empty_and_errors(row: dict[str, Any]) -> None:
    """Empty arrays and axes, 0-d arrays, bad axes, bad out: results, exceptions, warnings."""
    found, name = Mismatches(), row["name"]
    for dtype in row["types"]:
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 3), (), (1,), (1, 1, 1)):
            a = numpy.ones(shape, dtype)
            for keywords in (
                {},
                {"axis": 0},
                {"axis": 1},
                {"axis": -1},
                {"axis": 2},
                {"axis": -4},
                {"axis": (0, 1)},
                {"axis": ()},
                {"axis": (0, 0)},
                {"axis": (0, -1)},
                {"axis": None, "keepdims": True},
                {"axis": 0, "keepdims": True},
                {"axis": 1.5},
                {"axis": "x"},
                {"axis": [0]},
                {"axis": True},
                {"axis": numpy.int64(0)},
                {"axis": 2**70},
                {"keepdims": 1},
                {"keepdims": None},
                {"keepdims": "x"},
                {"out": numpy.zeros(7)},
                {"out": [1]},
                {"nonsense": 1},
                {"initial": 1},
                {"where": False},
                {"where": [True]},
                {"axis": numpy.array(0)},
            ):
                for i in range(1 + row["method"]):
                    found.check(
                        (dtype, shape, keywords, i),
                        lambda xp, a=a, k=keywords, i=i: callables(row, xp, mine(xp, a))[i](
                            **{n: mine(xp, v) for n, v in k.items()}
                        ),
                    )
    for arguments in (
        (),
        (1, 2, 3, 4, 5, 6, 7, 8),
        (None,),
        ("x",),
        ([],),
        ([1, 2, 3],),
        ([[1, 2], [3, 4]], 0),
        (3.5,),
        (True,),
    ):
        found.check(arguments, lambda xp, a=arguments: named(xp, name)(*a))
    found.done()


@rows
def test_positional_arguments(row: dict[str, Any]) -> None:
    found = Mismatches()
    a = numpy.arange(12.0).reshape(3, 4)
    for arguments in (
        (0,),
        (1,),
        (None,),
        (0, None),
        (1, "f8"),
        (0, None, None),
        (0, None, None, True),
        (0, None, None, True, 1),
    ):
        for i in range(1 + row["method"]):
            found.check(arguments, lambda xp, p=arguments, i=i: callables(row, xp, mine(xp, a))[i](*p))
    found.done()


@rows
def test_nans(row: dict[str, Any], isa: str) -> None:
    """NaNs anywhere, whole slices of them, and none: results and warnings, which may be errors."""
    found, name = Mismatches(), row["name"]
    with counted() as count:
        for dtype in ("float32", "float64"):
            rng = samples.generator("NaNs", name, dtype)
            for shape in ((1,), (2,), (9,), (40,), (5000,), (3, 4), (4, 40), (40, 4), (70, 70), (3, 4, 5)):
                for share in (0.0, 0.1, 0.5, 0.9, 1.0):
                    a = samples.tame(dtype, math.prod(shape), rng).reshape(shape)
                    a[rng.random(shape) < share] = numpy.nan
                    for b in (a, a.T, a[::-1], a[..., ::2]):
                        for axis in (None, *range(b.ndim)):

                            def body(xp: Any, b: Any = b, axis: Any = axis) -> Any:
                                return [f(axis=axis) for f in callables(row, xp, mine(xp, b))]

                            rules = rules_of(row, dtype, b.size)
                            loose = Rules(rtol=1e-3 if dtype == "float32" else 1e-9, atol=1e-3)
                            found.check((dtype, shape, share, axis), body, rules if row["exact"] else loose)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found.check((dtype, "errors"), lambda xp, a=a: callables(row, xp, mine(xp, a))[0](axis=0))
    found.done()
    count.of(name).require(0.3)


@pytest.mark.parametrize("name", ["any", "all"])
def test_truth(name: str, isa: str) -> None:
    """One element at every position decides; non-zero is true whatever its bits; NaN is true, -0.0 is not."""
    found = Mismatches()
    with counted() as count:
        for dtype in ROW[name]["types"]:
            for n in (1, 2, 17, 64, 65, 130):
                for position in range(n):
                    a = numpy.full(n, name == "all", dtype)
                    a[position] = not a[position]
                    x = a.view(raptors.ndarray)
                    found.add(
                        (dtype, n, position), None if getattr(x, name)() == (name == "any") else "value"
                    )
    found.done()
    count.of(name).require()
    tiny = numpy.array([5e-324, -0.0, numpy.nan, -numpy.inf])
    for i in range(4):
        same_as_numpy(lambda xp, i=i: getattr(mine(xp, tiny[i : i + 1]), name)())


@pytest.mark.parametrize("name", ["argmin", "argmax", "min", "max"])
def test_extreme_at_every_position(name: str, isa: str) -> None:
    found = Mismatches()
    with counted() as count:
        for dtype in ROW[name]["types"][1:]:
            extreme = (samples.special(dtype).min if "min" in name else samples.special(dtype).max)()
            if numpy.dtype(dtype).kind == "f":
                extreme = numpy.dtype(dtype).type(-numpy.inf if "min" in name else numpy.inf)
            for n in (1, 3, 16, 33, 65, 129, 260):
                a = samples.tame(dtype, n, samples.generator(dtype, n)).view(raptors.ndarray)
                for position in range(n):
                    before = a[position]
                    a[position] = extreme
                    got = getattr(a, name)()
                    expected = position if name.startswith("arg") else extreme
                    found.add(
                        (dtype, n, position), None if got == expected else f"{got}, expected {expected}"
                    )
                    a[position] = before
    found.done()
    count.of(name).require()


# ---- accuracy ------------------------------------------------------------------------------------


def _bound(dtype: Any, n: int) -> float:
    """Relative to the sum of magnitudes: pairwise sums of blocks of 128 in eight accumulators, as NumPy's."""
    u = float(numpy.finfo(dtype).eps) / 2
    return (16 + 3 + max(0, math.ceil(math.log2(max(n, 1) / 128))) + 1) * u


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sum_error_bound(dtype: str, isa: str) -> None:
    """No sum is worse than the bound of pairwise summation, in any layout and along any axis."""
    found = Mismatches()
    rng = samples.generator("accuracy", dtype)
    with counted() as count:
        for n in (1, 2, 7, 8, 9, 31, 100, 127, 128, 129, 1000, 4097, 30_011):
            for scale in (0, 4, 12):
                v = (rng.standard_normal(n) * 10.0 ** rng.uniform(-scale, scale, n)).astype(dtype)
                for label, layout in samples.LAYOUTS.items():
                    a = layout(v).view(raptors.ndarray)
                    found.add((n, scale, label), _beyond(a.sum(), v, dtype))
                    found.add((n, scale, label, "mean"), _beyond(a.mean() * dtype_of(dtype, n), v, dtype, 3))
                columns = numpy.stack([v, v[::-1], -v, v * 2], axis=1).view(raptors.ndarray)
                for i, total in enumerate(columns.sum(axis=0)):
                    found.add((n, scale, "axis 0", i), _beyond(total, columns[:, i], dtype))
                lines = numpy.asfortranarray(numpy.asarray(columns).T).view(raptors.ndarray)
                for i, total in enumerate(lines.sum(axis=1)):
                    found.add((n, scale, "Fortran axis 1", i), _beyond(total, lines[i], dtype))
                wide = numpy.broadcast_to(v[:, None], (n, 20)).copy().view(raptors.ndarray)
                found.add((n, scale, "wide axis 0"), _beyond(wide.sum(axis=0)[7], v, dtype))
    found.done()
    count.of("sum", "mean").require()


def dtype_of(dtype: str, n: int) -> Any:
    return numpy.dtype(dtype).type(n)


def _beyond(total: Any, v: Any, dtype: str, more: int = 0) -> str | None:
    exact = math.fsum(map(float, v))
    magnitude = math.fsum(abs(float(x)) for x in v)
    limit = _bound(dtype, v.size) + more * float(numpy.finfo(dtype).eps)
    error = abs(float(total) - exact)
    return None if error <= limit * magnitude else f"error {error:.3g} > {limit * magnitude:.3g}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sum_against_numpy_on_ill_conditioned_vectors(dtype: str, isa: str) -> None:
    """1,000 vectors with cancellation: on the whole at most twice the error of NumPy's pairwise summation."""
    rng = samples.generator("ill-conditioned", dtype)
    ours, theirs = [], []
    for _ in range(1000):
        n = int(rng.integers(10, 2000))
        half = rng.standard_normal(n) * 10.0 ** rng.uniform(-6, 6, n)
        v = numpy.concatenate([half, -half * (1 + 1e-6 * rng.standard_normal(n))]).astype(dtype)
        rng.shuffle(v)
        exact, magnitude = math.fsum(map(float, v)), float(numpy.abs(v).sum(dtype="f8"))
        ours.append(abs(float(v.view(raptors.ndarray).sum()) - exact) / magnitude)
        theirs.append(abs(float(v.sum()) - exact) / magnitude)
    assert numpy.mean(ours) <= 2 * numpy.mean(theirs)
    assert max(ours) <= 2 * max(theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_data_same_sum(dtype: str, isa: str) -> None:
    """A sum depends on nothing but its elements: not on the alignment, the moment or the allocation."""
    if DISABLED:
        pytest.skip("NumPy's sums depend on the alignment")
    rng = samples.generator("reproducible", dtype)
    for n in (5, 33, 128, 1000, 12_345):
        v = rng.standard_normal(n).astype(dtype)
        room = numpy.zeros(v.nbytes + 64, numpy.uint8)
        sums = set()
        for offset in range(64):
            a = room[offset : offset + v.nbytes].view(dtype)
            a[...] = v
            x = a.view(raptors.ndarray)
            sums |= {
                (float(x.sum()), float(x.prod()), float(x.mean())),
                (float(x.copy().sum()), float(x.prod()), float(x.mean())),
            }
        assert len(sums) == 1, (n, sums)


def test_exact_rows_equal_on_every_instruction_set() -> None:
    found = Mismatches()
    for row in REDUCTIONS:
        for dtype in row["types"]:
            rounds = dtype.startswith("float") or row["map"] == "square"
            if not row["exact"] and row["kind"] == "reduce" and rounds:
                continue
            a = samples.mixed(dtype, 1003, samples.generator("isa", row["name"], dtype)).view(raptors.ndarray)
            results = []
            for name in raptors.available_isas():
                with raptors.simd(name):
                    results.append(named(raptors, row["name"])(a))
            for r in results[1:]:
                found.add((row["name"], dtype), difference(results[0], r, ANY_ZERO))
    found.done() if len(raptors.available_isas()) > 1 else None


@pytest.mark.parametrize("masked", [False, True])
def test_order_of_the_result(masked: bool) -> None:
    """The kept axes lie as in NumPy's result; folded axes, and those of the mask, take part in the order."""
    rng = numpy.random.default_rng(7)
    for _ in range(2000 if masked else 200):
        shape = rng.integers(2, 4, rng.integers(1, 5))
        folded = tuple(int(i) for i in rng.permutation(len(shape))[: rng.integers(0, len(shape) + 1)])
        keepdims = bool(rng.integers(2))
        orders = [rng.permutation(len(shape)) for _ in range(2)]
        data = [numpy.arange(shape.prod()).reshape(shape[order]) for order in orders]
        a, where = (d.transpose(numpy.argsort(order)) for d, order in zip(data, orders, strict=True))

        def body(
            np: Any, a: Any = a, where: Any = where, axis: Any = folded, keepdims: Any = keepdims
        ) -> Any:
            mask = {"where": mine(np, where % 3 > 0)} if masked else {}
            return np.sum(mine(np, a), axis=axis, keepdims=keepdims, **mask)

        same_as_numpy(body)


# ---- outputs of objects --------------------------------------------------------------------------

#: In each of them NumPy 2.4 writes bytes over references of the output, and the process may end.
OVERWRITING = [
    "np.add.reduce(a, dtype='f4', out=o)",
    "np.add.reduce(a, 0, 'f4', (o,))",
    "np.add.reduce([1.0, 2.0], dtype='f4', out=o)",
    "np.add.reduce(a, dtype='c16', out=o)",
    "np.add.reduce(a, dtype='i8', out=o, initial=5)",
    "np.add.reduce(a, dtype='f4', out=o[None], keepdims=True)",
    "np.maximum.reduce(a, dtype='f4', out=o, initial=1)",
    "np.multiply.reduce(a, dtype='i8', out=o)",
    "np.hypot.reduce(a, dtype='f4', out=o)",
    "np.logical_and.reduce(a, dtype=bool, out=o)",
    "numpy.add.reduce(np.array(a), dtype='f4', out=o)",
    "numpy.hypot.reduce(np.array(a), dtype='f4', out=o)",
    "np.sum(a, dtype='f4', out=o)",
    "a.sum(dtype='f4', out=o)",
    "np.prod(a, dtype='f4', out=o)",
    "np.mean(a, dtype='f4', out=o)",
    "np.mean(a.astype('f2'), out=o)",
    "a.astype('f2').mean(out=o)",
    "np.var(a, dtype='f4', out=o)",
    "a.std(dtype='f4', out=o)",
    "np.any(a, out=o)",
    "np.any(a.astype(object), out=o)",
    "a.all(out=o)",
    "np.all([True, False], out=o)",
]
#: These are NumPy's, and give the right result.
HARMLESS = [
    "np.add.reduce(a, out=o)",
    "np.add.reduce(a, dtype=object, out=o)",
    "np.add.reduce(a, dtype='i8', out=o)",
    "np.maximum.reduce(a, dtype='f4', out=o)",
    "np.logical_or.reduce(a, out=o)",
    "np.sum(a, out=o)",
    "a.max(out=o)",
    "np.mean(a, out=o)",
    "np.mean(a.astype('i4'), out=o)",
    "np.var(a, out=o)",
    "a.std(dtype='f8', out=o)",
    "np.sum(a, dtype='nonsense', out=o)",
]


@pytest.mark.parametrize("expression", OVERWRITING)
def test_an_output_of_objects_is_refused_where_numpy_would_end_the_process(expression: str) -> None:
    element = object()
    o = raptors.array(element, dtype=object)
    references = sys.getrefcount(element)
    with pytest.raises(TypeError, match="cannot write to an output of dtype object"):
        eval(expression, {"np": raptors, "numpy": numpy, "a": raptors.array([1.0, 2.0]), "o": o})
    assert o[()] is element
    assert sys.getrefcount(element) == references


@pytest.mark.parametrize("expression", HARMLESS)
def test_an_output_of_objects(expression: str) -> None:
    def body(xp: Any) -> Any:
        o = xp.zeros((), object)
        return eval(expression, {"np": xp, "a": mine(xp, numpy.array([1.0, 2.0])), "o": o}), o

    same_as_numpy(body)
