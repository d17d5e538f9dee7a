"""The decisions of a deduplication, as files and as stats: drops, tags, cluster sizes, the largest clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.corpus import DROPS, INDEXED_DROPS
from corpuscurate.core.earlier_runs import ALONE, Numbers
from corpuscurate.core.stage import FAILED
from corpuscurate.core.tables import write_table

DROPS_FILE = "drops.arrow"
TAGS_FILE = "tags.arrow"
LARGEST = 10
MEMBERS = 5
"""How many members of a large cluster are named."""

MEASURES: Mapping[str, pa.DataType] = {"cluster": pa.uint64(), "size": pa.int64(), "is_kept": pa.bool_()}
"""Columns in `mode: tag`: the doc_id of the cluster's kept document (null in a cluster of one), its documents, and
whether this is the kept one."""
CORPUS_MEASURE: Mapping[str, pa.DataType] = {"corpus": pa.string()}
"""One more where earlier runs are compared with: which of them has the kept document; null: this run."""
TAG_DEFAULTS: Mapping[str, Any] = {"size": 1, "is_kept": True}


def own_clusters(
    doc_id: NDArray[np.uint64], offsets: NDArray[np.int64], numbers: Numbers
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Clusters without the documents of earlier runs, except one that is kept. Returns which documents stay (bool[m])
    and the new offsets. Clusters without a document of this run, or with only one document, are removed."""
    first = np.zeros(len(doc_id), np.bool_)
    first[offsets[:-1]] = True
    stays = numbers.is_own(doc_id) | first
    sizes = np.add.reduceat(stays, offsets[:-1], dtype=np.int64) if len(offsets) > 1 else np.empty(0, np.int64)
    stays &= np.repeat(sizes > 1, np.diff(offsets))
    return stays, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])


def write_clusters(
    folder: Path,
    tag: bool,
    doc_id: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    matched: NDArray[np.uint64],
    similarity: NDArray[np.float64],
    is_value: bool = True,
    numbers: Numbers = ALONE,
    second: NDArray[np.float64] | None = None,
) -> None:
    """Write the clusters of a work as `drops.arrow`, or in tag mode as `tags.arrow`, sorted by doc_id.

    doc_id: uint64[m], cluster after cluster, the kept document first. offsets: int64[clusters + 1]. matched:
    uint64[m], the neighbour of each dropped one. similarity: float64[m], nan for unknown. is_value: whether the
    similarity is also the value held against the threshold. numbers: tells documents of
    earlier runs; the files name them only as the document that another one is a duplicate of. second: float64[m], the
    value that was held against the stage's second reason, too; None: it has no such.
    """
    sizes = np.diff(offsets)
    kept = np.repeat(doc_id[offsets[:-1]], sizes)
    is_kept = np.zeros(len(doc_id), np.bool_)
    is_kept[offsets[:-1]] = True
    order = np.argsort(doc_id)
    order = order[numbers.is_own(doc_id[order])]
    corpus = numbers.corpus(kept[order])
    if tag:
        columns: dict[str, Any] = {
            "doc_id": doc_id[order],
            "cluster": numbers.local(kept[order]),
            "size": np.repeat(sizes, sizes)[order],
            "is_kept": is_kept[order],
        }
        if numbers.names:
            columns["corpus"] = pa.array(numbers.names, pa.string()).take(pa.array(corpus - 1, mask=corpus == 0))
        write_table(folder / TAGS_FILE, pa.table({name: pa.array(column) for name, column in columns.items()}))
        return
    order = order[~is_kept[order]]
    similar = pa.array(similarity[order], from_pandas=True)  # nan to null
    drops = {
        "doc_id": doc_id[order],
        "reason": np.ones(len(order), np.int16),
        "value": similar if is_value else pa.nulls(len(order), pa.float64()),
        "duplicate_of": numbers.local(kept[order]),
        "matched": numbers.local(matched[order]),
        "similarity": similar,
    }
    schema = INDEXED_DROPS if numbers.names else DROPS
    if numbers.names:
        for name, ids in (("duplicate_of_corpus", kept), ("matched_corpus", matched)):
            corpus = numbers.corpus(ids[order])
            drops[name] = pa.array(corpus, mask=corpus == 0)
    if second is not None:
        drops["failed"] = _two_rules(similarity[order], second[order])
        schema = schema.append(pa.field("failed", FAILED))
    write_table(folder / DROPS_FILE, pa.table(drops, schema=schema))


def _two_rules(first: NDArray[np.float64], second: NDArray[np.float64]) -> pa.ListArray:
    """FAILED rows of documents that failed the first two rules of a stage, with the stage's thresholds."""
    size = 2 * len(first)
    columns = [
        pa.array(np.tile(np.array([1, 2], np.int16), len(first))),
        pa.array(np.stack([first, second], axis=1).reshape(size)),
        pa.nulls(size, pa.float64()),
    ]
    told = pa.StructArray.from_arrays(columns, fields=list(FAILED.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(0, size + 1, 2, dtype=np.int32)), told).cast(FAILED)


CLUSTER_SIZE = "cluster_size"
SIZES_FILE = "sizes.arrow"


def write_cluster_sizes(
    folder: Path, doc_id: NDArray[np.uint64], offsets: NDArray[np.int64], numbers: Numbers = ALONE
) -> None:
    """Write the size of each cluster beside its kept document as `sizes.arrow`, sorted by doc_id: for whoever weighs a
    document by its copies, which are gone. Arguments as in `write_clusters`."""
    kept, sizes = doc_id[offsets[:-1]], np.diff(offsets)
    order = np.argsort(kept)
    order = order[numbers.is_own(kept[order])]
    write_table(folder / SIZES_FILE, pa.table({"doc_id": kept[order], CLUSTER_SIZE: sizes[order]}))


def cluster_stats(doc_id: NDArray[np.uint64], offsets: NDArray[np.int64], numbers: Numbers = ALONE) -> dict[str, Any]:
    """Counts of the clusters of a work, which `merge_stats` adds up. Arguments as in `write_clusters`."""
    sizes = np.diff(offsets)
    exponents = np.ceil(np.log2(sizes)).astype(np.int64) if len(sizes) else np.empty(0, np.int64)
    kept = doc_id[offsets[:-1]]
    largest = np.lexsort((kept, -sizes))[:LARGEST]
    return {
        "clusters_total": len(sizes),
        "duplicates": int(sizes.sum() - len(sizes)),
        "of_indexes": int((sizes - 1)[~numbers.is_own(kept)].sum()),
        "sizes_log2": np.bincount(exponents).tolist(),
        "clusters": [
            {
                "kept": int(numbers.local(kept[i : i + 1])[0]),
                **_corpus_named(numbers, kept[i : i + 1]),
                "size": int(sizes[i]),
                "members": sorted(doc_id[offsets[i] + 1 : offsets[i + 1]].tolist())[:MEMBERS],
            }
            for i in largest.tolist()
        ],
    }


def _corpus_named(numbers: Numbers, kept: NDArray[np.uint64]) -> dict[str, str]:
    corpus = int(numbers.corpus(kept)[0])
    return {"corpus": numbers.names[corpus - 1]} if corpus else {}


def merge_stats(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The stats of a stage from the results of its works: clusters_total, duplicates, sizes, clusters (the ten
    largest)."""
    results = list(results)
    counts: dict[int, int] = {}
    for result in results:
        for exponent, count in enumerate(result["sizes_log2"]):
            counts[exponent] = counts.get(exponent, 0) + count
    clusters = [cluster for result in results for cluster in result["clusters"]]
    clusters.sort(key=lambda cluster: (-cluster["size"], cluster["kept"]))
    return {
        "clusters_total": sum(result["clusters_total"] for result in results),
        "duplicates": sum(result["duplicates"] for result in results),
        "of_indexes": sum(result["of_indexes"] for result in results),
        "sizes": {_span(exponent): count for exponent, count in sorted(counts.items()) if count},
        "clusters": clusters[:LARGEST],
    }


def _span(exponent: int) -> str:
    """Sizes that round up to 2 ** exponent: 2, 3-4, 5-8, ..."""
    first, last = (1 << exponent) // 2 + 1, 1 << exponent
    return str(last) if first >= last else f"{first}-{last}"


def giant_warning(clusters: list[dict[str, Any]], documents: int) -> list[str]:
    """A warning when one cluster holds over 1 % of the corpus and over 1,000 documents."""
    return [
        f"one cluster holds {cluster['size']:,} of {documents:,} documents "
        f"({100 * cluster['size'] / documents:.1f} %), and only document {cluster['kept']}{_of(cluster)} of it is "
        f"kept. Look at some of them (doc_id {', '.join(map(str, cluster['members']))}): chains of similar documents "
        "can join what is not alike; a higher threshold parts them."
        for cluster in clusters
        if cluster["size"] > 1000 and cluster["size"] > documents / 100
    ]


def _of(cluster: Mapping[str, Any]) -> str:
    return f" of {cluster['corpus']}" if "corpus" in cluster else ""
