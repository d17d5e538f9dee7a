from __future__ import annotations

import struct
import sys
import tempfile
import types
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import ngram_lm as naive
from pydantic import ValidationError
from support.engine import sentence
from support.hostile import texts

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError, MissingExtraError
from corpuscurate.kernels.text.unicode import unidata_version
from corpuscurate.methods.quality.kenlm_model import arpa_image, header_bytes, parse_arpa
from corpuscurate.pipeline import curate
from corpuscurate.stages.perplexity import Perplexity

SENTENCES = [
    *("the cat sat on the mat .", "the cat ran", "a dog sat on the cat !", '- " a b', "lorem ipsum ss 0"),
    *(sentence(number, 12) for number in range(6)),
]
MODELS = {order: naive.train(SENTENCES, order) for order in (2, 3, 5)}
FOLDER = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too
PATHS = {order: Path(FOLDER.name) / f"{order}.arpa" for order in MODELS}
for order, path in PATHS.items():
    path.write_text(naive.arpa(MODELS[order]))
ARPA = str(PATHS[3])
EXAMPLES = [
    {"model": ARPA, "max_value": 60.0, "head": 40.0, "tail": 60.0},
    {"model": ARPA, "min_value": 60.0, "normalize": "none", "reasons": "all"},
]
same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unidata_version(), reason="this Python's Unicode is not that of the tables"
)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def values(texts, **parameters):
    return Perplexity(**{"model": ARPA, **parameters}).apply(batch_of(texts)).columns["value"].to_pylist()


def same(found, wanted):
    assert [value is None for value in found] == [value is None for value in wanted]
    assert [value or 0 for value in found] == pytest.approx([value or 0 for value in wanted], rel=1e-5)


def binary(order: int, folder: Path) -> str:
    path = folder / f"{order}.bin"
    path.write_bytes(arpa_image("", *parse_arpa(str(PATHS[order]))).tobytes())
    return str(path)


def test_golden():
    """Worked by hand: 10 ** (-(log P(a | <s>) + log P(b | <s> a) + log P(</s> | a b)) / 3), three ways of back-off."""
    arpa = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5 <unk>
0 <s> -0.3
-1.2 </s>
-0.8 a -0.4
-0.9 b -0.5

\\2-grams:
-0.5 <s> a -0.1
-0.6 a b -0.2
-0.7 b a

\\3-grams:
-0.25 <s> a b

\\end\\
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.arpa")
        path.write_text(arpa)
        found = values(["a b", "b", "a x", "a b\nb", ""], model=str(path))
    wanted = [
        10 ** ((0.5 + 0.25 + (0.2 + 0.5 + 1.2)) / 3),  # a b -> </s>: back off from "a b", then from "b"
        10 ** (((0.3 + 0.9) + (0.5 + 1.2)) / 2),
        10 ** ((0.5 + (0.1 + 0.4 + 1.5) + 1.2) / 3),  # nothing follows an unknown word
        10 ** ((0.5 + 0.25 + 1.9 + 1.2 + 1.7) / 5),
    ]
    assert found[:4] == pytest.approx(wanted, rel=1e-6)
    assert found[4] is None


WORDS = st.sampled_from([*" ".join(SENTENCES).split()[:24], "The", "zz", "<s>", "</s>", "<unk>", "\n", "\t", "  "])


@pytest.mark.parametrize("order", MODELS)
@given(st.lists(st.lists(WORDS, max_size=30).map(" ".join), max_size=3))
def test_scores_are_those_of_the_definition(order, texts):
    texts = [text.replace("<s>", "s").replace("</s>", "s") for text in texts]
    found = values(texts, model=str(PATHS[order]), normalize="none")
    same(found, [naive.perplexity(MODELS[order], text, False) for text in texts])


@same_version
@given(st.lists(texts(20), max_size=3))
def test_normalisation_is_that_of_ccnet(texts):
    wanted = [naive.perplexity(MODELS[3], text, True) for text in texts]
    same(values(texts), wanted)


@pytest.mark.parametrize("order", MODELS)
def test_a_binary_file_gives_the_same_numbers(order, tmp_path):
    assert values(SENTENCES, model=binary(order, tmp_path)) == values(SENTENCES, model=str(PATHS[order]))


def test_without_an_unknown_word_kenlm_takes_minus_100(tmp_path):
    path = tmp_path / "m.arpa"
    path.write_text(naive.arpa({gram: value for gram, value in MODELS[2].items() if gram != ("<unk>",)}))
    (found,) = values(["zz"], model=str(path))
    end = naive.word_score(MODELS[2], (), "</s>")
    backoff = MODELS[2][("<s>",)][1]
    assert found == pytest.approx(10 ** (-(backoff - 100 + end) / 2), rel=1e-6)


def test_long_documents_do_not_lose_digits():
    """The sum is in float64: in float32 a million words would differ in the fourth digit."""
    one = values(["the cat sat on the mat"])[0]
    assert values(["\n".join(["the cat sat on the mat"] * 100_000)])[0] == pytest.approx(one, rel=1e-9)


def test_hostile_texts():
    word, lines, marks = values(["x" * 3_000_000, "\n" * 1_000_000, "e\u0301" * 1_000_000])
    assert word == pytest.approx(values(["x"])[0])
    assert lines == pytest.approx(values(["\n"])[0])
    assert marks == pytest.approx(values(["e" * 1_000_000])[0])


def test_bounds_and_buckets():
    texts = ["the cat ran", "zz zz zz zz", "a dog ran on the mat", ""]
    low, high, middle, _ = found = values(texts)
    assert low < middle < high
    stage = Perplexity(model=ARPA, max_value=middle, head=middle, tail=high, reasons="all")
    outcome = stage.apply(batch_of(texts))
    assert outcome.reason.tolist() == [0, 1, 0, 0]
    assert outcome.value[1] == found[1]
    assert outcome.columns["bucket"].to_pylist() == ["head", "tail", "middle", None]
    assert [len(each) for each in outcome.failed.to_pylist()] == [0, 1, 0, 0]


class Pieces:
    """Stands for sentencepiece's class: pieces of two letters."""

    def __init__(self, model_file):
        if not Path(model_file).read_bytes():
            raise RuntimeError("not a model")

    def encode(self, texts, out_type):
        assert out_type is str
        return [[text[i : i + 2] for i in range(0, len(text), 2)] for text in texts]


@pytest.fixture
def pieces(monkeypatch, tmp_path):
    module = types.ModuleType("sentencepiece")
    module.SentencePieceProcessor = Pieces
    monkeypatch.setitem(sys.modules, "sentencepiece", module)
    path = tmp_path / "m.sp"
    path.write_text("model")
    return str(path)


def test_with_pieces_a_document_is_one_sentence_and_its_line_ends_are_gone(pieces):
    found = values(["The\nRe", "\n"], sentencepiece=pieces)
    assert found[0] == pytest.approx(naive.perplexity(MODELS[3], "th er e", False), rel=1e-5)
    assert found[1] is None


def test_a_piece_model_that_cannot_be_used_is_told(pieces, tmp_path):
    (tmp_path / "empty.sp").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be used: not a model"):
        Perplexity(model=ARPA, sentencepiece=str(tmp_path / "empty.sp")).identity()


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    (tmp_path / "m.sp").write_text("other")
    with pytest.raises(MissingExtraError, match=r"pip install 'corpuscurate\[perplexity\]'"):
        Perplexity(model=ARPA, sentencepiece=str(tmp_path / "m.sp")).identity()


def test_real_pieces(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    (tmp_path / "text").write_text("\n".join(SENTENCES * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "m"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    cut = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    model = naive.train([" ".join(cut.encode(each, out_type=str)) for each in SENTENCES], 3)
    (tmp_path / "m.arpa").write_text(naive.arpa(model))
    texts = ["The cat sat.", "A DOG ran\non the mat"]
    found = values(texts, model=str(tmp_path / "m.arpa"), sentencepiece=str(tmp_path / "m.model"))
    joined = [" ".join(cut.encode(naive.normalised(text), out_type=str)) for text in texts]
    assert found == [pytest.approx(naive.perplexity(model, text, False), rel=1e-5) for text in joined]


def changed(content: bytes, at: int, form: str, value: int) -> bytes:
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


def first_number(whole: bytes) -> int:
    """Where the number of the first word in the vocabulary's table is: key and number take 12 bytes."""
    return next(at for at in range(144 + 8, len(whole), 12) if whole[at : at + 4] != bytes(4))


FIXED = 88  # where the header's numbers begin, behind the magic string and the test values


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:40], "it ends within its header"),
        (lambda whole: whole[: FIXED + 30], "impossible numbers"),
        (lambda whole: whole[:-4], "its header tells of"),
        (lambda whole: whole.replace(b"version 5", b"version 4"), "another version of KenLM"),
        (lambda whole: changed(whole, FIXED + 8, "<i", 2), "a binary file with a trie; expected probing hash tables"),
        (lambda whole: changed(whole, FIXED + 8, "<i", 77), "with kind 77"),
        (lambda whole: changed(whole, FIXED, "<B", 1), "has order 1; expected 2 to"),
        (lambda whole: changed(whole, FIXED + 20, "<Q", 2**40), "n-grams, more than the file has bytes"),
        (lambda whole: changed(whole, FIXED + 4, "<I", 0x7FC00000), "impossible numbers"),
        (lambda whole: changed(whole, first_number(whole), "<I", 2**31), "a word in it has no probability"),
    ],
)
def test_a_damaged_binary_file_is_told(damage, message, tmp_path):
    whole = Path(binary(3, tmp_path)).read_bytes()
    assert len(header_bytes((1, 1), 1.5)) == FIXED + 20 + 16 + 4
    path = tmp_path / "damaged.bin"
    path.write_bytes(damage(whole))
    with pytest.raises(InputError, match=message):
        Perplexity(model=str(path)).identity()


GOOD = naive.arpa(MODELS[2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no model", "is neither an ARPA file nor a binary file of KenLM"),
        ("", "is neither an ARPA file nor a binary file of KenLM"),
        (GOOD.replace("ngram 1=", "ngram 1=x"), "line 2: expected `ngram N=count`"),
        (GOOD.replace("ngram 2=", "ngram 3="), "expected the count of 2-grams"),
        (GOOD.replace("\\1-grams:", "\\2-grams:"), r"and then \\1-grams:"),
        (GOOD.replace("\\2-grams:", "x"), r"expected \\2-grams: after 1-grams as many as their count says"),
        (GOOD.replace("\\end\\", ""), r"expected \\end"),
        (GOOD.replace("-2.0\t<unk>", "minus\t<unk>"), "expected log10 probability, 1 words"),
        (GOOD.replace("-2.0\t<unk>", "2.0\t<unk>"), "has a log10 probability above 0"),
        (GOOD.replace("\tcat\t", "\tthe\t", 1), "this word has a line already"),
        (GOOD.replace("the cat", "the elephant", 1), "a word of it is not among the 1-grams"),
    ],
)
def test_a_damaged_arpa_file_is_told_with_its_line(content, message, tmp_path):
    path = tmp_path / "m.arpa"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Perplexity(model=str(path)).identity()


def test_an_arpa_file_with_gaps_is_refused(tmp_path):
    model = {gram: value for gram, value in MODELS[3].items() if gram != ("cat", "sat")}
    (tmp_path / "m.arpa").write_text(naive.arpa(model))
    with pytest.raises(InputError, match="has the 3-gram 'the cat sat' without the 2-gram at its end"):
        Perplexity(model=str(tmp_path / "m.arpa")).identity()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_value": 9.0, "max_value": 3.0}, "is above max_value"),
        ({"head": 9.0}, "head and tail are given together"),
        ({"head": 9.0, "tail": 3.0}, "is above tail"),
        ({"max_value": 0.0}, "max_value"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        Perplexity(model=ARPA, **parameters)


def test_the_fingerprint_covers_the_content_of_the_model(tmp_path):
    path = tmp_path / "m.arpa"
    path.write_text(GOOD)
    before = Perplexity(model=str(path)).identity()
    path.write_text(GOOD + "\n")
    assert Perplexity(model=str(path)).identity() != before
    with pytest.raises(InputError, match=r"the language model '/no/m\.arpa' cannot be read"):
        Perplexity(model="/no/m.arpa").identity()


def test_a_whole_run_equals_the_stage_alone():
    texts = ["the cat sat", "zz qq", "a dog"]
    found = curate(pa.table({"text": texts}), [Perplexity(model=ARPA, max_value=100.0)])
    alone = values(texts)
    assert found.kept["perplexity.value"].to_pylist() == [each for each in alone if each <= 100]
    assert [row["reason"] for row in found.dropped.to_pylist()] == ["max_value"] * sum(each > 100 for each in alone)
