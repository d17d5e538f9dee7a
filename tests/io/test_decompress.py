"""Decompression: every byte that can be had, then an honest end, in bounded memory."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.io import decompress as streams
from corpuscurate.io.decompress import Inflated, Truncated, decompress

RNG = random.Random(3)  # noqa: S311
TEXT = b"".join(b"%d %s\n" % (i, RNG.randbytes(RNG.randrange(40)).hex().encode()) for i in range(12_000))
SKIPPABLE = struct.pack("<II", 0x184D2A57, 5) + b"12345"


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def zst(data: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(level=3, **options).compress(data)


def streamed_zst(data: bytes, **options: bool) -> bytes:
    """As `zstd < file` writes it: no content size, an empty last block when it falls so."""
    compressor = zstandard.ZstdCompressor(level=3, **options).compressobj()
    return compressor.compress(data) + compressor.flush()


def inflate(data: bytes, compression: str, step: int = 50_000) -> tuple[bytes, Truncated | None]:
    out = bytearray()
    with Inflated(decompress(lambda: io.BytesIO(data), compression)) as reader:
        try:
            while block := reader.read(step):
                assert len(block) <= step
                out += block
        except Truncated as error:
            return bytes(out), error
    return bytes(out), None


MAKERS = {
    "gz": ("gz", gz),
    "zst": ("zst", zst),
    "zst checksum": ("zst", lambda data: zst(data, write_checksum=True)),
    "zst streamed": ("zst", streamed_zst),
    "zst streamed checksum": ("zst", lambda data: streamed_zst(data, write_checksum=True)),
}


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


def test_whole_stream(maker):
    compression, make = maker
    assert inflate(make(TEXT), compression) == (TEXT, None)


def test_empty_content_and_no_bytes(maker):
    compression, make = maker
    assert inflate(make(b""), compression) == (b"", None)
    assert inflate(b"", compression) == (b"", None)


def test_concatenated_members(maker):
    compression, make = maker
    parts = [TEXT[:1], TEXT[1:5000], b"", TEXT[5000:]]
    assert inflate(b"".join(make(part) for part in parts), compression) == (TEXT, None)


def test_many_small_members(maker):
    compression, make = maker
    lines = TEXT.splitlines(keepends=True)[:3000]
    assert inflate(b"".join(make(line) for line in lines), compression) == (b"".join(lines), None)


def test_skippable_frames():
    data = (
        SKIPPABLE + zst(TEXT[:100]) + SKIPPABLE + SKIPPABLE + streamed_zst(TEXT[100:], write_checksum=True) + SKIPPABLE
    )
    assert inflate(data, "zst") == (TEXT, None)


def test_gzip_zero_padding():
    data = gz(TEXT[:10]) + bytes(3) + gz(TEXT[10:]) + bytes(1 << 19)
    assert inflate(data, "gz") == (TEXT, None)


def test_gzip_header_with_name_comment_and_checksum():
    body = zlib.compressobj(6, wbits=-15)
    header = b"\x1f\x8b\x08\x1a" + bytes(6) + b"name\0" + b"comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    data = header + body.compress(TEXT) + body.flush() + struct.pack("<II", zlib.crc32(TEXT), len(TEXT))
    assert inflate(data, "gz") == (TEXT, None)


def reachable(data: bytes, compression: str) -> bytes:
    """What a decoder that is fed byte by byte gives before a cut."""
    if compression == "gz":
        return zlib.decompressobj(wbits=31).decompress(data)
    decoder = zstandard.ZstdDecompressor().decompressobj()
    return b"".join(decoder.decompress(data[at : at + 1]) for at in range(len(data)))


@pytest.mark.campaign(2)
def test_cut_anywhere_gives_all_bytes_before_the_cut(maker):
    compression, make = maker
    data = make(TEXT[:200_000])
    places = [*range(1, 40), *range(40, len(data), len(data) // 40), *range(len(data) - 12, len(data))]
    for place in places:
        out, error = inflate(data[:place], compression)
        assert error is not None, place
        assert error.reason in ("truncated", "unreadable")
        assert out == reachable(data[:place], compression), place


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_headers_cut_by_reads(step):
    """The walk over Zstandard headers does not care where reads fall."""

    class Drip(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            return super().read(min(step, size))

    data = SKIPPABLE + zst(TEXT[:3000]) + SKIPPABLE + streamed_zst(TEXT[3000:9000], write_checksum=True) + zst(b"")
    for place in range(0, len(data) + 1, 1 if step == 7 else 97):
        frames = streams._Frames(Drip(data[:place]))
        passed = b"".join(iter(lambda: frames.read(1 << 16), b""))  # noqa: B023
        assert passed == data[:place]
        whole = place in borders(data)
        assert (frames.problem == "") == whole, place


def borders(data: bytes) -> set[int]:
    """Where frames of `data` end, found by decoding."""
    ends = {0}
    at = 0
    while at < len(data):
        if data[at : at + 4] == SKIPPABLE[:4]:
            at += len(SKIPPABLE)
        else:
            decoder = zstandard.ZstdDecompressor().decompressobj()
            decoder.decompress(data[at:])
            assert decoder.eof
            at = len(data) - len(decoder.unused_data)
        ends.add(at)
    return ends


@pytest.mark.parametrize(
    "garbage", [b"x", b"{}", b"garbage", b"\x1f", b"\x28\xb5\x2f", b"\0\0\0\0\0garbage", b"P" * (1 << 19)]
)
def test_trailing_garbage(maker, garbage):
    compression, make = maker
    out, error = inflate(make(TEXT) + garbage, compression)
    assert out == TEXT
    assert error is not None
    assert error.reason == "truncated"


def test_not_compressed_at_all():
    for compression in ("gz", "zst"):
        out, error = inflate(b'{"text": "plain"}\n' * 1000, compression)
        assert (out, error.reason) == (b"", "unreadable")


@pytest.mark.parametrize("place", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_corruption_keeps_what_came_before(place):
    data = bytearray(gz(TEXT))
    at = int(len(data) * place)
    data[at : at + 40] = bytes(byte ^ 0xFF for byte in data[at : at + 40])
    out, error = inflate(bytes(data), "gz")
    sound = zlib.decompressobj(wbits=31).decompress(bytes(data[: at - 8]))
    assert error is not None
    assert out.startswith(sound)
    assert "decompressed bytes" in error.detail


def test_wrong_checksum_is_told():
    for data, compression in ((gz(TEXT), "gz"), (zst(TEXT, write_checksum=True), "zst")):
        broken = bytearray(data)
        broken[-5 if compression == "gz" else -1] ^= 1
        out, error = inflate(bytes(broken), compression)
        assert error is not None
        assert TEXT.startswith(out)
        assert len(out) >= len(TEXT) - 1


def test_corrupt_zstd_block_keeps_the_blocks_before():
    data = bytearray(streamed_zst(TEXT, write_checksum=True))
    at = len(data) * 3 // 4
    data[at : at + 400] = RNG.randbytes(400)
    out, error = inflate(bytes(data), "zst")
    assert error is not None
    sound = reachable(bytes(data[:at]), "zst")
    assert len(sound) > 0
    assert out.startswith(sound)


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_bomb_in_bounded_memory(compression):
    size = 200 << 20
    zeros = bytes(1 << 20)
    if compression == "gz":
        compressor = zlib.compressobj(9, wbits=31)
    else:
        compressor = zstandard.ZstdCompressor(level=19).compressobj()
    data = b"".join(compressor.compress(zeros) for _ in range(size >> 20)) + compressor.flush()
    assert len(data) < size // 500
    tracemalloc.start()
    buffer = bytearray(1 << 16)
    seen = 0
    with Inflated(decompress(lambda: io.BytesIO(data), compression)) as reader:
        while count := reader.readinto(buffer):
            seen += count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == size
    assert peak < 8 << 20


def test_window_over_the_limit_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(TEXT) + compressor.flush()
    out, error = inflate(data, "zst")
    assert out == b""
    assert error is not None
    assert "window of 256 MiB, more than 128 MiB" in error.detail
    assert "--long=27" in error.detail


def test_window_at_the_limit_is_read():
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert inflate(compressor.compress(TEXT) + compressor.flush(), "zst") == (TEXT, None)


def test_without_isal(monkeypatch):
    monkeypatch.setattr(streams, "_fast", zlib)
    assert inflate(gz(TEXT) + gz(TEXT), "gz") == (TEXT + TEXT, None)
    out, error = inflate(gz(TEXT)[:1000], "gz")
    assert out == reachable(gz(TEXT)[:1000], "gz")
    assert error is not None


@settings(max_examples=some(60), deadline=None)
@given(
    parts=st.lists(st.binary(max_size=300), max_size=6),
    compression=st.sampled_from(["gz", "zst"]),
    cut=st.integers(0, 4000),
    step=st.integers(1, 500),
)
def test_any_stream_any_cut(parts, compression, cut, step):
    make = gz if compression == "gz" else zst
    data = b"".join(make(part) for part in parts)
    out, error = inflate(data[:cut], compression, step)
    assert b"".join(parts).startswith(out)
    if cut >= len(data):
        assert (out, error) == (b"".join(parts), None)
