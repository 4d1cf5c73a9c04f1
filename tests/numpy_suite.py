"""Runs NumPy's own tests, from the installed wheel, against raptors: `python tests/numpy_suite.py --help`.

The test files are copied to a scratch folder; in the copies the imports of NumPy's public modules give
raptors, private modules and `numpy.testing` stay NumPy's. Every file runs in a process of its own under both
libraries, and the outcomes are compared test by test. `numpy_suite_excused.py` lists what cannot pass.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import sys
import tempfile
import tokenize
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import suites
from numpy_suite_excused import EXCUSED, OPEN
from suites import NOT_RUN, Library, Outcome, Settings, Verdict, compare

__all__ = ["NOT_RUN", "QUICK", "Outcome", "Verdict", "compare", "judge", "main", "rewrite", "run_file"]

#: Package of the copies: `numpy.lib.tests.test_io` becomes `numpy_tests.lib.tests.test_io`.
PACKAGE = "numpy_tests"

#: Files that are left out, by the beginning of their path, with the reason. Files in which no import becomes
#: raptors' are left out, too: they test NumPy's private modules alone.
OUT = {
    "_core/tests/test_cpu_dispatcher.py": "NumPy's own choice of kernels",
    "_core/tests/test_cpu_features.py": "NumPy's own choice of kernels",
    "_core/tests/test_cython.py": "compiles Cython",
    "_core/tests/test_limited_api.py": "compiles C",
    "_pyinstaller/": "freezes a program that imports numpy",
    "distutils/": "NumPy's build system",
    "f2py/": "a tool that compiles Fortran",
    "random/tests/test_extending.py": "compiles Cython and C",
    "tests/test_configtool.py": "the command numpy-config",
    "tests/test_lazyloading.py": "imports numpy in a process of its own",
    "tests/test_numpy_config.py": "NumPy's build information",
    "tests/test_reloading.py": "reloads NumPy's modules",
    "tests/test_scripts.py": "the command f2py",
    "tests/test_warnings.py": "reads NumPy's sources",
    "typing/tests/test_isfile.py": "NumPy's stub files",
    "typing/tests/test_typing.py": "runs mypy on NumPy's stub files",
}

#: What `--quick` runs: array type, ufuncs, indexing, protocols, pickling, printing, creation, subclassing.
QUICK = (
    "_core/tests/test_abc.py",
    "_core/tests/test_api.py",
    "_core/tests/test_array_coercion.py",
    "_core/tests/test_array_interface.py",
    "_core/tests/test_arrayprint.py",
    "_core/tests/test_casting_floatingpoint_errors.py",
    "_core/tests/test_deprecations.py",
    "_core/tests/test_dlpack.py",
    "_core/tests/test_errstate.py",
    "_core/tests/test_function_base.py",
    "_core/tests/test_indexerrors.py",
    "_core/tests/test_indexing.py",
    "_core/tests/test_item_selection.py",
    "_core/tests/test_mem_policy.py",
    "_core/tests/test_memmap.py",
    "_core/tests/test_multiarray.py",
    "_core/tests/test_multiprocessing.py",
    "_core/tests/test_multithreading.py",
    "_core/tests/test_nditer.py",
    "_core/tests/test_nep50_promotions.py",
    "_core/tests/test_numeric.py",
    "_core/tests/test_overrides.py",
    "_core/tests/test_protocols.py",
    "_core/tests/test_records.py",
    "_core/tests/test_regression.py",
    "_core/tests/test_scalarinherit.py",
    "_core/tests/test_scalarmath.py",
    "_core/tests/test_shape_base.py",
    "_core/tests/test_ufunc.py",
    "_core/tests/test_umath.py",
    "lib/tests/test_index_tricks.py",
    "lib/tests/test_mixins.py",
    "lib/tests/test_stride_tricks.py",
    "ma/tests/test_subclassing.py",
    "matrixlib/tests/test_defmatrix.py",
    "matrixlib/tests/test_interaction.py",
    "random/tests/test_smoke.py",
    "tests/test_public_api.py",
)

#: NumPy's pytest.ini, without what is about its source tree, and what newer versions of pytest warn of.
OPTIONS = """\
[pytest]
filterwarnings =
    error
    ignore:Not importing directory
    ignore:numpy.dtype size changed
    ignore:numpy.ufunc size changed
    ignore::UserWarning:cpuinfo,
    ignore:the matrix subclass is not
    ignore:Importing from numpy.matlib is
    ignore:assertions not in test modules or plugins:pytest.PytestConfigWarning
    ignore::pytest.PytestDeprecationWarning
"""


# ---- the copies ----------------------------------------------------------------------------------


def numpy_folder() -> Path:
    spec = find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def suite_files(folder: Path) -> list[str]:
    """The files that NumPy's wheel brings and that are not left out, relative to the package."""
    found = (path.relative_to(folder).as_posix() for path in folder.glob("**/tests/**/test_*.py"))
    return sorted(name for name in found if not name.startswith(tuple(OUT)))


def is_test_module(module: str) -> bool:
    return module.startswith("numpy.") and ".tests" in module


def moved(module: str, library: Library) -> str:
    """What a test has to import instead of a module of NumPy."""
    if is_test_module(module):
        return PACKAGE + module[len("numpy") :]
    return suites.raptors_module(module) if library == "raptors" else module


def rewrite(source: str, library: Library) -> tuple[str, int]:
    return suites.rewrite(source, library, partial(moved, library=library))


def copy_tests(folder: Path, target: Path, library: Library) -> dict[str, int]:
    """Copies every tests folder into `target`; gives how many imports of each file became raptors'."""
    counts = {}
    package = target / PACKAGE
    ignored = shutil.ignore_patterns("__pycache__")
    for tests in sorted(folder.glob("**/tests")):
        place = tests.relative_to(folder)
        if tests.is_dir() and not f"{place.as_posix()}/".startswith(tuple(OUT)):
            shutil.copytree(tests, package / place, ignore=ignored, dirs_exist_ok=True)
    for path in sorted(package.glob("**/*.py")):
        with tokenize.open(path) as file:
            text, counts[path.relative_to(package).as_posix()] = rewrite(file.read(), library)
        path.write_text(text, encoding="utf-8")
    for path in [package, *package.glob("**/")]:
        (path / "__init__.py").touch()
    shutil.copy(folder / "conftest.py", package)
    (target / "options.ini").write_text(OPTIONS)
    (target / "tmp").mkdir(exist_ok=True)
    return counts


def fingerprint(folder: Path) -> str:
    """A hash of all that decides about NumPy's outcomes: the tests, the versions, the machine."""
    digest = hashlib.sha256()
    for path in sorted({*folder.glob("**/tests/**/*"), folder / "conftest.py"}):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    for text in (version("numpy"), sys.version, version("pytest"), version("hypothesis"), OPTIONS):
        digest.update(f"{text}\0".encode())
    digest.update(" ".join(platform.uname()[i] for i in (0, 1, 4)).encode())
    return digest.hexdigest()


# ---- the run -------------------------------------------------------------------------------------


def settings(marks: str, limit: float) -> Settings:
    return Settings(own=PACKAGE, prefix=f"{PACKAGE}/", marks=marks, limit=limit)


def run_file(folder: Path, name: str, marks: str, limit: float) -> dict[str, Outcome]:
    return suites.run_file(folder, name, settings(marks, limit))


def judge(arguments: Sequence[str] = ()) -> Verdict:
    """Runs the tests as the command line says and compares."""
    args = parser().parse_args(arguments)
    source = numpy_folder()
    scratch = Path(args.folder or tempfile.mkdtemp(prefix="numpy-suite-")).resolve()
    try:
        folders: dict[Library, Path] = {"numpy": scratch / "plain", "raptors": scratch / "rewritten"}
        for library, folder in folders.items():
            counts = copy_tests(source, folder, library)
        names = [name for name in suite_files(source) if counts[name]]
        if args.quick:
            names = [name for name in names if name in QUICK]
        names = [name for name in names if re.search(args.files, name)]
        key = fingerprint(source) + (" slow" if args.slow else "")
        baseline = suites.cached(suites.read_json(args.baseline), key)
        wanted = [name for name in names if name not in baseline]
        results, seconds = suites.run_files(
            folders,
            {"numpy": wanted, "raptors": names},
            settings("" if args.slow else "not slow", args.limit),
            args.jobs,
            args.quiet,
        )
        baseline |= results["numpy"]
        if args.baseline and wanted:
            suites.write_json(args.baseline, suites.entry_of(key, baseline))
        verdict = compare({name: baseline[name] for name in names}, results["raptors"], EXCUSED, OPEN)
        verdict.seconds = seconds
    finally:
        if not args.folder:
            shutil.rmtree(scratch, ignore_errors=True)
    if args.report:
        Path(args.report).write_text(verdict.text() + "\n", encoding="utf-8")
    if args.json:
        suites.write_json(args.json, suites.everything(baseline, results["raptors"], verdict))
    return verdict


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description="NumPy's own tests under NumPy and under raptors.")
    p.add_argument("--quick", action="store_true", help="a representative part, about a minute")
    suites.add_arguments(p)
    return p


def main(arguments: Sequence[str]) -> int:
    verdict = judge(arguments)
    print(verdict.text())
    return 0 if verdict.fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
