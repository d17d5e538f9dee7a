"""SHA-1 and xxHash32 of short byte strings, of which 32 bits are used: for signatures that other programs can read.

SHA-1: FIPS 180-4, section 6.1. xxHash32: github.com/Cyan4973/xxHash, doc/xxhash_spec.md, with seed 0.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

Int: TypeAlias = int | np.int64

SHA1 = 0
XXH32 = 1
"""Which hash."""

_H0, _H1, _H2 = np.uint32(0x67452301), np.uint32(0xEFCDAB89), np.uint32(0x98BADCFE)
_H3, _H4 = np.uint32(0x10325476), np.uint32(0xC3D2E1F0)
_K0, _K1 = np.uint32(0x5A827999), np.uint32(0x6ED9EBA1)
_K2, _K3 = np.uint32(0x8F1BBCDC), np.uint32(0xCA62C1D6)
_P1, _P2, _P3 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_P4, _P5 = np.uint32(0x27D4EB2F), np.uint32(0x165667B1)


@uncounted
def _rotl(x: np.uint32, by: int) -> np.uint32:
    return np.uint32(x << np.uint32(by)) | np.uint32(x >> np.uint32(32 - by))


@uncounted
def _swapped(x: np.uint32) -> np.uint32:
    """The four bytes in reverse order."""
    high = np.uint32(x << np.uint32(24)) | np.uint32((x & np.uint32(0xFF00)) << np.uint32(8))
    return high | np.uint32(x >> np.uint32(8) & np.uint32(0xFF00)) | np.uint32(x >> np.uint32(24))


@uncounted
def _sha1_block(w: NDArray[np.uint32], state: NDArray[np.uint32]) -> None:
    """One block, FIPS 180-4 section 6.1.2; w: uint32[80], the first 16 filled."""
    for i in range(16, 80):
        w[i] = _rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1)
    a, b, c, d, e = state[0], state[1], state[2], state[3], state[4]
    for i in range(80):
        if i < 20:
            f = np.uint32(b & c | ~b & d) + _K0
        elif i < 40:
            f = np.uint32(b ^ c ^ d) + _K1
        elif i < 60:
            f = np.uint32(b & c | b & d | c & d) + _K2
        else:
            f = np.uint32(b ^ c ^ d) + _K3
        total = np.uint32(_rotl(a, 5) + np.uint32(f) + e + w[i])
        e = d
        d = c
        c = _rotl(b, 30)
        b = a
        a = total
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e


@uncounted
def sha1_32(data: NDArray[np.uint8], start: Int, stop: Int, work: NDArray[np.uint32]) -> np.uint32:
    """The first four bytes of the SHA-1 of bytes start..stop-1, as a little-endian number. work: uint32[85]."""
    w = work[:80]
    state = work[80:]
    state[0], state[1], state[2], state[3], state[4] = _H0, _H1, _H2, _H3, _H4
    size = stop - start
    for block in range(0, size + 9, 64):
        for j in range(16):
            word = np.uint32(0)
            for b in range(4):
                at = block + 4 * j + b
                byte = np.uint32(0)
                if at < size:
                    byte = np.uint32(data[start + at])
                elif at == size:
                    byte = np.uint32(0x80)
                word = np.uint32(word << np.uint32(8)) | byte
            w[j] = word
        if block + 64 >= size + 9:
            w[14] = np.uint32(size >> 29)
            w[15] = np.uint32(size << 3 & 0xFFFFFFFF)
        _sha1_block(w, state)
    return _swapped(state[0])


@uncounted
def _load32(data: NDArray[np.uint8], i: Int) -> np.uint32:
    return np.uint32(
        np.uint32(data[i])
        | np.uint32(data[i + 1]) << np.uint32(8)
        | np.uint32(data[i + 2]) << np.uint32(16)
        | np.uint32(data[i + 3]) << np.uint32(24)
    )


@uncounted
def _xx_round(lane: np.uint32, word: np.uint32) -> np.uint32:
    return np.uint32(_rotl(np.uint32(lane + np.uint32(word * _P2)), 13) * _P1)


@uncounted
def xxh32(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint32:
    """XXH32 with seed 0 of bytes start..stop-1."""
    i = start
    if stop - start >= 16:
        v1 = np.uint32(_P1 + _P2)
        v2 = _P2
        v3 = np.uint32(0)
        v4 = np.uint32(np.uint32(0) - _P1)
        while i + 16 <= stop:
            v1 = _xx_round(v1, _load32(data, i))
            v2 = _xx_round(v2, _load32(data, i + 4))
            v3 = _xx_round(v3, _load32(data, i + 8))
            v4 = _xx_round(v4, _load32(data, i + 12))
            i += 16
        h = np.uint32(_rotl(v1, 1) + _rotl(v2, 7) + _rotl(v3, 12) + _rotl(v4, 18))
    else:
        h = _P5
    h = np.uint32(h + np.uint32(stop - start))
    while i + 4 <= stop:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(_load32(data, i) * _P3)), 17) * _P4)
        i += 4
    while i < stop:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(np.uint32(data[i]) * _P5)), 11) * _P1)
        i += 1
    h = np.uint32((h ^ h >> np.uint32(15)) * _P2)
    h = np.uint32((h ^ h >> np.uint32(13)) * _P3)
    return np.uint32(h ^ h >> np.uint32(16))
