"""Counts the documents that have the id of an earlier document, exactly and in bounded memory.

What is compared is the id as the run writes it (`engine.ids`), by a 128-bit SipHash. The ids of the docs artefacts are
spread over key ranges, each block of rows without the ids that it has seen already; so even one id that all documents
share takes a row a block. The ids that occur again in a key range then belong to other blocks. Together both are all
documents but the first with each id, however the rows were cut.

On disk 24 bytes a document, until the count is known. In memory `REDUCE_BYTES` a row of the key range.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts, read_sealed, write_sealed
from corpuscurate.core.columns import large_string, text_buffers, to_numpy
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.doc_ids import POSITION_BITS, is_in_sorted
from corpuscurate.core.earlier_runs import ALONE
from corpuscurate.core.run_folder import DOCS, DUPLICATE_IDS, SETTLED
from corpuscurate.core.tables import read_table
from corpuscurate.engine.documents import FinishedPass
from corpuscurate.engine.ids import ids_as, spelled_alike
from corpuscurate.engine.passes.count import first_ids_of
from corpuscurate.engine.passes.dropped import ids_in
from corpuscurate.engine.session import Session
from corpuscurate.engine.task import Task
from corpuscurate.kernels.hashing import HASH_VERSION, KEY, siphash128
from corpuscurate.methods.dedup import key_ranges as ranges
from corpuscurate.methods.dedup.key_ranges import REDUCE_BYTES, ROW, KeyRange, equal_groups, key_range_of

SHOWN = 5
"""Duplicate ids that are named in the report; a warning names `WARNED`."""
WARNED = 3
_SHOWN_CHARACTERS = 60
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class SpreadIds:
    """Spreads the ids of neighbouring splits over key ranges. docs: their docs artefacts; ids: the type of ids."""

    docs: tuple[Artefact, ...]
    key_ranges: int
    ids: pa.DataType

    def run(self, folder: Path) -> dict[str, Any]:
        """Write one file `<key range>.bin` of rows for each key range. The result: `documents`, those whose block has
        their id before them, `lowest`, their lowest doc_ids, and `first_ids` of the splits (null: no document)."""
        documents, lowest, firsts = 0, np.empty(0, np.uint64), []
        with ExitStack() as stack:
            outs = [stack.enter_context((folder / f"{i}.bin").open("wb")) for i in range(self.key_ranges)]
            for file in self.docs:
                table = read_table(file)
                firsts.append(table.column("doc_id")[0].as_py() if table.num_rows else None)
                for rows in self._blocks(table):
                    new, repeated = _new_and_repeated(rows)
                    documents += len(repeated)
                    lowest = _lowest(lowest, repeated["doc_id"])
                    key_range = key_range_of(new["high"], self.key_ranges).astype(np.uint16)  # NumPy: a radix sort
                    new = new[np.argsort(key_range, kind="stable")]
                    ends = np.cumsum(np.bincount(key_range, minlength=self.key_ranges))
                    for out, piece in zip(outs, np.split(new, ends[:-1]), strict=True):
                        out.write(piece.tobytes())
        return {"documents": documents, "lowest": lowest.tolist(), "first_ids": firsts}

    def _blocks(self, table: pa.Table) -> Iterator[NDArray[Any]]:
        """Key and doc_id of the documents that have an id, some at a time, by doc_id."""
        for batch in table.select(["doc_id", "id"]).to_batches(max_chunksize=_BLOCK_ROWS):
            known = batch.filter(batch.column("id").is_valid())
            rows = np.empty(len(known), ROW)
            rows["doc_id"] = to_numpy(known.column("doc_id"))
            offsets, data = text_buffers(large_string(spelled_alike(known.column("id"), self.ids)))
            high, low = np.empty((2, len(known)), np.uint64)
            siphash128(offsets, data, *KEY, high, low)
            rows["high"], rows["low"] = high, low
            yield rows


def _new_and_repeated(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows whose key is new in the block, and those whose key was there before."""
    high = np.sort(rows["high"])
    twice = high[1:][high[1:] == high[:-1]]
    if not len(twice):
        return rows, rows[:0]
    may = np.flatnonzero(is_in_sorted(rows["high"], twice))
    may = may[np.lexsort((rows["low"][may], rows["high"][may]))]  # stable: equal keys stay by doc_id
    keys = rows[["high", "low"]][may]
    again = np.zeros(len(rows), np.bool_)
    again[may[1:]] = keys[1:] == keys[:-1]
    return rows[~again], rows[again]


def _lowest(*several: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The lowest `SHOWN` of all doc_ids, ascending."""
    every = np.concatenate(several)
    return np.sort(np.partition(every, SHOWN)[:SHOWN] if len(every) > SHOWN else every)


@dataclass(frozen=True, slots=True)
class CountRange:
    """Counts the rows of one key range whose key has another row before."""

    key_range: KeyRange

    def run(self, folder: Path) -> dict[str, Any]:
        """Write nothing. The result: `documents`, and `lowest`, their lowest doc_ids."""
        ids, offsets = equal_groups(self.key_range, ALONE)
        again = np.ones(len(ids), np.bool_)
        again[offsets[:-1]] = False
        return {"documents": int(again.sum()), "lowest": _lowest(ids[again]).tolist()}


def find_duplicate_ids(session: Session, first: FinishedPass, documents: int, ids: pa.DataType, identity: str) -> Any:
    """The entry of the report: {"documents": how many have the id of an earlier one, "first": the first few of them}.

    first: the first pass; documents: their number; ids: the type of ids; identity: fingerprint of the pass.
    """
    state = session.state / DUPLICATE_IDS
    whole = fingerprint([identity, str(ids), HASH_VERSION, SHOWN])
    known = read_sealed(state / SETTLED)
    if known is not None and known["fingerprint"] == whole:
        return known["found"]
    docs = [first.split(split.number)[DOCS] for split in session.manifest.splits]
    count = ranges.key_range_count(session, documents, REDUCE_BYTES)
    size = max(1, -(-len(docs) // (4 * session.workers)))
    groups = [tuple(docs[start : start + size]) for start in range(0, len(docs), size)]
    spreads = [
        Task(
            state / f"spread-{number}of{len(groups)}-{count}",
            fingerprint([whole, number, len(groups), count]),
            SpreadIds(group, count, ids),
            durable=False,
        )
        for number, group in enumerate(groups)
    ]
    spread = session.tasks("looking for duplicate ids", spreads)
    files = [Artefacts(str(task.home)) for task in spreads]
    counts = [
        Task(
            state / f"count-{number}of{count}",
            fingerprint([whole, number, len(groups), count]),
            CountRange(KeyRange(tuple(each[f"{number}.bin"] for each in files), ROW)),
            durable=False,
        )
        for number in range(count)
    ]
    counted = session.tasks("looking for duplicate ids", counts)
    lowest = _lowest(*(np.array(each["lowest"], np.uint64) for each in (*spread, *counted)))
    firsts = first_ids_of([each for result in spread for each in result["first_ids"]])
    found = {
        "documents": sum(each["documents"] for each in (*spread, *counted)),
        "first": _named(session, first, lowest, firsts, ids),
    }
    shutil.rmtree(state)
    state.mkdir()
    write_sealed(state / SETTLED, {"fingerprint": whole, "found": found})
    return found


def _named(
    session: Session, first: FinishedPass, doc_ids: NDArray[np.uint64], firsts: NDArray[np.uint64], kind: pa.DataType
) -> list[dict[str, Any]]:
    """Rows of the report for documents."""
    users = ids_as(ids_in(pa.array(doc_ids), firsts, lambda split: first.split(split)[DOCS]), kind).to_pylist()
    names = [file.name for file in session.manifest.files]
    return [
        {
            "id": user,
            "file": names[doc_id >> POSITION_BITS],
            "position": doc_id & ((1 << POSITION_BITS) - 1),
            "doc_id": doc_id,
        }
        for user, doc_id in zip(users, doc_ids.tolist(), strict=True)
    ]


def duplicate_id_warnings(found: Any, documents: int, column: str) -> list[str]:
    """A warning where documents have the id of an earlier one. found: see `find_duplicate_ids`."""
    if not found["documents"]:
        return []
    shown = [f"{_shortened(each['id'])} ({each['file']}, doc_id {each['doc_id']})" for each in found["first"][:WARNED]]
    told = "; ".join(shown)
    return [
        f"{found['documents']:,} of {documents:,} documents have the id of an earlier document in the column "
        f"{column!r}, first {told}"
    ]


def _shortened(id: Any) -> str:
    text = repr(id)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
