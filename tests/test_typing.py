"""Type checkers see raptors as they see NumPy.

One program text under both names has to give the same messages on each line: errors and revealed types alike.
mypy is always asked, pyright where it is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

import raptors

ROOT = Path(__file__).resolve().parent.parent
NUMPY = tuple(map(int, numpy.__version__.split(".")[:2]))
STUBS = Path(raptors.__file__).parent.parent / "raptors-stubs"
DATA = Path(numpy.__file__).parent / "typing" / "tests" / "data"

# Public by name only: NumPy's tools and leftovers, which programs do not import.
UNTYPED = re.compile(
    r"f2py\..+|fft\.helper|linalg\.(linalg|lapack_lite)|ma\.timer_comparison"
    r"|testing\.print_coercion_tables|typing\.mypy_plugin|(.+\.)?(tests|conftest)"
)
# NumPy's texts that the ordinary run checks, too.
SAMPLE = (
    "fail/array_constructors.pyi",
    "fail/linalg.pyi",
    "fail/random.pyi",
    "fail/ufuncs.pyi",
    "pass/literal.py",
    "pass/ma.py",
    "pass/recfunctions.py",
    "reveal/ctypeslib.pyi",
    "reveal/dtype.pyi",
    "reveal/fft.pyi",
    "reveal/lib_utils.pyi",
    "reveal/linalg.pyi",
    "reveal/polynomial_series.pyi",
    "reveal/stride_tricks.pyi",
    "reveal/strings.pyi",
)
# Lines of NumPy's texts about names that raptors does not have, or about private ones: whether checkers see
# NumPy's depends on what they saw before.
NOT_OURS = re.compile(r"np\.(__all__|matrixlib|sys|os|_core\.|_pytesttester)\b")


# ---- program texts -------------------------------------------------------------------------------

# A line that has to be reported ends in `# E`.
IDIOMS = """
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.fft as fft
import numpy.linalg as la
import numpy.typing as npt
from numpy import float64, int64, ndarray
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.linalg import LinAlgError, norm
from numpy.polynomial import Polynomial
from numpy.random import PCG64, BitGenerator, Generator, SeedSequence, default_rng
from numpy.testing import assert_allclose
from numpy.typing import ArrayLike, DTypeLike, NDArray

# Annotations: NDArray, shapes, scalars, aliases, type variables.
Image: TypeAlias = NDArray[np.uint8]
Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
S = TypeVar("S", bound=np.generic)
F = TypeVar("F", np.float32, np.float64)
Real: TypeAlias = np.floating[Any] | np.integer[Any]


def normalise(x: NDArray[np.float64], eps: float = 1e-9) -> NDArray[np.float64]:
    centred = x - x.mean()
    reveal_type(centred)
    result: NDArray[np.float64] = centred / (x.std() + eps)
    return result


def first(x: NDArray[S]) -> S:
    return x.flat[0]


def scaled(x: NDArray[F], factor: F) -> NDArray[F]:
    reveal_type(x * factor)
    return x


def load(source: ArrayLike, dtype: DTypeLike | None = None) -> NDArray[Any]:
    return np.asarray(source, dtype=dtype)


def batches(x: NDArray[S], size: int) -> Iterator[NDArray[S]]:
    for start in range(0, len(x), size):
        yield x[start : start + size]


class Grid(Generic[S]):
    values: NDArray[S]

    def __init__(self, values: NDArray[S]) -> None:
        self.values = values

    def __array__(self, dtype: None = None, copy: bool | None = None) -> NDArray[S]:
        return self.values


class Signal(np.ndarray[Any, np.dtype[np.float64]]):
    rate: float

    def __array_finalize__(self, obj: NDArray[Any] | None) -> None:
        self.rate = getattr(obj, "rate", 1.0)


floats: NDArray[np.float64] = np.zeros(3)
ints: NDArray[np.int64] = np.arange(3, dtype=np.int64)
bools: NDArray[np.bool] = floats > 0
matrix: Matrix = np.zeros((3, 3))
image: Image = np.zeros((4, 4), dtype=np.uint8)
text: NDArray[np.str_] = np.array(["a", "b"])
complexes: NDArray[np.complex128] = np.exp(1j * floats)

reveal_type(normalise(floats))
reveal_type(first(ints))
reveal_type(first(text))
reveal_type(scaled(floats, np.float64(2)))
reveal_type(load([1, 2, 3], "f4"))
reveal_type(list(batches(image, 2)))
reveal_type(Grid(ints).values)
reveal_type(np.asarray(Grid(ints)))
reveal_type(floats.view(Signal))
reveal_type(floats.view(Signal).rate)

# Creation and dtypes.
reveal_type(np.zeros((2, 3)))
reveal_type(np.zeros((2, 3), dtype=np.float32))
reveal_type(np.zeros(3, int))
reveal_type(np.zeros(3, "i8"))
reveal_type(np.empty_like(image))
reveal_type(np.full((2, 2), 7))
reveal_type(np.array([1.0, 2.0]))
reveal_type(np.array([1, 2], dtype=np.int8))
reveal_type(np.arange(10))
reveal_type(np.linspace(0, 1, 5))
reveal_type(np.linspace(0, 1, 5, retstep=True))
reveal_type(np.meshgrid(floats, ints))
reveal_type(np.dtype("f8"))
reveal_type(np.dtype(np.int32))
reveal_type(np.dtype([("x", "f4"), ("y", "i4")]))
reveal_type(np.result_type(np.int8, np.float32))
reveal_type(np.finfo(np.float32).eps)
reveal_type(np.float64(1) + np.int8(2))
reveal_type(np.float32(1) * 2.0)
reveal_type(np.int64(3).item())
reveal_type(np.bool(True))
reveal_type(np.True_)
reveal_type(np.datetime64("2020-01-01") - np.datetime64("2019-01-01"))
reveal_type(np.pi)
reveal_type(np.nan)
reveal_type(np.newaxis)

# Operators, indexing, methods.
reveal_type(floats + 1)
reveal_type(floats + ints)
reveal_type(ints / 2)
reveal_type(ints // 2)
reveal_type(floats @ floats)
reveal_type(-floats)
reveal_type(floats == 1)
reveal_type(floats < ints)
reveal_type(~bools)
reveal_type(image & 1)
reveal_type(floats[0])
reveal_type(floats[1:])
reveal_type(floats[bools])
reveal_type(floats[np.newaxis, ...])
reveal_type(matrix[0, 0])
reveal_type(floats.sum())
reveal_type(floats.sum(axis=0))
reveal_type(floats.max(axis=0, keepdims=True))
reveal_type(image.mean())
reveal_type(floats.argmax())
reveal_type(floats.astype(np.float32))
reveal_type(floats.reshape(1, -1))
reveal_type(floats.T)
reveal_type(floats.shape)
reveal_type(matrix.shape)
reveal_type(floats.dtype)
reveal_type(floats.tolist())
reveal_type(floats.item())
reveal_type(floats.flags.writeable)
reveal_type(complexes.real)
reveal_type([x for x in floats])

# Functions and ufuncs.
reveal_type(np.add)
reveal_type(np.add(floats, 1))
reveal_type(np.add(1, 2))
reveal_type(np.add(floats, floats, out=floats))
reveal_type(np.add.reduce(floats))
reveal_type(np.add.outer(floats, floats))
reveal_type(np.add.nin)
reveal_type(np.sqrt(floats))
reveal_type(np.sqrt(2.0))
reveal_type(np.modf(floats))
reveal_type(np.matmul(matrix, matrix))
reveal_type(np.sum(floats))
reveal_type(np.sum(floats, axis=0))
reveal_type(np.mean(image))
reveal_type(np.clip(floats, 0, 1))
reveal_type(np.where(bools, floats, 0))
reveal_type(np.where(bools))
reveal_type(np.concatenate([floats, floats]))
reveal_type(np.stack((floats, floats)))
reveal_type(np.unique(ints, return_counts=True))
reveal_type(np.einsum("i,i->", floats, floats))
reveal_type(np.allclose(floats, floats))
reveal_type(np.histogram(floats, bins=3))
reveal_type(np.vectorize(float)(ints))
reveal_type(np.errstate(divide="ignore"))
reveal_type(np.sort(floats))
reveal_type(np.broadcast_to(floats, (2, 3)))

# Submodules, as attributes and imported.
reveal_type(np.linalg.norm(floats))
reveal_type(norm(floats))
reveal_type(la.svd(matrix))
reveal_type(la.eigh(matrix).eigenvalues)
reveal_type(la.solve(matrix, floats))
reveal_type(la.LinAlgError is LinAlgError)
reveal_type(fft.rfft(floats))
reveal_type(np.fft.fftfreq(8))
reveal_type(as_strided(floats, (2, 2)))
reveal_type(sliding_window_view(floats, 2))
reveal_type(np.lib.stride_tricks.as_strided(floats, (2, 2)))
reveal_type(Polynomial([1, 2, 3])(2.0))
reveal_type(np.ma.MaskedArray)
reveal_type(np.strings.upper(text))
reveal_type(np.char.upper(text))
reveal_type(np.rec.fromarrays([floats]))
reveal_type(np.emath.sqrt(-1))
reveal_type(np.ctypeslib.as_ctypes_type(np.int32))
reveal_type(np.exceptions.AxisError)
reveal_type(np.dtypes.Float64DType)
reveal_type(np.typing.NDArray)
reveal_type(npt.NBitBase)
reveal_type(np.testing.assert_equal)
reveal_type(assert_allclose(floats, floats))
reveal_type(np.__version__)

# Random numbers.
rng = default_rng(7)
reveal_type(rng)
reveal_type(np.random.default_rng(SeedSequence(1)))
reveal_type(Generator(PCG64(1)).bit_generator)
reveal_type(rng.random())
reveal_type(rng.random(3))
reveal_type(rng.random(3, dtype=np.float32))
reveal_type(rng.normal(size=(2, 3)))
reveal_type(rng.integers(10))
reveal_type(rng.integers(10, size=3))
reveal_type(rng.integers(10, size=3, dtype=np.uint8))
reveal_type(rng.choice(floats))
reveal_type(np.random.rand(3))
reveal_type(np.random.RandomState(1).randint(3))
bits: BitGenerator = rng.bit_generator

# The classes of both annotations are the same.
same: ndarray[Any, np.dtype[float64]] = floats
numbers: Sequence[np.integer[Any]] = [int64(1), np.uint8(2)]
reduce: Callable[[NDArray[np.float64]], Any] = np.sum

# What has to be reported.
wrong_dtype: NDArray[np.int8] = np.zeros(3)  # E
wrong_scalar: np.float32 = np.int8(1)  # E
wrong_type: int = np.zeros(3)  # E
normalise([1.0, 2.0])  # E
normalise(image)  # E
first(1)  # E
scaled(ints, np.int64(1))  # E
np.zeros(3, dtype=np.float64, shape=4)  # E
np.zeros("3")  # E
np.add("a", object)  # E
np.reshape(floats, "x")  # E
np.linalg.norm(floats, keepdims=1)  # E
la.solve(object(), floats)  # E
rng.normal(loc="a")  # E
default_rng("seed")  # E
floats.reshape("x")  # E
floats.sum(axis="x")  # E
floats.no_such_method()  # E
np.no_such_function()  # E
np.linalg.no_such_function()  # E
la.no_such_function()  # E
np.float_(1)  # E
from numpy import no_such_name  # E
from numpy.linalg import no_such_solver  # E
import numpy.no_such_module  # E
"""

# After a star import the names are those of `__all__`.
STAR = """
from numpy import *
from numpy.lib.stride_tricks import *

reveal_type(array([1.0]))
reveal_type(sum)
reveal_type(max(array([1.0])))
reveal_type(float64)
reveal_type(linalg.norm)
reveal_type(random.default_rng)
reveal_type(as_strided)
no_such_name  # E
"""

# raptors' own functions, and arrays that go from one library to the other.
OWN = """
from __future__ import annotations

from typing import Any, assert_type

import numpy
import numpy.typing

import raptors as np
import raptors.lib.stride_tricks
import raptors.linalg
from raptors import simd
from raptors._config import Report

assert_type(np.available_isas(), tuple[str, ...])
assert_type(np.get_simd(), str)
assert_type(np.explain_last_dispatch(), dict[str, Any] | None)
assert_type(np.ops(), list[dict[str, Any]])
assert_type(np.report(), Report)
assert_type(np.memory.stats().live_bytes, int)
assert_type(np.memory.limit(1 << 30), int)
assert_type(np.memory.trim(), int)
assert_type(np.report().rows, list[dict[str, Any]])
assert_type(np.report().share, float)
assert_type(np.report().native_calls, int)
assert_type(np.build_info(), dict[str, Any])
assert_type(np.runtime_info(), dict[str, Any])
np.reset_report()
np.simd("auto")
with simd("scalar") as chosen:
    assert_type(chosen, simd)

np.simd(2)  # E
np.simd()  # E
np.ops("add")  # E
np.get_simd().value  # E
np.report().shares  # E
np.show_config(3)  # E


def theirs(x: numpy.typing.NDArray[numpy.float64]) -> numpy.ndarray[Any, numpy.dtype[numpy.float64]]:
    return x


def ours(x: np.typing.NDArray[np.float64]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return x


assert_type(theirs(ours(numpy.zeros(3))), numpy.ndarray[Any, numpy.dtype[numpy.float64]])
assert_type(ours(theirs(np.zeros(3))), np.ndarray[Any, np.dtype[np.float64]])
scalar: numpy.float64 = np.float64(1)
random: numpy.random.Generator = np.random.default_rng(1)
masked: type[numpy.ma.MaskedArray[Any, Any]] = np.ma.MaskedArray
raptors.linalg.norm(raptors.lib.stride_tricks.as_strided(np.zeros(3), (2,)))
ours(numpy.zeros(3) > 0)  # E
"""

IMPORT = re.compile(r"^(\s*(?:import|from) )numpy(?=(?:\.[a-z]\w*)*\s)", re.MULTILINE)
MARK = "  # E"


def for_raptors(text: str) -> str:
    """The text with raptors in NumPy's place, but for NumPy's private modules."""
    return IMPORT.sub(r"\1raptors", text)


def quietly(module: str) -> types.ModuleType:
    """The module, whatever it warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


def public_modules() -> list[str]:
    """The public modules of NumPy that raptors has, without the package's name."""

    def walk(package: types.ModuleType) -> Iterator[str]:
        for entry in pkgutil.iter_modules(package.__path__):
            full = f"{package.__name__}.{entry.name}"
            module = full.partition(".")[2]
            if entry.name.startswith("_") or UNTYPED.fullmatch(module):
                continue
            if importlib.util.find_spec(f"raptors.{module}") is not None:
                yield module
                if entry.ispkg:
                    yield from walk(quietly(full))

    return list(walk(numpy))


def public_names(module: str, modules: list[str]) -> list[str]:
    """The names of a module, without those of modules that it imported and of its test runner."""
    found = vars(quietly(module))
    imported = {
        name
        for name, value in found.items()
        if isinstance(value, types.ModuleType) and f"{module}.{name}".partition(".")[2] not in modules
    }
    return sorted(name for name in found.keys() - imported - {"test"} if not name.startswith("_"))


def has_stub(module: str) -> bool:
    """Whether this NumPy has a stub for its module."""
    source = Path(str(quietly(module).__file__))
    return source.with_name(source.name.partition(".")[0] + ".pyi").exists()


def every_name() -> str:
    """Reveals the type of every public name of every module that has a stub."""
    modules = public_modules()
    lines = ["import numpy as np"]
    lines += [f"reveal_type(np.{name})" for name in public_names("numpy", modules)]
    for module in filter(lambda module: has_stub(f"numpy.{module}"), modules):
        alias = module.replace(".", "_")
        lines.append(f"import numpy.{module} as {alias}")
        lines += [f"reveal_type({alias}.{name})" for name in public_names(f"numpy.{module}", modules)]
    return "\n".join(lines) + "\n"


def numpys_texts() -> dict[str, str]:
    """The texts of NumPy's own typing tests, with nothing ignored; empty where NumPy comes without tests."""
    files = [path for path in sorted(DATA.glob("*/*.py*")) if path.suffix in {".py", ".pyi"}]
    return {f"{f.parent.name}/{f.name}": f.read_text().replace("# type: ignore", "# was:") for f in files}


# ---- the checkers --------------------------------------------------------------------------------


class Messages:
    """What a checker said about each file: a set of messages for each line."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.of: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(self, file: str, line: int, message: str) -> None:
        if "https://mypy.readthedocs.io" not in message:  # said once in a run
            self.of[file][line].add(message.replace("raptors", "numpy"))

    def failing(self, file: str) -> set[int]:
        """The lines with errors."""
        return {n for n, said in self.of[file].items() if any(m.startswith("error") for m in said)}

    def differences(self, name: str) -> list[str]:
        """Where raptors' messages about a text are not NumPy's."""
        theirs, ours = self.of[f"numpy_{name}"], self.of[f"raptors_{name}"]
        lines = self.texts[name].splitlines()
        return [
            f"{name}:{n}: {lines[n - 1].strip()}\n  numpy: {sorted(theirs[n])}\n  raptors: {sorted(ours[n])}"
            for n in sorted(theirs.keys() | ours.keys())
            if theirs[n] != ours[n]
        ]


def check(checker: str, texts: dict[str, str], folder: Path) -> Messages:
    """Checks each text under both names, all of them in one process; a text about raptors itself once."""
    messages = Messages({name.replace("/", "_"): text for name, text in texts.items()})
    for name, text in messages.texts.items():
        if "import raptors" in text:
            (folder / f"raptors_{name}").write_text(text, encoding="utf-8")
        else:
            (folder / f"numpy_{name}").write_text(text, encoding="utf-8")
            (folder / f"raptors_{name}").write_text(for_raptors(text), encoding="utf-8")
    CHECKERS[checker](folder, sorted(path.name for path in folder.iterdir()), messages)
    assert messages.of.keys() <= {path.name for path in folder.iterdir()}
    return messages


def run(command: list[str], folder: Path) -> str:
    foreign = ("MYPY", "PYTHON", "LD_", "COV")  # settings of this run, not of the checker's
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    environment["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode in (0, 1), f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_mypy(folder: Path, files: list[str], messages: Messages) -> None:
    command = [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={folder.parent / 'mypy'}"]
    options = ["--enable-error-code=deprecated", "--report-deprecated-as-note"]
    options += ["--strict", "--no-error-summary", "--hide-error-context", "--no-pretty", "--no-color-output"]
    for line in run([*command, *options, *files], folder).splitlines():
        found = re.match(r"([^:]+):(\d+): ((?:error|note): .*)$", line)
        assert found is not None, line
        messages.add(found[1], int(found[2]), found[3])


def run_pyright(folder: Path, files: list[str], messages: Messages) -> None:
    settings = {"typeCheckingMode": "standard", "reportMissingModuleSource": "error", "include": files}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [pyright(), "--outputjson", "--pythonpath", sys.executable, "--project", str(folder)]
    for row in json.loads(run(command, folder))["generalDiagnostics"]:
        text = f"{row['severity']}: {row['message']} [{row.get('rule', '')}]"
        messages.add(Path(row["file"]).name, row["range"]["start"]["line"] + 1, text)


def pyright() -> str:
    beside = Path(sys.executable).parent / "pyright"
    found = str(beside) if beside.exists() else shutil.which("pyright")
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("pyright is not installed")
    return found


CHECKERS: dict[str, Callable[[Path, list[str], Messages], None]] = {"mypy": run_mypy, "pyright": run_pyright}


# ---- tests ---------------------------------------------------------------------------------------


def require_numpy(*version: int) -> None:
    """Before 2.2 NumPy's stubs had no `__all__` that mypy can read; names of 2.4 miss in older ones."""
    if version > NUMPY:
        pytest.skip(f"typed for NumPy {'.'.join(map(str, version))} and newer")


@pytest.fixture(scope="module", params=CHECKERS)
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """What a checker says about every text but the exhaustive ones."""
    require_numpy(2, 2)
    texts = {"idioms.py": IDIOMS, "star.py": STAR, "own.py": OWN, "names.py": every_name()}
    if request.param == "mypy":  # pyright takes minutes for them
        texts |= {name: text for name, text in numpys_texts().items() if name in SAMPLE}
    return check(request.param, texts, tmp_path_factory.mktemp(request.param))


def test_same_messages(checked: Messages) -> None:
    assert len(checked.of["numpy_idioms.py"]) > 150
    names = checked.texts.keys() - {"own.py", "names.py"}
    assert [d for name in sorted(names) for d in checked.differences(name)] == []


@pytest.mark.parametrize("name", ["idioms.py", "star.py", "own.py"])
def test_errors_are_where_they_should_be(checked: Messages, name: str) -> None:
    expected = {n for n, line in enumerate(checked.texts[name].splitlines(), 1) if line.endswith(MARK)}
    assert expected
    assert checked.failing(f"raptors_{name}") == expected


def test_types_are_not_any(checked: Messages) -> None:
    """Two runs that know nothing would agree, too."""
    lines = IDIOMS.splitlines()
    for text in ("rng.random(3)", "normalise(floats)", "floats + 1"):
        said = checked.of["raptors_idioms.py"][lines.index(f"reveal_type({text})") + 1]
        assert re.search(r"ndarray\[.*dtype\[.*float64", " ".join(said)) is not None, said


def test_every_name_has_its_type(checked: Messages) -> None:
    """What the checker knows of NumPy it knows of raptors; what it rejects it may reject in other words."""
    lines = checked.texts["names.py"].splitlines()
    rejected, ours = checked.failing("numpy_names.py"), checked.failing("raptors_names.py")
    assert len(lines) - len(rejected) > 1000
    wrong = [d for d in checked.differences("names.py") if int(d.split(":")[1]) not in rejected]
    assert wrong == []
    # A name that a stub imports by itself is known even where this NumPy's own stub lacks it.
    spoken = {name for file in STUBS.rglob("*.pyi") for name in re.findall(r" as (\w+)", file.read_text())}
    accepted = [lines[n - 1] for n in rejected - ours]
    assert [line for line in accepted if line.strip(")").rpartition(".")[2] not in spoken] == []


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("checker", CHECKERS)
def test_numpys_own_texts(checker: str, tmp_path: Path) -> None:
    """All texts of NumPy's own typing tests, every `type: ignore` taken out."""
    require_numpy(2, 2)
    texts = numpys_texts()
    if not texts:
        pytest.skip("this NumPy comes without its tests")
    folder = tmp_path / "texts"
    folder.mkdir()
    said = check(checker, texts, folder)
    assert sum(map(len, said.of.values())) > 1000
    wrong = [d for name in said.texts for d in said.differences(name)]
    assert [d for d in wrong if not NOT_OURS.search(d.splitlines()[0])] == []


def test_stubs_are_sound(tmp_path: Path) -> None:
    """mypy, asked about the stubs themselves, has nothing to say."""
    require_numpy(2, 4)
    shutil.copytree(STUBS, tmp_path / STUBS.name)
    command = [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={tmp_path / 'mypy'}", "--strict"]
    assert run([*command, STUBS.name], tmp_path).startswith("Success")


def stub_modules() -> set[str]:
    files = [path.parent.relative_to(STUBS) for path in STUBS.rglob("__init__.pyi")]
    return {".".join(path.parts) for path in files if path.parts}


def test_every_public_module_has_a_stub() -> None:
    assert set(public_modules()) - stub_modules() == set()


def test_stubs_do_not_reach_the_program() -> None:
    """The stubs lie in a folder that no import finds; every module of theirs is there at run time."""
    for module in sorted(stub_modules()):
        if importlib.util.find_spec(f"numpy.{module}") is not None:  # an older NumPy may not have it
            found = quietly(f"raptors.{module}")
            assert "raptors-stubs" not in str(getattr(found, "__file__", None) or "")
            assert public_names(f"raptors.{module}", []) == public_names(f"numpy.{module}", [])
    assert [name for name in stub_modules() if (Path(raptors.__file__).parent / name).is_dir()] == []


def test_stubs_are_installed() -> None:
    files = importlib.metadata.files("raptors-array") or []
    listed = {f.as_posix() for f in files if f.parts[0] == "raptors-stubs"}
    assert {f"raptors-stubs/{path.relative_to(STUBS).as_posix()}" for path in STUBS.rglob("*.*")} == listed
    sources = ROOT / "raptors-stubs"
    for path in sources.rglob("*.*"):
        assert (STUBS / path.relative_to(sources)).read_text() == path.read_text()
    # With `partial` checkers look for everything else in the package itself.
    assert (STUBS / "py.typed").read_text() == "partial\n"


def test_own_names_are_in_the_stub() -> None:
    def is_own(name: str) -> bool:
        return name not in {*dir(numpy), "annotations"} and not importlib.util.find_spec(f"numpy.{name}")

    own = {name for name in vars(raptors) if not name.startswith("_") and is_own(name)}
    stub = (STUBS / "__init__.pyi").read_text()
    names = re.findall(r"^(?:from raptors(?:\.\w+)? import \w+ as|def) (\w+)", stub, re.MULTILINE)
    assert {name for name in names if is_own(name)} == own
    core = Path(raptors.__file__).with_name("_raptors_core.pyi").read_text()
    assert [line for line in stub.splitlines() if line.startswith("def ") and line not in core] == []
