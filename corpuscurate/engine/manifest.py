"""The manifest numbers the input: files in the order of `paths`, each once, and the splits they are read in.

It depends on the input and on `split_bytes` alone, so doc_ids, splits and with them every output byte do too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpuscurate.core.spec import Source
from corpuscurate.engine.input_columns import folder_columns
from corpuscurate.io.base import SourceFile, Span, input_format
from corpuscurate.io.files import PassedOver, file_state, list_input

MAX_SPANS = 4096
"""Greatest number of spans in a split: a million one-kilobyte files still make many small tasks."""


@dataclass(frozen=True, slots=True)
class Split:
    """The input of one task: spans of one or several files, in input order."""

    number: int
    files: tuple[SourceFile, ...]
    """The files of `spans`, one for one."""
    spans: tuple[Span, ...]

    @property
    def bytes(self) -> int:
        """Approximate bytes of text."""
        return sum(span.bytes for span in self.spans)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All input files and their splits. states: size and modification time of each file, to detect changed input.
    folder_columns: the columns that the names of folders give, name -> Arrow type. passed: files there that are not
    read."""

    files: tuple[SourceFile, ...]
    splits: tuple[Split, ...]
    states: tuple[dict[str, Any], ...]
    folder_columns: Mapping[str, Any] = field(default_factory=dict)
    passed: tuple[PassedOver, ...] = ()

    def identity(self, split: Split) -> list[Any]:
        """The part of the input that a split's artefacts depend on, JSON-able, for fingerprints."""
        return [
            [file.name, file.format, file.compression, self.states[file.number], span.start, span.stop, *self._of(file)]
            for file, span in zip(split.files, split.spans, strict=True)
        ]

    def _of(self, file: SourceFile) -> list[Any]:
        """What the folders of a file say; nothing where no folder of the input says anything."""
        values = dict(file.folders)
        named = [[name, str(kind), values.get(name)] for name, kind in self.folder_columns.items()]
        return [named] if named else []


def coalesce(files: Sequence[SourceFile], spans: Iterable[Span], split_bytes: int) -> list[Split]:
    """Pack neighbouring spans into splits of at most `split_bytes` (a larger span stands alone)."""
    splits: list[Split] = []
    group: list[Span] = []
    size = 0
    for span in spans:
        if group and (size + span.bytes > split_bytes or len(group) == MAX_SPANS):
            splits.append(Split(len(splits), tuple(files[s.file] for s in group), tuple(group)))
            group, size = [], 0
        group.append(span)
        size += span.bytes
    if group:
        splits.append(Split(len(splits), tuple(files[s.file] for s in group), tuple(group)))
    return splits


def build_manifest(source: Source, base: Path) -> Manifest:
    """List the input files and cut them into splits. Raises InputError when a pattern matches no file."""
    files, passed = list_input(source.paths, base, source.format)
    spans = (span for file in files for span in input_format(file.format).split(file, source.split_bytes))
    splits = coalesce(files, spans, source.split_bytes)
    states = tuple(file_state(file) for file in files)
    return Manifest(tuple(files), tuple(splits), states, folder_columns(source, files), tuple(passed))
