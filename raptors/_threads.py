"""How many threads a call may use."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import SupportsIndex

from raptors import _raptors_core as _core
from raptors._context import Choice
from raptors._hooks import when_imported

get_num_threads = _core.get_num_threads


def set_num_threads(n: SupportsIndex) -> None:
    """Set how many threads a call may use, the calling one among them.

    At the start this is ``RAPTORS_NUM_THREADS``, else ``OMP_NUM_THREADS``, else as many as there are
    processors that this process may use. Threads are started by the first call that is long enough for them.

    Parameters
    ----------
    n : int
        From 1 (no other thread works) to 256.

    Raises
    ------
    TypeError
        `n` is no integer.
    ValueError
        `n` is out of range.
    """
    _core._set_num_threads(operator.index(n))


class threads(Choice):
    """Choose how many threads calls of this context may use: ``with raptors.threads(1): ...``.

    The choice is a context variable: other threads and asyncio tasks keep theirs. It holds from the call to
    the end of the block.

    Parameters
    ----------
    n : int
        From 1 to 256, the calling thread among them.

    Raises
    ------
    TypeError
        `n` is no integer.
    ValueError
        `n` is out of range.
    """

    __slots__ = ()
    _leave = staticmethod(_core._leave_threads)

    def __init__(self, n: SupportsIndex) -> None:
        self._token = _core._enter_threads(operator.index(n))


def _tell_threadpoolctl(threadpoolctl: ModuleType) -> None:
    from raptors import _threadpoolctl

    _threadpoolctl.register(threadpoolctl)


when_imported("threadpoolctl", _tell_threadpoolctl)
