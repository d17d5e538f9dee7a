from __future__ import annotations

import pytest

from corpuscurate.methods.language.codes import Code, group_of, individual, parse, written
from corpuscurate.methods.language.fineweb2 import fineweb2_row, fineweb2_rows, is_glotlid


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("en", Code("eng", "")), ("__label__deu_Latn", Code("deu", "Latn")), ("ger", Code("deu", "")),
        ("zh-Hans-CN", Code("zho", "Hans")), ("EN-us", Code("eng", "")), ("yue", Code("yue", "")), ("hq", None),
        ("not a language", None), ("", None),
    ],
)  # fmt: skip
def test_parse(label, code):
    assert parse(label) == code


def test_labels_of_one_language_are_one_in_every_system():
    assert individual("zh") == individual("zho") == individual("cmn_Hani") == individual("chi") == "cmn"
    assert individual("no") == individual("nb") == individual("nob_Latn") != individual("nn")
    assert individual("fa") == individual("pes_Arab") == individual("fas_Arab")
    assert individual("hr") != individual("sr")


def test_groups():
    assert {group_of(label) for label in ("hr", "bs", "srp_Cyrl", "cnr", "hbs")} == {"hbs"}
    assert {group_of(label) for label in ("id", "ms", "zsm_Latn")} == {"msa"}
    assert {group_of(label) for label in ("no", "nb", "nno")} == {"nor"}
    assert group_of("da") == "dan"


def test_written():
    assert written("deu_Latn", "short") == "de"
    assert written("de", "iso639_3") == "deu"
    assert written("sr", "iso639_3_script", "Cyrl") == "srp_Cyrl"
    assert written("srp_Latn", "iso639_3_script", "Cyrl") == "srp_Latn"
    assert written("ace", "short") == "ace"
    assert written("hq", "iso639_3") == "hq"
    assert written("no", "model") == "no"
    assert written("zxx", "iso639_3_script", "Latn") == "zxx"


def test_rows_of_fineweb2():
    assert len(fineweb2_rows()) == 1929
    assert fineweb2_row("de", "Latn") is fineweb2_row("deu_Latn")
    german = fineweb2_row("de")
    assert (german.name, german.language_score, german.max_avg_word_length) == ("deu_Latn", 0.821, 15)
    assert german.dup_n_grams == (0.141, 0.134, 0.126, 0.117, 0.108, 0.098)
    assert german.top_n_grams == (0.169, 0.153, 0.137)
    for label, name in {
        "zh": "cmn_Hani",
        "fa": "fas_Arab",
        "no": "nob_Latn",
        "tl": "fil_Latn",
        "ar": "arb_Arab",
    }.items():
        assert fineweb2_row(label, name[4:]).name == name
    assert fineweb2_row("sr", "Cyrl").name == "srp_Cyrl"
    assert fineweb2_row("sr") is None  # two scripts: which one is not said
    assert fineweb2_row("en", "Latn") is None
    assert fineweb2_row("und") is None
    assert fineweb2_row("zh", "Latn").name == "cmn_Hani"
    assert fineweb2_row("zho_Latn") is None


def test_glotlid_is_known_by_its_labels():
    assert is_glotlid([row.name for row in fineweb2_rows().values()])
    assert not is_glotlid(["eng_Latn", "deu_Latn"])
    assert not is_glotlid(["en"] * 3000)
