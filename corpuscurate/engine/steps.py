"""The steps of a run: measure, settle, discard scratch, write, leave an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.corpus import Done
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.earlier_runs import write_index
from corpuscurate.core.run_folder import DATA, GATHER, PLACE, WRITE, measure_folder, task_folder
from corpuscurate.core.spec import BadShare
from corpuscurate.core.stage import GlobalStage, code_value
from corpuscurate.engine.damage import (
    check_bad_share,
    incomplete_files,
    unread_files,
    unread_warning,
    warnings_of,
)
from corpuscurate.engine.documents import FinishedPass, Reader, alive_ids, edits_of
from corpuscurate.engine.fingerprints import source_value, stage_value, versions
from corpuscurate.engine.ledger.index import index_value
from corpuscurate.engine.passes.arrange import GatherBody, PlaceBody, Scatter
from corpuscurate.engine.passes.count import count_split, first_ids
from corpuscurate.engine.passes.dropped import Names
from corpuscurate.engine.passes.measure import MeasureBody
from corpuscurate.engine.passes.settle import discard_scratch, is_local, settle
from corpuscurate.engine.passes.write import WriteBody
from corpuscurate.engine.plan import (
    Counted,
    Pass,
    added_columns,
    copy_columns,
    cut_passes,
    edits_before,
    global_stages,
    pack_writes,
    user_columns,
)
from corpuscurate.engine.session import Session
from corpuscurate.engine.task import Task
from corpuscurate.io.base import OutputShape, Want, output_format
from corpuscurate.io.column_types import merge, type_changes, unify_types


class Steps:
    """The steps of one run, in order, and their results so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.spec = session.spec
        self.cut = cut_passes(self.spec.stages)
        self.finished: list[FinishedPass] = []
        self.identities: list[str] = []
        self.measured: list[list[dict[str, Any]]] = []
        self.settled: dict[str, dict[str, Any]] = {}
        self.incomplete: list[dict[str, Any]] = []
        self.conflicts: dict[str, str] = {}
        self.counts: list[Counted] = []
        self.written: list[dict[str, Any]] = []
        self.write_tasks: list[Task] = []
        self.parts: list[list[Any]] = []
        """[name, rows] of each file of data/."""

    def want(self, rest: bool, column_types: bool, reserved: tuple[str, ...]) -> Want:
        """What the readers deliver in a pass. reserved: names that the input must not have, to be looked for."""
        source = self.spec.source
        return Want(
            text=source.text,
            id=source.id,
            columns=(*user_columns(self.spec.stages), *reserved),
            rest=rest,
            column_types=column_types,
            batch_bytes=self.spec.settings.batch_bytes,
            max_record_bytes=source.max_record_bytes,
        )

    def reader(
        self,
        upto: int,
        columns: tuple[str, ...],
        *,
        rest: bool = False,
        column_types: bool = False,
        reserved: tuple[str, ...] = (),
    ) -> Reader:
        """A reader of the documents as they are after passes 0..upto (-1: as in the input)."""
        return Reader(
            self.spec.stages,
            tuple(self.finished[: upto + 1]),
            self.want(rest, column_types, reserved),
            edits_of(self.spec.stages, self.finished[: upto + 1]),
            columns,
            self.spec.source.on_bad_input == "fail",
            tuple(self.session.manifest.folder_columns.items()),
        )

    def columns_for(self, current: Pass) -> tuple[str, ...]:
        """Columns of earlier passes that this one's stages, and the edits replayed for it, read."""
        before = [index for each in self.cut[: current.number] for index in (*each.streaming, *each.settling)]
        made = added_columns([self.spec.stages[index] for index in before])
        readers = [self.spec.stages[index] for index in (*current.streaming, *current.settling)]
        readers += edits_before(self.spec.stages, self.cut, current.number - 1)
        return tuple(sorted({name for stage in readers for name in stage.reads() if name in made}))

    def measure_and_settle(self, *, discard: bool = False) -> None:
        """All passes in order. discard: delete the scratch files of each settle step."""
        for current in self.cut:
            self.measure(current)
            self.settle(current)
            if discard:
                self.discard(current)

    def measure(self, current: Pass) -> None:
        """Run a measuring pass; the first one says which files could not be read to their end."""
        stages = self.spec.stages
        folder = self.session.state / measure_folder(current.number)
        column_types = current.number == 0 and output_format(self.spec.sink.format).columnar
        reserved = (*added_columns(stages), *self.session.manifest.folder_columns) if current.number == 0 else ()
        reader = self.reader(
            current.number - 1, self.columns_for(current), column_types=column_types, reserved=reserved
        )
        sketching = [
            [stage.word, stage.version, stage.label, stage.sketch_parameters(), *code_value(stage)]
            for stage in global_stages(stages, current)
        ]
        identity = fingerprint(
            [
                versions(),
                source_value(self.spec),
                column_types,
                [stage_value(stages[index]) for index in current.streaming],
                sketching,
                user_columns(stages),
                reserved,
                self.identities,
            ]
        )
        tasks = [
            Task(
                folder / task_folder(split.number),
                fingerprint([identity, self.session.manifest.identity(split)]),
                MeasureBody(reader, split, current),
                split.bytes,
                needs_main=any(is_local(stage) for stage in stages),
            )
            for split in self.session.manifest.splits
        ]
        title = "reading and measuring" if current.number == 0 else f"measuring again, pass {current.number + 1}"
        self.measured.append(self.session.tasks(title, tasks))
        self.finished.append(FinishedPass(folder, current.streaming))
        if current.number == 0:
            self._merged_types()  # too many columns are told before hours of passes
            quarantined = [result["quarantined"] for result in self.measured[0]]
            self.incomplete = incomplete_files(self.finished[0], self.session.manifest, quarantined)
            unread = unread_files(self.finished[0], self.session.manifest, quarantined, self.incomplete)
            for text in (*warnings_of(self.incomplete), *unread_warning(unread), *self._missing_ids()):
                self.session.warn(text)
            if isinstance(self.spec.source.on_bad_input, BadShare):
                bound = self.spec.source.on_bad_input.max_share
                check_bad_share(bound, self.session.manifest, self.measured[0], [*self.incomplete, *unread])
        self.identities.append(fingerprint([identity, [task.fingerprint for task in tasks]]))

    def _merged_types(self) -> dict[str, Any]:
        """The column types of the whole input. Raises InputError for too many columns."""
        return merge(each["column_types"] for each in self.measured[0] if each["column_types"] is not None)

    def _missing_ids(self) -> list[str]:
        """A warning where documents have no id."""
        nulls, documents = (sum(result[name] for result in self.measured[0]) for name in ("null_ids", "documents"))
        if not nulls:
            return []
        column = self.spec.source.id
        return [f"{nulls:,} of {documents:,} documents have no id: it is null or missing in the column {column!r}"]

    def settle(self, current: Pass) -> None:
        """Run the settle steps of a pass, in order: each sees the documents that the ones before it did not drop."""
        reader = self.reader(current.number - 1, self.columns_for(current))
        for index in current.settling:
            stage = self.spec.stages[index]
            done = self.finished[current.number]
            documents = fingerprint(self.identities)
            identity = fingerprint([self.identities, stage_value(stage)])
            with self.session.timed(f"settling {stage.label}"):
                verdicts, stats = settle(self.session, index, done, reader, identity, documents)
            for text in stats.get("warnings", []):
                self.session.warn(f"{stage.label}: {text}")
            self.settled[stage.label] = stats
            self.finished[current.number] = FinishedPass(done.folder, done.streaming, (*done.verdicts, verdicts))
            self.identities.append(identity)

    def discard(self, current: Pass) -> None:
        """Delete the scratch files of the settle steps of a pass, so that the disk is free for the writing pass."""
        if self.spec.settings.retain == "all":
            return
        for index in current.settling:
            discard_scratch(self.session, self.spec.stages[index], self.finished[current.number].verdicts)

    def write(self, identity: str) -> None:
        """Count the kept documents, cut them into parts, write the output files."""
        manifest, sink = self.session.manifest, self.spec.sink
        quarantined = [sum(result["quarantined"].values()) for result in self.measured[0]]
        with self.session.timed("counting"):
            self.counts = [
                count_split(self.finished, split.number, quarantined[split.number], sink.part_bytes)
                for split in manifest.splits
            ]
        stages = self.spec.stages
        with_edits = any(isinstance(stage, GlobalStage) and stage.edits_text for stage in stages)
        groups = pack_writes([count.write for count in self.counts], sink.part_bytes, with_edits)
        added = added_columns(stages)
        read = [name for name in added if name not in copy_columns(stages)]
        reader = self.reader(len(self.cut) - 1, tuple(read), rest=True)
        shape = self._shape(added)
        names = Names(tuple(file.name for file in manifest.files), first_ids(self.counts))
        placed = self.place(identity)
        scatter = None if placed is None else Scatter(placed.files)
        self.write_tasks = [
            Task(
                self.session.state / WRITE / task_folder(group.number),
                fingerprint([identity, [group.number, group.splits]]),
                WriteBody(
                    reader,
                    tuple(manifest.splits[i] for i in group.splits),
                    group,
                    shape,
                    names,
                    sink.dropped_text,
                    scatter,
                ),
                sum(manifest.splits[i].bytes for i in group.splits),
                last=placed is None,
                needs_main=any(is_local(stage) for stage in stages),
            )
            for group in groups
        ]
        self.written = self.session.tasks("writing", self.write_tasks, largest_first=True)
        self.parts = [part for result in self.written for part in result.get("parts", [])]
        if placed is not None:
            self.gather(identity, placed.result["parts"], placed.result["partitions"], shape)

    def place(self, identity: str) -> Done | None:
        """Give each kept document its part and rank, if a stage orders or partitions documents; None otherwise."""
        verdicts = [verdict for done in self.finished for verdict in done.verdicts]
        stages = [stage for stage in self.spec.stages if isinstance(stage, GlobalStage) and stage.mode == "drop"]
        names = tuple(name for stage in stages for name in stage.partitions())
        if not names and not any(stage.orders_documents for stage in stages):
            return None
        body = PlaceBody(
            tuple(self.finished),
            len(self.session.manifest.splits),
            self.spec.sink.part_bytes,
            tuple(file for verdict in verdicts for file in verdict.order),
            tuple(file for verdict in verdicts for file in verdict.partition),
            names,
        )
        task = Task(self.session.state / PLACE, fingerprint([identity, PLACE]), body)
        (result,) = self.session.tasks("placing", [task])
        return Done(Artefacts(str(task.home)), {**result, "partitions": names})

    def gather(self, identity: str, parts: Sequence[Sequence[int]], names: Sequence[str], shape: OutputShape) -> None:
        """Write the parts from the pieces that the writing tasks left. names: of the partitions."""
        pieces: dict[int, list[tuple[Artefact, int]]] = {}
        for task, result in zip(self.write_tasks, self.written, strict=True):
            files = Artefacts(str(task.home))
            for part, number, name in result["pieces"]:
                pieces.setdefault(part, []).append((files[name], number))
        tasks = [
            Task(
                self.session.state / GATHER / task_folder(part),
                fingerprint([identity, GATHER, part]),
                GatherBody(tuple(pieces.get(part, ())), shape, number, names[partition] if names else None),
                last=True,
            )
            for part, (partition, number) in enumerate(parts)
        ]
        results = self.session.tasks("bringing into order", tasks)
        self.parts = [part for result in results for part in result["parts"]]
        self.write_tasks += tasks

    def leave_index(self, identity: str) -> None:
        """Write the index, if a stage has sketches that later runs can compare with."""
        value = index_value(self.spec, self.cut)
        if not value["stages"]:
            return
        parts = [[f"{DATA}/{name}", rows] for name, rows in self.parts]
        header = {
            **value,
            "identity": identity,
            "splits": len(self.session.manifest.splits),
            "first_ids": first_ids(self.counts).tolist(),
            "parts": sorted(parts),
            "in_input_order": self.in_input_order(),
        }
        last = self.finished[-1]
        write_index(
            self.session.state, header, (alive_ids(last, split.number) for split in self.session.manifest.splits)
        )

    def in_input_order(self) -> bool:
        """Whether data/ holds each kept document once, by doc_id: then a later run finds its texts there."""
        stages = [stage for stage in self.spec.stages if isinstance(stage, GlobalStage) and stage.mode == "drop"]
        return not any(each.copies_documents or each.orders_documents or each.partitions() for each in stages)

    def _shape(self, added: dict[str, Any]) -> OutputShape:
        import pyarrow as pa

        sink, source = self.spec.sink, self.spec.source
        schema = pa.schema([])
        if output_format(sink.format).columnar:
            types = self._merged_types()
            schema, self.conflicts = unify_types(types, source.id)
            for text in type_changes(types, schema, self.conflicts):
                self.session.warn(text)
        made = {**self.session.manifest.folder_columns, **added}
        return OutputShape(sink.format, schema, source.text, source.id, made, sink.row_group_bytes)
