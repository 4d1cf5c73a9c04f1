"""memmap, recarray, matrix and MaskedArray: NumPy's classes, whose plain results are raptors' arrays."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
from helpers import DISABLED, Mismatches, counted, numpys_class

import raptors

pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future the default for argsort"),
]

CLASSES = {
    "memmap": (raptors.memmap, numpy.memmap),
    "recarray": (raptors.recarray, numpy.recarray),
    "matrix": (raptors.matrix, numpy.matrix),
    "MaskedArray": (raptors.ma.MaskedArray, numpy.ma.MaskedArray),
}


def sample(xp: Any, kind: str, folder: Path) -> Any:
    if kind == "memmap":
        numpy.arange(12.0).tofile(folder / "raw")
        return xp.memmap(folder / "raw", float, "c", shape=(3, 4))
    if kind == "recarray":
        return xp.rec.array([(1, 2.5, b"a"), (3, 4.5, b"b"), (5, 6.5, b"c")], names="x,y,name")
    if kind == "matrix":
        return xp.matrix([[4.0, 1.0, 0.5], [1.0, 3.0, 0.0], [0.5, 0.0, 2.0]])
    return xp.ma.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], mask=[[0, 1, 0], [0, 0, 1]])


def seen(x: Any) -> Any:
    """Class (NumPy's for ours, except for plain results, which must be ours), values, mask."""
    if isinstance(x, tuple):
        return tuple(map(seen, x))
    if not isinstance(x, numpy.ndarray):
        return (type(x), repr(x))
    plain = type(x) in (numpy.ndarray, raptors.ndarray)
    cls = numpys_class(type(x)) if not plain else "array"
    mask = numpy.ma.getmaskarray(x).tolist() if isinstance(x, numpy.ma.MaskedArray) else None
    return (cls, x.dtype, x.shape, x.tolist(), mask)


EXPRESSIONS: dict[str, list[str]] = {
    "memmap": [
        *("a[1:]", "a[[0, 2]]", "a[1, 2]", "a[a > 3]", "a + 1", "np.sin(a)", "a.sum()"),
        *("a.sum(axis=0)", "np.sum(a, axis=1)", "a @ a.T", "a.copy()", "a.T", "np.sort(a)"),
        *("np.asarray(a) * 2", "np.nanmax(a, axis=0)", "np.nanvar(a)", 'a.astype("f4")'),
        *("np.concatenate([a, a])", "a.reshape(4, 3)", "np.transpose(a)", "np.asanyarray(a)"),
        *("a.filename", "a.mode", "a.nonzero()", "repr(a)", "np.add(a, 1, out=a)"),
        *("(a.__iadd__(1), a.flush())", "a == 3", "a[1:].filename", "a[[0]].base is None", "a[...]"),
        *("a[:0]", "a[:0]._mmap is None", "(a + 1).dtype", "a[1:]._mmap is a._mmap", "a.T.mode"),
        *("a.copy()._mmap", "a.__array_finalize__(None) or a.mode", "a.__array_finalize__(3) or a.offset"),
        *(
            "a.__array_wrap__(np.ones(3))",
            "a.__array_wrap__(np.ones(()), None, True)",
        ),
        *(
            "a.__array_wrap__(a) is a",
            "a['x']",
            "a[9]",
            "type(Derived(a)[1:]).__name__",
            "type(Derived(a) + 1).__name__",
        ),
    ],
    "recarray": [
        *("a.x", 'a["y"]', "a[1]", "a[1].y", "a[1:]", "a.name", 'a.field("x")', 'a[["x", "y"]]'),
        *("a.y * 2", "repr(a)", 'np.sort(a, order="x")', "a.x.sum()", "a == a", "a.nothing"),
        *('setattr(a, "x", 9) or a.x', 'a.view(np.ndarray)["x"]'),
        *('np.rec.fromarrays([np.arange(3), np.ones(3)], names="p,q").q', "a.tolist()"),
        *(
            "a.y.flags.owndata",
            "a.dtype",
            "a.shape",
            'a["nothing"]',
            "a[7]",
            "a[:, 0]",
        ),
        *(
            "nested.p",
            "nested.p.y",
            "nested.q",
            "nested.q.shape",
            "nested[0]",
            "nested[1].p",
            "nested[['q']]",
        ),
        *("titled.a", "titled.b", "titled['b']", "a.x.base is a", "a.view('V13')", "a.__getattribute__('x')"),
        *("a.__getattribute__(3)", "Derived(a).y", "Derived(a).late", "Derived(a).count", "a.y.dtype.type"),
    ],
    "matrix": [
        *("a * a", "a @ a", "a**2", "a.T", "a.I", "a.A", "a.A1", "a.H", "a.sum()", "a.sum(0)", "a[0]"),
        *("a[:, 1]", "a[0, 0]", "a.nonzero()", "np.linalg.inv(a)", "np.asarray(a)"),
        *("a + np.ones((3, 3))", "np.ones(3) * a", "a * np.ones((3, 1))", "np.nanstd(a, axis=0)"),
        *("np.mean(a, 1)", "np.bmat([[a, a]])", "repr(a)", "a.ravel()", "numpy.nanvar(a, axis=1)"),
        *("np.asmatrix(a) is a", "a.tolist()", "a.sum(keepdims=True)", "np.dot(a, a)"),
        *("np.linalg.eigh(a)",),
    ],
    "MaskedArray": [
        *("a + a", "a + np.ones(3)", "np.ones(3) * a", "a > 2", "a.sum()", "a.sum(axis=0)"),
        *("np.ma.median(a, axis=1)", "a.data", "a.mask", "a.filled(0)", "a.compressed()", "a[0]"),
        *("a[0, 1]", "a[a > 2]", "a.mean(axis=1)", "np.ma.add(a, 1)", "np.ma.add.reduce(a, 0)"),
        *("np.sqrt(a)", "np.ma.masked_where(np.arange(3) > 1, np.arange(3))", "a.nonzero()"),
        *("np.ma.concatenate([a, a])", "np.ma.dot(a, a.T)", "repr(a)", "a.astype(int)", "a.T"),
        *("a.reshape(3, 2)", "a.argsort()", "np.ma.masked", "a[0, 1] is np.ma.masked"),
        *("np.ma.getmask(a)", "np.ma.mr_[1, 2]", "a.__iadd__(1)", "a.__setitem__(0, 7) or a"),
        *("np.ma.make_mask([0, 1])", "a.fill_value", "a.view(np.ndarray)", "np.mean(a)"),
        *("np.ma.var(a, axis=0)", "np.ma.polyfit([1, 2, 3], a[0], 1)"),
    ],
}


def evaluate(expression: str, xp: Any, a: Any) -> Any:
    class Child(type(a)):  # type: ignore[misc]
        """Has attributes of its own."""

        count = 7

        @property
        def late(self) -> Any:
            raise AttributeError("no such thing")

    nested = [("p", [("x", "i4"), ("y", "f8")]), ("q", "f4", (2,))]
    names = {
        "Derived": lambda x: x.view(Child),
        "nested": numpy.zeros(2, nested).view(xp.recarray),
        "titled": numpy.ones(2, [(("a", "b"), "i4")]).view(xp.recarray),
    }
    return eval(expression, {"np": xp, "numpy": numpy, "a": a, **names})


@pytest.mark.parametrize("kind", CLASSES)
def test_same_results(kind: str, tmp_path: Path) -> None:
    found = Mismatches()
    for text in EXPRESSIONS[kind]:
        found.check(text, lambda xp, text=text: seen(evaluate(text, xp, sample(xp, kind, tmp_path))))
    found.done()


@pytest.mark.parametrize("kind", CLASSES)
def test_plain_results_are_ours(kind: str, tmp_path: Path) -> None:
    for text in EXPRESSIONS[kind]:
        try:
            result = evaluate(text, raptors, sample(raptors, kind, tmp_path))
        except (AttributeError, TypeError, IndexError, ValueError):
            continue
        for x in result if isinstance(result, tuple) else (result,):
            assert type(x) is not numpy.ndarray or text.startswith(("np.ma.make_mask", "np.ma.getmask")), text


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_stand_for_numpys(kind: str, tmp_path: Path) -> None:
    ours, base = CLASSES[kind]
    a = sample(raptors, kind, tmp_path)
    assert type(a) is ours
    assert isinstance(a, base)
    assert isinstance(sample(numpy, kind, tmp_path), ours)
    assert issubclass(base, ours)
    assert issubclass(ours, raptors.ndarray)
    assert not isinstance(numpy.ones(3), ours)
    assert not issubclass(numpy.ndarray, ours)

    class Derived(ours):  # type: ignore[misc, valid-type]
        pass

    assert not isinstance(a, Derived)
    assert not issubclass(base, Derived)
    assert isinstance(a.view(Derived), Derived)

    class Both(raptors.ndarray, ours):  # type: ignore[misc, valid-type]
        """Has one metaclass."""

    assert issubclass(Both, base)


@pytest.mark.parametrize("kind", ["recarray", "matrix", "MaskedArray"])
def test_copies_and_pickles_keep_the_class(kind: str, tmp_path: Path) -> None:
    a = sample(raptors, kind, tmp_path)
    for made in (copy.copy(a), copy.deepcopy(a), *(pickle.loads(pickle.dumps(a, p)) for p in range(6))):
        assert type(made) is type(a)
        assert seen(made) == seen(a)
    theirs = pickle.loads(pickle.dumps(sample(numpy, kind, tmp_path)))
    assert type(theirs) is CLASSES[kind][1]


def test_a_memmap_is_the_file(tmp_path: Path) -> None:
    a = raptors.memmap(tmp_path / "raw", float, "w+", shape=(3, 4))
    a[:] = raptors.arange(12.0).reshape(3, 4)
    raptors.add(a[0], 100, out=a[0])
    raptors.copyto(a[1], 7)
    a.flush()
    assert numpy.fromfile(tmp_path / "raw").tolist() == [100, 101, 102, 103, 7, 7, 7, 7, 8, 9, 10, 11]
    raptors.save(tmp_path / "a.npy", a)
    b = raptors.load(tmp_path / "a.npy", mmap_mode="r")
    assert type(b) is raptors.memmap
    assert not b.flags.writeable
    assert type(b * 2) is raptors.ndarray
    assert (b == a).all()


def test_a_mask_is_the_mask_given() -> None:
    m = raptors.ma.make_mask([0, 0, 1])
    assert raptors.ma.make_mask(m) is m
    assert raptors.ma.array([1, 2, 3], mask=m)._mask is m
    shared = raptors.array([False, True, False])
    a = raptors.ma.array([1, 2, 3], mask=shared, copy=False)
    shared[0] = True
    assert a.mask.tolist() == [True, True, False]


@pytest.mark.skipif(DISABLED, reason="everything goes to NumPy")
def test_masked_arrays_run_our_kernels() -> None:
    a = raptors.ma.array(raptors.arange(1000.0), mask=raptors.arange(1000) % 7 == 0)
    b = a.filled(1.0)
    for text in ("a + a", "a * 2.0", "a - b", "a.sum(axis=0)", "a.compressed() + 1"):
        with counted() as count:
            eval(text, {"a": a, "b": b})
        assert count.native > 0, text


def test_classes_equal_numpys() -> None:
    """Libraries keep dictionaries by class, and compare type(a) == type(b)."""
    pairs = [
        *CLASSES.values(),
        (raptors.ndarray, numpy.ndarray),
        (raptors.random.Generator, numpy.random.Generator),
        (raptors.random.RandomState, numpy.random.RandomState),
    ]
    for ours, numpys in pairs:
        assert ours is not numpys
        assert ours == numpys
        assert numpys == ours
        assert (ours != numpys, numpys != ours) == (False, False)
        assert hash(ours) == hash(numpys)
        assert {numpys: 1}[ours] == {ours: 1}[numpys] == 1
        assert ours in (int, numpys)
        assert ours not in (int, type)
        assert ours != ours.__name__

        class User(ours):  # type: ignore[misc, valid-type]
            pass

        assert User == User
        assert User != ours
        assert User != numpys
        assert numpys != User
        assert {User: 1}.get(numpys) is None
    assert len({ours for ours, _ in pairs} | {numpys for _, numpys in pairs}) == len(pairs)
    with pytest.raises(TypeError, match="not supported between"):
        raptors.ndarray < numpy.ndarray  # noqa: B015
