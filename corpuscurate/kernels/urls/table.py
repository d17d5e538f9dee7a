"""A set of byte strings, of any number, that kernels look up by a hash which grows byte by byte.

A string is hashed forwards, or backwards for hosts, so that every prefix at a border, or every parent of a host, is
looked up in one walk. A filter of 16 bits an entry, which stays in the processor's caches, answers nearly all look-ups;
what passes is compared byte by byte, so no hash decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.text.unicode import Int

START = np.uint64(0xCBF29CE484222325)
"""The hash of nothing."""
_PRIME = np.uint64(0x100000001B3)
_SIX, _63 = np.uint64(6), np.uint64(63)
BITS_AN_ENTRY = 16


class Table(NamedTuple):
    """n distinct strings. offsets: int64[n + 1], data: uint8[...]. hashes: uint64[n]. slots: int32[power of two],
    number plus 1, or 0. filter: uint64[power of two]. backwards: how they are hashed."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    slots: NDArray[np.int32]
    filter: NDArray[np.uint64]
    backwards: bool


def make_table(entries: Sequence[bytes], backwards: bool = False) -> Table:
    """The table of distinct strings, each known by its place."""
    offsets = np.zeros(len(entries) + 1, np.int64)
    np.cumsum([len(entry) for entry in entries], out=offsets[1:])
    data = np.frombuffer(b"".join(entries) or b"\0", np.uint8)
    hashes = np.empty(len(entries), np.uint64)
    slots = np.zeros(1 << max(2 * len(entries), 2).bit_length(), np.int32)
    bits = np.zeros(1 << max(BITS_AN_ENTRY * len(entries) // 64, 1).bit_length(), np.uint64)
    made = Table(offsets, data, hashes, slots, bits, backwards)
    _fill(made)
    for array in made[:5]:
        array.setflags(write=False)
    return made


@uncounted
def grown(state: np.uint64, byte: Int) -> np.uint64:
    """The hash with one byte more."""
    return (state ^ np.uint64(byte)) * _PRIME


@uncounted
def _fill(table: Table) -> None:
    mask = np.uint64(len(table.slots) - 1)
    for number in range(len(table.hashes)):
        start, stop = table.offsets[number], table.offsets[number + 1]
        state = START
        for k in range(stop - start):
            state = grown(state, table.data[stop - 1 - k] if table.backwards else table.data[start + k])
        key = mix64(state)
        table.hashes[number] = key
        bit = key >> np.uint64(32)
        table.filter[bit >> _SIX & np.uint64(len(table.filter) - 1)] |= np.uint64(1) << (bit & _63)
        slot = key & mask
        while table.slots[slot]:
            slot = (slot + np.uint64(1)) & mask
        table.slots[slot] = number + 1


@uncounted
def place_of(table: Table, state: np.uint64, data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """The place of data[start:stop] in the table, or -1. state: its hash."""
    key = mix64(state)
    bit = key >> np.uint64(32)
    if not table.filter[bit >> _SIX & np.uint64(len(table.filter) - 1)] >> (bit & _63) & np.uint64(1):
        return np.int64(-1)
    mask = np.uint64(len(table.slots) - 1)
    slot = key & mask
    while table.slots[slot]:
        number = np.int64(table.slots[slot]) - 1
        begin = table.offsets[number]
        if table.hashes[number] == key and table.offsets[number + 1] - begin == stop - start:
            k: Int = np.int64(0)
            while k < stop - start and table.data[begin + k] == data[start + k]:
                k += 1
            if k == stop - start:
                return number
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)
