"""Functions that are approximated: their error in units in the last place (ULP), and what they report.

The rows are those of `raptors.ops()` that tell a bound, `ulp`; the reference is NumPy's function of the same
name in longdouble. tests/cpp/test_vec_math.cpp holds every instruction set's kernels alone against libm.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy
import pytest
import samples
from helpers import APPROXIMATE, Mismatches, by_name, counted, mine

import raptors

#: Half precision is computed in float32, and rounded.
CASES = [(row, dtype) for row in APPROXIMATE for dtype in row["ulp"]]
rows = pytest.mark.parametrize("row", APPROXIMATE, ids=by_name)
cases = pytest.mark.parametrize(("row", "dtype"), CASES, ids=[f"{r['name']}-{d}" for r, d in CASES])

#: How many numbers an error is measured on, at least.
ENOUGH = 200_000


def test_every_row_is_measured() -> None:
    assert APPROXIMATE
    assert [row["name"] for row in raptors.ops() if row["kind"] == "unary" and not row["exact"]] == [
        row["name"] for row in APPROXIMATE
    ]
    assert {(row["name"], dtype) for row, dtype in CASES} == {
        (row["name"], dtype) for row in APPROXIMATE for dtype in ("float32", "float64")
    }
    for row in APPROXIMATE:
        assert row["ulp"].keys() >= {*row["types"]} - {"float16"}
        assert all(0.5 < bound <= 4 for bound in row["ulp"].values())
        assert row["domain"][0] < row["domain"][1]


def arguments(row: dict[str, Any], dtype: str) -> Any:
    """The domain densely; every order of magnitude, subnormal numbers too; the ends; special values."""
    rng, info = samples.generator("ulp", row["name"], dtype), numpy.finfo(dtype)
    low, high = (float(numpy.clip(end, info.min, info.max)) for end in row["domain"])
    with numpy.errstate(all="ignore"):
        exponents = rng.integers(info.minexp - info.nmant, info.maxexp, 50_000)
        parts = [
            numpy.linspace(low / 2, high / 2, 60_001) * 2,
            rng.uniform(max(low, -100), min(high, 100), 60_000),
            rng.uniform(max(low, -1), min(high, 1), 60_000),
            numpy.ldexp(rng.uniform(0.5, 1, 50_000), exponents) * rng.choice([-1, 1], 50_000),
            samples.special(dtype),
        ]
        x = numpy.concatenate([numpy.asarray(part, dtype) for part in parts])
        ends = numpy.array([low, high, *samples.special(dtype)], dtype)
        near = []
        for direction in (-numpy.inf, numpy.inf):
            step = ends
            for _ in range(100):
                step = numpy.nextafter(step, numpy.asarray(direction, dtype))
                near.append(step)
    return numpy.concatenate([x, *near])


def errors(got: Any, exact: Any) -> Any:
    """In ULP of the exact result; beyond the largest number as if there were more."""
    info = numpy.finfo(got.dtype)
    end = numpy.ldexp(numpy.longdouble(1), info.maxexp)
    wanted, given = (numpy.clip(y.astype(numpy.longdouble), -end, end) for y in (exact, got))
    exponent = numpy.clip(numpy.frexp(wanted)[1] - 1, info.minexp, info.maxexp - 1)
    found = numpy.abs(numpy.ldexp(given - wanted, info.nmant - exponent))
    same_nan = numpy.isnan(exact) & numpy.isnan(got)
    same_zero = (exact == 0) & (got == 0) & (numpy.signbit(exact) == numpy.signbit(got))
    found = numpy.where(numpy.isnan(found) | (exact == 0), numpy.inf, found)
    return numpy.where(same_nan | same_zero, 0, found)


@cases
def test_error(row: dict[str, Any], dtype: str, isa: str) -> None:
    assert numpy.finfo(numpy.longdouble).nmant > numpy.finfo(dtype).nmant
    x = arguments(row, dtype)
    assert x.size >= ENOUGH
    with numpy.errstate(all="ignore"):
        exact = getattr(numpy, row["name"])(x.astype(numpy.longdouble))
        with counted() as count:
            got = numpy.asarray(getattr(raptors, row["name"])(mine(raptors, x)))
        count.of(row["name"]).require()
        assert got.dtype == dtype
        found = errors(got, exact)
        numpys = errors(getattr(numpy, row["name"])(x), exact)
    worst = int(numpy.argmax(found))
    told = f"{row['name']} {dtype} {isa}: {found[worst]:.4f} ULP at {x[worst]!r}, NumPy {numpys.max():.4f}"
    print(told)
    assert found[worst] <= row["ulp"][dtype], told


def test_errors_are_seen() -> None:
    one = numpy.array([1.0])
    assert errors(numpy.nextafter(one, 2), one.astype(numpy.longdouble)) == [1]
    assert errors(numpy.nextafter(one, 0), one.astype(numpy.longdouble)) == [0.5]
    tiny = numpy.array([5e-324])
    assert errors(0 * tiny, tiny.astype(numpy.longdouble)) == [1]
    assert errors(-0.0 * tiny, numpy.longdouble([0.0])) == [numpy.inf]
    assert errors(numpy.array([numpy.inf]), numpy.longdouble([numpy.finfo("f8").max])) == [1]
    assert errors(numpy.array([numpy.nan]), numpy.longdouble([1.0])) == [numpy.inf]


def reported(xp: Any, name: str, x: Any, mode: Any) -> Any:
    with numpy.errstate(all=mode), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(xp, name)(mine(xp, x.copy()))
        except FloatingPointError as error:
            return str(error)
    return [str(w.message) for w in caught]


@cases
def test_reports_what_numpy_reports(row: dict[str, Any], dtype: str, isa: str) -> None:
    """Errors and warnings, wherever the number is.

    Subnormal numbers are left out: whether NumPy's own loops report underflow for them is chance.
    """
    found, info = Mismatches(), numpy.finfo(dtype)
    with numpy.errstate(all="ignore"):
        special = [0.0, -0.0, 0.5, -0.5, 1, -1, numpy.inf, -numpy.inf, numpy.nan, info.max, info.min]
        values = numpy.array([*special, *(1.01 * end for end in row["domain"])], dtype)
    for value in values:
        for n in (1, 7, 16, 41):
            for at in {0, n // 2, n - 1}:
                x = numpy.full(n, 1.5, dtype)
                x[at] = value
                for mode in ("raise", "warn"):
                    theirs, ours = (reported(xp, row["name"], x, mode) for xp in (numpy, raptors))
                    found.add((value, n, at, mode), None if theirs == ours else f"{ours}, NumPy {theirs}")
    found.done(250)


@rows
def test_one_element_is_as_in_a_long_array(row: dict[str, Any], isa: str) -> None:
    """Lengths, strides, one's own output, scalars: the same bits."""
    function = getattr(raptors, row["name"])
    for dtype in row["ulp"]:
        x = arguments(row, dtype)[:: ENOUGH // 700]
        with numpy.errstate(all="ignore"):
            whole = numpy.asarray(function(mine(raptors, x))).tobytes()
            single = b"".join(function(v).tobytes() for v in x)
            pieces = b"".join(
                function(mine(raptors, x[i : i + n])).tobytes()
                for n in (1, 2, 3, 5, 7, 9, 15, 17, 31, 33, 63, 65)
                for i in range(0, x.size, n)
            )
            room = numpy.zeros(3 * x.size, dtype)
            room[::3] = x
            strided = mine(raptors, room)[::3]
            own = mine(raptors, x.copy())
            function(own, out=own)
            assert function(strided).tobytes() == own.tobytes() == single == whole
            assert pieces == whole * 12
