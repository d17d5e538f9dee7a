from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from support.embed import sentence_folder, static_folder

from corpuscurate import curate
from corpuscurate.core.batch import Batch
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.methods.embed.base import embedding_rows
from corpuscurate.methods.embed.learned import Learned, fit
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.static import Static
from corpuscurate.pipeline import Pipeline
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages.embed import Embed

HOME = tempfile.TemporaryDirectory()
STATIC = static_folder(Path(HOME.name, "static"))
LEARNED = Path(HOME.name, "learned")
LEARNED.mkdir()
fit([pa.array(["the rules of the house", "the house of one"] * 9, pa.large_string())], Learned(dimension=64), LEARNED)

EXAMPLES = [
    {"embedder": {"kind": "static", "model": str(STATIC)}},
    {"embedder": {"kind": "learned", "model": str(LEARNED)}},
]
UNPUBLISHED = True
TEXTS = ["hello world", "", "the 漢字", "hello"]


def test_the_column_holds_the_rows():
    batch = Batch(np.arange(4, dtype=np.uint64), pa.array(TEXTS, pa.large_string()), np.zeros(4, np.int64))
    stage = Embed(**EXAMPLES[0])
    column = stage.apply(batch).columns["embedding"]
    assert column.type == pa.list_(pa.float32(), 8) == stage.adds()["embedding"]
    expected = make_embedder(Static(model=str(STATIC))).embed(batch.text).rows
    assert embedding_rows(column).tobytes() == expected.tobytes()
    assert embedding_rows(column.slice(2)).tobytes() == expected[2:].tobytes()
    assert column.null_count == 0


@pytest.mark.parametrize(
    ("embedder", "said"),
    [
        ("learned", "needs `model`, the folder of a fitted model, here"),
        ({"kind": "column", "column": "e"}, "the vectors are in a column already"),
        ({"kind": "fasttext"}, "does not match any of the expected tags"),
    ],
)
def test_what_cannot_stream_is_refused(embedder, said):
    with pytest.raises(ValidationError) as error:
        Embed(embedder=embedder)
    assert said in str(error.value)


def test_identity_is_of_what_the_model_is_and_not_of_where(tmp_path):
    other = static_folder(tmp_path / "copy")
    one, copy = Embed(**EXAMPLES[0]), Embed(embedder=Static(model=str(other)))
    assert one.identity() == copy.identity()
    static_folder(other, dimension=5)
    assert one.identity() != Embed(embedder=Static(model=str(other))).identity()


def test_a_recipe_may_name_the_folder_relative_to_itself(tmp_path):
    static_folder(tmp_path / "models" / "m")
    (tmp_path / "recipe.yaml").write_text(
        "input: {paths: [a.jsonl]}\noutput: {path: out}\n"
        "stages:\n  - embed: {embedder: {kind: static, model: models/m}}\n"
    )
    spec = load_recipe(tmp_path / "recipe.yaml")
    assert spec.stages[0].embedder.model == str(tmp_path / "models" / "m")


def test_documents_judged_by_their_heads_or_of_unknown_tokens_are_told(tmp_path):
    pytest.importorskip("sentence_transformers")
    long = "a b c " * 30
    (tmp_path / "in").mkdir()
    for shard, texts in enumerate((["x", long + "hello", "y"], [long, "Ψ Ω", long + "world"])):
        pq.write_table(pa.table({"text": texts}), tmp_path / "in" / f"{shard}.parquet")
    source, settings = Source(paths=(str(tmp_path / "in"),), split_bytes=1), Settings(runner="inprocess")

    model = str(sentence_folder(tmp_path / "model"))

    def told(**more):
        stage = Embed(embedder={"kind": "sentence-transformers", "model": model, **more})
        return Pipeline(source, [stage], Sink(path=str(tmp_path / "out")), settings).run(overwrite=True)["warnings"]

    unknown, heads = told()
    assert unknown.startswith(f"embed: 1 of 6 documents (16.7 %; such as doc_id {(1 << 40) + 1}) have no embedding")
    assert heads.startswith("embed: 3 of 6 documents (50.0 %; such as doc_id 1) are longer than the tokens that")
    assert heads.endswith(
        "judged by their heads alone: those that share a heading look alike. `window: mean` reads them whole"
    )
    assert told(window="mean") == [unknown]


def test_in_memory():
    kept = pa.table(curate(pa.table({"text": TEXTS}), [Embed(**EXAMPLES[0])]).kept)
    assert kept.column_names == ["text", "embed.embedding"]
    found = embedding_rows(kept.column("embed.embedding").combine_chunks())
    assert (
        found.tobytes()
        == make_embedder(Static(model=str(STATIC))).embed(pa.array(TEXTS, pa.large_string())).rows.tobytes()
    )


@pytest.mark.parametrize("format", ["parquet", "jsonl", "arrow"])
def test_every_output_format_takes_the_column(tmp_path, format):
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")
    out = tmp_path / "out"
    source, sink = Source(paths=(str(tmp_path / "in.parquet"),)), Sink(path=str(out), format=format)
    Pipeline(source, [Embed(**EXAMPLES[0])], sink, Settings(runner="inprocess")).run()
    expected = make_embedder(Static(model=str(STATIC))).embed(pa.array(TEXTS, pa.large_string())).rows
    (part,) = (out / "data").iterdir()
    if format == "parquet":
        found = pq.read_table(part).column("embed.embedding")
    elif format == "arrow":
        found = pa.ipc.open_file(part.read_bytes()).read_all().column("embed.embedding")
    else:
        import orjson

        found = pa.array([orjson.loads(line)["embed.embedding"] for line in part.read_bytes().splitlines()])
    np.testing.assert_array_equal(np.array(found.to_pylist(), np.float32), expected)
