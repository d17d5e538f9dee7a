"""`on_task_failure: isolate`: a document on which a stage fails or a worker dies costs itself and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from support.engine import digests, write_corpus

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import StageError, WorkerError
from corpuscurate.core.stage import Outcome, Stage
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

POISONS = ("d46", "d125", "d126")
"""The second and third stand side by side."""


class Poisoned(Length):
    """A stage that fails over some documents. how: raises, dies, together (dies over two of them in one batch)."""

    how: str

    def parameters(self) -> dict[str, Any]:
        return {"min_words": self.min_words}

    def apply(self, batch: Batch) -> Outcome:
        here = [] if batch.id is None else [id for id in batch.id.to_pylist() if id in POISONS]
        if len(here) > (1 if self.how == "together" else 0):
            if self.how == "raises":
                raise ValueError(f"cannot take {here[0]}")
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().apply(batch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "in", shards=6)
    return tmp_path


def run(folder: Path, out: str, *stages: Stage, **settings: Any) -> dict[str, Any]:
    source, sink = Source(paths=("in/*.jsonl",), id="id", split_bytes=20_000), Sink(path=out)
    return Pipeline(source, stages, sink, Settings(**{"workers": 2, "retries": 0, **settings}), folder).run()


def quarantined(out: Path) -> list[tuple[str, str, str, str]]:
    """(file, id, reason, detail) of what was isolated, in the order of the documents."""
    rows = [row for path in sorted((out / "quarantine").iterdir()) for row in pq.read_table(path).to_pylist()]
    found = []
    for row in rows:
        if row["reason"] in ("stage_failed", "worker_died"):
            line = (out.parent / row["file"]).read_bytes()[row["position"] :].split(b"\n")[0]
            record = orjson.loads(line)
            assert record["text"].encode().startswith(row["head"]), "the text as it was read"
            found.append((row["file"], record["id"], row["reason"], row["detail"]))
    return found


def ids(out: Path, kind: str) -> list[str]:
    tables = [pq.read_table(path, columns=["id"]) for path in sorted((out / kind).iterdir())]
    return [id for table in tables for id in table["id"].to_pylist()]


@pytest.mark.parametrize(
    ("how", "workers", "late"),
    [("raises", 1, False), ("raises", 1, True), ("dies", 1, False), ("dies", 2, True)],
)
def test_poisonous_documents_are_quarantined_and_all_others_are_as_without_them(
    folder: Path, how: str, workers: int, late: bool
) -> None:
    """late: in a pass after a global stage, when the documents are in the ledger of the first pass already."""
    before = (Exact(name="early"),) if late else ()
    report = run(
        folder, "out", *before, Poisoned(min_words=3, name="p", how=how), Exact(), workers=workers,
        on_task_failure="isolate",
    )  # fmt: skip
    told = quarantined(folder / "out")
    assert [(file, id) for file, id, _, _ in told] == [
        ("in/shard-1.jsonl", "d46"), ("in/shard-3.jsonl", "d125"), ("in/shard-3.jsonl", "d126")
    ]  # fmt: skip
    assert {reason for _, _, reason, _ in told} == {"stage_failed" if how == "raises" else "worker_died"}
    wanted = ["cannot take d46", "cannot take d125", "cannot take d126"] if how == "raises" else ["SIGSEGV"] * 3
    assert all(word in detail for word, (*_, detail) in zip(wanted, told, strict=True)), told
    run(folder, "whole", *before, Length(min_words=3, name="p"), Exact())
    for kind in ("data", "dropped"):
        assert ids(folder / "out", kind) == [id for id in ids(folder / "whole", kind) if id not in POISONS]
    counts = report["documents"]
    assert counts["input"] == counts["kept"] + counts["dropped"] + counts["quarantined"]
    assert report["quarantined_by_reason"][told[0][2]] == len(POISONS)
    assert sum("on_task_failure: isolate" in text for text in report["warnings"]) == 1
    assert not list((folder / "out" / "_run").rglob("probe-*"))


def test_workers_batches_and_a_resume_change_no_byte(folder: Path) -> None:
    stages = (Poisoned(min_words=3, name="p", how="raises"), Exact())
    run(folder, "one", *stages, workers=1, on_task_failure="isolate")
    run(folder, "two", *stages, workers=2, batch_bytes=2_000, on_task_failure="isolate", retain="all")
    assert digests(folder / "one") == digests(folder / "two")
    with pytest.raises(StageError, match="cannot take d"):
        run(folder, "three", *stages)
    report = run(folder, "three", *stages, on_task_failure="isolate")
    assert digests(folder / "three") == digests(folder / "one")
    assert report["quarantined_by_reason"]["stage_failed"] == len(POISONS)


def test_what_no_single_document_does_is_an_error(folder: Path) -> None:
    with pytest.raises(WorkerError, match=r"SIGSEGV while it worked on in/shard-3\.jsonl"):
        run(folder, "out", Poisoned(min_words=3, name="p", how="together"), on_task_failure="isolate")
    assert not (folder / "out" / "data").exists()


@pytest.mark.parametrize("how", ["raises", "dies"])
def test_a_batch_of_nothing_but_poison_leaves_the_other_batches(folder: Path, how: str) -> None:
    report = run(
        folder, "out", Poisoned(min_words=3, name="p", how=how), workers=1, batch_bytes=1, on_task_failure="isolate"
    )
    assert [id for _, id, _, _ in quarantined(folder / "out")] == list(POISONS)
    counts = report["documents"]
    assert counts["input"] == counts["kept"] + counts["dropped"] + counts["quarantined"]
