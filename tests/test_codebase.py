"""Gates on the sources themselves: layering, versions, what must not be in them."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import operator
import os
import re
import shutil
import subprocess
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import raptors
from raptors import _environment

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "src" / "kernels"
BINDINGS = ROOT / "src" / "bindings"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """The files that git tracks or would add."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---- versions


def test_versions_agree() -> None:
    found = re.search(r'^(?:__version__|version)\b.*?"([^"]+)"', text("raptors/_version.py"), re.MULTILINE)
    assert found is not None
    assert raptors.__raptors_version__ == found[1] == importlib.metadata.version(PROJECT["project"]["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", raptors.__raptors_version__)
    assert re.search(rf"^## \[{re.escape(raptors.__raptors_version__)}\]", text("CHANGELOG.md"), re.MULTILINE)


def test_pinned_tools_agree() -> None:
    """pre-commit's hooks and the `dev` extra name the same versions."""
    hooks = dict(re.findall(r"\b([a-z-]+)==([\d.]+)", text(".pre-commit-config.yaml")))
    extras = dict(
        re.findall(r"([a-z-]+)==([\d.]+)", " ".join(PROJECT["project"]["optional-dependencies"]["dev"]))
    )
    shared = hooks.keys() & extras.keys()
    assert {"ruff", "clang-format"} <= shared
    assert {tool: hooks[tool] for tool in shared} == {tool: extras[tool] for tool in shared}


def test_classifiers_name_the_supported_pythons() -> None:
    oldest = int(PROJECT["project"]["requires-python"].rpartition(".")[2])
    listed = re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert [int(minor) for minor in listed] == list(range(oldest, oldest + len(listed)))


# ---- layers


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.MULTILINE)


def sources(*folders: Path) -> list[Path]:
    found = [p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix in {".h", ".cpp", ".def"}]
    assert found
    return found


PYTHON_HEADERS = re.compile(r"(^|/)(Python\.h|pybind11|numpy/)")
C_HEADERS = re.compile(
    r"^(c(assert|fenv|float|inttypes|limits|math|stdalign|stdbool|stddef|stdint|stdlib|string)"
    r"|(assert|fenv|float|inttypes|limits|math|stddef|stdint|string)\.h)$"
)
INTRINSICS = re.compile(r"^([a-z0-9]*mmintrin|arm_neon|arm_fp16|arm_acle|x86intrin)\.h$")


def test_kernels_know_nothing_of_python() -> None:
    assert [(name(p), i) for p in sources(KERNELS) for i in includes(p) if PYTHON_HEADERS.search(i)] == []


#: Folders of src/kernels, and src/bindings, lowest first; each may include those before it.
LAYERS = (("api", "tables"), ("isa",), ("",), ("frame",), ("bindings",))


def layer(path: Path) -> int:
    part = path.relative_to(KERNELS if path.is_relative_to(KERNELS) else BINDINGS).parts[0]
    if path.is_relative_to(BINDINGS):
        return len(LAYERS) - 1
    return next((i for i, folders in enumerate(LAYERS) if part in folders), 2)


def included(include: str) -> Path | None:
    """The file of src/ that an include names."""
    return next((folder / include for folder in (KERNELS, BINDINGS) if (folder / include).is_file()), None)


def test_includes_are_found_from_one_root() -> None:
    """Own headers by their path from src/kernels or src/bindings on, in which no two files are the same."""
    quoted = [
        (p, i)
        for p in sources(ROOT / "src")
        for i in re.findall(r'^\s*#\s*include\s+"([^"]+)"', p.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert [(name(p), i) for p, i in quoted if included(i) is None and i != "isas.def"] == []
    paths = [p.relative_to(folder).as_posix() for folder in (KERNELS, BINDINGS) for p in sources(folder)]
    assert len(set(paths)) == len(paths)


def test_isa_includes_only_what_cannot_leak() -> None:
    """The kernels' interface, the tables, own headers, C headers, intrinsics, traits, sequences."""

    def allowed(include: str) -> bool:
        return (
            include.startswith(("isa/", "api/", "tables/"))
            or include in {"type_traits", "utility"}
            or C_HEADERS.match(include) is not None
            or INTRINSICS.match(include) is not None
        )

    assert [(name(p), i) for p in sources(KERNELS / "isa") for i in includes(p) if not allowed(i)] == []


def test_includes_go_one_way() -> None:
    """bindings -> frame -> dispatch -> isa, api, tables; no header of a higher layer below it."""
    wrong = [
        (name(p), i)
        for p in sources(ROOT / "src")
        for i in includes(p)
        if (target := included(i)) is not None and layer(target) > layer(p)
    ]
    assert wrong == []


def test_one_file_includes_python() -> None:
    """And one more pybind11.h, which takes ten seconds to compile wherever it is included."""
    found = {
        name(p): [i for i in includes(p) if PYTHON_HEADERS.search(i) and included(i) is None]
        for p in sources(BINDINGS)
    }
    assert found.pop("src/bindings/module.cpp") == ["pybind11/pybind11.h"]
    assert [p for p in found if found[p]] == ["src/bindings/python/pybind.h"]
    assert "pybind11/pybind11.h" not in found["src/bindings/python/pybind.h"]


def test_bindings_do_not_reach_into_isa() -> None:
    assert [
        (name(p), i) for p in sources(BINDINGS, KERNELS / "frame") for i in includes(p) if "isa/" in i
    ] == []


def test_headers_are_guarded() -> None:
    assert [
        name(p) for p in sources(ROOT / "src") if p.suffix == ".h" and "#pragma once" not in p.read_text()
    ] == []


def imported_modules(path: Path) -> set[str]:
    """The modules of the package that a module of it imports anywhere, also within functions."""
    named: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            named += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called == "import_module":
                named += [
                    x.value for x in node.args if isinstance(x, ast.Constant) and isinstance(x.value, str)
                ]
    # That the package itself is loaded first is no import of a module by another.
    return {name.removeprefix("raptors.") for name in named if name.startswith("raptors.")}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules each of which imports the next, the first of them again at the end; []: there are none."""
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module not in done:
            for other in sorted(imports.get(module, ())):
                if found := follow(other, [*way, module]):
                    return found
            done.add(module)
        return []

    return next((found for module in sorted(imports) if (found := follow(module, []))), [])


def test_python_imports_go_one_way() -> None:
    imports = {p.stem: imported_modules(p) for p in sorted((ROOT / "raptors").glob("*.py"))}
    assert {"_tuning", "_info"} <= imports["__main__"]
    assert {"_tuning", "_info"} <= imports["_config"]
    assert circle(imports) == []
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]


def test_the_core_imports_nothing_of_the_package() -> None:
    """Python registers with it what it may call."""
    named = [
        (name(p), module)
        for p in sources(BINDINGS)
        for module in re.findall(r'[iI]mport_?[mM]odule\w*\(\s*"([^"]+)"', p.read_text(encoding="utf-8"))
    ]
    assert ("src/bindings/numpy/module_type.cpp", "numpy") in named
    assert [(p, module) for p, module in named if module.partition(".")[0] == "raptors"] == []


# ---- the tables

ROW = re.compile(r"^(UNARY|BINARY|TERNARY|MATH1|REDUCTION|SCAN)\s*\(\s*(\w+)\s*,(.*)\)\s*$", re.MULTILINE)


def table_rows() -> list[tuple[str, str]]:
    """The name of each row, and what follows it."""
    files = ("ops", "math", "reductions", "scans")
    found = [row for file in files for row in ROW.findall(text(f"src/kernels/tables/{file}.def"))]
    return [(path_of(kind, name, rest), rest) for kind, name, rest in found]


def path_of(kind: str, name: str, rest: str) -> str:
    if kind == "SCAN":
        return f"{name}.accumulate"
    return f"linalg.{name}" if kind == "REDUCTION" and rest.split(",")[0].strip() == "LINALG" else name


def test_every_row_is_documented() -> None:
    rows = table_rows()
    assert len(rows) > 40
    assert len({name for name, _ in rows}) == len(rows)
    docs = {name: re.search(r'"([^"]+)"\s*$', rest) for name, rest in rows}
    wrong = [op for op, doc in docs.items() if doc is None or not re.fullmatch(r"[-\w].{9,90}\.", doc[1])]
    assert wrong == []


def test_every_row_reaches_python() -> None:
    rows = dict(table_rows())
    reported = {row["name"]: row["doc"] for row in raptors.ops()}
    assert reported.keys() == rows.keys()
    for op, doc in reported.items():
        assert rows[op].rstrip().endswith(f'"{doc}"')
        assert callable(operator.attrgetter(op)(raptors))
        assert getattr(raptors, op.partition(".")[0]).__doc__


# ---- what must not be there

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
FORBIDDEN_MODULES = {
    *(
        "pickle",
        "marshal",
        "shelve",
        "ctypes",
        "cffi",
        "socket",
        "ssl",
        "http",
        "urllib",
        "ftplib",
        "smtplib",
    ),
    *("multiprocessing", "subprocess", "pty", "code", "codeop", "tempfile", "webbrowser"),
}
FORBIDDEN_ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("os", "execv"),
    ("os", "fork"),
    ("os", "posix_spawn"),
}

# file: {what it may use: why}
EXCEPTIONS: dict[str, dict[str, str]] = {
    "_compare.py": {
        "subprocess": "`raptors run --compare` runs the user's program under each library",
        "tempfile": "keeps what the compared programs print",
    },
    "_tuning.py": {"tempfile": "keeps the figures of `calibrate()`"},
    "_integrations.py": {"pickle": "joblib.dump pickles an array of objects whole"},
    "_run.py": {
        "compile": "`raptors run` runs the user's program, as python does",
        "exec": "as compile",
        "os.execv": "an interactive session of python takes the place of the command",
    },
    "_imports.py": {"__import__": "the hook that gives raptors to the user's files"},
    "_processes.py": {"tempfile": "keeps the counts of the processes of a run"},
}


def suspicious(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield node.lineno, node.func.id
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in FORBIDDEN_MODULES:
                    yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
                yield node.lineno, (node.module or "").partition(".")[0]
            for alias in node.names:
                if (node.module, alias.name) in FORBIDDEN_ATTRIBUTES:
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in FORBIDDEN_ATTRIBUTES:
                yield node.lineno, f"{node.value.id}.{node.attr}"
            elif node.value.id == "builtins" and node.attr in FORBIDDEN_CALLS:
                yield node.lineno, node.attr


def test_python_runs_no_foreign_code() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "raptors").rglob("*.py")):
        uses = {what for _, what in suspicious(ast.parse(path.read_text(encoding="utf-8")))}
        if uses:
            found[path.relative_to(ROOT / "raptors").as_posix()] = uses
    assert found == {file: set(reasons) for file, reasons in EXCEPTIONS.items()}


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("x = eval('1')", "eval"),
        ("import builtins\nbuiltins.exec('1')", "exec"),
        ("import pickle", "pickle"),
        ("from urllib.request import urlopen", "urllib"),
        ("import os\nos.system('ls')", "os.system"),
        ("from os import system", "os.system"),
        ("def f():\n    import ctypes.util", "ctypes"),
    ],
)
def test_planted_foreign_code(code: str, what: str) -> None:
    assert [w for _, w in suspicious(ast.parse(code))] == [what]


SOURCE_SUFFIXES = {".py", ".pyi", ".cpp", ".h", ".def", ".txt", ".toml", ".cmake", ".yaml", ".json", ""}


def test_sources_are_ascii() -> None:
    bad = []
    for path in tracked():
        if path.suffix in SOURCE_SUFFIXES and path.name != "LICENSE":
            lines = path.read_bytes().splitlines()
            bad += [f"{name(path)}:{number}" for number, line in enumerate(lines, 1) if not line.isascii()]
    assert bad == []


def test_no_generated_files_are_tracked() -> None:
    generated = re.compile(
        r"\.(so|o|a|pyc|pyd|whl|orig|rej|gcda|gcno|profraw|log|tmp|swp)$|(^|/)(build|dist|__pycache__|\.asv|html|results)/"
        r"|\.egg-info/|(^|/)(compile_commands\.json|CMakeCache\.txt|\.coverage.*|\.DS_Store)$"
    )
    assert [name(p) for p in tracked() if generated.search(name(p))] == []


def test_no_big_files_are_tracked() -> None:
    assert [name(p) for p in tracked() if p.stat().st_size > 500_000] == []


def test_every_public_function_has_a_benchmark() -> None:
    """A small call, which runs: `asv_bench/compare.py` tells whether it is slower than NumPy's."""
    spec = importlib.util.spec_from_file_location("calls", ROOT / "asv_bench" / "benchmarks" / "calls.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = module.calls()
    assert sorted(set(module.public_names()) - set(table)) == []
    with warnings.catch_warnings(action="ignore"):
        for library in (numpy, raptors):
            names = module.operands(library)
            for statement in table.values():
                exec(statement, names)


def test_no_leftovers() -> None:
    """No dead code kept by the preprocessor, no notes to oneself, no paths of somebody's machine."""
    leftover = re.compile(
        r"^\s*#\s*if\s+0\b|\bTO" + r"DO\b|\bFIX" + r"ME\b|\bX" + r"XX\b|/home/\w|/Users/\w|/root\b|^<<<<<<<"
    )
    bad = []
    for path in tracked():
        if path.suffix in SOURCE_SUFFIXES | {".md"} and path != Path(__file__):
            lines = path.read_text(encoding="utf-8").splitlines()
            bad += [f"{name(path)}:{number}" for number, line in enumerate(lines, 1) if leftover.search(line)]
    assert bad == []


# ---- the documents and the scripts


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text("README.md"), re.MULTILINE | re.DOTALL)
    return [
        line
        for block in blocks
        for line in block.splitlines()
        if line.startswith(("python3 -m venv", ".venv/"))
    ]


def test_readme_commands_are_those_of_ci() -> None:
    script = text(".ci/run")
    commands = dict(re.findall(r'^(install_command|test_command)="(.*)"$', script, re.MULTILINE))
    assert [commands["install_command"], commands["test_command"]] == readme_commands()[:2]
    assert '-c "$install_command"' in script
    assert '-c "$test_command"' in script


def test_readme_has_no_blanks_left() -> None:
    assert "@MEASURED@" not in text("README.md")


def test_links_lead_somewhere() -> None:
    broken = []
    for path in tracked():
        if path.suffix == ".md":
            for target in re.findall(
                r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text(encoding="utf-8")
            ):
                if not (path.parent / target).exists():
                    broken.append(f"{name(path)}: {target}")
    assert broken == []


def variables(pattern: str, *paths: Path) -> set[str]:
    return {name for p in paths for name in re.findall(pattern, p.read_text(encoding="utf-8"))}


def test_environment_variables_are_listed_and_documented() -> None:
    package = [*sources(BINDINGS, KERNELS / "frame"), *sorted((ROOT / "raptors").glob("*.py"))]
    read = variables(r"""\w(?:\(|\[)"(RAPTORS_[A-Z_]+)\"""", *package)
    assert read == {*_environment.KNOWN}
    rows = re.findall(r"^\| (`RAPTORS_.*?) \|", text("docs/dispatch.md"), re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"\w+", row)] == [*_environment.KNOWN]
    read = {
        *variables(r"""environ\S*[([]"(RAPTORS_[A-Z_]+)\"""", *(ROOT / "tests").glob("*.py")),
        *variables(r"""\w\("(RAPTORS_[A-Z_]+)\"""", *(ROOT / "tests" / "cpp").glob("*.cpp")),
        *variables(r"[$]{?(RAPTORS_[A-Z_]+)", *(ROOT / ".ci").iterdir()),
    }
    assert read - {*_environment.KNOWN} == {*_environment.TESTS}
    assert [name for name in _environment.TESTS if name not in text("CONTRIBUTING.md")] == []


def test_glossary_names_files_that_exist() -> None:
    """And in which the term occurs; the terms are in order."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([^`]+)` \|$", text("docs/glossary.md"), re.MULTILINE)
    assert len(rows) > 20
    assert [term for term, _ in rows] == sorted(term for term, _ in rows)
    wrong = [
        (term, path)
        for term, path in rows
        if (file := included(path)) is None
        or term.split(" ")[0].strip(",s") not in path + file.read_text(encoding="utf-8").lower()
    ]
    assert wrong == []


@pytest.mark.parametrize("script", ["run", "nightly", "coverage", "tidy", "bench-smoke"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / ".ci" / script
    assert os.access(path, os.X_OK)
    if path.read_text().startswith("#!/usr/bin/env bash"):
        assert "set -euo pipefail" in path.read_text()
        subprocess.run(["bash", "-n", path], check=True)
    else:
        ast.parse(path.read_text())
