"""Folding against its table of states, and the table against what a word is."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import neardup as naive

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.text.folding import CHUNK, CLASSES, FOLDED, STATES, TABLE, fold_chunk
from corpuscurate.kernels.text.unicode import tables

OF_CLASS = {
    "none": [" ", "!", "\n", "\u00a0", "\u3000", "\U0001f600"],
    "letter": ["a", "Z", "7", "é", "ß", "Σ", "İ", "ﬁ", "ẞ", "Ⱥ", "𐐀"],
    "single": ["字", "ก", "ア", "ｱ", "\U00020000", "\uf900"],
    "mark": ["\u0301", "\u20dd", "\u0e31", "\u0345"],
    "invisible": ["\u00ad", "\u200d", "\ufeff", "\ufe0f"],
}
"""Characters of each class, of one to four bytes, that fold to themselves, to another length and to several."""
CLASS_OF = {char: name for name, chars in OF_CLASS.items() for char in chars}


@kernel
def fold_all(data, state, t, out):
    i = 0
    at = 8
    while i < len(data):
        i, at, state = fold_chunk(data, i, len(data), state, t, at, out)
    return at, state


def folded(text: str, state: str) -> tuple[bytes, str]:
    data = np.frombuffer(text.encode(), np.uint8)
    out = np.zeros(3 * len(data) + FOLDED, np.uint8)
    at, after = fold_all(data, STATES.index(state), tables(), out)
    return one_border(out[8:at].tobytes()), STATES[after]


def one_border(written: bytes) -> bytes:
    """As many 0 bytes as one: the vector code writes one for each byte of a character that is no part of a word."""
    return re.sub(b"\0+", b"\0", written)


def moves() -> dict[tuple[str, str], tuple[str, str]]:
    """(state, class) -> what is written, the next state, as a reader of TABLE finds them."""
    _, *rows = TABLE.strip().splitlines()
    found = {}
    for row in rows:
        state, *cells = row.split()
        found |= {(state, name): tuple(cells[2 * i : 2 * i + 2]) for i, name in enumerate(CLASSES)}
    return found


def by_table(text: str, state: str) -> tuple[bytes, str]:
    table, written = moves(), b""
    for char in text:
        what, state = table[state, CLASS_OF[char]]
        written += b"\0" * what.count("0") + char.casefold().encode() * what.count("c")
    return one_border(written), state


def test_the_table_has_every_state_and_class():
    assert set(moves()) == set(product(STATES, CLASSES))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("length", [1, 2])
def test_short_texts_go_as_the_table_says(state, length):
    for chars in product(CLASS_OF, repeat=length):
        text = "".join(chars)
        assert folded(text, state) == by_table(text, state), ascii(text)


TEXTS = st.text(st.sampled_from([*CLASS_OF, *"aZ7 aZ7 "]), max_size=300)


@given(TEXTS, st.sampled_from(STATES), st.integers(0, 2))
def test_texts_go_as_the_table_says(text, state, chunks):
    """Across blocks and chunks, too."""
    text = "aZ7! " * (chunks * CHUNK // 5) + text
    assert folded(text, state) == by_table(text, state)


@given(TEXTS)
def test_the_table_parts_words_as_they_are_defined(text):
    written, _ = by_table(text, "outside")
    assert [word.decode() for word in written.split(b"\0") if word] == naive.folded_words(text)
