"""What JSON cannot hold and so is written as another value: counted, so that a run tells of it.

NaN and the infinities become null; a value of a JSON column that is not JSON becomes a string (see `write_json`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import is_json, large_lists
from corpuscurate.core.layouts import decoded, has_parts, is_encoded, items_of, parts_of
from corpuscurate.io.base import OutputShape, output_format
from corpuscurate.io.json_columns import is_json_text
from corpuscurate.io.output_rows import is_json_form
from corpuscurate.io.write_json import is_json_value

Losses = dict[str, list[int]]
"""By column: values that are not finite, and values that are not JSON. JSON-able."""


def losses_of(batch: Batch, shape: OutputShape) -> Losses:
    """The losses in writing a batch that has `rest`."""
    rest = batch.rest
    columns = {} if rest is None or is_json_form(rest) else dict(zip(rest.schema.names, rest.columns, strict=True))
    if output_format(shape.format).columnar:
        as_json = {field.name for field in shape.schema if is_json_text(field)}
        return json_losses({name: column for name, column in columns.items() if name in as_json})
    return json_losses({**columns, **{name: batch.columns[name] for name in shape.added}})


def json_losses(columns: Mapping[str, pa.Array]) -> Losses:
    """The columns with such values, and how many they have at any depth."""
    found = {name: [_not_finite(column), _not_json(column)] for name, column in columns.items()}
    return {name: counts for name, counts in found.items() if any(counts)}


def add_losses(total: Losses, more: Losses) -> None:
    """Add counts to a total."""
    for name, counts in more.items():
        total[name] = [a + b for a, b in zip(total.get(name, [0, 0]), counts, strict=True)]


def loss_warnings(several: Iterable[Losses]) -> list[str]:
    """What to tell of the losses of several tasks."""
    total: Losses = {}
    for each in several:
        add_losses(total, each)
    told = []
    for name, (not_finite, not_json) in sorted(total.items()):
        if not_finite:
            told.append(
                f"the column {name!r} has values NaN or infinite ({not_finite}), which JSON cannot hold: they are null"
                " in the output. `output: format: parquet` or arrow keeps them."
            )
        if not_json:
            told.append(
                f"the column {name!r} is declared to hold JSON, but some values are not JSON ({not_json}): they are"
                " strings in the output. `output: format: parquet` or arrow keeps them as they are."
            )
    return told


def _has(kind: pa.DataType, wanted: type | None) -> bool:
    """Whether a type is or holds floats (wanted: None) or the extension type `wanted`."""
    if wanted is not None and isinstance(kind, wanted):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return _has(kind.storage_type, wanted)
    if is_encoded(kind):
        return _has(kind.value_type, wanted)
    if has_parts(kind):
        return any(_has(part.type, wanted) for part in parts_of(kind))
    return wanted is None and bool(pa.types.is_floating(kind))


def _inner(column: pa.Array) -> list[pa.Array]:
    """The arrays that a column consists of, without what null lists and structs hide; none for a plain one."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return [column.storage]
    if pa.types.is_dictionary(kind):
        return [column.dictionary_decode()]
    if pa.types.is_struct(kind):
        return list(column.flatten())
    if pa.types.is_map(kind):
        return [items_of(column.cast(pa.list_(pa.struct([kind.key_field, kind.item_field]))))]
    return [items_of(large_lists(column))] if has_parts(kind) else []


def _not_finite(column: pa.Array) -> int:
    if not _has(column.type, None):
        return 0
    column = decoded(column)
    inner = _inner(column)
    if inner:
        return sum(_not_finite(part) for part in inner)
    wide = column.cast(pa.float32()) if pa.types.is_float16(column.type) else column
    return int(len(column) - column.null_count - (pc.sum(pc.is_finite(wide)).as_py() or 0))


def _not_json(column: pa.Array) -> int:
    if not _has(column.type, pa.JsonType):
        return 0
    column = decoded(column)
    if is_json(column):
        return len(column) - int(is_json_value(column.storage).sum())
    return sum(_not_json(part) for part in _inner(column))
