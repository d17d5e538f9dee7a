from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuscurate import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.kernels.text.unicode import INVISIBLE, MARK, SINGLE, WORD, flags_of, tables
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages import Blocklist

LIST = __file__.replace("test_blocklist.py", "lists/words.txt")
EXAMPLES = [{"words": LIST}, {"by_language": {"fr": LIST, "de": [LIST]}, "language": "lang", "max_hit_ratio": 0.1}]
ENTRIES = ["bad", "bad word", "Böse", "गंदा", "ชั่ว", "悪い", "a.b", "$hit", "나쁜", "word"]


def batch_of(texts, languages=None):
    columns = {} if languages is None else {"lang": pa.array(languages, TEXT)}
    rows = np.arange(len(texts), dtype=np.uint64)
    return Batch(rows, pa.array(texts, TEXT), np.zeros(len(texts), np.int64), columns=columns)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "words.txt"
    path.write_text("\n".join(["# a comment", "", *ENTRIES, "BAD"]), encoding="utf-8")
    return str(path)


def hits(stage, texts, **more):
    made = stage.model_copy(update={"mode": "tag"})
    return made.apply(batch_of(texts, **more)).measures["hits"].to_pylist()


def is_border(text, at):
    """Whether no word goes over a place of a text: by the definition of `kernels.text.unicode`."""
    flags = [flags_of(tables(), ord(char)) for char in text]
    if at < len(text) and flags[at] & (MARK | INVISIBLE):
        return at == 0
    before = at - 1
    while before >= 0 and flags[before] & (MARK | INVISIBLE):
        before -= 1
    if before < 0 or at == len(text):
        return True
    return not all(flag & WORD and not flag & SINGLE for flag in (flags[before], flags[at]))


def naive(text, entries, borders):
    text = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    found, at = 0, 0
    while at < len(text):
        ends = [at + len(entry) for entry in entries if text.startswith(entry, at)]
        ends = [end for end in ends if not borders or (is_border(text, at) and is_border(text, end))]
        found += bool(ends)
        at = max(ends, default=at + 1)
    return found


PIECES = [*ENTRIES, " ", "s", ".", "\u0301", "า", "ा", "\u200d", "漢", "를", "BÖSE", "\n", "_"]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=4), st.booleans())
def test_hits_are_those_of_the_definition(words, texts, borders):
    entries = [entry.lower() for entry in ENTRIES]
    expected = [naive(text, entries, borders) for text in texts]
    assert hits(Blocklist(words=words, borders=borders), texts) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Bad! BAD, badly bad_ bad", 4),
        ("a bad word is one hit", 1),
        ("गंदा गंदाा गंदागंदा", 1),
        ("เป็นคนชั่วมาก ชั่วา", 2),
        ("とても悪いね", 1),
        ("나쁜 사람, 나쁜놈", 1),
        ("$hit x$hit a.b a.bc", 3),
        ("böse BÖSE bösen", 2),
        ("bad\u0301 bad\u200d", 0),
    ],
)
def test_borders_worked_by_hand(words, text, count):
    assert hits(Blocklist(words=words), [text]) == [count]


def test_no_hit_goes_over_two_documents(words):
    assert hits(Blocklist(words=words), ["x ba", "d", "bad ", "word"]) == [0, 0, 1, 1]
    assert hits(Blocklist(words=words, borders=False), ["ba", "d"]) == [0, 0]


def test_hits_are_named_in_the_ledger(words):
    outcome = Blocklist(words=words, max_hits=1).apply(batch_of(["bad", "Böse bad", "fine"]))
    assert outcome.reason.tolist() == [0, 1, 0]
    assert outcome.value.tolist()[1] == 2
    assert outcome.detail.to_pylist() == [None, "words.txt:5: Böse", None]


def test_ratio(words):
    stage = Blocklist(words=words, max_hits=None, max_hit_ratio=0.5, mode="tag")
    found = stage.apply(batch_of(["bad word", "a bad word here", "one two three bad", ""])).measures
    assert found["hit_ratio"].to_pylist() == [1, 0.5, 0.25, 0]


def test_lists_by_language(tmp_path):
    for name, word in (("en", "gift"), ("de", "gift"), ("all", "bad")):
        (tmp_path / name).write_text(word if name != "en" else "rude")
    stage = Blocklist(
        words=str(tmp_path / "all"),
        by_language={"en": str(tmp_path / "en"), "de": [str(tmp_path / "de")]},
        language="lang",
    )
    texts = ["gift rude bad"] * 4
    assert hits(stage, texts, languages=["en", "de", "fr", None]) == [2, 2, 1, 1]
    with pytest.raises(ValidationError, match="go together"):
        Blocklist(by_language={"en": "x"})
    with pytest.raises(ValidationError, match="there is no list"):
        Blocklist()


def test_a_recipe_has_lists_beside_it(tmp_path):
    (tmp_path / "en.txt").write_text("bad")
    (tmp_path / "in.jsonl").write_text('{"text": "a", "lang": "en"}\n')
    (tmp_path / "r.yaml").write_text(
        "input: {paths: in.jsonl}\n"
        "stages:\n"
        "  - blocklist: {by_language: {en: en.txt}, language: lang}\n"
        "  - {blocklist: {by_language: {de: de.txt}, language: lang}, name: german, optional: true}\n"
        "output: {path: out}\n"
    )
    recipe = load_recipe(tmp_path / "r.yaml")
    (stage,) = recipe.stages
    assert stage.by_language == {"en": (str(tmp_path / "en.txt"),)}


def test_entries_are_found_whatever_their_number(tmp_path):
    """Beyond some 10,000 entries the automaton is another one."""
    entries = [f"entry{number}x" for number in range(20_000)]
    (tmp_path / "many").write_text("\n".join(entries))
    texts = [f"an entry{number}x here" for number in range(0, 20_000, 1999)]
    assert hits(Blocklist(words=str(tmp_path / "many")), texts) == [1] * len(texts)


def test_a_changed_list_is_another_stage(tmp_path):
    (tmp_path / "list").write_text("bad")
    stage = Blocklist(words=str(tmp_path / "list"))
    before = stage.identity()
    assert hits(stage, ["rude bad"]) == [1]
    (tmp_path / "list").write_text("bad\nrude")
    assert stage.identity() != before
    assert hits(stage, ["rude bad"]) == [2]


def test_the_scripts_of_the_tests_are_composed():
    assert all(unicodedata.normalize("NFC", entry) == entry for entry in ENTRIES)
