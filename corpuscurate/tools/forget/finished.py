"""A finished run as its output folder tells it: report, input files, docs artefacts, ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts, read_sealed
from corpuscurate.core.columns import TEXT, to_numpy
from corpuscurate.core.doc_ids import POSITION_BITS, is_in_sorted
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import DamagedError, InputError, OutputError
from corpuscurate.core.run_folder import (
    BAD,
    DATA,
    DOCS,
    DROPPED,
    INDEX,
    MANIFEST,
    PUBLISH,
    REPORT,
    RUN,
    STATE,
    measure_folder,
    task_folder,
)
from corpuscurate.core.stage import GlobalStage, stage_classes
from corpuscurate.core.tables import read_table
from corpuscurate.engine.passes.dropped import DROPPED_SCHEMA


@dataclass(frozen=True)
class FinishedRun:
    """What is known of a run. out: its output folder."""

    out: Path
    report: Mapping[str, Any]

    @property
    def state(self) -> Path:
        """The run folder."""
        return self.out / STATE

    @property
    def id_column(self) -> str | None:
        """The column of the user's ids."""
        column: str | None = self.report["recipe"]["input"]["id"]
        return column

    @property
    def text_column(self) -> str:
        """The column of the text."""
        return str(self.report["recipe"]["input"]["text"])

    @property
    def format(self) -> str:
        """The format of data/."""
        return str(self.report["recipe"]["output"]["format"])

    def parts(self, kind: str) -> list[Path]:
        """The files of a kind, in their order."""
        return [self.out / str(file["name"]) for file in self.report["outputs"] if file["name"].startswith(f"{kind}/")]

    @cached_property
    def dropped(self) -> ds.Dataset:
        """dropped/ as a dataset; it may have no file."""
        parts = self.parts(DROPPED)
        return ds.dataset(parts, format="parquet") if parts else ds.dataset(pa.table([], schema=DROPPED_SCHEMA))

    @cached_property
    def id_type(self) -> pa.DataType:
        """The type of the ids in dropped/ and edits/."""
        return self.dropped.schema.field("id").type

    @cached_property
    def dropped_ids(self) -> NDArray[np.uint64]:
        """The doc_ids of dropped/, ascending."""
        ids: NDArray[np.uint64] = to_numpy(self.dropped.to_table(columns=["doc_id"]).column("doc_id"))
        return np.sort(ids)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """`splits` and `states` of the input; empty where the run folder is gone."""
        return read_sealed(self.state / MANIFEST) or {"splits": [], "states": []}

    @cached_property
    def input_identity(self) -> str | None:
        """The fingerprint of the input that the doc_ids number."""
        value = read_sealed(self.state / RUN)
        return None if value is None else str(value["manifest"])

    @cached_property
    def files(self) -> list[str]:
        """Names of the input files by number; empty where the run folder is gone."""
        names = list(dict.fromkeys(span[0] for split in self.manifest["splits"] for span in split))
        return names if len(names) == len(self.manifest["states"]) else []

    @cached_property
    def docs(self) -> list[Artefact] | None:
        """The docs artefacts of the first pass, one a split; None where they are gone (`retain: none`)."""
        folder = self.state / measure_folder(0)
        try:
            return [
                Artefacts(str(folder / task_folder(number)))[DOCS] for number in range(len(self.manifest["splits"]))
            ] or None
        except DamagedError:
            return None

    @cached_property
    def index(self) -> dict[str, Any] | None:
        """The header of its index; None where it left none."""
        value: dict[str, Any] | None = read_sealed(self.state / INDEX)
        return value

    @cached_property
    def in_input_order(self) -> bool:
        """Whether data/ surely holds each kept document once, by doc_id."""
        if self.index is not None:
            return bool(self.index["in_input_order"])
        classes = stage_classes()
        used = [(classes.get(stage["stage"]), stage["mode"]) for stage in self.report["stages"]]
        plain = all(
            kind is not None
            and not (
                issubclass(kind, GlobalStage) and mode == "drop" and (kind.copies_documents or kind.orders_documents)
            )
            for kind, mode in used
        )
        return plain and all(part.parent.name == DATA for part in self.parts(DATA))

    def kept_ids(self) -> Iterator[NDArray[np.uint64]]:
        """The kept doc_ids of each split, ascending; needs `docs`."""
        for file in self.docs or ():
            ids: NDArray[np.uint64] = to_numpy(read_table(file).column("doc_id"))
            yield ids[~is_in_sorted(ids, self.dropped_ids)]

    def place(self, doc_id: int) -> tuple[str, int] | None:
        """Input file and position of a document; None where the run folder does not tell."""
        number, position = doc_id >> POSITION_BITS, doc_id & ((1 << POSITION_BITS) - 1)
        return (self.files[number], position) if number < len(self.files) else None

    def split_with_bad(self, doc_id: int) -> int | None:
        """The split whose artefacts have a bad record; None where they are gone."""
        place = self.place(doc_id)
        folder = self.state / measure_folder(0)
        for number, split in enumerate(self.manifest["splits"]):
            if place is not None and any(span[0] == place[0] for span in split):
                try:
                    rows = read_table(Artefacts(str(folder / task_folder(number)))[BAD]).select(["file", "position"])
                except DamagedError:
                    continue
                if {"file": place[0], "position": place[1]} in rows.to_pylist():
                    return number
        return None

    def spelled(self, name: str) -> str | None:
        """An id as the docs artefacts and dropped/ spell it; None where it is none of the type of ids."""
        try:
            return str(pa.scalar(name).cast(self.id_type).cast(TEXT).as_py())
        except pa.ArrowInvalid:
            return None


def open_finished(out: Path) -> FinishedRun:
    """The finished run in a folder. Raises InputError where there is none, OutputError where it is not finished."""
    state = out / STATE
    if not (out / REPORT).is_file():
        if (state / RUN).is_file() or (state / PUBLISH).is_file():
            raise OutputError(
                f"the run in {out} is not finished: its documents cannot be told yet. Run the recipe again, which goes"
                " on from where it stopped, and forget then; or delete the folder."
            )
        raise InputError(f"{out} holds no finished run: there is no {REPORT}. Name a run's output folder.")
    try:
        return FinishedRun(out, read_json(out / REPORT))
    except ValueError as error:
        raise OutputError(f"{out / REPORT} cannot be read ({error}). Run the recipe again with --overwrite.") from error
