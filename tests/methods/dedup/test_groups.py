import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.methods.dedup.candidates import PlannedPart
from corpuscurate.methods.dedup.groups import in_blocks

NONE = np.empty(0, np.int64)


def part_of(groups, buckets):
    """A part of documents 0, 1, .. of these groups, and buckets (band, members)."""
    members = [list(each) for _, each in buckets]
    return PlannedPart(
        np.empty(0, np.uint64),
        NONE,
        NONE.reshape(0, 2),
        np.array([d for each in members for d in each], np.int64),
        np.cumsum([0, *map(len, members)]),
        np.array([band for band, _ in buckets], np.int64),
        np.array(groups, np.int64),
    )


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30), st.integers(0, 25), st.data())
def test_blocks_are_whole_groups_of_limited_size(documents, most, data):
    groups = [group for group, _ in documents]
    sizes = np.array([size for _, size in documents], np.int64)
    choices = [[d for d, own in enumerate(groups) if own == group] for group in sorted(set(groups))]
    choices = [members for members in choices if len(members) > 1]
    drawn = st.sampled_from(choices).flatmap(lambda m: st.lists(st.sampled_from(m), min_size=2, unique=True))
    buckets = data.draw(
        st.lists(st.tuples(st.integers(0, 3), drawn.map(sorted)), max_size=12) if choices else st.just([])
    )
    buckets.sort(key=lambda each: (groups[each[1][0]], each[0]))
    part = part_of(groups, buckets)
    blocks = list(in_blocks(part, sizes, most))
    found, seen = [], []
    for block in blocks:
        assert block.documents.tolist() == sorted(set(block.documents[block.members].tolist()))
        assert block.groups.tolist() == [groups[d] for d in block.documents]
        assert sizes[block.documents].sum() <= most or len(set(block.groups.tolist())) == 1
        for band, (a, b) in zip(block.bands.tolist(), itertools.pairwise(block.offsets.tolist()), strict=True):
            found.append((band, block.documents[block.members[a:b]].tolist()))
        seen += sorted(set(block.groups.tolist()))
    assert found == buckets
    assert seen == sorted(set(seen))  # no group is in two blocks


def test_blocks_are_as_large_as_allowed():
    """Groups of 3, 3, 9 and 1: the third is larger than a block, and by itself."""
    part = part_of([0, 0, 1, 1, 2, 2, 3, 3], [(0, [0, 1]), (0, [2, 3]), (1, [2, 3]), (0, [4, 5]), (0, [6, 7])])
    blocks = list(in_blocks(part, np.array([1, 2, 3, 0, 4, 5, 1, 0]), 6))
    assert [block.documents.tolist() for block in blocks] == [[0, 1, 2, 3], [4, 5], [6, 7]]
    assert [block.offsets.tolist() for block in blocks] == [[0, 2, 4, 6], [0, 2], [0, 2]]
