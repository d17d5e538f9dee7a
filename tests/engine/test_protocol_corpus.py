"""What the engine offers a stage that settles beyond sketches: texts, the ledger; and minhash's cluster sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.stage import GlobalStage
from corpuscurate.core.tables import read_table
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize

TEXTS = ["one two three", "short", "one two three", "four  five\u0000 six", "seven eight nine ten", "x"]


class Looks(GlobalStage):
    """Tells in its stats what the corpus offers."""

    keeps_text = True

    def rules(self) -> dict[str, None]:
        return {"never": None}

    def sketch_schema(self) -> pa.Schema:
        return pa.schema([("n", pa.int64())])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        return {"n": pa.array(np.arange(len(batch)))}

    def settle(self, corpus: Corpus) -> Settled:
        ids = np.concatenate([to_numpy(read_table(file).column("doc_id")) for file in corpus.sketches()])
        texts = corpus.text().take(np.concatenate([ids[::-1], ids[:1]]))
        ledger = [row for split in range(len(corpus.sketches())) for row in corpus.ledger(split).to_pylist()]
        return Settled([], stats={"texts": texts.to_pylist(), "ledger": ledger, "clusters": []})


class Undeclared(Looks):
    keeps_text = False


def run(folder: Path, *stages: Any, out: str = "out") -> dict[str, Any]:
    (folder / "in").mkdir(exist_ok=True)
    for number in range(2):
        lines = [orjson.dumps({"text": text}) for text in TEXTS[3 * number : 3 * number + 3]]
        (folder / "in" / f"{number}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    source, sink = Source(paths=("in",), split_bytes=1), Sink(path=out)
    return Pipeline(source, stages, sink, Settings(workers=1), folder).run()


def test_a_stage_gets_texts_as_it_saw_them_and_what_earlier_stages_decided(tmp_path: Path) -> None:
    report = run(tmp_path, Normalize(), Length(min_words=2), Exact(), Looks(name="looks"))
    (stats,) = [row["stats"] for row in report["stages"] if row["label"] == "looks"]
    seen = ["one two three", "one two three", "four  five six", "seven eight nine ten"]
    assert stats["texts"] == [*seen[::-1], seen[0]]
    rows = [(row["stage"], row["reason"], row["value"]) for row in stats["ledger"]]
    assert rows == [("length", "min_words", 1.0), ("exact", "exact_duplicate", None), ("length", "min_words", 1.0)]
    assert stats["ledger"][1]["duplicate_of"] is not None


def test_texts_are_for_stages_that_declare_them(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="does not declare `keeps_text`"):
        run(tmp_path, Undeclared(name="undeclared"))


def test_cluster_sizes_where_they_are_asked_for(tmp_path: Path) -> None:
    near = {"ngram": 1, "threshold": 0.9}
    run(tmp_path, MinHash(**near, cluster_size=True))
    table = pq.read_table(tmp_path / "out" / "data")
    assert dict(zip(table["text"].to_pylist(), table["minhash.cluster_size"].to_pylist(), strict=True)) == {
        text: 2 if text == TEXTS[0] else 1 for text in TEXTS
    }
    run(tmp_path, MinHash(**near), out="plain")
    assert pq.read_table(tmp_path / "plain" / "data").column_names == ["text"]
