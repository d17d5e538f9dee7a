"""Decompression of gzip and Zstandard streams: fixed buffers, every member or frame, and an honest end.

A stream that ends early, is corrupt or has something else behind it first yields all bytes that can be decompressed,
then raises `Truncated`. Memory is bounded whatever the stream claims: output is taken in fixed steps and a Zstandard
window over `MAX_WINDOW_BYTES` is refused.

gzip is decoded by ISA-L where its wheel is installed (about three times the speed of zlib), else by zlib; the bytes are
the same. Zstandard's own reader says nothing when a stream is cut, so `_Frames` walks the frame and block headers
(RFC 8878, section 3.1) as they pass, and knows whether the end was one.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, BinaryIO, cast

import zstandard

_fast: ModuleType
try:
    from isal import isal_zlib as _fast
except ImportError:  # no wheel for this platform
    _fast = zlib

MAX_WINDOW_BYTES = 1 << 27
"""Zstandard frames that need a larger window are refused: 128 MiB, what `zstd` itself decodes unasked."""
IN_BYTES = 1 << 18
OUT_BYTES = 1 << 18
FINE_BYTES = 1
"""Output step when the bytes right before a corruption are fetched: decoders drop the step in which they fail."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = 0xFD2FB528
SKIPPABLE_MAGIC = 0x184D2A50
"""The first of sixteen."""


class Truncated(Exception):  # noqa: N818 - it says what the stream is
    """A compressed stream ended early, is corrupt, or something else follows it. Raised after all bytes that could
    be decompressed. detail: what was wrong. reason: "truncated", or "unreadable" where not one byte was good."""

    def __init__(self, detail: str, reason: str = "truncated") -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


class _Corrupt(Exception):  # noqa: N818
    """A decoder gave up; `detail` is what it said."""


Step = Callable[[int], int]
"""Output position -> how many bytes to ask for next."""


def _gunzip(raw: BinaryIO, step: Step, module: Any, read_bytes: int = IN_BYTES) -> Iterator[bytes]:
    """The bytes of all members. Raises Truncated at a bad end, _Corrupt where the decoder fails."""
    done, members, data = 0, 0, b""
    while True:
        data = _member_start(raw, data, members)
        if not data:
            return
        decoder = module.decompressobj(wbits=31)
        while not decoder.eof:
            data = data or raw.read(read_bytes)
            try:
                out = decoder.decompress(data, step(done))
            except MemoryError:  # says nothing about the file
                raise
            except Exception as error:  # zlib.error, or isal's own class
                raise _Corrupt(f"gzip: {error}") from error
            at_end = not data and not out and not decoder.eof
            data = decoder.unconsumed_tail
            done += len(out)
            if out:
                yield out
            if at_end and module is not zlib:  # ISA-L keeps back the last few bytes that could be had; zlib does not
                raise _Corrupt("the stream ends early")
            if at_end:
                raise Truncated(f"the gzip stream ends inside member {members + 1}")
        data = decoder.unused_data
        members += 1


def _member_start(raw: BinaryIO, data: bytes, members: int) -> bytes:
    """The input from the next member on, or nothing at a proper end. Zeros behind a member are padding (gzip(1))."""
    while True:
        if members:
            data = data.lstrip(b"\0")
        if len(data) >= len(GZIP_MAGIC):
            break
        more = raw.read(IN_BYTES)
        if not more:
            break
        data += more
    if not data or data.startswith(GZIP_MAGIC):
        return data
    if members == 0:
        raise Truncated("not a gzip file: it does not begin with 1f 8b", "unreadable")
    raise Truncated(f"after gzip member {members} something else follows")


class _Frames(io.RawIOBase):
    """Passes a Zstandard stream through and follows its headers. It ends before bytes that are no frame; `problem`
    says afterwards what was wrong with the end, or is empty."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._held = b""  # the start of a header that was cut by the read before
        self._skip = 0  # bytes of block or skippable content still to pass
        self._parse = self._magic
        self._checksum = False
        self.frames = 0
        self.problem = ""
        self.window_bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if self.problem:
            return b""
        while not self.problem:
            data = self._raw.read(size if size and size > 0 else IN_BYTES)
            if not data:
                inside = self._held or self._skip or not self._between_frames()
                self.problem = f"the zstd stream ends inside frame {self.frames + 1}" if inside else ""
                return b""
            good = self._follow(data)
            if good:
                return data[:good]
        return b""

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _follow(self, data: bytes) -> int:
        """How many bytes of `data` belong to the stream: all, unless `problem` is set."""
        held = self._held
        view = held + data if held else data
        at = 0
        while True:
            passed = min(self._skip, len(view) - at)
            self._skip -= passed
            at += passed
            if self._skip or at == len(view):
                self._held = b""
                break
            used = self._parse(view, at)
            if self.problem:
                break
            if used == 0:  # the header goes on in the next read
                self._held = view[at:]
                break
            at += used
        return max(0, at - len(held)) if self.problem else len(data)

    def _between_frames(self) -> bool:
        return self._parse == self._magic or (self._parse == self._frame_end and not self._checksum)

    def _magic(self, view: bytes, at: int) -> int:
        if len(view) < at + 4:
            return 0
        magic = int.from_bytes(view[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == SKIPPABLE_MAGIC:
            if len(view) < at + 8:
                return 0
            self._skip = int.from_bytes(view[at + 4 : at + 8], "little")
            return 8
        if magic != ZSTD_MAGIC:
            self.problem = f"after zstd frame {self.frames} something else follows"
            return 0
        self._parse = self._frame_header
        return 4

    def _frame_header(self, view: bytes, at: int) -> int:
        if len(view) < at + 1:
            return 0
        flags = view[at]
        single = flags >> 5 & 1
        content_size = (0, 2, 4, 8)[flags >> 6] or single
        dictionary = (0, 1, 2, 4)[flags & 3]
        used = 1 + (1 - single) + dictionary + content_size
        if len(view) < at + used:
            return 0
        self._checksum = bool(flags >> 2 & 1)
        self.window_bytes = _window(view, at, used, content_size, bool(single))
        self._parse = self._block_header
        return used

    def _block_header(self, view: bytes, at: int) -> int:
        if len(view) < at + 3:
            return 0
        header = int.from_bytes(view[at : at + 3], "little")
        kind, size = header >> 1 & 3, header >> 3
        if kind == 3:
            self.problem = f"zstd frame {self.frames + 1} holds a block of no known kind"
            return 0
        self._skip = 1 if kind == 1 else size
        if header & 1:
            self._parse = self._frame_end
        return 3

    def _frame_end(self, view: bytes, at: int) -> int:
        if self._checksum and len(view) < at + 4:
            return 0
        self.frames += 1
        self._parse = self._magic
        if self._checksum:
            return 4
        return self._magic(view, at)


def _window(view: bytes, at: int, used: int, content_size: int, single: bool) -> int:
    """Bytes of window that a frame asks for (RFC 8878, 3.1.1.1.2)."""
    if single:
        size = int.from_bytes(view[at + used - content_size : at + used], "little")
        return size + 256 if content_size == 2 else size
    descriptor = view[at + 1]
    base = 1 << (10 + (descriptor >> 3))
    return base + (base >> 3) * (descriptor & 7)


def _unzstd(raw: BinaryIO, step: Step) -> Iterator[bytes]:
    """The bytes of all frames. Raises Truncated at a bad end, _Corrupt where the decoder fails."""
    frames = _Frames(raw)
    done = 0
    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    with decoder.stream_reader(
        cast(BinaryIO, frames), read_size=IN_BYTES, read_across_frames=True, closefd=False
    ) as reader:
        while True:
            try:
                out = reader.read(step(done))
            except zstandard.ZstdError as error:
                if frames.window_bytes > MAX_WINDOW_BYTES:
                    raise _Corrupt(_window_detail(frames.window_bytes)) from error
                if "not enough memory" in str(error):  # says nothing about the file
                    raise MemoryError(str(error)) from error
                raise _Corrupt(f"zstd: {error}") from error
            if not out:
                break
            done += len(out)
            yield out
    if frames.problem:
        if done == 0 and frames.frames == 0 and "something else" in frames.problem:
            raise Truncated("not a zstd file: it does not begin with a frame", "unreadable")
        raise Truncated(frames.problem)


def _window_detail(needed: int) -> str:
    return (
        f"a zstd frame needs a window of {needed / (1 << 20):.0f} MiB, more than {MAX_WINDOW_BYTES >> 20} MiB; "
        "compress it again without --long, or with --long=27 at most"
    )


def _decode(raw: BinaryIO, compression: str, step: Step, careful: bool) -> Iterator[bytes]:
    if compression == "zst":
        return _unzstd(raw, step)
    if careful:  # small reads: what a small output step leaves of the input is copied each time
        return _gunzip(raw, step, zlib, 1 << 12)
    return _gunzip(raw, step, _fast)


def decompress(open_raw: Callable[[], BinaryIO], compression: str) -> Iterator[bytes]:
    """The decompressed bytes in steps of at most OUT_BYTES. compression: "gz" or "zst".

    open_raw: opens the compressed bytes at their start; called a second time only after a corruption, to fetch the
    bytes right before it. Raises Truncated (see there).
    """
    done = 0
    with open_raw() as raw:
        try:
            for block in _decode(raw, compression, lambda _: OUT_BYTES, careful=False):
                done += len(block)
                yield block
            return
        except _Corrupt as error:
            detail = str(error)
    with open_raw() as raw:
        good = done
        try:
            for block in _rest(raw, compression, done):
                good += len(block)
                yield block
        except _Corrupt as error:
            detail = str(error)
    raise Truncated(f"{detail} (after {good} decompressed bytes)", "truncated" if good else "unreadable")


def _rest(raw: BinaryIO, compression: str, start: int) -> Iterator[bytes]:
    """The decompressed bytes from `start` on, in steps so small that none is lost at a corruption."""

    def step(at: int) -> int:
        return min(OUT_BYTES, start - at) if at < start else FINE_BYTES

    at = 0
    for block in _decode(raw, compression, step, careful=True):
        if at >= start:
            yield block
        at += len(block)


class Inflated(io.RawIOBase):
    """A binary reader over blocks. `read(n)` and `readinto` fill what is asked for unless the end is near; bytes before
    a bad end are handed out first, the next call raises `Truncated`."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks = blocks
        self._block = memoryview(b"")
        self._end: Truncated | None = None
        self._finished = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; fewer bytes only at the end, 0 after it. Raises Truncated."""
        out = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(out) and self._fill():
            taken = min(len(out) - filled, len(self._block))
            out[filled : filled + taken] = self._block[:taken]
            self._block = self._block[taken:]
            filled += taken
        if filled == 0 and len(out) and self._end is not None:
            raise self._end
        return filled

    def _fill(self) -> bool:
        """Whether there are bytes to hand out."""
        while not len(self._block) and not self._finished:
            try:
                self._block = memoryview(next(self._blocks))
            except StopIteration:
                self._finished = True
            except Truncated as error:
                self._finished, self._end = True, error
        return bool(len(self._block))

    def close(self) -> None:
        """Close the file beneath."""
        if not self.closed:
            self._finished = True
            self._block = memoryview(b"")
            close = getattr(self._blocks, "close", None)
            if close is not None:
                close()
        super().close()
