"""What verification needs of the candidates, collected from the sketch files in one reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.artefact import forget_file
from corpuscurate.dedup.bands import value_column
from corpuscurate.dedup.sources import PLACE, Source, between, is_in_sorted


@dataclass(frozen=True, slots=True)
class Gather:
    """Copy places and signatures of candidates out of some sketch files, in doc_id order.

    plan: folder of `candidates.Candidates`. values: of a signature; 0 when it is not needed.
    """

    number: int
    of: int
    files: tuple[Source, ...]
    plan: Path
    values: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"gather-{self.number}of{self.of}-{self.plan.name}"

    def run(self, folder: Path) -> dict[str, Any]:
        """places.bin: uint64 a candidate. signatures.bin: the values of each candidate in buckets."""
        documents = np.load(self.plan / "documents.npy", mmap_mode="r")
        bucketed = np.load(self.plan / "bucketed.npy", mmap_mode="r")
        names = [value_column(j) for j in range(self.values)]
        candidates = rows = 0
        with (folder / "places.bin").open("wb") as places, (folder / "signatures.bin").open("wb") as signatures:
            for source in self.files:
                for block in source.blocks([PLACE, *names]):
                    ids = block["doc_id"]
                    if not len(ids):
                        continue
                    chosen = is_in_sorted(ids, between(documents, ids[0], ids[-1]))
                    places.write(block[PLACE][chosen].tobytes())
                    candidates += int(chosen.sum())
                    at = np.flatnonzero(is_in_sorted(ids, between(bucketed, ids[0], ids[-1])))
                    if names:
                        signatures.write(np.stack([block[name][at] for name in names], axis=1).tobytes())
                    rows += len(at)
                forget_file(source.path)  # the last reading; what verification needs of the texts comes next
        return {"candidates": candidates, "rows": rows}


def take(paths: list[Path], counts: list[int], indices: NDArray[np.int64], dtype: Any, width: int = 0) -> NDArray[Any]:
    """Rows `indices` (ascending) of the table that files of `counts` rows form together."""
    out = np.empty((len(indices), width) if width else len(indices), dtype)
    start = 0
    for path, count in zip(paths, counts, strict=True):
        low, high = np.searchsorted(indices, [start, start + count])
        if low < high:
            shape = (count, width) if width else (count,)
            out[low:high] = np.memmap(path, dtype, "r", shape=shape)[indices[low:high] - start]
        start += count
    return out
