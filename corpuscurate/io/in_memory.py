"""Data in memory: tables, rows and streams of batches as one Arrow stream, and kept rows back as what came in.

Nothing here imports polars, pandas, DuckDB or datasets before an object of theirs is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError

ROWS_AT_ONCE = 10_000
"""Rows given one by one that become a batch."""
_PLAIN = {pa.string_view(): TEXT, pa.binary_view(): pa.large_binary()}
_EXPECTED = (
    "Expected something that offers an Arrow stream (__arrow_c_stream__: a pyarrow Table, a polars or pandas DataFrame,"
    " a DuckDB relation, a datasets.Dataset), a polars LazyFrame, a datasets.IterableDataset or DatasetDict, a list of"
    " dicts, a dict of columns, or an iterable of batches or dicts."
)


@dataclass(frozen=True, slots=True)
class Given:
    """Data as an Arrow stream. back: makes what came in from a table with its rows (a pyarrow Table where that cannot
    be made again, as for a generator); helpers: columns of the stream that are not the user's."""

    stream: pa.RecordBatchReader
    back: Callable[[pa.Table], Any]
    helpers: tuple[str, ...] = ()
    views: Mapping[str, pa.DataType] = field(default_factory=dict)
    """Columns that came in with views, and their types."""

    def same(self, rows: pa.Table) -> Any:
        """Rows of the stream, with columns that stages added, as the type that came in."""
        return self.back(self._with_views(rows))

    def table(self, rows: pa.Table) -> pa.Table:
        """The same rows as a table, without the helpers."""
        return self._with_views(rows).drop_columns([name for name in self.helpers if name in rows.column_names])

    def _with_views(self, rows: pa.Table) -> pa.Table:
        for at, column in enumerate(rows.schema):
            kind = self.views.get(column.name, column.type)
            if column.type != kind:
                chunks = [_as_type(chunk, kind) for chunk in rows.column(at).chunks]
                rows = rows.set_column(at, column.with_type(kind), pa.chunked_array(chunks, kind))
        return rows


def open_given(data: Any, columns: Sequence[str] = ()) -> Given:
    """Data in memory as a stream. columns: those that data without a row has. Raises InputError."""
    of_library = _LIBRARIES.get(type(data).__module__.partition(".")[0])
    if of_library is not None:
        return of_library(data)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _offered(data, _record_batch if isinstance(data, pa.RecordBatch) else _table)
    if isinstance(data, Mapping):
        return Given(_column_table(data).to_reader(), lambda rows: rows.to_pydict())
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _iterable(data, columns)
    raise _unreadable(data)


def _unreadable(data: Any, where: str = "") -> InputError:
    return InputError(f"curate() cannot read a {type(data).__name__}{where}. {_EXPECTED}")


def _table(rows: pa.Table) -> pa.Table:
    return rows


def _record_batch(rows: pa.Table) -> pa.RecordBatch:
    whole = rows.combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], schema=rows.schema)


def _duckdb(data: Any) -> Given:
    """A DuckDB relation; one of the default connection comes back."""
    import duckdb

    return _offered(data, duckdb.from_arrow)


def _polars(data: Any) -> Given:
    import polars

    lazy = isinstance(data, polars.LazyFrame)
    frame = data.collect() if lazy else data
    if not isinstance(frame, polars.DataFrame):
        raise _unreadable(data)
    schema = dict(frame.schema)

    def back(rows: pa.Table) -> Any:
        found = polars.DataFrame(polars.from_arrow(rows))
        kinds = {name: kind for name, kind in schema.items() if name in found.columns and found[name].dtype != kind}
        found = found.with_columns([polars.col(name).cast(kind) for name, kind in kinds.items()])
        return found.lazy() if lazy else found

    return _offered(frame, back)


def _pandas(data: Any) -> Given:
    """A pandas frame. Its index comes back with the kept rows, as after `drop_duplicates`."""
    if not hasattr(data, "columns"):
        raise _unreadable(data)
    try:
        table = pa.Table.from_pandas(data, preserve_index=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"curate() cannot read the pandas DataFrame: {error}") from error
    helpers = tuple(name for name in table.column_names if name.startswith("__index_level_"))
    metadata = table.schema.metadata

    def back(rows: pa.Table) -> Any:
        return rows.replace_schema_metadata(metadata).to_pandas()

    return Given(table.to_reader(), back, helpers)


def _datasets(data: Any) -> Given:
    """Data of Hugging Face: a Dataset, an IterableDataset, or a dict of either, whose splits follow one another."""
    if not isinstance(data, Mapping):
        return Given(_dataset_batches(data), lambda rows: _as_dataset(rows, data))
    streams = {name: _dataset_batches(split) for name, split in data.items()}
    if not streams:
        raise InputError(f"curate() cannot read a {type(data).__name__} without splits.")
    first = next(iter(streams.values())).schema
    helper = "split_of_dict"
    while helper in first.names:
        helper += "_"
    schema = first.append(pa.field(helper, pa.int32()))

    def batches() -> Iterator[pa.RecordBatch]:
        for number, (name, stream) in enumerate(streams.items()):
            for batch in stream:
                whole = _fitted(batch, first, f"the split {name!r}")
                yield pa.RecordBatch.from_arrays(
                    [*whole.columns, pa.array([number] * len(whole), pa.int32())], schema=schema
                )

    def back(rows: pa.Table) -> Any:
        found = {}
        for number, (name, split) in enumerate(data.items()):
            mask = pa.compute.equal(rows[helper], number)
            found[name] = _as_dataset(rows.filter(mask).drop_columns([helper]), split)
        kind: Any = type(data)
        return kind(found)

    return Given(pa.RecordBatchReader.from_batches(schema, batches()), back, (helper,))


def _dataset_batches(data: Any) -> pa.RecordBatchReader:
    """The rows of a Dataset or an IterableDataset."""
    if hasattr(data, "__arrow_c_stream__"):
        return _offered(data, _table).stream
    if hasattr(data, "with_format") and not hasattr(data, "__len__"):
        tables = data.with_format("arrow").iter(batch_size=1000)
        features = getattr(data, "features", None)
        return _batches(tables, None if features is None else features.arrow_schema)
    inner = getattr(getattr(data, "data", None), "table", None)  # a Dataset before it spoke the interface
    if not isinstance(inner, pa.Table):
        raise _unreadable(data)
    if getattr(data, "_indices", None) is not None:
        return _offered(data.with_format("arrow")[:], _table).stream
    return inner.to_reader()


def _as_dataset(rows: pa.Table, like: Any) -> Any:
    """Rows as a dataset with the features of another one; an IterableDataset where that is one."""
    from datasets import Dataset, Features

    plain = rows.replace_schema_metadata(None)
    features = Features.from_arrow_schema(plain.schema)
    given = getattr(like, "features", None) or {}
    features.update({name: kind for name, kind in given.items() if name in features})
    made = Dataset(plain.cast(features.arrow_schema))
    return made if isinstance(like, Dataset) else made.to_iterable_dataset()


def _iterable(data: Iterable[Any], columns: Sequence[str]) -> Given:
    """Rows as dicts, or batches; a list of dicts comes back as one."""
    items = iter(data)
    first = next(items, None)
    back = (lambda rows: rows.to_pylist()) if isinstance(data, Sequence) else _table
    if first is None:
        return Given(pa.table({name: pa.array([], TEXT) for name in columns}).to_reader(), back)
    whole = itertools.chain([first], items)
    if isinstance(first, Mapping):
        return Given(_row_table(whole).to_reader(), back)
    return Given(_batches(whole, None), _table)


def _row_table(rows: Iterable[Any]) -> pa.Table:
    """Rows given as dicts, as a table. A row that lacks a column has null there. Raises InputError."""
    tables = []
    done = 0
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        for number, row in enumerate(chunk, done):
            if not isinstance(row, Mapping):
                raise InputError(f"curate(): item {number} is a {type(row).__name__}, and those before it are dicts.")
        names = dict.fromkeys(name for row in chunk for name in row)
        columns = {name: _column(name, [row.get(name) for row in chunk]) for name in names}
        tables.append(pa.table(columns))
        done += len(chunk)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"curate(): rows have values of different types in one column: {error}") from error


def _column(name: Any, values: Any) -> pa.Array:
    if not isinstance(name, str):
        raise InputError(f"curate(): the column name {name!r} is not text.")
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise InputError(f"curate(): the column {name!r} has values that are not of one Arrow type: {error}") from error


def _column_table(data: Mapping[Any, Any]) -> pa.Table:
    columns = {name: _column(name, values) for name, values in data.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise InputError(f"curate(): the columns of the dict have different numbers of rows: {sorted(lengths)}")
    return pa.table(columns)


def _batches(items: Iterable[Any], schema: pa.Schema | None) -> pa.RecordBatchReader:
    """Batches of any kind, one after the other. schema: None: that of the first one."""

    def read() -> Iterator[pa.RecordBatch]:
        for number, item in enumerate(items):
            if isinstance(item, Mapping):
                raise InputError(f"curate(): item {number} is a dict, and those before it are batches.")
            try:
                yield from open_given(item).stream
            except InputError as error:
                raise InputError(f"curate(): item {number} of what was given: {error}") from error

    found = read()
    if schema is None:
        first = next(found, None)
        if first is None:
            return pa.table({}).to_reader()
        schema, found = first.schema, itertools.chain([first], found)
    whole = schema
    fitted = (_fitted(batch, whole, f"batch {number}") for number, batch in enumerate(found))
    return pa.RecordBatchReader.from_batches(whole, fitted)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema, what: str) -> pa.RecordBatch:
    """A batch with the columns and types of a schema. Raises InputError."""
    if batch.schema.equals(schema):
        return batch
    if set(batch.schema.names) != set(schema.names):
        raise InputError(
            f"curate(): {what} has the columns {', '.join(batch.schema.names)}, and what came before has"
            f" {', '.join(schema.names)}."
        )
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InputError(f"curate(): {what} has columns of other types than what came before: {error}") from error


def _offered(data: Any, back: Callable[[pa.Table], Any]) -> Given:
    """The stream that an object offers, without views, whose values most of Arrow's functions cannot handle."""
    try:
        if hasattr(data, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(data)
        else:
            reader = pa.table(data).to_reader()
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:  # as of a single column
        raise _unreadable(data) from error
    kinds = {field.name: field.type for field in reader.schema if _plain(field.type) != field.type}
    if not kinds:
        return Given(reader, back)
    plain = pa.schema([field.with_type(_plain(field.type)) for field in reader.schema], reader.schema.metadata)
    batches = (
        pa.RecordBatch.from_arrays([_as_type(c, f.type) for c, f in zip(b.columns, plain, strict=True)], schema=plain)
        for b in reader
    )
    return Given(pa.RecordBatchReader.from_batches(plain, batches), back, views=kinds)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without a view, at the top or as the values of a dictionary."""
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain(kind.value_type), kind.ordered)
    return _PLAIN.get(kind, kind)


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column with views or without."""
    if pa.types.is_dictionary(kind) and column.type != kind:
        values = column.dictionary.cast(kind.value_type)
        return pa.DictionaryArray.from_arrays(column.indices.cast(kind.index_type), values, ordered=kind.ordered)
    return column if column.type == kind else column.cast(kind)


_LIBRARIES: dict[str, Callable[[Any], Given]] = {
    "polars": _polars,
    "datasets": _datasets,
    "pandas": _pandas,
    "duckdb": _duckdb,
    "_duckdb": _duckdb,
}
"""What reads data by the top-level package of its type."""
