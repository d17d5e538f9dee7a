"""The steps of a run: measure, settle, discard scratch, write, leave an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.columns import TEXT
from corpuscurate.core.corpus import Done
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.earlier_runs import write_index
from corpuscurate.core.run_folder import (
    DATA,
    FORGOTTEN,
    GATHER,
    PLACE,
    WRITE,
    measure_folder,
    task_folder,
    written_sketch_file,
)
from corpuscurate.core.spec import BadShare
from corpuscurate.core.stage import GlobalStage, Note, Stage, StreamingStage, code_value
from corpuscurate.engine.damage import (
    check_bad_share,
    incomplete_files,
    unread_files,
    unread_warning,
    warnings_of,
)
from corpuscurate.engine.documents import FinishedPass, Reader, alive_ids, edits_of
from corpuscurate.engine.fingerprints import source_value, stage_value, versions
from corpuscurate.engine.ids import id_type
from corpuscurate.engine.ledger.index import index_value, sketched_while_writing
from corpuscurate.engine.overview import MEASURING, SETTLING, WRITING, Tracker
from corpuscurate.engine.passes.arrange import GatherBody, PlaceBody, Scatter
from corpuscurate.engine.passes.count import count_split, first_ids
from corpuscurate.engine.passes.dropped import Names
from corpuscurate.engine.passes.duplicate_ids import duplicate_id_warnings, find_duplicate_ids
from corpuscurate.engine.passes.measure import MeasureBody
from corpuscurate.engine.passes.settle import discard_scratch, settle
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
from corpuscurate.io.base import OutputShape, Want, input_format, output_format
from corpuscurate.io.column_types import NO_COLUMNS, check_columns, merge, unify_types
from corpuscurate.io.json_losses import loss_warnings
from corpuscurate.io.notes import left_behind
from corpuscurate.io.type_changes import json_changes, merge_kinds, typed_changes

TypesOf = Literal["all", "columns", "id"]


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
        self.isolated: dict[int, tuple[int, ...]] = {}
        self.schema = NO_COLUMNS
        self.conflicts: dict[str, str] = {}
        self.id_type = TEXT
        self.duplicate_ids: dict[str, Any] = {"documents": 0, "first": []}
        self.counts: list[Counted] = []
        self.written: list[dict[str, Any]] = []
        self.write_tasks: list[Task] = []
        self.parts: list[list[Any]] = []
        """[name, rows] of each file of data/."""
        self.session.tracker = self.tracker()

    def tracker(self) -> Tracker:
        """Follows the phases: for each pass its measuring and the settling of its stages, then the writing."""
        stages, format = self.spec.stages, output_format(self.spec.sink.format)
        edits = [stage.label for stage in stages if isinstance(stage, StreamingStage) and stage.edits_text]
        return Tracker(
            [(kind, title, label) for kind, title, label in _phases(stages, self.cut)],
            self.session.progress.overview,
            slow_writing=format.columnar or format.compressed,
            edits=edits,
        )

    def enter(self, kind: str, label: str = "") -> None:
        """The phase of that kind begins, that of a stage by its label, a measuring pass by its number."""
        keys = [(each, key) for each, _, key in _phases(self.spec.stages, self.cut)]
        self.session.tracker.enter(keys.index((kind, label)))

    def want(self, rest: bool, types_of: TypesOf | None, reserved: tuple[str, ...]) -> Want:
        """What the readers deliver in a pass. types_of: see `Want`; None: no column types. reserved: names that the
        input must not have, to be looked for."""
        source = self.spec.source
        return Want(
            text=source.text,
            id=source.id,
            columns=(*user_columns(self.spec.stages), *reserved),
            rest=rest,
            column_types=types_of is not None,
            types_of=types_of or "all",
            batch_bytes=self.spec.settings.batch_bytes,
            max_record_bytes=source.max_record_bytes,
        )

    def reader(
        self,
        upto: int,
        columns: tuple[str, ...],
        *,
        rest: bool = False,
        types_of: TypesOf | None = None,
        reserved: tuple[str, ...] = (),
    ) -> Reader:
        """A reader of the documents as they are after passes 0..upto (-1: as in the input)."""
        return Reader(
            self.spec.stages,
            tuple(self.finished[: upto + 1]),
            self.want(rest, types_of, reserved),
            edits_of(self.spec.stages, self.finished[: upto + 1]),
            columns,
            self.spec.source.on_bad_input == "fail",
            tuple(self.session.manifest.folder_columns.items()),
            forgotten=self.session.forgotten,
            isolated=dict(self.isolated),
        )

    def columns_for(self, current: Pass) -> tuple[str, ...]:
        """Columns of earlier passes that this one's stages, and the edits replayed for it, read."""
        before = [index for each in self.cut[: current.number] for index in (*each.streaming, *each.settling)]
        made = added_columns([self.spec.stages[index] for index in before])
        readers = [self.spec.stages[index] for index in (*current.streaming, *current.settling)]
        readers += edits_before(self.spec.stages, self.cut, current.number - 1)
        return tuple(sorted({name for stage in readers for name in stage.reads() if name in made}))

    def measure_and_settle(self, *, to_write: bool = False) -> None:
        """All passes in order. to_write: `write` follows, so the first pass decides on types, ids are compared, and the
        scratch files of each settle step are deleted."""
        for current in self.cut:
            self.measure(current)
            if to_write and current.number == 0:
                self.unify_types()
                self.compare_ids()
            self.settle(current)
            if to_write:
                self.discard(current)

    def types_needed(self) -> TypesOf | None:
        """Which column types the first pass must find."""
        if output_format(self.spec.sink.format).columnar:
            return "all"
        formats = {file.format for file in self.session.manifest.files}
        if len(formats) > 1 or any(input_format(name).columnar for name in formats):
            return "columns"
        return None if self.spec.source.id is None else "id"

    def unify_types(self) -> None:
        """Choose the types of the output's columns and of the ids, and warn of those that are not as in the input."""
        id, files = self.spec.source.id, [file.name for file in self.session.manifest.files]
        found = [result["column_types"] for result in self.measured[0] if result["column_types"] is not None]
        kinds = merge_kinds(result["kinds"] for result in self.measured[0])
        merged = merge(found)
        schema, conflicts = unify_types(merged, id)
        is_columnar = output_format(self.spec.sink.format).columnar
        if is_columnar:
            check_columns(merged)  # too many are told before hours of passes
            self.schema, self.conflicts = schema, conflicts
            told = typed_changes(kinds, schema, conflicts, files, id)
        else:
            told = json_changes(kinds, id, None if id is None else conflicts.get(id), files)
        for text in (*told, *left_behind(merged, conflicts, is_columnar)):
            self.session.warn(text)
        if id is not None and id in schema.names:
            self.id_type = id_type(schema.field(id).type, self.spec.stages)

    def compare_ids(self) -> None:
        """Count the documents that have the id of an earlier one, and warn of them."""
        column = self.spec.source.id
        if column is None:
            return
        documents = sum(result["documents"] for result in self.measured[0])
        first, identity = self.finished[0], self.identities[0]
        self.duplicate_ids = find_duplicate_ids(self.session, first, documents, self.id_type, identity)
        for text in duplicate_id_warnings(self.duplicate_ids, documents, column):
            self.session.warn(text)

    def measure(self, current: Pass) -> None:
        """Run a measuring pass; the first one says which files could not be read to their end."""
        stages = self.spec.stages
        folder = self.session.state / measure_folder(current.number)
        types_of = self.types_needed() if current.number == 0 else None
        reserved = (*added_columns(stages), *self.session.manifest.folder_columns) if current.number == 0 else ()
        reader = self.reader(current.number - 1, self.columns_for(current), types_of=types_of, reserved=reserved)
        sketching = [
            [stage.word, stage.version, stage.label, stage.sketch_parameters(), *code_value(stage)]
            for stage in global_stages(stages, current)
        ]
        identity = self.without_forgotten(
            [
                versions(),
                source_value(self.spec),
                types_of,
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
                MeasureBody(reader, split, current, self.spec.settings.on_task_failure == "isolate"),
                split.bytes,
            )
            for split in self.session.manifest.splits
        ]
        title = _measuring(current)
        self.enter(MEASURING, str(current.number))
        self.measured.append(self.session.tasks(title, tasks))
        self.finished.append(FinishedPass(folder, current.streaming))
        self.note_isolated()
        for index in current.streaming:
            for text in _told(stages[index], self.measured[-1]):
                self.session.warn(f"{stages[index].label}: {text}")
        if current.number == 0:
            quarantined = [result["quarantined"] for result in self.measured[0]]
            self.incomplete = incomplete_files(self.finished[0], self.session.manifest, quarantined)
            unread = unread_files(self.finished[0], self.session.manifest, quarantined, self.incomplete)
            for text in (
                *warnings_of(self.incomplete),
                *unread_warning(unread),
                *self._missing_ids(),
                *self._left_out(),
            ):
                self.session.warn(text)
            if isinstance(self.spec.source.on_bad_input, BadShare):
                bound = self.spec.source.on_bad_input.max_share
                check_bad_share(bound, self.session.manifest, self.measured[0], [*self.incomplete, *unread])
        self.identities.append(fingerprint([identity, [task.fingerprint for task in tasks]]))

    def note_isolated(self) -> None:
        """Take over what the tasks of the last pass set aside under `on_task_failure: isolate`."""
        found = [doc_id for result in self.measured[-1] for doc_id in result["isolated"]]
        for split, result in zip(self.session.manifest.splits, self.measured[-1], strict=True):
            if result["isolated"]:
                both = {*self.isolated.get(split.number, ()), *result["isolated"]}
                self.isolated[split.number] = tuple(sorted(both))
        if found:
            self.session.warn(
                f"{len(found):,} documents on which a stage failed or a worker died are in quarantine/"
                f" (on_task_failure: isolate), the first of them {', '.join(map(str, found[:3]))}"
            )

    def without_forgotten(self, value: list[Any]) -> str:
        """A fingerprint of a value and of the documents that are left out, if any are."""
        forgotten = self.session.forgotten
        return fingerprint(value if forgotten is None else [*value, forgotten.identity])

    def _missing_ids(self) -> list[str]:
        """A warning where documents have no id."""
        nulls, documents = (sum(result[name] for result in self.measured[0]) for name in ("null_ids", "documents"))
        if not nulls:
            return []
        column = self.spec.source.id
        return [f"{nulls:,} of {documents:,} documents have no id: it is null or missing in the column {column!r}"]

    def _left_out(self) -> list[str]:
        """A warning where forgotten documents are in the input."""
        number = sum(result.get("forgotten", 0) for result in self.measured[0])
        return [f"{number:,} documents of the input were forgotten ({FORGOTTEN}), and are left out"] if number else []

    def settle(self, current: Pass) -> None:
        """Run the settle steps of a pass, in order: each sees the documents that the ones before it did not drop."""
        reader = self.reader(current.number - 1, self.columns_for(current))
        for index in current.settling:
            stage = self.spec.stages[index]
            self.enter(SETTLING, stage.label)
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
        identity = identity if self.session.forgotten is None else self.without_forgotten([identity])
        manifest, sink, source = self.session.manifest, self.spec.sink, self.spec.source
        by_split = zip(*self.measured, strict=True)
        quarantined = [sum(sum(each["quarantined"].values()) for each in passes) for passes in by_split]
        self.enter(WRITING)
        with self.session.timed("counting"):
            self.counts = [
                count_split(self.finished, split.number, quarantined[split.number], sink.part_bytes, self.isolated)
                for split in manifest.splits
            ]
        self.session.tracker.counted(sum(count.write.dropped for count in self.counts))
        stages = self.spec.stages
        with_edits = any(isinstance(stage, GlobalStage) and stage.edits_text for stage in stages)
        groups = pack_writes([count.write for count in self.counts], sink.part_bytes, with_edits)
        added = added_columns(stages)
        made = {**manifest.folder_columns, **added}
        read = [name for name in added if name not in copy_columns(stages)]
        reader = self.reader(len(self.cut) - 1, tuple(read), rest=True)
        shape = OutputShape(sink.format, self.schema, source.text, source.id, made, sink.row_group_bytes)
        names = Names(tuple(file.name for file in manifest.files), first_ids(self.counts))
        placed = self.place(identity)
        scatter = None if placed is None else Scatter(placed.files)
        sketching = self.sketching()
        sketched = [[stage.label for stage in sketching]] if sketching else []
        self.write_tasks = [
            Task(
                self.session.state / WRITE / task_folder(group.number),
                fingerprint([identity, [group.number, group.splits], *sketched]),
                WriteBody(
                    reader,
                    tuple(manifest.splits[i] for i in group.splits),
                    group,
                    shape,
                    names,
                    self.id_type,
                    sink.dropped_text,
                    scatter,
                    sketching,
                ),
                sum(manifest.splits[i].bytes for i in group.splits),
                last=placed is None,
            )
            for group in groups
        ]
        self.written = self.session.tasks("writing", self.write_tasks, largest_first=True)
        self.parts = [part for result in self.written for part in result.get("parts", [])]
        for text in loss_warnings(result.get("losses", {}) for result in self.written):
            self.session.warn(text)
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
        if self.session.forgotten is not None:
            header["forgotten"] = self.session.forgotten.identity
        last = self.finished[-1]
        kept = (alive_ids(last, split.number) for split in self.session.manifest.splits)
        sketches = [
            Artefacts(str(task.home))[written_sketch_file(stage.label, split.number)]
            for task in self.write_tasks
            if isinstance(task.body, WriteBody)
            for split in task.body.splits
            for stage in task.body.sketching
        ]
        write_index(self.session.state, header, kept, sketches)

    def sketching(self) -> tuple[GlobalStage, ...]:
        """The stages that sketch the texts as they are written; none where the run retains nothing for later runs."""
        if self.spec.settings.retain == "none":
            return ()
        return sketched_while_writing(self.spec.stages, self.cut)

    def in_input_order(self) -> bool:
        """Whether data/ holds each kept document once, by doc_id: then a later run finds its texts there."""
        stages = [stage for stage in self.spec.stages if isinstance(stage, GlobalStage) and stage.mode == "drop"]
        return not any(each.copies_documents or each.orders_documents or each.partitions() for each in stages)


def _measuring(current: Pass) -> str:
    return "reading and measuring" if current.number == 0 else f"measuring again, pass {current.number + 1}"


def _phases(stages: Sequence[Stage], cut: Sequence[Pass]) -> Iterator[tuple[str, str, str]]:
    """(kind, title, key) of each phase, in order."""
    for current in cut:
        yield MEASURING, _measuring(current), str(current.number)
        for index in current.settling:
            yield SETTLING, f"deciding: {stages[index].label}", stages[index].label
    yield WRITING, "writing", ""


def _told(stage: Stage, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a streaming stage tells of the documents that it noted. results: of the tasks of its pass."""
    stats = [result["stages"][stage.label] for result in results]
    noted: dict[str, Note] = {}
    for name, (count, first) in (each for one in stats for each in one.get("noted", {}).items()):
        known = noted.get(name, Note(0, first))
        noted[name] = Note(known.count + count, min(known.first, first))
    documents = sum(each["documents_in"] for each in stats)
    return stage.warnings(noted, documents) if noted and isinstance(stage, StreamingStage) else []
