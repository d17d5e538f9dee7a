from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.embed import ADDED, ALPHABET, array, tokenizer_json
from support.forms import some
from support.later import Later

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed import tokens as module
from corpuscurate.methods.embed.base import CUT, UNKNOWN
from corpuscurate.methods.embed.tokens import HEAD_CHARACTERS, Facts, Tokeniser, kept_facts, tokens_in

pytestmark = pytest.mark.skipif(find_spec("tokenizers") is None, reason="tokenizers is not installed")
tokenizers = Later("tokenizers")
WORDS = ("low", "lower", "newest", "widest", "the", "naïve", "漢字", "x", "[SEP]", "[UNK]", "q", "  ", "\n", "a b")
TEXT = (
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
    | st.text(st.characters(codec="utf-8"), max_size=40)
    | st.text(st.sampled_from([*ALPHABET, " "]), max_size=40)
)
FRAME = {"[CLS]": 2, "[SEP]": 3}


def framed(tokenizer):
    """With special tokens around each text, as a model has them."""
    tokenizer.add_special_tokens(list(ADDED))
    numbers = [(name, tokenizer.token_to_id(name)) for name in FRAME]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=numbers)
    return tokenizer.to_str()


def wordpiece():
    return framed(tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json())))


def byte_pairs():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(ADDED),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 9, trainer)
    return framed(tokenizer)


def unigram():
    pieces = [*((name, 0.0) for name in ADDED), ("▁", -2.0), *((f"▁{word}", -3.0) for word in WORDS[:6])]
    pieces += [(letter, -6.0 - i / 100) for i, letter in enumerate("abcdefghilnorstwxyï")]
    pieces += [("er", -3.5), ("est", -3.6), ("▁the", -2.5)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(list(dict(pieces).items()), unk_id=ADDED["[UNK]"]))
    tokenizer.normalizer = tokenizers.normalizers.NFKC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    return framed(tokenizer)


KINDS = {"wordpiece": wordpiece(), "byte pairs": byte_pairs(), "unigram": unigram()}


def facts(kind, **changes):
    """What `facts_of` tells of such a model."""
    tokenizer = tokenizers.Tokenizer.from_str(KINDS[kind])
    before, after = ([tokenizer.token_to_id(name)] for name in FRAME)
    size = 1 + max(tokenizer.get_vocab().values())
    unknown = None if kind == "byte pairs" else tokenizer.token_to_id("[UNK]")
    values = Facts(KINDS[kind], before, after, 0, unknown, False, [64], 64, size)
    return replace(values, **changes)


def hugging_face(kind, texts, limit):
    """(tokens without the frame, whether there are more) of each text, truncated by the package itself."""
    tokenizer = tokenizers.Tokenizer.from_str(KINDS[kind])
    if limit is not None:
        tokenizer.enable_truncation(limit + len(FRAME))
    found = tokenizer.encode_batch(texts)
    return [(each.ids[1:-1], bool(each.overflowing)) for each in found]


def ours(made, texts):
    """(tokens, notes) of each text."""
    found = made.tokens(array(texts))
    spans = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return [
        (found.ids[start:stop].tolist(), note) for (start, stop), note in zip(spans, found.notes.tolist(), strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=some(150), deadline=None)
@given(texts=st.lists(TEXT, max_size=5), limit=st.integers(1, 30) | st.none())
def test_equals_hugging_face_with_truncation(kind, texts, limit):
    made = Tokeniser(facts(kind), limit)
    assert made.by_kernel == (kind == "wordpiece")
    for text, (ids, note), (expected, more) in zip(
        texts, ours(made, texts), hugging_face(kind, texts, limit), strict=True
    ):
        if not text.strip():  # nothing is embedded of white space, whatever a tokenizer makes of it
            assert (ids, note) == ([], 0)
            continue
        assert ids == expected
        assert note == (CUT if more else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_special_added_and_unknown_tokens(kind):
    text = "low [SEP] Ψ[UNK]lower"
    ((ids, _),) = ours(Tokeniser(facts(kind), None), [text])
    ((expected, _),) = hugging_face(kind, [text], None)
    assert ids == expected
    assert {ADDED["[SEP]"], ADDED["[UNK]"]} <= set(ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 7, 62])
def test_huge_texts_are_cut_first_and_keep_their_heads(kind, limit):
    texts = ["the newest " * 9_000, "low", "x" * HEAD_CHARACTERS * 70]
    found, expected = ours(Tokeniser(facts(kind), limit), texts), hugging_face(kind, texts, limit)
    for (ids, note), (wanted, more) in zip(found[:2], expected[:2], strict=True):
        assert ids == wanted
        assert note == (CUT if more else 0)
    assert found[0][1] == CUT
    assert len(found[2][0]) <= limit


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=some(60), deadline=None)
@given(texts=st.lists(TEXT, max_size=4), limit=st.integers(4, 30) | st.none())
def test_a_prompt_stands_before_texts_that_are_not_blank(kind, texts, limit):
    prompt = "the newest: "
    found = ours(Tokeniser(facts(kind), limit, prompt), texts)
    expected = hugging_face(kind, [prompt + text for text in texts], limit)
    for text, (ids, _), (wanted, _) in zip(texts, found, expected, strict=True):
        assert ids == (wanted if text.strip() else [])


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_notes_of_unknown_tokens(kind):
    texts = ["Ψ Ψ Ψ the", "Ψ the", "the the Ψ", "Ψ " * 60, "", "Ψ"]
    expected = []
    for ids, more in hugging_face(kind, texts, 20):
        expected.append((UNKNOWN if ids.count(ADDED["[UNK]"]) > 0.4 * len(ids) else 0) | (CUT if more else 0))
    assert {note & UNKNOWN for note in expected} == {0, UNKNOWN}
    assert [note for _, note in ours(Tokeniser(facts(kind), 20, max_unknown_ratio=0.4), texts)] == expected
    assert [note & UNKNOWN for _, note in ours(Tokeniser(facts(kind), 20), texts)] == [0] * 6


def test_the_tokens_of_a_prompt_are_not_those_of_the_text():
    texts = ["Ψ Ψ the", "Ψ the", "", "Ψ"]
    plain, prompted = (Tokeniser(facts("wordpiece"), 20, p, max_unknown_ratio=0.5) for p in ("", "the Ψ the "))
    for made in (plain, prompted):
        assert [note for _, note in ours(made, texts)] == [UNKNOWN, 0, 0, UNKNOWN]


@pytest.mark.parametrize(("size", "type_"), [(1 << 16, pa.uint16()), ((1 << 16) + 1, pa.uint32())])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_a_file_of_tokens(kind, size, type_):
    made = Tokeniser(facts(kind, size=size), 9)
    found = made.tokens(array(["the newest", "", "low [SEP] x"]))
    batch = pa.RecordBatch.from_pydict(found.columns(), schema=made.schema)
    assert batch.schema.field("tokens").type == pa.large_list(type_)
    for columns, first in ((batch, 0), (batch.slice(1), 1)):
        again = tokens_in(columns)
        start = found.offsets[first]
        assert again.offsets.tolist() == (found.offsets[first:] - start).tolist()
        assert again.ids.tolist() == found.ids[start:].tolist()
        assert again.notes.tolist() == found.notes[first:].tolist()


def test_windows_of_a_model():
    known = facts("wordpiece", limits=[512, 1 << 40], positions=128)
    assert known.longest(None) == 128
    assert known.longest(100) == 100
    assert known.room(100) == 98
    assert facts("wordpiece", limits=[64], positions=128).longest(None) == 64
    assert facts("wordpiece", limits=[], positions=None).longest(None) == 512
    with pytest.raises(RecipeError, match=r"max_tokens \(129\) is more than the 128 positions of the model"):
        known.longest(129)
    with pytest.raises(RecipeError, match=r"max_tokens \(2\) leaves no room beside the special tokens"):
        known.longest(2)


def test_facts_are_asked_for_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "cache_folder", lambda: str(tmp_path / "kernels-1"))
    asked = []

    def make():
        asked.append(1)
        return facts("unigram")

    assert kept_facts("d", ("tokenizers",), make) == kept_facts("d", ("tokenizers",), make) == facts("unigram")
    assert len(asked) == 1
    kept_facts("other files", ("tokenizers",), make)
    kept_facts("d", ("tokenizers", "numpy"), make)
    assert len(asked) == 3
    monkeypatch.setattr(module, "cache_folder", lambda: "")  # nowhere to keep them
    assert kept_facts("d", ("tokenizers",), make) == facts("unigram")
    assert len(asked) == 4
