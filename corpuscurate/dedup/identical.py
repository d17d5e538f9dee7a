"""Documents with the same sequence of words: similarity 1 without any comparison.

They collapse into one before candidates are looked for, so a million copies cost a sort. On disk 32 bytes a document
while partitioning, and 16 a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuscurate.dedup.parts import equal_groups, load_part
from corpuscurate.earlier import Numbers


@dataclass(frozen=True, slots=True)
class IdenticalWords:
    """Find the groups of equal word hashes in one part."""

    part: int
    of: int
    paths: Sequence[Path]
    numbers: Numbers

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"identical-{self.part}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files copies.npy (uint64, sorted: all but the first of each group) and originals.npy (the first of each)."""
        rows, offsets = equal_groups(load_part(self.paths), self.numbers)
        is_copy = np.ones(len(rows), np.bool_)
        is_copy[offsets[:-1]] = False
        copies = rows["doc_id"][is_copy]
        originals = np.repeat(rows["doc_id"][offsets[:-1]], np.diff(offsets) - 1)
        order = np.argsort(copies)
        np.save(folder / "copies.npy", copies[order])
        np.save(folder / "originals.npy", originals[order])
        return {"copies": len(copies), "own": int(self.numbers.is_own(copies).sum())}
