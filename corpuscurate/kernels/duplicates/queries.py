"""Matches a few query signatures with many: which documents share a loose band with which query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.duplicates.components import Int
from corpuscurate.kernels.duplicates.verify import equal_values, exact_similarity, intersection
from corpuscurate.kernels.hashing import mix64

_ONE = np.uint64(1)


@kernel
def _band_key(signature: NDArray[np.uint32], start: Int, rows: Int) -> np.uint64:
    key = np.uint64(start + 1)
    for j in range(start, start + rows):
        key = mix64(key ^ np.uint64(signature[j]))
    return key


@kernel
def index_queries(
    signatures: NDArray[np.uint32], rows: Int, heads: NDArray[np.int64], following: NDArray[np.int64]
) -> Int:
    """Chain the loose bands of queries by key. Returns how many bands there are.

    signatures: uint32[q, k]. heads: int64[a power of two], -1 before the call. following: int64[q * (k // rows)].
    """
    mask = np.uint64(len(heads) - 1)
    bands: Int = signatures.shape[1] // rows
    for query in range(len(signatures)):
        for band in range(bands):
            entry = query * bands + band
            slot = _band_key(signatures[query], band * rows, rows) & mask
            following[entry] = heads[slot]
            heads[slot] = entry
    return bands


@kernel
def bandings_met(a: NDArray[np.uint32], b: NDArray[np.uint32], bandings: NDArray[np.int64]) -> np.uint64:
    """A bit for each banding (bands, rows) of int64[n <= 64, 2] under which two signatures are candidates."""
    met = np.uint64(0)
    for i in range(len(bandings)):
        for band in range(bandings[i, 0]):
            start = band * bandings[i, 1]
            same = True
            for j in range(start, start + bandings[i, 1]):
                if a[j] != b[j]:
                    same = False
                    break
            if same:
                met |= _ONE << np.uint64(i)
                break
    return met


@kernel
def match_queries(
    signatures: NDArray[np.uint32],
    queries: NDArray[np.uint32],
    rows: Int,
    heads: NDArray[np.int64],
    following: NDArray[np.int64],
    few: Int,
    bandings: NDArray[np.int64],
    out_row: NDArray[np.int64],
    out_query: NDArray[np.int64],
    out_met: NDArray[np.uint64],
) -> Int:
    """Pairs of a document and a query that share a loose band, and have `few` equal values or are candidates under one
    of `bandings`. Returns how many; those beyond the length of the outputs are counted, not written.

    signatures: uint32[n, k]; queries: uint32[q, k] with `heads` and `following` of `index_queries`.
    """
    mask = np.uint64(len(heads) - 1)
    bands = signatures.shape[1] // rows
    met_by = np.full(len(queries), -1, np.int64)
    found = 0
    for row in range(len(signatures)):
        signature = signatures[row]
        for band in range(bands):
            entry = heads[_band_key(signature, band * rows, rows) & mask]
            while entry >= 0:
                query = entry // bands
                entry = following[entry]
                if met_by[query] == row:
                    continue
                met_by[query] = row
                met = bandings_met(signature, queries[query], bandings)
                if met or equal_values(signature, queries[query]) >= few:
                    if found < len(out_row):
                        out_row[found] = row
                        out_query[found] = query
                        out_met[found] = met
                    found += 1
    return found


@kernel
def pair_similarities(
    a: NDArray[np.int64], b: NDArray[np.int64], offsets: NDArray[np.int64], sets: NDArray[np.uint64],
    out: NDArray[np.float64],
) -> Int:  # fmt: skip
    """The Jaccard similarity of each pair of sets a[i], b[i], which are not empty. Returns how many."""
    for i in range(len(a)):
        x = sets[offsets[a[i]] : offsets[a[i] + 1]]
        y = sets[offsets[b[i]] : offsets[b[i] + 1]]
        out[i] = exact_similarity(x, y, 0.0)
    return len(a)


@kernel
def pair_containments(
    a: NDArray[np.int64], b: NDArray[np.int64], offsets: NDArray[np.int64], sets: NDArray[np.uint64],
    out: NDArray[np.float64],
) -> Int:  # fmt: skip
    """The share of each set a[i] that the set b[i] holds, too: |A and B| / |A|, nan where A is empty. Returns how many.

    Source: containment, Broder 1997.
    """
    for i in range(len(a)):
        x = sets[offsets[a[i]] : offsets[a[i] + 1]]
        y = sets[offsets[b[i]] : offsets[b[i] + 1]]
        out[i] = intersection(x, y) / len(x) if len(x) else np.nan
    return len(a)
