"""Naive Bayes over n-grams of bytes, found by a finite automaton (Lui and Baldwin 2011, 2012: langid.py).

The automaton is that of Aho and Corasick: its state after a byte depends on the last few bytes alone, the depth of the
automaton. So a text is walked in LANES pieces at once, each begun `depth` bytes early: one walk would wait for the
memory at each byte.

log p(text, c) = prior[c] + sum over features f of log1p(count of f) * table[f, c]. The table holds log probabilities as
whole numbers of one scale, so features that are seen equally often are added as integers: the sum depends on no order,
and is nearer to the true one than that of floats.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.simd.rows import add_sixteen, prefetch
from corpuscurate.kernels.text.unicode import Int

LANES = 4
LANE_BYTES = 16
"""Shorter pieces are not worth their beginning."""
COUNTS = 256
"""Features that are seen as often or more are added one by one."""
AHEAD = 8
"""How many rows ahead one is asked for."""
_S32 = np.uint64(32)
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_NEGLIGIBLE = -40.0


class ByteNgrams(NamedTuple):
    """A model. moves: uint32[rows * 256], the next state. states: uint64[n], (feature + 1) << 32 | first index of the
    state's row in `moves`; feature + 1 = 0: none. depth: bytes that a state depends on at most. table:
    int16[features * width], log probabilities times `scale`; width is a multiple of 16, and the sum of any four is an
    int16. prior: float64[classes]."""

    moves: NDArray[np.uint32]
    states: NDArray[np.uint64]
    depth: int
    table: NDArray[np.int16]
    width: int
    scale: float
    prior: NDArray[np.float64]


class Scratch(NamedTuple):
    """Scratch of `byte_ngram_scores`. counts: uint32[features], 0 between texts. seen: int32[features]. ordered:
    int32[features], sorted by count. starts: int64[COUNTS + 2]. sums: int32[width]. zeros: a row of 0 at the end of the
    table."""

    counts: NDArray[np.uint32]
    seen: NDArray[np.int32]
    ordered: NDArray[np.int32]
    starts: NDArray[np.int64]
    sums: NDArray[np.int32]


@inlined
def _counted(state: np.uint64, n: Int, counts: NDArray[np.uint32], seen: NDArray[np.int32]) -> Int:
    """Count the feature of a state, if it has one; how many different ones there are now."""
    feature = state >> _S32
    if feature:
        k = feature - _ONE
        seen[n] = k
        n += np.int64(counts[k] == 0)
        counts[k] += np.uint32(1)
    return n


@uncounted
def _walk(
    data: NDArray[np.uint8], start: Int, stop: Int, m: ByteNgrams, counts: NDArray[np.uint32], seen: NDArray[np.int32]
) -> Int:
    """Count the features of data[start:stop]. Returns how many different ones there are."""
    n: Int = 0
    size = stop - start
    moves, states = m.moves, m.states
    first = states[0] & _LOW32
    if size < LANES * max(LANE_BYTES, m.depth):
        one = first
        for i in range(np.uint64(start), np.uint64(stop)):
            state = states[moves[one + np.uint64(data[i])]]
            one = state & _LOW32
            n = _counted(state, n, counts, seen)
        return n
    piece = np.uint64(size // LANES)
    depth = np.uint64(m.depth)
    a = np.uint64(start)
    b, c, d, end = a + piece, a + piece * np.uint64(2), a + piece * np.uint64(3), np.uint64(stop)
    one = two = three = four = first
    for back in range(depth):  # the states before each piece, without counting
        two = states[moves[two + np.uint64(data[b - depth + back])]] & _LOW32
        three = states[moves[three + np.uint64(data[c - depth + back])]] & _LOW32
        four = states[moves[four + np.uint64(data[d - depth + back])]] & _LOW32
    for i in range(piece):
        s1 = states[moves[one + np.uint64(data[a + i])]]
        s2 = states[moves[two + np.uint64(data[b + i])]]
        s3 = states[moves[three + np.uint64(data[c + i])]]
        s4 = states[moves[four + np.uint64(data[d + i])]]
        one, two, three, four = s1 & _LOW32, s2 & _LOW32, s3 & _LOW32, s4 & _LOW32
        for state in (s1, s2, s3, s4):
            n = _counted(state, n, counts, seen)
    for i in range(d + piece, end):
        state = states[moves[four + np.uint64(data[i])]]
        four = state & _LOW32
        n = _counted(state, n, counts, seen)
    return n


@uncounted
def _sort(n: Int, s: Scratch) -> Int:
    """Order the seen features by count, from 1 to COUNTS (and more), in `ordered`; ends of the groups in `starts`.
    Returns the greatest count."""
    most: Int = 0
    for k in range(n):
        most = max(most, np.int64(s.counts[np.uint64(s.seen[k])]))
    most = min(most, np.int64(COUNTS))
    for c in range(most + 2):
        s.starts[c] = 0
    for k in range(n):
        s.starts[min(np.int64(s.counts[np.uint64(s.seen[k])]), most) + 1] += 1
    for c in range(1, most + 2):
        s.starts[c] += s.starts[c - 1]
    for k in range(n):
        feature = s.seen[k]
        count = min(np.int64(s.counts[np.uint64(feature)]), most)
        s.ordered[s.starts[count]] = feature
        s.starts[count] += 1  # at the end: the end of each group
    return most


@uncounted
def _ask(m: ByteNgrams, feature: Int) -> Int:
    at = feature * m.width
    for j in range(0, m.width, 32):
        prefetch(m.table, at + j)
    return at


@uncounted
def _add_group(
    first: Int, last: Int, end: Int, weight: float, m: ByteNgrams, s: Scratch, out: NDArray[np.float64]
) -> Int:
    """Add weight times the sum of the rows of ordered[first:last]. end: of all that will be asked for."""
    zeros = np.int64(len(m.table)) - m.width  # the row of zeros
    for j in range(m.width):
        s.sums[j] = 0
    k = first
    while k < last:
        stop = min(np.int64(k + AHEAD + 4), np.int64(end))
        for ahead in range(k + AHEAD, stop):
            _ask(m, np.int64(s.ordered[ahead]))
        one = np.int64(s.ordered[k]) * m.width
        two = np.int64(s.ordered[k + 1]) * m.width if k + 1 < last else zeros
        three = np.int64(s.ordered[k + 2]) * m.width if k + 2 < last else zeros
        four = np.int64(s.ordered[k + 3]) * m.width if k + 3 < last else zeros
        for j in range(0, m.width, 16):
            add_sixteen(m.table, one + j, two + j, three + j, four + j, s.sums, j)
        k += 4
    for j in range(len(out)):
        out[j] += weight * np.float64(s.sums[j])
    return last - first


@uncounted
def _posterior(n: Int, m: ByteNgrams, s: Scratch, logs: NDArray[np.float64], out: NDArray[np.float64]) -> Int:
    """log p(text, c) of each class, from the counts of n seen features; these counts are 0 then."""
    for j in range(len(out)):
        out[j] = 0.0
    most = _sort(n, s)
    for k in range(min(n, AHEAD)):
        _ask(m, np.int64(s.ordered[k]))
    first: Int = 0
    for count in range(1, min(most, COUNTS - 1) + 1):
        last = s.starts[count]
        if last > first:
            _add_group(first, last, n, logs[count], m, s, out)
            first = last
    for k in range(first, n):
        feature = np.int64(s.ordered[k])
        _add_group(k, k + 1, n, math.log1p(np.float64(s.counts[np.uint64(feature)])), m, s, out)
    for k in range(n):
        s.counts[np.uint64(s.seen[k])] = np.uint32(0)
    for j in range(len(out)):
        out[j] = out[j] / m.scale + m.prior[j]
    return n


@uncounted
def _probabilities(
    scores: NDArray[np.float64], size: Int, label_of: NDArray[np.int64], out: NDArray[np.float64]
) -> Int:
    """Softmax of scores / sqrt(size), the classes of one label added up. Returns the number of labels."""
    for k in range(len(out)):
        out[k] = 0.0
    highest = scores[0]
    for j in range(1, len(scores)):
        highest = max(highest, scores[j])
    scale = 1.0 / math.sqrt(np.float64(max(size, 1)))
    total = 0.0
    for j in range(len(scores)):
        x = (scores[j] - highest) * scale
        if x > _NEGLIGIBLE:
            p = math.exp(x)
            total += p
            out[label_of[j]] += p
    for k in range(len(out)):
        out[k] /= total
    return len(out)


@uncounted
def best_two(p: NDArray[np.float64]) -> tuple[Int, Int]:
    """The indices of the greatest and the second value, the first of equal ones; second -1 where it is 0."""
    one: Int = 0
    two: Int = -1
    for k in range(1, len(p)):
        if p[k] > p[one]:
            two = one
            one = k
        elif two < 0 or p[k] > p[two]:
            two = k
    if two >= 0 and p[two] <= 0.0:
        two = -1
    return one, two


@kernel
def byte_ngram_scores(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    m: ByteNgrams,
    label_of: NDArray[np.int64],
    labels: int,
    out_labels: NDArray[np.int64],
    out_scores: NDArray[np.float64],
) -> int:
    """The two most probable labels of each text data[starts[i]:stops[i]], with their probabilities.

    label_of: int64[classes], 0..labels-1. out_labels: int64[n, 2], -1: none. out_scores: float64[n, 2]. A text without
    any feature has the labels -1 and score 0. Returns n.
    """
    features = len(m.table) // m.width
    longest = 0
    for row in range(len(starts)):
        longest = max(longest, stops[row] - starts[row])
    room = min(longest, features) + AHEAD + 1
    s = Scratch(
        np.zeros(features, np.uint32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(COUNTS + 2, np.int64),
        np.empty(m.width, np.int32),
    )
    logs = np.empty(COUNTS, np.float64)
    for count in range(COUNTS):
        logs[count] = math.log1p(np.float64(count))
    scores, p = np.empty(len(m.prior), np.float64), np.empty(labels, np.float64)
    _score_all(starts, stops, data, m, s, logs, label_of, scores, p, out_labels, out_scores)
    return len(starts)


@uncounted
def _score_all(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    m: ByteNgrams,
    s: Scratch,
    logs: NDArray[np.float64],
    label_of: NDArray[np.int64],
    scores: NDArray[np.float64],
    p: NDArray[np.float64],
    out_labels: NDArray[np.int64],
    out_scores: NDArray[np.float64],
) -> Int:
    """`byte_ngram_scores` with its scratch."""
    for row in range(len(starts)):
        n = _walk(data, starts[row], stops[row], m, s.counts, s.seen)
        out_labels[row, 0] = out_labels[row, 1] = -1
        out_scores[row, 0] = out_scores[row, 1] = 0.0
        if n == 0:
            continue
        _posterior(n, m, s, logs, scores)
        _probabilities(scores, stops[row] - starts[row], label_of, p)
        one, two = best_two(p)
        out_labels[row, 0] = one
        out_scores[row, 0] = p[one]
        if two >= 0:
            out_labels[row, 1] = two
            out_scores[row, 1] = p[two]
    return len(starts)
