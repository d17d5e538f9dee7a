import numpy as np
import pytest
from naive import neighbours as naive
from support.semantic import COLUMN, families, settle

from corpuscurate.methods.semantic import earlier
from corpuscurate.methods.semantic.decide import Neighbourhoods
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages import semantic
from corpuscurate.stages.semantic import Semantic


@pytest.fixture
def crowd(tmp_path, monkeypatch):
    """900 rows near each other, as `find_pairs` left them: (rows, a function that makes Neighbourhoods)."""
    rows = families(4, 900, dimension=3, spread=0.3, topics=2)
    held = []
    monkeypatch.setattr(semantic, "find_pairs", lambda *args: held.append(find_pairs(*args)) or held[-1])
    settle(Semantic(embedder=COLUMN, keep="first", pairs_from=0.5), rows, tmp_path)
    found = held[0]
    return rows, lambda hold: Neighbourhoods(
        found.works, found.cluster_ranges, found.one, 0.5, (tmp_path, 1 << 30), hold_bytes=hold
    )


find_pairs = semantic.find_pairs


@pytest.mark.parametrize("floats", [0, 1 << 20])
def test_earlier_rows_equal_brute_force(crowd, monkeypatch, floats):
    rows, make = crowd
    monkeypatch.setattr(earlier, "_FLOATS_BYTES", floats)
    monkeypatch.setattr(earlier, "_BLOCK_ROWS", 37)
    matrix = naive.cosines(quantised(rows)[0])
    for hold in (0, 3000, 1 << 30):
        near = make(hold)
        for threshold in (0.9, 0.5, 0.99):
            for number in range(0, len(near.lists), 31):
                row = near.lists[number]
                mine = int(row["doc_id"])
                found = near._earlier.near(number, row, threshold)
                there = [i for i in range(mine) if matrix[mine, i] >= threshold]
                assert found.ids.tolist() == there
                assert found.cosines.tolist() == matrix[mine, there].tolist()
                assert found.ranks.tolist() == near.ranks(np.array(there, np.uint64)).tolist()


def test_each_row_is_compared_once_for_all_thresholds(crowd, monkeypatch):
    _, make = crowd
    asked = []
    compared = earlier.EarlierRows._compared
    monkeypatch.setattr(
        earlier.EarlierRows, "_compared", lambda self, row, at: asked.append(int(row["row"])) or compared(self, row, at)
    )
    levels = [0.99, 0.992, 0.994, 0.996, 0.998] * 2
    decided = {}
    for hold in (0, 30_000, 1 << 30):
        asked.clear()
        near = make(hold)
        decided[hold] = [near.decide("independent", level).partner.tolist() for level in levels]
        decided[hold].append(len(asked))
    assert decided[0][:-1] == decided[30_000][:-1] == decided[1 << 30][:-1]
    assert 0 < decided[1 << 30][-1] == len(set(asked)) < decided[30_000][-1] < decided[0][-1]
