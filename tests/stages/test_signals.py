from __future__ import annotations

import math
import os
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.signals import document_signals, line_signals
from pydantic import ValidationError
from support.hostile import texts

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.text.unicode import unidata_version
from corpuscurate.pipeline import curate
from corpuscurate.stages.signals import Signals
from corpuscurate.stages.where import Where

FOLDER = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too
STOP, BAD = Path(FOLDER.name) / "stop.txt", Path(FOLDER.name) / "bad.txt"
STOP_WORDS, BAD_WORDS = ["the", "and", "of", "c's", "Σ"], ["hell", "one two", "a b a", "ipsum", "straße"]
STOP.write_text("\ufeff" + "\n".join(STOP_WORDS) + "\n\n", encoding="utf-8")
BAD.write_text("\r\n".join(BAD_WORDS), encoding="utf-8")
EXAMPLES = [
    {},
    {"stop_words": str(STOP), "bad_words": str(BAD)},
    {"signals": ["rps_lines_num_words", "rps_doc_word_count"]},
]
same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unidata_version(), reason="this Python's Unicode is not that of the tables"
)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def signals_of(texts, **parameters):
    columns = Signals(**parameters).apply(batch_of(texts)).columns
    return [{name: column[row].as_py() for name, column in columns.items()} for row in range(len(texts))]


def check(texts):
    for text, found in zip(texts, signals_of(texts, stop_words=str(STOP), bad_words=str(BAD)), strict=True):
        wanted = {**document_signals(text, STOP_WORDS, BAD_WORDS), **line_signals(text)}
        entropy = wanted.pop("rps_doc_unigram_entropy")
        assert found.pop("rps_doc_unigram_entropy") == pytest.approx(entropy, abs=1e-12)
        assert found == wanted, text


@same_version
@given(st.lists(texts(), max_size=4))
def test_equal_to_the_definitions(texts):
    check(texts)


def test_golden():
    text = "The cat sat. The cat RAN!\nIs it… JavaScript, javascript?\n\n• {12 of 345}"
    (found,) = signals_of([text])
    normal = "the cat sat the cat ran is it javascript javascript 12 of 345"  # … is no ASCII punctuation
    assert found["rps_doc_word_count"] == 14  # with "•"
    assert found["rps_doc_mean_word_length"] == (len(normal.replace(" ", "")) + len("…•")) / 14
    assert found["rps_doc_num_sentences"] == 4
    assert found["rps_doc_curly_bracket"] == 2 / len(text)
    assert found["rps_doc_symbol_to_word_ratio"] == 1 / 21
    assert found["rps_doc_frac_all_caps_words"] == 1 / 21
    assert found["rps_doc_frac_unique_words"] == 11 / 14
    assert found["rps_doc_frac_chars_top_2gram"] == 2 * len("thecat") / 51
    assert found["rps_doc_frac_chars_top_3gram"] == 0
    assert found["rps_doc_unigram_entropy"] == pytest.approx(math.log(14) - 3 * 2 * math.log(2) / 14)
    assert found["rps_lines_num_words"] == [6, 4, 0, 4]
    assert found["rps_lines_javascript_counts"] == [0, 2, 0, 0]
    assert found["rps_lines_start_with_bulletpoint"] == [0, 0, 0, 1]
    assert found["rps_lines_ending_with_terminal_punctution_mark"] == [1, 1, 0, 0]
    assert found["rps_lines_uppercase_letter_fraction"] == [5 / 26, 3 / 31, 0, 0]
    assert found["rps_lines_numerical_chars_fraction"] == [0, 0, 0, 5 / 11]
    assert (found["ccnet_length"], found["ccnet_nlines"]) == (len(text), 4)


def test_nothing_is_null_where_redpajama_has_a_number_and_null_where_it_has_none():
    empty, signs = signals_of(["", "..."])
    none = {name for name, value in empty.items() if value is None}
    assert none == {
        "rps_doc_frac_all_caps_words",
        "rps_doc_frac_lines_end_with_ellipsis",
        "rps_doc_frac_no_alph_words",
        "rps_doc_frac_unique_words",
        "rps_doc_mean_word_length",
        "rps_doc_symbol_to_word_ratio",
        "rps_doc_unigram_entropy",
    }
    assert [empty[name] for name in empty if name.startswith("rps_lines_")] == [[]] * 6
    assert signs["rps_doc_frac_no_alph_words"] == 1
    assert signs["rps_doc_mean_word_length"] is None


@pytest.mark.parametrize(
    ("text", "words", "characters"),
    [("x" * 3_000_000, 1, 3_000_000), ("\n" * 1_000_000, 0, 0), ("e" + "\u0301\u0323" * 500_000, 1, 1_000_001)],
    ids=["one word", "line feeds", "marks"],
)
def test_hostile_texts(text, words, characters):
    names = ("rps_doc_word_count", "rps_doc_mean_word_length", "rps_lines_num_words", "rps_doc_frac_chars_dupe_5grams")
    (found,) = signals_of([text], signals=list(names))
    assert found["rps_doc_word_count"] == words
    assert found["rps_doc_mean_word_length"] == (characters / words if words else None)
    assert len(found["rps_lines_num_words"]) == text.count("\n") + (not text.endswith("\n"))


def test_half_a_million_repeated_words_are_all_covered():
    (found,) = signals_of(["aa b " * 250_000])
    assert found["rps_doc_frac_chars_top_2gram"] == 250_000 * 3 / 750_000
    assert [found[f"rps_doc_frac_chars_dupe_{n}grams"] for n in range(5, 11)] == [1] * 6
    assert found["rps_doc_frac_unique_words"] == 2 / 500_000


def test_what_is_chosen_is_added_in_the_order_given():
    stage = Signals(signals=["rps_lines_num_words", "rps_doc_word_count"])
    assert dict(stage.adds()) == {"rps_lines_num_words": pa.list_(pa.float64()), "rps_doc_word_count": pa.float64()}
    assert "rps_doc_stop_word_fraction" not in Signals().adds()
    assert "rps_doc_stop_word_fraction" in Signals(stop_words=str(STOP)).adds()
    assert len(Signals(stop_words=str(STOP), bad_words=str(BAD)).adds()) == 30


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["rps_doc_word_counts"],
            "there is no signal 'rps_doc_word_counts'. The nearest names are: rps_doc_word_count",
        ),
        (["ccnet_perplexity"], "'ccnet_perplexity' is none of the signals here: the stage `perplexity` gives it"),
        (["rps_doc_ut1_blacklist"], "it is about the address, not the text"),
        (["rps_doc_ml_palm_score"], "the stage `fasttext_quality` gives it"),
        (["rps_doc_books_importance"], "the stage `importance` gives it"),
        (["rps_doc_ldnoobw_words"], "'rps_doc_ldnoobw_words' needs `bad_words`: the path of a text file"),
        (["rps_doc_stop_word_fraction"], "'rps_doc_stop_word_fraction' needs `stop_words`"),
        ([], "expected `all`, or a list of signals"),
        (["ccnet_length", "ccnet_length"], "each once"),
    ],
)
def test_what_cannot_be_had_is_told(names, message):
    with pytest.raises(ValidationError, match=message):
        Signals(signals=names)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"\xff\n", "is not UTF-8"), (b"\n \n", "is empty")],
)
def test_a_list_that_cannot_be_used_is_told_before_anything_runs(tmp_path, content, message):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Signals(stop_words=str(path)).identity()


def test_the_fingerprint_covers_the_content_of_the_lists(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("the\n")
    before = Signals(stop_words=str(path)).identity()
    path.write_text("the\nand\n")
    assert Signals(stop_words=str(path)).identity() != before


def test_a_where_behind_it_drops():
    stages = [Signals(signals=["rps_doc_word_count"]), Where(expression="signals.rps_doc_word_count >= 2")]
    found = curate(pa.table({"text": ["one", "one two", ""]}), stages)
    assert found.kept["signals.rps_doc_word_count"].to_pylist() == [2]
    assert len(found.dropped) == 2


@same_version
@pytest.mark.skipif("CORPUSCURATE_DATA" not in os.environ, reason="CORPUSCURATE_DATA is not set")
@pytest.mark.parametrize("name", ["multilingual/tldr", "books/classic_books"])
def test_real_texts(name):
    """`scripts/check_signals.py` compares all of them."""
    from support.corpora import some_texts

    check(some_texts(name, 40))
