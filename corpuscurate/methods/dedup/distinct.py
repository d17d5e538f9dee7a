"""The documents that buckets are made of: those with shingles that are not a copy of another one, numbered 0, 1, 2, ...
in the order of doc_id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.core.doc_ids import between, is_in_sorted
from corpuscurate.methods.dedup.column_blocks import Block, blocks_of
from corpuscurate.methods.dedup.sketches import Source, Sources


def index_type(count: int) -> type[np.uint32 | np.int64]:
    """The type of numbers up to `count`: 4 bytes where they suffice, since every byte written costs time."""
    return np.uint32 if count < 1 << 32 else np.int64


@dataclass(frozen=True, slots=True)
class DistinctFile:
    """The distinct documents of a sketch file. first: the number of the first one. ids: `.npy` of their doc_ids,
    uint64, ascending. rows: file of bool, whether each row of the file is one of them. blocks: the columns that the
    buckets are made of."""

    path: Artefact
    first: int
    count: int
    ids: Artefact
    rows: Artefact
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Find them in some sketch files. where: a column that must not be 0. columns: those that buckets are made of.
    copies: `.npy` of doc_ids to leave out."""

    number: int
    of: int
    files: tuple[Source, ...]
    where: str
    columns: tuple[str, ...]
    copies: tuple[Artefact, ...]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"distinct-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <i>-ids.npy and <i>-rows.bin for each sketch file i of `files`. The result has the number of distinct
        documents and the column blocks of each file."""
        copies = [np.load(path, mmap_mode="r") for path in self.copies]
        counts = []
        for i, source in enumerate(self.files):
            ids, rows = [np.empty(0, np.uint64)], [np.empty(0, np.bool_)]
            for doc_id, live, values in source.rows(self.where):
                chosen = live & (values != 0)
                if len(doc_id):
                    chosen &= ~is_in_sorted(doc_id, _among(copies, doc_id[0], doc_id[-1]))
                ids.append(doc_id[chosen])
                rows.append(chosen)
            np.save(folder / f"{i}-ids.npy", np.concatenate(ids))
            np.concatenate(rows).tofile(folder / f"{i}-rows.bin")
            counts.append(sum(map(len, ids)))
        blocks = [[list(each) for each in blocks_of(file.path, file.schema, self.columns)] for file in self.files]
        return {"counts": counts, "blocks": blocks}


def _among(copies: Sequence[NDArray[np.uint64]], first: np.uint64, last: np.uint64) -> NDArray[np.uint64]:
    """The copies with first <= doc_id <= last, sorted."""
    pieces = [between(each, first, last) for each in copies]
    return np.sort(np.concatenate([np.empty(0, np.uint64), *pieces]))


def find_distinct(
    corpus: Corpus, sources: Sources, where: str, columns: Sequence[str], copies: Sequence[Artefact]
) -> tuple[DistinctFile, ...]:
    """The distinct documents of all sketch files. where, columns, copies: as in `Distinct`."""
    ranges = sources.ranges(4 * corpus.workers)
    works = [Distinct(i, len(ranges), files, where, tuple(columns), tuple(copies)) for i, files in enumerate(ranges)]
    done: list[Done] = corpus.run(works, "distinct documents")
    found: list[DistinctFile] = []
    first = 0
    for each, files in zip(done, ranges, strict=True):
        found_in = zip(files, each.result["counts"], each.result["blocks"], strict=True)
        for i, (source, count, blocks) in enumerate(found_in):
            paths = each.files[f"{i}-ids.npy"], each.files[f"{i}-rows.bin"]
            found.append(DistinctFile(source.path, first, count, *paths, tuple(Block(*block) for block in blocks)))
            first += count
    return tuple(found)
