"""The harness for other projects' tests: how it copies and rewrites a package, and one small suite."""

from __future__ import annotations

from pathlib import Path

import foreign_suites
import pytest
import suites
from foreign import need
from foreign_suites import SUITES, Suite
from foreign_suites_excused import EXCUSED

SOURCE = """\
import pytest
np = pytest.importorskip("numpy")
ma = pytest.importorskip('numpy.ma', reason="numpy")
testing = importlib.import_module("numpy.testing")
pytest.importorskip("pandas")
from . import helpers
from made.tests.helpers import numpy
"""

EXPECTED = """\
import pytest
np = pytest.importorskip("raptors")
ma = pytest.importorskip("raptors.ma", reason="numpy")
testing = importlib.import_module("numpy.testing")
pytest.importorskip("pandas")
from . import helpers
from made.tests.helpers import numpy
"""

#: A package whose function raptors' arrays pass by; its conftest and a helper make arrays, too.
MADE = {
    "made/__init__.py": "import numpy as np\ndef exact(x): return type(x) is np.ndarray\n",
    "made/conftest.py": "import numpy, pytest\n@pytest.fixture\ndef x(): return numpy.ones(3)\n",
    "made/tests/__init__.py": "",
    "made/tests/data.txt": "1 2",
    "made/tests/helpers.py": "from numpy import zeros\n",
    "made/tests/test_made.py": """\
import pathlib
import numpy as np, pytest
from made import exact
from .helpers import zeros
from made.tests import helpers
def test_class(x): assert exact(x)
def test_helper(): assert exact(zeros(3))
@pytest.mark.parametrize("f", [np.sin])
def test_data(f): f(np.loadtxt(pathlib.Path(__file__).with_name("data.txt")))
def test_own_class(x): assert type(x) is type(zeros(3)) is np.ndarray and helpers.zeros is zeros
@pytest.mark.slow
def test_slow(): assert False
""",
}


LINKED = ("made/__init__.py", "made/tests/data.txt")


def make(folder: Path) -> Path:
    for name, text in MADE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "made"


def test_imports_by_name_are_rewritten() -> None:
    assert suites.rewrite(SOURCE, "raptors", suites.raptors_module) == (EXPECTED, 2)


def test_only_tests_are_rewritten(tmp_path: Path) -> None:
    package = make(tmp_path / "installed")
    assert foreign_suites.copy_package(package, tmp_path / "copy", "raptors") == 3
    assert foreign_suites.copy_package(package, tmp_path / "plain", "numpy") == 0
    for name, text in MADE.items():
        copy, plain = tmp_path / "copy" / name, tmp_path / "plain" / name
        assert plain.read_text() == text
        assert ("raptors" in copy.read_text()) == ("numpy" in text and name != "made/__init__.py")
        assert (
            copy.is_symlink() == plain.is_symlink() == (name in ("made/__init__.py", "made/tests/data.txt"))
        )


def test_a_made_up_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make(tmp_path / "installed")
    monkeypatch.setitem(SUITES, "made", Suite("numpy", ["tests/test_*.py"], share=80))
    monkeypatch.setattr(foreign_suites, "package_folder", lambda name: package)
    arguments = ["--suite", "made", "--quiet", "--baseline", str(tmp_path / "baseline.json")]
    excuses = {
        "made/tests/test_made.py::test_class": "exact",
        "made/tests/test_made.py::test_helper": "exact",
    }
    monkeypatch.setattr(foreign_suites, "EXCUSED", excuses)
    fine, report = foreign_suites.judge(arguments)
    assert not fine
    assert "less than 80 %" in report
    assert "of 4 tests" in report
    monkeypatch.setitem(SUITES, "made", Suite("numpy", ["tests/test_*.py"], share=50))
    fine, report = foreign_suites.judge(arguments)
    assert fine, report
    assert "numpy 0" in report  # its results were kept
    monkeypatch.setattr(foreign_suites, "EXCUSED", {})
    fine, report = foreign_suites.judge(arguments)
    assert not fine
    assert "failed test_class: AssertionError" in report
    assert "failures: 2" in report
    _, report = foreign_suites.judge([*arguments, "--sample", "3"])
    assert "of 3 tests" in report


def test_missing_suites_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_suites, "package_folder", lambda name: None)
    assert foreign_suites.judge(["--suite", "pandas"]) == (True, "==== pandas: not installed")


def test_excuses_name_suites_and_reasons() -> None:
    for excuse, reason in EXCUSED.items():
        assert excuse.split("/")[0] in SUITES
        assert "::" in excuse
        assert len(reason) > 20


def test_quick_part() -> None:
    need("xarray")
    fine, report = foreign_suites.judge(["--suite", "xarray", "--files", "nputils|ufuncs", "--quiet"])
    assert fine, report
