"""What a deduplication decided, as files and as an account: drops, tags, cluster sizes, the largest clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.artefact import write_table
from corpuscurate.stage import DROPS

DROPS_FILE = "drops.arrow"
TAGS_FILE = "tags.arrow"
LARGEST = 10
MEMBERS = 5
"""How many members of a large cluster are named."""

MEASURES: Mapping[str, pa.DataType] = {"cluster": pa.uint64(), "size": pa.int64(), "is_kept": pa.bool_()}
"""Columns in `mode: tag`: the doc_id of the cluster's kept document (null in a cluster of one), its documents, and
whether this is the kept one."""
TAG_DEFAULTS: Mapping[str, Any] = {"size": 1, "is_kept": True}


def write_clusters(
    folder: Path,
    tag: bool,
    doc_id: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    matched: NDArray[np.uint64],
    similarity: NDArray[np.float64],
    is_value: bool = True,
) -> None:
    """Write the clusters of a part as `drops.arrow`, or in tag mode as `tags.arrow`, sorted by doc_id.

    doc_id: uint64[m], cluster after cluster, the kept document first. offsets: int64[clusters + 1]. matched:
    uint64[m], the neighbour of each dropped one. similarity: float64[m], nan for unknown. is_value: whether the
    similarity is also the value held against the threshold.
    """
    sizes = np.diff(offsets)
    kept = np.repeat(doc_id[offsets[:-1]], sizes)
    is_kept = np.zeros(len(doc_id), np.bool_)
    is_kept[offsets[:-1]] = True
    order = np.argsort(doc_id)
    if tag:
        columns = {
            "doc_id": doc_id[order],
            "cluster": kept[order],
            "size": np.repeat(sizes, sizes)[order],
            "is_kept": is_kept[order],
        }
        write_table(folder / TAGS_FILE, pa.table({name: pa.array(column) for name, column in columns.items()}))
        return
    order = order[~is_kept[order]]
    similar = pa.array(similarity[order], from_pandas=True)  # nan to null
    table = pa.table(
        {
            "doc_id": doc_id[order],
            "reason": np.ones(len(order), np.int16),
            "value": similar if is_value else pa.nulls(len(order), pa.float64()),
            "duplicate_of": kept[order],
            "matched": matched[order],
            "similarity": similar,
        },
        schema=DROPS,
    )
    write_table(folder / DROPS_FILE, table)


def cluster_account(doc_id: NDArray[np.uint64], offsets: NDArray[np.int64]) -> dict[str, Any]:
    """Counts of the clusters of a part, in a form that `merged_account` adds up. Arguments as in `write_clusters`."""
    sizes = np.diff(offsets)
    exponents = np.ceil(np.log2(sizes)).astype(np.int64) if len(sizes) else np.empty(0, np.int64)
    kept = doc_id[offsets[:-1]]
    largest = np.lexsort((kept, -sizes))[:LARGEST]
    return {
        "clusters_total": len(sizes),
        "duplicates": int(sizes.sum() - len(sizes)),
        "sizes_log2": np.bincount(exponents).tolist(),
        "clusters": [
            {
                "kept": int(kept[i]),
                "size": int(sizes[i]),
                "members": sorted(doc_id[offsets[i] + 1 : offsets[i + 1]].tolist())[:MEMBERS],
            }
            for i in largest.tolist()
        ],
    }


def merged_account(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One account of all parts: clusters_total, duplicates, sizes, clusters (the ten largest)."""
    parts = list(parts)
    counts: dict[int, int] = {}
    for part in parts:
        for exponent, count in enumerate(part["sizes_log2"]):
            counts[exponent] = counts.get(exponent, 0) + count
    clusters = [cluster for part in parts for cluster in part["clusters"]]
    clusters.sort(key=lambda cluster: (-cluster["size"], cluster["kept"]))
    return {
        "clusters_total": sum(part["clusters_total"] for part in parts),
        "duplicates": sum(part["duplicates"] for part in parts),
        "sizes": {_span(exponent): count for exponent, count in sorted(counts.items()) if count},
        "clusters": clusters[:LARGEST],
    }


def _span(exponent: int) -> str:
    """Sizes that round up to 2 ** exponent: 2, 3-4, 5-8, ..."""
    first, last = (1 << exponent) // 2 + 1, 1 << exponent
    return str(last) if first >= last else f"{first}-{last}"


def giant_warning(label: str, clusters: list[dict[str, Any]], documents: int) -> list[str]:
    """A warning when one cluster holds over 1 % of the corpus and over 1,000 documents."""
    return [
        f"{label}: one cluster holds {cluster['size']:,} of {documents:,} documents "
        f"({100 * cluster['size'] / documents:.1f} %), and only document {cluster['kept']} of it is kept. Look at some "
        f"of them (doc_id {', '.join(map(str, cluster['members']))}): chains of similar documents can join what is not "
        "alike; a higher threshold parts them."
        for cluster in clusters
        if cluster["size"] > 1000 and cluster["size"] > documents / 100
    ]
