"""Where the documents stand in data/: the records of each part, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.run_folder import DATA
from corpuscurate.engine.ids import spelled_alike
from corpuscurate.io.base import SourceFile, Want, input_format, output_format
from corpuscurate.io.file_names import kind_of
from corpuscurate.tools.forget.finished import FinishedRun
from corpuscurate.tools.forget.targets import KEPT, Target

_WHOLE = 1 << 62
"""Bytes: no part is split."""


@dataclass
class DataRows:
    """positions: of the records to take out, by part, ascending. rows: how many. documents: [target, texts] of those
    found. text_bytes: of each document's text once."""

    positions: dict[Path, NDArray[np.int64]] = field(default_factory=dict)
    found: list[tuple[Target, list[str]]] = field(default_factory=list)
    counts: dict[Path, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Records to take out."""
        return sum(map(len, self.positions.values()))


def find_rows(run: FinishedRun, targets: Sequence[Target], ids: Sequence[tuple[str, str]]) -> DataRows:
    """The rows of data/ of the kept targets. ids: (name, id) to be looked for where the docs artefacts are gone.

    Raises InputError for a format that cannot be read or rewritten, OutputError where data/ is not what was written.
    """
    kept = [target for target in targets if target.was == KEPT]
    result = DataRows()
    if not kept and not ids:
        return result
    if output_format(run.format).without is None or kind_of(f"part.{run.format}")[0] is None:
        raise InputError(
            f"data/ is of the format {run.format}, which can be written and not read and rewritten. Remove the"
            " documents from the input, and run the recipe again with --overwrite."
        )
    ranks = _ranks(run, [target for target in kept if run.in_input_order])
    by_id = (
        {target.id: target for target in kept if target.doc_id not in ranks.values()} if not run.in_input_order else {}
    )
    by_id |= {id: Target(name, None, id, KEPT, by_id=True) for name, id in ids}
    wanted = np.array(sorted(ranks), np.int64)
    numbered = {target.doc_id: target for target in kept}
    first, told = 0, dict(run.index["parts"]) if run.index is not None else {}
    texts: dict[str, list[str]] = {}
    for part in run.parts(DATA):
        rows = told.get(part.relative_to(run.out).as_posix())
        if not by_id and rows is not None and not np.any((wanted >= first) & (wanted < first + rows)):
            first += rows
            continue
        positions: list[int] = []
        for batch in records(run, part):
            chosen = is_in_sorted(np.arange(first, first + len(batch)).astype(np.uint64), wanted.astype(np.uint64))
            for row in np.flatnonzero(chosen).tolist():
                target = numbered[ranks[first + row]]
                if target.id is not None and _ids(run, batch)[row].as_py() != target.id:
                    raise OutputError(f"{part} does not hold the documents that the run wrote: see `run --verify`.")
                result.found.append((target, [batch.text[row].as_py()]))
                positions.append(int(batch.doc_id[row]))
            for row in _rows_with(run, batch, by_id):
                texts.setdefault(_ids(run, batch)[row].as_py(), []).append(batch.text[row].as_py())
                positions.append(int(batch.doc_id[row]))
            first += len(batch)
        if positions:
            result.positions[part] = np.array(sorted(positions), np.int64)
    result.found += _found_by_id(kept, ids, by_id, texts)
    return result


def _found_by_id(
    kept: Sequence[Target], ids: Sequence[tuple[str, str]], by_id: dict[str | None, Target], texts: dict[str, list[str]]
) -> list[tuple[Target, list[str]]]:
    """Targets that have been found by their ids, each with the texts of all rows with the id."""
    known = [target for target in kept if target.id in by_id]
    unknown = {id for _, id in ids}
    found = [(target, list(dict.fromkeys(texts.get(str(target.id), [])))) for target in known]
    for id in sorted(unknown & set(texts)):
        found += [(by_id[id], [text]) for text in texts[id]]
    return found


def _ranks(run: FinishedRun, kept: Sequence[Target]) -> dict[int, int]:
    """Row in data/, counted over all parts, of kept documents -> doc_id, where data/ is in input order."""
    wanted = np.array(sorted(target.doc_id for target in kept if target.doc_id is not None), np.uint64)
    ranks, before = {}, 0
    for ids in run.kept_ids() if len(wanted) else ():
        for at in np.flatnonzero(is_in_sorted(ids, wanted)).tolist():
            ranks[before + at] = int(ids[at])
        before += len(ids)
    return ranks


def _ids(run: FinishedRun, batch: Batch) -> pa.Array:
    return pa.nulls(len(batch), TEXT) if batch.id is None else spelled_alike(batch.id, run.id_type)


def _rows_with(run: FinishedRun, batch: Batch, ids: dict[str | None, Target]) -> list[int]:
    if not ids:
        return []
    wanted = pa.array([id for id in ids if id is not None], TEXT)
    rows: list[int] = np.flatnonzero(
        pc.is_in(_ids(run, batch), value_set=wanted).to_numpy(zero_copy_only=False)
    ).tolist()
    return rows


def records(run: FinishedRun, part: Path) -> Iterator[Batch]:
    """The documents of a part; their doc_ids are positions in it. Raises OutputError for a damaged part."""
    kind, compression = kind_of(part.name)
    try:
        size = part.stat().st_size
    except FileNotFoundError as error:
        raise OutputError(f"{part} is gone. Put it back, or run the recipe again with --overwrite.") from error
    file = SourceFile(0, part.name, str(part), size, str(kind), compression)
    want = Want(text=run.text_column, id=run.id_column, max_record_bytes=_WHOLE)
    format = input_format(str(kind))
    for span in format.split(file, _WHOLE) if size else ():
        for chunk in format.read(file, span, want):
            if chunk.bad:
                raise OutputError(f"{part} is damaged ({chunk.bad[0].detail}). Run the recipe again with --overwrite.")
            if chunk.batch is not None:
                yield chunk.batch
