"""One decorator for all kernels: the compile options and the disk cache in one place.

Why a cache of our own: Numba's cache knows a kernel by its own file only, so a kernel that calls a helper from another
file is not recompiled when that file changes (numba#4807). Ours has a folder a module, named after a digest of its
source and of all kernel sources that it imports, so a stale kernel cannot be loaded, and a change of one family leaves
the compiled kernels of the others. It does not depend on where the package lies, so that environments share it. Where
no folder can be written, kernels are compiled in each process instead. The cache is a help and no more: a damaged or
missing file of it, a full disk, a lost permission cost a compilation and a warning, never the run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserProvidedCacheLocator

try:
    import fcntl
except ImportError:  # a system without POSIX locks
    fcntl = None  # type: ignore[assignment]

LOG = logging.getLogger(__name__)
CHECKSUM_BYTES = 4
TURN_SECONDS = 120
"""Longest wait for another process that compiles the same kernel."""
_IMPORT = re.compile(rb"^\s*(?:from|import)\s+(corpuscurate\.kernels(?:\.\w+)*)", re.MULTILINE)
F = TypeVar("F", bound=Callable[..., Any])


@cache
def cache_folder() -> str:
    """The folder for compiled kernels, or "" when none can be written.

    `CORPUSCURATE_CACHE_DIR` names another parent than `$XDG_CACHE_HOME/corpuscurate` (`~/.cache/corpuscurate`).
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    parent = os.environ.get("CORPUSCURATE_CACHE_DIR") or str(Path(home, "corpuscurate"))
    folder = Path(parent).expanduser() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return ""
    return str(folder)


@cache
def module_digests(room: Path) -> dict[Path, str]:
    """The digest of each source file below `room`, this package's folder: of itself, of what it imports from the room,
    directly or not, and of the Numba version. 16 hex digits."""
    sources = {path: path.read_bytes() for path in sorted(room.rglob("*.py"))}
    imports = {path: _imports(room, source) for path, source in sources.items()}
    return {path: _digest(_closure(path, imports), sources) for path in sources}


def _imports(room: Path, source: bytes) -> set[Path]:
    """The files of the room that a source names in its imports. Of a package that it names, all files: a name that is
    imported from there may be a module."""
    found: set[Path] = set()
    for name in _IMPORT.findall(source):
        at = room.joinpath(*name.decode().split(".")[2:])
        found.update(at.rglob("*.py") if at.is_dir() else [at.with_suffix(".py")])
    return found


def _closure(path: Path, imports: Mapping[Path, set[Path]]) -> set[Path]:
    seen, new = {path}, {path}
    while new:
        new = set().union(*(imports.get(each, set()) for each in new)) - seen
        seen |= new
    return seen


def _digest(paths: set[Path], sources: Mapping[Path, bytes]) -> str:
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(paths & sources.keys()):
        digest.update(hashlib.blake2b(sources[path]).digest())
    return digest.hexdigest()


def _module_folder(path: Path) -> str:
    """Name of the folder, within the cache, of the kernels in a source file of this package."""
    room = Path(__file__).parent
    return ".".join(path.relative_to(room).with_suffix("").parts) + f"-{module_digests(room)[path]}"


def is_cold() -> bool:
    """Whether no kernel of these sources has been compiled on this machine yet, so that the first run must."""
    folder = cache_folder()
    if not folder:
        return True
    sources = module_digests(Path(__file__).parent)  # not all that the folder holds: it may have those of many versions
    try:
        return not any(any(Path(folder, _module_folder(path)).glob("*.nbi")) for path in sources)
    except OSError:
        return True


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]
    """Where Numba keeps the kernels of a source file: a folder that the digest of what it is compiled from names."""

    def __init__(self, function: Any, path: str) -> None:
        super().__init__(function, path)
        self._digest = ""
        if Path(path) in module_digests(Path(__file__).parent):
            self._cache_path = str(Path(config.CACHE_DIR, _module_folder(Path(path))))
            self._digest = self._cache_path.rpartition("-")[2]

    def get_source_stamp(self) -> Any:
        """The digest, or Numba's own stamp for a kernel of another package."""
        return self._digest or super().get_source_stamp()


class _Numbas(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's form of a compiled kernel, in our folders."""

    _locator_classes = (_Locator,)


class _CheckedFile(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files of one kernel, the compiled code with a checksum before it: Numba would run whatever it finds."""

    def _dump(self, obj: Any) -> bytes:
        data: bytes = super()._dump(obj)
        return zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "little") + data

    def _load_index(self) -> Any:
        try:
            whole = Path(self._index_path).read_bytes()
        except FileNotFoundError:
            return {}
        version = pickle.loads(whole)  # noqa: S301  Numba's own form: its version, then the rest
        stamp, overloads = pickle.loads(_checked(whole[len(pickle.dumps(version, protocol=-1)) :]))  # noqa: S301
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_checked(Path(self._data_path(name)).read_bytes()))  # noqa: S301

    def remove(self) -> None:
        """Delete the index, so that the kernel is compiled and stored anew."""
        Path(self._index_path).unlink(missing_ok=True)


def _checked(data: bytes) -> bytes:
    if zlib.crc32(data[CHECKSUM_BYTES:]) != int.from_bytes(data[:CHECKSUM_BYTES], "little") or not data:
        raise ValueError("its checksum is wrong")
    return data[CHECKSUM_BYTES:]


class Turn:
    """The turn to compile one kernel, which one process has at a time.

    Kernels call one another in no circle, so those who wait for turns never wait in one. A turn ends with the process
    that has it, and is no promise: who waited TURN_SECONDS, or cannot lock the file, compiles as well. waited: whether
    another process had the turn before.
    """

    def __init__(self, path: str) -> None:
        self.waited = False
        self._file: Any = None
        if not path or fcntl is None:
            return
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a")  # noqa: SIM115, PTH123  closed when the turn is over
            self._wait(time.monotonic() + TURN_SECONDS)
        except OSError:
            self.over()

    def _wait(self, until: float) -> None:
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not `flock`: a forked child would have it too
                return
            except (BlockingIOError, PermissionError):
                self.waited = True
            if time.monotonic() > until:
                return
            time.sleep(0.02)

    def over(self) -> None:
        """Let the next one have the turn."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.over()  # of a kernel that could not be compiled


class _HelpfulCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one kernel, whose failures cost a compilation."""

    _impl_class = _Numbas

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file: _CheckedFile = _CheckedFile(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )
        self._turn = Turn("")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The stored kernel, or None where there is none or none that can be used: then this process compiles it, and
        others that want it wait for that."""
        found = self._load(sig, target_context)
        if found is None and self._enabled:
            self._turn = Turn(f"{self._cache_file._index_path}.lock")
            if self._turn.waited:
                found = self._load(sig, target_context)
            if found is not None:
                self._turn.over()
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, MemoryError) as error:  # says nothing about the file
            _warn("cannot be read; kernels are compiled again", self._cache_path, error)
            return None
        except Exception as error:
            _warn("holds a broken file; its kernel is compiled anew", self._cache_path, error)
            try:
                self._cache_file.remove()
            except OSError:
                self.disable()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled kernel, if that can be done."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn("cannot be written; kernels are compiled again in the next run", self._cache_path, error)
            self.disable()
        self._turn.over()


_WARNED: set[str] = set()


def _warn(what: str, folder: str, error: Exception) -> None:
    """Log a failure of the cache, each kind once a process."""
    if what not in _WARNED:
        _WARNED.add(what)
        said = " ".join(str(error).split()) or type(error).__name__
        LOG.warning("the folder of compiled kernels %s %s (%s)", folder, what, said)


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
        jit = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
        if folder:
            try:
                jit._cache = _HelpfulCache(function)
            except (OSError, RuntimeError) as error:  # what Numba raises where it cannot write
                _warn("cannot be written; kernels are compiled in each process", folder, error)
        return jit  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = before
