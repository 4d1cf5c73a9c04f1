# raptors as type checkers see it: NumPy's own types and raptors' functions. No program imports this folder.
from typing import Any

from numpy import *
from numpy import __array_api_version__ as __array_api_version__
from numpy import _CopyMode as _CopyMode
from numpy import _core as _core
from numpy import _NoValue as _NoValue
from numpy import _typing as _typing
from numpy import matlib as matlib
from numpy import version as version

# isort: split
from raptors import memory as memory
from raptors._backend import backend_policy as backend_policy
from raptors._backend import set_backend_policy as set_backend_policy
from raptors._config import build_info as build_info
from raptors._config import calibrate as calibrate
from raptors._config import report as report
from raptors._config import reset_report as reset_report
from raptors._config import runtime_info as runtime_info
from raptors._config import simd as simd
from raptors._threads import set_num_threads as set_num_threads
from raptors._threads import threads as threads

__raptors_version__: str

# As in raptors/_raptors_core.pyi, which pyright does not see beside a stub package.
def available_isas() -> tuple[str, ...]: ...
def explain_last_dispatch() -> dict[str, Any] | None: ...
def get_backend_policy() -> str: ...
def get_num_threads() -> int: ...
def get_simd() -> str: ...
def ops() -> list[dict[str, Any]]: ...
