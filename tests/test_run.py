"""``raptors run`` and ``raptors info``: who gets raptors, and that all else is as with plain python."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest

import raptors as raptors_module
from raptors import _compare

LIBRARY = """
import importlib
import numpy
names = [numpy.__name__, importlib.import_module("numpy.linalg").__name__]
def run(code, scope):
    exec(code, scope)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to work in, next to an installed library."""
    packages = tmp_path / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed.py").write_text(LIBRARY)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def python(folder: Path, *words: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run python in `folder`, which has no raptors of its own."""
    packages = str(folder.parent / "lib" / "site-packages")
    path = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **settings}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def raptors(folder: Path, *words: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "raptors", *words, stdin=stdin, **settings)


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def write(folder: Path, name: str, source: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(textwrap.dedent(source))
    return name


# Who gets raptors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy; print(numpy.__name__)", "raptors"),
        ("import numpy as np; print(np.__name__)", "raptors"),
        ("import numpy.linalg; print(numpy.__name__, numpy.linalg.__name__)", "raptors raptors.linalg"),
        ("import numpy.linalg as la; print(la.__name__)", "raptors.linalg"),
        ("from numpy import linalg, zeros; print(linalg.__name__, zeros(1))", "raptors.linalg [0.]"),
        ("from numpy import *; import numpy as np; print(ones is np.ones, ones(1))", "True [1.]"),
        ("from numpy.linalg import norm; import numpy.linalg as la; print(norm is la.norm)", "True"),
        ("import importlib; print(importlib.import_module('numpy').__name__)", "raptors"),
        ("print(__import__('numpy').__name__)", "raptors"),
        ("def f():\n  import numpy\n  return numpy.__name__\nprint(f())", "raptors"),
        ("d = {}; exec('import numpy', d); print(d['numpy'].__name__)", "raptors"),
        ("d = {'__name__': '__main__'}; exec('import numpy', d); print(d['numpy'].__name__)", "raptors"),
        ("import sys, numpy; print(sys.modules['numpy'].__name__)", "numpy"),
        ("import installed; print(*installed.names)", "numpy numpy.linalg"),
        ("import installed as i; d = {}; i.run('import numpy', d); print(d['numpy'].__name__)", "numpy"),
        ("import numpy.lib.format as f; print(f.MAGIC_LEN)", "8"),
        ("import numpy.polynomial.polynomial as p; print(p.polyval(2, [1, 2]))", "5.0"),
        ("from numpy.lib import stride_tricks; print(stride_tricks.as_strided.__name__)", "as_strided"),
        ("import numpy._core as c; print(c.__name__)", "numpy._core"),
    ],
)
def test_program_gets_raptors(folder: Path, source: str, names: str) -> None:
    name = write(folder, "program.py", source)
    assert output(raptors(folder, "run", name)).strip() == names


@pytest.mark.parametrize("words", [["-c", "import numpy; print(numpy.__name__)"], ["-"], ["-m", "program"]])
def test_program_of_any_kind_gets_raptors(folder: Path, words: Sequence[str]) -> None:
    source = "import numpy; print(numpy.__name__)"
    write(folder, "program.py", source)
    assert output(raptors(folder, "run", *words, stdin=source)) == "raptors\n"


def test_program_is_all_of_the_users_files(folder: Path) -> None:
    write(folder, "helper.py", "import numpy as np")
    write(folder, "package/__init__.py", "from numpy import linalg")
    write(folder, "package/part.py", "import numpy\nfrom . import linalg")
    write(folder, ".venv/lib/python3/site-packages/local.py", "import numpy as np")
    name = write(
        folder,
        "program.py",
        """
        import sys
        import helper, package.part as part
        sys.path.append(".venv/lib/python3/site-packages")
        import local
        print(helper.np.__name__, part.numpy.__name__, part.linalg.__name__, local.np.__name__)
        """,
    )
    assert output(raptors(folder, "run", name)).split() == ["raptors", "raptors", "raptors.linalg", "numpy"]


def test_real_library_keeps_numpy(folder: Path) -> None:
    pytest.importorskip("scipy")
    source = """
        import numpy as np
        import scipy.linalg._misc as library
        x = library.norm(np.full(4, 0.75))
        print(np.__name__, library.np.__name__, x)
    """
    name = write(folder, "program.py", source)
    assert output(raptors(folder, "run", name)) == "raptors numpy 1.5\n"


def test_raptors_itself_keeps_numpy(folder: Path) -> None:
    source = "import numpy, sys; print(numpy.zeros(2) + 1, sys.modules['numpy'].__file__ != numpy.__file__)"
    assert output(raptors(folder, "run", "-c", source)) == "[1. 1.] True\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_follows(folder: Path, method: str) -> None:
    name = write(
        folder,
        "program.py",
        """
        import multiprocessing, sys
        import numpy as np
        import installed
        class Task:
            def __call__(self):
                import numpy
                return np.__name__, numpy.__name__, *installed.names
        def work(task):
            return task()
        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                print(*pool.apply(work, [Task()]))
        """,
    )
    printed = raptors(folder, "run", name, method).stdout
    assert printed == "raptors raptors numpy numpy.linalg\n"


# As with plain python ---------------------------------------------------------------------------

SHOW = "import sys; print(sys.argv, sys.path[0], __name__, __spec__, __package__, sorted(globals()))"


@pytest.mark.parametrize(
    "words",
    [
        ["-c", SHOW, "a", "--report", "-h"],
        ["show.py", "a", "--compare", "-c", "x"],
        ["./sub/../show.py"],
        ["sub/link.py"],
        ["zipped", "a"],
        ["-m", "shown", "-m", "a"],
        ["-m", "absent"],
        ["-m", "package"],
        ["-c", "import sys; sys.exit(3)"],
        ["-c", "import sys; sys.exit('a message')"],
        ["-c", "import sys; sys.exit()"],
        ["-c", "import os; os._exit(7)"],
        ["-c", "raise KeyboardInterrupt"],
        ["-c", "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"],
        ["-c", "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)"],
        ["-c", "import sys; sys.excepthook = lambda *a: print('hook', a[2].tb_lineno)\n1/0"],
        ["-c", "a b"],
        ["-c", "import atexit; atexit.register(print, 1); atexit.register(print, 2)"],
        ["-c", "import threading; t = threading.Thread(target=lambda: 1/0, name='t'); t.start(); t.join()"],
        ["-c", "class A: pass\nimport pickle; print(type(pickle.loads(pickle.dumps(A()))) is A)"],
        ["-c", "import sys; print(sys.modules['__main__'].__dict__ is globals(), __builtins__)"],
        ["-c", "print(input(), input())"],
        ["-c", "from numpy import absent"],
        ["-c", "import numpy.absent"],
        ["-c", "__import__(1)"],
        ["syntax.py"],
        ["chained.py"],
        ["broken.py"],
        ["printed.py"],
        ["warns.py"],
        ["-c", "import warns"],
    ],
)
def test_as_with_python(folder: Path, words: Sequence[str]) -> None:
    write(folder, "show.py", SHOW + "\nprint(__file__, __loader__.__class__)")
    write(folder, "shown.py", SHOW.replace("__spec__", "__spec__.name") + "; print(__file__)")
    write(folder, "zipped/__main__.py", "import sys; print(sys.argv, sys.path[0], __file__, __package__)")
    write(folder, "package/__init__.py", "")
    (folder / "sub").mkdir()
    (folder / "sub" / "link.py").symlink_to("../show.py")
    write(folder, "syntax.py", "x = 1\ny = = 2\n")
    write(
        folder,
        "chained.py",
        "def f():\n  1/0\ntry:\n  f()\nexcept Exception as e:\n  raise KeyError from e\n",
    )
    write(folder, "inner.py", "def f():\n    import absent\nf()\n")
    write(folder, "broken.py", "import inner\n")
    write(
        folder,
        "printed.py",
        "import traceback\ntry:\n  import inner\nexcept Exception:\n  traceback.print_exc()\n",
    )
    write(folder, "old.py", "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n")
    write(folder, "warns.py", "import warnings\nimport old\nwarnings.warn('mine')\n")
    plain = python(folder, *words, stdin="first\nsecond\n")
    swapped = raptors(folder, "run", *words, stdin="first\nsecond\n")
    assert swapped.stderr == plain.stderr
    assert swapped.stdout == plain.stdout
    assert swapped.returncode == plain.returncode


def test_module_traceback_has_only_the_users_frames(folder: Path) -> None:
    write(folder, "program.py", "def f():\n    1 / 0\nf()\n")
    done = raptors(folder, "run", "-m", "program")
    files = [line.split('"')[1] for line in done.stderr.splitlines() if line.startswith("  File")]
    assert files == [str(folder / "program.py")] * 2
    assert done.returncode == 1


def test_interrupted_program_dies_by_the_signal(folder: Path) -> None:
    assert raptors(folder, "run", "-c", "raise KeyboardInterrupt").returncode == -signal.SIGINT


def test_program_from_standard_input(folder: Path) -> None:
    done = raptors(folder, "run", "-", "a", stdin=SHOW + "\n1/0\n")
    assert done.stdout.startswith("['-', 'a']  __main__")
    assert done.stderr == python(folder, "-", stdin=SHOW + "\n1/0\n").stderr


def test_safe_path_is_respected(folder: Path) -> None:
    write(folder, "show.py", "import sys; print(sys.path[0] == sys.argv[1])")
    done = python(folder, "-P", "-m", "raptors", "run", "show.py", str(folder))
    assert output(done) == "False\n"


def test_console_script(folder: Path) -> None:
    script = shutil.which("raptors", path=sysconfig.get_path("scripts"))
    if script is None:
        pytest.skip("raptors is not installed with its script")
    write(folder, "show.py", "import sys, numpy; print(numpy.__name__, sys.argv, sys.path[0]); 1/0")
    done = subprocess.run(
        [script, "run", "show.py", "a"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == f"raptors ['show.py', 'a'] {folder}\n"
    assert done.stderr.count("File") == 1
    assert done.returncode == 1


def test_report_comes_last_and_on_standard_error(folder: Path) -> None:
    source = """
        import atexit, sys
        import numpy as np
        atexit.register(lambda: print("the end", file=sys.stderr))
        np.ones(3) + 1
        sys.exit(4)
    """
    name = write(folder, "program.py", source)
    done = raptors(folder, "run", "--report", name)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("the end\n")
    assert len(done.stderr.splitlines()) > 1


# --compare --------------------------------------------------------------------------------------


def compare(folder: Path, source: str, *words: str, stdin: str = "", options: Sequence[str] = ()):  # type: ignore[no-untyped-def]
    name = write(folder, "program.py", source)
    return raptors(folder, "run", "--compare", "--rounds", "2", *options, name, *words, stdin=stdin)


def test_compare_agreement(folder: Path) -> None:
    source = """
        import sys
        import numpy as np
        print(sys.argv[1:], sys.stdin.read())
        print(np.arange(5.0).sum(), np.linspace(0, 1, 4))
    """
    done = compare(folder, source, "--rounds", "x", stdin="given to every run\n")
    assert "stdout       agree: 3 lines" in output(done)
    assert "exit status  0 under both" in done.stdout
    assert "relative tolerance 1e-06" in done.stdout
    for row in ("the program's own run, minimum", "the program's own run, median", "whole process, median"):
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(row))
        numpys, ours, ratio = map(float, line.removeprefix(row).split())
        assert ratio == pytest.approx(numpys / ours, rel=0.5, abs=0.01)
    assert "native calls" in done.stdout


def test_compare_tells_the_two_apart(folder: Path) -> None:
    done = compare(folder, "import numpy as np\nprint('same')\nprint(np.__name__)\n")
    assert done.returncode == 1
    assert "stdout       DIFFERENT at line 2: the text differs" in done.stdout
    assert "NumPy:   numpy\n" in done.stdout
    assert "raptors: raptors\n" in done.stdout


def test_compare_runs_numpy_without_raptors(folder: Path) -> None:
    done = compare(folder, "import sys\nprint('raptors' in sys.modules)\n")
    assert "NumPy:   False\n" in done.stdout
    assert "raptors: True\n" in done.stdout


@pytest.mark.parametrize(
    ("ending", "reported"),
    [
        ("sys.exit(np.__name__ == 'raptors')", "exit status  DIFFERENT: NumPy 0, raptors 1"),
        ("sys.stderr.write(np.__name__)", "stderr       DIFFERENT at line 1"),
        ("print(1.0 + 1e-3 * (np.__name__ == 'raptors'))", "1.0 and 1.001 differ by 0.001 of their size"),
        ("print(7 + (np.__name__ == 'raptors'))", "the whole numbers 7 and 8 differ"),
        ("print(1); np.__name__ == 'raptors' and print(2)", "the line is missing"),
    ],
)
def test_compare_disagreement(folder: Path, ending: str, reported: str) -> None:
    done = compare(folder, f"import sys\nimport numpy as np\n{ending}\n")
    assert done.returncode == 1
    assert reported in done.stdout


def test_compare_tolerance(folder: Path) -> None:
    source = "import numpy as np\nprint(1.0 + 1e-4 * (np.__name__ == 'raptors'))\n"
    assert compare(folder, source).returncode == 1
    assert compare(folder, source, options=["--rtol", "1e-3"]).returncode == 0
    assert compare(folder, source, options=["--atol=1e-3"]).returncode == 0


def test_compare_equal_failure(folder: Path) -> None:
    done = compare(folder, "import numpy as np\nnp.ones(2) + np.ones(3)\n")
    assert "exit status  1 under both" in output(done)
    assert "stderr       agree" in done.stdout


def test_compare_abrupt_end(folder: Path) -> None:
    done = compare(folder, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert "exit status  signal 9 under both" in output(done)
    assert "not measured" in done.stdout


def test_compare_leaves_out_what_changes_by_itself(folder: Path) -> None:
    done = compare(folder, "import os\nprint('pid', os.getpid())\nprint('same')\n")
    assert "agree: 1 lines" in output(done)
    assert "1 left out" in done.stdout
    assert compare(folder, "import os\nprint(os.getpid())\n").returncode == 1


def test_compare_survives_a_program_that_closes_descriptors(folder: Path) -> None:
    source = "import os\nos.closerange(3, 64)\nopen('left.txt', 'w').close()\nf = open('mine.txt', 'w')\n"
    assert "not measured" in output(compare(folder, source))
    assert (folder / "mine.txt").read_text() == ""


def test_compare_modules_and_code(folder: Path) -> None:
    write(folder, "helper.py", "import numpy as np\nprint(np.ones(2))")
    for words in (["-m", "helper"], ["-c", "import helper"]):
        assert "agree: 1 lines" in output(raptors(folder, "run", "--compare", "--rounds=1", *words))


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        ("a 1.0 b", "a 1.0000000001 b", True),
        ("a 1.0", "b 1.0", False),
        ("1.0", "1.01", False),
        ("[1. 2.]", "[1.         2.00000001]", True),
        ("3", "3.0000000001", True),
        ("3", "4", False),
        ("007", "7", True),
        ("float64", "float32", False),
        ("x1 = 5.", "x2 = 5.", False),
        ("1e-300", "1.0000001e-300", True),
        ("-1.5", "1.5", False),
        ("2-1.5", "2+1.5", False),
        ("1+2.0j", "1+2.00000001j", True),
        ("nan", "nan", True),
        ("nan", "1.0", False),
        ("inf", "-inf", False),
        ("0.0", "-0.0", True),
        ("0.0", "1e-18", False),
        ("numpy 2.4.6", "numpy 2.4.7", False),
        ("1,5;2", "1,5;2", True),
        ("a\nb", "a", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_compare_outputs(first: str, second: str, agree: bool) -> None:
    assert _compare.compare_outputs(first, second).agree is agree
    assert _compare.compare_outputs(second, first).agree is agree


def test_compare_outputs_counts() -> None:
    outcome = _compare.compare_outputs("1 2.0\n3.0 x", "1 2.0\n3.0000003 x")
    assert (outcome.lines, outcome.numbers, outcome.inexact) == (2, 3, 1)
    assert outcome.largest == pytest.approx(1e-7)


# The command line itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: command"),
        (["walk"], "invalid choice"),
        (["run"], "what to run is missing"),
        (["run", "--report"], "what to run is missing"),
        (["run", "-m"], "argument expected for the -m option"),
        (["run", "--compare", "-c"], "argument expected for the -c option"),
        (["run", "--wrong", "x.py"], "unrecognized arguments: --wrong"),
        (["run", "--rounds", "3", "x.py"], "--rounds needs --compare"),
        (["run", "--rtol", "1e-3", "x.py"], "--rtol needs --compare"),
        (["run", "--compare", "--rounds", "0", "x.py"], "invalid number of rounds"),
        (["run", "--compare", "--rtol", "-1", "x.py"], "tolerance"),
        (["run", "--compare", "absent.py"], "there is no file 'absent.py'"),
        (["run", "absent.py"], "can't open file"),
        (["info", "--wrong"], "unrecognized arguments: --wrong"),
    ],
)
def test_usage_errors(folder: Path, words: Sequence[str], message: str) -> None:
    done = raptors(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_options_end_with_two_hyphens(folder: Path) -> None:
    write(folder, "-odd.py", "import sys; print(sys.argv)")
    assert output(raptors(folder, "run", "--", "-odd.py", "--", "a")) == "['-odd.py', '--', 'a']\n"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["info", "--help"]])
def test_help(folder: Path, words: Sequence[str]) -> None:
    assert output(raptors(folder, *words)).startswith("usage: raptors")


def test_version(folder: Path) -> None:
    from raptors._version import __version__

    assert output(raptors(folder, "--version")) == f"raptors {__version__}\n"


def bare(**settings: str) -> dict[str, str]:
    """No variable of raptors but these, whatever the suite runs with."""
    return {**{name: "" for name in os.environ if name.startswith("RAPTORS_")}, **settings}


TITLES = (
    *("raptors", "NumPy", "Python", "system", "processor", "instruction set", "threads for a call", "BLAS"),
    *("matrix products by", "memory of arrays", "kept for new arrays", "figures for choices"),
    *("environment", "problems"),
)


def screen(text: str) -> dict[str, list[str]]:
    """The values by title; lines without a title belong to the one before."""
    shown: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        title = line[:20].rstrip() or title
        shown.setdefault(title, []).append(line[21:])
    return shown


def test_info_is_one_screen(folder: Path) -> None:
    text = output(raptors(folder, "info", **bare(RAPTORS_NUM_THREADS="1", RAPTORS_CACHE_MAX_BYTES="2GiB")))
    assert len(text.splitlines()) <= 24
    shown = screen(text)
    assert tuple(shown) == TITLES
    from raptors._version import __version__

    assert shown["raptors"] == [__version__]
    assert shown["NumPy"] == [numpy.__version__]
    assert shown["threads for a call"] == ["1"]
    assert shown["kept for new arrays"][0].endswith("of at most 2.0 GiB")
    assert "RAPTORS_NUM_THREADS=1" in shown["environment"]


def test_info_tells_problems(folder: Path) -> None:
    write(folder, "file", "")
    wrong = {"DISABLE": "1", "SIMD": "scalar", "ODD": "", "BLAS": "absent", "TUNING_DIR": "file/x"}
    done = raptors(folder, "info", **bare(**{f"RAPTORS_{name}": value for name, value in wrong.items()}))
    problems = "\n".join(screen(done.stdout)["problems"])
    for word in ("RAPTORS_DISABLE", "is scalar", "not know: RAPTORS_ODD", "no BLAS: absent", "file/x"):
        assert word in problems
    assert len(done.stdout.splitlines()) <= 24
    many = bare(**{f"RAPTORS_ODD{i}": "x" * 1000 for i in range(50)})
    lines = raptors(folder, "info", **many).stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) < 250


def test_info_all(folder: Path) -> None:
    """The screen, then the rest, which has what the dicts of the library have."""
    text = output(raptors(folder, "info", "--all"))
    screen_of, rest = text.split("\n\n")
    assert tuple(screen(screen_of)) == TITLES
    titles = {line.split("  ")[0] for line in rest.splitlines()}
    assert titles >= {key.replace("_", " ") for key in raptors_module.runtime_info()}
    assert titles >= {"build", "numpy build"}


def test_info_json(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = output(raptors(folder, "info", "--json", RAPTORS_NUM_THREADS="1"))
    shown = json.loads(text, parse_constant=refuse)
    assert shown["blas"]["zero_copy_share"] is None
    assert shown["build"] == raptors_module.build_info()
    assert shown["numpy_build"] == numpy.show_config(mode="dicts")
    assert shown["python"] == platform.python_version()
    assert shown["environment"]["RAPTORS_NUM_THREADS"] == "1"
    assert shown["isa"] in shown["available_isas"]
    assert shown["threads"] >= 1
