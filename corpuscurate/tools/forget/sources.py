"""The texts of documents as the input has them, where it is still what the run read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.errors import CorpusCurateError
from corpuscurate.core.spec import Source
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.io.base import Want, input_format
from corpuscurate.tools.forget.finished import FinishedRun
from corpuscurate.tools.forget.targets import Target


def source_texts(run: FinishedRun, targets: Sequence[Target], bases: Sequence[Path]) -> dict[int, str]:
    """The text of each target as it was read, by doc_id; those whose input is gone or changed are missing.

    bases: folders that the recipe's relative paths may start from.
    """
    splits: dict[int, list[int]] = {}
    for target in targets:
        if target.split is not None and target.doc_id is not None:
            splits.setdefault(target.split, []).append(target.doc_id)
    manifest = _input(run, bases) if splits else None
    found: dict[int, str] = {}
    if manifest is not None:
        for number, ids in sorted(splits.items()):
            found |= _texts(run, manifest, number, ids)
    return found


def _input(run: FinishedRun, bases: Sequence[Path]) -> Manifest | None:
    """The input of the run, if it is as it was."""
    value = dict(run.report["recipe"]["input"])
    for base in bases:
        try:
            manifest = build_manifest(Source(**value), base)
        except (CorpusCurateError, OSError, ValueError):
            continue
        if [manifest.identity(split) for split in manifest.splits] == run.manifest["splits"]:
            return manifest
    return None


def _texts(run: FinishedRun, manifest: Manifest, number: int, ids: Sequence[int]) -> dict[int, str]:
    split, wanted = manifest.splits[number], np.array(sorted(ids), np.uint64)
    want = replace(
        Want(text=run.text_column), max_record_bytes=Source(**run.report["recipe"]["input"]).max_record_bytes
    )
    found: dict[int, str] = {}
    for file, span in zip(split.files, split.spans, strict=True):
        try:
            for chunk in input_format(file.format).read(file, span, want):
                if chunk.batch is None:
                    continue
                for row in np.flatnonzero(is_in_sorted(chunk.batch.doc_id, wanted)).tolist():
                    found[int(chunk.batch.doc_id[row])] = chunk.batch.text[row].as_py()
        except CorpusCurateError:
            continue
    return found
