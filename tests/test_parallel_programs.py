"""Programs of several processes, and the libraries that carry arrays between these."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy
import pytest
from foreign import need
from helpers import adopted_class, python_ok

import raptors

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

# Whole programs ---------------------------------------------------------------------------------
# Each prints what it computes, and ends with the library of the arrays that its other processes saw.

POOLS = """
import sys
import multiprocessing
import numpy as np
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from numpy import fft, linalg

def task(function, seed):
    random = np.random.default_rng(seed)
    x = random.random((4, 4))
    y = function(x)
    numbers = np.round([np.sum(y.real), linalg.norm(x)], 9)
    return numbers, fft.rfft(x[0]), np.ma.masked_less(x, 0.5).count(), type(y).__module__

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    functions = [np.exp, fft.fft, linalg.inv, np.tril, np.ma.getdata, partial(np.add, 1), np.ones((4, 4)).dot]
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        found = [*executor.map(task, functions, range(7))]
    with context.Pool(2) as pool:
        found += pool.starmap(task, zip(functions, range(7)))
        found += [pool.apply(np.linspace, (0, 1, 5)), *pool.map(np.sqrt, [[4.0], [9.0]])]
    for row in found:
        print(*row[:3])
    print({row[3] for row in found[:2]} | {type(row[1]).__module__ for row in found[:2]})
"""

JOBLIB = """
import numpy as np
from joblib import Parallel, delayed
from numpy import fft
from numpy.polynomial import polynomial

big = np.arange(120_000.0).reshape(300, 400)
scale = np.float32(2)

def spectrum(x):
    return fft.rfft(x * scale)[:2], polynomial.polyval(2.0, [1, 2]), np.isscalar(x), type(x).__module__

found = Parallel(n_jobs=2)(delayed(spectrum)(row) for row in big[:4])
found += Parallel(n_jobs=2)(delayed(lambda i: np.ma.masked_less(big[i] + 1, 5).min())(i) for i in (0, 1))
functions = (np.sum, np.ptp, np.linalg.norm, np.ma.count)
found += Parallel(n_jobs=2, max_nbytes=1000)(delayed(function)(big) for function in functions)
np.random.seed(0)
found += Parallel(n_jobs=2)(delayed(np.random.normal)(size=2) for _ in range(2))
for row in found:
    print(row[:-1] if isinstance(row, tuple) else row)
print({row[-1] for row in found[:4]})
"""

DISTRIBUTED = """
import logging
import numpy as np
from numpy import fft

def describe(x):
    return float(np.sum(x)), fft.rfft(x)[0].real, type(x).__module__

if __name__ == "__main__":
    import dask.array
    from distributed import Client, LocalCluster

    silence = dict(silence_logs=logging.CRITICAL, dashboard_address=None)
    with LocalCluster(n_workers=2, threads_per_worker=1, **silence) as cluster, Client(cluster) as client:
        print(client.gather(client.map(lambda i: float(np.sum(np.arange(i) ** 2)), range(6))))
        seen = [client.submit(describe, np.arange(8.0)).result()]
        seen += [client.submit(describe, client.scatter(np.ones(5))).result()]
        chunks = dask.array.from_array(np.arange(20.0), chunks=5)
        chunks = chunks.map_blocks(lambda x: np.cumsum(x) + fft.rfft(x)[0].real).persist()
        print(chunks.sum().compute(), chunks.compute()[:3])
        returned = client.submit(np.linspace, 0, 1, 5).result()
        found = [returned, chunks.blocks[0].compute(), client.scatter(np.ones(3)).result()]
        found += [client.submit(np.matrix, [[1]]).result(), client.submit(np.ma.array, [1]).result()]
        print(*seen[0][:2], *seen[1][:2], found)
        print({x[2] for x in seen} | {type(x).__module__.split(".")[0] for x in found})
"""

LIBRARIES = """
import numpy as np
import pandas
from joblib import Parallel, delayed
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

random = np.random.default_rng(0)
x = random.random((60, 3))
y = x @ np.array([1.0, 2.0, 3.0]) + random.random(60)
model = make_pipeline(FunctionTransformer(lambda a: np.hstack([a, np.square(a)])), Ridge())
score = lambda fitted, a, b: -float(np.mean(np.abs(fitted.predict(a) - b)))
print(cross_val_score(model, x, y, cv=3, n_jobs=2, scoring=score).round(9))
search = GridSearchCV(model, {"ridge__alpha": np.array([0.1, 1.0])}, scoring=score, n_jobs=2, cv=3).fit(x, y)
print(search.best_params_, round(search.best_score_, 9))

frame = pandas.DataFrame({"key": np.arange(60) % 3, "value": y})
groups = [group for _, group in frame.groupby("key")]
found = Parallel(n_jobs=2)(delayed(lambda g: g["value"].agg([np.mean, np.ptp]).round(9))(g) for g in groups)
print(pandas.concat(found, axis=1))
print(set(Parallel(n_jobs=2)(delayed(lambda: type(np.ones(1)).__module__)() for _ in range(2))))
"""

PROGRAMS = {
    "fork": (POOLS, ()),
    "spawn": (POOLS, ()),
    "forkserver": (POOLS, ()),
    "joblib": (JOBLIB, ("joblib",)),
    "distributed": (DISTRIBUTED, ("distributed", "dask.array")),
    "libraries": (LIBRARIES, ("sklearn", "pandas", "joblib")),
}


def printed(folder: Path, *words: str) -> list[str]:
    """The lines that a program prints on one thread: processes share the cores."""
    settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAPTORS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **settings, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("kind", PROGRAMS)
def test_program(kind: str, tmp_path: Path) -> None:
    """It prints under raptors what it prints under NumPy, and its other processes work with raptors."""
    source, libraries = PROGRAMS[kind]
    for library in libraries:
        need(library)
    (tmp_path / "program.py").write_text(source)
    expected = printed(tmp_path, "program.py", kind)
    found = printed(tmp_path, "-m", "raptors", "run", "program.py", kind)
    assert found[:-1] == expected[:-1]
    assert (found[-1], expected[-1]) == ("{'raptors'}", "{'numpy'}")


# joblib -----------------------------------------------------------------------------------------


def chain(x: Any) -> list[str]:
    """The classes of an array and of what it is a view of."""
    found = []
    while x is not None:
        found.append(type(x).__name__)
        x = getattr(x, "base", None)
    return found


def looked_at(x: Any) -> tuple[Any, ...]:
    return (type(x), chain(x), x.flags.writeable, type(x + 1), float(x.sum()))


def given_back(x: Any) -> Any:
    return x


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_joblib_workers_map_arrays(backend: str, tmp_path: Path) -> None:
    """What they get is mapped, as with NumPy, and ours; so is what a program has mapped itself."""
    joblib = need("joblib")
    seen = {}
    for library in (numpy, raptors):
        mapped = library.memmap(tmp_path / library.__name__, mode="w+", shape=(40, 30), dtype=float)
        mapped[:] = 2
        a = library.arange(1200.0).reshape(40, 30)
        arrays = [a, a, a.T, a[::2], library.asfortranarray(a), mapped, mapped[::2], library.ones(3)]
        with joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=1000) as parallel:
            seen[library] = parallel(joblib.delayed(looked_at)(x) for x in arrays)
            returned = parallel(joblib.delayed(given_back)(x) for x in arrays)
        for x, got in zip(arrays, returned, strict=True):
            assert got.tolist() == x.tolist()
        seen[library] += [(type(x), chain(x), x.flags.writeable, x.flags.owndata) for x in returned]
        assert all("memmap" in row[1] for row in seen[library][:7])
    classes = {numpy.ndarray: raptors.ndarray, numpy.memmap: raptors.memmap}
    for ours, numpys in zip(seen[raptors], seen[numpy], strict=True):
        assert ours == tuple(classes.get(x, x) if isinstance(x, type) else x for x in numpys)


def test_joblib_dumps_an_array_once_for_all_tasks(tmp_path: Path) -> None:
    joblib = need("joblib")
    a = raptors.ones(1000)
    found = joblib.Parallel(n_jobs=2, max_nbytes=1000, temp_folder=tmp_path)(
        joblib.delayed(lambda x: x.filename)(a) for _ in range(6)
    )
    assert len(set(found)) == 1


@pytest.mark.parametrize("compress", [0, 3])
@pytest.mark.parametrize("mode", [None, "r", "c", "r+"])
def test_joblib_files(mode: str | None, compress: int, tmp_path: Path) -> None:
    joblib = need("joblib")
    classes = {}
    for library in (numpy, raptors):
        a = library.arange(12.0).reshape(3, 4)
        mapped = library.memmap(tmp_path / f"{library.__name__}.bin", mode="w+", shape=(2,), dtype="i4")
        values = [a, a.T, a[:, ::2], library.array(2.5), library.zeros((0, 3)), a.astype(">i2"), mapped, a]
        values += [library.array([1, "a", a], object), library.array(["2020-01-01"], "M8[D]"), a > 3]
        values += [library.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), 1, library.float32(2)]
        file = tmp_path / library.__name__
        joblib.dump(values, file, compress=compress)
        if compress and mode:
            with pytest.warns(UserWarning, match="mmap_mode"):
                loaded = joblib.load(file, mmap_mode=mode)
        else:
            loaded = joblib.load(file, mmap_mode=mode)
        for x, y in zip(values, loaded, strict=True):
            assert repr(numpy.asarray(x).tolist()) == repr(numpy.asarray(y).tolist())
        flags = [
            (x.dtype, x.flags.writeable, x.flags.owndata, x.strides) for x in loaded if hasattr(x, "flags")
        ]
        classes[library] = [type(x) for x in loaded], [chain(x)[-1] for x in loaded[:8] if mode], flags
    own = {numpy.ndarray: raptors.ndarray, numpy.memmap: raptors.memmap}
    assert classes[raptors] == ([own.get(cls, cls) for cls in classes[numpy][0]], *classes[numpy][1:])
    assert (raptors.memmap in classes[raptors][0]) == bool(mode and not compress)


HASHED = """
[np.ones(3), np.ones((3, 4)).T, np.ones((4, 4))[::2, ::2], np.array(1.5), np.zeros(0), np.array(["a", "b"]),
 np.array([1, "a"], object), np.ones(2, "M8[s]"), np.ones(2, ">f4"), np.zeros(2, [("a", "i4"), ("b", "f8")]),
 np.asmatrix(np.ones((2, 2))), np.rec.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), [np.ones(2)] * 2,
 [np.ones(2), np.ones(2)], {"a": np.ones(2), "b": [np.int8(1)]}, (np.ndarray, np.ndarray, np.matrix, np.int8)]
"""


class Own(raptors.ndarray):
    pass


def test_joblib_hashes_are_numpys() -> None:
    """In every process: joblib.Memory finds what another one cached."""
    joblib = need("joblib")
    expected = [joblib.hash(x) for x in eval(HASHED, {"np": numpy})]
    assert [joblib.hash(x) for x in eval(HASHED, {"np": raptors})] == expected
    code = f"import raptors as np, joblib\nprint(*map(joblib.hash, {HASHED.strip()}))"
    assert python_ok(code, "-W", "ignore", PYTHONHASHSEED="7").split() == expected
    assert joblib.hash(Own) != joblib.hash(numpy.ndarray)
    functions = "[np, np.sum, np.fft.fft, np.isscalar, np.add, np.r_, np.random.seed]"
    code = f"import raptors as np, joblib\nprint(*map(joblib.hash, {functions}))"
    assert python_ok(code).split() == [joblib.hash(x) for x in eval(functions, {"np": raptors})]


def test_joblib_memory(tmp_path: Path) -> None:
    joblib = need("joblib")
    called = []

    def double(x: Any) -> Any:
        called.append(x)
        return x * 2

    cached = joblib.Memory(tmp_path, verbose=0, mmap_mode="r").cache(double)
    for _ in range(2):
        assert cached(raptors.arange(3)).tolist() == [0, 2, 4]
        assert len(called) == 1
    assert type(cached(raptors.arange(3))) is raptors.memmap


@pytest.mark.parametrize("first", ["raptors", "joblib"])
def test_joblib_before_and_after_raptors(first: str, tmp_path: Path) -> None:
    need("joblib")
    code = f"""
    import {first}, joblib, numpy, raptors
    from joblib import executor, pool, _memmapping_reducer as reducer
    for module in (executor, pool, reducer):
        for reducers in module.get_memmapping_reducers(temp_folder_resolver=str):
            for library in (numpy, raptors):
                function, arguments = reducers[library.ndarray](library.ones(3))[:2]
                assert type(function(*arguments)) is library.ndarray
    for library in (numpy, raptors):
        for mode, cls in ((None, library.ndarray), ("r", library.memmap)):
            joblib.dump(library.ones(3), {str(tmp_path / "dumped")!r})
            assert type(joblib.load({str(tmp_path / "dumped")!r}, mode)) is cls
    print(joblib.hash(numpy.ones(3)) == joblib.hash(raptors.ones(3)))
    """
    assert python_ok(textwrap.dedent(code)) == "True\n"


# distributed and dask ---------------------------------------------------------------------------

SENT = """
[np.ones(3), np.ones((3, 4)).T, np.ones((4, 4))[::2, ::2], np.broadcast_to(np.ones(3), (4, 3)), np.zeros(0),
 np.array(1.5), np.array([1, None], object), np.array(["a"]), np.ones(2, "M8[s]"),
 np.zeros(2, [("a", "i4"), ("b", "f8")]), np.rec.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
 np.asmatrix(np.ones((2, 2))), np.ma.array([1, 2], mask=[0, 1])]
"""


def test_distributed_keeps_the_class() -> None:
    """What is ours comes back as ours, what NumPy makes of other classes in ours of that name."""
    protocol = need("distributed.protocol")
    own = {numpy.matrix: raptors.matrix, numpy.ma.MaskedArray: raptors.ma.MaskedArray}
    for ours, numpys in zip(*(eval(SENT, {"np": x}) for x in (raptors, numpy)), strict=True):
        header, frames = protocol.serialize(ours)
        got, expected = (
            protocol.deserialize(header, frames),
            protocol.deserialize(*protocol.serialize(numpys)),
        )
        plain = type(expected) is numpy.ndarray
        assert type(got) is (adopted_class(expected) if plain else own[type(expected)])
        assert repr(got) == repr(expected)
        assert (got.dtype, got.strides, got.flags.writeable, got.flags.owndata) == (
            *(expected.dtype, expected.strides, expected.flags.writeable, expected.flags.owndata),
        )
        assert header["serializer"] == "dask"
    assert protocol.deserialize(*protocol.serialize(raptors.ma.masked)) is raptors.ma.masked
    assert type(protocol.deserialize(*protocol.serialize(numpy.ones(3)))) is numpy.ndarray


def test_distributed_frames_are_the_memory() -> None:
    protocol = need("distributed.protocol")
    a = raptors.arange(6.0).reshape(2, 3)
    for x in (a, a.T, a[1], a.view("M8[s]"), raptors.asmatrix(a)):
        _, (frame,) = protocol.serialize(x)
        assert numpy.shares_memory(numpy.frombuffer(frame, numpy.uint8), a)


@pytest.mark.parametrize("first", ["raptors", "distributed.protocol"])
def test_distributed_before_and_after_raptors(first: str) -> None:
    need("distributed.protocol")
    code = f"""
    import {first}, raptors
    from distributed.protocol import deserialize, serialize
    print(type(deserialize(*serialize(raptors.ones(3)))))
    """
    assert python_ok(textwrap.dedent(code)) == "<class 'raptors.ndarray'>\n"


TOKENS = [
    *("np.ones(3)", "np.ones((3, 4))[:, ::2]", "np.asmatrix(np.ones((2, 2)))", "np.array(1.5)"),
    *("np.ma.array([1, 2])", "np.broadcast_to(np.ones(1), (1000,))"),
]
NAMES = [
    "np",
    "np.fft",
    "np.sum",
    "np.isscalar",
    "np.add",
    "np.array",
    "np.ndarray",
    "np.random.seed",
    "np.r_",
]


def test_dask_tokens_and_sizes() -> None:
    """A task has one name in every process, and that of NumPy's arrays."""
    need("dask.array")  # registers more classes
    tokenize, sizeof = need("dask.base").tokenize, need("dask.sizeof").sizeof
    for expression in TOKENS:
        ours, numpys = (eval(expression, {"np": library}) for library in (raptors, numpy))
        assert tokenize(ours, ensure_deterministic=True) == tokenize(numpys)
        assert sizeof(ours) == sizeof(numpys)
    both = [*TOKENS, *NAMES]
    tokens = [tokenize(eval(x, {"np": raptors}), ensure_deterministic=True) for x in both]
    code = f"import dask.array, raptors as np\nprint(*map(dask.base.tokenize, [{', '.join(both)}]))"
    assert python_ok(code, "-W", "ignore", PYTHONHASHSEED="7").split() == tokens


# Importing --------------------------------------------------------------------------------------


def test_import_brings_none_of_them() -> None:
    code = """
    import sys, numpy
    before = {*sys.modules}
    import raptors
    after = {name.split(".")[0] for name in {*sys.modules} - before}
    print(sorted(after - {*sys.stdlib_module_names}))
    """
    assert python_ok(textwrap.dedent(code)) == "['numpy', 'raptors']\n"


def test_first_use_of_a_submodule_in_workers() -> None:
    """What a program holds after `from numpy import fft` is the module itself, in every thread."""
    code = """
    import sys, threading
    import raptors
    barrier, found = threading.Barrier(4), []
    def look():
        barrier.wait()
        found.append(raptors.fft)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    from raptors import fft
    print(len({id(x) for x in [*found, fft, sys.modules["raptors.fft"], raptors.fft]}), "ma" in vars(raptors))
    """
    assert python_ok(textwrap.dedent(code)) == "1 False\n"
