"""Callbacks for when a module is imported."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import itertools
import sys
import threading
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raptors._hooks import _waiting, when_imported

_numbers = itertools.count()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module of this source that nobody has imported, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(source: str = "value = 1") -> str:
        name = f"hooked_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_runs_after_the_import(make: Callable[[str], str]) -> None:
    name, seen = make("value = 1"), []
    when_imported(name, lambda module: seen.append((module.value, sys.modules[name] is module)))
    when_imported(name, lambda module: setattr(module, "value", 2))
    assert seen == []
    assert importlib.import_module(name).value == 2
    importlib.import_module(name)
    assert seen == [(1, True)]


def test_runs_at_once_where_the_module_is_there(make: Callable[[str], str]) -> None:
    name, seen = make("value = 1"), []
    module = importlib.import_module(name)
    when_imported(name, seen.append)
    assert seen == [module]


def test_module_looks_as_without_hook(make: Callable[[str], str]) -> None:
    name = make("def f(): pass\nloader = __loader__, __spec__.loader")
    when_imported(name, lambda module: None)
    module = importlib.import_module(name)
    assert type(module.__loader__) is importlib.machinery.SourceFileLoader
    assert module.loader == (module.__loader__, module.__loader__) == (module.__spec__.loader,) * 2
    assert "exec_module" not in vars(module.__loader__)
    assert inspect.getsource(module.f) == "def f(): pass\n"


def test_who_only_looks_for_the_module_finds_its_loader(make: Callable[[str], str]) -> None:
    name, seen = make("value = 1"), []
    when_imported(name, seen.append)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_filename(name) == spec.origin  # type: ignore[attr-defined]
    assert seen == []
    module = importlib.import_module(name)
    assert seen == [module]


def test_lazy_loader(make: Callable[[str], str]) -> None:
    name, seen = make("value = 1"), []
    when_imported(name, seen.append)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert seen == []
    assert module.value == 1
    assert seen == [module]


def test_shared_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One loader loads all of a zip file, and one class all builtin modules."""
    seen: list[types.ModuleType] = []
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("hooked_in_zip.py", "value = 1")
        archive.writestr("other_in_zip.py", "value = 2")
    monkeypatch.syspath_prepend(tmp_path / "all.zip")
    for name in ("hooked_in_zip", "xxsubtype"):
        when_imported(name, seen.append)
    modules = [importlib.import_module(name) for name in ("other_in_zip", "hooked_in_zip", "xxsubtype")]
    assert seen == modules[1:]
    for module in modules:
        del sys.modules[module.__name__]


def test_missing_and_failing_modules(make: Callable[[str], str]) -> None:
    seen: list[types.ModuleType] = []
    when_imported("hooked_and_missing", seen.append)
    with pytest.raises(ModuleNotFoundError, match="No module named 'hooked_and_missing'"):
        importlib.import_module("hooked_and_missing")
    name = make("1 / 0")
    when_imported(name, seen.append)
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(name)
    assert name not in sys.modules
    assert seen == []


def test_module_that_replaces_itself(make: Callable[[str], str]) -> None:
    name, seen = make("import sys\nsys.modules[__name__] = sys"), []
    when_imported(name, seen.append)
    importlib.import_module(name)
    assert seen == [sys]


def test_several_threads(make: Callable[[str], str]) -> None:
    """Some register, some import: every callback runs once, with the whole module."""
    name, seen = make("import time\ntime.sleep(0.05)\nvalue = 1"), []
    barrier = threading.Barrier(8)

    def register() -> None:
        barrier.wait()
        when_imported(name, lambda module: seen.append(module.value))

    def use() -> None:
        barrier.wait()
        importlib.import_module(name)

    threads = [threading.Thread(target=(register, use)[i % 2]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 4
    assert _waiting[name] == []
