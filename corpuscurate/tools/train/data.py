"""Labelled documents from any reader, gathered into one Arrow file, and their labels checked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import group_names, large_string, one_array
from corpuscurate.core.errors import InputError, did_you_mean
from corpuscurate.core.spec import Source
from corpuscurate.core.tables import read_table, table_writer
from corpuscurate.engine.check import passed_over
from corpuscurate.engine.input_columns import with_folder_columns
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.io.base import Want, input_format
from corpuscurate.methods.quality.label_names import label_key, label_name
from corpuscurate.tools.train.recipe import LabelledInput, TrainRecipe

SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("id", pa.large_string()),
        ("source", pa.large_string()),
        ("group", pa.large_string()),
        ("votes", pa.list_(pa.large_string())),
    ]
)


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents, in input order. table: columns of SCHEMA, mapped. names: the labels, sorted; positive: the one of
    them that the recipe means. votes: int64[n, annotators], -1 for none. labels: int64[n], the majority, of a tie the
    first in `names`. digests: of each input file. quarantined: records that could not be read, by reason; unlabelled:
    documents without any label; notes: what of the input is not read."""

    path: Path
    names: tuple[str, ...]
    positive: str
    votes: NDArray[np.int64]
    labels: NDArray[np.int64]
    digests: dict[str, str]
    quarantined: dict[str, int]
    unlabelled: int
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> pa.Table:
        """The documents, memory-mapped."""
        return read_table(self.path)

    def texts(self, rows: NDArray[np.int64], size: int = 2048) -> Iterator[pa.LargeStringArray]:
        """The texts of some rows, `size` at a time."""
        column = self.table.column("text")
        for first in range(0, len(rows), size):
            yield large_string(column.take(pa.array(rows[first : first + size])))


def gather(recipe: TrainRecipe, base: Path, folder: Path) -> Documents:
    """Read all inputs. Raises InputError: a missing column, several spellings of a label, one label alone."""
    renamed = renames(recipe.labels.rename)
    path = folder / "documents.arrow"
    digests: dict[str, str] = {}
    bad: Counter[str] = Counter()
    unlabelled = 0
    notes: list[str] = []
    with table_writer(path, SCHEMA) as writer:
        for number, given in enumerate(recipe.input):
            source = Source(paths=given.paths, format=given.format, text=given.text, id=given.id)
            manifest = build_manifest(source, base)
            _check_columns(manifest, given, f"input[{number}]")
            notes += [f"input[{number}]: {text}" for text in passed_over(manifest.passed, given.format)]
            digests |= {file.name: _digest(Path(file.path)) for file in manifest.files}
            for batch, name in _batches(manifest, given, bad):
                rows = _rows(batch, given, name, renamed)
                labelled = np.array([bool(votes) for votes in rows.column("votes").to_pylist()], np.bool_)
                unlabelled += int((~labelled).sum())
                writer.write(rows.filter(pa.array(labelled)))
    given_votes = read_table(path).column("votes").to_pylist()
    names, votes = _numbered(given_votes)
    positive = label_name(recipe.positive)
    _check_labels(names, votes, positive)
    return Documents(
        path,
        names,
        positive,
        votes,
        _majority(votes, len(names)),
        digests,
        dict(sorted(bad.items())),
        unlabelled,
        tuple(notes),
    )


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        if path.exists():
            raise
        return "not digested: not a local file"  # a URL: its bytes were read through fsspec, and have no path here
    return f"xxh3-128:{digest.hexdigest()}"


def _check_columns(manifest: Manifest, given: LabelledInput, where: str) -> None:
    wanted = [*given.label_columns, *([given.group] if given.group else [])]
    own = (name for file in manifest.files for name in input_format(file.format).columns(file))
    names = list(dict.fromkeys([*own, *manifest.folder_columns]))
    for column in [given.text, *wanted]:
        if column not in names and names:
            raise InputError(
                f"{where}: the input has no column {column!r}. The columns there are: {', '.join(names)}."
                f" {did_you_mean(column, names)}"
            )


def _batches(manifest: Manifest, given: LabelledInput, bad: Counter[str]) -> Iterator[tuple[Batch, str]]:
    columns = tuple(dict.fromkeys([*given.label_columns, *([given.group] if given.group else [])]))
    want = Want(text=given.text, id=given.id, columns=columns)
    for split in manifest.splits:
        for file, span in zip(split.files, split.spans, strict=True):
            for chunk in input_format(file.format).read(file, span, want):
                bad.update(record.reason for record in chunk.bad)
                if chunk.batch is not None and len(chunk.batch):
                    batch = with_folder_columns(chunk.batch, file, manifest.folder_columns, first=False)
                    yield batch, given.source or file.name


def renames(given: Mapping[str, str]) -> dict[str, str]:
    """`labels.rename` with both sides in the one spelling of `label_name`; "" stands for no label. Raises InputError
    where two spellings of one label get different names."""
    found: dict[str, str] = {}
    for spelling, name in given.items():
        if found.setdefault(label_name(spelling), label_name(name)) != label_name(name):
            raise InputError(f"labels.rename: {spelling!r} is another spelling of a label that has another name there")
    return found


def _rows(batch: Batch, given: LabelledInput, name: str, renamed: Mapping[str, str]) -> pa.RecordBatch:
    size = len(batch)
    if given.label is not None:
        label = label_name(given.label)
        votes: list[list[str | None]] = [[renamed.get(label, label) or None]] * size
    else:
        columns = [names_of(batch.columns[column], renamed).to_pylist() for column in given.label_columns]
        votes = [list(row) for row in zip(*columns, strict=True)]  # the index of a vote names its annotator
    votes = [row if any(row) else [] for row in votes]
    group = pa.nulls(size, pa.large_string()) if given.group is None else names_of(batch.columns[given.group])
    ids = pa.nulls(size, pa.large_string()) if batch.id is None else batch.id
    return pa.RecordBatch.from_arrays(
        [
            batch.text,
            ids,
            pa.array([name] * size, pa.large_string()),
            group,
            pa.array(votes, SCHEMA.field("votes").type),
        ],
        schema=SCHEMA,
    )


def names_of(column: pa.Array | pa.ChunkedArray, renamed: Mapping[str, str] | None = None) -> pa.LargeStringArray:
    """The labels of a column of any plain type by `label_name`, then by `renamed`; null where there is none: null, NaN,
    nothing but white space."""
    array = one_array(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    encoded = group_names(array).dictionary_encode()
    spelled = [label_name(text) for text in encoded.dictionary.to_pylist()]
    names = [(renamed or {}).get(each, each) or None for each in spelled]
    return pa.array(names, pa.large_string()).take(encoded.indices)


def _numbered(given: Sequence[Sequence[str | None]]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of labels, and votes as numbers. Raises InputError for several spellings of one label."""
    counts: Counter[str] = Counter()
    for row in given:
        counts.update(vote for vote in row if vote is not None)
    if written := [name for name in counts if label_key(name) == "nan"]:
        raise InputError(
            f"{counts[written[0]]:,} documents have the label {written[0]!r}, as programs write a missing number. Say"
            f" what is meant: `labels: {{rename: {{{written[0]!r}: ''}}}}` for no label, or another name for a label."
        )
    spellings: defaultdict[str | Decimal, list[str]] = defaultdict(list)
    for label in sorted(counts):
        spellings[label_key(label)].append(label)
    faults = [found for found in spellings.values() if len(found) > 1]
    if faults:
        shown = "; ".join(", ".join(f"{label!r} ({counts[label]:,})" for label in found) for found in faults)
        example = faults[0]
        raise InputError(
            f"labels with several spellings, which training would take for different labels: {shown}. Say which is"
            f" meant, such as `labels: {{rename: {{{example[1]!r}: {example[0]!r}}}}}`."
        )
    names = tuple(sorted(counts))
    number = {name: i for i, name in enumerate(names)}
    width = max((len(row) for row in given), default=1)
    votes = np.full((len(given), width), -1, np.int64)
    for i, row in enumerate(given):
        for j, vote in enumerate(row):
            if vote is not None:
                votes[i, j] = number[vote]
    return names, votes


def _check_labels(names: tuple[str, ...], votes: NDArray[np.int64], positive: str) -> None:
    if not names:
        raise InputError("no document has a label")
    if len(names) == 1:
        raise InputError(
            f"all {len(votes):,} documents have the label {names[0]!r}: a classifier needs documents of at least two"
        )
    if positive not in names:
        raise InputError(
            f"positive: no document has the label {positive!r}. The labels are: {', '.join(names)}."
            f" {did_you_mean(positive, names)}"
        )


def _majority(votes: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    counts = np.stack([(votes == label).sum(axis=1) for label in range(labels)], axis=1)
    return np.asarray(counts.argmax(axis=1), np.int64)


def text_hashes(documents: Documents) -> NDArray[np.uint64]:
    """xxh3-64 of each text, uint64[n]."""
    found = np.empty(len(documents.labels), np.uint64)
    at = 0
    for chunk in documents.table.column("text").chunks:
        for value in chunk:
            found[at] = xxhash.xxh3_64_intdigest(value.as_buffer())
            at += 1
    return found


def beginnings(documents: Documents, rows: Sequence[int], characters: int = 200) -> list[str]:
    """The beginnings of some documents, on one line each."""
    texts = pc.utf8_slice_codeunits(documents.table.column("text").take(pa.array(rows, pa.int64())), 0, characters)
    return [" ".join(text.split()) for text in texts.to_pylist()]
