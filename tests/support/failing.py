"""A file system of fsspec whose n-th call fails."""

from __future__ import annotations

import io
from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractFileSystem

MOST_AT_ONCE = 4000


class BackendError(Exception):
    """What a client of an object store raises: no OSError."""


class Plan:
    """When calls fail. at: number of the first call that fails, from 1; 0: none. lasting: so do all after it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reset()

    def reset(self, at: int = 0, error: Any = None, *, lasting: bool = False, short: bool = False) -> None:
        """Begin to count anew. error: makes the exception; short: a read ends early instead."""
        self.at, self.error, self.lasting, self.short = at, error, lasting, short
        self.calls = 0
        self.failed: list[str] = []

    def call(self, what: str) -> bool:
        """Count a call and fail it if it is its turn; returns whether a read is to end early."""
        self.calls += 1
        if not self.at or not (self.calls >= self.at if self.lasting else self.calls == self.at):
            return False
        if self.short and what != "read":
            return False
        self.failed.append(what)
        if self.short:
            return True
        raise self.error()


PLAN = Plan()


class FailingFile(io.RawIOBase):
    """A file whose reads count. It hands out at most MOST_AT_ONCE bytes at a time, as raw files may."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        PLAN.call("seek")
        return self._data.seek(offset, whence)

    def tell(self) -> int:
        return self._data.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        if PLAN.call("read"):
            return b""
        return self._data.read(-1 if size is None or size < 0 else min(size, MOST_AT_ONCE))

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class FailingSystem(AbstractFileSystem):
    """Files in memory, under failing://."""

    protocol = "failing"
    cachable = False
    root_marker: ClassVar[str] = ""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("failing://").strip("/")

    def _folders(self) -> set[str]:
        return {name.rsplit("/", depth)[0] for name in PLAN.files for depth in range(1, name.count("/") + 1)}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of a file or folder."""
        PLAN.call("info")
        return self._entry(self._strip_protocol(path))

    def _entry(self, path: str) -> dict[str, Any]:
        if path in PLAN.files:
            return {"name": path, "size": len(PLAN.files[path]), "type": "file"}
        if path in self._folders():
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The entries of a folder."""
        PLAN.call("ls")
        path = self._strip_protocol(path)
        if path not in self._folders():
            raise FileNotFoundError(path)
        names = sorted(n for n in {*PLAN.files, *self._folders()} if n.rpartition("/")[0] == path)
        return [self._entry(name) if detail else name for name in names]

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> FailingFile:
        PLAN.call("open")
        return FailingFile(PLAN.files[self._strip_protocol(path)])


fsspec.register_implementation("failing", FailingSystem, clobber=True)
