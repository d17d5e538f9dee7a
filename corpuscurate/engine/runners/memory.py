"""Settings of the allocators in workers: freed memory is reused for a while before it returns to the system.

A worker allocates and frees the same few buffers of some MiB for each batch. Given back at once, each costs a page
fault and cleared memory every 4 KiB: a seventh of the system time of a whole run.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` (malloc.h of glibc)."""
_KEPT_BYTES = 256 << 20
_LARGEST_KEPT_BYTES = 128 << 20
_MOST_OF_OLD_GLIBC = 32 << 20
_PURGE_DELAY = "MIMALLOC_PURGE_DELAY"
_PURGE_MILLISECONDS = 10_000


def worker_environment() -> dict[str, str]:
    """Variables for the fork server: Arrow's allocator keeps what is free for 10 s, or as long as the user says."""
    return {_PURGE_DELAY: os.environ.get(_PURGE_DELAY, str(_PURGE_MILLISECONDS))}


def keep_freed_memory() -> None:
    """Let the C library keep up to 256 MiB of this process's freed memory: NumPy's arrays. Only glibc has the means."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        if not mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES):
            mallopt(_MMAP_THRESHOLD, _MOST_OF_OLD_GLIBC)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
