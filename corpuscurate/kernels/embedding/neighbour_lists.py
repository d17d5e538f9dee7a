"""Hot loops over embeddings in whole numbers: bounded lists of neighbours, the rules that decide, sums of clusters.

Cosines are products of stored integer vectors, exact, divided by the root of the product of their squares: two IEEE
operations, so a cosine is the same to the bit wherever it is computed.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel

Int: TypeAlias = int | np.int64

EARLIEST = 16
"""Neighbours kept for a document because they come first in keep order."""
NEAREST = 32
"""Further neighbours kept because they are the nearest."""
LISTED = EARLIEST + NEAREST
BINS = 1000
"""Bins of the histogram of cosines from 0 to 1; the last one holds 1 alone."""
_STRIDE = 64
"""Products that are looked at together."""


@kernel
def collect(
    products: NDArray[np.float32],
    xs: NDArray[np.int64],
    ys: NDArray[np.int64],
    cluster: Int,
    home: NDArray[np.int32],
    probes: NDArray[np.int32],
    squares: NDArray[np.int32],
    floor: float,
    base: Int,
    counts: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    cosines: NDArray[np.float64],
    beyond: NDArray[np.float64],
    unlisted: NDArray[np.float64],
    histogram: NDArray[np.int64],
) -> Int:
    """Enter the pairs of a block of products into the lists of neighbours; returns how many there were.

    products: float32[a, b], whole numbers, of rows xs[i] and ys[j] of a cluster in keep order; xs, ys: ascending. Pairs
    count where the second comes earlier, one of both lives in the cluster, and the cosine is at least floor. A pair
    that two clusters see (each lives in one and visits the other) counts in the lower one. home: int32[n], the cluster
    that a row lives in. probes: int32[n, p], the clusters a row is in, its home first; -1 for none. squares: int32[n].
    base: the row that entry 0 of the lists stands for. Blocks of a row must come with ys ascending. counts: int32[m],
    entries of each list. neighbours: int32[m, LISTED], rows. cosines: float64[m, LISTED]. beyond: float64[m], the
    highest cosine that found no room in a list, 0 where all did. unlisted: float64[n], of each row of the cluster the
    highest cosine with which it found no room in a list. histogram: int64[BINS + 1], pairs by cosine.
    """
    found = 0
    roots = np.empty(len(ys))
    least = np.inf
    for j in range(len(ys)):
        roots[j] = np.sqrt(float(squares[ys[j]]))
        least = min(least, roots[j])
    for i in range(len(xs)):
        x = xs[i]
        lowest = floor * np.sqrt(float(squares[x])) * (1 - 1e-6)
        bound = np.float32(lowest * least * (1 - 1e-6))
        visitor = home[x] != cluster
        slot = x - base
        earlier = np.searchsorted(ys, x)
        for start in range(0, earlier, _STRIDE):
            stop = min(start + _STRIDE, earlier)
            near = 0
            for j in range(start, stop):
                near += products[i, j] >= bound
            if near == 0:  # nearly all: a loop without branches looks at many at once
                continue
            for j in range(start, stop):
                if products[i, j] < lowest * roots[j]:
                    continue
                y = ys[j]
                away = home[y] != cluster
                if visitor and away:
                    continue
                value = float(products[i, j]) / np.sqrt(float(squares[x]) * float(squares[y]))
                if value < floor:
                    continue
                if visitor != away:
                    visiting, living = (x, y) if visitor else (y, x)
                    if home[visiting] < cluster:
                        twice = False
                        for p in range(1, probes.shape[1]):
                            twice |= probes[living, p] == home[visiting]
                        if twice:
                            continue
                found += 1
                histogram[min(BINS, int(value * BINS))] += 1
                _enter(slot, y, value, counts, neighbours, cosines, beyond, unlisted)
    return found


@kernel
def _enter(
    slot: Int,
    y: Int,
    value: float,
    counts: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    cosines: NDArray[np.float64],
    beyond: NDArray[np.float64],
    unlisted: NDArray[np.float64],
) -> None:
    if counts[slot] < LISTED:
        neighbours[slot, counts[slot]] = y
        cosines[slot, counts[slot]] = value
        counts[slot] += 1
        return
    worst = EARLIEST
    for entry in range(EARLIEST + 1, LISTED):
        lower = cosines[slot, entry] < cosines[slot, worst]
        same = cosines[slot, entry] == cosines[slot, worst]
        if lower or (same and neighbours[slot, entry] > neighbours[slot, worst]):
            worst = entry
    out, least = y, value
    if value > cosines[slot, worst]:
        out, least = np.int64(neighbours[slot, worst]), cosines[slot, worst]
        neighbours[slot, worst] = y
        cosines[slot, worst] = value
    beyond[slot] = max(beyond[slot], least)
    unlisted[out] = max(unlisted[out], least)


@kernel
def decide_independent(
    start: Int,
    lists: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    cosines: NDArray[np.float64],
    beyond: NDArray[np.float64],
    threshold: float,
    partner: NDArray[np.int64],
) -> Int:
    """Drop each document that is near one that is kept, in keep order, from document `start` on.

    lists: int64, numbers of lists, those of document x being lists[ends[x]:ends[x + 1]]. offsets: int64, where the
    entries of a list begin and end. neighbours: int32, document of each entry, -1 for one that nothing can drop.
    beyond: float64, of each list, see `collect`. partner: int64[documents], -1 = kept, else the entry of the nearest
    kept neighbour (the earliest of equal ones). Returns the document that cannot be decided by its lists alone: the
    caller must decide it and go on after it; the number of documents at the end.
    """
    for x in range(start, len(partner)):
        best, most, unlisted = -1, -1.0, False
        for each in lists[ends[x] : ends[x + 1]]:
            unlisted |= beyond[each] >= threshold
            for entry in range(offsets[each], offsets[each + 1]):
                if cosines[entry] < threshold or cosines[entry] <= most:
                    continue
                if neighbours[entry] < 0 or partner[neighbours[entry]] < 0:
                    best, most = entry, cosines[entry]
        partner[x] = best
        if best < 0 and unlisted:
            return x
    return len(partner)


@kernel
def decide_paper(
    lists: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    cosines: NDArray[np.float64],
    threshold: float,
    partner: NDArray[np.int64],
) -> int:
    """Drop each document that is near any earlier one, kept or not. Arguments as in `decide_independent`."""
    for x in range(len(partner)):
        best, most = -1, -1.0
        for each in lists[ends[x] : ends[x + 1]]:
            for entry in range(offsets[each], offsets[each + 1]):
                if cosines[entry] >= threshold and cosines[entry] > most:
                    best, most = entry, cosines[entry]
        partner[x] = best
    return len(partner)


@kernel
def add_rows(
    vectors: NDArray[np.int16], weights: NDArray[np.int64], labels: NDArray[np.int64], sums: NDArray[np.int64]
) -> int:
    """Add each row times its weight to the sum of its cluster. Whole numbers: the order does not matter."""
    for row in range(len(vectors)):
        for column in range(vectors.shape[1]):
            sums[labels[row], column] += vectors[row, column] * weights[row]
    return len(vectors)


@kernel
def lengths(sums: NDArray[np.int64], out: NDArray[np.float64]) -> int:
    """The Euclidean length of each row, added up from left to right."""
    for row in range(len(sums)):
        total = 0.0
        for column in range(sums.shape[1]):
            total += float(sums[row, column]) * float(sums[row, column])
        out[row] = np.sqrt(total)
    return len(sums)


@kernel
def nearest_cosines(
    products: NDArray[np.float32],
    squares_x: NDArray[np.int32],
    squares_y: NDArray[np.int32],
    ids_x: NDArray[np.uint64],
    ids_y: NDArray[np.uint64],
    best: NDArray[np.float64],
) -> Int:
    """Keep the highest cosines of each row, in descending order, without that of a document with itself.

    best: float64[a, k], updated; -2 where there is none yet. Returns a.
    """
    last = best.shape[1] - 1
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            if ids_x[i] == ids_y[j]:
                continue
            value = float(products[i, j]) / np.sqrt(float(squares_x[i]) * float(squares_y[j]))
            if value <= best[i, last]:
                continue
            rank = last
            while rank > 0 and best[i, rank - 1] < value:
                best[i, rank] = best[i, rank - 1]
                rank -= 1
            best[i, rank] = value
    return len(products)


@kernel
def spread_choice(
    vectors: NDArray[np.int16],
    squares: NDArray[np.int32],
    chosen: NDArray[np.int64],
    nearest: NDArray[np.int64],
    closest: NDArray[np.float64],
) -> int:
    """k-centre greedy (Gonzalez 1985): after chosen[0], each time the row farthest from all that are chosen.

    vectors: int16[n, d]. chosen: int64[m], m <= n; entry 0 is given. nearest: int64[n], filled: the chosen row nearest
    to each; closest: float64[n], filled: the cosine with it. Of equal rows the first is taken; a chosen row is its own.
    """
    taken = np.zeros(len(vectors), np.bool_)
    closest[:] = -2.0
    for number in range(len(chosen)):
        if number:
            best = -1
            for row in range(len(vectors)):
                if not taken[row] and (best < 0 or closest[row] < closest[best]):
                    best = row
            chosen[number] = best
        centre = chosen[number]
        taken[centre] = True
        nearest[centre] = centre
        closest[centre] = 1.0
        for row in range(len(vectors)):
            if taken[row]:
                continue
            product = np.int32(0)
            for column in range(vectors.shape[1]):
                product += np.int32(vectors[row, column]) * np.int32(vectors[centre, column])
            value = float(product) / np.sqrt(float(squares[row]) * float(squares[centre]))
            if value > closest[row]:
                closest[row] = value
                nearest[row] = centre
    return len(chosen)
