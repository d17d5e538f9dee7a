"""Signatures of documents, of three kinds, over shingles of words or of characters.

fast: `kernels.sketch.fast_similarity`. classic: `kernels.sketch.minhash`. datasketch:
`kernels.sketch.datasketch`, equal to what `MinHash(num_perm=values, seed=seed)` of the Python package datasketch makes
of the same shingles from version 2 on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers, text_spans
from corpuscurate.kernels.sketch.characters import CHARACTERS, WORDS
from corpuscurate.kernels.sketch.datasketch import datasketch_signatures
from corpuscurate.kernels.sketch.digests import SHA1, XXH32
from corpuscurate.kernels.sketch.fast_similarity import fast_signatures
from corpuscurate.kernels.sketch.minhash import permutations, signatures
from corpuscurate.kernels.sketch.units import unit_bound, units_of
from corpuscurate.kernels.text.unicode import Words, tables

Signature = Literal["fast", "classic", "datasketch"]
Unit = Literal["words", "characters"]
ShingleHash = Literal["sha1", "xxh32"]
_UNITS = {"words": WORDS, "characters": CHARACTERS}
_HASHES = {"sha1": SHA1, "xxh32": XXH32}


class Recipe(NamedTuple):
    """How signatures are made. shingle_hash matters to the kind datasketch alone, words to the unit of words."""

    signature: Signature
    unit: Unit
    ngram: int
    values: int
    seed: int
    shingle_hash: ShingleHash
    words: Words = "unicode"


class Signed(NamedTuple):
    """shingles: uint32[n], with repeats; 0 = none. words: uint64[2, n], a hash of the sequence of units. values:
    uint32[k, n]."""

    shingles: NDArray[np.uint32]
    words: NDArray[np.uint64]
    values: NDArray[np.uint32]


def sign(recipe: Recipe, text: pa.LargeStringArray) -> Signed:
    """The signatures of documents."""
    offsets, data = text_buffers(text)
    out = Signed(
        np.empty(len(text), np.uint32),
        np.empty((2, len(text)), np.uint64),
        np.empty((recipe.values, len(text)), np.uint32),
    )
    unit, n, t = _UNITS[recipe.unit], recipe.ngram, tables(recipe.words)
    if recipe.signature == "fast":
        fast_signatures(offsets, data, t, unit, n, np.uint64(recipe.seed), out.shingles, out.words, out.values)
    elif recipe.signature == "classic":
        a, b = _permutations(recipe.seed, recipe.values)
        signatures(offsets, data, t, unit, n, a, b, out.shingles, out.words, out.values)
    else:
        a, b = datasketch_permutations(recipe.seed, recipe.values)
        kind = _HASHES[recipe.shingle_hash]
        datasketch_signatures(offsets, data, t, unit, n, kind, a, b, out.shingles, out.words, out.values)
    return out


def units_of_text(
    unit: Unit, text: pa.LargeStringArray, rows: NDArray[np.int64] | None = None, words: Words = "unicode"
) -> pa.LargeListArray:
    """The units (uint32) of each document, or of those in `rows`: hashes of its words, or its characters. See
    `kernels.sketch.units`."""
    starts, stops, data = text_spans(text, rows)
    ends = np.empty(len(starts) + 1, np.int64)
    units = np.empty(unit_bound(starts, stops, _UNITS[unit]), np.uint32)
    total = units_of(starts, stops, data, tables(words), _UNITS[unit], ends, units)
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(units[:total]))


@lru_cache(maxsize=8)
def _permutations(seed: int, values: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    a, b = np.empty((2, values), np.uint32)
    permutations(np.uint64(seed), a, b)
    return a, b


@lru_cache(maxsize=8)
def datasketch_permutations(seed: int, values: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Multipliers and addends as `datasketch.MinHash._init_permutations` draws them; NumPy keeps this generator's
    numbers as they are. seed: below 2^32."""
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, values, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, generator.randint(0, 1 << 32, values, dtype=np.uint32)
