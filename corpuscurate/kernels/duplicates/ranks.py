"""Sets of document numbers as bits, and the rank of a number in such a set: constant work, where a sorted list needs a
search.

Source: Jacobson 1989, "Space-efficient static trees and graphs": counts of the bits before each word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.duplicates.components import Indices, Int

_SIX = np.uint64(6)
_LOW = np.uint64(63)
_ONE = np.uint64(1)


@uncounted
def population(word: np.uint64) -> np.int64:
    """The bits that are set."""
    x = word - (word >> _ONE & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (x >> np.uint64(2) & np.uint64(0x3333333333333333))
    x = x + (x >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(x * np.uint64(0x0101010101010101) >> np.uint64(56))


@uncounted
def add_numbers(numbers: Indices, words: NDArray[np.uint64]) -> int:
    """Add numbers, each below 64 * len(words), to the set. Returns len(numbers)."""
    for number in numbers:
        words[np.uint64(number) >> _SIX] |= _ONE << (np.uint64(number) & _LOW)
    return len(numbers)


@uncounted
def count_before(words: NDArray[np.uint64], before: NDArray[np.int64]) -> Int:
    """How many numbers of the set lie before each word. before: int64[len(words)]. Returns the size of the set."""
    total: Int = 0
    for i in range(len(words)):
        before[i] = total
        total += population(words[i])
    return total


@uncounted
def list_numbers(words: NDArray[np.uint64], out: NDArray[np.int64]) -> int:
    """The numbers of the set, ascending. out: as long as the set. Returns its size."""
    filled = 0
    for i in range(len(words)):
        word = words[i]
        while word:
            lowest = word & (~word + _ONE)
            out[filled] = 64 * i + population(lowest - _ONE)
            filled += 1
            word ^= lowest
    return filled


@uncounted
def rank_of(number: Int, words: NDArray[np.uint64], before: NDArray[np.int64]) -> Int:
    """How many numbers of the set are below this one."""
    at = np.uint64(number)
    below = words[at >> _SIX] & ((_ONE << (at & _LOW)) - _ONE)
    return np.int64(before[at >> _SIX] + population(below))
