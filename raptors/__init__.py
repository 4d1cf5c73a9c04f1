"""NumPy's drop-in twin: `import raptors as np`.

Every public name of the installed NumPy answers here. Functions with native kernels run them; the others are NumPy's own code on
the same memory, and `raptors.report()` tells which ran. Arrays are `raptors.ndarray`, a subclass of `numpy.ndarray`.
"""

from __future__ import annotations

try:
    from raptors import _raptors_core
except ImportError as error:
    import os as _os
    import sys as _sys

    _here = _os.path.dirname(_os.path.abspath(__file__))
    if _os.path.exists(_os.path.join(_here, "..", "CMakeLists.txt")) and "_raptors_core" in str(error):
        raise ImportError(
            f"this is raptors' source tree ({_here}), which is not compiled in place, and it hides an installed raptors. "
            "Install with `pip install .` and run Python from another directory, or as `python -P`, "
            "or use the commands `raptors` and `pytest`, which do not look into the current directory."
        ) from error
    raise

from raptors._config import (
    available_isas,
    explain_last_dispatch,
    get_simd,
    ops,
    report,
    reset_report,
    show_config,
    show_runtime,
    simd,
)
from raptors._namespace import populate as _populate
from raptors._raptors_core import ndarray
from raptors._version import __version__

_populate(globals())
