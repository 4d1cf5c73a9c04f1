"""Which code runs: the forced instruction set, no empty slot, settings per context, an honest ledger."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import samples
from helpers import (
    DISABLED,
    ELEMENTWISE,
    OPS,
    REDUCTIONS,
    ROW,
    Mismatches,
    by_name,
    counted,
    named,
    python,
    python_ok,
)

import raptors
from raptors import _environment
from raptors import _raptors_core as core

native = pytest.mark.skipif(DISABLED, reason="RAPTORS_DISABLE is set")
NAMES = ("scalar", "avx2", "avx512", "neon", "auto")


def ours(a: Any) -> Any:
    return a.view(raptors.ndarray)


# ---- the table -----------------------------------------------------------------------------------


def test_table() -> None:
    """The rows are complete and name NumPy's functions."""
    assert len(OPS) == len(ROW) > 40
    for row in OPS:
        assert set(row) >= {"name", "kind", "inputs", "types", "result", "reports", "exact", "doc", "aliases"}
        assert row["kind"] in ("unary", "binary", "ternary", "reduce", "argreduce")
        assert row["types"]
        assert set(row["types"]) <= set(samples.DTYPES)
        assert row["result"] in ("same", "boolean", "real") or row["kind"] in ("reduce", "argreduce")
        assert callable(named(numpy, row["name"]))
        assert row["doc"].endswith(".")
    assert raptors.ops() is not raptors.ops(), "callers may change what they get"


@native
@pytest.mark.parametrize("row", [r for r in OPS if r["kind"] != "ternary"], ids=by_name)
def test_no_empty_slot(row: dict[str, Any], isa: str) -> None:
    """Every (operation, dtype) of the table runs natively on every instruction set, in each layout."""
    found = Mismatches()
    for dtype in row["types"]:
        a = ours(abs(samples.tame(dtype, 40, samples.generator(dtype))))
        for layout, x in (("contiguous", a), ("strided", a[::2])):
            with numpy.errstate(over="ignore"):  # products of half precision
                if row["kind"] in ("reduce", "argreduce"):
                    named(raptors, row["name"])(x, **({"axis": 0} if layout == "strided" else {}))
                else:
                    inputs = [x.astype(d) for d in samples.operand_dtypes(row, dtype)]
                    inputs = [
                        b[::2] if layout == "strided" else b
                        for b in (ours(i.repeat(2)) if layout == "strided" else i for i in inputs)
                    ]
                    named(raptors, row["name"])(*inputs)
            last = raptors.explain_last_dispatch()
            wanted = {"op": row["name"], "backend": "raptors", "isa": isa, "layout": layout, "shape": x.shape}
            got = {key: last[key] for key in wanted}
            found.add((dtype, layout), None if got == wanted else f"{last}")
            assert last["reason"]
            assert last["threads"] >= 1
    found.done()


@native
def test_no_empty_slot_of_ternary_rows(isa: str) -> None:
    for row in (r for r in OPS if r["kind"] == "ternary"):
        for dtype in row["types"]:
            a = ours(samples.tame(dtype, 40, samples.generator(dtype)))
            first = a > a[0] if row["name"] == "where" else a
            for slices in (slice(None), slice(None, None, 2)):
                named(raptors, row["name"])(first[slices], a[slices], a[slices])
                last = raptors.explain_last_dispatch()
                assert (last["op"], last["backend"], last["isa"]) == (row["name"], "raptors", isa), (
                    row,
                    dtype,
                    last,
                )


@native
def test_explain() -> None:
    a = ours(numpy.ones((3, 4)))
    _ = a + a
    last = raptors.explain_last_dispatch()
    assert (last["op"], last["shape"], last["dtype"], last["layout"]) == (
        "add",
        (3, 4),
        "float64",
        "contiguous",
    )
    assert (last["backend"], last["isa"]) == ("raptors", raptors.get_simd())
    assert last["threads"] == 1 or "RAPTORS_MIN_PARALLEL" in os.environ
    _ = a * 2.0
    assert raptors.explain_last_dispatch()["layout"] == "scalar"
    x, y = a.T, a.T[::-1]
    _ = x < y
    last = raptors.explain_last_dispatch()
    assert (last["op"], last["layout"], last["shape"]) == ("less", "strided", (4, 3))
    _ = ours(numpy.ones(3, "G")) * 2
    last = raptors.explain_last_dispatch()
    assert (last["op"], last["backend"]) == ("multiply", "numpy")
    assert "dtype" in last["reason"]


@native
@pytest.mark.parametrize("row", [row for row in ELEMENTWISE if row["exact"]], ids=by_name)
def test_exact_rows_equal_on_every_instruction_set(row: dict[str, Any]) -> None:
    """Bit for bit, NaN payloads aside."""
    found = Mismatches()
    for dtype in row["types"]:
        rng = samples.generator("exact", row["name"], dtype)
        arrays = [ours(samples.mixed(d, 517, rng)) for d in samples.operand_dtypes(row, dtype)]
        results = []
        with numpy.errstate(all="ignore"):
            for name in raptors.available_isas():
                with raptors.simd(name):
                    results.append(numpy.asarray(named(raptors, row["name"])(*arrays)))
        for name, result in zip(raptors.available_isas(), results, strict=True):
            same = numpy.array_equal(results[0], result, equal_nan=result.dtype.kind in "fc")
            if row["name"] not in ("fmin", "fmax") and result.dtype.kind == "f":
                number = ~numpy.isnan(result)
                same = same and numpy.array_equal(
                    numpy.signbit(results[0][number]), numpy.signbit(result[number])
                )
            found.add((dtype, name), None if same else "differs from scalar")
    found.done()


# ---- forcing -------------------------------------------------------------------------------------


def test_available() -> None:
    names = raptors.available_isas()
    assert isinstance(names, tuple)
    assert "scalar" in names
    assert set(names) <= set(NAMES) - {"auto"}
    assert raptors.get_simd() in names


def test_function_and_context_manager() -> None:
    before = raptors.get_simd()
    with raptors.simd("scalar"):
        assert raptors.get_simd() == "scalar"
        with raptors.simd("auto"):
            assert raptors.get_simd() == raptors.available_isas()[-1]
        assert raptors.get_simd() == "scalar"
        with pytest.raises(KeyError), raptors.simd("auto"):
            raise KeyError
        assert raptors.get_simd() == "scalar"
    assert raptors.get_simd() == before

    def set_it() -> str:
        raptors.simd("scalar")
        return raptors.get_simd()

    assert contextvars.Context().run(set_it) == "scalar"
    assert raptors.get_simd() == before


@pytest.mark.parametrize(
    "name", ["sse9", "AVX2 ", "x" * 1_000_000, "avx2\0", "\u00fcnknown", None, 3, ["avx2"]]
)
def test_unknown_names(name: Any) -> None:
    before = raptors.get_simd()
    with pytest.raises((ValueError, TypeError, RuntimeError)) as raised:
        raptors.simd(name)
    assert len(str(raised.value)) < 1000
    assert raptors.get_simd() == before


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"auto"} - set(raptors.available_isas())))
def test_unsupported_names(name: str) -> None:
    before = raptors.get_simd()
    with pytest.raises(RuntimeError, match=name):
        raptors.simd(name)
    assert raptors.get_simd() == before


def test_threads_have_their_own_setting() -> None:
    """A new thread starts with the process's setting; what it forces is its own."""
    default = raptors.get_simd()
    names = raptors.available_isas()
    seen: dict[int, set[Any]] = {i: set() for i in range(6)}
    barrier = threading.Barrier(6)

    def work(i: int) -> None:
        seen[i].add(("before", raptors.get_simd()))
        a = ours(numpy.ones(100))
        with raptors.simd(names[i % len(names)]):
            barrier.wait()
            for _ in range(300):
                _ = a + a
                seen[i].add(raptors.explain_last_dispatch()["isa"])
                seen[i].add(raptors.get_simd())

    with raptors.simd("scalar"):
        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(6):
        assert seen[i] - {None} == {("before", default), names[i % len(names)]}


def test_tasks_have_their_own_setting() -> None:
    names = raptors.available_isas()

    async def work(name: str) -> set[str]:
        seen = set()
        with raptors.simd(name):
            for _ in range(5):
                await asyncio.sleep(0)
                _ = ours(numpy.ones(9)) * 2
                seen |= {raptors.get_simd(), raptors.explain_last_dispatch()["isa"] or name}
        return seen

    async def every() -> list[set[str]]:
        return await asyncio.gather(*(work(name) for name in names))

    assert asyncio.run(every()) == [{name} for name in names]


PROBE = """
import raptors as np
a = np.ones(9) + 1
print(np.get_simd(), a.tolist() == [2.0] * 9, np.explain_last_dispatch()["isa"])
"""


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_environment(name: str) -> None:
    available = raptors.available_isas()
    done = python(PROBE, RAPTORS_SIMD=name, RAPTORS_DISABLE="")
    if name in ("auto", ""):
        name = available[-1]
    if name in available:
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [name, "True", name]
    else:
        assert done.returncode == 1
        assert done.stderr.rstrip().splitlines()[-1].startswith(("ImportError", "RuntimeError", "ValueError"))
        assert name in done.stderr


@pytest.mark.parametrize(
    "name",
    ["sse9", "AVX 2", "avx2,avx512", "0", "/etc/passwd", "%s%n", "\xfcnknown", "x" * 100_000, "long"],
)
def test_bad_environment(name: str) -> None:
    """A clean error at import, never a crash, and never a page of text."""
    if name == "long":  # 1 MB: more than exec() takes, so it is set in the process before the import
        code = "import os; os.environ['RAPTORS_SIMD'] = 'x' * 1_000_000\nimport raptors"
        done = python(code)
    else:
        done = python("import raptors", RAPTORS_SIMD=name)
    assert done.returncode == 1, (done.returncode, done.stderr[:1000])
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith(("ImportError", "RuntimeError", "ValueError"))
    assert "RAPTORS_SIMD" in done.stderr
    assert len(last) < 1000


BAD_VALUES = {
    **{"SIMD": "mmx", "BACKEND": "mkl", "BLAS": "/nowhere.so", "CACHE_MAX_BYTES": "lots"},
    **dict.fromkeys(("DISABLE", "OBJECT_CACHE", "ALLOC_DEBUG", "FAIL_STICKY"), "off"),
    **dict.fromkeys(("NUM_THREADS", "MIN_PARALLEL", "FAIL_THREAD", "FAIL_ALLOC"), "two"),
}


@pytest.mark.parametrize(("name", "value"), BAD_VALUES.items())
def test_bad_values_are_named_and_shown(name: str, value: str) -> None:
    needed = {"RAPTORS_FAIL_ALLOC": "1000000"} if name == "FAIL_STICKY" else {}
    for bad, shown in ((value, repr(value)), (f"{value}\udcff", f"{value}\\udcff")):  # the byte 0xFF
        done = python("import raptors", **needed, **{f"RAPTORS_{name}": bad})
        assert done.returncode == 1
        last = done.stderr.rstrip().splitlines()[-1]
        assert last.startswith(f"ImportError: RAPTORS_{name}")
        assert shown in last


def test_unknown_variables_are_told_once() -> None:
    code = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import raptors
    import raptors.linalg
(warning,) = caught
assert (warning.category, warning.filename) == (RuntimeWarning, "<string>")
print(warning.message)
"""
    said = python_ok(code, RAPTORS_NUM_THREAD="1", RAPTORS_ZZ="", RAPTORS_TEST_ISAS="best").strip()
    assert said.endswith("variables: RAPTORS_NUM_THREAD (is RAPTORS_NUM_THREADS meant?), RAPTORS_ZZ")


def test_known_variables_are_silent() -> None:
    tests = dict.fromkeys(_environment.TESTS, "1")
    done = python("import raptors", "-W", "error", RAPTORS_TUNING_DIR="/nowhere", **tests)
    assert (done.returncode, done.stderr) == (0, "")


# ---- what is printed and returned ----------------------------------------------------------------


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    """NumPy's text, then ours; NumPy's dict with ours in it."""
    build = raptors.build_info()
    assert build["version"] == raptors.__raptors_version__
    assert raptors.show_config(mode="dicts") == {**numpy.show_config(mode="dicts"), "raptors": build}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, without pyyaml
        numpy.show_config()
        theirs = capsys.readouterr().out
        assert raptors.show_config() is None
    text = capsys.readouterr().out
    assert text.startswith(theirs)
    own = text[len(theirs) :].splitlines()
    assert own[:2] == ["", "raptors"]
    assert [line.split()[-1] for line in own if line.startswith("  version ")] == [build["version"]]
    with pytest.raises(AttributeError, match="Invalid `mode`"):
        raptors.show_config("text")


def test_show_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    numpy.show_runtime()
    theirs = capsys.readouterr().out
    assert raptors.show_runtime() is None
    numpys, own = capsys.readouterr().out.split("\n\n")
    assert numpys[:100] == theirs[:100]
    assert len(numpys) + 1 == len(theirs)  # threadpoolctl has the libraries in any order
    own = own.splitlines()
    assert own[0] == f"{'raptors':20} {raptors.__raptors_version__}"
    assert f"{'threads for a call':20} {raptors.get_num_threads()}" in own


def test_runtime_info() -> None:
    found = raptors.runtime_info()
    assert found["raptors"] == raptors.__raptors_version__
    assert found["numpy"] == numpy.__version__
    assert found["isa"] == raptors.get_simd()
    assert found["threads"] == raptors.get_num_threads()
    assert set(found["environment"]) == {name for name in os.environ if name.startswith("RAPTORS_")}


# ---- the ledger ----------------------------------------------------------------------------------


@native
def test_report_counts() -> None:
    """Every call once; natively or not, and then why."""
    a, c = ours(numpy.ones(6)), ours(numpy.ones(6, "G"))
    raptors.reset_report()
    assert raptors.report().total_calls == 0
    assert raptors.report().share in (0, 0.0, 1.0) or raptors.report().share != raptors.report().share
    for _ in range(5):
        _ = a + a
        raptors.add(a, 1.0)
    for _ in range(3):
        _ = a[::2] * a[::2]
    for _ in range(2):
        _ = c + c
    _ = a.sum(), raptors.sum(a), raptors.add.reduce(a), numpy.add(a, a)
    report = raptors.report()

    def calls(function: str, dtype: str, key: str) -> int:
        return sum(row[key] for row in report.rows if row["function"] == function and row["dtype"] == dtype)

    assert calls("add", "float64", "native") == 11
    assert calls("add", "float64", "contiguous") == 11
    assert calls("multiply", "float64", "native") == 3
    assert calls("multiply", "float64", "strided") == 3
    borrowed = [row for row in report.rows if row["function"] == "add" and row["numpy"]]
    assert sum(row["numpy"] for row in borrowed) == 2
    assert all(row["reason"] for row in borrowed)
    assert sum(row["native"] for row in report.rows if row["function"] in ("sum", "add.reduce")) == 3
    for row in report.rows:
        assert set(row) >= {"function", "dtype", "native", "numpy", "reason", "contiguous", "strided"}
        assert row["native"] == row["contiguous"] + row["strided"]
    assert report.native_calls == sum(row["native"] for row in report.rows)
    assert report.total_calls == report.native_calls + sum(row["numpy"] for row in report.rows)
    assert report.share == pytest.approx(report.native_calls / report.total_calls)
    raptors.reset_report()
    assert raptors.report().total_calls == 0


@native
@pytest.mark.parametrize(
    ("label", "call"),
    [
        ("mixed 64-bit comparison", lambda: ours(numpy.ones(3, "i8")) < ours(numpy.ones(3, "u8"))),
        ("byte order", lambda: ours(numpy.ones(3, ">f8")) + 1),
        ("object", lambda: ours(numpy.ones(3, "O")) + 1),
        ("long double", lambda: ours(numpy.ones(3, "g")) + 1),
        ("time", lambda: ours(numpy.ones(3, "m8[s]")) + ours(numpy.ones(3, "m8[s]"))),
        ("complex long double", lambda: ours(numpy.ones(3, "G")) * 2j),
        ("text", lambda: ours(numpy.array(["a"])) == "a"),
    ],
)
def test_what_numpy_serves_is_counted(label: str, call: Any) -> None:
    with counted() as count:
        call()
    assert count.native == 0, count.rows
    assert count.total >= 1, label
    assert count.reasons()


DTYPES_WITHOUT_KERNELS = {
    **{"g": "longdouble", "G": "clongdouble"},
    **{"O": "object", "S3": "bytes", "U3": "str", "V4": "void", "f4,i2": "void"},
    **{"M8[s]": "datetime64", "m8[s]": "timedelta64", "T": "StringDType"},
}


@native
@pytest.mark.parametrize(("dtype", "name"), DTYPES_WITHOUT_KERNELS.items())
def test_every_dtype_is_named(dtype: str, name: str) -> None:
    """Whoever serves the call."""
    a = ours(numpy.zeros(3, dtype))
    with counted() as count:
        _ = a[1:], raptors.concatenate([a, a]), raptors.take(a, [0]), a.take([0]), raptors.zeros(3, dtype)
    assert {row["dtype"] for row in count.rows} == {name}
    moved = dtype not in ("O", "T")  # by the size of an element
    assert (count.native, count.total) == (4 if moved else 1, 5)
    assert raptors.explain_last_dispatch()["dtype"] == name


@native
def test_a_call_without_arrays_is_named_by_its_result() -> None:
    calls = [
        (lambda: raptors.linspace(0, 1, 5, dtype="i4"), "int32"),
        (lambda: raptors.sort([3, 1]), "int64"),
        (lambda: raptors.median([1, 2.0]), "float64"),
        (lambda: raptors.log(1.0), "float64"),
        (lambda: raptors.linalg.eig([[1, 0], [0, 1j]]), "complex128"),
        (lambda: raptors.frombuffer(b"1234", ">i2"), "int16"),
        (lambda: raptors.multiply(2, numpy.ones(3, "G")), "clongdouble"),
        (lambda: numpy.multiply(2, ours(numpy.ones(3, "G"))), "clongdouble"),
        (lambda: raptors.concatenate([numpy.ones(3, "O")]), "object"),
        (lambda: raptors.result_type("f4", "f8"), "none"),
    ]
    for call, dtype in calls:
        with counted() as count:
            call()
        assert [row["dtype"] for row in count.rows] == [dtype]
        assert count.native == 0
    with counted() as count, pytest.raises(ValueError, match="axis"):
        raptors.sort([3], axis=2)
    assert [(row["dtype"], row["numpy"]) for row in count.rows] == [("none", 1)]


@native
@pytest.mark.parametrize("dtype", ["float16", "complex64", "complex128"])
def test_native_products_are_counted_by_their_dtype(dtype: str) -> None:
    a = raptors.ones((70, 70)).astype(dtype)
    with counted() as count:
        _ = a @ a
    assert [(row["dtype"], row["native"]) for row in count.rows] == [(dtype, 1)]
    with raptors.backend_policy("blas"), counted() as count:
        _ = raptors.inner(a, a)
    assert [row["dtype"] for row in count.rows] == [dtype]
    assert all(row["blas"] <= row["native"] for row in count.rows)


SORTING = "sorting and searching: no kernels"
CUMULATIVE = "cumulative: no kernels"
COMPLEX = "complex numbers have no kernels"
LAPACK = "LAPACK through NumPy"
PYTHON = "NumPy's Python code over several calls"
#: What NumPy serves -> the reason of its row.
BORROWED: dict[str, tuple[Callable[[Any], object], str]] = {
    "sort": (lambda a: raptors.sort(a), SORTING),
    "argsort": (lambda a: a.argsort(), SORTING),
    "isin": (lambda a: raptors.isin(a, a), SORTING),
    "nancumsum": (lambda a: raptors.nancumsum(a), CUMULATIVE),
    "histogram": (lambda a: raptors.histogram(a), "counting and binning: no kernels"),
    "angle": (lambda a: raptors.angle(a), COMPLEX),
    "real": (lambda a: raptors.real(a), COMPLEX),
    "cross": (lambda a: raptors.cross(a, a), "linear algebra: NumPy calls BLAS"),
    "block": (lambda a: raptors.block([a, a]), "rearranges: NumPy's views and copies"),
    "average": (lambda a: raptors.average(a), PYTHON),
    "piecewise": (lambda a: raptors.piecewise(a, [a > 1], [1, 2]), PYTHON),
    "polyval": (lambda a: raptors.polyval(a, 1.0), "polynomials of the old interface"),
    "hanning": (lambda a: raptors.hanning(5), "window functions: short arrays"),
    "packbits": (lambda a: raptors.packbits(a > 1), "bits packed into bytes: no kernels"),
    "mask_indices": (lambda a: raptors.mask_indices(3, raptors.triu), "indices as arrays or tuples"),
    "array2string": (lambda a: raptors.array2string(a), "reads and writes files and text"),
    "shares_memory": (
        lambda a: raptors.shares_memory(a, a),
        "types, shapes and settings: no elements are touched",
    ),
    "logaddexp": (lambda a: raptors.logaddexp.reduce(a), "no kernel: NumPy's own loop"),
    "fft.fft": (lambda a: raptors.fft.fft(a), "NumPy's pocketfft"),
    "linalg.svd": (lambda a: raptors.linalg.svd(a.reshape(3, 1)), LAPACK),
    "linalg.qr": (lambda a: raptors.linalg.qr(a.reshape(3, 1)), LAPACK),
    "polynomial.polynomial.polyval": (lambda a: raptors.polynomial.polynomial.polyval(1.0, a), PYTHON),
    "lib.scimath.sqrt": (
        lambda a: raptors.emath.sqrt(a),
        "complex results where the domain asks: NumPy's Python code",
    ),
    "char.compare_chararrays": (
        lambda a: raptors.char.compare_chararrays(["a"], ["b"], "<", True),
        "strings have no kernels",
    ),
    "matrix.sum": (lambda a: a.view(raptors.matrix).sum(), "NumPy's code of one of its classes"),
    "astype": (lambda a: raptors.astype(a, "int64"), "this form of the call has no native code"),
    "add": (lambda a: raptors.add.reduceat(a, [0, 1], dtype="f8"), "NumPy serves this function"),
}


@native
@pytest.mark.parametrize("name", BORROWED)
def test_reasons_of_borrowed_functions(name: str) -> None:
    """The reason is that of the registry, in the rows, the table and the explanation."""
    call, reason = BORROWED[name]
    a = ours(numpy.arange(3.0))
    with counted() as count:
        call(a)
        last = raptors.explain_last_dispatch()
        text = str(raptors.report())
    assert (last["op"], last["backend"], last["reason"]) == (name, "numpy", reason)
    assert [row["reason"] for row in count.rows if row["function"] == name and row["numpy"]] == [reason]
    assert reason in text
    rows = {row["name"]: row["reason"] for row in core._name_rows() if row["view"] != "as it is"}
    families = [row["name"] for row in core._name_rows() if row["kind"] == "family"]
    home = name.rpartition(".")[0] or next(filter(name.startswith, families), "none")
    found = rows.get(name) or rows.get(home) or rows.get(home.partition(".")[0])
    assert name in {"matrix.sum", "add", "logaddexp"} or found == reason


@native
def test_overlapping_output_is_counted() -> None:
    a = ours(numpy.arange(10.0))
    with counted() as count:
        raptors.add(a[:-1], 1, out=a[1:])
    assert any("overlap" in reason for reason in count.reasons())
    assert a.tolist() == [0.0, *(float(i) for i in range(1, 10))]


@native
def test_native_share_of_a_small_program() -> None:
    """Ordinary array code stays native nearly everywhere."""
    with counted() as count:
        a = raptors.ones((30, 4))
        b = raptors.zeros_like(a) + 2.5
        c = a * b - a / 2
        _ = (
            c.sum(),
            c.mean(axis=0),
            c.max(axis=1),
            c.min(),
            c.argmax(),
            (c > 1).any(),
            raptors.where(c > 1, c, 0),
        )
        _ = (
            c.astype("f4"),
            c.copy(),
            c.reshape(4, 30),
            c.T,
            c[0],
            c[:, 1],
            c[1:3, ::2],
            c.clip(0, 1),
            -c,
            abs(c),
        )
        c += 1
        c *= b
        _ = raptors.sqrt(c), raptors.minimum(c, b), raptors.isnan(c), c == b
    count.require(0.9)


# ---- disabled ------------------------------------------------------------------------------------


def test_disabled() -> None:
    """RAPTORS_DISABLE=1: NumPy's results through raptors' types, and the ledger says so."""
    text = python_ok(
        """
import numpy, raptors as np
a = np.arange(12.0).reshape(3, 4)
b = a + a * 2 - a[::-1]
assert type(b) is np.ndarray
p = numpy.arange(12.0).reshape(3, 4)
assert (numpy.asarray(b) == p * 3 - p[::-1]).all()
b += 1; b.sum(); np.sum(b, axis=0); b.argmax(); b.astype("f4"); b.clip(0, 1); np.where(b > 1, b, 0)
r = np.report()
assert r.native_calls == 0, r.rows
assert r.total_calls > 5
assert all("RAPTORS_DISABLE" in row["reason"] or row["numpy"] for row in r.rows)
assert any("RAPTORS_DISABLE" in row["reason"] for row in r.rows), r.rows
assert np.explain_last_dispatch()["backend"] == "numpy"
print("ok")
""",
        RAPTORS_DISABLE="1",
    )
    assert text.strip() == "ok"


@pytest.mark.parametrize(("value", "disabled"), [("0", False), ("", False), ("1", True)])
def test_disable_values(value: str, disabled: bool) -> None:
    text = python_ok(
        "import raptors as np; np.ones(3) + 1; print(np.explain_last_dispatch()['backend'])",
        RAPTORS_DISABLE=value,
    )
    assert text.strip() == ("numpy" if disabled else "raptors")


@pytest.mark.parametrize("value", ["0", "1", "100000", "1000000000000000000000", "-1", "many", ""])
def test_cache_limit(value: str) -> None:
    """Any value works or is refused at import in plain words; results do not depend on it."""
    done = python(
        """
import raptors as np
x = [np.ones(n) + 1 for n in range(200)]
del x
print(sum(float((np.ones(n) * 3).sum()) for n in range(200)))
""",
        RAPTORS_CACHE_MAX_BYTES=value,
    )
    if done.returncode:
        last = done.stderr.rstrip().splitlines()[-1]
        assert value in ("", "-1", "many", "1000000000000000000000"), done.stderr
        assert last.startswith(("ImportError", "RuntimeError", "ValueError"))
        assert "RAPTORS_CACHE_MAX_BYTES" in last
    else:
        assert float(done.stdout) == 3 * 199 * 200 / 2


def test_import_keeps_the_error_state() -> None:
    code = """
import numpy, threading, contextvars
before = numpy.geterr()
{first}
import raptors
assert numpy.geterr() == {expected}, numpy.geterr()
with raptors.errstate(all="raise"):
    assert raptors.geterr()["over"] == "raise"
assert numpy.geterr() == {expected}
assert contextvars.copy_context().run(numpy.geterr) == {expected}
seen = []
thread = threading.Thread(target=lambda: seen.append(numpy.geterr()))
thread.start(), thread.join()
assert seen == [before], seen
raptors.seterr(divide="ignore")
assert numpy.geterr() == {{**{expected}, "divide": "ignore"}}
"""
    python_ok(code.format(first="", expected="before"))
    python_ok(code.format(first="numpy.seterr(over='ignore')", expected="{**before, 'over': 'ignore'}"))


def test_import_is_silent_and_repeatable() -> None:
    code = """
import sys, raptors, importlib
first = raptors.ndarray
assert importlib.import_module("raptors") is raptors
import raptors as again
assert again.ndarray is first
"""
    done = python(code, "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_reductions_are_reported_by_name() -> None:
    a = ours(numpy.ones(5, "i4"))
    with counted() as count:
        for row in REDUCTIONS:
            named(raptors, row["name"])(a)
    for row in REDUCTIONS:
        count.of(row["name"]).require()


@native
@pytest.mark.parametrize(
    "name", ["numpy", *(isa for isa in raptors.available_isas() if isa != raptors.get_simd())]
)
def test_families_of_long_calls(name: str) -> None:
    """What calibration chooses: other kernels with the same results, which are counted as what they are."""
    calls: dict[str, Callable[[Any], Any]] = {
        "add": lambda a: a + a,
        "maximum": lambda a: raptors.maximum(a, 0.5),
        "less": lambda a: a < 0.5,
        "sqrt": lambda a: raptors.sqrt(a),
        "divide": lambda a: raptors.divide(a, 0.0),
    }
    rng = numpy.random.default_rng(1)
    arrays = {n: ours(rng.random(n)) for n in (100, 20_000, 700_000)}
    unaligned = raptors.frombuffer(bytearray(160_001), "u1")[1:].view("f8")

    def results() -> list[Any]:
        with numpy.errstate(all="ignore"):
            return [call(a).tobytes() for a in (*arrays.values(), unaligned) for call in calls.values()]

    usual = results()
    try:
        with raptors.threads(1):
            core._set_families({op: {"float64": [name, ""]} for op in calls})
            assert results() == usual
            with counted() as count:
                arrays[100] + 1, arrays[20_000] + 1, arrays[700_000] + 1, unaligned + 1
            assert count.total - count.native == (1 if name == "numpy" else 0)
            core._set_families({op: {"float64": ("", name)} for op in calls})
            assert results() == usual
            with counted() as count:
                arrays[100] + 1, arrays[20_000] + 1, arrays[700_000] + 1
            assert count.total - count.native == (1 if name == "numpy" else 0)
            with raptors.simd("scalar"), counted() as count:
                arrays[20_000] + 1, arrays[700_000] + 1
            count.require()
            with numpy.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
                raptors.divide(arrays[700_000], 0.0)
    finally:
        core._set_families({})
    with counted() as count:
        arrays[20_000] + 1, arrays[700_000] + 1
    count.require()
    for wrong in ({"x": {}}, {"add": {"f8": ["", ""]}}, {"add": {"float64": ["", "x"]}}):
        with pytest.raises(ValueError, match="no such"):
            core._set_families(wrong)
