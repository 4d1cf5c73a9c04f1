"""How threadpoolctl finds raptors' threads and its copy of OpenBLAS, and limits them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from raptors import _raptors_core as _core
from raptors._version import __version__

__all__ = ["register"]


def register(threadpoolctl: ModuleType) -> None:
    """Give threadpoolctl a controller of this process's raptors."""
    base: Any = getattr(threadpoolctl, "LibController", None)
    if base is None:  # older than 3.2
        return

    class RaptorsController(base):  # type: ignore[misc]
        """The number of threads of contexts that have not chosen their own."""

        user_api = "raptors"
        internal_api = "raptors"
        filename_prefixes = ("_raptors_core",)
        check_symbols = ("PyInit__raptors_core",)

        def set_additional_attributes(self) -> None:
            # Whoever looks for libraries is to find OpenBLAS, too, whose threads would be nobody's otherwise
            # if the first product came later. What is loaded has been listed by now.
            if not _core._blas_info(1)["loaded"] and _core._load_blas():
                add = getattr(getattr(self, "parent", None), "_make_controller_from_path", None)
                if add is not None:  # otherwise the next one who looks finds it
                    add(_core._blas_info(1)["filepath"])

        def get_num_threads(self) -> int:
            return _core._process_limit()

        def set_num_threads(self, num_threads: int) -> None:
            _core._set_process_limit(num_threads)

        def get_version(self) -> str:
            return __version__

    threadpoolctl.register(RaptorsController)
