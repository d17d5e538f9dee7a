"""The lists of neighbours that `Pairs` wrote, read work by work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.pairs import ENTRY, LIST
from corpuscurate.methods.semantic.vectors import mapped

_BLOCK_LISTS = 1 << 16


class Listed(NamedTuple):
    """Some lists of one cluster range. lists: LIST[n]; owner: int64[m], the list of each entry; rows: int32[m], its row
    in the range; cosines: float64[m]."""

    lists: NDArray[Any]
    owner: NDArray[np.int64]
    rows: NDArray[np.int32]
    cosines: NDArray[np.float64]


def range_of(path: Artefacts) -> int:
    """The cluster range of a work's lists; -1 where it has none."""
    lists = mapped(path["lists.bin"], LIST, (path["lists.bin"].size // LIST.itemsize,))
    return int(lists["range"][0]) if len(lists) else -1


def listed(path: Artefacts, cluster_ranges: Sequence[ClusterRange]) -> Iterator[Listed]:
    """The lists of a work, in blocks. path: its folder."""
    lists = np.fromfile(path["lists.bin"], LIST)
    if not len(lists):
        return
    squares = cluster_ranges[lists["range"][0]].table()["square"].astype(np.float64)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lists["size"])])
    entries = mapped(path["entries.bin"], ENTRY, (int(ends[-1]),))
    for start in range(0, len(lists), _BLOCK_LISTS):
        some = lists[start : start + _BLOCK_LISTS]
        block = entries[ends[start] : ends[start + len(some)]]
        owner = np.repeat(np.arange(len(some)), some["size"])
        rows = np.ascontiguousarray(block["row"])
        cosines = block["product"] / np.sqrt(squares[some["row"][owner]] * squares[rows])
        yield Listed(some, owner, rows, cosines)
