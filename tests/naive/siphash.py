"""SipHash-2-4 with a 128-bit result, from the paper and the reference's `outlen == 16` branches, in plain Python."""

from __future__ import annotations

MASK = (1 << 64) - 1


def rotl(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & MASK


def sip_round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & MASK
    v[2] = (v[2] + v[3]) & MASK
    v[1] = rotl(v[1], 13) ^ v[0]
    v[3] = rotl(v[3], 16) ^ v[2]
    v[0] = rotl(v[0], 32)
    v[2] = (v[2] + v[1]) & MASK
    v[0] = (v[0] + v[3]) & MASK
    v[1] = rotl(v[1], 17) ^ v[2]
    v[3] = rotl(v[3], 21) ^ v[0]
    v[2] = rotl(v[2], 32)


def siphash128(key: bytes, message: bytes) -> bytes:
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:], "little")
    v = [k0 ^ int.from_bytes(word, "big") for word in (b"somepseu", b"lygenera")]
    v = [v[0], k1 ^ int.from_bytes(b"dorandom", "big"), v[1], k1 ^ int.from_bytes(b"tedbytes", "big")]
    v[1] ^= 0xEE
    whole = len(message) // 8 * 8
    tail = message[whole:] + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for at in range(0, whole + 8, 8):
        word = int.from_bytes((message[:whole] + tail)[at : at + 8], "little")
        v[3] ^= word
        for _ in range(2):
            sip_round(v)
        v[0] ^= word
    v[2] ^= 0xEE
    for _ in range(4):
        sip_round(v)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    for _ in range(4):
        sip_round(v)
    second = v[0] ^ v[1] ^ v[2] ^ v[3]
    return first.to_bytes(8, "little") + second.to_bytes(8, "little")
