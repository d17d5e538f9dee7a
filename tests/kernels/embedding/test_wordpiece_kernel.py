from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.wordpiece import head, tokenise
from support.characters import code_points
from support.embed import ADDED, ALPHABET, array, data_folder, tokenizer_json, vocabulary
from support.forms import some

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.embedding.bert import BECOMES, bert_table
from corpuscurate.kernels.embedding.wordpiece import NO_LIMIT, TOKENS_A_BYTE, embed_tokens, pieces_of, wordpiece_heads
from corpuscurate.methods.embed.wordpiece import WordPiece, read_wordpiece

SETTINGS = list(product((True, False), repeat=4))
NAMES = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
TEXT = st.lists(
    st.sampled_from(
        [*ALPHABET, *" \t\n\r\0\x0b\x85\u2028\u3000\ufeff\ufffd\u200b\xad", "[SEP]", "[CLS]", "the ", "hello", "unable"]
    ),
    max_size=60,
).map("".join)


def reader(setting: tuple[bool, ...]) -> WordPiece:
    pieces = pieces_of(vocabulary(), "##", ADDED["[UNK]"], 20, list(ADDED.items()))
    return WordPiece(bert_table(*setting), pieces, len(vocabulary()), None)


def ids(setting: tuple[bool, ...], texts: list[str]) -> list[list[int]]:
    offsets, found = reader(setting).ids(array(texts))
    return [found[offsets[i] : offsets[i + 1]].tolist() for i in range(len(texts))]


@settings(max_examples=some(300), deadline=None)
@given(st.lists(TEXT, max_size=4), st.sampled_from(SETTINGS))
def test_equals_naive(texts, setting):
    words = vocabulary()
    assert ids(setting, texts) == [tokenise(text, words, setting, ADDED, 20) for text in texts]


def test_by_hand():
    v = vocabulary()
    (found,) = ids((True, True, True, True), ["Héllo [SEP]the-x漢字 unablexyz q\0q " + "a" * 20 + " " + "a" * 21])
    expected = [
        *(v[t] for t in ("hello", "[SEP]", "the", "-", "x", "漢", "字", "un", "##able", "##xyz", "q", "##q", "a")),
        *[v["##a"]] * 19,
        v["[UNK]"],
    ]
    assert found == expected


def test_texts_longer_than_a_chunk_and_words_across_its_end():
    text = "hello " * 2000 + "é" * 15 + "漢" * 3000 + "x" * 10000
    setting = (True, True, True, True)
    assert ids(setting, [text, "", text]) == [tokenise(t, vocabulary(), setting, ADDED, 20) for t in (text, "", text)]


def hugging_face(value: dict, texts: list[str]) -> list[list[int]]:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(value))
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


@settings(max_examples=some(100), deadline=None)
@given(
    st.lists(TEXT | st.text(st.characters(codec="utf-8"), max_size=30), max_size=4),
    st.sampled_from(SETTINGS),
)
def test_equals_hugging_face(texts, setting):
    value = tokenizer_json(dict(zip(NAMES, setting, strict=True)))
    assert ids(setting, texts) == hugging_face(value, texts)


@pytest.mark.parametrize("setting", [(True, True, True, True), (False, False, False, True), (True, False, True, False)])
def test_every_code_point_as_hugging_face(setting):
    """Each stands in a word, alone, and at the start of one; every normal form is in the vocabulary."""
    tokenizers = pytest.importorskip("tokenizers")
    chars = [chr(c) for c in code_points() if c < 0x30000]
    value = tokenizer_json(dict(zip(NAMES, setting, strict=True)))
    normaliser = tokenizers.Tokenizer.from_str(json.dumps(value)).normalizer
    forms = {
        c
        for start in range(0, len(chars), 1000)
        for c in normaliser.normalize_str("x".join(chars[start : start + 1000]))
    }
    tokens = [*ADDED, "a", "##b", *sorted(forms), *(f"##{c}" for c in sorted(forms))]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    value["model"]["vocab"] = vocab
    texts = ["".join(f"a{c}b {c} {c}b" for c in chars[start : start + 64]) for start in range(0, len(chars), 64)]
    pieces = pieces_of(vocab, "##", 1, 20, list(ADDED.items()))
    offsets, found = WordPiece(bert_table(*setting), pieces, len(vocab), None).ids(array(texts))
    for i, expected in enumerate(hugging_face(value, texts)):
        assert found[offsets[i] : offsets[i + 1]].tolist() == expected, texts[i]


def test_equals_hugging_face_on_real_text():
    import gzip

    folder = data_folder()
    model = folder.parent / "models" / "potion-base-4m-int8" / "tokenizer.json"
    if not model.is_file():
        pytest.skip(f"{model} is not there")
    texts = []
    for name in (
        "multilingual/bible46",
        "multilingual/tldr",
        "neardup/msdocs_vba-00",
        "books/classic_books",
        "web/dolma_cc_head",
    ):
        with gzip.open(folder / f"{name}.jsonl.gz") as lines:
            texts += [json.loads(line)["text"][:3000] for number, line in enumerate(lines) if number % 97 == 0]
    assert len(texts) > 400
    offsets, found = read_wordpiece(model).ids(array(texts))
    expected = hugging_face(json.loads(Path(model).read_text()), texts)
    assert [found[offsets[i] : offsets[i + 1]].tolist() for i in range(len(texts))] == expected


@settings(max_examples=some(60), deadline=None)
@given(st.lists(TEXT, max_size=4), st.integers(1, 50), st.booleans(), st.randoms(use_true_random=False))
def test_document_vectors_equal_naive(texts, limit, small, rng):
    read, words = reader((True, True, True, True)), vocabulary()
    size, setting = len(words), (True, True, True, True)
    rows = np.array([[rng.randrange(-99, 99) for _ in range(6)] for _ in range(size // 2)])
    row_of = np.array([rng.randrange(size // 2) for _ in range(size)], np.int32)
    factors = np.array([rng.choice([0.5, 1.0, 2.0]) for _ in range(size)], np.float32)
    column = array(texts)
    out = np.full((len(texts), 6), np.nan, np.float32)
    offsets = np.frombuffer(column.buffers()[1], np.int64)[1:]
    data = np.frombuffer(column.buffers()[2], np.uint8)
    stored = rows.astype(np.int8) if small else rows.astype(np.float32)
    sizes = np.full((len(texts), 2), -1)
    assert embed_tokens(offsets, data, read.bert, read.pieces, limit, row_of, factors, stored, sizes, out) == len(texts)
    for text, row, size in zip(texts, out, sizes.tolist(), strict=True):
        found = tokenise(text, words, setting, ADDED, 20)[:limit]
        assert size == [len(found), found.count(ADDED["[UNK]"])]
        total = sum((factors[t] * rows[row_of[t]].astype(float) for t in found), np.zeros(6))
        length = np.linalg.norm(total)
        np.testing.assert_allclose(row, total / length if length else total, atol=1e-6)


def heads(setting, texts, limit, kind=np.uint16):
    """(tokens, unknown ones, whether there are more) of each text."""
    read, column = reader(setting), array(texts)
    offsets, data = text_buffers(column)
    most = sum(min(TOKENS_A_BYTE * len(text.encode()), limit) for text in texts)
    borders, out = np.full(len(texts) + 1, -1, np.int64), np.empty(most, kind)
    unknown, more = np.full(len(texts), -1, np.int32), np.empty(len(texts), np.bool_)
    size = wordpiece_heads(offsets, data, read.bert, read.pieces, limit, borders, unknown, more, out)
    assert size == borders[-1]
    return [(out[borders[i] : borders[i + 1]].tolist(), unknown[i].item(), more[i].item()) for i in range(len(texts))]


@settings(max_examples=some(200), deadline=None)
@given(
    st.lists(TEXT | st.text(st.characters(codec="utf-8"), max_size=30), max_size=4),
    st.sampled_from(SETTINGS),
    st.integers(0, 70) | st.just(NO_LIMIT),
)
def test_heads_are_the_first_of_all_tokens(texts, setting, limit):
    whole = ids(setting, texts)
    found = heads(setting, texts, limit)
    unknown = ADDED["[UNK]"]
    assert found == [(each[:limit], each[:limit].count(unknown), len(each) > limit) for each in whole]


@settings(max_examples=some(100), deadline=None)
@given(st.lists(TEXT, max_size=4), st.sampled_from(SETTINGS), st.integers(0, 70))
def test_heads_equal_naive(texts, setting, limit):
    words = vocabulary()
    assert heads(setting, texts, limit) == [head(text, words, setting, ADDED, 20, limit) for text in texts]


@pytest.mark.parametrize("limit", [0, 1, 4095, 4096, 4097, 9999, 10_000, 10_001])
def test_heads_of_texts_longer_than_a_chunk(limit):
    setting = (True, True, True, True)
    texts = ["hello " * 10_000, "a" * 10_000, "漢" * 10_000, ""]
    for kind in (np.uint16, np.int32):
        assert heads(setting, texts, limit, kind) == [
            head(text, vocabulary(), setting, ADDED, 20, limit) for text in texts
        ]


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_character_becomes_more_tokens_than_there_is_room_for(setting):
    bert = bert_table(*setting)
    codes = np.array([c for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000])
    kinds = bert.kinds[bert.pages[codes >> 8].astype(np.int64) << 8 | codes & 0xFF].astype(np.int64)
    codes, rows = codes[kinds >= BECOMES], kinds[kinds >= BECOMES] - BECOMES
    size = 2 + (codes >= 0x800) + (codes >= 0x10000)  # bytes of UTF-8
    assert (bert.forms[rows, 0] <= TOKENS_A_BYTE * size).all()
