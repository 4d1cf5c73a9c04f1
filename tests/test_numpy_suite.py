"""NumPy's own tests are the judge of what raptors answers; here a part of them, and the judge itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy_suite
import pytest
from numpy_suite import Outcome
from numpy_suite_excused import EXCUSED, OPEN

SOURCE = '''\
"""import numpy as np"""
import numpy, os
import numpy as np  # import numpy as np
import numpy.random
import numpy.polynomial as poly
import numpy._core.umath as ncu
import numpy._core.include
from numpy import (
    arange,
)
from numpy.lib.stride_tricks import as_strided
from numpy.lib.tests.test_io import TextIO
from numpy.testing import assert_equal
from numpy.ma.core import masked
from numpy.ma.testutils import assert_equal
def f():
    from numpy.linalg import norm; return "from numpy.linalg import norm"
'''

EXPECTED = '''\
"""import numpy as np"""
import raptors as numpy, os
import raptors as np  # import numpy as np
import raptors.random, raptors as numpy
import raptors.polynomial as poly
import numpy._core.umath as ncu
import numpy._core.include, raptors as numpy
from raptors import (
    arange,
)
from raptors.lib.stride_tricks import as_strided
from numpy_tests.lib.tests.test_io import TextIO
from numpy.testing import assert_equal
from raptors.ma.core import masked
from numpy.ma.testutils import assert_equal
def f():
    from raptors.linalg import norm; return "from numpy.linalg import norm"
'''

STRANGE = """\
import os, pytest, time, warnings
def test_first(): pass
@pytest.mark.parametrize("x", [0, 1])
def test_abort(x): os.abort() if x else None
def test_leave(): os._exit(0)
def test_hang(): time.sleep(1000)
def test_fail(): assert "two  words" == 3
def test_warn(): warnings.warn("a warning")
def test_skip(): pytest.skip()
@pytest.mark.xfail
def test_xfail(): assert False
@pytest.mark.slow
def test_slow(): assert False
def test_last(): pass
"""


def test_imports_are_rewritten() -> None:
    assert numpy_suite.rewrite(SOURCE, "raptors") == (EXPECTED, 9)
    plain = SOURCE.replace("from numpy.lib.tests", "from numpy_tests.lib.tests")
    assert numpy_suite.rewrite(SOURCE, "numpy") == (plain, 0)


def test_crashes_and_hangs_cost_one_test_each(tmp_path: Path) -> None:
    package = tmp_path / numpy_suite.PACKAGE
    package.mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "options.ini").write_text(f"{numpy_suite.OPTIONS}markers = slow\n")
    (package / "__init__.py").touch()
    (package / "test_strange.py").write_text(STRANGE)
    results = numpy_suite.run_file(tmp_path, "test_strange.py", "not slow", limit=2)
    assert {name.partition("::")[2]: result.ended for name, result in results.items()} == {
        "test_first": "passed",
        "test_abort[0]": "passed",
        "test_abort[1]": "crashed",
        "test_leave": "crashed",
        "test_hang": "hung",
        "test_fail": "failed",
        "test_warn": "failed",
        "test_skip": "skipped",
        "test_xfail": "xfailed",
        "test_last": "passed",
    }
    reasons = {name.partition("::")[2]: result.reason for name, result in results.items()}
    assert reasons["test_abort[1]"].startswith("SIGABRT: test_strange.py:4 test_abort < ")
    assert reasons["test_leave"].startswith("exit status 0")
    assert reasons["test_hang"].startswith("took too long: test_strange.py:6 test_hang < ")
    assert "test_strange.py:7" in reasons["test_fail"]
    assert reasons["test_warn"] == "UserWarning: a warning (test_strange.py:8)"


def test_verdict() -> None:
    ends = {"a": "passed", "b": "failed", "c": "passed", "d[0]": "passed", "e": "crashed", "f": "passed"}
    numpy = {"x.py": {f"x.py::{name}": Outcome("passed") for name in ends} | {"x.py::g": Outcome("skipped")}}
    raptors = {"x.py": {f"x.py::{name}": Outcome(ended) for name, ended in ends.items() if name != "f"}}
    verdict = numpy_suite.compare(numpy, raptors, {"x.py::b": "why", "x.py::d": "why", "x.py::z*": "why"})
    assert (verdict.numpy_passes, verdict.passes, verdict.count("crashed")) == (6, 3, 1)
    assert sorted(verdict.failures) == ["x.py::e", "x.py::f"]
    assert verdict.failures["x.py::f"].ended == numpy_suite.NOT_RUN
    assert list(verdict.excused) == ["x.py::b"]
    assert verdict.stale == {"x.py::d": "x.py::d[0]"}
    assert not verdict.fine
    assert numpy_suite.compare(numpy, numpy, {}).fine
    verdict = numpy_suite.compare(numpy, raptors, {}, {"x.py::b": "why", "x.py::a": "why"})
    assert list(verdict.known) == ["x.py::b"]
    assert verdict.stale == {"x.py::a": "x.py::a"}


def test_excuses_name_tests_and_reasons() -> None:
    files = set(numpy_suite.suite_files(numpy_suite.numpy_folder()))
    assert not EXCUSED.keys() & OPEN.keys()
    for excuse, reason in (EXCUSED | OPEN).items():
        assert excuse.partition("::")[0] in files
        assert len(reason) > 20
    assert files.issuperset(numpy_suite.QUICK)


@pytest.mark.timeout(1200)
def test_quick_part() -> None:
    jobs = min(len(os.sched_getaffinity(0)), 4)
    verdict = numpy_suite.judge(["--quick", "--quiet", "--jobs", str(jobs)])
    assert verdict.fine, verdict.text()
    assert verdict.passes > 5000
