"""T16: an operator may write over an operand that nobody can look at any more, and over no other."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import math
import operator
import os
import random
import shutil
import sys
import sysconfig
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import native
import numpy
import pytest
from helpers import DISABLED, same_as_numpy

import raptors
from raptors import _raptors_core as _core

EXPRESSIONS = int(os.environ.get("RAPTORS_EXPRESSIONS", "3000"))
#: The proof needs glibc's backtrace() and an interpreter whose frames it can name.
ABLE = (
    not DISABLED
    and sys.implementation.name == "cpython"
    and sys.platform == "linux"
    and "libasan" not in os.environ.get("LD_PRELOAD", "")  # it has a backtrace() of its own
)
N = 256 * 1024 // 8  # elements of the shortest float64 array that is looked at


@contextmanager
def reused(least: int = 0, most: int | None = None) -> Iterator[None]:
    """How many operands took a result inside the block."""
    before = _core._memory_stats()["temporaries_reused"]
    yield
    count = _core._memory_stats()["temporaries_reused"] - before
    assert count >= (least if ABLE else 0)
    if most is not None:
        assert count <= most


def arrays(count: int, n: int = N, dtype: str = "float64", seed: int = 0) -> list[Any]:
    rng = numpy.random.default_rng(seed)
    return [rng.uniform(0.5, 2.0, n).astype(dtype).view(raptors.ndarray) for _ in range(count)]


def fresh(n: int = N) -> Any:
    """An array with one reference, the caller's."""
    return raptors.ones(n)


def test_temporaries_are_reused() -> None:
    a, b, c, d, e = arrays(5)
    with reused(least=2):  # the sum takes one product, the difference takes the sum
        result = -(a * b + c * d - e)
    x, y, z, v, w = (numpy.asarray(t).view(numpy.ndarray) for t in (a, b, c, d, e))
    assert numpy.array_equal(result, -(x * y + z * v - w))
    with reused(least=2):
        result = 2.0 / (a + 1.0) ** 2
    assert numpy.array_equal(result, 2.0 / (x + 1.0) ** 2)
    p, q = a.reshape(128, 256), x.reshape(128, 256)
    with reused(least=2):  # the other operands are a column and a strided block
        result = p[:, :1] - (p + 1.0) * p[::-1]
    assert numpy.array_equal(result, q[:, :1] - (q + 1.0) * q[::-1])


def test_short_and_unfit_operands_are_not_reused() -> None:
    a, b = arrays(2)
    with reused(most=0):
        assert ((a[:100] + 1.0) * 2.0).shape == (100,)
        assert (a + b > 1.0).dtype == bool
        assert (a.astype("f4") + b).dtype == "f8"  # the temporary is too narrow
        assert ((a[:1] + 1.0) + b).shape == b.shape
        a += b
        assert raptors.add(fresh(), 1.0)[0] == 2.0


class Held:
    def __init__(self, a: Any) -> None:
        self.a = a
        self.items = [a]
        self.table = {"a": a}

    @property
    def borrowed(self) -> Any:
        return self.a

    def method(self) -> Any:
        return self.a

    def __call__(self) -> Any:
        return self.items[0]


LEAVES = (
    *("a", "b", "c", "h.a", "h.borrowed", "h.method()", "h()", "h.items[0]", "h.table['a']", "cell()"),
    *("next(g)", "ident(a)", "a[:]", "b[::-1]", "a.reshape(-1)", "b.view()", "(a if flag else b)"),
    *("(d := a + b)", "d", "[x + b for x in (a, c)][0]", "(lambda q=c: q + a)()", "made()", "f.max()"),
    *("1.5", "2", "a.dtype.type(3)", "a[3]"),
)


def _terms(rng: random.Random, depth: int, dtype: str) -> str:
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(LEAVES).replace("1.5", "3" if dtype.startswith("int") else "1.5")
    left, right = _terms(rng, depth - 1, dtype), _terms(rng, depth - 1, dtype)
    if dtype.startswith("int"):
        if rng.random() < 0.2:
            return rng.choice([f"(-({left}))", f"(~(a + ({left})))", f"abs({left})"])
        return f"(({left}) {rng.choice(['+', '-', '*', '&', '|', '^'])} ({right}))"
    if rng.random() < 0.2:
        return rng.choice([f"(-({left}))", f"abs({left})", f"(({left}) ** 2)", f"(({left}) * 0.5)"])
    return f"(({left}) {rng.choice(['+', '-', '*', '/', '+', '-'])} ({right}))"


def _evaluate(text: str, library: Any, dtype: str) -> tuple[Any, list[Any]]:
    """The value of an expression over arrays that are held in many ways, and those arrays."""
    rng = numpy.random.default_rng(7)
    made = [(rng.uniform(1, 9, N * 8 // numpy.dtype(dtype).itemsize)).astype(dtype) for _ in range(4)]
    a, b, c, e = (numpy.array(m).view(library.ndarray) for m in made)
    held = Held(e)
    names = {
        **{"a": a, "b": b, "c": c, "d": c, "h": held, "flag": True, "f": a, "g": itertools.cycle([b])},
        **{"cell": lambda: c, "ident": lambda x: x, "made": lambda: b + 1},
    }
    with library.errstate(all="ignore"):
        value = eval(compile(text, "expression", "eval"), names)
    return value, [*zip((a, b, c, e), made, strict=True)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32"])
def test_no_input_changes(dtype: str) -> None:
    """Random expressions: equal values, and every array that somebody holds is as it was."""
    rng = random.Random(f"temporaries {dtype}")
    count = max(EXPRESSIONS // 4, 1)
    with reused(least=count // 4):
        for _ in range(count):
            text = _terms(rng, rng.randint(2, 4), dtype)
            expected, _ = _evaluate(text, numpy, dtype)
            value, inputs = _evaluate(text, raptors, dtype)
            assert numpy.array_equal(expected, value, equal_nan=dtype.startswith("float")), text
            assert numpy.asarray(expected).dtype == numpy.asarray(value).dtype, text
            for array, original in inputs:
                assert numpy.array_equal(array, original), text


def test_operands_held_by_c_code_are_left_alone() -> None:
    """The only reference is in C: none of these may be written over."""

    class Adds:
        """`x + y` is C code that adds to an array with one reference."""

        __add__ = staticmethod(functools.partial(operator.add, fresh()))
        __radd__ = staticmethod(functools.partial(operator.add, fresh()))
        __neg__ = staticmethod(functools.partial(operator.neg, fresh()))
        __mul__ = functools.partialmethod(operator.mul)

    with reused(most=0):
        for _ in range(3):
            assert (Adds() + 1.0)[0] == 2.0
            assert (1.0 + Adds())[0] == 2.0
            assert (-Adds())[0] == -1.0
        partial = functools.partial(operator.add, fresh())
        assert [partial(1.0)[0] for _ in range(3)] == [2.0, 2.0, 2.0]
        method = fresh().__add__
        assert [method(1.0)[0] for _ in range(3)] == [2.0, 2.0, 2.0]
        assert functools.reduce(operator.add, [fresh(), fresh(), fresh()])[0] == 3.0
        assert [x[0] for x in itertools.accumulate(fresh() for _ in range(4))] == [1.0, 2.0, 3.0, 4.0]
        assert sum((fresh() for _ in range(3)), start=fresh())[0] == 4.0
        assert [x[0] for x in map(operator.neg, (fresh() for _ in range(2)))] == [-1.0, -1.0]
        assert math.prod([fresh(), 2.0, fresh()])[0] == 2.0
        add = ctypes.pythonapi.PyNumber_Add
        add.restype, add.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.py_object]
        assert add(fresh(), 1.0)[0] == 2.0


#: A compiled type that holds the only reference to an array, and whose operators end in tail calls.
HOLDER = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>
typedef struct { PyObject_HEAD PyObject *held; } Holder;
static PyTypeObject *type;
static PyObject *of(PyObject *x) { return Py_TYPE(x) == type ? ((Holder *)x)->held : x; }
static PyObject *add(PyObject *x, PyObject *y) { return PyNumber_Add(of(x), of(y)); }
static PyObject *subtract(PyObject *x, PyObject *y) { return PyNumber_Negative(of(x)); }
static PyObject *negative(PyObject *x) { return PyNumber_Negative(of(x)); }
static PyObject *invert(PyObject *x) { return PyNumber_Add(of(x), of(x)); }
static PyObject *make(PyTypeObject *t, PyObject *args, PyObject *kw) {
    PyObject *held;
    if (!PyArg_ParseTuple(args, "O", &held)) return NULL;
    PyObject *x = t->tp_alloc(t, 0);
    if (x) { Py_INCREF(held); ((Holder *)x)->held = held; }
    return x;
}
static void drop(PyObject *x) {
    PyTypeObject *t = Py_TYPE(x);
    Py_XDECREF(((Holder *)x)->held);
    t->tp_free(x);
    Py_DECREF(t);
}
static PyType_Slot slots[] = {
    {Py_nb_add, add}, {Py_nb_subtract, subtract}, {Py_nb_negative, negative}, {Py_nb_invert, invert},
    {Py_tp_new, make}, {Py_tp_dealloc, drop}, {0, NULL}};
static PyType_Spec spec = {"holder.Holder", sizeof(Holder), 0, Py_TPFLAGS_DEFAULT, slots};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "holder", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_holder(void) {
    PyObject *m = PyModule_Create(&module);
    type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (m && type) PyModule_AddObject(m, "Holder", (PyObject *)type);
    return m;
}
"""


def test_operands_held_by_a_compiled_type_are_left_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "holder.c", tmp_path / f"holder{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(HOLDER)
    include = sysconfig.get_path("include")
    compiler = os.environ.get("CC") or shutil.which("cc") or native.tool("gcc")
    native.run(*compiler.split(), "-O3", "-shared", "-fPIC", f"-I{include}", source, "-o", target)
    spec = importlib.util.spec_from_file_location("holder", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    holder, other = module.Holder(fresh()), fresh()
    with reused(most=0):
        for _ in range(3):
            assert (holder + 1.0)[0] == 2.0
            assert (holder + other)[0] == 2.0
            assert (1.0 + holder)[0] == 2.0
            assert (holder - 1.0)[0] == -1.0
            assert (-holder)[0] == -1.0
            assert (~holder)[0] == 2.0


def test_operands_that_others_see_are_left_alone() -> None:
    seen: list[Any] = []

    def watched() -> Any:
        a = fresh()
        seen.append(weakref.ref(a))
        return a

    def exported() -> Any:
        a = fresh()
        seen.append(memoryview(a))
        return a

    def viewed() -> Any:
        a = fresh()
        seen.append(a[::2])
        return a

    def frozen() -> Any:
        a = fresh()
        a.flags.writeable = False
        return a

    with reused(most=0):
        assert (watched() + 1.0)[0] == 2.0
        assert seen.pop()() is None
        for hold in (exported, viewed):
            assert (hold() + 1.0)[0] == 2.0
            assert seen.pop()[0] == 1.0
        assert (frozen() + 1.0)[0] == 2.0


def test_traced_and_profiled_code() -> None:
    a, b = arrays(2)
    expected = numpy.asarray(a) * 2.0 + numpy.asarray(b) - 1.0
    kept: list[Any] = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        kept.append((frame.f_locals.copy(), argument))
        return trace

    def compute() -> Any:
        x = a * 2.0 + b - 1.0
        return x * 1.0

    for switch in (sys.settrace, sys.setprofile):
        switch(trace)  # type: ignore[arg-type]
        try:
            result = compute()
        finally:
            switch(None)
        assert numpy.array_equal(result, expected)
    for values, argument in kept:
        for value in [*values.values(), argument]:
            if isinstance(value, raptors.ndarray) and value is not a and value is not b:
                assert numpy.array_equal(value, expected)


def test_generators_coroutines_and_threads() -> None:
    a, b = arrays(2)
    expected = (numpy.asarray(a) + numpy.asarray(b)) * 2.0 - 1.0

    def generator() -> Iterator[Any]:
        while True:
            yield (a + b) * 2.0 - 1.0

    async def coroutine() -> Any:
        return (a + b) * 2.0 - 1.0

    steps = generator()
    first, second = next(steps), next(steps)
    assert first is not second
    assert numpy.array_equal(first, expected)
    with pytest.raises(StopIteration) as stop:
        coroutine().send(None)
    assert numpy.array_equal(stop.value.value, expected)

    wrong: list[int] = []

    def work() -> None:
        for _ in range(50):
            if not numpy.array_equal((a + b) * 2.0 - 1.0, expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_errors_and_warnings_are_numpys() -> None:
    def body(xp: Any) -> Any:
        a = xp.zeros(N)
        with xp.errstate(divide="raise"):
            try:
                return (1.0 + a) / (a * 2.0)
            except FloatingPointError as error:
                return str(error)

    same_as_numpy(body)
    same_as_numpy(lambda xp: (1.0 + xp.zeros(N)) / (xp.zeros(N) * 2.0))
    same_as_numpy(lambda xp: (xp.zeros(N) + 1.0) + xp.zeros(N + 1))


def test_layouts_of_results_are_numpys() -> None:
    def body(xp: Any) -> Any:
        a = xp.arange(float(N)).reshape(128, 256)
        f = xp.asfortranarray(a)
        return [(a * 2.0) + f, f + (a * 2.0), (a.T * 2.0) - a.T, -(a[:, ::-1] * 2.0), (f * 2.0) + a]

    for e, g in zip(body(numpy), body(raptors), strict=True):
        assert numpy.array_equal(e, g)
        assert type(g) is raptors.ndarray
        assert g.flags.owndata
        assert g.base is None
