"""Many strings sought at once in a buffer: Aho and Corasick's automaton of the package ahocorasick_rs.

Chosen by measurement (scripts/LOG.md): the fastest of the well-kept packages, it takes Arrow's bytes as they are, gives
offsets of bytes, and overlapping hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Seeker:
    """Finds every occurrence of every entry, overlapping ones too."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        few = sum(map(len, entries)) < 1 << 16
        kind = Implementation.DFA if few else Implementation.ContiguousNFA
        self._automaton: Any = BytesAhoCorasick(list(entries), implementation=kind)

    def hits(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """int64[k] each: which entry, its first byte, the byte behind it; in the order of their ends, then starts."""
        view: Any = data
        found = self._automaton.find_matches_as_indexes(memoryview(view), overlapping=True)
        table = np.array(found, np.int64).reshape(-1, 3)
        order = np.lexsort((table[:, 0], table[:, 1], table[:, 2]))
        return table[order, 0], table[order, 1], table[order, 2]
