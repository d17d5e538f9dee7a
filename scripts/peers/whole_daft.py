"""A near-deduplication written by hand with Daft: minhash expression, NumPy banding, SciPy components, semi-join.

Usage: whole_daft.py IN OUT. Nothing is verified, everything is in memory. 128 values of word 5-grams; 9 bands of 13
rows, which datasketch chooses for a threshold of 0.8 and 128 values.
"""

import sys

import daft
import numpy as np
from daft import col
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

VALUES, BANDS, ROWS = 128, 9, 13


def kept_rows(signatures: np.ndarray) -> np.ndarray:
    """The first row of each component of documents that share a band."""
    rows = len(signatures)
    first, second = [], []
    for band in range(BANDS):
        part = signatures[:, band * ROWS : (band + 1) * ROWS].astype(np.uint64)
        key = np.zeros(rows, np.uint64)
        for at in range(ROWS):
            key = (key ^ part[:, at]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        order = np.argsort(key, kind="stable")
        same = key[order[1:]] == key[order[:-1]]
        first.append(order[:-1][same])
        second.append(order[1:][same])
    a, b = np.concatenate(first), np.concatenate(second)
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(rows, rows))
    _, component = connected_components(graph, directed=False)
    return np.unique(component, return_index=True)[1]


def main() -> None:
    """The whole job."""
    source = f"{sys.argv[1]}/*.parquet"
    clean = col("text").normalize(remove_punct=True, lowercase=True, nfd_unicode=False, white_space=True)
    signature = clean.minhash(num_hashes=VALUES, ngram_size=5).alias("signature")
    made = daft.read_parquet(source).select("id", signature).to_arrow()
    values = made["signature"].combine_chunks().flatten().to_numpy().reshape(-1, VALUES)
    kept = daft.from_pydict({"id": made["id"].take(np.sort(kept_rows(values)))})
    daft.read_parquet(source).join(kept, on="id", how="semi").write_parquet(sys.argv[2], compression="zstd")


if __name__ == "__main__":
    main()
