"""Every elementwise row of the operation table against NumPy: a new row is tested with no new test."""

from __future__ import annotations

import itertools
import operator
from dataclasses import replace
from typing import Any

import numpy
import pytest
import samples
from helpers import (
    ANY_ZERO,
    ELEMENTWISE,
    EXACT,
    Mismatches,
    Rules,
    by_name,
    call_into,
    clones,
    compare,
    counted,
    difference,
    mine,
    rules_for,
    run,
    same_as_numpy,
)

import raptors

#: Rows of one output whose operands have one dtype; of the others see test_other_signatures().
UNIFORM = [row for row in ELEMENTWISE if row["outputs"] == 1 and {*row["signature"]} <= {*"T?R->"}]
rows = pytest.mark.parametrize("row", UNIFORM, ids=by_name)
binary_rows = pytest.mark.parametrize("row", [row for row in UNIFORM if row["inputs"] == 2], ids=by_name)

BINARY_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
IN_PLACE_OPERATORS = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "&=": operator.iand,
    "|=": operator.ior,
    "^=": operator.ixor,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
}
UNARY_OPERATORS = {"-": operator.neg, "+": operator.pos, "abs": operator.abs, "~": operator.invert}
#: NumPy writes wrong elements into a strided out= of these (2.4, 2.5).
_STRIDED_OUTPUT = ("isnan", "isinf", "isfinite", "signbit")


def rules_of(row: dict[str, Any], *operands: Any) -> Rules:
    """NumPy's fmin and fmax pick between zeros of both signs by position: vector body and tail differ."""
    return ANY_ZERO if row["name"] in ("fmin", "fmax") else rules_for(row["name"], *operands)


def operands(row: dict[str, Any], dtype: str, n: int, rng: numpy.random.Generator) -> tuple[Any, ...]:
    values = [samples.mixed(d, n, rng) for d in samples.operand_dtypes(row, dtype)]
    if row["name"] in ("left_shift", "right_shift"):  # mostly counts that mean something
        some = rng.random(n) < 0.8
        values[1] = numpy.where(some, rng.integers(0, 70, n).astype(dtype), values[1]).astype(dtype)
    if row["name"] == "absolute" and numpy.dtype(dtype).kind == "c":
        with numpy.errstate(all="ignore"):  # whether NumPy tells of overflow depends on the layout
            over = numpy.isinf(numpy.abs(values[0])) & numpy.isfinite(values[0])
        values[0] = numpy.where(over, samples.tame(dtype, n, rng), values[0])
    return tuple(values)


def check_batch(row: dict[str, Any], batch: list[tuple[str, tuple[Any, ...]]], native: float = 1.0) -> None:
    """All cases at once: the same values, warnings in the same order, natively."""
    found = Mismatches()

    def body(xp: Any) -> list[Any]:
        function = getattr(xp, row["name"])
        return [function(*(mine(xp, a) for a in arrays)) for _, arrays in batch]

    with counted() as count:
        problem = _first(row, body, batch)
    found.add(row["name"], problem)
    found.done()
    count.of(row["name"]).require(native, at_least=len(batch))


def _first(row: dict[str, Any], body: Any, batch: list[tuple[str, tuple[Any, ...]]]) -> str | None:
    e, g = run(body, numpy), run(body, raptors)
    if e.error is None and g.error is None:
        problems = [
            f"{label} {[(a.dtype.name, a.shape, a.strides) for a in arrays]}: {problem}"
            for (label, arrays), x, y in zip(batch, e.value, g.value, strict=True)
            if (problem := difference(x, y, rules_of(row, *arrays)))
        ]
        if problems:
            return f"{len(problems)} of {len(batch)} differ\n" + "\n".join(problems[:10])
        e.value = g.value = None
    return compare(e, g)


@rows
def test_lengths(row: dict[str, Any], isa: str) -> None:
    """Contiguous operands of every length around the vector widths, and scalar operands on either side."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("lengths", row["name"], dtype)
        for n in sorted({*samples.lengths(dtype), *range(0, 36)}):
            arrays = operands(row, dtype, n, rng)
            batch.append((f"contiguous {n}", arrays))
            if row["inputs"] == 2 and n:
                scalar = arrays[1][n // 2 :][:1].reshape(())
                batch += [
                    (f"scalar right {n}", (arrays[0], scalar)),
                    (f"scalar left {n}", (scalar, arrays[0])),
                ]
    check_batch(row, batch)


@pytest.mark.parametrize("row", [r for r in ELEMENTWISE if r["inputs"] == 2], ids=lambda r: r["name"])
def test_long_rows_in_steps(row: dict[str, Any], isa: str) -> None:
    """Rows of strided elements that are not packed: they are long, or several operands would have to be."""
    batch = []
    for dtype in row["types"]:
        if numpy.dtype(dtype).itemsize < 4:
            continue
        x, y = operands(row, dtype, 40_000, samples.generator("steps", row["name"], dtype))
        for n in (100, 39_000):
            if (row["name"], dtype) != ("multiply", "complex64"):  # NumPy's round otherwise backwards
                batch.append((f"backwards {dtype} {n}", (x[n::-2], y[: n + 1 : 2])))
            batch += [
                (f"both {dtype} {n}", (x[:n:2], y[:n:2])),
                (f"one {dtype} {n}", (x[: n // 2], y[:n:2])),
                (f"scalar {dtype} {n}", (x[:n:2], y[0])),
            ]
    if batch:
        check_batch(row, batch)


@rows
def test_special_values(row: dict[str, Any], isa: str) -> None:
    """Every special value against every other, at changing positions of a vector."""
    batch = []
    for dtype in row["types"]:
        values = samples.special(dtype)
        if row["inputs"] == 1:
            pairs: tuple[Any, ...] = (values,)
        else:
            x, y = numpy.meshgrid(values, samples.special(samples.operand_dtypes(row, dtype)[1]))
            pairs = (x.ravel(), y.ravel())
        for shift in (0, 1, 3):
            batch.append((f"shift {shift}", tuple(numpy.roll(p, shift)[shift:] for p in pairs)))
        if row["inputs"] == 2:
            first, second = samples.operand_dtypes(row, dtype)
            batch += [(f"{v} right", (values, v.reshape(()))) for v in samples.special(second)]
            batch += [(f"{v} left", (v.reshape(()), samples.special(second))) for v in samples.special(first)]
    check_batch(row, batch)


@rows
def test_layouts(row: dict[str, Any], isa: str) -> None:
    """Any stride, alignment and order of axes; a struct's field; stride zero; also against another layout."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("layouts", row["name"], dtype)
        for n in (0, 1, 7, 33, 60):
            arrays = operands(row, dtype, n, rng)
            for i, (label, layout) in enumerate(samples.LAYOUTS.items()):
                batch.append((label, tuple(layout(a) for a in arrays)))
                if row["inputs"] == 2:
                    other = list(samples.LAYOUTS)[(i + 3) % len(samples.LAYOUTS)]
                    batch.append(
                        (f"{label} with {other}", (layout(arrays[0]), samples.LAYOUTS[other](arrays[1])))
                    )
            for label, shape in samples.SHAPED.items():
                batch.append((label, tuple(shape(a) for a in arrays)))
                if row["inputs"] == 2:
                    first = shape(arrays[0])
                    batch.append((f"{label} with C", (first, numpy.ascontiguousarray(shape(arrays[1])))))
                    batch.append((f"C with {label}", (numpy.ascontiguousarray(shape(arrays[1])), first)))
    check_batch(row, batch)


@binary_rows
def test_broadcasting(row: dict[str, Any]) -> None:
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("broadcasting", row["name"], dtype)
        for left, right in samples.BROADCAST:
            for x, y in ((left, right), (right, left)):
                n, m = (int(numpy.prod(s)) for s in (x, y))
                batch.append(
                    ("C", (samples.mixed(dtype, n, rng).reshape(x), samples.tame(dtype, m, rng).reshape(y)))
                )
                batch.append(("F", (samples.mixed(dtype, n, rng).reshape(x, order="F"), batch[-1][1][1])))
                batch.append(
                    ("T", tuple(a.T for a in (batch[-1][1])) if len(x) == len(y) == 2 else batch[-1][1])
                )
    batch = [(label, arrays) for label, arrays in batch if _broadcasts(arrays)]
    check_batch(row, batch)


def _broadcasts(arrays: tuple[Any, ...]) -> bool:
    try:
        numpy.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        return False
    return True


@rows
def test_every_dtype_pair(row: dict[str, Any]) -> None:
    """Promotion, refusal and borrowed dtypes: the loop is always the one that NumPy picks."""
    found, name = Mismatches(), row["name"]
    rng = samples.generator("pairs", name)
    every = {d: samples.tame(d, 9, rng) for d in samples.DTYPES}
    every |= {d: numpy.array([1, 2, 0]).astype(d) for d in samples.OTHERS if d not in ("i4,f8",)}
    every["i4,f8"] = numpy.zeros(3, "i4,f8")
    every = {d: a[:3] for d, a in every.items()}
    with counted() as count:
        for pair in itertools.product(every, repeat=row["inputs"]):
            arrays = tuple(every[d] for d in pair)
            found.check(
                pair,
                lambda xp, a=arrays: getattr(xp, name)(*(mine(xp, x) for x in a)),
                rules_of(row, *arrays),
            )
    found.done()
    count.of(name).require(0.05)


@binary_rows
def test_native_promotion(row: dict[str, Any]) -> None:
    """Two native dtypes whose loop has a kernel: no call leaves raptors (but comparing int64 with uint64)."""
    rng, batch = samples.generator("promotion", row["name"]), []
    function = getattr(numpy, row["name"])
    for x, y in itertools.product(samples.DTYPES, repeat=2):
        try:
            loop = function.resolve_dtypes((numpy.dtype(x), numpy.dtype(y), None))
        except TypeError:
            continue
        if loop[0] != loop[1] or loop[0].name not in row["types"] or {x, y} == {"int64", "uint64"}:
            continue
        for n in (0, 1, 5, 64, 131):
            arrays = samples.tame(x, n, rng), samples.tame(y, n, rng)
            batch += [
                ("contiguous", arrays),
                ("strided", (arrays[0][::2], samples.LAYOUTS["reversed"](arrays[1][::2]))),
            ]
    assert batch
    check_batch(row, batch)


@rows
def test_long_operands(row: dict[str, Any], isa: str) -> None:
    """Beyond every block size: buffered casts, several inner loops, splits."""
    batch = []
    for dtype in row["types"]:
        rng = samples.generator("long", row["name"], dtype)
        arrays = operands(row, dtype, 20_011, rng)
        batch += [("contiguous", arrays), ("strided", tuple(a[3::2] for a in arrays))]
        batch.append(("transposed", tuple(a[:20_000].reshape(100, 200).T for a in arrays)))
        if row["inputs"] == 2:
            batch.append(
                (
                    "mixed order",
                    (arrays[0][:20_000].reshape(100, 200), arrays[1][:20_000].reshape(200, 100).T),
                )
            )
    check_batch(row, batch)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "float64"])
def test_long_transposes(dtype: str, isa: str) -> None:
    """Copies between row-like and column-like sides, and operations on both: beyond every tile, with rests,
    with rows that begin in few sets of a cache, and of a size that is written past the caches."""
    found = Mismatches()
    # Rows apart by multiples of 512 bytes, and not; more than 1024 of them. The last two are streamed.
    shapes = [(1100, 19), (1024, 256), (2050, 33), (512, 700), (37, 2100), (128, 1024)]
    shapes += [(1744, 2115), (2128, 1747)]
    with counted() as count:
        for shape in shapes:
            n = shape[0] * shape[1]
            data = samples.tame(dtype, n, samples.generator("transposes", dtype, n)).reshape(shape)
            other = numpy.ascontiguousarray(data.T[::-1])

            def body(xp: Any, data: Any = data, other: Any = other) -> Any:
                a, b = clones(xp, data, other)
                target = xp.zeros(data.shape[::-1], data.dtype)
                target.T[...] = a
                padded = xp.zeros((data.shape[1], data.shape[0] + 3), data.dtype)
                padded[:, 1:-2] = a.T
                return a.T.copy(), xp.ascontiguousarray(a.T[1:, 1:]), target, padded, a.T + b, a - b.T, -a.T

            found.check(shape, body)
    found.done()
    count.of("copy", "ascontiguousarray", "__setitem__", "add", "subtract").require()


def test_views_that_are_column_like(isa: str) -> None:
    """Rows closer together than their elements, overlapping or not, alone and with others of the kind."""
    found = Mismatches()
    base = samples.generator("column-like").random(3000)
    lower, upper = (samples.generator("column-like", i).random((100, 40)) for i in (1, 2))
    with counted() as count:
        for strides in ((4, 8), (8, 8), (3, 8), (8, 16), (16, 64)):

            def body(xp: Any, strides: tuple[int, int] = strides) -> Any:
                a, low, high = clones(xp, base, lower, upper)
                view = numpy.lib.stride_tricks.as_strided(
                    a, (40, 40 if strides[1] > 16 else 100), strides, subok=True
                )
                low, high = (x.T[:, : view.shape[1]] for x in (low, high))
                return view + high, view * 2, high - view, xp.clip(view, low, high), xp.clip(low, view, high)

            found.check(strides, body)
    found.done()
    count.of("add", "multiply", "subtract", "clip").require()


# ---- two outputs, operands of two dtypes ---------------------------------------------------------

#: Ufuncs of such signatures, with the dtypes for which they have kernels.
OTHERS = {
    f.__name__: next((row["types"] for row in ELEMENTWISE if row["name"] == f.__name__), [])
    for f in (numpy.modf, numpy.divmod, numpy.frexp, numpy.ldexp)
}
assert {row["name"] for row in ELEMENTWISE} - {row["name"] for row in UNIFORM} <= {*OTHERS}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("dtype", [d for d in samples.DTYPES if numpy.dtype(d).kind in "iuf"])
def test_other_signatures(name: str, dtype: str, isa: str) -> None:
    """Every layout and length, special values, scalars, out= and where=; natively where there is a row."""
    theirs, rng, found = getattr(numpy, name), samples.generator("others", name, dtype), Mismatches()
    dtypes = [dtype, "int32" if name == "ldexp" else dtype][: theirs.nin]
    if name == "ldexp" and numpy.dtype(dtype).kind != "f":
        pytest.skip("NumPy casts such operands")
    with numpy.errstate(all="ignore"):
        results = theirs(*(numpy.ones(1, d) for d in dtypes))
        results = results if isinstance(results, tuple) else (results,)

    def check(label: Any, *arrays: Any, **keywords: Any) -> None:
        found.check(label, lambda xp: getattr(xp, name)(*(mine(xp, a) for a in arrays), **keywords))

    with counted() as count:
        for n in (1, 3, 8, 33, 257):
            arrays = [samples.mixed(d, n, rng) for d in dtypes]
            for label, layout in samples.LAYOUTS.items():
                check((label, n), *(layout(a) for a in arrays))
        special = [samples.special(d) for d in dtypes]
        check("special", *(p.ravel() for p in numpy.meshgrid(*special)))
        for values in zip(*special, strict=False):
            check(("scalar", values), *values)
        mask = rng.random(33) < 0.5
        for given in ((True, True), (True, False), (False, True))[: 3 if theirs.nout > 1 else 1]:

            def into(xp: Any, given: Any = given, **more: Any) -> Any:
                inputs = [
                    mine(xp, samples.tame(dtype, 33, samples.generator("into"))) for _ in range(theirs.nin)
                ]
                out = tuple(
                    mine(xp, numpy.ones(33, r.dtype)) if g else None
                    for r, g in zip(results, given, strict=True)
                )
                return getattr(xp, name)(*inputs, out=out, **more), out

            found.check(("out", given), into)
            if all(given):
                found.check("where", lambda xp: into(xp, where=mine(xp, mask)))
    twice = [mixed_up := samples.tame(dtype, 5, rng), mixed_up][: theirs.nin]
    check("one dtype", *twice)  # which ldexp refuses
    found.done()
    if dtype in OTHERS[name]:
        count.of(name).require(0.9)


# ---- keywords ------------------------------------------------------------------------------------


@rows
def test_out(row: dict[str, Any]) -> None:
    """out= of every layout and of castable dtypes; the result is that very object."""
    found, name = Mismatches(), row["name"]
    with counted() as count:
        for dtype in row["types"]:
            rng = samples.generator("out", name, dtype)
            arrays = operands(row, dtype, 37, rng)
            result = samples.result_dtype(row, dtype)
            for label, layout in samples.LAYOUTS.items():
                if label == "read-only":
                    continue
                for target in {result, "float64"} if result != "bool" else {"bool", "uint8"}:
                    if not numpy.can_cast(result, target, "same_kind"):
                        continue
                    out = layout(numpy.ones(37, target))

                    def body(xp: Any, arrays: Any = arrays, out: Any = out) -> Any:
                        o, *inputs = clones(xp, out, *arrays)
                        r = call_into(xp, name, inputs, o)
                        assert r is o
                        if name not in ("minimum", "maximum"):  # deprecated by NumPy
                            p = (
                                getattr(xp, name)(*inputs, o)
                                if name not in _STRIDED_OUTPUT
                                else call_into(xp, name, inputs, o)
                            )
                            assert p is o
                        if name not in _STRIDED_OUTPUT:
                            q = getattr(xp, name)(*inputs, out=(o,))
                            assert q is o
                        return o

                    found.check((dtype, label, target), body, replace(rules_of(row, dtype), loop=dtype))
    found.done()
    count.of(name).require(at_least=len(row["types"]))


@rows
def test_where(row: dict[str, Any], isa: str) -> None:
    """where= leaves the rest of out alone, whatever is in the masked elements."""
    found, name = Mismatches(), row["name"]
    with counted() as count:
        for dtype in row["types"]:
            rng = samples.generator("where", name, dtype)
            for n in (1, 8, 33, 130):
                arrays = operands(row, dtype, n, rng)
                result = samples.result_dtype(row, dtype)
                masks = [
                    rng.random(n) < 0.5,
                    numpy.ones(n, bool),
                    numpy.zeros(n, bool),
                    numpy.arange(2 * n)[::2] % 3 == 0,
                ]
                for i, mask in enumerate(masks):
                    out = numpy.full(n, 1, result)

                    def body(xp: Any, arrays: Any = arrays, out: Any = out, mask: Any = mask) -> Any:
                        o, m, *inputs = clones(xp, out, mask, *arrays)
                        assert getattr(xp, name)(*inputs, out=o, where=m) is o
                        return o

                    found.check((dtype, n, i), body, rules_of(row, dtype))
            arrays = tuple(a.reshape(5, 4) for a in operands(row, dtype, 20, rng))
            mask = rng.random(4) < 0.5
            out = numpy.full((5, 4), 1, result)

            def broadcast(xp: Any, arrays: Any = arrays, out: Any = out, mask: Any = mask) -> Any:
                o, m, *inputs = clones(xp, out, mask, *arrays)
                return getattr(xp, name)(*inputs, out=o, where=m), getattr(xp, name)(
                    *inputs, out=o, where=True
                )

            found.check((dtype, "broadcast mask"), broadcast, rules_of(row, dtype))
    found.done()
    count.of(name).require(at_least=len(row["types"]))


@rows
def test_dtype_and_casting(row: dict[str, Any]) -> None:
    """dtype=, signature= and casting=, with their errors."""
    found, name = Mismatches(), row["name"]
    rng = samples.generator("dtype", name)
    for source in ("bool", "int8", "uint8", "int32", "int64", "uint64", "float32", "float64"):
        arrays = [samples.tame(source, 11, rng) for _ in range(row["inputs"])]
        for target in (
            "bool",
            "int8",
            "int32",
            "uint64",
            "float32",
            "float64",
            "float16",
            "complex128",
            "O",
            "U",
        ):
            for casting in (None, "no", "equiv", "safe", "same_kind", "unsafe"):
                keywords = {"dtype": target} | ({"casting": casting} if casting else {})

                def body(xp: Any, arrays: Any = arrays, keywords: Any = keywords) -> Any:
                    return getattr(xp, name)(*(mine(xp, a) for a in arrays), **keywords)

                found.check((source, keywords), body, rules_of(row, source))
    found.done()


@rows
def test_bad_arguments(row: dict[str, Any]) -> None:
    """The same exception types and messages as NumPy's."""
    found, name = Mismatches(), row["name"]
    dtype = "float64" if "float64" in row["types"] else "int64"

    def ones(xp: Any, *shape: int) -> Any:
        return mine(xp, numpy.ones(shape, dtype))

    def inputs(xp: Any) -> list[Any]:
        return [ones(xp, 3)] * row["inputs"]

    def read_only(xp: Any) -> Any:
        a = ones(xp, 3)
        a.flags.writeable = False
        return a

    cases: dict[str, Any] = {
        "none": lambda f, xp: f(),
        "too few": lambda f, xp: f(*inputs(xp)[1:]),
        "too many": lambda f, xp: f(*inputs(xp), None, None, None),
        "unknown keyword": lambda f, xp: f(*inputs(xp), axis=1),
        "out shape": lambda f, xp: f(*inputs(xp), out=ones(xp, 4)),
        "out broadcast": lambda f, xp: f(*inputs(xp), out=ones(xp, 2, 3)),
        "out too small": lambda f, xp: f(*inputs(xp), out=ones(xp, 1)),
        "out twice": lambda f, xp: f(*inputs(xp), ones(xp, 3), out=ones(xp, 3)),
        "out type": lambda f, xp: f(*inputs(xp), out=[1, 2, 3]),
        "out tuple": lambda f, xp: f(*inputs(xp), out=(ones(xp, 3), ones(xp, 3))),
        "out empty tuple": lambda f, xp: f(*inputs(xp), out=()),
        "out dtype": lambda f, xp: f(*inputs(xp), out=ones(xp, 3).astype("i1")),
        "out read-only": lambda f, xp: f(*inputs(xp), out=read_only(xp)),
        "out ellipsis": lambda f, xp: f(*inputs(xp), out=...),
        "out ellipsis 0-d": lambda f, xp: f(*[ones(xp)] * row["inputs"], out=...),
        "where dtype": lambda f, xp: f(*inputs(xp), out=ones(xp, 3), where=mine(xp, numpy.array([1, 0, 1]))),
        "where shape": lambda f, xp: f(*inputs(xp), out=ones(xp, 3), where=mine(xp, numpy.ones(4, bool))),
        "where larger": lambda f, xp: f(*inputs(xp), where=mine(xp, numpy.ones((2, 3), bool))).shape,
        "where None": lambda f, xp: f(*inputs(xp), where=None).shape,
        "dtype": lambda f, xp: f(*inputs(xp), dtype="nonsense"),
        "casting": lambda f, xp: f(*inputs(xp), casting="nonsense"),
        "order": lambda f, xp: f(*inputs(xp), order="nonsense"),
        "order F": lambda f, xp: f(*[ones(xp, 3, 4)] * row["inputs"], order="F"),
        "subok": lambda f, xp: f(*inputs(xp), subok=False),
        "signature": lambda f, xp: f(*inputs(xp), signature="???"),
        "sig and dtype": lambda f, xp: f(*inputs(xp), signature="d", dtype="d"),
        "None": lambda f, xp: f(*[None] * row["inputs"]),
        "text": lambda f, xp: f(*["x"] * row["inputs"]),
        "objects": lambda f, xp: f(*[object] * row["inputs"]),
        "lists": lambda f, xp: f(*[[1, 2, 3]] * row["inputs"]),
        "scalars": lambda f, xp: f(*[3] * row["inputs"]),
        "floats": lambda f, xp: f(*[2.5] * row["inputs"]),
        "bools": lambda f, xp: f(*[True] * row["inputs"]),
        "huge": lambda f, xp: f(*[10**30] * row["inputs"]),
        "ragged": lambda f, xp: f(*[[1, [2, 3]]] * row["inputs"]),
    }
    if row["inputs"] == 2:
        cases["shapes"] = lambda f, xp: f(ones(xp, 3), ones(xp, 4))
        cases["shapes 2-d"] = lambda f, xp: f(ones(xp, 3, 2), ones(xp, 3))
        cases["None right"] = lambda f, xp: f(ones(xp, 3), None)
        cases["text right"] = lambda f, xp: f(ones(xp, 3), "x")
    for label, case in cases.items():
        found.check(label, lambda xp, case=case: case(getattr(xp, name), xp), rules_of(row))
    found.done()


# ---- operators and scalars -----------------------------------------------------------------------

WEAK = [
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    -128,
    -129,
    255,
    256,
    2**31,
    -(2**31),
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    10**30,
    0.0,
    -0.0,
    0.5,
    1.5,
    -2.5,
    1e-320,
    1e39,
    -1e39,
    1e300,
    float("inf"),
    float("nan"),
    2j,
    None,
    "x",
    b"x",
    [1, 2, 3],
    (1.5,),
    [],
    object,
]


@pytest.mark.parametrize("symbol", BINARY_OPERATORS)
def test_python_scalars(symbol: str) -> None:
    """NEP 50: Python's numbers are weak. Either side, every dtype, also values that do not fit."""
    found, op = Mismatches(), BINARY_OPERATORS[symbol]
    with counted() as count:
        for dtype in samples.DTYPES:
            a = samples.tame(dtype, 3, samples.generator(dtype))
            for value in WEAK:
                found.check((dtype, "array", symbol, value), lambda xp, a=a, v=value: op(mine(xp, a), v))
                found.check((dtype, value, symbol, "array"), lambda xp, a=a, v=value: op(v, mine(xp, a)))
    found.done()
    count.require(0.2)


@pytest.mark.parametrize("symbol", BINARY_OPERATORS)
def test_numpy_scalars(symbol: str) -> None:
    """NumPy's scalars are strong; 0-d arrays, too. Results of 0-d operands are scalars."""
    found, op = Mismatches(), BINARY_OPERATORS[symbol]
    scalars = [numpy.dtype(d).type(1) for d in (*samples.DTYPES, "float16", "longdouble", "complex64")]
    scalars += [
        numpy.longlong(3),
        numpy.ulonglong(3),
        numpy.str_("x"),
        numpy.datetime64(3, "s"),
        numpy.timedelta64(2, "s"),
    ]
    scalars += [
        numpy.float32(1e38),
        numpy.float64(1e300),
        numpy.float64("nan"),
        numpy.int8(-128),
        numpy.uint64(2**64 - 1),
    ]
    with counted() as count:
        for dtype in samples.DTYPES:
            a = samples.tame(dtype, 3, samples.generator(dtype))
            zero_d = a[:1].reshape(())
            for s in scalars:
                found.check((dtype, symbol, repr(s)), lambda xp, a=a, s=s: op(mine(xp, a), s))
                found.check((dtype, "0-d", repr(s)), lambda xp, a=zero_d, s=s: op(mine(xp, a), s))
                # Hand over to subclasses: the message names the mirrored ufunc.
                complex_nan = numpy.dtype(dtype).kind == "c" and s != s
                if isinstance(s, (numpy.datetime64, numpy.timedelta64)) or complex_nan:
                    continue
                found.check((repr(s), symbol, dtype), lambda xp, a=a, s=s: op(s, mine(xp, a)))
                found.check(("0-d", repr(s)), lambda xp, a=zero_d, s=s: op(s, mine(xp, a)))
            for other in samples.DTYPES:
                b = samples.tame(other, 3, samples.generator(other))[1:2].reshape(())
                found.check((dtype, "0-d array", other), lambda xp, a=a, b=b: op(mine(xp, a), mine(xp, b)))
                found.check(("0-d array", dtype, other), lambda xp, a=a, b=b: op(mine(xp, b), mine(xp, a)))
                found.check(
                    ("both 0-d", dtype, other), lambda xp, a=zero_d, b=b: op(mine(xp, a), mine(xp, b))
                )
    found.done()
    count.require(0.3)


@pytest.mark.parametrize("symbol", IN_PLACE_OPERATORS)
def test_in_place(symbol: str, isa: str) -> None:
    """The left operand stays the same object; its dtype does not change; refusals leave it as it was."""
    found, op = Mismatches(), IN_PLACE_OPERATORS[symbol]
    with counted() as count:
        for dtype in samples.DTYPES:
            rng = samples.generator("in place", symbol, dtype)
            for layout in ("contiguous", "step 2", "reversed", "unaligned", "read-only"):
                a = samples.LAYOUTS[layout](samples.tame(dtype, 21, rng))
                right = [
                    samples.tame(d, 21, rng)
                    for d in ("bool", "int8", "int64", "uint64", "float32", "float64")
                ]
                right += [
                    samples.tame(dtype, 21, rng),
                    samples.tame(dtype, 1, rng),
                    3,
                    2.5,
                    -1,
                    True,
                    300,
                    numpy.float64(2),
                ]
                for b in right:

                    def body(xp: Any, a: Any = a, b: Any = b) -> Any:
                        x, y = clones(xp, a, b)
                        try:
                            r = op(x, y)
                            assert r is x
                        except Exception as error:
                            return x, type(error), str(error)
                        return x

                    rules = rules_for("multiply", dtype) if symbol == "*=" else EXACT
                    found.check((dtype, layout, getattr(b, "dtype", b)), body, rules)
            found.check((dtype, "self"), lambda xp, a=a: _self_in_place(op, xp, a))
    found.done()
    count.require(0.1)


def _self_in_place(op: Any, xp: Any, a: Any) -> Any:
    (x,) = clones(xp, a)
    try:
        x = op(x, x)
    except Exception as error:
        return type(error), str(error)
    return x


@pytest.mark.parametrize("symbol", UNARY_OPERATORS)
def test_unary_operators(symbol: str, isa: str) -> None:
    found, op = Mismatches(), UNARY_OPERATORS[symbol]
    with counted() as count:
        for dtype in (*samples.DTYPES, *samples.OTHERS):
            a = (
                numpy.zeros(5, dtype)
                if dtype in samples.OTHERS
                else samples.mixed(dtype, 19, samples.generator(dtype))
            )
            for layout in ("contiguous", "step -3", "unaligned"):
                if numpy.dtype(dtype).hasobject and layout == "unaligned":
                    continue
                b = samples.LAYOUTS[layout](a)
                rules = rules_for("absolute", dtype) if symbol == "abs" and dtype in samples.DTYPES else EXACT
                found.check((dtype, layout), lambda xp, a=b: op(mine(xp, a)), rules)
            found.check((dtype, "0-d"), lambda xp, a=a: op(mine(xp, a[:1].reshape(()))))
    found.done()
    count.require(0.35)


def test_operators_equal_functions() -> None:
    """The operator, the function and NumPy's own function on our arrays give one result."""
    found = Mismatches()
    names = {
        "+": "add",
        "-": "subtract",
        "*": "multiply",
        "/": "divide",
        "<": "less",
        "<=": "less_equal",
        "==": "equal",
        "!=": "not_equal",
        ">": "greater",
        ">=": "greater_equal",
        "&": "bitwise_and",
        "|": "bitwise_or",
        "^": "bitwise_xor",
        "<<": "left_shift",
        ">>": "right_shift",
    }
    for symbol, name in names.items():
        dtype = "int32" if symbol in ("&", "|", "^", "<<", ">>") else "float64"
        a, b = (samples.tame(dtype, 20, samples.generator(symbol, k)) for k in "ab")
        x, y = a.view(raptors.ndarray), b.view(raptors.ndarray)
        with counted() as count:
            results = [
                BINARY_OPERATORS[symbol](x, y),
                getattr(raptors, name)(x, y),
                getattr(numpy, name)(x, y),
            ]
            results += [
                BINARY_OPERATORS[symbol](x, b),
                BINARY_OPERATORS[symbol](a, y),
                getattr(raptors, name)(a, b),
            ]
        count.require(at_least=6)  # reflected comparisons are counted by their own name
        for r in results:
            assert type(r) is raptors.ndarray
            found.add(name, None if r.tobytes() == getattr(numpy, name)(a, b).tobytes() else "values")
    found.done(15)


# ---- ternary rows --------------------------------------------------------------------------------


def test_clip(isa: str) -> None:
    """Function, method and keywords; bounds as arrays, scalars and None; NaN bounds; out=."""
    found = Mismatches()
    with counted() as count:
        for dtype in samples.DTYPES[1:]:
            rng = samples.generator("clip", dtype)
            for n in (0, 1, 9, 33, 130):
                a, low, high = (
                    samples.mixed(dtype, n, rng),
                    samples.mixed(dtype, n, rng),
                    samples.mixed(dtype, n, rng),
                )
                for layout in ("contiguous", "step 2", "unaligned"):
                    operands_ = [samples.LAYOUTS[layout](x) for x in (a, low, high)]
                    found.check(
                        (dtype, n, layout),
                        lambda xp, v=operands_: [
                            xp.clip(*(mine(xp, x) for x in v)),
                            mine(xp, v[0]).clip(mine(xp, v[1]), mine(xp, v[2])),
                        ],
                        ANY_ZERO,
                    )
            a = samples.mixed(dtype, 40, rng)
            for low_, high_ in (
                (1, 5),
                (None, 3),
                (2, None),
                (5, 1),
                (None, None),
                (0.5, 2.5),
                (-1, 300),
                (10**30, 2),
            ):
                found.check(
                    (dtype, low_, high_),
                    lambda xp, a=a, lo=low_, hi=high_: xp.clip(mine(xp, a), lo, hi),
                    ANY_ZERO,
                )
                found.check(
                    (dtype, low_, high_, "method"),
                    lambda xp, a=a, lo=low_, hi=high_: mine(xp, a).clip(lo, hi),
                    ANY_ZERO,
                )
                found.check(
                    (dtype, low_, high_, "min max"),
                    lambda xp, a=a, lo=low_, hi=high_: xp.clip(mine(xp, a), min=lo, max=hi),
                    ANY_ZERO,
                )

            def out(xp: Any, a: Any = a) -> Any:
                x, o = clones(xp, a, numpy.zeros_like(a))
                assert xp.clip(x, 1, 7, out=o) is o
                assert x.clip(2, 3, out=x) is x
                return o, x

            found.check((dtype, "out"), out, ANY_ZERO)
        a = numpy.array([1.0, numpy.nan, 3.0, -0.0])
        for bound in (numpy.nan, 0.0, -0.0, numpy.inf):
            found.check(bound, lambda xp, b=bound: [mine(xp, a).clip(b, 2), mine(xp, a).clip(0, b)], ANY_ZERO)
    found.done()
    count.require(0.8)


CLIP_BOUNDS: list[Any] = [
    *(None, 0, 1, -1, 127, 128, -128, -129, 255, 256, 32767, -32768, 65535, 65536, 2**31 - 1, -(2**31)),
    *(2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(2**64), 10**30, -(10**30), True),
    *(
        0.5,
        -0.0,
        numpy.inf,
        -numpy.inf,
        numpy.nan,
        1e300,
        numpy.int8(-128),
        numpy.uint8(255),
        numpy.int64(300),
    ),
    *(numpy.float32(2.5), numpy.uint64(2**64 - 1), numpy.array([300, 2]), numpy.array([-3.5, 3.5])),
    numpy.array([2, 1], "u1"),
]


@pytest.mark.parametrize("dtype", samples.DTYPES)
def test_clip_with_every_pair_of_bounds(dtype: str) -> None:
    """Python ints at or beyond an integer dtype's limits are no bounds, and do not promote."""
    info = numpy.iinfo(dtype) if numpy.dtype(dtype).kind in "iu" else None
    ends = [info.min, info.max, info.max - 1, info.min + 1] if info else []
    a = numpy.array(ends[:2] or [1, 0], dtype)
    bounds = [*CLIP_BOUNDS, *map(int, ends)]
    found = Mismatches()
    with counted() as count:
        for low in bounds:
            for high in bounds:

                def body(xp: Any, low: Any = low, high: Any = high) -> Any:
                    return xp.clip(mine(xp, a), mine(xp, low), mine(xp, high))

                found.check((dtype, low, high), body, ANY_ZERO)
        for low, high in (
            (None, 300),
            (-500, None),
            (300, -300),
            (0, 255),
            (-128, 127),
            (None, None),
            (1, 2),
        ):
            found.check((low, high), lambda xp, b=(low, high): mine(xp, a).clip(*b), ANY_ZERO)
            found.check((low, high), lambda xp, b=(low, high): mine(xp, a).clip(min=b[0], max=b[1]), ANY_ZERO)
            found.check(
                (low, high), lambda xp, b=(low, high): xp.clip(mine(xp, a), a_min=b[0], a_max=b[1]), ANY_ZERO
            )
            found.check((low, high), lambda xp, b=(low, high): mine(xp, a).clip(a_min=b[0], a_max=b[1]))
            found.check((low, high), lambda xp, b=low: mine(xp, a).clip(a_min=b))
    found.done(len(bounds) ** 2)
    if numpy.dtype(dtype).kind != "c":  # NumPy's loops clip complex numbers
        count.of("clip", "minimum", "maximum", "positive").require(0.1 if dtype == "?" else 0.4)


def test_select(isa: str) -> None:
    """where(condition, x, y): every dtype, promotion, scalars, broadcasting; where(condition) is NumPy's."""
    found = Mismatches()
    with counted() as count:
        for dtype in samples.DTYPES:
            rng = samples.generator("select", dtype)
            for n in (0, 1, 7, 33, 131):
                c, x, y = rng.random(n) < 0.5, samples.mixed(dtype, n, rng), samples.mixed(dtype, n, rng)
                for layout in samples.LAYOUTS.values():
                    operands_ = [layout(v) for v in (c, x, y)]
                    found.check((dtype, n), lambda xp, v=operands_: xp.where(*(mine(xp, a) for a in v)))
                found.check((dtype, n, "scalar"), lambda xp, c=c, x=x: xp.where(mine(xp, c), mine(xp, x), 1))
                found.check((dtype, n, "scalars"), lambda xp, c=c: xp.where(mine(xp, c), 1.5, 2))
            for other in samples.DTYPES:
                z = samples.tame(other, 131, rng)
                found.check((dtype, other), lambda xp, v=(c, x, z): xp.where(*(mine(xp, a) for a in v)))
        native = Mismatches()
        for left, right in samples.BROADCAST:
            try:
                numpy.broadcast_shapes(left, right)
            except ValueError:
                continue
            c, x = numpy.ones(left, bool), numpy.full(right, 2.0)
            native.check(
                (left, right), lambda xp, v=(c, x): xp.where(mine(xp, v[0]), mine(xp, v[1]), mine(xp, v[1]))
            )
    native.done()
    count.require(0.99)
    a = numpy.array([0.0, -0.0, numpy.nan, 2.0])
    for body in (
        lambda xp: xp.where(mine(xp, a)),
        lambda xp: xp.where(mine(xp, a), 1, 2),
        lambda xp: xp.where(mine(xp, a), "x", mine(xp, a)),
        lambda xp: xp.where(True, mine(xp, a), 0),
        lambda xp: xp.where([True, False], [1, 2], [3, 4]),
        lambda xp: xp.where(mine(xp, a) > 0, mine(xp, a)),
        lambda xp: xp.where(mine(xp, a) > 0, mine(xp, a), mine(xp, numpy.ones(3))),
        lambda xp: xp.where(),
    ):
        found.check(body, body)
    found.done()


# ---- other properties of the callables -----------------------------------------------------------


@rows
def test_callable(row: dict[str, Any]) -> None:
    """Ours looks like NumPy's ufunc, equals it, hashes like it; aliases are the same object."""
    ours, theirs = getattr(raptors, row["name"]), getattr(numpy, row["name"])
    assert isinstance(ours, numpy.ufunc)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert ours in {theirs: 1}
    for attribute in (
        "__name__",
        "__doc__",
        "nout",
        "nargs",
        "ntypes",
        "types",
        "identity",
        "signature",
    ):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert repr(ours) == repr(theirs)
    assert row["doc"]
    for alias in row["aliases"]:
        assert getattr(raptors, alias) is ours
        assert getattr(numpy, alias) is theirs


def test_ufunc_methods() -> None:
    """reduce, accumulate, reduceat, outer and at of every binary row."""
    found = Mismatches()
    for row in ELEMENTWISE:
        if row["inputs"] != 2:
            continue
        for dtype in row["types"][::3]:
            a = samples.tame(dtype, 12, samples.generator("methods", dtype))
            b = a.reshape(3, 4)

            def at(xp: Any, f: Any, a: Any = a) -> Any:
                (x,) = clones(xp, a)
                f.at(x, [0, 1, 1], x[:3].copy())
                return x

            name = row["name"]
            found.check(
                (name, dtype, "outer"),
                lambda xp, n=name, a=a: getattr(xp, n).outer(mine(xp, a[:3]), mine(xp, a)),
            )
            found.check(
                (name, dtype, "accumulate"),
                lambda xp, n=name, a=b: getattr(xp, n).accumulate(mine(xp, a), axis=1),
            )
            found.check(
                (name, dtype, "reduceat"),
                lambda xp, n=name, a=a: getattr(xp, n).reduceat(mine(xp, a), [0, 3, 5]),
            )
            rules = Rules(ulps=4) if numpy.dtype(dtype).kind == "c" else EXACT
            found.check((name, dtype, "at"), lambda xp, n=name: at(xp, getattr(xp, n)), rules)
    found.done()


def test_raw_booleans() -> None:
    """A stored byte other than 0 and 1 is true."""
    raw = numpy.array([0, 1, 2, 128, 255, 0, 3] * 11, numpy.uint8).view(bool)
    other = numpy.array([0, 0, 1, 255, 2, 7, 0] * 11, numpy.uint8).view(bool)
    logical = [r for r in ELEMENTWISE if "bool" in r["types"] and r["name"].startswith("logical")]
    assert logical
    for row in logical:
        arrays = (raw, other)[: row["inputs"]]
        same_as_numpy(lambda xp, n=row["name"], v=arrays: getattr(xp, n)(*(mine(xp, a) for a in v)))
    same_as_numpy(lambda xp: [mine(xp, raw).any(), mine(xp, raw).all(), xp.where(mine(xp, raw), 1, 2)])
