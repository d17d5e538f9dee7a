"""Thresholds by language, in the three families that FineWeb-2 configures."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpuscurate import Batch, curate
from corpuscurate.core.columns import TEXT
from corpuscurate.methods.language.by_language import document_language
from corpuscurate.methods.language.fineweb2 import fineweb2_row
from corpuscurate.stages import FinewebQuality, GopherQuality, GopherRepetition, Language

ENGLISH = "The ministers of the country have said that they will go with the people to the house. " * 4
GERMAN = "Die Minister haben gesagt, dass sie mit den Leuten in das Haus gehen und nicht bei der Bank bleiben. " * 4
THAI = "ภาษาไทยเป็นภาษาที่ไม่มีการเว้นวรรคระหว่างคำ ประโยคหนึ่งจึงยาวมาก " * 20
STAGES = [GopherQuality, GopherRepetition, FinewebQuality]
RUN = {GopherQuality: "datatrove", GopherRepetition: "datatrove", FinewebQuality: "code"}


def batch_of(texts, labels, scripts=None):
    columns = {"language.label": pa.array(labels, TEXT)}
    columns["language.script"] = pa.array(scripts or ["Latn"] * len(texts), TEXT)
    ids = np.arange(len(texts), dtype=np.uint64)
    return Batch(ids, pa.array(texts, TEXT), np.zeros(len(texts), np.int64), None, columns)


def thresholds(stage, *languages):
    batch = batch_of([""] * len(languages), *(list(each) for each in zip(*languages, strict=True)))
    found = stage.thresholds(stage.languages(batch))
    return {name: values.tolist() for name, values in found.items()}


def test_what_is_known_of_a_language():
    assert document_language("de", "Latn") == (fineweb2_row("deu_Latn"), True, True)
    assert document_language("en", "Latn") == (None, True, True)
    assert document_language("und", "Zyyy") == document_language(None) == (None, False, True)
    assert document_language("th", "Thai") == (fineweb2_row("tha_Thai"), True, False)
    for label in ("zh", "jpn_Jpan", "lao", "khm_Khmr", "my", "bo", "yue"):
        assert not document_language(label).spaced
    assert document_language("ko").spaced
    assert document_language("ja", "Latn") == document_language("ja", "Jpan")  # a page of Japanese with much code
    assert document_language("jpn_Latn") == (None, False, True)  # transliterated, by its label: it has spaces
    assert document_language("sr", "Grek") == (None, False, True)  # two scripts, and neither is Greek


def test_rows_take_the_place_of_the_stage_s_own():
    row = fineweb2_row("deu_Latn")
    found = thresholds(GopherQuality(language="auto"), ("de", "Latn"), ("en", "Latn"), ("xx", "Latn"))
    assert found["max_mean_word_length"] == [15, 10, 10]
    assert found["min_alphabetic_word_ratio"] == [row.max_non_alpha_words_ratio, 0.8, 0.8]
    assert found["min_words"] == [50] * 3
    assert found["min_stop_words"][:2] == [2, 2]
    assert math.isnan(found["min_stop_words"][2])  # nobody knows its stop words
    found = thresholds(GopherRepetition(language="auto"), ("deu_Latn", "Latn"), ("eng_Latn", "Latn"))
    assert found["max_dup_line_ratio"] == [row.dup_line_frac, 0.3]
    assert [found[f"max_top_{n}gram_char_ratio"][0] for n in (2, 3, 4)] == list(row.top_n_grams)
    assert [found[f"max_dup_{n}gram_char_ratio"][0] for n in range(5, 11)] == list(row.dup_n_grams)
    assert found["max_dup_paragraph_ratio"] == [0.3, 0.3]
    found = thresholds(
        FinewebQuality(convention="code", language="auto"), ("de", "Latn"), ("en", "Latn"), ("aai", "Latn")
    )
    assert found["min_terminal_line_ratio"][:2] == [row.line_punct_thr, 0.12]
    assert math.isnan(found["min_terminal_line_ratio"][2])  # -1 in FineWeb-2's file
    assert found["max_newline_ratio"] == [row.new_line_ratio, 0.3, fineweb2_row("aai_Latn").new_line_ratio]


def test_a_rule_that_the_user_switched_off_stays_off():
    stage = GopherQuality(language="auto", max_mean_word_length=None)
    assert "max_mean_word_length" not in thresholds(stage, ("de", "Latn"))


@pytest.mark.parametrize("kind", STAGES)
def test_rules_that_count_words_are_off_without_spaces(kind):
    stage = kind(language="auto", convention=RUN[kind])
    found = thresholds(stage, ("th", "Thai"), ("zh", "Hani"), ("de", "Latn"))
    off = {name for name, values in found.items() if np.isnan(values[:2]).all()}
    assert off == stage.of_words & found.keys()
    assert not any(math.isnan(values[2]) for values in found.values())


@pytest.mark.parametrize("kind", STAGES)
def test_verdicts_are_those_of_a_stage_with_the_row_s_thresholds(kind):
    """Each document as by a stage for its language alone, in any company."""
    texts = [GERMAN, ENGLISH, THAI, "x " * 60, "", GERMAN + "\n" * 90, "haus\n" * 70]
    labels, scripts = ["de", "en", "th", "und", "de", None, "deu_Latn"], ["Latn"] * 2 + ["Thai"] + ["Latn"] * 4
    stage = kind(language="auto", convention=RUN[kind], reasons="all")
    whole = stage.apply(batch_of(texts, labels, scripts))
    for at, (text, label, script) in enumerate(zip(texts, labels, scripts, strict=True)):
        alone = stage.apply(batch_of([text], [label], [script]))
        known = document_language(label, script)
        same = [alone]
        if known.row is not None:
            same.append(
                kind(language=known.row.name, convention=RUN[kind], reasons="all").apply(batch_of([text], [""]))
            )
        elif label == "en":
            same.append(kind(convention=RUN[kind], reasons="all").apply(batch_of([text], [""])))
        for each in same:
            assert each.reason[0] == whole.reason[at]
            assert each.failed[0] == whole.failed[at]
            np.testing.assert_equal(each.value[0], whole.value[at])


def test_stop_words_of_the_language():
    found = GopherQuality(language="auto", mode="tag").apply(batch_of([GERMAN, ENGLISH, GERMAN], ["de", "en", "en"]))
    counts = found.measures["stop_words"].to_pylist()
    assert counts[0] >= 5
    assert counts[1] >= 2
    assert counts[2] == 0


def test_the_ledger_has_the_threshold_of_the_language():
    texts = [GERMAN.replace("Minister", "Minister " + "Bundesverfassungsgerichtspräsident" * 8), ENGLISH, THAI, GERMAN]
    stages = [Language(), GopherQuality(language="auto", max_words=None, min_words=None)]
    found = curate(pa.table({"text": texts}), stages)
    assert found.kept["language.label"].to_pylist() == ["en", "th", "de"]
    (row,) = found.dropped.select(["position", "reason", "threshold"]).to_pylist()
    assert row == {"position": 0, "reason": "max_mean_word_length", "threshold": 15}
    told = " ".join(found.report["warnings"])
    assert "gopher_quality: 1 of 4 documents are in a script without spaces" in told
    assert "without thresholds" not in told


def test_a_language_without_thresholds_is_told():
    found = curate(
        pa.table({"text": [ENGLISH, ENGLISH], "lang": ["en", "qqq"]}),
        [GopherQuality(language="auto", language_from="lang")],
    )
    assert any("1 of 2 documents are in a language without thresholds" in each for each in found.report["warnings"])


def test_a_column_of_the_user():
    labels = ["deu_Latn", "de-DE", "GER", "eng", None]
    stage = GopherQuality(language="auto", language_from="lang")
    ids = np.arange(5, dtype=np.uint64)
    batch = Batch(ids, pa.array([""] * 5, TEXT), np.zeros(5, np.int64), None, {"lang": pa.array(labels)})
    assert stage.thresholds(stage.languages(batch))["max_mean_word_length"].tolist() == [15, 15, 15, 10, 10]
    assert stage.reads() == ("lang",)


def test_one_language_for_all():
    stage = GopherQuality(language="deu_Latn")
    assert stage.reads() == ()
    assert thresholds(stage, ("en", "Latn"))["max_mean_word_length"] == [15]
    assert thresholds(GopherQuality(language="eng"), ("de", "Latn"))["max_mean_word_length"] == [10]
    for wrong in ("xx", "german", "srp"):
        with pytest.raises(ValidationError, match="no language that FineWeb-2 has thresholds for"):
            GopherQuality(language=wrong)


def test_without_language_nothing_is_read_and_nothing_differs():
    for kind in STAGES:
        outcome = kind().apply(batch_of([ENGLISH, THAI], ["de", "th"]))
        assert kind().reads() == ()
        assert outcome.threshold is None
        assert outcome.noted == {}


def test_a_minority_in_a_corpus_of_english_is_held_against_its_own_rules():
    texts = [ENGLISH] * 40
    texts[17] = GERMAN * 2
    stages = [Language(), GopherQuality(language="auto", convention="datatrove")]
    kept = curate(pa.table({"text": texts}), stages).kept["language.label"].to_pylist()
    assert kept[17] == "de"
    assert len(kept) == 40
    assert len(curate(pa.table({"text": texts}), [GopherQuality(convention="datatrove")]).kept) == 39
