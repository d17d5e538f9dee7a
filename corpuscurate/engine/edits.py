"""Text edits of global stages: spans that are cut when the documents are read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, text_buffers, to_numpy
from corpuscurate.core.corpus import EDITS
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.core.stage import GlobalStage
from corpuscurate.core.tables import cached_table, rows_between
from corpuscurate.engine.streaming import stage_error
from corpuscurate.kernels.text.spans import OUTSIDE, OVERLAPPING, check_spans, cut_spans

_FAULTS = {OUTSIDE: "lies outside its text", OVERLAPPING: "overlaps the one before it or stands before it"}
_SPLIT = "begins or ends inside a character"


@dataclass(frozen=True, slots=True)
class CutSpans:
    """The edits of a global stage. files: rows of EDITS, see `Settled`."""

    stage: GlobalStage
    files: tuple[Artefact, ...]

    def apply(self, batch: Batch) -> Batch:
        """The batch with the spans cut. Raises StageError for a span that cannot be cut."""
        rows = edit_rows(self.files, *id_range(batch.doc_id))
        rows = rows.filter(pa.array(is_in_sorted(to_numpy(rows.column("doc_id")), batch.doc_id)))
        if not rows.num_rows:
            return batch
        documents: NDArray[np.int64] = np.searchsorted(batch.doc_id, to_numpy(rows.column("doc_id"))).astype(np.int64)
        starts, stops = (to_numpy(rows.column(name)).astype(np.int64) for name in ("start", "stop"))
        offsets, data = text_buffers(batch.text)
        status = np.zeros(1, np.int64)
        wrong = int(check_spans(offsets, data, documents, starts, stops, status))
        if wrong >= 0:
            fault = _FAULTS.get(int(status[0]), _SPLIT)
            span = f"the span {starts[wrong]}..{stops[wrong]} of document {batch.doc_id[documents[wrong]]}"
            raise stage_error(self.stage, batch, ValueError(f"{span} {fault}"))
        out_offsets = np.empty(len(batch) + 1, np.int64)
        out = np.empty(int(offsets[-1] - offsets[0] - (stops - starts).sum()), np.uint8)
        cut_spans(offsets, data, documents, starts, stops, out_offsets, out)
        return batch.with_text(from_buffers(out_offsets, out))


def edit_rows(files: Sequence[Artefact], first: int, last: int) -> pa.Table:
    """Rows of EDITS of doc_ids first..last, by doc_id and start."""
    tables = [rows_between(cached_table(file), first, last) for file in files]
    table = pa.concat_tables([EDITS.empty_table(), *(each for each in tables if each.num_rows)])
    return table.sort_by([(name, "ascending") for name in ("doc_id", "start", "stop")]).combine_chunks()
