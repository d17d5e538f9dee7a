"""Data in memory: any Arrow stream in, tables and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.later import Later

from corpuscurate import Pipeline, Settings, Sink, Source, curate
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

duckdb, pd, pl = Later("duckdb"), Later("pandas"), Later("polars")

ROWS = {
    "key": ["a", "b", "c", "d"],
    "text": ["one two three", "one two three", None, "x"],
    "score": [0.5, None, 1.0, 2.0],
}


def as_duckdb() -> Any:
    return duckdb.from_arrow(pa.table(ROWS))


@pytest.mark.parametrize(
    "data",
    [
        lambda: pa.table(ROWS),
        lambda: pa.table(ROWS).to_reader(max_chunksize=1),
        lambda: pa.record_batch(ROWS),
        lambda: pl.DataFrame(ROWS),
        lambda: pd.DataFrame(ROWS),
        as_duckdb,
    ],
    ids=["table", "reader", "batch", "polars", "pandas", "duckdb"],
)
def test_any_arrow_stream_goes_in_and_every_row_comes_out_once(data: Any) -> None:
    found = curate(data(), [{"length": {"min_words": 2}}, Exact()], id="key")
    assert found.report["documents"] == {"input": 4, "kept": 1, "dropped": 2, "quarantined": 1}
    assert pa.table(found.kept).column("key").to_pylist() == ["a"]
    dropped = found.dropped.select(["id", "position", "stage", "reason", "duplicate_of"]).to_pylist()
    assert [tuple(row.values()) for row in dropped] == [
        ("b", 1, "exact", "exact_duplicate", "a"),
        ("d", 3, "length", "min_words", None),
    ]
    assert found.quarantined.column("reason").to_pylist() == ["null_text"]


def test_columns_and_types_come_back_as_they_were() -> None:
    given = pa.table({"body": ["a b", "c d"], "n": pa.array([1, None], pa.int16()), "t": pa.array([[1], []])})
    found = curate(given, [], text="body")
    assert found.kept.equals(given)
    assert found.kept.schema == given.schema


def test_no_rows_is_no_error() -> None:
    found = curate(pa.table({"text": pa.array([], pa.string())}), ["normalize", "exact", "minhash"])
    assert (found.kept.num_rows, found.dropped.num_rows) == (0, 0)


def test_what_is_no_arrow_data_and_what_is_no_stage() -> None:
    with pytest.raises(InputError, match=r"item 0 .* cannot read a int\. Expected something that offers an Arrow"):
        curate([1, 2], [])
    with pytest.raises(InputError, match=r"cannot read a str\. Expected something that offers an Arrow stream"):
        curate("text", [])
    with pytest.raises(InputError, match="cannot read a Series"):
        curate(pd.Series(["text"]), [])
    with pytest.raises(InputError, match="cannot read a Series"):
        curate(pl.Series(["text"]), [])
    with pytest.raises(RecipeError, match="unknown stage 'exakt'"):
        curate(pa.table(ROWS), ["exakt"])
    with pytest.raises(RecipeError, match="workers"):
        curate(pa.table(ROWS), [], workers=0)
    with pytest.raises(InputError, match="has no column 'text'"):
        curate(pa.table({"body": ["a"]}), [])


def test_a_pipeline_and_its_recipe_are_the_same_value(tmp_path: Path) -> None:
    made = Pipeline(
        Source(paths=("in/*.jsonl",), id="id"),
        (Length(min_words=3), Exact(keep="longest"), Length(max_words=9, name="long")),
        Sink(path="out", format="jsonl"),
        Settings(workers=1, memory=1 << 30),
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"id": "1", "text": "a b c d"}\n{"id": "2", "text": "a"}\n')
    made.to_recipe(tmp_path / "recipe.yaml")
    again = Pipeline.from_recipe(tmp_path / "recipe.yaml")
    assert again == made
    assert again.run()["documents"] == {"input": 2, "kept": 1, "dropped": 1, "quarantined": 0}
    assert (tmp_path / "out" / "data" / "part-00000.jsonl").read_text() == '{"id": "1", "text": "a b c d"}\n'


@pytest.mark.parametrize("nested", [False, True])
def test_batches_with_dictionaries_of_their_own(nested: bool) -> None:
    def part(*langs: str) -> pa.Table:
        column = pa.array(langs).dictionary_encode()
        if nested:
            column = pa.StructArray.from_arrays([column], ["code"])
        return pa.table({"text": [f"a text in {lang}" for lang in langs], "lang": column})

    data = pa.concat_tables([part("en", "de"), part("fr", "en")])
    kept = curate(data, ["exact"]).kept
    assert kept.column("lang").to_pylist() == [*data.column("lang").to_pylist()[:3]]
