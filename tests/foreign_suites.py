"""Runs other projects' own tests, from installed wheels, on raptors' arrays: `foreign_suites.py --help`.

A scratch folder holds links to a package's files, and copies of its tests. In the copies the imports of
NumPy's public modules give raptors; the package itself keeps NumPy. Every file runs in a process of its own,
with that change and without it, and the outcomes are compared test by test. `foreign_suites_excused.py` lists
what cannot pass.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import suites
from foreign_suites_excused import EXCUSED
from suites import Library, Settings, Verdict

__all__ = ["SUITES", "Suite", "copy_package", "judge", "main"]

#: Marks of tests that need more than this machine.
ELSEWHERE = ("db", "internet", "network", "remote_data")


@dataclass(frozen=True)
class Suite:
    """Tests that a wheel brings."""

    distribution: str
    files: Sequence[str]  # patterns of paths, from the folder of the package on
    share: float  # at least so much per cent of what passes under NumPy
    options: str = ""  # lines of pytest.ini
    out: dict[str, str] = field(default_factory=dict)  # beginnings of files that are left out: the reason


PANDAS = ("arithmetic", "arrays", "base", "dtypes", "frame", "reductions", "series", "window")
SCIPY = ("interpolate", "linalg", "signal", "sparse")
XARRAY = ("coarsen", "computation", "duck_array_ops", "nputils", "rolling", "ufuncs", "weighted")

SUITES = {
    "astropy": Suite(
        "astropy",
        ["utils/masked/tests/test_*.py", "uncertainty/tests/test_*.py", "units/tests/test_*.py"],
        share=99.7,
        options="filterwarnings = error",
    ),
    "bottleneck": Suite("bottleneck", ["tests/*_test.py"], share=97, options="python_files = *_test.py"),
    "dask": Suite(
        "dask",
        ["array/tests/test_*.py"],
        share=99.5,
        out={"dask/array/tests/test_cupy_": "needs CuPy"},
    ),
    "h5py": Suite("h5py", ["tests/**/test_*.py"], share=99.5),
    "networkx": Suite("networkx", ["**/tests/test_*.py"], share=100),
    "numexpr": Suite("numexpr", ["tests/test_*.py"], share=100),
    "pandas": Suite(
        "pandas",
        [f"tests/{part}/**/test_*.py" for part in PANDAS],
        share=99.3,
        options="filterwarnings = error\nxfail_strict = true",
        out={"pandas/tests/arrays/arrow/": "needs pyarrow"},
    ),
    "scipy": Suite("scipy", [f"{part}/**/tests/test_*.py" for part in SCIPY], share=99.9),
    "sklearn": Suite("scikit-learn", ["**/tests/test_*.py"], share=99.5),
    "statsmodels": Suite("statsmodels", ["**/tests/test_*.py"], share=99.5),
    "xarray": Suite("xarray", [f"tests/test_{part}.py" for part in XARRAY], share=99.8),
}


# ---- the copies ----------------------------------------------------------------------------------


def package_folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def is_test_source(path: Path) -> bool:
    """Of a path within a package: a test, or what only tests use."""
    return path.suffix == ".py" and not {"tests", "_testing", "conftest"}.isdisjoint((*path.parts, path.stem))


def suite_files(folder: Path, suite: Suite) -> list[str]:
    """The suite's files, by their path from the folder of the package on, which is part of it."""
    found = {path.relative_to(folder.parent) for pattern in suite.files for path in folder.glob(pattern)}
    return sorted(path.as_posix() for path in found if not path.as_posix().startswith(tuple(suite.out)))


def copy_package(folder: Path, target: Path, library: Library) -> int:
    """Links to the files of the package, and copies of its tests; gives how many imports became raptors'."""
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        place = target / Path(parent).relative_to(folder.parent)
        place.mkdir(parents=True)
        for name in names:
            path = Path(parent, name)
            if not is_test_source(path.relative_to(folder.parent)):
                (place / name).symlink_to(path)
            elif library == "numpy":
                shutil.copy(path, place)
            else:
                with tokenize.open(path) as file:
                    text, imports = suites.rewrite(file.read(), library, suites.raptors_module)
                (place / name).write_text(text, encoding="utf-8")
                count += imports
    for path in folder.parent.glob("*.libs"):  # what compiled modules look for beside the package
        (target / path.name).symlink_to(path)
    (target / "tmp").mkdir()
    return count


def options(suite: Suite) -> str:
    marks = "\n    ".join((*ELSEWHERE, "slow"))
    return f"[pytest]\nmarkers =\n    {marks}\n{suite.options}\n"


# ---- the run -------------------------------------------------------------------------------------


def fingerprint(suite: Suite, args: argparse.Namespace) -> str:
    """All that decides about the outcomes under NumPy."""
    versions = [f"{name} {version(name)}" for name in (suite.distribution, "numpy", "pytest")]
    return f"{versions} {sys.version} {options(suite)} {args.slow} {args.sample}"


def judge_suite(name: str, args: argparse.Namespace, scratch: Path) -> tuple[Verdict, dict[str, Any]]:
    """The verdict on one suite, and every outcome."""
    suite, folder = SUITES[name], package_folder(name)
    assert folder is not None
    folders: dict[Library, Path] = {"numpy": scratch / "plain", "raptors": scratch / "rewritten"}
    for library, target in folders.items():
        copy_package(folder, target, library)
        (target / "options.ini").write_text(options(suite))
    files = [file for file in suite_files(folder, suite) if re.search(args.files, file)]
    key, cache = fingerprint(suite, args), suites.read_json(args.baseline)
    baseline = suites.cached(cache.get(name, {}), key)
    wanted = [file for file in files if file not in baseline]
    marks = ELSEWHERE if args.slow else (*ELSEWHERE, "slow")
    settings = Settings(
        own="/tests/", marks=f"not ({' or '.join(marks)})", limit=args.limit, sample=args.sample
    )
    plan: dict[Library, Sequence[str]] = {"numpy": wanted, "raptors": files}
    results, seconds = suites.run_files(folders, plan, settings, args.jobs, args.quiet)
    baseline |= results["numpy"]
    if args.baseline and wanted:
        suites.write_json(args.baseline, {**cache, name: suites.entry_of(key, baseline)})
    verdict = suites.compare({file: baseline[file] for file in files}, results["raptors"], EXCUSED)
    verdict.seconds = seconds
    return verdict, suites.everything(baseline, results["raptors"], verdict)


def judge(arguments: Sequence[str] = ()) -> tuple[bool, str]:
    """Whether all is as it has to be, and the report."""
    args = parser().parse_args(arguments)
    scratch = Path(args.folder or tempfile.mkdtemp(prefix="foreign-suites-")).resolve()
    fine, reports, outcomes = True, [], {}
    try:
        for name in args.suite or SUITES:
            if package_folder(name) is None:
                reports.append(f"==== {name}: not installed")
                continue
            verdict, outcomes[name] = judge_suite(name, args, scratch / name)
            enough = bool(args.files) or verdict.share >= SUITES[name].share
            fine = fine and verdict.fine and enough
            title = f"==== {name} {version(SUITES[name].distribution)}"
            reports.append(
                f"{title}{'' if enough else f': less than {SUITES[name].share} %'}\n{verdict.text()}"
            )
    finally:
        if not args.folder:
            shutil.rmtree(scratch, ignore_errors=True)
    report = "\n\n".join(reports)
    if args.report:
        Path(args.report).write_text(report + "\n", encoding="utf-8")
    if args.json:
        suites.write_json(args.json, outcomes)
    return fine, report


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description="Other projects' own tests under NumPy and under raptors.")
    p.add_argument("--suite", nargs="+", choices=SUITES, metavar="NAME", help=f"of {', '.join(SUITES)}")
    p.add_argument("--sample", type=int, default=0, metavar="N", help="at most N tests of each file")
    suites.add_arguments(p)
    return p


def main(arguments: Sequence[str]) -> int:
    fine, report = judge(arguments)
    print(report)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
