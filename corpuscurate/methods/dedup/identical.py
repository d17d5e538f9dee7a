"""Documents with the same sequence of words: similarity 1 without any comparison.

They collapse into one before candidates are looked for, so a million copies cost a sort. On disk what
`key_ranges` says for the partition, and 16 bytes a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuscurate.core.earlier_runs import Numbers
from corpuscurate.methods.dedup.key_ranges import KeyRange, equal_groups


@dataclass(frozen=True, slots=True)
class IdenticalWords:
    """Find the groups of equal word hashes in one key range."""

    number: int
    of: int
    key_range: KeyRange
    numbers: Numbers

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"identical-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write copies.npy (uint64, sorted: all but the first of each group) and originals.npy (the first of its
        group for each copy). The result has the numbers of copies, and of this run's copies."""
        ids, offsets = equal_groups(self.key_range, self.numbers)
        is_copy = np.ones(len(ids), np.bool_)
        is_copy[offsets[:-1]] = False
        copies = ids[is_copy]
        originals = np.repeat(ids[offsets[:-1]], np.diff(offsets) - 1)
        order = np.argsort(copies)
        np.save(folder / "copies.npy", copies[order])
        np.save(folder / "originals.npy", originals[order])
        return {"copies": len(copies), "own": int(self.numbers.is_own(copies).sum())}
