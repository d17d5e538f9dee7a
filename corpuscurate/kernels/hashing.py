"""Hashes: SipHash-2-4 with 128 bits for contents, and 64-bit mixers for words and shingles.

Why SipHash for contents: a document is dropped when its hash equals another's, so whoever writes text that ends up in
a corpus must not be able to make two documents of his choice collide. For MurmurHash, xxHash and polynomial hashes
such pairs are written down in microseconds, whatever the length of the hash. SipHash is a keyed function whose
internal state of 256 bits resists the differentials that break those, and 128 bits leave the chance of an accidental
collision among 10^12 documents below 10^-14. The key is public and fixed (`KEY`), because results must repeat: this
is the key of the reference test vectors. A public key means that SipHash's proof-like claims, which are about a secret
key, do not apply; no practical collision attack is known for it either.

Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 128-bit variant is that of the authors'
reference code (github.com/veorq/SipHash, `siphash.c`, outlen 16). Speed: above 1 GB/s a core.

The mixers are those of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's Mix13): bijections of 64 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

KEY = (np.uint64(0x0706050403020100), np.uint64(0x0F0E0D0C0B0A0908))
"""The key 00 01 .. 0f, as two little-endian words."""

HASH_VERSION = 1
"""Raise it when any hash of this file changes: stored sketches are then not comparable."""

_V0 = np.uint64(0x736F6D6570736575)
_V1 = np.uint64(0x646F72616E646F6D)
_V2 = np.uint64(0x6C7967656E657261)
_V3 = np.uint64(0x7465646279746573)
_EE = np.uint64(0xEE)
_DD = np.uint64(0xDD)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)


@uncounted
def mix64(x: np.uint64) -> np.uint64:
    """A bijection of 64 bits in which every output bit depends on every input bit (SplitMix64's finaliser)."""
    x = (x ^ (x >> _S30)) * _MIX1
    x = (x ^ (x >> _S27)) * _MIX2
    return x ^ (x >> _S31)


@uncounted
def load64(data: NDArray[np.uint8], i: int) -> np.uint64:
    """The 8 bytes from index `i` >= 0 as a little-endian number; LLVM makes one load of it."""
    at = np.uint64(i)  # unsigned: Numba then leaves out the branch for negative indices
    low = (
        np.uint64(data[at])
        | np.uint64(data[at + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[at + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[at + np.uint64(3)]) << np.uint64(24)
    )
    high = (
        np.uint64(data[at + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[at + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[at + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[at + np.uint64(7)]) << np.uint64(56)
    )
    return low | high


@uncounted
def _rotl(x: np.uint64, by: int) -> np.uint64:
    return x << np.uint64(by) | x >> np.uint64(64 - by)


@uncounted
def _round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """SipRound, figure 2.1 of the paper."""
    v0 += v1
    v1 = _rotl(v1, 13) ^ v0
    v0 = _rotl(v0, 32)
    v2 += v3
    v3 = _rotl(v3, 16) ^ v2
    v0 += v3
    v3 = _rotl(v3, 21) ^ v0
    v2 += v1
    v1 = _rotl(v1, 17) ^ v2
    v2 = _rotl(v2, 32)
    return v0, v1, v2, v3


@uncounted
def siphash128(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    key0: np.uint64,
    key1: np.uint64,
    out_first: NDArray[np.uint64],
    out_second: NDArray[np.uint64],
) -> int:
    """SipHash-2-4-128 of each row's bytes. Returns n.

    out_first, out_second: uint64[n], bytes 0..7 and 8..15 of the hash, each read as little-endian.
    """
    for row in range(len(offsets) - 1):
        start = offsets[row]
        stop = offsets[row + 1]
        v0 = key0 ^ _V0
        v1 = key1 ^ _V1 ^ _EE
        v2 = key0 ^ _V2
        v3 = key1 ^ _V3
        i = start
        while i + 8 <= stop:
            word = load64(data, i)
            v3 ^= word
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0 ^= word
            i += 8
        last = np.uint64(stop - start) << np.uint64(56)  # the length modulo 256 on top of the bytes left over
        for j in range(stop - i):
            last |= np.uint64(data[i + j]) << np.uint64(8 * j)
        v3 ^= last
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= last
        v2 ^= _EE
        for _ in range(4):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        out_first[row] = v0 ^ v1 ^ v2 ^ v3
        v1 ^= _DD
        for _ in range(4):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        out_second[row] = v0 ^ v1 ^ v2 ^ v3
    return len(offsets) - 1
