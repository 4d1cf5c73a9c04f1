"""The kernels and their C++ tests, built once with the cmake and ninja of the `test` extra."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD_SECONDS = 1800


def tool(name: str) -> str:
    """A program of this environment, else of the path."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is missing: pip install '.[test]'")
    return path


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        pytest.fail(
            f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}", pytrace=False
        )
    return done


@cache
def build(folder: Path) -> Path:
    """Configures and builds kernels and C++ tests; compiles only what changed since the last run."""
    if not (ROOT / "src" / "kernels" / "CMakeLists.txt").is_file():
        pytest.skip("not a source checkout")
    warnings_are_errors = "ON" if os.environ.get("CI") else "OFF"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes of one test run share the folder
        run(
            tool("cmake"),
            *("-S", ROOT, "-B", folder, "-G", "Ninja"),
            f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
            "-DCMAKE_BUILD_TYPE=Release",
            *("-DRAPTORS_PYTHON=OFF", "-DRAPTORS_CPP_TESTS=ON"),
            f"-DRAPTORS_WERROR={warnings_are_errors}",
            timeout=300,
        )
        run(tool("cmake"), "--build", folder, timeout=BUILD_SECONDS)
    return folder


def build_folder(config: pytest.Config) -> Path:
    """RAPTORS_CPP_BUILD, else a folder in pytest's cache, which later runs use again."""
    given = os.environ.get("RAPTORS_CPP_BUILD")
    if given:
        return Path(given).resolve()
    if config.pluginmanager.hasplugin("cacheprovider"):
        return Path(config.cache.mkdir(f"native-{sys.platform}"))  # type: ignore[union-attr]
    pytest.skip("needs pytest's cache, or RAPTORS_CPP_BUILD")
