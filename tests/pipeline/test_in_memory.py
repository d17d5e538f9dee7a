"""Data of any kind goes into `curate`, and its kept rows come back as that kind."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from support.later import Later

from corpuscurate import Pipeline, Sink, Source, curate
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.stages import Exact, Length

duckdb, pd, pl = Later("duckdb"), Later("pandas"), Later("polars")

ROWS = {"text": ["one two", "one two", "x", "three four"], "n": [1, 2, 3, 4]}
STAGES = [{"length": {"min_words": 2}}, "exact"]
KEPT = {"text": ["one two", "three four"], "n": [1, 4]}


def test_a_pipeline_takes_stages_as_a_recipe_has_them() -> None:
    made = Pipeline(Source(paths=("a.jsonl",)), ["normalize", {"length": {"min_words": 2}}, Exact()], Sink(path="out"))
    assert [stage.label for stage in made.stages] == ["normalize", "length", "exact"]
    assert made.stages[1:] == (Length(min_words=2), Exact())
    assert made == Pipeline(made.source, made.stages, made.sink, made.settings)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("exact", r"must be a list of stages, such as .* not 'exact'"),
        (Exact(), "must be a list of stages"),
        ([Exact], r"stages\[0\]: Exact is a class; give a value of it: Exact\(\.\.\.\)"),
        ([Exact(), "exakt"], r"stages\[1\].*unknown stage 'exakt'"),
        ([Exact(), 3], r"stages\[1\]: a stage must be its name"),
        ([Exact(), {"length": {"min_word": 3}}], r"stages\[1\]\.length\.min_word"),
    ],
)
def test_what_is_no_stage_is_named_by_its_place(stages: Any, said: str) -> None:
    for use in (
        lambda: curate(pa.table(ROWS), stages),
        lambda: Pipeline(Source(paths=("a.jsonl",)), stages, Sink(path="out")),
    ):
        with pytest.raises(RecipeError, match=said):
            use()


def rows_of(kept: Any) -> dict[str, list[Any]]:
    return pa.table(kept.collect() if isinstance(kept, pl.LazyFrame) else kept).to_pydict()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (lambda: pa.table(ROWS), lambda: pa.Table),
        (lambda: pa.table(ROWS).to_reader(max_chunksize=1), lambda: pa.Table),
        (lambda: pa.record_batch(ROWS), lambda: pa.RecordBatch),
        (lambda: pl.DataFrame(ROWS), lambda: pl.DataFrame),
        (lambda: pl.LazyFrame(ROWS), lambda: pl.LazyFrame),
        (lambda: pd.DataFrame(ROWS), lambda: pd.DataFrame),
        (lambda: duckdb.from_arrow(pa.table(ROWS)), lambda: duckdb.DuckDBPyRelation),
        (lambda: ROWS, lambda: dict),
        (lambda: (batch for batch in pa.table(ROWS).to_batches(max_chunksize=1)), lambda: pa.Table),
        (lambda: [pa.table(ROWS).slice(0, 3), pl.DataFrame(ROWS).slice(3)], lambda: pa.Table),
        (lambda: iter(pa.table(ROWS).to_pylist()), lambda: pa.Table),
    ],
    ids=["table", "reader", "batch", "polars", "lazy", "pandas", "duckdb", "columns", "batches", "frames", "rows"],
)
def test_kept_rows_come_back_as_what_came_in(data: Any, kind: Any) -> None:
    found, kind = curate(data(), STAGES).kept, kind()
    assert isinstance(found, kind)
    assert (found if kind is dict else {k: v for k, v in rows_of(found).items() if k in KEPT}) == KEPT
    arrow = curate(data(), STAGES, returns="arrow").kept
    assert isinstance(arrow, pa.Table)
    assert arrow.to_pydict() == KEPT


def test_a_list_of_dicts() -> None:
    given = [{"text": "a b", "n": 1}, {"text": "a b", "m": 2.5}, {"text": "c"}]
    assert curate(given, ["exact"]).kept == [{"text": "a b", "n": 1, "m": None}, {"text": "c", "n": None, "m": None}]
    assert curate([], ["exact"], id="key").kept == []
    many = [{"text": f"text {i}", "late": i if i > 10_000 else None} for i in range(10_003)]
    assert curate(many, []).kept == many


def test_the_index_of_a_pandas_frame_comes_back() -> None:
    frame = pd.DataFrame(ROWS, index=["a", "b", "c", "d"]).astype({"n": "Int8"})
    found = curate(frame, STAGES).kept
    pd.testing.assert_frame_equal(found, frame.loc[["a", "d"]])
    named = pd.DataFrame({"text": ["x", "y"], "key": ["k", "l"]}).set_index("key")
    assert curate(named, ["exact"], id="key").kept.index.tolist() == ["k", "l"]
    assert curate(pd.DataFrame(ROWS), STAGES).kept.index.tolist() == [0, 3]


@pytest.mark.parametrize("lazy", [False, True])
def test_types_of_polars_come_back(lazy: bool) -> None:
    frame = pl.DataFrame(
        {
            "text": ["one text", "one text", "another"],
            "lang": pl.Series(["en", "de", None], dtype=pl.Categorical),
            "source": pl.Series(["x", None, "x"], dtype=pl.Enum(["y", "x"])),
            "raw": [b"a", b"b", None],
        }
    )
    given = frame.lazy() if lazy else frame
    found = curate(given, [{"exact": {"keep": {"by": "source", "rank": ["x", "y"]}}}]).kept
    found = found.collect() if lazy else found
    assert found.schema == frame.schema
    assert found.equals(frame[[0, 2]])
    added = curate(given, [{"length": {"max_words": 2}, "mode": "tag"}]).kept
    assert "length.words" in (added.collect_schema().names() if lazy else added.columns)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string_view(), ["a value of more than twelve bytes", "y", "y"]),
        (pa.binary_view(), [b"abc", b"d", None]),
        (pa.dictionary(pa.uint32(), pa.string_view()), ["a value of more than twelve bytes", None, "y"]),
        (pa.dictionary(pa.int8(), pa.binary_view()), [b"abc", b"d", None]),
    ],
    ids=str,
)
def test_views(kind: pa.DataType, values: list[Any]) -> None:
    if pa.types.is_dictionary(kind):
        encoded = pa.array(values, pa.large_string() if isinstance(values[0], str) else pa.large_binary())
        codes = encoded.dictionary_encode()
        column: pa.Array = pa.DictionaryArray.from_arrays(
            codes.indices.cast(kind.index_type), codes.dictionary.cast(kind.value_type)
        )
    else:
        column = pa.array(values, kind)
    assert column.type == kind
    given = pa.table({"text": pa.array(["a", "b", "c"], pa.string_view()), "c": column})
    found = curate(given, ["exact"]).kept
    assert found.schema == given.schema
    assert found.to_pydict() == given.to_pydict()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: [{"text": "a"}, 3], "item 1 is a int, and those before it are dicts"),
        (lambda: [pa.table({"text": ["a"]}), {"text": "a"}], "item 1 is a dict, and those before it are batches"),
        (lambda: [{"text": "a", "n": 1}, {"text": "a", "n": "x"}], "the column 'n' has values that are not of one"),
        (lambda: [{1: "a"}], "the column name 1 is not text"),
        (lambda: {"text": ["a"], "n": [1, 2]}, r"different numbers of rows: \[1, 2\]"),
        (lambda: [pa.table({"text": ["a"]}), pa.table({"body": ["a"]})], "batch 1 has the columns body, and what came"),
        (
            lambda: iter([pa.table({"text": ["a"], "n": [1]}), pa.table({"text": ["a"], "n": ["x"]})]),
            "batch 1 has columns of other types",
        ),
        (lambda: pd.DataFrame({"text": ["a", "b"], "n": [1, "x"]}), "cannot read the pandas DataFrame"),
    ],
)
def test_what_does_not_fit_together_is_named(data: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        curate(data(), [])


def test_what_comes_back_is_same_or_arrow() -> None:
    with pytest.raises(RecipeError, match="returns is 'polars', and must be 'same' or 'arrow'"):
        curate(pa.table(ROWS), [], returns="polars")  # type: ignore[arg-type]
