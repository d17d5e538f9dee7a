"""Takes documents out of dropped/, edits/ and quarantine/, and their ids out of the rows of other documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpuscurate.core.run_folder import DROPPED, EDITS, QUARANTINE
from corpuscurate.engine.passes.dropped import ROW_GROUP_ROWS
from corpuscurate.tools.forget.finished import FinishedRun
from corpuscurate.tools.forget.targets import QUARANTINED, Target, partner_is_one

PARTNERS = {DROPPED: ("duplicate_of", "matched"), EDITS: ("partner",)}


@dataclass(frozen=True)
class Ledger:
    """What is taken out of the ledger of a run."""

    run: FinishedRun
    targets: Sequence[Target]

    def touched(self) -> list[Path]:
        """The parts that hold a target or name one."""
        found = []
        for kind in (DROPPED, EDITS, QUARANTINE):
            for part in self.run.parts(kind):
                table = pq.read_table(part, columns=self._needed(kind))
                named = any(self._names_one(table, name).any() for name in PARTNERS.get(kind, ()))
                if named or not self._stays(kind, table).all():
                    found.append(part)
        return found

    def rewrite(self, part: Path, path: Path) -> None:
        """Copy a part to a new file without the targets. Row groups keep their other rows."""
        kind = part.relative_to(self.run.out).parts[0]
        source = pq.ParquetFile(part)
        schema = source.schema_arrow
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
            rows = 0
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                table = self._unnamed(kind, table.filter(pa.array(self._stays(kind, table)))).cast(schema)
                rows += table.num_rows
                if table.num_rows:
                    writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
            if not rows:
                writer.write_table(schema.empty_table(), row_group_size=ROW_GROUP_ROWS)

    @staticmethod
    def _needed(kind: str) -> list[str]:
        if kind == QUARANTINE:
            return ["file", "position", "whole_file"]
        partners = [column for name in PARTNERS[kind] for column in (name, f"{name}_doc_id")]
        return ["doc_id", "id", *partners, *(f"{name}_corpus" for name in PARTNERS[kind] if kind == DROPPED)]

    def _stays(self, kind: str, table: pa.Table) -> NDArray[np.bool_]:
        """bool[n]: which rows are not those of a target."""
        if kind == QUARANTINE:
            gone = {self.run.place(t.doc_id) for t in self.targets if t.was == QUARANTINED and t.doc_id is not None}
            places = zip(table.column("file").to_pylist(), table.column("position").to_pylist(), strict=True)
            whole = table.column("whole_file").to_pylist()
            return np.array([one or place not in gone for place, one in zip(places, whole, strict=True)], np.bool_)
        numbers = pa.array(sorted({t.doc_id for t in self.targets if t.doc_id is not None}), pa.uint64())
        gone = pc.is_in(table.column("doc_id"), value_set=numbers)
        ids = pa.array(sorted({t.id for t in self.targets if t.id is not None and t.by_id}), pa.large_string())
        if len(ids):
            known = pc.is_in(table.column("id"), value_set=ids.cast(table.schema.field("id").type))
            gone = pc.or_(gone, known)
        stays: NDArray[np.bool_] = ~gone.to_numpy()
        return stays

    def _names_one(self, table: pa.Table, name: str) -> NDArray[np.bool_]:
        """bool[n]: which rows name a target, with its id, in a column of partners."""
        named: NDArray[np.bool_] = partner_is_one(table, name, self.targets)
        known: NDArray[np.bool_] = table.column(name).is_valid().to_numpy()
        return named & known

    def _unnamed(self, kind: str, table: pa.Table) -> pa.Table:
        """The rows without the ids of targets; the numbers of partners stay."""
        for name in PARTNERS.get(kind, ()):
            named = pa.array(self._names_one(table, name))
            column = pc.if_else(named, pa.scalar(None, table.schema.field(name).type), table.column(name))
            table = table.set_column(table.column_names.index(name), table.schema.field(name), column)
        return table
