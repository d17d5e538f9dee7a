"""Documents that are read again: in place, or picked out of their batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate.core.stage import StreamingStage
from corpuscurate.core.tables import read_table
from corpuscurate.engine.documents import Reader
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.passes.reread import RereadBody
from corpuscurate.io.base import SourceFile, Want, input_format
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize

TEXTS = [f"Document {number} has\u00a0{number} words, or ｍｏｒｅ." * (number % 4) for number in range(60)]


def reread(folder: Path, wanted: list[int], edits: tuple[StreamingStage, ...] = ()) -> list[dict[str, Any]]:
    path = folder / "in.parquet"
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=25)
    file = SourceFile(0, path.name, str(path), path.stat().st_size, "parquet")
    spans = tuple(input_format("parquet").split(file, 1))
    split = Split(0, (file,) * len(spans), spans)
    np.save(folder / "wanted.npy", np.array(wanted, np.uint64))
    stage = MinHash()
    reader = Reader((*edits, stage), (), Want(batch_bytes=300), edits=edits)
    body = RereadBody(reader, split, stage, "candidate_units", folder / "wanted.npy")
    assert body.run(folder) == {"documents": len(wanted)}
    rows: list[dict[str, Any]] = read_table(folder / "rows.arrow").to_pylist()
    return rows


@pytest.mark.parametrize("edits", [(), (Normalize(),)])
@pytest.mark.parametrize("wanted", [[], [3], [0, 5, 24, 25, 26, 59], list(range(60))])
def test_documents_in_place_are_as_those_picked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: list[int], edits: tuple[StreamingStage, ...]
) -> None:
    in_place = reread(tmp_path, wanted, edits)
    assert [row["doc_id"] for row in in_place] == wanted
    monkeypatch.setattr(MinHash, "takes_rows", frozenset())
    assert reread(tmp_path, wanted, edits) == in_place


def test_a_document_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="2 documents were asked for and 1 found"):
        reread(tmp_path, [7, 60])
