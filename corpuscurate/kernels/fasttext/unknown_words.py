"""Words that a fastText model's dictionary lacks: the rows of their character n-grams, summed word by word.

A word's sum is formed by itself, in float32, and only then added to the document's: so it may be remembered, and
whether it was changes no bit of the result. Words repeat: of 248,000 unknown ones in 9,500 documents of 60 languages
two fifths had been there before. And n-gram rows lie all over a table larger than the caches: they are asked for as
soon as their numbers are known, and summed some words later, when they have come.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.fasttext.words import BLOCK, Vocabulary, bracketed, eight, spot, subwords
from corpuscurate.kernels.simd.rows import add_eight, prefetch
from corpuscurate.kernels.text.unicode import Int

GROUP = 32
"""Words whose rows are on their way at once."""
MEMORY = 1 << 13
"""Slots for words that are remembered. The bytes of a word decide which one it may take."""
SHORT = 16
"""Only words of fewer bytes are remembered: two numbers hold all of such a word."""


class Unknown(NamedTuple):
    """Scratch of `add_unknown`. token: uint8[longest document + 3]. ids: int32[(GROUP + 1) * (BLOCK + maxn + 1)], rows
    of n-grams. Of the words whose rows are on their way: first, last: int64[GROUP], the range of each one in `ids`;
    slots: int64[GROUP], where to remember it, -1: nowhere; word_keys: uint64[GROUP, 2], its bytes; sums:
    float32[(GROUP + 1) * width]. Of those remembered: keys: uint64[MEMORY, 2], zeros where there is none; remembered:
    float32[MEMORY * width]; sizes: int64[MEMORY], n-grams."""

    token: NDArray[np.uint8]
    ids: NDArray[np.int32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    slots: NDArray[np.int64]
    word_keys: NDArray[np.uint64]
    sums: NDArray[np.float32]
    keys: NDArray[np.uint64]
    remembered: NDArray[np.float32]
    sizes: NDArray[np.int64]


@uncounted
def add_unknown(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    entries: NDArray[np.int64],
    size: Int,
    v: Vocabulary,
    table: NDArray[np.float32],
    width: Int,
    u: Unknown,
    out: NDArray[np.float64],
) -> Int:
    """Add the sums of the unknown ones of `size` words to out, float64[width], one after the other.

    Words are data[starts[t]:stops[t]]; known where entries[t] >= 0, empty for the end of a text. table: float32[rows *
    width]. Returns how many n-grams were added.
    """
    mask = np.int64(MEMORY - 1)
    most = v.maxn - max(v.minn, 1) + 1
    count: Int = 0
    group: Int = 0
    n: Int = 0
    for t in range(size):
        start, stop = starts[t], stops[t]
        if entries[t] >= 0 or start == stop:
            continue
        slot: Int = -1
        if stop - start < SHORT:
            one = eight(data, start, stop)
            two = eight(data, start + 8, stop)
            slot = spot(one, two, mask)
            u.word_keys[group, 0] = one
            u.word_keys[group, 1] = two
            if u.keys[slot, 0] == one and u.keys[slot, 1] == two:
                for j in range(width):
                    u.sums[group * width + j] = u.remembered[slot * width + j]
                count += u.sizes[slot]
                u.first[group] = u.last[group] = 0
                u.slots[group] = -1
                group += 1
                if group == GROUP:
                    _finish(group, table, width, u, out)
                    group = n = 0
                continue
        length = bracketed(data, start, stop, u.token)
        u.slots[group] = slot
        if length * most > BLOCK:
            count += _sum_long(v, length, table, width, group, u, n)
            u.first[group] = u.last[group] = 0
            u.slots[group] = -1  # its size stands nowhere: it is not remembered
        else:
            _, after = subwords(v, u.token, length, 0, u.ids, n, len(u.ids))
            ask_rows(table, width, u.ids, n, after)
            u.first[group] = n
            u.last[group] = after
            count += after - n
            if after == n:
                for j in range(width):
                    u.sums[group * width + j] = 0.0
            n = after
        group += 1
        if group == GROUP:
            _finish(group, table, width, u, out)
            group = n = 0
    _finish(group, table, width, u, out)
    return count


@uncounted
def ask_rows(rows: NDArray[np.float32], width: Int, ids: NDArray[np.int32], first: Int, last: Int) -> int:
    """Ask for the rows ids[first:last], line by line of the cache. rows: float32[rows * width]."""
    for k in range(first, last):
        at = np.int64(ids[k]) * width
        for j in range(0, width, 16):
            prefetch(rows, at + j)
        prefetch(rows, at + width - 1)
    return 0


@uncounted
def _finish(group: Int, table: NDArray[np.float32], width: Int, u: Unknown, out: NDArray[np.float64]) -> int:
    """Sum the rows of a group of words, remember the sums, and add them."""
    for g in range(group):
        if u.first[g] < u.last[g]:
            sum_rows(table, width, u.ids, u.first[g], u.last[g], g * width, u.sums)
        slot = u.slots[g]
        if slot >= 0:
            u.keys[slot, 0] = u.word_keys[g, 0]
            u.keys[slot, 1] = u.word_keys[g, 1]
            u.sizes[slot] = u.last[g] - u.first[g]
            for j in range(width):
                u.remembered[slot * width + j] = u.sums[g * width + j]
        for j in range(width):
            out[j] += u.sums[g * width + j]
    return 0


@uncounted
def sum_rows(
    rows: NDArray[np.float32], width: Int, ids: NDArray[np.int32], first: Int, last: Int, at: Int,
    out: NDArray[np.float32],
) -> int:  # fmt: skip
    """The sum of the rows ids[first:last] into out[at:at + width], in float32: four rows at a time, the rest one by
    one."""
    w = np.uint64(width)
    base = np.uint64(at)
    for j in range(w):
        out[base + j] = 0.0
    even = width & ~7
    k = first
    while k + 4 <= last:
        one = np.int64(ids[k]) * width
        two = np.int64(ids[k + 1]) * width
        three = np.int64(ids[k + 2]) * width
        four = np.int64(ids[k + 3]) * width
        for j in range(0, even, 8):
            add_eight(rows, one + j, two + j, three + j, four + j, out, at + j)
        for j in range(np.uint64(even), w):
            out[base + j] += (rows[np.uint64(one) + j] + rows[np.uint64(two) + j]) + (
                rows[np.uint64(three) + j] + rows[np.uint64(four) + j]
            )
        k += 4
    while k < last:
        one = np.int64(ids[k]) * width
        for j in range(w):
            out[base + j] += rows[np.uint64(one) + j]
        k += 1
    return 0


@uncounted
def _sum_long(
    v: Vocabulary, length: Int, table: NDArray[np.float32], width: Int, g: Int, u: Unknown, n: Int
) -> Int:  # fmt: skip
    """The sum of a word of more than BLOCK n-grams, block by block, into sums[g * width:]. n: ids in use by others.
    Returns how many n-grams."""
    count: Int = 0
    at: Int = 0
    spare = GROUP * width
    for j in range(width):
        u.sums[g * width + j] = 0.0
    while at < length:
        at, after = subwords(v, u.token, length, at, u.ids, n, n + BLOCK + v.maxn)
        ask_rows(table, width, u.ids, n, after)
        count += after - n
        if after > n:
            sum_rows(table, width, u.ids, n, after, spare, u.sums)
            for j in range(width):
                u.sums[g * width + j] += u.sums[spare + j]
    return count
