"""Sets of words and of phrases that kernels look up by their bytes, whatever the number of entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.interning import SEED, hash_bytes
from corpuscurate.kernels.text.unicode import Int


class PhraseSet(NamedTuple):
    """Distinct phrases. offsets: int64[n + 1], data: uint8[...]. slots: int32[power of two], number plus 1 or 0.
    hashes: uint64[n]. words: int64[...], the different numbers of words that phrases have, ascending. longest: the
    greatest number of bytes. seed: of the hashes."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    slots: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    words: NDArray[np.int64]
    longest: int
    seed: np.uint64


def phrase_set(phrases: Sequence[str]) -> PhraseSet:
    """The set of the phrases, whose words are parted by single spaces."""
    encoded = sorted({phrase.encode() for phrase in phrases if phrase})
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded) + bytes(8), np.uint8)
    slots = np.zeros(1 << max(2 * len(encoded) - 1, 1).bit_length(), np.int32)
    hashes = np.zeros(len(encoded), np.uint64)
    for number in range(len(encoded)):
        hashes[number] = hash_bytes(data, offsets[number], offsets[number + 1], SEED)
        slot = int(hashes[number]) & (len(slots) - 1)
        while slots[slot]:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = number + 1
    words = np.array(sorted({1 + phrase.count(b" ") for phrase in encoded}), np.int64)
    return PhraseSet(offsets, data, slots, hashes, words, max(map(len, encoded), default=0), SEED)


@uncounted
def has_phrase(phrases: PhraseSet, data: NDArray[np.uint8], start: Int, stop: Int) -> bool:
    """Whether data[start:stop] is one of the phrases."""
    size = stop - start
    if size > phrases.longest or size == 0:
        return False
    key = hash_bytes(data, start, stop, phrases.seed)
    mask = np.uint64(len(phrases.slots) - 1)
    slot = key & mask
    while phrases.slots[slot]:
        number = np.int64(phrases.slots[slot]) - 1
        begin = phrases.offsets[number]
        if phrases.hashes[number] == key and phrases.offsets[number + 1] - begin == size:
            at: Int = 0
            while at < size and data[start + at] == phrases.data[begin + at]:
                at += 1
            if at == size:
                return True
        slot = (slot + np.uint64(1)) & mask
    return False
