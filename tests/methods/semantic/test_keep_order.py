from pathlib import Path

import numpy as np

from corpuscurate.methods.semantic.keep_order import ClusterRange, Order, Scatter, range_borders
from corpuscurate.methods.semantic.neighbours import Nearby
from corpuscurate.methods.semantic.pairs import Pairs
from corpuscurate.stages.diversity import Choose


def test_other_borders_are_other_works():
    """A run that goes on with another memory limit may cut the same number of ranges elsewhere: what it did before must
    not be taken for that."""
    sizes = np.array([11, 855, 26, 11, 14, 288, 17, 112, 146, 141, 85, 213, 121, 120, 191, 2142, 21])
    found: dict[int, set[tuple[int, ...]]] = {}
    for count in range(1, 20):
        borders = range_borders(sizes, count)
        found.setdefault(len(borders), set()).add(borders)
    one, two = sorted(next(each for each in found.values() if len(each) > 1))[:2]
    assert Scatter(0, 1, (), one, False).key != Scatter(0, 1, (), two, False).key
    keys = []
    for borders in (one, two):
        spans = list(zip(borders, (*borders[1:], len(sizes)), strict=True))
        number = next(i for i in range(len(one)) if one[i] != two[i])
        order = Order(number, spans[number], (), 8, 1)
        rows = ClusterRange(Path(order.key), number, (), 90, 8, 1)
        works = (
            Pairs(number, len(borders), rows, 0, 90, 0.5, False),
            Nearby(number, len(borders), rows, 0, 90, 3, False),
            Choose(number, len(borders), rows, 0, 90, (1,), False),
        )
        keys.append({order.key, *(work.key for work in works)})
    assert not keys[0] & keys[1]
