from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from naive import fasttext as naive
from pydantic import ValidationError

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.pipeline import curate
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages.fasttext_quality import FasttextQuality

MODEL = naive.Model(
    ["good", "bad", "words", "across"], ["__label__hq", "__label__cc"],
    [[2.0, 0.0], [0.0, 2.0], [1.0, 1.0], [3.0, 0.0], *([[0.0, 0.1]] * 11)], [[1.0, 0.0], [0.0, 1.0]],
    word_ngrams=2, bucket=11, minn=0, maxn=0,
)  # fmt: skip
FOLDER = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too
PATH = Path(FOLDER.name) / "model.bin"
PATH.write_bytes(naive.model_bytes(MODEL))
EXAMPLES = [
    {"model": str(PATH), "target": "hq", "min_score": 0.45},
    {"model": str(PATH), "target": "hq", "min_score": 0.1, "max_score": 0.49},
]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def test_scores_reasons_and_values():
    texts = ["good good", "bad bad bad", "", "good bad"]
    wanted = [naive.score(MODEL, text, 0) for text in texts]
    outcome = FasttextQuality(model=str(PATH), target="hq", min_score=0.6).apply(batch_of(texts))
    found = outcome.columns["score"].to_pylist()
    assert found[2] is None  # `</s>` is not in this dictionary: nothing to judge by
    assert wanted[2] is None
    assert [found[i] for i in (0, 1, 3)] == pytest.approx([wanted[i] for i in (0, 1, 3)], abs=1e-6)
    names = ["", *FasttextQuality(model=str(PATH), target="hq", min_score=0.6).rules()]
    assert [names[reason] for reason in outcome.reason] == ["", "min_score", "no_score", "min_score"]
    assert outcome.value[1] == found[1]
    assert np.isnan(outcome.value[[0, 2]]).all()


def test_without_min_score_a_document_without_score_passes():
    outcome = FasttextQuality(model=str(PATH), target="hq", max_score=0.7).apply(batch_of(["", "good good good"]))
    assert outcome.reason.tolist() == [0, 1]


def test_line_ends_part_words_as_spaces_do():
    """Lines glued together would make one unknown word of two known ones (trap 19)."""
    stage = FasttextQuality(model=str(PATH), target="hq")
    scores = stage.apply(batch_of(["good\nwords\r\nacross", "good words  across", "goodwordsacross"])).columns["score"]
    assert scores[0] == scores[1]
    assert scores[0].as_py() > 0.6
    assert scores[2].as_py() < 0.5


def test_the_fingerprint_covers_the_content_of_the_model(tmp_path):
    (tmp_path / "other.bin").write_bytes(PATH.read_bytes())
    one = FasttextQuality(model=str(PATH), target="hq")
    two = FasttextQuality(model=str(tmp_path / "other.bin"), target="hq")
    assert one.identity() == two.identity()
    assert one.parameters() != two.parameters()
    changed = naive.Model(**{**vars(MODEL), "outputs": [[1.0, 0.5], [0.0, 1.0]]})
    (tmp_path / "other.bin").write_bytes(naive.model_bytes(changed))
    assert one.identity() != two.identity()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "qh"}, "has no label 'qh'. Its labels are: hq, cc"),
        ({"model": "/no/model.bin"}, "the fastText model '/no/model.bin' cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(parameters, message):
    stage = FasttextQuality(**{"model": str(PATH), "target": "hq", **parameters})
    with pytest.raises(InputError, match=message):
        stage.identity()


def test_bounds():
    with pytest.raises(ValidationError, match=r"min_score \(0.8\) is above max_score \(0.2\)"):
        FasttextQuality(model="m.bin", target="hq", min_score=0.8, max_score=0.2)


def test_a_model_path_is_relative_to_the_recipe(tmp_path):
    recipe = (
        "input: {paths: [x.jsonl]}\nstages:\n  - fasttext_quality: {model: MODEL, target: hq}\noutput: {path: out}\n"
    )
    for given, wanted in (("m/q.bin", tmp_path / "m" / "q.bin"), ("/abs/q.bin", Path("/abs/q.bin"))):
        (tmp_path / "recipe.yaml").write_text(recipe.replace("MODEL", given))
        spec = load_recipe(tmp_path / "recipe.yaml")
        assert spec.stages[0].model == str(wanted)


def test_a_whole_run_equals_the_stage_alone():
    texts = ["good words", "bad", "good good good", "bad words bad", ""]
    stage = FasttextQuality(model=str(PATH), target="hq", min_score=0.5)
    found = curate(pa.table({"text": texts}), [pickle.loads(pickle.dumps(stage))])  # noqa: S301
    assert found.kept["text"].to_pylist() == ["good words", "good good good"]
    alone = stage.apply(batch_of(texts)).columns["score"].to_pylist()
    assert found.kept["fasttext_quality.score"].to_pylist() == [alone[0], alone[2]]
    rows = {row["position"]: (row["reason"], row["value"], row["threshold"]) for row in found.dropped.to_pylist()}
    assert rows == {1: ("min_score", alone[1], 0.5), 3: ("min_score", alone[3], 0.5), 4: ("no_score", None, None)}
