"""Scores of a back-off n-gram language model in the form of KenLM's probing hash tables (Heafield 2011).

The tables lie in one image, the file as it is mapped, or what `methods.quality.kenlm_model` makes of an ARPA file.
Places in it are in units of 4 bytes. A word is known by MurmurHash64A of its bytes, an n-gram by a hash of its words
from the last to the first; neither table holds the words themselves, so unequal ones are told apart up to a collision
of 64 bits, as in KenLM. The score of a word is the log10 probability of the longest n-gram that the model has, plus
the back-off weights of the longer contexts, in float32 and in KenLM's order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.text.unicode import Int

MAX_ORDER = 12
VOCABULARY_WIDTH, MIDDLE_WIDTH, LONGEST_WIDTH = 3, 4, 3
"""Units of a table's row: key (2) and number; key, probability and back-off weight; key and probability."""
_M = np.uint64(0xC6A4A7935BD1E995)
_FIRST = np.uint64(8978948897894561157)
_SECOND = np.uint64(17894857484156487943)
_47, _32, _8, _1, _0 = (np.uint64(number) for number in (47, 32, 8, 1, 0))
_NEWLINE = 0x0A


class Tables(NamedTuple):
    """A model. order: the most words in an n-gram, 2 or more. units: uint32[...], the image; floats: the same as
    float32. vocabulary: where its table begins; unigrams: where those begin, two units each. starts: int64[order - 1],
    where the tables of 2 .. order words begin. buckets: uint64[order], rows of the vocabulary's table and of those.
    begin, end: the numbers of <s> and </s>."""

    order: int
    units: NDArray[np.uint32]
    floats: NDArray[np.float32]
    vocabulary: int
    unigrams: int
    starts: NDArray[np.int64]
    buckets: NDArray[np.uint64]
    begin: int
    end: int


@uncounted
def murmur64a(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """MurmurHash64A with seed 0 (Austin Appleby)."""
    value = np.uint64(stop - start) * _M
    while start + 8 <= stop:
        k = load64(data, int(start)) * _M
        k = (k ^ (k >> _47)) * _M
        value = (value ^ k) * _M
        start += 8
    if start < stop:
        last = _0
        for i in range(stop - start):
            last |= np.uint64(data[np.uint64(start + i)]) << np.uint64(8 * i)
        value = (value ^ last) * _M
    value = (value ^ (value >> _47)) * _M
    return value ^ (value >> _47)


@uncounted
def combined(node: np.uint64, word: Int) -> np.uint64:
    """The hash of an n-gram that has one word more in front."""
    return (node * _FIRST) ^ (np.uint64(word + 1) * _SECOND)


@uncounted
def _find(units: NDArray[np.uint32], start: Int, buckets: np.uint64, width: Int, key: np.uint64) -> Int:
    """The place of the row with this key, -1 for none. A table without a free row is searched once around."""
    slot = key % buckets
    for _ in range(buckets):
        at = np.uint64(start) + slot * np.uint64(width)
        there = np.uint64(units[at]) | np.uint64(units[at + _1]) << _32
        if there == key:
            return np.int64(at)
        if there == _0:
            return -1
        slot += _1
        if slot == buckets:
            slot = _0
    return -1


@kernel
def find_word(data: NDArray[np.uint8], units: NDArray[np.uint32], vocabulary: int, buckets: np.uint64) -> int:
    """The number of the word that `data` is, 0 for an unknown one."""
    at = _find(units, vocabulary, buckets, VOCABULARY_WIDTH, murmur64a(data, 0, len(data)))
    return int(units[at + 2]) if at >= 0 else 0


@kernel
def insert_words(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    numbers: NDArray[np.int64],
    start: int,
    buckets: np.uint64,
    units: NDArray[np.uint32],
) -> int:
    """Enter words with their numbers into an empty vocabulary. Returns how many."""
    for row in range(len(numbers)):
        key = murmur64a(data, offsets[row], offsets[row + 1])
        at = _free(units, start, buckets, VOCABULARY_WIDTH, key)
        units[at + 2] = numbers[row]
    return len(numbers)


@uncounted
def _free(units: NDArray[np.uint32], start: Int, buckets: np.uint64, width: Int, key: np.uint64) -> Int:
    """Enter a key; the place of its row."""
    slot = key % buckets
    while True:
        at = np.uint64(start) + slot * np.uint64(width)
        if units[at] == 0 and units[at + _1] == 0:
            units[at] = np.uint32(key & np.uint64(0xFFFFFFFF))
            units[at + _1] = np.uint32(key >> _32)
            return np.int64(at)
        slot += _1
        if slot == buckets:
            slot = _0


@kernel
def insert_ngrams(
    words: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    backoffs: NDArray[np.float32],
    start: int,
    buckets: np.uint64,
    longest: bool,
    units: NDArray[np.uint32],
    floats: NDArray[np.float32],
) -> int:
    """Enter n-grams, int64[rows, n], into an empty table. Returns how many."""
    width = LONGEST_WIDTH if longest else MIDDLE_WIDTH
    for row in range(len(words)):
        at = _free(units, start, buckets, width, _key(words, row, 0))
        floats[at + 2] = probabilities[row]
        if not longest:
            floats[at + 3] = backoffs[row]
    return len(words)


@uncounted
def _key(words: NDArray[np.int64], row: Int, first: Int) -> np.uint64:
    n = words.shape[1]
    node = np.uint64(words[row, n - 1])
    for k in range(n - 2, first - 1, -1):
        node = combined(node, words[row, k])
    return node


@kernel
def mark_extended(
    words: NDArray[np.int64],
    start: int,
    buckets: np.uint64,
    units: NDArray[np.uint32],
    floats: NDArray[np.float32],
) -> int:
    """Mark the n-grams that the last words of longer ones, int64[rows, n + 1], are, as KenLM does: by the sign of their
    probability. Returns the first row whose last n words are not in the table that begins at `start`; -1 for none."""
    for row in range(len(words)):
        at = _find(units, start, buckets, MIDDLE_WIDTH, _key(words, row, 1))
        if at < 0:
            return row
        floats[at + 2] = abs(floats[at + 2])
    return -1


@uncounted
def _score(
    m: Tables,
    word: Int,
    history: NDArray[np.int64],
    weights: NDArray[np.float32],
    fresh: NDArray[np.float32],
    known: Int,
) -> tuple[np.float32, Int]:
    """The log10 probability of a word behind history[:known], the last word first; and how many words of history, this
    one included, the next word has. history and weights, the back-off weights of those contexts, are brought up to it.
    history: int64[MAX_ORDER]; weights, fresh: float32[MAX_ORDER], the last one working memory.
    """
    at = m.unigrams + 2 * word
    score = -abs(m.floats[at])
    node = np.uint64(word)
    fresh[0] = m.floats[at + 1]
    length: Int = 1
    for k in range(known):
        node = combined(node, history[k])
        if k + 2 == m.order:
            row = _find(m.units, m.starts[k], m.buckets[k + 1], LONGEST_WIDTH, node)
            if row >= 0:
                score = -abs(m.floats[row + 2])
                length = k + 2
            break
        row = _find(m.units, m.starts[k], m.buckets[k + 1], MIDDLE_WIDTH, node)
        if row < 0:
            break
        score = -abs(m.floats[row + 2])
        fresh[k + 1] = m.floats[row + 3]
        length = k + 2
    for k in range(length - 1, known):
        score += weights[k]
    kept = min(length, m.order - 1)
    for k in range(kept - 1, 0, -1):
        history[k] = history[k - 1]
    history[0] = word
    for k in range(kept):
        weights[k] = fresh[k]
    return score, kept


@uncounted
def _is_space(byte: Int) -> bool:
    return bool(byte == 0x20 or 0x09 <= byte <= 0x0D)


@kernel
def score_lines(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    m: Tables,
    scores: NDArray[np.float64],
    tokens: NDArray[np.int64],
) -> int:
    """The log10 probability of each document, line by line, each between <s> and </s>; and its tokens, an end of
    sentence for each line among them. Returns n.

    Lines are parted by line feeds; tokens by ASCII white space. scores: float64[n]. tokens: int64[n].
    """
    history = np.empty(MAX_ORDER, np.int64)
    weights = np.empty(MAX_ORDER, np.float32)
    fresh = np.empty(MAX_ORDER, np.float32)
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        total = 0.0
        count = 0
        while True:
            history[0] = m.begin
            weights[0] = m.floats[m.unigrams + 2 * m.begin + 1]
            known: Int = 1
            while i < end and data[i] != _NEWLINE:
                if _is_space(np.int64(data[i])):
                    i += 1
                    continue
                begin = i
                while i < end and not _is_space(np.int64(data[i])):
                    i += 1
                at = _find(m.units, m.vocabulary, m.buckets[0], VOCABULARY_WIDTH, murmur64a(data, begin, i))
                word = np.int64(m.units[at + 2]) if at >= 0 else np.int64(0)
                score, known = _score(m, word, history, weights, fresh, known)
                total += float(score)
                count += 1
            score, known = _score(m, m.end, history, weights, fresh, known)
            total += float(score)
            count += 1
            if i >= end:
                break
            i += 1
        scores[row] = total
        tokens[row] = count
    return len(offsets) - 1
