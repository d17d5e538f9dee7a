"""Documents with the same sequence of words: similarity 1 without any comparison.

They collapse into one before candidates are looked for, so a million copies cost a sort. On disk what `parts` says
while partitioning, and 16 bytes a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuscurate.core.earlier_runs import Numbers
from corpuscurate.methods.dedup.parts import Part, equal_groups


@dataclass(frozen=True, slots=True)
class IdenticalWords:
    """Find the groups of equal word hashes in one part."""

    number: int
    of: int
    part: Part
    numbers: Numbers

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"identical-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files copies.npy (uint64, sorted: all but the first of each group) and originals.npy (the first of each)."""
        ids, offsets = equal_groups(self.part, self.numbers)
        is_copy = np.ones(len(ids), np.bool_)
        is_copy[offsets[:-1]] = False
        copies = ids[is_copy]
        originals = np.repeat(ids[offsets[:-1]], np.diff(offsets) - 1)
        order = np.argsort(copies)
        np.save(folder / "copies.npy", copies[order])
        np.save(folder / "originals.npy", originals[order])
        return {"copies": len(copies), "own": int(self.numbers.is_own(copies).sum())}
