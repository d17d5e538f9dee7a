"""Which documents belong together: equal ones, near-copies, and those that the user says belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.run_folder import DATA
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.core.tables import read_table
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.minhash import MinHash
from corpuscurate.tools.train.data import Documents, text_hashes


def exact_and_near(
    documents: Documents, folder: Path, threshold: float, workers: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each document the first row with equal text, and the first row of its cluster of near-copies, int64[n]."""
    source = Source(paths=(str(documents.path),), format="arrow", text="text")
    stages = (Exact(mode="tag"), MinHash(mode="tag", threshold=threshold))
    sink = Sink(path=str(folder / "clusters"), format="arrow")
    settings = Settings(workers=workers, runner="local" if workers > 1 else "inprocess")
    Pipeline(source, stages, sink, settings).run()
    tables = [read_table(path) for path in sorted((folder / "clusters" / DATA).iterdir())]
    columns = [_first_rows(tables, f"{stage.label}.cluster") for stage in stages]
    return columns[0], columns[1]


def _first_rows(tables: list[pa.Table], name: str) -> NDArray[np.int64]:
    column = pa.concat_tables([table.select([name]) for table in tables]).column(name)
    rows = column.fill_null(0).to_numpy() & np.uint64((1 << POSITION_BITS) - 1)
    alone = column.is_null().to_numpy()
    return np.where(alone, np.arange(len(rows)), rows.astype(np.int64))


def joined(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The connected components of several partitions of the same rows: the least row of each, int64[n]."""
    found = np.arange(len(columns[0]))
    while True:
        before = found.copy()
        for column in columns:
            least = np.full(int(column.max(initial=0)) + 1, len(found), np.int64)
            np.minimum.at(least, column, found)
            found = least[column]
        if np.array_equal(before, found):
            return found


def clusters(documents: Documents, exact: NDArray[np.int64], near: NDArray[np.int64]) -> NDArray[np.int64]:
    """Near-copies and equal documents together, and those of one group; the least row of each, int64[n]."""
    group = documents.table.column("group").combine_chunks()
    encoded = group.dictionary_encode().indices.fill_null(-1).to_numpy()
    alone = encoded < 0
    by_group = np.where(alone, np.arange(len(encoded)) + int(encoded.max(initial=-1)) + 1, encoded).astype(np.int64)
    return joined(exact, near, by_group)


def cluster_hashes(documents: Documents, cluster: NDArray[np.int64]) -> NDArray[np.uint64]:
    """For each document the least text hash of its cluster: a name that does not depend on the order of the input."""
    least = np.full(len(cluster), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, cluster, text_hashes(documents))
    return least[cluster]
