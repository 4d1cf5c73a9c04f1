"""NumPy's drop-in twin: `import raptors as np`.

Every public name of the installed NumPy answers here. Functions with native kernels run them; the others are
NumPy's own code on the same memory, and `raptors.report()` tells which ran. Arrays are `raptors.ndarray`, a
subclass of `numpy.ndarray`.
"""

from __future__ import annotations

try:
    from raptors import _raptors_core  # noqa: F401 - found, or explained
except ImportError as error:
    import os as _os

    _here = _os.path.dirname(_os.path.abspath(__file__))
    if _os.path.exists(_os.path.join(_here, "..", "CMakeLists.txt")) and "_raptors_core" in str(error):
        raise ImportError(
            f"this is raptors' source tree ({_here}), which is not compiled in place, and it hides an "
            "installed raptors. Install with `pip install .` and run Python from another directory, or as "
            "`python -P`, or use the commands `raptors` and `pytest`, which do not look into the current "
            "directory."
        ) from error
    raise

from numpy import __version__ as __version__  # programs ask it which NumPy they have

from raptors import memory as memory
from raptors._backend import (
    backend_policy as backend_policy,
)
from raptors._backend import (
    get_backend_policy as get_backend_policy,
)
from raptors._backend import (
    set_backend_policy as set_backend_policy,
)
from raptors._config import (
    available_isas as available_isas,
)
from raptors._config import (
    build_info as build_info,
)
from raptors._config import (
    calibrate as calibrate,
)
from raptors._config import (
    explain_last_dispatch as explain_last_dispatch,
)
from raptors._config import (
    get_simd as get_simd,
)
from raptors._config import (
    ops as ops,
)
from raptors._config import (
    report as report,
)
from raptors._config import (
    reset_report as reset_report,
)
from raptors._config import (
    runtime_info as runtime_info,
)
from raptors._config import (
    show_config as show_config,
)
from raptors._config import (
    show_runtime as show_runtime,
)
from raptors._config import (
    simd as simd,
)
from raptors._environment import warn_of_unknown as _warn_of_unknown
from raptors._namespace import populate as _populate
from raptors._raptors_core import ndarray as ndarray
from raptors._threads import (
    get_num_threads as get_num_threads,
)
from raptors._threads import (
    set_num_threads as set_num_threads,
)
from raptors._threads import (
    threads as threads,
)
from raptors._version import __version__ as __raptors_version__  # noqa: F401

_warn_of_unknown()
_populate(globals())
