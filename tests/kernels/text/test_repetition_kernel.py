"""Repetition against plain Python, by each convention."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive.repetition import repetition
from support.forms import some

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.stages.gopher_repetition import GopherRepetition

CONVENTIONS = ["paper", "datatrove", "dclm", "redpajama"]
ASSIGNED = st.characters(codec="utf-8", exclude_categories=["Cs", "Cn", "Co"])
FEW = st.sampled_from(
    ["a", "b", "ab", "ba", "aab", "longerword", "muchlongerwordthansixteen", "é", "Ω.", "漢字", "it's", "1", "12", "2"]
)
BLANKS = st.sampled_from([" ", " ", " ", "\n", "\n\n", "\n \n", " \n", "\r\n", "\u2003", "\n\n\n"])
TEXTS = st.one_of(
    st.text(ASSIGNED, max_size=60),
    st.lists(st.one_of(FEW, BLANKS), max_size=120).map("".join),
    st.lists(st.tuples(FEW, BLANKS).map("".join), max_size=120).map("".join),
    st.tuples(st.lists(st.tuples(FEW, BLANKS).map("".join), max_size=15).map("".join), st.integers(1, 6)).map(
        lambda pair: pair[0] * pair[1]
    ),
)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def measured(texts, convention):
    array = pa.array(["a b a b", *texts], TEXT).slice(1)
    batch = Batch(np.arange(len(texts), dtype=np.uint64), array, np.zeros(len(texts), np.int64))
    columns = GopherRepetition(convention=convention, mode="tag").apply(batch).measures
    return [
        dict(zip(columns, row, strict=True)) for row in zip(*[c.to_pylist() for c in columns.values()], strict=True)
    ]


@pytest.mark.parametrize("convention", CONVENTIONS)
@settings(max_examples=some(400), deadline=None)
@given(st.lists(TEXTS, max_size=4))
@example(["\n", "\n\n", " a\n\na\n\n a", "a\n\na ", "\n\na\na\n", "a b a b a b a", "1 2 3 4 5 12 34 5", "İ ΑΣ ας"])
@example(["ab c d e f x a bc d e f", "a b c d e " * 3, "x " * 40, "aaaaaaaa " * 30, ("q" * 17 + " ") * 30])
def test_equal_to_the_twin(convention, texts):
    assert measured(texts, convention) == [repetition(text, convention) for text in texts]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tables_that_grow_and_counts_above_the_highest(convention):
    """Words that all occur twice fill the first tables; one pair occurs 300 times, another once more."""
    random = np.random.default_rng(7)
    once = " ".join(f"w{number}" for number in random.permutation(9_000))
    text = f"{once} {'p q ' * 300}{once[: len(once) // 2]} {'r s t ' * 301}{once}"
    assert measured([text], convention) == [repetition(text, convention)]
