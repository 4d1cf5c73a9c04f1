"""The build backend: scikit-build-core's, which asks for OpenBLAS where it is to be had.

A requirement in pyproject.toml would end the build where it is not: none there is optional.
"""

from __future__ import annotations

import openblas
from scikit_build_core import build
from scikit_build_core.build import *  # noqa: F403 - the other hooks


def get_requires_for_build_wheel(config_settings: dict[str, str | list[str]] | None = None) -> list[str]:
    return [*build.get_requires_for_build_wheel(config_settings), *openblas.requirements(config_settings)]


def get_requires_for_build_editable(config_settings: dict[str, str | list[str]] | None = None) -> list[str]:
    return [*build.get_requires_for_build_editable(config_settings), *openblas.requirements(config_settings)]
