"""The prefilter of candidates: only those whose signature has enough values in common with that of another one are read
again for their shingles.

Most documents that share a band are not similar, and those need not be read again. The rule is the first one of
verification itself (`verify.fewest_equal_values`), so no pair is lost by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.kernels.duplicates.verify import prefilter_members
from corpuscurate.methods.dedup.candidate_rows import Table
from corpuscurate.methods.dedup.candidates import PlannedPart, distinct, read_part


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Find the candidates of one part that pass. plan, candidate_rows: as in `verify.VerifyPart`. few: least number of
    equal values of a pair. large_bucket: all members of larger buckets pass."""

    part: int
    of: int
    plan: Artefacts
    candidate_rows: tuple[tuple[Artefacts, int, int], ...]
    values: int
    value_type: str
    few: int
    large_bucket: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"prefilter-{self.part}of{self.of}-{self.plan.name}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write prefiltered.npy: doc_ids, uint64, sorted. The result has their number."""
        part = read_part(self.plan, self.part)
        everyone = np.load(self.plan["bucketed.npy"], mmap_mode="r")
        found = is_in_sorted(part.documents, everyone)
        rows = np.cumsum(found) - 1
        paths = [path["signatures.bin"] for path, _, _ in self.candidate_rows]
        counts = [count for _, _, count in self.candidate_rows]
        indices = np.searchsorted(everyone, part.documents[found])
        signatures = Table(paths, counts, self.value_type, self.values).take(indices)
        out = np.zeros(len(part.documents), np.bool_)
        prefilter_members(part.members, part.offsets, rows, signatures, self.few, self.large_bucket, out)
        np.save(folder / "prefiltered.npy", part.documents[out])
        return {"prefiltered": int(out.sum())}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Split the doc_ids of some sorted files by sketch file. firsts: the first doc_id of each sketch file, -1 for an
    empty one."""

    paths: tuple[Artefact, ...]
    firsts: tuple[int, ...]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"wanted-{len(self.paths)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <split>.npy for each sketch file, uint64, sorted. The result has the number of doc_ids."""
        wanted = distinct(np.concatenate([np.empty(0, np.uint64), *(np.load(path) for path in self.paths)]))
        filled = [split for split, first in enumerate(self.firsts) if first >= 0]
        borders = np.searchsorted(wanted, np.array([self.firsts[split] for split in filled], np.uint64))
        pieces = dict(zip(filled, np.split(wanted, borders[1:]), strict=True)) if filled else {}
        for split in range(len(self.firsts)):
            np.save(folder / f"{split:06d}.npy", pieces.get(split, np.empty(0, np.uint64)))
        return {"documents": len(wanted)}


def only_members(part: PlannedPart, chosen: NDArray[np.bool_]) -> PlannedPart:
    """The part with only the chosen documents as members of buckets, and without buckets of fewer than two members.

    chosen: bool[m]."""
    stays = chosen[part.members]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(stays)])
    sizes = np.diff(before[part.offsets])
    kept = sizes > 1
    stays &= np.repeat(kept, np.diff(part.offsets))
    return replace(
        part,
        members=part.members[stays],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[kept])]),
        bands=part.bands[kept],
    )
