"""Bands: how many rows a band has, what that finds, and the candidate buckets of each band.

A signature of `values` values is cut into `bands` bands of `rows` rows. Two documents are candidates when all rows of a
band agree. For a similarity J that happens with P = 1 - (1 - J^rows)^bands.

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.dedup.parts import memory_parts, part_of
from corpuscurate.dedup.sources import Source, Sources
from corpuscurate.kernels.bands import absorb, sieve_add, sieve_passes
from corpuscurate.kernels.hashing import mix64
from corpuscurate.stage import Corpus, Done

SHINGLES = "shingles"
"""Sketch column, uint32: shingles of the document; 0 = it has no signature."""
BUCKET_BYTES = 48
"""Peak memory for a document of the part at hand, when every document is a candidate."""
_CURVE = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def candidate_probability(j: float, bands: int, rows: int) -> float:
    """P(two documents of Jaccard similarity j become candidates)."""
    return float(1 - (1 - j**rows) ** bands)


def choose_bands(threshold: float, values: int, recall: float) -> tuple[int, int]:
    """Bands and rows with the most rows for which P(candidate at J = threshold) >= recall; rows = 1 where none do.

    The more rows, the fewer pairs below the threshold have to be verified in vain.
    """
    for rows in range(values, 1, -1):
        if candidate_probability(threshold, values // rows, rows) >= recall:
            return values // rows, rows
    return values, 1


def datasketch_bands(threshold: float, values: int) -> tuple[int, int]:
    """Bands and rows as `datasketch.MinHashLSH(threshold, num_perm=values)` chooses them.

    They make the integral of P(candidate) below the threshold plus that of 1 - P above it smallest, the first such pair
    in the order of bands, then rows. P is a polynomial of degree bands x rows, so Gauss-Legendre with half as many
    nodes is exact; beyond 600 values it is not, but nearer than any two pairs differ.
    """
    nodes, weights = np.polynomial.legendre.leggauss(min(values // 2 + 1, 301))
    below, above = (nodes + 1) / 2 * threshold, threshold + (nodes + 1) / 2 * (1 - threshold)
    best = (np.inf, 0, 0)
    for bands in range(1, values + 1):
        rows = np.arange(1, values // bands + 1)[:, None]
        false_positive = (1 - (1 - below**rows) ** bands) @ weights * threshold / 2
        false_negative = (1 - above**rows) ** bands @ weights * (1 - threshold) / 2
        error = (false_positive + false_negative) / 2
        at = int(np.argmin(error))
        if error[at] < best[0]:
            best = (float(error[at]), bands, at + 1)
    return best[1:]


def s_curve(bands: int, rows: int) -> dict[str, float]:
    """P(candidate) at J = .5, .55, ... .95."""
    return {f"{j:.2f}": round(candidate_probability(j, bands, rows), 6) for j in _CURVE}


def value_column(j: int) -> str:
    """Name of the sketch column of signature value j."""
    return f"value_{j:04d}"


@dataclass(frozen=True, slots=True)
class Buckets:
    """Find the documents that share a key of one band with another, among the keys of one part.

    The values are read twice: the first time to count keys in a sieve of 2 bits a slot, so that only documents whose
    key can occur twice are held and sorted.
    """

    band: int
    rows: int
    part: int
    parts: int
    files: tuple[Source, ...]
    documents: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"band-{self.band:04d}-{self.part}of{self.parts}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files documents.npy (uint64, bucket after bucket, by key) and offsets.npy (int64[buckets + 1])."""
        table = np.zeros(max(64, 1 << (self.documents // self.parts).bit_length()), np.uint8)
        for keys, _ in self._keys():
            sieve_add(keys, table)
        found = [(np.empty(0, np.uint64), np.empty(0, np.uint64))]
        for keys, ids in self._keys():
            passes = np.empty(len(keys), np.bool_)
            sieve_passes(keys, table, passes)
            found.append((keys[passes], ids[passes]))
        keys = np.concatenate([keys for keys, _ in found])
        ids = np.concatenate([ids for _, ids in found])
        del found, table
        ids, offsets = _runs(keys, ids)
        np.save(folder / "documents.npy", ids)
        np.save(folder / "offsets.npy", offsets)
        sizes = np.diff(offsets)
        return {
            "buckets": len(sizes),
            "members": len(ids),
            "largest": int(sizes.max(initial=0)),
            "pairs": int((sizes * (sizes - 1) // 2).sum()),
        }

    def _keys(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
        """Keys and doc_ids of the documents in this part."""
        columns = [value_column(j) for j in range(self.band * self.rows, (self.band + 1) * self.rows)]
        seed = mix64(np.uint64(self.band + 1))
        for source in self.files:
            for block in source.blocks([SHINGLES, *columns]):
                keys = np.full(len(block["doc_id"]), seed, np.uint64)
                for name in columns:
                    absorb(block[name], keys)
                chosen = block[SHINGLES] != 0
                if self.parts > 1:
                    chosen &= part_of(keys, self.parts) == self.part
                yield keys[chosen], block["doc_id"][chosen]


def _runs(keys: NDArray[np.uint64], ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """ids of keys that occur twice or more, by key and id, and the offsets of each key's run. ids come ascending."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.ones(len(keys), np.bool_)
    starts[1:] = keys[1:] != keys[:-1]
    sizes = np.diff(np.append(np.flatnonzero(starts), len(keys)))
    shared = sizes > 1
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[shared])])
    return ids[order[np.repeat(shared, sizes)]], offsets


def find_buckets(corpus: Corpus, sources: Sources, bands: int, rows: int) -> list[Done]:
    """The candidate buckets of all bands, in the order of band and key."""
    # Every part reads the band again, so no more than the memory asks for: the bands occupy the workers.
    parts = memory_parts(corpus, sources.rows, BUCKET_BYTES)
    return corpus.run(
        [
            Buckets(band, rows, part, parts, sources.files, sources.rows)
            for band in range(bands)
            for part in range(parts)
        ],
        "band",
    )
