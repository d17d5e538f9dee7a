"""Deduplication against earlier runs: their documents win and are named, and nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from support.engine import digests, rows

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.core.stage import Stage
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize
from corpuscurate.tools.explain import explain

NEAR: dict[str, Any] = {"ngram": 2, "threshold": 0.6}


def texts(seed: int, size: int) -> list[str]:
    """Documents of few families, shared by all seeds, with words replaced."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(size):
        number = rng.integers(0, 25)
        words = [f"f{number}w{i}" for i in range(30)]
        for _ in range(rng.integers(0, 6)):
            words[rng.integers(0, len(words))] = f"x{rng.integers(0, 1000)}"
        out.append(" ".join(words))
    return out


def shard(folder: Path, name: str, documents: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [orjson.dumps({"id": f"{name}{i}", "text": text}) for i, text in enumerate(documents)]
    half = len(lines) // 2
    for part, some in enumerate((lines[:half], lines[half:])):
        (folder / f"{name}-{part}.jsonl").write_bytes(b"".join(line + b"\n" for line in some))


def run(
    base: Path,
    name: str,
    stages: tuple[Stage, ...],
    source: str = "",
    out: str = "",
    format: str = "parquet",
    **how: Any,
) -> Path:
    out = out or f"out-{name}"
    paths = (source or f"{name}/*.jsonl",)
    sink = Sink(path=out, format=format, part_bytes=2000)  # type: ignore[arg-type]
    settings = Settings(workers=1, runner="inprocess", **how)
    pipeline = Pipeline(Source(paths=paths, id="id", split_bytes=4000), stages, sink, settings, base)
    pipeline.run()
    return base / out


@pytest.fixture
def base(tmp_path: Path) -> Path:
    shard(tmp_path / "a", "a", texts(1, 60))
    shard(tmp_path / "b", "b", texts(2, 80))
    shard(tmp_path / "c", "c", texts(3, 50))
    return tmp_path


def dropped(out: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows(out, "dropped")}


def test_copies_of_an_earlier_run_are_dropped_and_name_it(tmp_path: Path) -> None:
    shard(tmp_path / "a", "a", ["first text", "second text", "second text"])
    shard(tmp_path / "b", "b", ["new text", "second text", "new text", "first text"])
    a = run(tmp_path, "a", (Exact(),))
    b = run(tmp_path, "b", (Exact(index=(str(a),)),))
    names = ("id", "duplicate_of", "duplicate_of_doc_id", "duplicate_of_corpus", "matched", "matched_corpus")
    (a2,) = rows(a, "dropped")
    assert [tuple(row[name] for name in names) for row in rows(b, "dropped")] == [
        ("b1", "a1", a2["duplicate_of_doc_id"], "out-a", "a1", "out-a"),
        ("b2", "b0", 0, None, "b0", None),
        ("b3", "a0", 0, "out-a", "a0", "out-a"),
    ]
    assert [row["id"] for row in rows(b, "data")] == ["b0"]
    assert explain(b, "b3")["ends_at"] == {"id": "a0", "doc_id": 0, "corpus": "out-a"}


@pytest.mark.parametrize(
    ("verify", "format"),
    [("exact", "parquet"), ("exact", "jsonl.zst"), ("exact", "arrow"), ("signature", "parquet"), ("none", "parquet")],
)
@pytest.mark.campaign(2)
def test_as_a_joint_run_in_which_the_earlier_documents_come_first(base: Path, verify: str, format: str) -> None:
    near = MinHash(**NEAR, verify=verify)  # type: ignore[arg-type]
    a = run(base, "a", (near,), format=format)
    b = run(base, "b", (near.model_copy(update={"index": (str(a),)}),))
    alive = {row["id"] for row in _data(a, format)}
    joint = base / "joint"
    shard(joint, "a", [text for i, text in enumerate(texts(1, 60)) if f"a{i}" in alive])
    shard(joint, "b", texts(2, 80))
    both = run(base, "joint", (near,))
    expected = {name for name in dropped(both) if name.startswith("b")}
    found = dropped(b)
    assert set(found) == expected
    assert 20 < len(found) < 80
    of_a = {name for name, row in found.items() if row["duplicate_of_corpus"] == "out-a"}
    assert 10 < len(of_a) < len(found)
    assert all(found[name]["duplicate_of"] in alive for name in of_a)
    assert all(row["duplicate_of"].startswith("b") for name, row in found.items() if name not in of_a)


def _data(out: Path, format: str) -> list[dict[str, Any]]:
    if format == "parquet":
        return rows(out, "data")
    if format == "arrow":
        import pyarrow as pa

        return [
            row for path in sorted((out / "data").iterdir()) for row in pa.ipc.open_file(path).read_all().to_pylist()
        ]
    import zstandard

    return [
        orjson.loads(line)
        for path in sorted((out / "data").iterdir())
        for line in zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    ]


def test_greedy_settling_keeps_all_documents_of_earlier_runs(tmp_path: Path) -> None:
    # neighbours in this chain share 8 of 12 words, the ends 6 of 14; the first two are in the index
    words = [f"w{i}" for i in range(14)]
    shard(tmp_path / "a", "a", [" ".join(words[:10]), " ".join(words[2:12]), "something else"])
    shard(tmp_path / "b", "b", [" ".join(words[4:]), " ".join(words[8:])])
    near = MinHash(ngram=1, threshold=0.6, values=40, bands=40, rows=1, settling="greedy")
    a = run(tmp_path, "a", (near.model_copy(update={"threshold": 0.95}),))
    assert len(rows(a, "data")) == 3
    b = dropped(run(tmp_path, "b", (near.model_copy(update={"index": (str(a),)}),)))
    assert {name: row["duplicate_of"] for name, row in b.items()} == {"b0": "a1"}


def test_a_chain_of_runs(base: Path) -> None:
    near = MinHash(**NEAR)
    a = run(base, "a", (Exact(), near))
    b = run(base, "b", (Exact(index=(str(a),)), near.model_copy(update={"index": (str(a),)})))
    both = (str(a), str(b))
    c = run(base, "c", (Exact(index=both), near.model_copy(update={"index": both})))
    kept = {"out-a": {row["id"] for row in rows(a, "data")}, "out-b": {row["id"] for row in rows(b, "data")}}
    corpora = set()
    for row in rows(c, "dropped"):
        corpora.add(row["duplicate_of_corpus"])
        if row["duplicate_of_corpus"] is not None:
            assert row["duplicate_of"] in kept[row["duplicate_of_corpus"]]
    assert {"out-a", "out-b"} <= corpora
    # what c keeps is like nothing that is kept in a or b: a fourth run over it drops nothing
    again = run(base, "again", (near.model_copy(update={"index": both}),), source="out-c/data/*.parquet")
    assert rows(again, "dropped") == []


def test_the_same_bytes_whatever_runs_it(base: Path) -> None:
    near = MinHash(**NEAR)
    a = run(base, "a", (near,))
    stages = (near.model_copy(update={"index": (str(a),)}),)
    one = digests(run(base, "b", stages))
    moved = base / "elsewhere" / "out-a"
    shutil.copytree(a, moved)
    other = (near.model_copy(update={"index": (str(moved),)}),)
    assert digests(run(base, "b", other, out="other", memory=384 << 20, batch_bytes=500)) == one


def test_tags_name_the_corpus(base: Path) -> None:
    near = MinHash(**NEAR)
    a = run(base, "a", (near,))
    b = run(base, "b", (near.model_copy(update={"index": (str(a),), "mode": "tag"}),))
    drops = dropped(run(base, "b", (near.model_copy(update={"index": (str(a),)}),), out="dropping"))
    for row in rows(b, "data"):
        assert row["minhash.is_kept"] == (row["id"] not in drops)
        if row["id"] in drops:
            assert row["minhash.corpus"] == drops[row["id"]]["duplicate_of_corpus"]
            assert row["minhash.cluster"] == drops[row["id"]]["duplicate_of_doc_id"]


def test_what_differs_is_said(base: Path) -> None:
    a = run(base, "a", (Normalize(), MinHash(**NEAR)))
    with pytest.raises(InputError, match=r"the sketches of minhash differ \(ngram: 2 there, 3 here\)"):
        run(base, "b", (Normalize(), MinHash(ngram=3, threshold=0.6, index=(str(a),))))
    with pytest.raises(
        InputError, match=r"the sketches of minhash differ \(words: 'unicode' there, 'identifiers' here\)"
    ):
        run(base, "b", (Normalize(), MinHash(**NEAR, words="identifiers", index=(str(a),))))
    loose = {"ngram": 2, "threshold": 0.1}  # bands of one row, for which whole values are kept
    with pytest.raises(InputError, match=r"differ \(value_bits: 16 there, 32 here\)"):
        run(base, "b", (Normalize(), MinHash(**loose, index=(str(a),))))  # type: ignore[arg-type]
    assert dropped(run(base, "b", (Normalize(), MinHash(**loose, value_bits=16, index=(str(a),))), out="loose"))  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"went through normalize, and those that stages\[0\] \(minhash\) compares through"
    ):
        run(base, "b", (MinHash(**NEAR, index=(str(a),)),))
    with pytest.raises(InputError, match="that run had no stage 'exact'"):
        run(base, "b", (Normalize(), Exact(index=(str(a),))))
    with pytest.raises(InputError, match="holds no finished run"):
        run(base, "b", (Exact(index=(str(base / "b"),)),))
    bare = run(base, "a", (Exact(),), out="bare", retain="none")
    with pytest.raises(
        InputError, match=r"is gone or damaged. Run it again with a deduplication and `run: \{retain: index\}`"
    ):
        run(base, "b", (Exact(index=(str(bare),)),))
    assert not (base / "out-b").exists()


def test_texts_of_an_earlier_run_are_needed_for_exact_verification_alone(base: Path) -> None:
    near = MinHash(**NEAR)
    a = run(base, "a", (near,))
    shutil.rmtree(a / "data")
    stage = near.model_copy(update={"index": (str(a),)})
    with pytest.raises(InputError, match=r"data/part-00000.parquet is gone.*Use `verify: signature`"):
        run(base, "b", (stage,))
    assert dropped(run(base, "b", (stage.model_copy(update={"verify": "signature"}),), out="signed"))


def test_filters_after_the_deduplication_decide_what_an_index_holds(tmp_path: Path) -> None:
    shard(tmp_path / "a", "a", ["short one", "a long text of more than four words"])
    shard(tmp_path / "b", "b", ["short one", "a long text of more than four words"])
    a = run(tmp_path, "a", (Exact(), Length(min_words=4)))
    b = run(tmp_path, "b", (Exact(index=(str(a),)),))
    assert [row["id"] for row in rows(b, "data")] == ["b0"]
    assert [(row["id"], row["duplicate_of"]) for row in rows(b, "dropped")] == [("b1", "a1")]


def test_indexes_that_kept_nothing_stand_beside_others(base: Path) -> None:
    near = MinHash(**NEAR)
    a = run(base, "a", (near,))
    without = dropped(run(base, "b", (near.model_copy(update={"index": (str(a),)}),), out="without"))
    none = [run(base, "c", (near, Length(min_words=1000)), out=f"none-{i}") for i in range(2)]
    for i, index in enumerate([(*none, a), (none[0], a, none[1]), (a, *none)]):
        b = run(base, "b", (near.model_copy(update={"index": tuple(map(str, index))}),), out=f"b{i}")
        assert dropped(b) == without
    assert {row["duplicate_of_corpus"] for row in without.values()} == {None, "out-a"}


def test_a_run_does_not_replace_its_own_index(tmp_path: Path) -> None:
    shard(tmp_path / "in", "a.jsonl", texts(1, 20))
    source, sink = Source(paths=(str(tmp_path / "in"),)), Sink(path=str(tmp_path / "out"))
    Pipeline(source, (Exact(),), sink, Settings(runner="inprocess")).run()
    before = digests(tmp_path / "out")
    again = Pipeline(source, (Exact(index=(str(tmp_path / "in" / ".." / "out"),)),), sink, Settings(runner="inprocess"))
    with pytest.raises(RecipeError, match=r"stages\[0\] \(exact\): the index .* is the output folder, whose run would"):
        again.run(overwrite=True)
    assert digests(tmp_path / "out") == before
