"""Every pair of documents whose exact Jaccard similarity is at least a threshold, without LSH: the truth to measure by.

Usage: exact_jaccard.py FILE.jsonl[.gz] ... [--at-least 0.5] [--ngram 5] [--tokens ours|gold] [--out pairs.jsonl.gz]

tokens: `ours` = the words that `minhash` uses; `gold` = re.findall(r"\\w+", text.lower()). A document is the set of its
windows of `ngram` tokens; one with fewer tokens is one shingle of all of them (`ours`) or has none (`gold`).

Method: prefix filtering with an inverted index (Bayardo, Ma, Srikant 2007; Xiao et al. 2008, PPJoin's length and
prefix filters). With shingles ordered from rare to common and documents from small to large, two sets with J >= t share
one of the first |x| - ceil(t |x|) + 1 shingles of each. Every candidate is then intersected in full, so the result is
exact; no pair is lost to chance.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpuscurate.core.columns import to_numpy
from corpuscurate.kernels.sketch.shingle_sets import shingle_sets
from corpuscurate.methods.dedup.sketch import units_of_text

Sets = tuple[NDArray[np.int64], NDArray[np.uint64]]
"""Offsets int64[n + 1] and sorted distinct shingle hashes."""
Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""First and second document (first < second), size of the intersection, size of the union."""


def read_documents(paths: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Ids and texts of JSON lines."""
    ids, texts = [], []
    for path in paths:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                record = json.loads(line)
                ids.append(str(record.get("id", len(ids))))
                texts.append(record["text"])
    return ids, texts


def our_sets(texts: Sequence[str], ngram: int) -> Sets:
    """Shingles as the stage `minhash` makes them."""
    units = units_of_text("words", pa.array(texts, pa.large_string()))
    ends = np.zeros(len(texts) + 1, np.int64)
    values = np.empty(len(units.values) + len(texts), np.uint64)
    rows = np.arange(len(texts))
    total = shingle_sets(to_numpy(units.offsets), to_numpy(units.values), rows, ngram, ends, values)
    return ends, values[:total].copy()


def gold_sets(texts: Sequence[str], ngram: int) -> Sets:
    """Windows of tokens re.findall(r"\\w+", text.lower()), by 64-bit hash."""
    found = []
    for text in texts:
        tokens = re.findall(r"\w+", text.lower())
        windows = {" ".join(tokens[i : i + ngram]).encode() for i in range(len(tokens) - ngram + 1)}
        found.append(np.sort(np.array([xxhash.xxh3_64_intdigest(window) for window in windows], np.uint64)))
    ends = np.concatenate([[0], np.cumsum([len(each) for each in found])]).astype(np.int64)
    return ends, np.concatenate([np.empty(0, np.uint64), *found])


def _ranked(sets: Sets) -> NDArray[np.int64]:
    """The shingles of each document as ranks of rarity, ascending: 0 is the rarest."""
    offsets, values = sets
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    ranks = rank[inverse]
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return ranks[np.lexsort((ranks, rows))]


@numba.njit(cache=False, nogil=True)
def _join(  # noqa: C901 (a hot loop: Numba compiles it as one)
    offsets: NDArray[np.int64],
    ranks: NDArray[np.int64],
    order: NDArray[np.int64],
    tokens: int,
    threshold: float,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    both: NDArray[np.int64],
) -> int:
    """Count pairs, and write as many as the output holds. order: documents from small to large."""
    n = len(offsets) - 1  # documents without shingles are not in `order`, but count among the indices
    prefix = np.empty(n, np.int64)
    starts = np.zeros(tokens + 1, np.int64)
    for x in order:
        size = offsets[x + 1] - offsets[x]
        prefix[x] = min(size, size - np.int64(np.ceil(threshold * size - 1e-9)) + 1)
        for i in range(offsets[x], offsets[x] + prefix[x]):
            starts[ranks[i] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    low = starts[:-1].copy()  # entries before this belong to documents too small for all that follow
    index = np.empty(starts[-1], np.int64)
    seen = np.full(n, -1, np.int64)
    pairs = 0
    for x in order:
        size = offsets[x + 1] - offsets[x]
        for i in range(offsets[x], offsets[x] + prefix[x]):
            token = ranks[i]
            while low[token] < filled[token]:
                y = index[low[token]]
                if offsets[y + 1] - offsets[y] >= threshold * size - 1e-9:
                    break
                low[token] += 1
            for at in range(low[token], filled[token]):
                y = index[at]
                if seen[y] == x:
                    continue
                seen[y] = x
                a = offsets[x]
                b = offsets[y]
                count = 0
                while a < offsets[x + 1] and b < offsets[y + 1]:
                    left = ranks[a]
                    right = ranks[b]
                    count += left == right
                    a += left <= right
                    b += right <= left
                if count / (size + offsets[y + 1] - offsets[y] - count) >= threshold:
                    if pairs < len(first):
                        first[pairs] = min(x, y)
                        second[pairs] = max(x, y)
                        both[pairs] = count
                    pairs += 1
            index[filled[token]] = x
            filled[token] += 1
    return pairs


def all_pairs(sets: Sets, at_least: float) -> Pairs:
    """All pairs with exact Jaccard similarity >= at_least > 0, ordered. Documents without shingles are in none."""
    offsets, _ = sets
    sizes = np.diff(offsets)
    ranks = _ranked(sets)
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    tokens = int(ranks.max(initial=-1)) + 1
    room = 1 << 20
    while True:
        first, second, both = np.empty((3, room), np.int64)
        found = _join(offsets, ranks, order, tokens, at_least, first, second, both)
        if found <= room:
            break
        room = found
    first, second, both = first[:found], second[:found], both[:found]
    by = np.lexsort((second, first))
    first, second, both = first[by], second[by], both[by]
    return first, second, both, sizes[first] + sizes[second] - both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--at-least", type=float, default=0.5)
    parser.add_argument("--ngram", type=int, default=5)
    parser.add_argument("--tokens", choices=["ours", "gold"], default="ours")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ids, texts = read_documents(options.paths)
    start = time.perf_counter()
    sets = (our_sets if options.tokens == "ours" else gold_sets)(texts, options.ngram)
    middle = time.perf_counter()
    first, second, both, either = all_pairs(sets, options.at_least)
    end = time.perf_counter()
    print(f"{len(ids)} documents, {len(sets[1])} distinct shingles in them: {middle - start:.1f} s")
    print(f"{len(first)} pairs with J >= {options.at_least}: {end - middle:.1f} s")
    similarity = both / either
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0):
        if threshold >= options.at_least:
            print(f"  J >= {threshold:.2f}: {int((similarity >= threshold).sum())} pairs")
    if options.out:
        with gzip.open(options.out, "wt") as out:
            for a, b, j in zip(first.tolist(), second.tolist(), similarity.tolist(), strict=True):
                out.write(json.dumps({"a": ids[a], "b": ids[b], "jaccard": j}) + "\n")


if __name__ == "__main__":
    main()
