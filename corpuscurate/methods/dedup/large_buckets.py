"""Large buckets: `kernels.duplicates.large_bucket_join` joins all documents of buckets that share documents, exactly.

All of them count as candidates of each other, so a few more pairs are found than share a band. Memory: 24 bytes for
each element of a delta that occurs in two, and the bitmaps, 32 to 512 bytes a document.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.duplicates.bands import sieve_add, sieve_passes
from corpuscurate.kernels.duplicates.components import union_pairs
from corpuscurate.kernels.duplicates.deltas import (
    Deltas,
    fold_bitmaps,
    local_components,
    set_deltas,
    set_distances,
    signature_deltas,
    signature_distances,
    sort_runs,
)
from corpuscurate.kernels.duplicates.large_bucket_join import CAPPED, CENTRE, MET, WORK, join_deltas
from corpuscurate.kernels.duplicates.verify import (
    CAPPED_BUCKETS,
    CAPPED_DOCUMENTS,
    COMPARED,
    EXACT,
    REJECTED,
    SKIPPED,
    VERIFIED,
    Rule,
    Sketches,
)

LARGE_BUCKET = 1000
"""A bucket of more documents than this is large."""
_SAMPLE = 1024
_WORDS = (4, 64)
"""Fewest and most 64-bit words of a bitmap."""


class Edges(NamedTuple):
    """Edges that joined two components: documents a and b (int64), and their similarity (float64)."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float64]


def join_large_buckets(
    buckets: list[NDArray[np.int64]],
    sketches: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    covered: NDArray[np.bool_],
) -> Edges:
    """Join the similar documents of all buckets together in `parent`, as components. Returns the edges.

    Where the buckets have so little in common that no base set fits them all, each is taken by itself. Otherwise
    `covered` (bool[m]) becomes True for their documents: no pair of them has to be compared any more.
    """
    nodes = np.unique(np.concatenate(buckets))
    base, distance = _base(sketches, rule, nodes)
    if len(buckets) > 1 and 2 * distance.sum() > _sizes(sketches, rule, sketches.row[nodes]).sum():
        unknown = np.zeros(len(covered), np.bool_)
        found = [join_large_buckets([bucket], sketches, rule, parent, counts, unknown) for bucket in buckets]
        return Edges(*(np.concatenate(column) for column in zip(*found, strict=True)))
    covered[nodes] = True
    return _join(nodes, base, distance, sketches, rule, parent, counts)


def _sizes(s: Sketches, rule: Rule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if rule.kind == EXACT:
        return s.set_offsets[rows + 1] - s.set_offsets[rows]
    return np.full(len(rows), s.signatures.shape[1])


def _base(s: Sketches, rule: Rule, nodes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The elements that most of a sample have, and the distance of each document from them (int64). Any base gives the
    same result."""
    chosen = s.row[nodes[np.linspace(0, len(nodes) - 1, min(len(nodes), _SAMPLE)).astype(np.int64)]]
    distance = np.empty(len(nodes), np.int64)
    if rule.kind == EXACT:
        pieces = [s.sets[s.set_offsets[row] : s.set_offsets[row + 1]] for row in chosen]
        values, times = np.unique(np.concatenate(pieces), return_counts=True)
        base = values[2 * times > len(chosen)]
        set_distances(s.row[nodes], s.set_offsets, s.sets, base, distance)
        return base, distance
    base = np.sort(s.signatures[chosen], axis=0)[len(chosen) // 2]  # where most have one value, this is it
    signature_distances(s.row[nodes], s.signatures, base, distance)
    return base, distance


def _join(
    nodes: NDArray[np.int64],
    base: NDArray[Any],
    distance: NDArray[np.int64],
    s: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Edges:
    sizes = _sizes(s, rule, s.row[nodes])
    reach = _allowance(s, rule, sizes) - distance
    order = np.argsort(-reach, kind="stable")
    nodes, distance = nodes[order], distance[order]
    values = np.empty(int(distance.sum()), np.uint64)
    if rule.kind == EXACT:
        set_deltas(s.row[nodes], s.set_offsets, s.sets, base, values)
    else:
        signature_deltas(s.row[nodes], s.signatures, base, values)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(distance)])
    bitmaps = np.zeros((len(nodes), _words(distance)), np.uint64)
    fold_bitmaps(starts, values, bitmaps)
    starts, elements, entries = _ranked(starts, values)
    del values
    deltas = Deltas(starts, elements, distance, sizes[order], reach[order], bitmaps)
    local = np.empty(len(nodes), np.int64)
    local_components(nodes, parent, local)
    a, b = np.empty((2, len(nodes)), np.int64)
    similarity = np.empty(len(nodes), np.float64)
    work = np.zeros(WORK, np.int64)
    width = 0 if rule.kind == EXACT else s.signatures.shape[1]
    edges = join_deltas(
        deltas, entries, rule.threshold, width, rule.budget, rule.budget_each, local, work, a, b, similarity
    )
    compared = work[CENTRE] + work[MET]
    counts[[COMPARED, VERIFIED, REJECTED, SKIPPED]] += [compared, edges, compared - edges, work[CAPPED]]
    if work[CAPPED]:
        counts[CAPPED_BUCKETS] += 1
        counts[CAPPED_DOCUMENTS] += len(nodes)
    found = Edges(nodes[a[:edges]], nodes[b[:edges]], similarity[:edges].copy())
    union_pairs(parent, found.a, found.b)
    return found


def _allowance(s: Sketches, rule: Rule, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each document its share of the symmetric difference that a similar pair may have."""
    if rule.kind == EXACT:
        return sizes * np.float64((1 - rule.threshold) / (1 + rule.threshold))
    width = s.signatures.shape[1]
    equal = np.arange(width + 1) / width >= rule.threshold
    return np.full(len(sizes), float(width - np.argmax(equal)))


def _words(distance: NDArray[np.int64]) -> int:
    """Words of a bitmap: about 8 bits for each element of an average delta."""
    wanted = float(distance.mean()) / 8
    words = _WORDS[0]
    while words < min(wanted, _WORDS[1]):
        words *= 2
    return words


def _ranked(
    starts: NDArray[np.int64], values: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """The elements that occur twice or more as ranks from rare to common: `Deltas.starts`, `Deltas.elements`, and where
    the lists of `join_deltas` begin."""
    table = np.zeros(max(64, 1 << len(values).bit_length()), np.uint8)
    sieve_add(values, table)
    passes = np.empty(len(values), np.bool_)
    sieve_passes(values, table, passes)
    indices = np.flatnonzero(passes)
    del table, passes
    kept = values[indices]
    order = np.argsort(kept)
    kept = kept[order]
    fresh = np.ones(len(kept), np.bool_)
    fresh[1:] = kept[1:] != kept[:-1]
    times = np.diff(np.append(np.flatnonzero(fresh), len(kept)))
    rank = np.empty(len(times), np.int32)
    rank[np.argsort(times, kind="stable")] = np.arange(len(times), dtype=np.int32)
    alone = int((times == 1).sum())  # passed the sieve by accident; they have the lowest ranks
    elements = np.empty(len(kept), np.int32)
    elements[order] = rank[np.cumsum(fresh) - 1] - alone
    shared = elements >= 0
    indices, elements = indices[shared], elements[shared]
    new_starts = np.searchsorted(indices, starts)
    sort_runs(new_starts, elements)
    lists = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.sort(times[times > 1]))])
    return new_starts, elements, lists
