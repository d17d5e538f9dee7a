"""Runs compared with each other: what a run tells of its sketches, and the texts of an earlier run read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.artefact import table_writer
from corpuscurate.batch import Batch
from corpuscurate.earlier import EarlierRun, must_match, open_runs
from corpuscurate.errors import InputError
from corpuscurate.io.base import FORMATS, SourceFile, Want
from corpuscurate.measure import sketch_name, sketch_rows
from corpuscurate.plan import Segment, edits_before, segments
from corpuscurate.spec import Spec
from corpuscurate.stage import GlobalStage

_FORMS = {
    "parquet": ("parquet", None),
    "arrow": ("arrow", None),
    "jsonl": ("jsonl", None),
    "jsonl.gz": ("jsonl", "gz"),
    "jsonl.zst": ("jsonl", "zst"),
}


def index_value(spec: Spec, cut: Sequence[Segment]) -> dict[str, Any]:
    """What later runs have to know of the sketches: for each stage that can be compared with, its header, the edits of
    text before it, and whether more follow; the form of data/."""
    left = []
    everything = edits_before(spec.stages, cut, len(cut) - 1)
    for segment in cut:
        edits = edits_before(spec.stages, cut, segment.number)
        for place in segment.settling:
            stage = spec.stages[place]
            header = stage.index_header() if isinstance(stage, GlobalStage) else None
            if isinstance(stage, GlobalStage) and header is not None:
                left.append(
                    {
                        "word": stage.word,
                        "label": stage.label,
                        "header": header,
                        "edits": [[edit.word, edit.version, _plain(edit.identity())] for edit in edits],
                        "edited_later": len(everything) > len(edits),
                        "folder": f"measure-{segment.number}",
                        "sketch": sketch_name(stage),
                    }
                )
    return {"text": spec.source.text, "format": spec.sink.format, "stages": left}


def _plain(identity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key != "mode"}


def check_edits(spec: Spec) -> None:
    """Hold the edits before each stage that compares with earlier runs against theirs. Raises InputError."""
    ours = {each["label"]: each["edits"] for each in index_value(spec, segments(spec.stages))["stages"]}
    for stage in spec.stages:
        if isinstance(stage, GlobalStage):
            for run in open_runs(stage.corpora()):
                theirs = run.stage(stage.word, stage.label)["edits"]
                must_match(run, f"the edits of text before {stage.word}", theirs, ours[stage.label])


def texts_of(run: EarlierRun, stage: GlobalStage) -> None:
    """Make sure that data/ of an earlier run holds the texts that its stage saw. Raises InputError."""
    instead = "Use `verify: signature`, which compares the sketches alone."
    if run.stage(stage.word, stage.label)["edited_later"]:
        raise InputError(
            f"index {run.path}: stages after its {stage.word} edited the text, so the texts that were compared there "
            f"are not in its data/. {instead}"
        )
    for name, _ in run.header["parts"]:
        if not (run.path / name).is_file():
            raise InputError(
                f"index {run.path}: {name} is gone, and its texts are needed for `verify: exact`. {instead}"
            )


@dataclass(frozen=True, slots=True)
class EarlierBody:
    """One part of data/ of an earlier run, read for chosen documents and sketched by a method of a stage.

    first: how many documents are in the parts before it; documents: in it. wanted: a file a split, of doc_ids with
    `base` added.
    """

    run_of: EarlierRun
    part: str
    first: int
    documents: int
    base: int
    wanted: tuple[Path, ...]
    stage: GlobalStage
    method: str

    def run(self, folder: Path) -> dict[str, Any]:
        """Write rows.arrow."""
        ids, ranks = self._chosen()
        empty = Batch(np.zeros(0, np.uint64), pa.array([], pa.large_string()), np.zeros(0, np.int64))
        seen = rows = 0
        with table_writer(folder / "rows.arrow", sketch_rows(self.stage, self.method, empty).schema) as writer:
            for batch in self._batches() if len(ids) else ():
                low, high = np.searchsorted(ranks, [seen, seen + len(batch)])
                seen += len(batch)
                if low == high:
                    continue
                mask = np.zeros(len(batch), np.bool_)
                mask[ranks[low:high] - (seen - len(batch))] = True
                chosen = batch.filter(mask)
                named = Batch(ids[low:high], chosen.text, chosen.record_bytes)
                writer.write(sketch_rows(self.stage, self.method, named))
                rows += len(named)
        if len(ids) and (rows != len(ids) or seen != self.documents):
            raise InputError(f"index {self.run_of.path}: {self.part} is not as its run wrote it.")
        return {"documents": rows}

    def _chosen(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The wanted documents that are in this part, and their row in it."""
        ids, ranks, before = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], -self.first
        for split, path in enumerate(self.wanted):
            kept = np.load(self.run_of.kept(split), mmap_mode="r")
            wanted = np.load(path)
            at = before + np.searchsorted(kept, wanted - np.uint64(self.base))
            here = (at >= 0) & (at < self.documents)
            ids.append(wanted[here])
            ranks.append(at[here])
            before += len(kept)
        return np.concatenate(ids), np.concatenate(ranks)

    def _batches(self) -> Any:
        path = self.run_of.path / self.part
        form, compression = _FORMS[self.run_of.header["format"]]
        file = SourceFile(0, str(path), str(path), path.stat().st_size, form, compression)
        want = Want(text=self.run_of.header["text"], max_record_bytes=1 << 30)
        for span in FORMATS[form].split(file, 1 << 62):
            for chunk in FORMATS[form].read(file, span, want):
                if chunk.bad:
                    raise InputError(f"index {self.run_of.path}: {self.part} has a record that cannot be read.")
                if chunk.batch is not None:
                    yield chunk.batch
