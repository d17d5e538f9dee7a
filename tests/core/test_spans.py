"""Words and lines of a batch: found once, shared, dropped by an edit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from naive.text import words as naive_words

from corpuscurate.core import batch as batch_module
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, text_buffers

TEXTS = st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r ab文\u0301\u00ad\u200d ")), max_size=8)


def batch_of(texts, before=0):
    """A batch whose text is a slice of a longer array."""
    array = pa.array(["x\ny z"] * before + texts, TEXT).slice(before)
    return Batch(np.arange(len(texts), dtype=np.uint64), array, np.full(len(texts), 9))


def shown(batch, spans):
    data = text_buffers(batch.text)[1].tobytes()
    pieces = [data[a:b].decode() for a, b in zip(spans.starts, spans.stops, strict=True)]
    return [pieces[a:b] for a, b in zip(spans.first[:-1], spans.first[1:], strict=True)]


def naive_lines(text):
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def test_golden():
    batch = batch_of(["", "Two words,\r\n\nand “more”.\n", "文\u0301字 x2 e\u0301a\u0301", "\n"], before=2)
    assert shown(batch, batch.lines()) == [
        [],
        ["Two words,\r", "", "and “more”."],
        ["文\u0301字 x2 e\u0301a\u0301"],
        [""],
    ]
    assert shown(batch, batch.words()) == [
        [],
        ["Two", "words", "and", "more"],
        ["文\u0301", "字", "x2", "e\u0301a\u0301"],
        [],
    ]


@given(TEXTS, st.integers(0, 2), st.data())
def test_equal_to_the_definition_also_of_what_a_filter_leaves(texts, before, data):
    batch = batch_of(texts, before)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))), np.bool_)
    for kept, left in (
        (batch, texts),
        (batch.filter(mask), [text for text, keep in zip(texts, mask, strict=True) if keep]),
    ):
        assert shown(kept, kept.lines()) == [naive_lines(text) for text in left]
        assert shown(kept, kept.words()) == [naive_words(text) for text in left]


def test_found_once_until_an_edit(monkeypatch):
    found = []
    real = batch_module.words_of
    monkeypatch.setattr(batch_module, "words_of", lambda text, kind: found.append(len(text)) or real(text, kind))
    batch = batch_of(["a b", "c", "d e f"])
    batch.words()
    batch.with_columns({"x": pa.array([1, 2, 3])}).words()
    batch.filter(np.array([True, False, True])).with_columns({"y": pa.array([1, 2])}).words()
    assert found == [3]
    edited = batch.with_text(pa.array(["a", "", "b c"], TEXT))
    assert edited.words().counts.tolist() == [1, 0, 2]
    assert batch.words().counts.tolist() == [2, 1, 3]
    assert found == [3, 3]
