import numpy as np
import pyarrow as pa
import pytest
from support.dedup import corpus_of
from support.semantic import COLUMN

from corpuscurate.core.errors import InputError
from corpuscurate.methods.embed.base import EMPTY, NOT_FINITE, noted_rows
from corpuscurate.methods.semantic.column import stored_column, whole_lists
from corpuscurate.methods.semantic.vectors import VECTOR, quantised
from corpuscurate.stages.semantic import Semantic

ROWS = [[0.6, 0.8], None, [0.0, 0.0], [3.0, -4.0], [], [float("nan"), 1.0], [1.0, 0.0], [0.0, None]]


def stored(rows, folder, kind=None, **more):
    stage = Semantic(embedder=COLUMN)
    columns = {"e": pa.array(rows, pa.list_(pa.float64())).cast(pa.list_(kind or pa.float32()))}
    corpus = corpus_of(stage, [f"document {i}" for i in range(len(rows))], folder, columns=columns, **more)
    return stored_column(corpus, COLUMN, ["test"])


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_rows_with_a_direction_and_those_without(tmp_path, splits, kind):
    files, noted = stored(ROWS, tmp_path, kind, splits=splits)
    there = [0, 3, 6]
    read = np.array([ROWS[i] for i in there]).astype(kind.to_pandas_dtype()).astype(np.float32)
    whole, squares = quantised(noted_rows(read).rows)
    assert np.concatenate([file.ids() for file in files]).tolist() == there
    assert (np.concatenate([file.vectors()[:] for file in files]) == whole).all()
    assert np.concatenate([file.squares() for file in files]).tolist() == squares.tolist()
    assert np.concatenate([file.zero_ids() for file in files]).tolist() == [1, 2, 4, 5, 7]
    notes = np.concatenate([file.zero_notes() for file in files]).tolist()
    assert notes == [EMPTY, EMPTY, EMPTY, NOT_FINITE, EMPTY]
    assert sum(file.rows for file in files) == 3 and sum(file.zeros for file in files) == 5
    assert noted.first == {"not_finite": 5} and noted.counts["not_finite"] == 1


def test_dropped_documents_are_left_out(tmp_path):
    rows = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.6, 0.8]]
    files, _ = stored(rows, tmp_path, gone=frozenset({1, 2}))
    assert files[0].ids().tolist() == [0, 3] and files[0].zeros == 0
    assert (files[0].vectors()[:] == quantised(np.array([rows[0], rows[3]], np.float32))[0]).all()
    assert (files[0].vectors()[np.array([1])] == files[0].vectors()[1:2]).all()


@pytest.mark.parametrize("splits", [1, 2])
def test_rows_of_different_lengths_are_refused(tmp_path, splits):
    with pytest.raises(InputError, match=r"different lengths: \[2, 3\]. All must come from one model"):
        stored([[1.0, 0.0], [1.0, 0.0, 0.0]], tmp_path, splits=splits)


def test_each_length_is_brought_to_length_one_by_itself():
    lists = pa.array([[3.0, 4.0], [], [0.0, 0.0, 2.0], None, [6.0, 8.0]], pa.large_list(pa.float32()))
    found = whole_lists(lists)[VECTOR].to_pylist()
    two, three = quantised(np.array([[0.6, 0.8]], np.float32))[0], quantised(np.array([[0, 0, 1]], np.float32))[0]
    assert found == [two[0].tolist(), [], three[0].tolist(), [], two[0].tolist()]
