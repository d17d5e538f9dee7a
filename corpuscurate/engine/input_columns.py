"""The columns of the input: those of its files, as a sample of them tells, and those that the names of folders hold.

A folder named `key=value`, below the path that the recipe names, gives its documents a column, as Hive, Spark, DuckDB,
polars and pyarrow read it. A key is int64 where each of its values is a whole number of its own, text otherwise; where
folders lack the key, or have the value __HIVE_DEFAULT_PARTITION__, it is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import InputError, ReadError
from corpuscurate.core.spec import Source
from corpuscurate.io.base import SourceFile, input_format

SAMPLE_FILES = 256
"""Greatest number of files whose columns are read; of more files, this many at even distances."""
_WHOLE = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the sampled files. of: file name -> column -> type. unreadable: file name -> message of the
    error. columnar: the files whose records all have the same columns."""

    of: Mapping[str, Mapping[str, str]]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    columnar: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """Every column of any file, in order of first appearance."""
        return list(dict.fromkeys(name for columns in self.of.values() for name in columns))

    def lacking(self, name: str) -> list[str]:
        """The files without this column."""
        return [file for file, columns in self.of.items() if name not in columns]

    def adding(self, made: Mapping[str, Any]) -> Columns:
        """With columns that every file has, name -> type."""
        every = {name: str(kind) for name, kind in made.items()}
        return Columns({file: {**every, **own} for file, own in self.of.items()}, self.unreadable, self.columnar)


def sampled(files: Sequence[SourceFile]) -> Sequence[SourceFile]:
    """The files whose columns are read."""
    return files[:: max(1, -(-len(files) // SAMPLE_FILES))]


def read_columns(files: Sequence[SourceFile]) -> Columns:
    """The columns of at most SAMPLE_FILES input files. A file that cannot be read is no error here: the run
    quarantines and counts it."""
    found: dict[str, Mapping[str, str]] = {}
    unreadable: dict[str, str] = {}
    chosen = sampled(files)
    for file in chosen:
        try:
            columns: Mapping[str, Any] = input_format(file.format).columns(file)
        except ReadError:  # says nothing about the file: the run would meet it too
            raise
        except InputError as error:
            unreadable[file.name] = str(error)
            continue
        if columns:
            found[file.name] = columns
    columnar = frozenset(file.name for file in chosen if input_format(file.format).columnar)
    return Columns(found, unreadable, columnar)


def folder_columns(source: Source, files: Sequence[SourceFile], columns: Columns | None = None) -> dict[str, Any]:
    """The columns that the names of folders give, name -> Arrow type, in order of first appearance.

    Not the text, the id, or a column that a sampled file has: that one is kept. columns: of the files, where known.
    """
    if not source.folder_columns or not any(file.folders for file in files):
        return {}
    taken = {source.text, source.id, *(columns or read_columns(files)).names}
    return {name: kind for name, kind in _types(files).items() if name not in taken}


def _types(files: Sequence[SourceFile]) -> dict[str, pa.DataType]:
    values: dict[str, dict[str, None]] = {}
    for file in files:
        for name, value in file.folders:
            values.setdefault(name, {}).update({} if value is None else {value: None})
    return {name: pa.int64() if _are_whole(list(texts)) else pa.large_string() for name, texts in values.items()}


def _are_whole(texts: Sequence[str]) -> bool:
    """Whether all texts are different 64-bit integers: 7 and 07 are two folders, so they stay text."""
    if not texts or not all(_WHOLE.fullmatch(text) for text in texts):
        return False
    numbers = {int(text) for text in texts}
    return len(numbers) == len(texts) and all(-(1 << 63) <= number < 1 << 63 for number in numbers)


def with_folder_columns(batch: Batch, file: SourceFile, types: Mapping[str, pa.DataType], *, first: bool) -> Batch:
    """The batch with the columns that its file's folders give.

    first: raise InputError where a record has a column of that name itself; `columns.read_columns` has seen the first
    records of a sample of the files only.
    """
    values = dict(file.folders)
    made = {}
    for name, kind in types.items():
        own = batch.columns.get(name)
        if first and own is not None and own.null_count < len(own):
            raise InputError(
                f"{file.name}: a record has the column {name!r}, which the names of folders give, too ({name}=...)."
                " Give `input: folder_columns: false` to keep that of the records."
            )
        value = values.get(name)
        whole = int(value) if value is not None and pa.types.is_integer(kind) else value
        made[name] = pa.repeat(pa.scalar(whole, kind), len(batch))
    return batch.with_columns(made)


def folder_warnings(source: Source, files: Sequence[SourceFile], columns: Columns) -> list[str]:
    """What to say of names of folders whose values are not carried, or not as they stand."""
    types, made = _types(files), folder_columns(source, files, columns)
    texts = []
    if not source.folder_columns and types:
        texts.append(
            f"input.folder_columns is false: what the names of folders say ({_shown(files, types)}) is in no column"
        )
    elif set(types) - set(made):
        left = [name for name in types if name not in made]
        texts.append(
            f"the names of folders say {_shown(files, left)}, and the input has columns of these names: those of the"
            " records are kept, and what the folders say is not read"
        )
    return texts


def _shown(files: Sequence[SourceFile], names: Sequence[str] | Mapping[str, Any]) -> str:
    first = {name: value for file in reversed(files) for name, value in file.folders}
    return ", ".join(f"{name}={first[name]}" for name in names)
