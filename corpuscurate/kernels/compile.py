"""One decorator for all kernels: the compile options and the disk cache in one place.

Why a cache folder of our own: Numba's cache knows a kernel by its own file only, so a kernel that calls a helper
from another file is not recompiled when that file changes (numba#4807). Ours is named after a digest of all kernel
sources and of the Numba version, so a stale kernel cannot be loaded. Where no folder can be written, kernels are
compiled in each process instead.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

F = TypeVar("F", bound=Callable[..., Any])


@cache
def cache_folder() -> str:
    """The folder for compiled kernels, or "" when none can be written.

    `CORPUSCURATE_CACHE_DIR` names another parent than `$XDG_CACHE_HOME/corpuscurate` (`~/.cache/corpuscurate`).
    """
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    parent = os.environ.get("CORPUSCURATE_CACHE_DIR") or str(Path(home, "corpuscurate"))
    folder = Path(parent).expanduser() / f"kernels-{digest.hexdigest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return ""
    return str(folder)


def is_cold() -> bool:
    """Whether no kernel has been compiled on this machine yet for these sources, so that the first run must."""
    folder = cache_folder()
    return not folder or next(Path(folder).rglob("*.nbi"), None) is None


def kernel(function: F) -> F:
    """Compile a hot loop with Numba: GIL released, cached on disk, IEEE floats, no bounds check.

    Kernels are top-level functions over NumPy arrays: `int64` offsets and indices, `out` arrays last, a count or a
    status returned. The uncompiled function stays reachable as `.py_func`.
    """
    return _compile(function)


def uncounted(function: F) -> F:
    """A kernel that neither allocates an array, nor returns one, nor copies one to another: its arrays are not counted.

    Numba counts references at each taking of an array out of a tuple, at each slice and return, with atomic
    instructions that LLVM moves nothing across. Who calls such a kernel keeps the arrays alive while it works on them.
    """
    return _compile(function, _nrt=False)


def inlined(function: F) -> F:
    """An uncounted kernel that is inlined where it is called: for inner loops, where LLVM would leave a call.

    A call passes each array as seven arguments, which can take longer than the work.
    """
    return _compile(function, _nrt=False, forceinline=True)


def _compile(function: F, **options: bool) -> F:
    folder = cache_folder()
    before = config.CACHE_DIR
    try:
        config.CACHE_DIR = folder or before
        # without the wrapper for calls from C, which nobody makes: a fifteenth of the time to compile
        jit = numba.njit(cache=bool(folder), nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)
        return jit(function)  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = before
