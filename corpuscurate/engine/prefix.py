"""What a run would meet in the first records of its input, found before it by its own readers and writers.

Bad records, ids that are missing or stand twice, and columns that the output format cannot hold.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import InputError
from corpuscurate.core.layouts import has_parts, is_list_view, nested_type, parts_of
from corpuscurate.core.spec import Spec
from corpuscurate.engine.documents import bad_input_error, without_values
from corpuscurate.engine.input_columns import Columns
from corpuscurate.engine.passes.write import without_text
from corpuscurate.engine.plan import user_columns
from corpuscurate.io.base import BadRecord, OutputShape, SourceFile, Want, input_format, open_writer, output_format
from corpuscurate.io.column_types import types_of_schema, unify_types
from corpuscurate.io.output_rows import is_json_form

FILES = 64
"""Greatest number of files whose first records are read, at even distances."""
BYTES = 1 << 20
"""About how much text of each."""
RECORDS = 1 << 16
"""Bad records after which no more are read."""
SHOWN = 5
"""Files that have a warning of their own."""


@dataclass(slots=True)
class Prefix:
    """The first records of a file."""

    file: SourceFile
    batches: list[Batch] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """Number of records that could be read."""
        return sum(map(len, self.batches))


def read_prefix(file: SourceFile, want: Want, split_bytes: int) -> Prefix:
    """The first records of a file, about BYTES of text. Raises InputError."""
    found = Prefix(file)
    kind = input_format(file.format)
    spans = kind.split(file, split_bytes)
    if not spans:
        return found
    chunks = kind.read(file, spans[0], replace(want, batch_bytes=BYTES))
    try:
        for chunk in chunks:
            found.bad += chunk.bad
            found.batches += [] if chunk.batch is None else [chunk.batch]
            if sum(each.text_bytes for each in found.batches) >= BYTES or len(found.bad) >= RECORDS:
                break
    finally:
        close = getattr(chunks, "close", None)  # a generator, which may hold the file open
        if close is not None:
            close()
    return found


def prefix_warnings(spec: Spec, files: Sequence[SourceFile]) -> list[str]:
    """What to say of the first records of at most FILES files. Raises InputError, and BadInputError under
    `on_bad_input: fail`."""
    source = spec.source
    want = Want(source.text, source.id, user_columns(spec.stages), max_record_bytes=source.max_record_bytes)
    texts: list[str] = []
    ids: Counter[str] = Counter()
    nulls = documents = 0
    for file in files[:: max(1, -(-len(files) // FILES))]:
        prefix = read_prefix(file, want, source.split_bytes)
        if prefix.bad and source.on_bad_input == "fail":
            raise bad_input_error(file, without_values(spec.stages, (prefix.bad[0],))[0])
        texts += _of_bad(prefix)
        documents += prefix.documents
        for batch in prefix.batches:
            if batch.id is not None:
                nulls += batch.id.null_count
                ids.update(id for id in batch.id.to_pylist() if id is not None)  # a sample
    if len(texts) > SHOWN:
        texts = [*texts[:SHOWN], f"{len(texts) - SHOWN:,} more files begin with records that cannot be read"]
    if nulls:
        texts.append(f"input.id: {nulls:,} of the first {documents:,} documents have no id ({source.id!r})")
    twice = [id for id, count in ids.items() if count > 1]
    if twice:
        shown = ", ".join(repr(id[:40]) for id in twice[:3])
        texts.append(
            f"input.id: {len(twice):,} ids of the first {documents:,} documents stand more than once: {shown}. Reports"
            " and dropped/ cannot tell such documents apart by it."
        )
    return texts


def _of_bad(prefix: Prefix) -> list[str]:
    whole = [record for record in prefix.bad if record.whole_file]
    if whole:
        return [f"{prefix.file.name} cannot be read to its end: {whole[0].reason}: {whole[0].detail}"]
    if not prefix.bad:
        return []
    reasons = Counter(record.reason for record in prefix.bad)
    told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    seen = prefix.documents + len(prefix.bad)
    return [f"{prefix.file.name}: {len(prefix.bad):,} of the first {seen:,} records will be quarantined ({told})"]


def check_writable_columns(spec: Spec, files: Sequence[SourceFile], columns: Columns) -> None:
    """Write the first documents of each kind of columnar file in the output's format, into a temporary folder.

    Raises InputError that names a column which the format cannot hold, so that no pass is made in vain.
    """
    seen = set()
    want = Want(spec.source.text, spec.source.id, rest=True, max_record_bytes=spec.source.max_record_bytes)
    for file in files:
        kinds = columns.of.get(file.name)
        key = None if kinds is None else tuple(kinds.items())
        if file.name not in columns.columnar or key is None or key in seen:
            continue
        seen.add(key)
        prefix = read_prefix(file, want, spec.source.split_bytes)
        batches = [batch for batch in prefix.batches if batch.rest is not None and not is_json_form(batch.rest)]
        if batches:
            _try(spec, file, batches[0].slice(0, 2))


def _try(spec: Spec, file: SourceFile, batch: Batch) -> None:
    try:
        _write(spec, batch)
    except Exception as error:
        rest = batch.rest
        if rest is None:
            raise
        for name in rest.schema.names:
            one = rest.select([spec.source.text] if name == spec.source.text else [spec.source.text, name])
            one = one.replace_schema_metadata(rest.schema.metadata)
            try:
                _write(spec, replace(batch, rest=one))
            except Exception as why:
                said = " ".join(str(why).split())
                raise InputError(
                    f"output.format: the column {name!r} of {file.name}, of type {rest.schema.field(name).type}, cannot"
                    f" be written as {spec.sink.format}: {said}. Choose another format, or take the column out of the"
                    " input."
                ) from error


def _nullable(field: pa.Field) -> pa.Field:
    """The field and its parts nullable: what holds nulls against its word is written so, as the run finds out."""
    kind = field.type
    if has_parts(kind) and not is_list_view(kind) and not isinstance(kind, pa.BaseExtensionType):
        parts = parts_of(kind)
        keys = parts[:1] if pa.types.is_map(kind) else []  # never null
        field = field.with_type(nested_type(kind, [*keys, *map(_nullable, parts[len(keys) :])]))
    return field.with_nullable(True)


def _write(spec: Spec, batch: Batch) -> None:
    """Write the rows one by one, as a run would."""
    sink, source = spec.sink, spec.source
    schema = pa.schema([])
    if output_format(sink.format).columnar and batch.rest is not None:
        schema, _ = unify_types(types_of_schema(pa.schema(map(_nullable, batch.rest.schema))), source.id)
    shape = OutputShape(sink.format, schema, source.text, source.id, {}, sink.row_group_bytes)
    with tempfile.TemporaryDirectory(prefix="corpuscurate-check-") as folder:
        writer = open_writer(Path(folder) / "part", shape)
        try:
            for row in range(len(batch)):
                writer.write(without_text(batch.slice(row, row + 1), source.text))
            writer.close()
        except BaseException:
            writer.abort()
            raise
