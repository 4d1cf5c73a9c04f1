"""Sums of products over labelled axes: einsum, tensordot, outer, kron, multi_dot, matrix_power.

Sums may be taken in any order: floats are compared within gamma_k |A||B|, integers to the last bit.
The memory order of the results, views among them, is NumPy's.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
import samples
from helpers import EXACT, Mismatches, clones, close, counted

import raptors

DTYPES = ["f8", "f4", "i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1", "?", "q"]
LABELS = "cAbXia"
NAN, INF = float("nan"), float("inf")


def numbers(rng: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """Without cancellation, so that a relative bound holds; with zeros of both signs."""
    a = rng.random(shape) * (2 if dtype == "?" else 200)
    return numpy.asarray(a * rng.choice([1, 1, 1, 1, 0.0], shape)).astype(dtype)


def laid_out(rng: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """An array of this shape: axes in any order, backwards, with gaps, repeated or unaligned."""
    perm = rng.permutation(len(shape))
    steps = rng.choice([1, 1, 1, -1, 2, -2], len(shape))
    whole = tuple(abs(int(step)) * shape[i] for i, step in zip(perm, steps, strict=True))
    a = numbers(rng, dtype, whole)
    if rng.random() < 0.1 and a.size and dtype != "O":
        room = numpy.zeros(a.nbytes + 1, "u1")[1:].view(a.dtype).reshape(whole)
        room[...] = a
        a = room
    a = a[(..., *(slice(None, None, int(step)) for step in steps))].transpose(numpy.argsort(perm))
    if shape and rng.random() < 0.1:
        axis = int(rng.integers(len(shape)))
        a = numpy.broadcast_to(a.take([0] if a.shape[axis] else [], axis), shape) if a.size else a
    return a


def subscripts(rng: Any, operands: int) -> tuple[str, list[tuple[int, ...]]]:
    """Labels and shapes that fit, for the most part."""
    length = {
        label: int(rng.choice([0, 1, 2, 3, 4, 5], p=[0.02, 0.1, 0.22, 0.22, 0.22, 0.22])) for label in LABELS
    }
    dotted = [int(n) for n in rng.integers(1, 4, 2)]
    terms, shapes = [], []
    dots = False
    for _ in range(operands):
        labels = [str(x) for x in rng.choice(list(LABELS[: 3 + operands]), int(rng.integers(0, 4)))]
        shape = [1 if rng.random() < 0.03 else length[label] for label in labels]
        if rng.random() < 0.2:
            dots = True
            at, more = int(rng.integers(0, len(labels) + 1)), int(rng.integers(0, 3))
            labels.insert(at, "...")
            shape[at:at] = [1 if rng.random() < 0.2 else n for n in dotted[2 - more :]]
        terms.append("".join(labels))
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if rng.random() < 0.8:
        used = sorted({*text} - {*",."})
        kept = [str(x) for x in rng.permutation(used)][: int(rng.integers(0, len(used) + 1))]
        if dots and rng.random() < 0.97:
            kept.insert(int(rng.integers(0, len(kept) + 1)), "...")
        text += "->" + "".join(kept)
    if rng.random() < 0.1:
        text = text.replace(",", " , ").replace("->", " -> ")
    return text, shapes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("operands", "cases", "least"), [(1, 60, 0.2), (2, 400, 0.75), (3, 60, 0.3)])
def test_any_subscripts(dtype: str, operands: int, cases: int, least: float, isa: str) -> None:
    """Errors, too: some of these do not fit."""
    rng = samples.generator("einsum", dtype, operands)
    found = Mismatches()
    rules = close(dtype, 100)
    with counted() as count:
        for _ in range(cases):
            text, shapes = subscripts(rng, operands)
            arrays = [laid_out(rng, dtype, shape) for shape in shapes]
            found.check(
                (text, [(a.shape, a.strides) for a in arrays]),
                lambda xp, t=text, a=arrays: xp.einsum(t, *clones(xp, *a)),
                rules,
            )
    found.done(cases)
    wide = numpy.dtype(dtype).itemsize == 8 or dtype in ("f4", "?")
    count.of("einsum").require(least if wide else max(least - 0.3, 0), cases)


COMMON = {
    **{"ij,jk->ik": "2 2", "ij,jk": "2 2", "ij,kj->ik": "2 2", "ji,jk->ik": "2 2", "ij,jk->ki": "2 2"},
    **{"bij,bjk->bik": "3 3", "...ij,...jk->...ik": "3 3", "bij,bkj->bik": "3 3", "ijb,jkb->ikb": "3 3"},
    **{"i,i": "1 1", "i,i->": "1 1", "i,i->i": "1 1", "i,j": "1 1", "i,j->ij": "1 1", "i,j->ji": "1 1"},
    **{"ij,ij->ij": "2 2", "ij,ij->": "2 2", "ij,ji->": "2 2", "ij,ij->i": "2 2", "ij,ij->j": "2 2"},
    **{"ij,j->i": "2 1", "ij,i->j": "2 1", "ij,j->ij": "2 1", "i,ij,j->": "1 2 1", "bi,bi->b": "2 2"},
    **{"ij,jk,kl->il": "2 2 2", "ijk,jil->kl": "3 3", "abcd,cdef->abef": "4 4", "abcd,cedf->aebf": "4 4"},
    **{"bqhd,bkhd->bhqk": "4 4", "bhqk,bkhd->bqhd": "4 4", "ijk,ilm,njm,nlk->": "3 3 3 3", "ii,i->i": "2 1"},
    **{"ij->ji": "2", "ii->i": "2", "ijk->kij": "3", "...ij->...ji": "3", "iij->ji": "3"},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 5, 17])
def test_common_forms_are_native(dtype: str, n: int) -> None:
    rng = samples.generator("common", dtype, n)
    found = Mismatches()
    wide = numpy.dtype(dtype).itemsize == 8 or dtype in ("f4", "?")
    with counted() as count:
        for text, axes in COMMON.items():
            if n > 9 and axes.count("4"):
                continue
            arrays = [numbers(rng, dtype, (n,) * int(nd)) for nd in axes.split()]
            # Narrow integers are added up in wider ones: only products of matrices are theirs.
            if not wide and text in ("ij,ji->", "ij,ij->j"):
                continue
            for order in "CF":
                found.check(
                    (text, order),
                    lambda xp, t=text, a=arrays, o=order: xp.einsum(t, *(xp.array(x, order=o) for x in a)),
                    close(dtype, 100),
                )
    found.done(50)
    count.of("einsum").require(0.9 if wide else 0.8, 50)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "?"])
def test_long_sums(dtype: str, isa: str) -> None:
    """Pieces, copies and several threads."""
    rng = samples.generator("long", dtype)
    found = Mismatches()
    for text, *shapes in (
        *(("ij,jk->ik", (130, 70), (70, 90)), ("ji,kj->ki", (70, 130), (90, 70))),
        *(("ijk,ik->j", (20, 30, 40), (20, 40)), ("ijk,jil->kl", (30, 20, 10), (20, 30, 40))),
        *(("aibj,jcbk->kaic", (8, 9, 10, 11), (11, 9, 10, 8)), ("ij,jk->", (60, 70), (70, 50))),
        *(("ijb,jkb->ikb", (20, 20, 50), (20, 20, 50)), ("ij,ij->j", (90, 90), (90, 90))),
        *(
            ("ij,ji->", (90, 90), (90, 90)),
            ("ij,ij->", (90, 90), (90, 90)),
            ("ij,kl->ik", (30, 40), (20, 10)),
        ),
        *(
            ("i,j->ij", (300,), (200,)),
            ("ij,j->ji", (200, 300), (300,)),
            ("ij,ij->ij", (200, 100), (200, 100)),
        ),
        *(("ij,jk,kl->il", (30, 40), (40, 50), (50, 20)), ("i,ij,j->", (70,), (70, 80), (80,))),
        *(
            ("i,i,i->", (5000,), (5000,), (5000,)),
            ("ij->j", (200, 300)),
            ("ijk->j", (20, 30, 40)),
        ),
    ):
        arrays = [numbers(rng, dtype, shape) for shape in shapes]
        found.check(
            text, lambda xp, t=text, a=arrays: xp.einsum(t, *(xp.array(x) for x in a)), close(dtype, 2000)
        )
    found.done(15)


def test_bits_do_not_depend_on_threads() -> None:
    from helpers import python_ok

    code = """
import hashlib, numpy, raptors as np
rng = numpy.random.default_rng(3)
digest = hashlib.sha256()
for text, *shapes in (
    ("ij,jk->ik", (150, 130), (130, 170)), ("bij,bjk->bik", (9, 40, 30), (9, 30, 20)),
    ("ijk,ik->j", (20, 30, 40), (20, 40)), ("ij,ij->ij", (200, 300), (200, 300)),
    ("aibj,jcbk->kaic", (8, 9, 10, 11), (11, 9, 10, 8)), ("ij,jk,kl->il", (30, 40), (40, 50), (50, 20)),
):
    for dtype in ("f4", "f8"):
        arrays = [np.array(rng.normal(size=shape).astype(dtype)) for shape in shapes]
        digest.update(np.einsum(text, *arrays).tobytes())
print(digest.hexdigest())
"""
    digests = {
        python_ok(code, RAPTORS_NUM_THREADS=threads, RAPTORS_MIN_PARALLEL=least)
        for threads, least in (("1", "1"), ("2", "1"), ("5", "1"), ("2", "100000"))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_error_bound(dtype: str, isa: str) -> None:
    """|C - AB| <= gamma_k |A||B|, k being the number of terms; with cancellation."""
    rng = samples.generator("einsum bound", dtype)
    eps = float(numpy.finfo(dtype).eps)
    for text in ("ij,jk->ik", "bij,bjk->bik", "ijk,jil->kl", "ij,ji->", "ij,ij->i", "ij,ij->j", "ij,jk->"):
        for _ in range(5):
            n = {label: int(rng.integers(1, 30)) for label in "bijkl"}
            terms = text.split("->")[0].split(",")
            a, b = (rng.normal(size=[n[x] for x in term]).astype(dtype) for term in terms)
            got = numpy.asarray(raptors.einsum(text, raptors.array(a), raptors.array(b))).astype("g")
            exact = numpy.einsum(text, a.astype("g"), b.astype("g"))
            k = 2 + numpy.prod([n[x] for x in {*text} - {*",->"} - {*text.split("->")[1]}])
            gamma = k * eps / 2 / (1 - k * eps / 2)
            assert (abs(got - exact) <= gamma * numpy.einsum(text, abs(a), abs(b), dtype="g")).all(), text


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_where_nan_and_infinity_go(dtype: str) -> None:
    """And no floating-point event is told of, whatever the error state.

    Where an axis of one operand alone is summed over, NumPy may add first and multiply then: inf * (1 - 2).
    """
    rng = samples.generator("einsum nan", dtype)
    found = Mismatches()
    texts = [
        *("ij,jk->ik", "ij,ij->j", "ij,ij->i", "ij,ij->ij", "ij,j->i", "i,j->ij", "ij->i", "ij->"),
        *("ij,jk,kl->il", "i,ij,j->"),
    ]
    for trial, text in itertools.product(range(15), texts):
        arrays = []
        for term in text.split("->")[0].split(","):
            a = rng.random((6,) * len(term)).astype(dtype)
            for value in (NAN, INF, -INF, -1.0, 1e-40, 0.0, -0.0):
                if rng.random() < 0.25:
                    a[tuple(int(i) for i in rng.integers(0, 6, a.ndim))] = value
            arrays.append(a)

        def body(xp: Any, text: str = text, arrays: Any = arrays) -> Any:
            with xp.errstate(all="raise"):
                return xp.einsum(text, *(xp.array(a) for a in arrays))

        found.check((trial, text, arrays), body, close(dtype, 200))
    found.done(150)


def test_zeros_are_positive() -> None:
    """NumPy adds to zeros: no sum is -0.0, not even one of a single product."""
    found = Mismatches()
    for text, *shapes in (
        *(("i,i->i", 1, 1), ("i,j->ij", 1, 1), ("i,i->", 1, 1), ("ij,jk->ik", 2, 2), ("ij,j->ij", 2, 1)),
        *(("i->", 1), ("ij->i", 2), ("i,->i", 1, 0), ("ij,ij->j", 2, 2), ("i,i,i->i", 1, 1, 1)),
    ):
        for n, dtype in itertools.product((1, 3, 70), ("f4", "f8")):
            arrays = [
                numpy.full((n,) * nd, value, dtype)
                for nd, value in zip(shapes, (-0.0, 1.0, 2.0), strict=False)
            ]
            found.check((text, n), lambda xp, t=text, a=arrays: xp.einsum(t, *(xp.array(x) for x in a)))
            arrays = [numpy.full((n,) * nd, 1e-300, dtype) for nd in shapes]
            found.check(
                (text, n, "tiny"),
                lambda xp, t=text, a=arrays: xp.einsum(t, *(-xp.array(x) for x in a)),
                close(dtype),
            )
    found.done(30)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "?"])
def test_outputs(dtype: str) -> None:
    rng = samples.generator("einsum out", dtype)
    found = Mismatches()
    a, b = numbers(rng, dtype, (6, 7)), numbers(rng, dtype, (7, 5))
    for name, make in samples.outputs_of_product(dtype).items():

        def body(xp: Any, make: Any = make) -> Any:
            out = make(xp)
            result = xp.einsum("ij,jk->ik", xp.array(a), xp.array(b), out=out)
            return result, out, result is out

        found.check(name, body, close(dtype, 40))

    def into_input(xp: Any) -> Any:
        c = xp.array(numbers(samples.generator(1), dtype, (6, 6)))
        xp.einsum("ij,jk->ik", c, c, out=c)
        return c

    def scalar(xp: Any) -> Any:
        out = xp.zeros((), dtype)
        return xp.einsum("ij,ij->", xp.array(a), xp.array(a), out=out), out

    for body in (into_input, scalar):
        found.check(body.__name__, body, close(dtype, 100))
    found.done(14)


def test_views() -> None:
    found = Mismatches()
    for text in ("ij->ji", "ii->i", "ijk->kji", "...i->i...", "ij", "iij->ij", "ji", "i...->...i"):
        nd = len({*text.split("->")[0]} - {"."}) + (text.count("...") > 0) + text.startswith("ii")

        def body(xp: Any, text: str = text, nd: int = nd) -> Any:
            base = xp.arange(4.0**nd).reshape((4,) * nd)
            view = xp.einsum(text, base)
            shares = view.base is base or view.base is base.base
            view[...] = 7.0
            return view, shares, base

        found.check(text, body)

        def frozen(xp: Any, text: str = text, nd: int = nd) -> Any:
            base = xp.ones((4,) * nd)
            base.flags.writeable = False
            return xp.einsum(text, base)

        found.check((text, "frozen"), frozen)
    found.done(16)


ERRORS: list[Any] = [
    *(
        "ij,jk->il",
        "ij,jk->iik",
        "ij,jk",
        "ij",
        "ij,jk,kl",
        "i,jk",
        "ijk,jk",
        "ij,jk-ik",
        "ij,jk>ik",
        ".ij,jk",
        "",
    ),
    *(
        "ij,..jk",
        "i$,jk",
        "ij,jk->i.k",
        "ij,jk->...ik",
        "...ij,jk",
        "ij...,jk",
        "ij;jk",
        "ij,jk->ik,",
        "ij, j k",
    ),
    *(
        "....ij,jk",
        "i...j...,jk",
        "ij,jk->",
        "->",
        ",",
        "ij,",
        ",->",
        "ii,jk",
        "ij,ij",
        "ij,ik",
        3,
        None,
        b"ij,jk",
    ),
    *("\xe9j,jk", "ij,jk\0", "ij,jk->i\0k", "ij,jk ->", " ij,jk->ik "),
]


def test_errors_are_numpys() -> None:
    found = Mismatches()
    a, b = numpy.ones((2, 3)), numpy.ones((3, 4))
    for text in ERRORS:
        found.check((text, 2), lambda xp, t=text: xp.einsum(t, xp.array(a), xp.array(b)))
        found.check((text, 1), lambda xp, t=text: xp.einsum(t, xp.array(a)))
        found.check((text, 3), lambda xp, t=text: xp.einsum(t, xp.array(a), xp.array(b), xp.array(b)))
    found.check("nothing", lambda xp: xp.einsum())
    found.check("no operand", lambda xp: xp.einsum("ij"))
    found.check("labels", lambda xp: xp.einsum("a" * 70, xp.ones((1,) * 60)))
    for given in (
        *(
            {"nonsense": 1},
            {"optimize": True},
            {"optimize": False},
            {"optimize": "greedy"},
            {"optimize": None},
        ),
        *({"dtype": "f8"}, {"dtype": "f4"}, {"dtype": "f4", "casting": "same_kind"}, {"dtype": None}),
        *({"dtype": complex}, {"order": "C"}, {"order": "F"}, {"order": "A"}, {"order": "K"}, {"order": "X"}),
        *({"order": None}, {"casting": "no"}, {"casting": "nonsense"}, {"out": None}),
    ):
        for order in "CF":
            found.check(
                given,
                lambda xp, g=given, o=order: xp.einsum(
                    "ij,jk->ki", xp.array(a, order=o), xp.array(b, order=o), **g
                ),
                close("f4", 20),
            )
    found.check("sublists", lambda xp: xp.einsum(xp.array(a), [0, 1], xp.array(b), [1, 2], [0, 2]))
    found.check("lists", lambda xp: xp.einsum("ij,jk", [[1, 2]], [[1.0], [2.0]]))
    found.check("mixed", lambda xp: xp.einsum("ij,jk", xp.array(a), xp.array(b.astype("i4"))))
    found.check("complex", lambda xp: xp.einsum("ij,jk", xp.array(a), xp.array(b.astype(complex))))
    found.check("object", lambda xp: xp.einsum("ij,jk", xp.array(a, object), xp.array(b, object)))
    found.check("swapped", lambda xp: xp.einsum("ij,jk", xp.array(a, ">f8"), xp.array(b, ">f8")))
    found.done(90)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u1", "?", "f2", "c16", "O"])
def test_tensordot(dtype: str, isa: str) -> None:
    rng = samples.generator("tensordot", dtype)
    found = Mismatches()
    rules = close(dtype, 60)
    shapes = [(), (3,), (3, 4), (4, 3), (2, 3, 4), (4, 3, 2), (2, 3, 4, 5), (0, 3), (3, 0), (1, 4)]
    axes: list[Any] = [
        *(0, 1, 2, 3, -1, [0, 0], [-1, 0], [[0], [1]], ([1, 0], [0, 1]), ([0, 1], [0, 1]), ([1, 2], [1, 0])),
        *(((-1,), (-2,)), ([0, 0], [0, 0]), ([], []), (0, [0]), ([0, 1], [0]), 1.0, None, "ab", [5, 0], True),
    ]
    with counted() as count:
        for s, t, given in itertools.product(shapes, shapes, axes):
            a, b = laid_out(rng, dtype, s), laid_out(rng, dtype, t)

            def body(xp: Any, a: Any = a, b: Any = b, given: Any = given) -> Any:
                return xp.tensordot(*clones(xp, a, b), given)

            found.check((s, t, given), body, rules)
    found.done(2000)
    if dtype not in ("f2", "c16", "O"):
        count.of("tensordot").require(0.14, 2000)
    a, b = (numbers(rng, dtype, shape) for shape in ((30, 20, 10), (20, 30, 40)))
    for given in (
        *({"axes": ([0, 1], [1, 0])}, {"axes": 2}, {}, {"axes": ((1, 0), (0, 1))}, {"nonsense": 1}),
    ):
        for name in ("tensordot", "linalg.tensordot"):
            found.check(
                (name, given),
                lambda xp, g=given, n=name: eval(f"xp.{n}")(xp.array(a), xp.array(b), **g),
                close(dtype, 2000),
            )
    found.done()


def test_tensordot_tells_of_events_as_numpy() -> None:
    found = Mismatches()
    for value, mode in itertools.product((1e300, 1e-300, -1e200), ("warn", "raise", "ignore")):

        def body(xp: Any, value: float = value, mode: str = mode) -> Any:
            with xp.errstate(all=mode):
                return xp.tensordot(xp.full((3, 4), value), xp.full((4, 3), value) - value / 2, 1)

        found.check((value, mode), body, close("f8", 10))
    found.done(9)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?", "c8", "O"])
def test_outer_and_kron(dtype: str, isa: str) -> None:
    rng = samples.generator("outer", dtype)
    found = Mismatches()
    shapes = [(), (1,), (4,), (3, 4), (2, 3, 2), (0,), (0, 3), (1, 1)]
    with counted() as count:
        for s, t, name in itertools.product(shapes, shapes, ("outer", "kron", "linalg.outer")):
            a, b = laid_out(rng, dtype, s), laid_out(rng, "f8" if name == "kron" else dtype, t)
            found.check((name, s, t), lambda xp, n=name, a=a, b=b: eval(f"xp.{n}")(*clones(xp, a, b)))
            found.check(
                (name, s, t, "C"),
                lambda xp, n=name, a=a, b=b: eval(f"xp.{n}")(xp.array(a), xp.array(b, order="C")),
            )
    found.done(300)
    if dtype not in ("c8", "O"):
        count.of("outer", "kron", "linalg.outer").require(0.3, 300)
    huge = numpy.full(3, 1e300 if dtype == "f8" else 100).astype(dtype)
    found.check("overflow", lambda xp: xp.outer(xp.array(huge), xp.array(huge)))
    found.check("out", lambda xp: xp.outer(xp.array(huge), xp.array(huge), xp.empty((3, 3), dtype)))
    found.check("list", lambda xp: (xp.outer([1, 2], xp.array(huge)), xp.kron([1, 2], xp.array(huge))))
    found.check("matrix", lambda xp: type(xp.kron(xp.matrix([[1.0]]), xp.array(huge))).__name__)
    found.done()


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u1", "?", "f2", "c16", "O"])
def test_matrix_power(dtype: str, isa: str) -> None:
    rng = samples.generator("power", dtype)
    found = Mismatches()
    with counted() as count:
        for shape in ((3, 3), (1, 1), (0, 0), (2, 3, 3), (17, 17), (3, 4), (3,)):
            a = rng.integers(0, 4, shape).astype(dtype)
            for n in (*range(12), 20, -1, 2.0, "x", numpy.int64(3), True):
                found.check(
                    (shape, n),
                    lambda xp, a=a, n=n: xp.linalg.matrix_power(xp.array(a), n),
                    close(dtype, 9000),
                )
            found.check(
                (shape, "F"), lambda xp, a=a: xp.linalg.matrix_power(xp.array(a).T, 5), close(dtype, 9000)
            )
    found.done(100)
    if dtype not in ("f2", "c16", "O"):
        count.of("matmul", "linalg.matrix_power").require(0.6, 100)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u1", "?", "f2", "c16", "O"])
def test_multi_dot(dtype: str, isa: str) -> None:
    rng = samples.generator("chain", dtype)
    found = Mismatches()
    chains: list[Any] = [
        *([(3, 4), (4, 5)], [(3, 4), (4, 5), (5, 2)], [(10, 2), (2, 10), (10, 2), (2, 10), (10, 3)]),
        *([(4,), (4, 5), (5, 2)], [(3, 4), (4, 5), (5,)], [(4,), (4, 5), (5,)], [(4,), (4,)], [(3, 4)], []),
        *(
            [(3, 4), (5, 4)],
            [(3, 4), (4, 5), (4, 2)],
            [(3, 0), (0, 4)],
            [(2, 2)] * 3,
            [(2, 2)] * 17,
            [(2, 3, 3)] * 3,
        ),
        *([(1, 9), (9, 1), (1, 9), (9, 1)], [(9, 1), (1, 9), (9, 1), (1, 9)], [(5, 5)] * 4),
    ]
    with counted() as count:
        for chain, kind in itertools.product(chains, (list, tuple)):
            arrays = [rng.integers(0, 9, shape).astype(dtype) for shape in chain]
            found.check(
                (chain, kind),
                lambda xp, a=arrays, k=kind: xp.linalg.multi_dot(k(xp.array(x) for x in a)),
                close(dtype, 900),
            )
    found.done(30)
    if dtype not in ("f2", "c16", "O"):
        count.of("dot", "linalg.multi_dot").require(0.6, 30)
    found.check("out", lambda xp: xp.linalg.multi_dot([xp.ones((2, 2))] * 3, out=xp.ones((2, 2))))
    found.check("overflow", lambda xp: xp.linalg.multi_dot([xp.full((2, 2), 1e200)] * 3), close("f8", 9))
    found.done()


@pytest.mark.parametrize("name", ["matmul", "vecdot"])
def test_products_of_linalg(name: str) -> None:
    found = Mismatches()
    for dtype, s in itertools.product(("f8", "i4", "f2", "O"), ((3,), (3, 3), (2, 3, 3), ())):
        rng = samples.generator(name, dtype, s)
        a = numbers(rng, dtype, s)
        found.check(
            (dtype, s), lambda xp, a=a: getattr(xp.linalg, name)(xp.array(a), xp.array(a)), close(dtype, 20)
        )
    found.check(
        "overflow", lambda xp: getattr(xp.linalg, name)(xp.full((3, 3), 1e300), xp.full((3, 3), 1e300))
    )
    found.check("axis", lambda xp: xp.linalg.vecdot(xp.ones((2, 3)), xp.ones((2, 3)), axis=0))
    found.check("keyword", lambda xp: xp.linalg.matmul(x1=xp.ones((2, 3)), x2=xp.ones((2, 3))))
    found.done(15)


def test_subclasses_and_overrides_keep_their_say() -> None:
    found = Mismatches()

    class Other:
        def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
            return func.__name__

    class Own(numpy.ndarray):
        pass

    for name, call in {
        "einsum": lambda xp, x: xp.einsum("ij,jk->ik", xp.ones((2, 2)), x),
        "tensordot": lambda xp, x: xp.tensordot(xp.ones((2, 2)), x),
        "outer": lambda xp, x: xp.outer(xp.ones((2, 2)), x),
        "kron": lambda xp, x: xp.kron(xp.ones((2, 2)), x),
        "multi_dot": lambda xp, x: xp.linalg.multi_dot([xp.ones((2, 2)), x]),
    }.items():
        found.check(name, lambda xp, c=call: c(xp, Other()), EXACT)
        found.check((name, "own"), lambda xp, c=call: type(c(xp, numpy.ones((2, 2)).view(Own))).__name__)
    assert type(raptors.einsum("ij,jk", numpy.ones((2, 2)), raptors.ones((2, 2)))) is raptors.ndarray
    assert type(numpy.einsum("ij,jk", raptors.ones((2, 2)), raptors.ones((2, 2)))) is raptors.ndarray
    found.done(8)
