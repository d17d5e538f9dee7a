"""The base of filters that take lines out of documents and drop documents: how both are accounted apart.

A subclass walks over the lines once (`walk`): measures, and the text that each document would become. Documents that
fail a bound are dropped as they came; of the others the text is replaced, and what was cut is counted by reason. In
`mode: tag` no text is touched and nothing is dropped: the measures say what would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, lengths_bytes, text_buffers
from corpuscurate.core.filter import Filter
from corpuscurate.core.stage import Edit, Outcome
from corpuscurate.kernels.text.c4 import choose_texts
from corpuscurate.kernels.text.signs import signs


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk over the lines of n documents found.

    measures: by name, n values each. text: the new texts, n rows. cuts: by reason, int64[n], bytes cut of each
    document. changed: bool[n], whether white space or line ends were replaced, whatever the number of bytes.
    """

    measures: Mapping[str, NDArray[Any]]
    text: pa.LargeStringArray
    cuts: Mapping[str, NDArray[np.int64]]
    changed: NDArray[np.bool_]


class LineFilter(Filter):
    """A filter that also edits. Bounds are the `min_x` and `max_x` whose x is measured; others are of lines."""

    edits_text: ClassVar[bool] = True
    strips: ClassVar[bool] = False
    """Whether white space around new texts is left out."""

    def walk(self, batch: Batch) -> Walked:
        """Walk over the lines of a batch."""
        raise TypeError(f"{type(self).__name__} defines no walk()")

    def bounds(self) -> dict[str, int | float]:
        """The bounds of documents in force."""
        return {name: bound for name, bound in super().bounds().items() if name[4:] in self.measured}

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures."""
        return self.walk(batch).measures

    def apply(self, batch: Batch) -> Outcome:
        """Judge the documents, and edit those that stay."""
        walked = self.walk(batch)
        outcome = self.outcome(walked.measures, len(batch))
        if self.mode == "tag" or outcome.reason is None:
            return outcome
        kept = outcome.reason == 0
        text = self._chosen(batch.text, walked.text, kept)
        edits = _edits(walked, kept, lengths_bytes(batch.text) - lengths_bytes(text))
        return replace(outcome, text=text, edits=edits) if edits else outcome

    def _chosen(
        self, old: pa.LargeStringArray, new: pa.LargeStringArray, chosen: NDArray[np.bool_]
    ) -> pa.LargeStringArray:
        sizes = np.where(chosen, lengths_bytes(new), lengths_bytes(old))
        data = np.empty(int(sizes.sum()), np.uint8)
        offsets = np.empty(len(old) + 1, np.int64)
        choose_texts(*text_buffers(old), *text_buffers(new), chosen, self.strips, signs(), offsets, data)
        return from_buffers(offsets, data[: offsets[-1]])


def _edits(walked: Walked, kept: NDArray[np.bool_], saved: NDArray[np.int64]) -> dict[str, Edit]:
    """What was cut of the documents that stay. saved: int64[n], bytes that each became shorter; what no reason accounts
    for is white space."""
    white_space = saved - sum(walked.cuts.values(), np.zeros(len(saved), np.int64))
    found = {}
    for reason, cut in (*walked.cuts.items(), ("white_space", white_space)):
        touched = (cut != 0) | walked.changed if reason == "white_space" else cut != 0
        documents = int(np.count_nonzero(touched & kept))
        if documents:
            found[reason] = Edit(documents, int(cut[kept].sum()))
    return found
