"""Reads of input that fail because of the surroundings: repeated where that may help, then told with the file's name.

Only bytes that were read and do not parse are damage. A time-out, a lost connection, a missing permission, a lack of
memory, or a stream that ends before the size that was listed says nothing about the file, so it never makes a bad
record. Errors of fsspec's file systems may be of any class; none of them is a defect of corpuscurate.
"""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from corpuscurate.core.errors import CorpusCurateError, OutOfMemoryError, ReadError

T = TypeVar("T")

RETRY_SECONDS = (0.2, 1.0, 5.0)
"""Pauses before a call that failed for a passing reason is made again."""
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EINTR", "EBUSY", "ETIMEDOUT", "ESTALE", "EPIPE", "EREMOTEIO"),
        *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ENOTCONN", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of HTTP servers that may be another one a moment later."""
_PASSING_NAMES = frozenset(
    {
        *("ClientConnectionError", "ClientPayloadError", "ServerDisconnectedError"),  # aiohttp
        *("ConnectionError", "Timeout", "ChunkedEncodingError", "IncompleteRead", "ProtocolError"),  # requests, urllib3
        *("TransportError", "TimeoutException", "NetworkError", "RemoteProtocolError"),  # httpx
        *("ConnectionClosedError", "HTTPClientError", "EndpointConnectionError", "ResponseStreamingError"),  # botocore
        *("ServiceRequestError", "ServiceResponseError", "RetryError", "ServiceUnavailable"),  # azure, google
    }
)
"""Classes of clients of object stores and HTTP, by name: they are no OSError, and no dependency of this package."""


_FAILURES: dict[str, CorpusCurateError] = {}
"""The last error of reading, by the file's name."""


def forget_failure(name: str) -> CorpusCurateError | None:
    """The error of a read of this file that failed since the last call, if any. Libraries between the file and its
    reader, such as Arrow, may raise another one in its place."""
    return _FAILURES.pop(name, None)


class EarlyEndError(OSError):
    """A stream ended before the size that was listed: of a file that was cut, or of a connection that was lost."""


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later: a time-out, a lost connection, a busy server."""
    if isinstance(error, TimeoutError | ConnectionError | InterruptedError | BlockingIOError | EarlyEndError):
        return True
    if isinstance(error, OSError) and error.errno in _PASSING:
        return True
    if _status(error) in _PASSING_STATUS:
        return True
    return any(kind.__name__ in _PASSING_NAMES for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error of a client carries, if any."""
    response = getattr(error, "response", None)
    for holder, name in ((error, "status"), (error, "code"), (response, "status_code"), (response, "status")):
        value = getattr(holder, name, None)
        with suppress(TypeError, ValueError):
            return int(value)  # type: ignore[arg-type]
    if isinstance(response, dict):  # botocore
        status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status
    return None


def real_error(error: BaseException) -> BaseException:
    """The error itself, or the one that a file system told as "no such file": fsspec's HTTP does so with time-outs."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and is_passing(cause):
        return cause
    return error


def why(error: BaseException) -> str:
    """What an error says, on one line, with its class where it would say nothing else."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return said or type(error).__name__


def retried(call: Callable[[], T]) -> T:
    """The result of a call that may be made again; it is, after each of RETRY_SECONDS, where it fails in passing.

    Raises the error of the last attempt.
    """
    for pause in RETRY_SECONDS:
        try:
            return call()
        except Exception as error:
            if not is_passing(real_error(error)):
                raise
            time.sleep(pause)
    return call()


def read_error(name: str, error: BaseException) -> CorpusCurateError:
    """The error for an input file that could not be read because of `error`."""
    if isinstance(error, CorpusCurateError):
        return error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return OutOfMemoryError(
            f"out of memory while {name} was read. Give `run: {{memory: ...}}` or `--workers` a smaller value, or run "
            "on a machine with more memory; what is finished is kept."
        )
    return ReadError(f"Cannot read input file {name}: {why(real_error(error))}.{_what_to_do(error)}")


def _what_to_do(error: BaseException) -> str:
    if is_passing(real_error(error)):
        return f" It was tried {len(RETRY_SECONDS) + 1} times. Run again to go on from what is finished."
    return ""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of the block that are not about the content of a file into one that names the file.

    Raises ReadError and OutOfMemoryError. Other errors get a note.
    """
    try:
        yield
    except CorpusCurateError:
        raise
    except (MemoryError, OSError) as error:
        raise read_error(name, error) from error
    except Exception as error:
        error.add_note(f"while reading {name}")
        raise


class Stored(io.RawIOBase):
    """The stored bytes of a file, read through any file object. A read that fails in passing is made again, on a newly
    opened file where that is needed.

    name: for messages. open_raw: opens the file at its start. size: bytes as listed; an earlier end is an error.
    Reads raise ReadError and OutOfMemoryError.
    """

    def __init__(self, name: str, open_raw: Callable[[], Any], size: int, start: int = 0) -> None:
        super().__init__()
        self.name = name
        self._open_raw = open_raw
        self._size = size
        self._position = start
        self._raw: Any = None
        self._at = 0
        """The position of `_raw`."""
        self._told(self._opened)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Whether the file beneath can be read from anywhere."""
        return bool(self._told(lambda: self._opened().seekable()))

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position of the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, fewer only at the end."""
        most = -1 if size is None else size

        def take() -> bytes:
            raw = self._there()
            data = bytes(raw.read(most))
            while len(data) < most and not self._is_end(len(data)):
                more = raw.read(most - len(data))
                if not more:
                    break
                data += more
            return data

        data: bytes = self._told(lambda: self._whole(take(), most))
        self._moved(len(data))
        return data

    def readall(self) -> bytes:
        """The bytes up to the end."""
        return b"".join(iter(lambda: self.read(1 << 20), b""))

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer; returns how many bytes, fewer only at the end."""
        view = memoryview(buffer).cast("B")

        def fill() -> memoryview:
            raw = self._there()
            done = 0
            while done < len(view) and not (done and self._is_end(done)):
                if hasattr(raw, "readinto"):
                    count = int(raw.readinto(view[done:]) or 0)
                else:
                    data = raw.read(len(view) - done)
                    count = len(data)
                    view[done : done + count] = data
                if not count:
                    break
                done += count
            return view[:done]

        count = len(self._told(lambda: self._whole(fill(), len(view))))
        self._moved(count)
        return count

    def close(self) -> None:
        """Close the file beneath."""
        if not self.closed:
            self._drop()
        super().close()

    def _opened(self) -> Any:
        if self._raw is None:
            self._raw, self._at = self._open_raw(), 0
        return self._raw

    def _there(self) -> Any:
        """The file beneath, at the position of the next read."""
        raw = self._opened()
        if self._at != self._position:
            raw.seek(self._position)
            self._at = self._position
        return raw

    def _moved(self, count: int) -> None:
        self._position += count
        self._at = self._position

    def _is_end(self, count: int) -> bool:
        """Whether the listed size is reached after `count` more bytes."""
        return 0 < self._size <= self._position + count

    def _whole(self, got: Any, wanted: int) -> Any:
        """What was read, or an error where there should be more."""
        reached = self._position + len(got)
        if (wanted < 0 or len(got) < wanted) and reached < self._size:
            raise EarlyEndError(f"it ends after {reached} of the {self._size} bytes that it had when it was listed")
        return got

    def _told(self, call: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return call()
            except Exception:
                self._drop()  # its state is unknown: the next attempt opens the file again
                raise

        try:
            return retried(attempt)
        except Exception as error:
            _FAILURES[self.name] = told = read_error(self.name, error)
            raise told from error

    def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):  # the read has failed, or is over: nothing is lost
                raw.close()


def open_local(path: str) -> io.FileIO:
    """A local file without a buffer of its own."""
    return io.FileIO(os.fspath(path), "rb")
