"""How the package is built and what it says of itself: OpenBLAS where it is to be had, metadata."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import raptors

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "cmake"
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/raptors-array/raptors"

wheels = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="nobody looks for it on this system",
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


openblas = load("openblas")


# ---- whether OpenBLAS is asked for ---------------------------------------------------------------


def offer(folder: Path, version: str) -> None:
    """An index with one version, which nobody installs."""
    folder = folder / "scipy-openblas64"
    folder.mkdir()
    name = f"scipy_openblas64-{version}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        metadata = f"Metadata-Version: 2.1\nName: scipy-openblas64\nVersion: {version}\n"
        wheel.writestr(f"{name}.dist-info/METADATA", metadata)
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name}-py3-none-any.whl">{name}-py3-none-any.whl</a>')


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only index that pip knows; it has nothing."""
    pytest.importorskip("pip")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", tmp_path.as_uri())
    return tmp_path


@wheels
class TestRequirement:
    def test_where_the_index_has_it(self, index: Path) -> None:
        offer(index, "0.3.99.1.2")
        assert openblas.requirements(None) == [openblas.REQUIREMENT]

    def test_where_it_has_not(self, index: Path) -> None:
        assert openblas.requirements({}) == []

    def test_where_it_is_too_old(self, index: Path) -> None:
        offer(index, "0.3.33.111")
        assert openblas.requirements(None) == []

    def test_where_a_constraint_forbids_it(self, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        offer(index, "0.3.99.1.2")
        (index / "constraints.txt").write_text("scipy-openblas64 < 0\n")
        monkeypatch.setenv("PIP_CONSTRAINT", str(index / "constraints.txt"))
        assert openblas.requirements(None) == []

    def test_where_there_is_no_index(self, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        assert openblas.requirements(None) == []

    @pytest.mark.parametrize(
        ("value", "wanted"), [("OFF", False), ("off", False), ("0", False), ("ON", True)]
    )
    def test_a_setting_decides(self, monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool) -> None:
        monkeypatch.setattr(subprocess, "run", lambda *args, **options: pytest.fail("asked the index"))
        assert openblas.requirements({openblas.OPTION: value}) == [openblas.REQUIREMENT] * wanted


def test_other_systems_ask_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: pytest.fail("asked the index"))
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert openblas.requirements(None) == []


@pytest.mark.parametrize("version", ["0.3.33.111", "0.3.9.200", "0.3.33.112", "0.3.34.481.3", "1.0"])
def test_what_is_found_must_be_new_enough(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wheel:
        files = ("lib/libscipy_openblas64_.so", "LICENSE.txt")

        def __init__(self, name: str) -> None:
            self.version = version

        def locate_file(self, file: str) -> str:
            return f"/packages/{file}"

    monkeypatch.setattr(importlib.metadata, "distribution", Wheel)
    new = version in ("0.3.33.112", "0.3.34.481.3", "1.0")
    assert openblas.find().split(";")[0] == version * new


def test_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend asks for what scikit-build-core asks for, and for OpenBLAS."""
    build = pytest.importorskip("scikit_build_core.build")
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(ROOT)
    backend = load("raptors_build")

    def settings(value: str) -> Mapping[str, str]:
        return {openblas.OPTION: value}

    for hook in ("get_requires_for_build_wheel", "get_requires_for_build_editable"):
        asked, theirs = getattr(backend, hook), getattr(build, hook)
        assert asked(settings("ON")) == [*theirs(settings("ON")), openblas.REQUIREMENT]
        assert asked(settings("OFF")) == theirs(settings("OFF"))
    for hook in build.__all__:
        assert callable(getattr(backend, hook))
    assert backend.get_requires_for_build_sdist is build.get_requires_for_build_sdist


# ---- what the package says of itself -------------------------------------------------------------


def test_metadata() -> None:
    metadata = importlib.metadata.metadata("raptors-array")
    assert metadata["License-Expression"] == "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1"
    assert metadata["Author"] == "The raptors developers"
    assert "numpy" in metadata["Keywords"].split(",")
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL"))
    assert {*urls} >= {"Homepage", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith(REPOSITORY) for url in urls.values())
    assert metadata["Version"] == raptors.__raptors_version__
    assert metadata["Description"] == README


def test_readme_can_be_read_elsewhere() -> None:
    """A package index shows it without the files beside it."""
    assert re.findall(r"\]\((?!https://)", README) == []
    targets = dict(re.findall(r"^\[(.+)\]: (.+)$", README, re.MULTILINE))
    assert [name for name in targets if f"[{name}]" not in README.replace(f"[{name}]: ", "")] == []
    for target in targets.values():
        path = target.removeprefix(f"{REPOSITORY}/blob/main/").removeprefix(f"{REPOSITORY}/tree/main/")
        assert (ROOT / path).exists()
