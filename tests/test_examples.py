"""The example programs print the same under NumPy and under raptors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raptors import _compare

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SMALL = {
    "heat_equation.py": ["--size", "33", "--steps", "120"],
    "image_filter.py": ["--size", "96"],
    "kmeans.py": ["--size", "600"],
    "nbody.py": ["--steps", "300"],
    "neural_net.py": ["--size", "600", "--steps", "4"],
    "option_pricing.py": ["--size", "1200"],
    "time_series.py": ["--steps", "300", "--size", "12"],
}


def run(*words: str, folder: Path) -> str:
    # -P: raptors is the installed one, wherever the tests are started. Warnings are errors.
    command = [sys.executable, "-P", "-W", "error", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_same_output(name: str, tmp_path: Path) -> None:
    program = [str(EXAMPLES / name), *SMALL[name]]
    numpys = run(*program, folder=tmp_path)
    ours = run("-m", "raptors", "run", *program, folder=tmp_path)
    outcome = _compare.compare_outputs(numpys, ours, rtol=1e-6)
    assert not outcome.differences
    assert outcome.numbers > 5


@pytest.mark.parametrize("name", sorted(SMALL))
def test_describes_itself(name: str, tmp_path: Path) -> None:
    shown = run(str(EXAMPLES / name), "--help", folder=tmp_path)
    first_line = (EXAMPLES / name).read_text().partition("\n")[0].lstrip('"')
    assert " ".join(first_line.split()) in " ".join(shown.split())
