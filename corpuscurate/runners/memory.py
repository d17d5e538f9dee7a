"""How a worker treats memory that it has freed."""

from __future__ import annotations

import ctypes

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` (malloc.h of glibc)."""
_KEPT_BYTES = 256 << 20
_LARGEST_KEPT_BYTES = 128 << 20


def keep_freed_memory() -> None:
    """Let this process use its freed memory again, up to 256 MiB, in place of giving it back to the system at once.

    A worker allocates and frees the same few buffers of some MiB for each batch. Given back, each costs a page fault
    and cleared pages every 4 KiB: a fifth of the system time of a whole run. Arrow's own pool gives back large buffers
    too, so its buffers come from the same place as NumPy's. Only where the C library is glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    pa.set_memory_pool(pa.system_memory_pool())
