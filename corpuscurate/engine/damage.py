"""Input files that could not be read to their end: which, how much of each was read, and that the rest is unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.columns import to_numpy
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.errors import BadInputError
from corpuscurate.core.run_folder import BAD, DOCS
from corpuscurate.core.tables import read_table
from corpuscurate.engine.documents import FinishedPass
from corpuscurate.engine.manifest import Manifest, Split

REASONS = ("truncated", "unreadable")
"""Reasons of the readers that may stand for the rest of a file. An empty file has lost nothing that is known of."""
WARNED = 20
"""Files that have a warning of their own."""
SHOWN = 3
"""Files that an error names."""


def incomplete_files(
    first: FinishedPass, manifest: Manifest, quarantined: Sequence[Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Files of which a part is missing, in input order: file, reason, detail (of the first damage), documents (read of
    the whole file) and bytes (their records). first: the first pass; quarantined: its counts by reason, one a split.

    Only splits with such records, and splits of their files, are looked at.
    """
    found: dict[int, dict[str, Any]] = {}
    for split, counts in zip(manifest.splits, quarantined, strict=True):
        if any(reason in counts for reason in REASONS):
            for number, each in _damages(first, split):
                found.setdefault(number, each)
    for split in manifest.splits:
        here = sorted({file.number for file in split.files} & found.keys())
        for number, documents, size in _read(first, split, here):
            found[number]["documents"] += documents
            found[number]["bytes"] += size
    return [found[number] for number in sorted(found)]


def unread_files(
    first: FinishedPass,
    manifest: Manifest,
    quarantined: Sequence[Mapping[str, int]],
    incomplete: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Files of which no record could be read, those of `incomplete` and empty ones apart, in input order: file and
    records (number of them in quarantine). Such a file is likely not what its name says. Parameters: as above."""
    numbers = {file.name: file.number for file in manifest.files}
    found: Counter[int] = Counter()
    for split, counts in zip(manifest.splits, quarantined, strict=True):
        if set(counts) - {*REASONS, "empty_file"}:
            values = pc.value_counts(read_table(first.split(split.number)[BAD])["file"].combine_chunks())
            for name, count in zip(values.field("values").to_pylist(), values.field("counts").to_pylist(), strict=True):
                found[numbers[name]] += count
    for each in incomplete:
        found.pop(numbers[each["file"]], None)
    for split in manifest.splits:
        here = sorted({file.number for file in split.files} & found.keys())
        for number, documents, _ in _read(first, split, here):
            if documents:
                del found[number]
    return [{"file": manifest.files[number].name, "records": found[number]} for number in sorted(found)]


def unread_warning(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to say of them."""
    if not files:
        return []
    names = ", ".join(f"{each['file']} ({each['records']:,} records)" for each in files[:SHOWN])
    more = f" and {len(files) - SHOWN:,} more files" if len(files) > SHOWN else ""
    return [f"no record could be read of {names}{more}: a file may not be what its name says"]


def check_bad_share(
    max_share: float, manifest: Manifest, measured: Sequence[Mapping[str, Any]], incomplete: Sequence[Mapping[str, Any]]
) -> None:
    """Check what was lost against a bound on its share, 0..1: of the records, those in quarantine; of the stored bytes,
    those of files that were not read to their end, each as a whole, since how much of it is lost is unknown. measured:
    results of the first pass; incomplete: of `incomplete_files` and `unread_files`. Raises BadInputError where either
    is above it."""
    reasons: Counter[str] = Counter()
    for result in measured:
        reasons.update(result["quarantined"])
    bad = sum(reasons.values())
    records = bad + sum(result["documents"] for result in measured)
    sizes = {file.name: file.size for file in manifest.files}
    lost, stored = sum(sizes[each["file"]] for each in incomplete), sum(sizes.values())
    told = []
    if bad > max_share * records:
        by_reason = ", ".join(f"{name} {count:,}" for name, count in sorted(reasons.items(), key=lambda r: (-r[1], r)))
        told.append(f"{bad:,} of {records:,} records ({bad / records:.3%}) were quarantined ({by_reason})")
    if lost > max_share * stored:
        names = ", ".join(each["file"] for each in incomplete[:SHOWN])
        more = f" and {len(incomplete) - SHOWN:,} more" if len(incomplete) > SHOWN else ""
        ends = "its end, holds" if len(incomplete) == 1 else "their ends, hold"
        told.append(
            f"{names}{more}, which could not be read to {ends}"
            f" {lost:,} of {stored:,} bytes of the input ({lost / stored:.3%})"
        )
    if told:
        raise BadInputError(
            f"input.on_bad_input.max_share allows {max_share:.3%}, and more was lost: {'; '.join(told)}. Mend the input"
            " or give a greater max_share, and run again with --overwrite: what was measured is used again."
        )


def _damages(first: FinishedPass, split: Split) -> Iterator[tuple[int, dict[str, Any]]]:
    """File number and what is said of it, for each record of a split that stands for the rest of a file."""
    table = read_table(first.split(split.number)[BAD])
    numbers = {file.name: file.number for file in split.files}
    whole = table.filter(pc.and_(table["whole_file"], pc.is_in(table["reason"], value_set=pa.array(REASONS))))
    for row in whole.select(["file", "reason", "detail"]).to_pylist():  # few: one a damaged file or part of one
        yield numbers[row["file"]], {**row, "documents": 0, "bytes": 0}


def _read(first: FinishedPass, split: Split, files: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """File number, documents, bytes of their records, for some files of a split."""
    if not files:
        return
    docs = read_table(first.split(split.number)[DOCS])
    ids, sizes = to_numpy(docs["doc_id"]), to_numpy(docs["record_bytes"])
    for number in files:
        start, stop = np.searchsorted(
            ids, [np.uint64(number << POSITION_BITS), np.uint64((number + 1) << POSITION_BITS)]
        )
        yield number, int(stop - start), int(sizes[start:stop].sum())


def warnings_of(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to say of them."""
    texts = [
        f"{each['file']} could not be read to its end: {each['detail']}. {each['documents']:,} documents "
        f"({each['bytes']:,} bytes) were read of it; how many more there were is unknown."
        for each in files[:WARNED]
    ]
    if len(files) > WARNED:
        texts.append(f"{len(files) - WARNED:,} more files could not be read to their end: see incomplete_files.")
    return texts
