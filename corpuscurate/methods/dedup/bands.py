"""Bands: how many rows a band has, which pairs that finds, and the candidate buckets of each band.

A signature of `values` values is cut into `bands` bands of `rows` rows. Two documents are candidates when all rows of a
band agree. For a similarity J that happens with P = 1 - (1 - J^rows)^bands.

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.kernels.duplicates.bands import (
    absorb,
    keys_in_range,
    runs_of_equal,
    shared_keys,
    sieve_add,
    sort_by_key,
)
from corpuscurate.kernels.duplicates.components import Indices
from corpuscurate.kernels.hashing import mix64
from corpuscurate.methods.dedup.column_blocks import Reader
from corpuscurate.methods.dedup.distinct import DistinctFile, index_type
from corpuscurate.methods.dedup.key_ranges import ranges_for_memory

SHINGLES = "shingles"
"""Sketch column, uint32: shingles of the document; 0 = it has no signature."""
ValueType = Literal["uint8", "uint16", "uint32"]
BAND_BITS = 40
BUCKET_BYTES = 48
"""Peak memory for a document of a key range, when every document is a candidate."""
_CURVE = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def candidate_probability(j: float, bands: int, rows: int) -> float:
    """P(two documents of Jaccard similarity j become candidates)."""
    return float(1 - (1 - j**rows) ** bands)


@lru_cache(maxsize=256)
def choose_bands(threshold: float, values: int, recall: float) -> tuple[int, int]:
    """Bands and rows with the most rows for which P(candidate at J = threshold) >= recall; rows = 1 where none do.

    The more rows, the fewer pairs below the threshold have to be verified in vain.
    """
    for rows in range(values, 1, -1):
        if candidate_probability(threshold, values // rows, rows) >= recall:
            return values // rows, rows
    return values, 1


@lru_cache(maxsize=256)
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


def enough_bits(rows: int) -> int:
    """Bits of a stored value: the fewest with which a band has `BAND_BITS`, or 32.

    Two values that should differ agree by chance once in 2^bits, so that P(candidate) is that of J + (1 - J) / 2^bits:
    with 8 bits and 5 rows all similar pairs are found as before, unlike ones once in 10^12, and of those with J = .1
    or .5 1.2 or 1.02 times as many, which verification rejects.

    Source: Li, Konig, "b-bit minwise hashing", WWW 2010.
    """
    return next((bits for bits in (8, 16) if bits * rows >= BAND_BITS), 32)


def value_type(bits: int) -> ValueType:
    """The type of stored values."""
    return {8: "uint8", 16: "uint16", 32: "uint32"}[bits]  # type: ignore[return-value]


def s_curve(bands: int, rows: int) -> dict[str, float]:
    """P(candidate) at J = .5, .55, ... .95."""
    return {f"{j:.2f}": round(candidate_probability(j, bands, rows), 6) for j in _CURVE}


def value_column(j: int) -> str:
    """Name of the sketch column of signature value j."""
    return f"value_{j:04d}"


@lru_cache(maxsize=8)
def value_columns(values: int) -> tuple[str, ...]:
    """Names of the sketch columns of all values of a signature."""
    return tuple(value_column(j) for j in range(values))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Find the documents that share a key of one band with another, among the keys of one range. key_range: its index.
    key_ranges: their number. kind: the type of the signature's values."""

    band: int
    rows: int
    kind: str
    key_range: int
    key_ranges: int
    files: tuple[DistinctFile, ...]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"band-{self.band:04d}-{self.key_range}of{self.key_ranges}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write documents.npy (numbers, bucket after bucket, by key) and offsets.npy ([buckets + 1]), both of
        `index_type`. The result counts the buckets, their members and their pairs."""
        keys, numbers = self._shared()
        sort_by_key(keys, numbers)
        members, offsets = np.empty_like(numbers), np.empty(len(keys) // 2 + 1, numbers.dtype)
        buckets = runs_of_equal(keys, numbers, members, offsets)
        offsets = offsets[: buckets + 1]
        np.save(folder / "documents.npy", members[: offsets[-1]])
        np.save(folder / "offsets.npy", offsets)
        sizes = np.diff(offsets).astype(np.int64)
        return {
            "buckets": len(sizes),
            "members": int(offsets[-1]),
            "largest": int(sizes.max(initial=0)),
            "pairs": int((sizes * (sizes - 1) // 2).sum()),
        }

    def _shared(self) -> tuple[NDArray[np.uint64], Indices]:
        """Keys and numbers of the documents in this key range, without most of the keys that occur once: a sieve of 2
        bits a slot finds them, and they need no sorting."""
        total = sum(file.count for file in self.files)
        index = index_type(total)
        table = np.zeros(max(64, 1 << (total // self.key_ranges).bit_length()), np.uint8)
        pieces = []
        for keys, numbers in self._keys(index):
            sieve_add(keys, table)
            pieces.append((keys, numbers))
        found = [(np.empty(0, np.uint64), np.empty(0, index))]
        for keys, numbers in pieces:
            passed = shared_keys(keys, numbers, table)
            found.append((keys[:passed], numbers[:passed]))
        shared, theirs = zip(*found, strict=True)
        return np.concatenate(shared), np.concatenate(theirs)

    def _keys(self, index: type[np.uint32 | np.int64]) -> Iterator[tuple[NDArray[np.uint64], Indices]]:
        """Keys and numbers of the documents in this key range, some at a time."""
        seed = mix64(np.uint64(self.band + 1))
        reader = Reader(self.kind)
        for file in self.files:
            chosen, done, number = np.fromfile(file.rows, np.bool_), 0, file.first
            with Path(file.path).open("rb", buffering=0) as source:
                for block in file.blocks:
                    keys = np.full(block.rows, seed, np.uint64)
                    for column in reader.read(source, block, self.band * self.rows, self.rows) if block.rows else ():
                        absorb(column, keys)
                    here = chosen[done : done + block.rows]
                    numbers = np.empty(block.rows, index)
                    filled = keys_in_range(here, number, self.key_range, self.key_ranges, keys, numbers)
                    whole = self.key_ranges == 1  # else the rest would stay in memory
                    yield (
                        (keys[:filled], numbers[:filled]) if whole else (keys[:filled].copy(), numbers[:filled].copy())
                    )
                    done, number = done + block.rows, number + int(np.count_nonzero(here))


def find_buckets(corpus: Corpus, files: tuple[DistinctFile, ...], bands: int, rows: int, kind: str) -> list[Done]:
    """The candidate buckets of all bands, in the order of band and key. kind: as in `Buckets`."""
    # Every key range reads the band again, so there are no more than memory requires: the bands occupy the workers.
    count = ranges_for_memory(corpus, sum(file.count for file in files), BUCKET_BYTES)
    return corpus.run(
        [Buckets(band, rows, kind, i, count, files) for band in range(bands) for i in range(count)], "band"
    )
