from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from naive import fasttext as naive
from pydantic import ValidationError

from corpuscurate import Batch, curate
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.stages import Language

FOLDER = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too
PATH = Path(FOLDER.name) / "lid.bin"
PATH.write_bytes(
    naive.model_bytes(
        naive.Model(
            ["the", "und", "και", "i"],
            ["__label__eng_Latn", "__label__deu_Latn", "__label__ell_Grek", "__label__hrv_Latn"],
            [[4.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 4.0, 0], [0, 0, 0, 4.0]],
            [[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 2.0]],
        )
    )
)  # fmt: skip
EXAMPLES = [
    {"keep": ["en", "und"], "min_score": {"default": 0.2, "en": 0.5}},
    {"model": str(PATH), "labels": "iso639_3_script", "min_score": 0.5, "parts": 2},
]

ENGLISH = "The government of the country said on Monday that it would do so. "
GERMAN = "Die Regierung des Landes sagte am Montag, dass sie das tun werde. "
TEXTS = [
    ENGLISH,
    GERMAN,
    "Правительство страны заявило об этом.",
    "",
    "12 + 34",
    "ภาษาไทยไม่มีการเว้นวรรคระหว่างคำ",
    "日本語のテキストです。",
]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def columns(texts, **parameters):
    made = Language(**parameters).apply(batch_of(texts)).columns
    return {name: column.to_pylist() for name, column in made.items()}


def reasons(texts, **parameters):
    stage = Language(**parameters)
    names = ["", *stage.rules()]
    made = stage.apply(batch_of(texts))
    return [names[each] for each in made.reason], made.threshold.tolist()


def test_columns():
    found = columns(TEXTS)
    assert found["label"] == ["en", "de", "ru", "und", "und", "th", "ja"]
    assert found["script"] == ["Latn", "Latn", "Cyrl", "Zyyy", "Zyyy", "Thai", "Jpan"]
    assert found["score"][3:5] == [0, 0]
    assert min(found["score"][:3]) > 0.8
    assert found["second"] == [None] * 7


def test_labels_in_every_system():
    assert columns(TEXTS[:4], labels="iso639_3")["label"] == ["eng", "deu", "rus", "und"]
    assert columns(TEXTS, labels="iso639_3_script")["label"][2:] == ["rus_Cyrl", "und", "und", "tha_Thai", "jpn_Jpan"]
    assert columns(["the", "und und"], model=str(PATH), labels="model")["label"] == ["eng_Latn", "deu_Latn"]
    assert columns(["the", "und und"], model=str(PATH))["label"] == ["en", "de"]


def test_only_keep_and_thresholds_drop():
    assert set(reasons(TEXTS)[0]) == {""}
    assert reasons(TEXTS[:4], keep=["deu", "ru"])[0] == ["keep", "", "", "keep"]
    assert reasons(TEXTS[:4], keep="de")[0] == ["keep", "", "keep", "keep"]
    assert reasons(TEXTS[:4], keep=["en", "und"])[0] == ["", "keep", "keep", ""]


def test_thresholds_by_language():
    scores = columns(TEXTS[:3])["score"]
    given = {"default": 1.0, "eng": scores[0], "rus": min(scores[2] + 1e-9, 1)}
    found, thresholds = reasons(TEXTS[:3], min_score=given)
    assert found == ["", "min_score", "min_score"]
    assert thresholds[1:] == [1.0, given["rus"]]
    assert reasons(TEXTS[:3], min_score={"de": 1.0})[0] == ["", "min_score", ""]
    dropped = curate(pa.table({"text": TEXTS[:3]}), [Language(min_score={"de": 1.0})]).dropped
    assert dropped.select(["reason", "value", "threshold"]).to_pylist() == [
        {"reason": "min_score", "value": scores[1], "threshold": 1.0}
    ]


def test_keep_one_script():
    serbian = ["Влада је саопштила да ће то учинити у понедељак.", "Vlada je saopštila da će to učiniti u ponedeljak."]
    assert columns(serbian, merge=["hbs"])["label"] == ["hbs", "hbs"]
    assert reasons(serbian, merge=["hbs"], keep=["hbs_Cyrl"])[0] == ["", "keep"]


def test_merged_languages_share_their_probability():
    text = ["Vlada je priopćila da će to učiniti u ponedjeljak, rekao je ministar."]
    apart, together = columns(text), columns(text, merge=["hbs"])
    assert apart["label"][0] in ("hr", "bs", "sr")
    assert together["label"] == ["hbs"]
    assert together["score"][0] > apart["score"][0]
    assert columns(["the i"], model=str(PATH), merge=["hbs"])["label"][0] in ("hbs", "en")


def test_short_texts_are_undetermined():
    found = columns(["qx", "ok"], und_below=0.9)
    assert found["label"] == ["und", "und"]
    assert columns(["qx"], und_below=0.0)["score"] == found["score"][:1]


def test_mixed_documents_are_told():
    texts = [ENGLISH * 20, ENGLISH * 12 + GERMAN * 6, GERMAN * 12 + ENGLISH * 5]
    found = columns(texts)
    assert found["second"] == [None, "de", "en"]
    assert found["second_ratio"][0] == 0
    assert 0.15 < found["second_ratio"][1] < 0.5
    stage = Language()
    table = pa.table({"text": texts})
    assert any(
        "2 of 3 documents have text in a second language" in each for each in curate(table, [stage]).report["warnings"]
    )
    assert columns(texts, parts=0)["second"] == [None] * 3


def test_a_cap_on_the_bytes():
    text = ENGLISH * 4 + GERMAN * 40
    assert columns([text])["label"] == ["de"]
    assert columns([text], max_bytes=200)["label"] == ["en"]
    assert columns([text, ENGLISH], max_bytes=len(ENGLISH * 4)) == columns([ENGLISH * 4, ENGLISH])


def test_scores_equal_the_definition_of_fasttext():
    model = naive.Model(
        ["a", "b"], ["__label__en", "__label__de", "__label__fr"], [[1.0, 0.5], [-1.0, 2.0]],
        [[1.0, 0], [0, 1.0], [0.5, 0.5]]
    )  # fmt: skip
    path = Path(FOLDER.name) / "small.bin"
    path.write_bytes(naive.model_bytes(model))
    texts = ["a", "b a", "b", "", "zzz"]
    found = columns(texts, model=str(path))
    for text, label, score in zip(texts, found["label"], found["score"], strict=True):
        wanted = [naive.score(model, text, k) for k in range(3)]
        if wanted[0] is None:
            assert (label, score) == ("und", 0)
        else:
            assert score == pytest.approx(max(wanted), abs=1e-6)
            assert label == ["en", "de", "fr"][int(np.argmax(wanted))]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": ["xq"]}, "language: keep names 'xq', which the model does not tell"),
        ({"keep": ["english"]}, "keep names 'english'"),
        ({"min_score": {"enn": 0.5}}, "min_score names 'enn'"),
        ({"keep": ["hr"], "merge": "hbs"}, "it counts as hbs"),
        ({"min_score": "fineweb2"}, "thresholds of FineWeb-2 are of scores of GlotLID, and mean nothing for py3langid"),
        ({"model": str(PATH), "min_score": "fineweb2"}, "mean nothing for .*lid.bin"),
        ({"model": "/no/lid.176.bin"}, "'/no/lid.176.bin' cannot be read: No such file.*https://fasttext.cc"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(parameters, message):
    with pytest.raises(InputError, match=message):
        Language(**parameters).identity()


def test_bounds():
    with pytest.raises(ValidationError, match="min_score"):
        Language(min_score={"en": 1.5})
    with pytest.raises(ValidationError, match="keep"):
        Language(keep=[])


def test_the_fingerprint_covers_the_model():
    one, two = Language(), Language(model=str(PATH))
    assert one.identity()["model"] != two.identity()["model"]
    assert one.origin("score") != two.origin("score")
    assert pickle.loads(pickle.dumps(one)).identity() == one.identity()  # noqa: S301
    assert one.packages == ("py3langid",)
    assert two.packages == ()
