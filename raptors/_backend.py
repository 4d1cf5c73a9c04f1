"""Who multiplies matrices: raptors' kernels or the BLAS library."""

from __future__ import annotations

from raptors import _raptors_core as _core
from raptors._context import Choice

get_backend_policy = _core.get_backend_policy


def set_backend_policy(policy: str) -> None:
    """Set who multiplies float32 and float64 matrices.

    At the start this is ``RAPTORS_BACKEND``, else "auto". Integers and booleans are always raptors' own.

    Parameters
    ----------
    policy : {"auto", "raptors", "blas"}
        "auto": the faster one, by figures of this machine. "raptors": the native kernels. "blas": the BLAS
        library, wherever it takes the operands where they lie; without one, the native kernels.

    Raises
    ------
    ValueError
        There is no such policy.
    """
    _core._set_backend_policy(policy)


class backend_policy(Choice):
    """Choose who multiplies in this context: ``with raptors.backend_policy("blas"): ...``.

    The choice is a context variable: other threads and asyncio tasks keep theirs. It holds from the call to
    the end of the block.

    Parameters
    ----------
    policy : {"auto", "raptors", "blas"}
        As in `set_backend_policy`.

    Raises
    ------
    ValueError
        There is no such policy.
    """

    __slots__ = ()
    _leave = staticmethod(_core._leave_backend_policy)

    def __init__(self, policy: str) -> None:
        self._token = _core._enter_backend_policy(policy)
