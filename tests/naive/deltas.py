"""Sets given by their differences from a base set, from the definitions, in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np


def deltas(sets: list[set[int]], base: set[int], threshold: float) -> tuple[list[int], dict[str, Any], list[int]]:
    """The order of the sets (by falling reach), the arrays of `Deltas` and `starts` of `join_deltas`.

    An element is numbered by how many deltas have it, then by itself; those of one delta alone have no number. A bitmap
    has 64 bits; element x flips bit x % 64.
    """
    k = (1 - threshold) / (1 + threshold)
    delta = [each ^ base for each in sets]
    reach = [k * len(each) - len(own) for each, own in zip(sets, delta, strict=True)]
    order = sorted(range(len(sets)), key=lambda i: (-reach[i], i))
    times: dict[int, int] = {}
    for own in delta:
        for x in own:
            times[x] = times.get(x, 0) + 1
    shared = sorted((x for x in times if times[x] > 1), key=lambda x: (times[x], x))
    rank = {x: number for number, x in enumerate(shared)}
    elements = [sorted(rank[x] for x in delta[i] if x in rank) for i in order]
    bitmaps = [0] * len(sets)
    for row, i in enumerate(order):
        for x in delta[i]:
            bitmaps[row] ^= 1 << x % 64
    arrays = {
        "starts": np.cumsum([0, *map(len, elements)]).astype(np.int64),
        "elements": np.array([x for each in elements for x in each], np.int32),
        "distance": np.array([len(delta[i]) for i in order], np.int64),
        "size": np.array([len(sets[i]) for i in order], np.int64),
        "reach": np.array([reach[i] for i in order], np.float64),
        "bitmaps": np.array(bitmaps, np.uint64)[:, None],
    }
    return order, arrays, [0, *np.cumsum([times[x] for x in shared]).tolist()]
