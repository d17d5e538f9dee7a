from __future__ import annotations

import json

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.embed import static_folder
from support.embed_toy import EmbedOnly
from support.forms import some

from corpuscurate.core.columns import JSON, TEXT, heads
from corpuscurate.core.errors import InputError
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.methods.embed.base import (
    EMBEDDING,
    EMPTY,
    NOT_FINITE,
    NOTES,
    embedding_column,
    embedding_rows,
    noted_rows,
    unit_rows,
)
from corpuscurate.methods.embed.corpus import FromColumn
from corpuscurate.methods.embed.learned import Learned
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.static import Static
from corpuscurate.methods.embed.vectors import vectors
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

WORDS = "the of ship sail harbour wave bread flour oven butter court judge trial lawyer violin melody".split()  # noqa: SIM905


def text(number: int) -> str:
    return " ".join(WORDS[(number * 7 + i * (number % 5 + 1)) % len(WORDS)] for i in range(number % 40))


def write(folder, documents=300, shards=3):
    for shard in range(shards):
        lines = [orjson.dumps({"text": text(n)}) for n in range(shard, documents, shards)]
        (folder / f"{shard}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return str(folder / "*.jsonl")


def run(folder, out, embedder, *, workers=1, batch_bytes=16 << 20, split_bytes=2000, other=0, overwrite=False):
    stages = [Length(min_words=3), Exact(), EmbedOnly(embedder=embedder, other=other)]
    source = Source(paths=(str(folder / "*.jsonl"),), split_bytes=split_bytes)
    runner = "local" if workers > 1 else "inprocess"
    settings = Settings(workers=workers, runner=runner, batch_bytes=batch_bytes)
    report = Pipeline(source, stages, Sink(path=str(out)), settings).run(overwrite=overwrite)
    (found,) = (stage["stats"] for stage in report["stages"] if stage["label"] == "embed_only")
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return Static(model=str(static_folder(tmp_path_factory.mktemp("static"))))


LEARNED = Learned(dimension=64, sample_bytes=1 << 16)


def expected_rows(folder, ids, embedder):
    """The rows of documents by doc_id: file number << 40 | offset of the line."""
    files = sorted(folder.glob("*.jsonl"))
    texts = []
    for doc_id in ids:
        content = files[doc_id >> 40].read_bytes()
        at = doc_id & (1 << 40) - 1
        texts.append(json.loads(content[at : content.index(b"\n", at)])["text"])
    return texts, make_embedder(embedder).embed(pa.array(texts, pa.large_string())).rows


def test_static_embeds_what_is_alive_in_order(corpus, static, tmp_path):
    import hashlib

    stats = run(corpus, tmp_path / "out", static)
    texts, rows = expected_rows(corpus, stats["ids"], static)
    assert 20 < len(texts) < 300
    assert len(set(texts)) == len(texts)  # `exact` dropped the others
    assert all(len(each.split()) >= 3 for each in texts)
    assert hashlib.sha256(rows.tobytes()).hexdigest() == stats["digest"]


@pytest.mark.parametrize("kind", ["static", "learned"])
def test_the_same_bytes_for_workers_and_batches(corpus, static, tmp_path, kind):
    embedder = static if kind == "static" else LEARNED
    one = run(corpus, tmp_path / "a", embedder)
    for name, more in (("b", {"workers": 2}), ("c", {"batch_bytes": 100})):
        other = run(corpus, tmp_path / name, embedder, **more)
        assert (other["digest"], other["ids"]) == (one["digest"], one["ids"])


def test_a_change_of_another_parameter_embeds_nothing_again(corpus, tmp_path):
    one = run(corpus, tmp_path / "out", LEARNED)
    again = run(corpus, tmp_path / "out", LEARNED, other=1, overwrite=True)
    assert again["made"] == one["made"]
    assert again["digest"] == one["digest"]
    seeded = run(corpus, tmp_path / "out", LEARNED.model_copy(update={"seed": 5}), other=1, overwrite=True)
    assert seeded["digest"] != one["digest"]
    kept = [path.name for path in (tmp_path / "out" / "_run" / "settle-embed_only").iterdir()]
    assert len(kept) == 1  # what no parameter asks for any more is removed
    assert kept[0].startswith("basis-")


def test_a_fitted_model_is_used_as_it_is(corpus, tmp_path):
    from corpuscurate.methods.embed.learned import fit

    fit([pa.array([text(n) for n in range(50)], pa.large_string())], LEARNED, tmp_path)
    embedder = Learned(model=str(tmp_path))
    stats = run(corpus, tmp_path / "out", embedder)
    _, rows = expected_rows(corpus, stats["ids"], embedder)
    import hashlib

    assert hashlib.sha256(rows.tobytes()).hexdigest() == stats["digest"]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_embeddings_of_the_input(tmp_path, format):
    import hashlib

    given = [[3.0, 4.0], None, [0, 0], [1e-30, 0], [-2, 0]]
    if format == "jsonl":
        lines = [orjson.dumps({"text": f"a b {n}", "e": e}) for n, e in enumerate(given)]
        (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    else:
        table = pa.table({"text": [f"a b {n}" for n in range(5)], "e": pa.array(given, pa.list_(pa.float64()))})
        pq.write_table(table, tmp_path / "in.parquet")
    stage = EmbedOnly(embedder={"kind": "column", "column": "e"})
    source, sink = Source(paths=(str(tmp_path / f"in.{format}"),)), Sink(path=str(tmp_path / "out"))
    report = Pipeline(source, [stage], sink, Settings(runner="inprocess")).run()
    expected = np.array([[0.6, 0.8], [0, 0], [0, 0], [1, 0], [-1, 0]], np.float32)
    assert report["stages"][0]["stats"]["digest"] == hashlib.sha256(expected.tobytes()).hexdigest()


def test_embeddings_of_different_lengths_are_refused(tmp_path):
    lines = [orjson.dumps({"text": "a", "e": e}) for e in ([1, 2], [1, 2, 3])]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    stage = EmbedOnly(embedder={"kind": "column", "column": "e"})
    source, sink = Source(paths=(str(tmp_path / "in.jsonl"),)), Sink(path=str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"'e' holds embeddings of different lengths: \[2, 3\]"):
        Pipeline(source, [stage], sink, Settings(runner="inprocess")).run()


def test_no_document_is_left(corpus, tmp_path):
    for embedder in (LEARNED, Learned(dimension=64)):
        stages = [Length(min_words=10**6), EmbedOnly(embedder=embedder)]
        out = tmp_path / str(embedder.sample_bytes)
        report = Pipeline(
            Source(paths=(str(corpus / "*.jsonl"),)), stages, Sink(path=str(out)), Settings(runner="inprocess")
        ).run()
        assert report["stages"][1]["stats"]["ids"] == []


def as_json(values):
    return pa.ExtensionArray.from_storage(JSON, pa.array(values, TEXT))


def test_vectors_from_json():
    column = as_json(["[9]", "[1, 2.5]", "null", None, "[1e-3,null]", "[]"])
    found = vectors(column.slice(1), "e")
    assert found.type == pa.large_list(pa.float32())
    assert found.to_pylist() == [[1, 2.5], None, None, [np.float32(1e-3), 0], []]
    assert vectors(as_json([]), "e").to_pylist() == []


@pytest.mark.parametrize("bad", ['"a"', '{"x":1}', '["a"]', "1", "[true]", "[[1]]"])
def test_what_is_no_list_of_numbers_is_told(bad):
    with pytest.raises(InputError, match="the column 'e' holds no embeddings"):
        vectors(as_json(["[1]", bad]), "e")


def test_vectors_of_any_width():
    for kind in (pa.list_(pa.float16(), 2), pa.large_list(pa.float64()), pa.list_(pa.int32())):
        assert vectors(pa.array([[1, 2], None, [3, 4]], kind), "e").to_pylist() == [[1, 2], None, [3, 4]]
    for kind in (pa.list_view(pa.float64()), pa.large_list_view(pa.float32())):
        assert vectors(pa.array([[1, 2], None, [3, 4], [5, 6]], kind), "e").to_pylist() == [
            [1, 2],
            None,
            [3, 4],
            [5, 6],
        ]
    with pytest.raises(InputError, match="holds no embeddings"):
        vectors(pa.array(["a"]), "e")


@settings(max_examples=some(60), deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=6), st.integers(4, 20))
def test_heads_are_whole_characters(texts, limit):
    found = heads(pa.array(["x", *texts], pa.large_string()).slice(1), limit)
    found.validate(full=True)
    for given_text, head in zip(texts, found.to_pylist(), strict=True):
        assert given_text.startswith(head)
        assert len(head.encode()) <= limit
        assert head == given_text or len(head.encode()) > limit - 4


def test_unit_rows():
    rows = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1], [1e-38, 0], [3e38, 3e38]], np.float32)
    half = 0.5**0.5
    expected = [[0.6, 0.8], [0, 0], [0, 0], [0, 0], [1, 0], [half, half]]
    np.testing.assert_allclose(unit_rows(rows), expected, rtol=1e-6)
    assert noted_rows(rows).notes.tolist() == [0, EMPTY, NOT_FINITE, NOT_FINITE, 0, 0]
    assert unit_rows(rows).tobytes() == np.vstack([unit_rows(row[None]) for row in rows]).tobytes()


def test_columns_of_embeddings_are_views():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert embedding_rows(embedding_column(rows).slice(1)).tolist() == [[2, 3], [4, 5]]
    assert embedding_rows(embedding_column(rows[:0])).shape == (0, 2)


def test_rows_of_a_column_are_cut_to_what_is_alive(tmp_path):
    table = pa.table(
        {
            "doc_id": pa.array([1, 2, 3], pa.uint64()),
            "text_bytes": pa.array([1, 1, 1], pa.int64()),
            EMBEDDING: pa.array([[2, 0], [0, 5], None], pa.large_list(pa.float32())),
        }
    )
    from corpuscurate.core.tables import read_table, write_table

    write_table(tmp_path / "s.arrow", table)
    (tmp_path / "out").mkdir()
    FromColumn(0, tmp_path / "s.arrow", np.array([1], np.uint64), 2).run(tmp_path / "out")
    found = read_table(tmp_path / "out" / "rows.arrow")
    assert found.column("doc_id").to_pylist() == [2, 3]
    assert found.column(EMBEDDING).to_pylist() == [[0, 1], [0, 0]]
    assert found.column(NOTES).to_pylist() == [0, EMPTY]
