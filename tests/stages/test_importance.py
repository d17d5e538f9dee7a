from __future__ import annotations

import gzip
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.importance import buckets_of, gumbel_key, log_weight
from pydantic import ValidationError
from support.engine import sentence
from support.hostile import texts

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.text.importance import gumbel_keys
from corpuscurate.kernels.text.unicode import unidata_version
from corpuscurate.methods.quality import importance
from corpuscurate.pipeline import curate
from corpuscurate.stages.importance import Importance
from corpuscurate.stages.keep_best import KeepBest

TARGET = [sentence(number, 30).replace("river", "the house of") for number in range(12)]
RAW = [sentence(number, 20) + " WHY? http://example.org" for number in range(40, 60)]
FOLDER = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too


def write(path: Path, documents: list[str], column: str = "text") -> str:
    lines = b"".join(orjson.dumps({column: text}) + b"\n" for text in documents)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return str(path)


(Path(FOLDER.name) / "raw").mkdir()
GIVEN = {
    "target": [write(Path(FOLDER.name) / "target.jsonl.gz", TARGET)],
    "raw": [str(Path(write(Path(FOLDER.name) / "raw" / "a.jsonl", RAW[:9])).parent)],
}
write(Path(FOLDER.name) / "raw" / "b.jsonl", RAW[9:])
EXAMPLES = [
    {**GIVEN, "max_log_weight": 10.0},
    {**GIVEN, "buckets": 50, "ngrams": 3, "min_log_weight": -3.0, "seed": 7, "reasons": "all"},
]
same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unidata_version(), reason="this Python's Unicode is not that of the tables"
)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64) * 5, pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def columns(texts, **parameters):
    found = Importance(**{**GIVEN, **parameters}).apply(batch_of(texts)).columns
    return found["log_weight"].to_pylist(), found["gumbel_key"].to_pylist()


@same_version
@given(st.lists(texts(15), max_size=2), st.sampled_from([(1, 10_000), (2, 10_000), (3, 97)]))
def test_equal_to_the_definition(texts, shape):
    ngrams, buckets = shape
    texts = [*texts, TARGET[0], RAW[0]]
    weights, keys = columns(texts, ngrams=ngrams, buckets=buckets, seed=3)
    wanted = [log_weight(text, TARGET, RAW, ngrams, buckets) for text in texts]
    assert weights == [pytest.approx(value, abs=1e-9) for value in wanted]
    assert keys == [pytest.approx(gumbel_key(weights[row], row * 5, 3), abs=1e-9) for row in range(len(texts))]


def test_golden():
    """Words are folded and signs apart; behind each word but the last comes a pair."""
    word, comma = buckets_of("ab", 1, 10**9) + buckets_of(",", 1, 10**9)
    assert buckets_of("Ab, AB", 1, 10**9) == [word, comma, word]
    assert len(buckets_of("one two three", 2, 10)) == 5


def test_texts_like_the_target_weigh_more():
    weights, _ = columns([TARGET[3], RAW[3], ""])
    assert weights[0] > 0 > weights[1]
    assert weights[2] == 0


def test_bounds():
    stage = Importance(**GIVEN, min_log_weight=0.0, reasons="all")
    outcome = stage.apply(batch_of([TARGET[3], RAW[3]]))
    assert outcome.reason.tolist() == [0, 1]
    assert outcome.value[1] < 0
    assert [len(each) for each in outcome.failed.to_pylist()] == [0, 1]


def test_gumbel_top_one_draws_in_proportion_to_the_weights():
    """Two documents with weights 1 and 3: the second wins three times in four (4,000 draws; 5 sigma are .034)."""
    scores = np.log([1.0, 3.0])
    keys = np.empty(2)
    wins = 0
    for seed in range(4000):
        gumbel_keys(scores, np.array([1, 2], np.uint64), np.uint64(seed), keys)
        wins += keys[1] > keys[0]
    assert wins / 4000 == pytest.approx(0.75, abs=0.034)


def test_gumbel_draws_have_the_moments_of_the_distribution():
    keys = np.empty(100_000)
    gumbel_keys(np.zeros(len(keys)), np.arange(len(keys), dtype=np.uint64), np.uint64(1), keys)
    assert keys.mean() == pytest.approx(np.euler_gamma, abs=0.02)
    assert keys.var() == pytest.approx(np.pi**2 / 6, abs=0.05)


def test_dsir_in_one_recipe():
    corpus = [*TARGET, *RAW]
    stages = [Importance(**GIVEN), KeepBest(by="importance.gumbel_key", fraction=0.25)]
    kept = curate(pa.table({"text": corpus}), stages).kept
    again = curate(pa.table({"text": corpus}), stages).kept
    assert kept["text"].to_pylist() == again["text"].to_pylist()
    assert len(kept) == 8
    assert set(kept["text"].to_pylist()) <= set(TARGET)


def test_counts_are_kept_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(importance, "cache_folder", lambda: str(tmp_path / "kernels"))

    class Texts:
        unread = 3
        calls = 0

        def __iter__(self):
            Texts.calls += 1
            yield pa.array(TARGET, TEXT)

    counts, unread = importance.counts_of("`target`", ("x",), 2, 100, Texts())
    assert unread == 3
    again = importance.counts_of("`target`", ("x",), 2, 100, Texts())
    assert (again[0].tolist(), again[1]) == (counts.tolist(), 3)
    assert Texts.calls == 1
    (path,) = (tmp_path / "importance").iterdir()
    path.write_bytes(b"broken")
    assert importance.counts_of("`target`", ("x",), 2, 100, Texts())[0].tolist() == counts.tolist()
    assert Texts.calls == 2
    assert importance.counts_of("`target`", ("x",), 1, 100, Texts())[0].sum() < counts.sum()


def test_the_fingerprint_covers_the_content_of_the_files(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, TARGET)
    one = Importance(**{**GIVEN, "target": [str(path)]})
    before, weights = one.identity(), columns([RAW[0]], target=[str(path)])[0]
    assert str(path) not in str(before)
    write(path, TARGET[1:])
    assert one.identity() != before
    assert columns([RAW[0]], target=[str(path)])[0] != weights


@pytest.mark.parametrize(
    ("documents", "column", "message"),
    [
        (["", "\n"], "text", "`target` has no word in any document"),
        (TARGET, "content", "has no column 'text'; it has content"),
        (None, "text", "missing.jsonl"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(tmp_path, documents, column, message):
    path = tmp_path / "missing.jsonl"
    if documents is not None:
        path = tmp_path / "t.jsonl"
        write(path, documents, column)
    with pytest.raises(InputError, match=message):
        Importance(**{**GIVEN, "target": [str(path)]}).identity()


def test_records_that_cannot_be_read_are_told(tmp_path, caplog):
    path = tmp_path / "t.jsonl"
    write(path, TARGET)
    path.write_bytes(path.read_bytes() + b"{broken\n")
    assert columns([TARGET[0]], target=[str(path)])[0] == columns([TARGET[0]])[0]
    for _ in range(2):  # of the second time from the cache
        caplog.clear()
        Importance(**{**GIVEN, "target": [str(path)]}).identity()
        assert "1 records of `target` cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"buckets": 1}, "buckets"),
        ({"ngrams": 0}, "ngrams"),
        ({"target": []}, "target"),
        ({"min_log_weight": 2.0, "max_log_weight": 1.0}, "is above max_log_weight"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        Importance(**{**GIVEN, **parameters})


def test_a_document_of_a_million_words():
    (weight,), _ = columns(["the house of " * 400_000])
    assert weight == pytest.approx(columns(["the house of " * 4_000])[0][0] * 100, rel=1e-3)
    long = "x" * 3_000_000
    assert columns([long], ngrams=1)[0] == columns([long.upper()], ngrams=1)[0]
