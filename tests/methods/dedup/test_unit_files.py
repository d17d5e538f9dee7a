import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.sketches import set_of_units
from support.forms import some

from corpuscurate.core.tables import table_writer
from corpuscurate.methods.dedup.sketch import units_of_text
from corpuscurate.methods.dedup.unit_files import Units, room_for, unit_columns

EMPTY = unit_columns(pa.array([], pa.large_list(pa.uint32())))
SCHEMA = pa.schema([("doc_id", pa.uint64()), *((name, column.type) for name, column in EMPTY.items())])


def write(path, batches):
    """A file of record batches, each a dict of doc_id -> units."""
    with table_writer(path, SCHEMA) as writer:
        for batch in batches:
            columns = unit_columns(pa.array(list(batch.values()), pa.large_list(pa.uint32())))
            writer.write(pa.record_batch({"doc_id": pa.array(list(batch), pa.uint64()), **columns}, schema=SCHEMA))
    return path


@settings(max_examples=some(60), deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), max_size=12),
    st.lists(st.integers(0, 3), max_size=12),
    st.integers(1, 4),
    st.booleans(),
    st.data(),
)
def test_sets_of_chosen_documents(tmp_path_factory, documents, gaps, n, on_disk, data):
    """Whatever files and record batches they stand in, in memory or laid out in a file."""
    folder = tmp_path_factory.mktemp("units")
    paths, batches = [], [{}]
    for number, units in enumerate(documents):
        gap = gaps[number] if number < len(gaps) else 0
        batches += [{}] if gap == 1 else []
        if gap > 1:
            paths.append(write(folder / f"{len(paths)}.arrow", batches))
            batches = [{}]
        batches[-1][10 * number] = units
    paths.append(write(folder / f"{len(paths)}.arrow", batches))
    wanted = sorted(data.draw(st.sets(st.sampled_from(range(len(documents))) if documents else st.nothing())))
    ids = np.array(wanted, np.uint64) * np.uint64(10)
    units = Units(paths, ids)
    assert units.counts.tolist() == [len(documents[number]) for number in wanted]
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(wanted))) if wanted else st.nothing())))
    most = int(units.most_shingles(n)[chosen].sum())
    sets = room_for(most, folder / "sets.tmp", 0 if on_disk else 1 << 20)
    assert (folder / "sets.tmp").exists() == bool(on_disk and chosen)
    offsets = units.sets(np.array(chosen, np.int64), n, sets)
    found = [sets[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert found == [sorted(set_of_units(documents[wanted[i]], n)) for i in chosen]


def test_a_document_that_is_not_there_is_an_error(tmp_path):
    path = write(tmp_path / "a.arrow", [{1: [1, 2], 5: [3]}])
    with pytest.raises(RuntimeError, match="document 3 are missing"):
        Units([path], np.array([1, 3, 5], np.uint64))


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_units_of_a_slice_of_texts(unit):
    texts = pa.array(["before", "One two.", "", "ＴＷＯ 漢字"], pa.large_string())
    whole = units_of_text(unit, texts).to_pylist()
    assert units_of_text(unit, texts.slice(1)).to_pylist() == whole[1:]
    assert [len(each) for each in whole] == ([1, 2, 0, 3] if unit == "words" else [6, 8, 0, 6])
