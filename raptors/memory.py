"""The memory of arrays: what is in use, and what is kept for reuse.

Freed memory is kept, since fresh memory costs page faults; what nobody asks for again within ten seconds goes
back to the system with a later call. ``RAPTORS_CACHE_MAX_BYTES`` sets the limit that the process starts with.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import SupportsIndex

from raptors import _raptors_core as _core

__all__ = ["Stats", "limit", "stats", "trim"]


@dataclass(frozen=True)
class Stats:
    """The state of raptors' memory; bytes and counts of the whole process.

    Attributes
    ----------
    live_bytes : int
        Memory of arrays in use: raptors' own, and NumPy's that were made after `import raptors`.
    cached_bytes, cached_blocks : int
        Freed memory that is kept for reuse.
    limit : int
        The most that is kept, in bytes.
    hits, misses : int
        Arrays whose memory was reused, and those that needed fresh memory.
    arenas : int
        Bytes in mappings of our own, in which long arrays (from 2 MiB) live, in use or kept.
    scratch_taken, scratch_from_heap : int
        Bytes of scratch memory that the calling thread has taken since its start: from its arena, and from
        the heap, for what was too long for that.
    """

    live_bytes: int
    cached_bytes: int
    cached_blocks: int
    limit: int
    hits: int
    misses: int
    arenas: int
    scratch_taken: int
    scratch_from_heap: int


def stats() -> Stats:
    """The present state: a `Stats`."""
    found = _core._memory_stats()
    return Stats(
        live_bytes=found["live_bytes"],
        cached_bytes=found["cached_bytes"],
        cached_blocks=found["cached_blocks"],
        limit=found["cache_limit"],
        hits=found["block_hits"] + found["array_hits"],
        misses=found["block_misses"],
        arenas=found["mapped_bytes"],
        scratch_taken=found["scratch_taken"],
        scratch_from_heap=found["scratch_from_heap"],
    )


def limit(bytes: SupportsIndex | None = None) -> int:
    """The most memory that is kept for reuse, after setting it.

    Parameters
    ----------
    bytes : int, optional
        The new limit; 0 keeps nothing. What is kept now is given back. Memory that other threads keep for
        themselves (at most 1 MiB each) follows when they next free an array.

    Returns
    -------
    int
        The limit in force, in bytes.

    Raises
    ------
    TypeError
        `bytes` is no integer.
    ValueError
        `bytes` is negative or more than a process can address.
    """
    if bytes is not None:
        number = operator.index(bytes)
        if not 0 <= number < 2**63:
            raise ValueError(f"bytes must be between 0 and 2**63 - 1, not {number}")
        _core._set_cache_limit(number)
    return stats().limit


def trim() -> int:
    """Give the memory that is kept back to the system.

    Returns
    -------
    int
        How many bytes fewer are kept now.
    """
    before = stats().cached_bytes
    _core._trim()
    return before - stats().cached_bytes
