"""Classes of 64 bytes against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.classes import (
    HINTS,
    LINE_BREAKS,
    SENTENCE_MARKS,
    equal,
    equal_plain,
    hints,
    hints_plain,
    line_breaks,
    line_breaks_plain,
    newlines,
    newlines_plain,
    sentence_marks,
    sentence_marks_plain,
    symbols,
    symbols_plain,
)
from corpuscurate.kernels.text.c4 import PHRASES
from corpuscurate.kernels.text.scan import holds, may_hold_phrase, next_symbol
from corpuscurate.kernels.text.signs import BREAK, TERMINAL, signs

PARTS = [*HINTS, "IPSUM", "mS oF", "\u212a", "™", "[", "{", "\n", "\x85", "\u2028", ".", "。", "x" * 20, "ipsu", "é"]
BLOCKS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3).map(lambda t: t.encode("utf-8", "replace").decode()))


@uncounted
def of_ranges(data, i):
    return (
        line_breaks(data, i),
        sentence_marks(data, i),
        newlines(data, i),
        symbols(data, i),
        equal(data, i, np.uint8(0x5B)),
    )


@uncounted
def of_hints(data, i):
    return hints(data, i)


def padded(parts, size=80):
    data = "".join(parts).encode()
    return np.frombuffer(data + b" " * max(size - len(data), 0), np.uint8)


@given(BLOCKS, st.integers(0, 9))
def test_ranges(parts, i):
    data = padded(parts)
    plain = (line_breaks_plain, sentence_marks_plain, newlines_plain, symbols_plain)
    assert of_ranges(data, i) == (*(each(data, i) for each in plain), equal_plain(data, i, 0x5B))


@given(BLOCKS, st.integers(0, 9))
def test_hints(parts, i):
    data = padded(parts)
    assert of_hints(data, i) == hints_plain(data, i)


@given(BLOCKS, st.integers(0, 9), st.integers(0, 9))
def test_what_is_found_lies_within(parts, before, behind):
    """Nothing is missed; of single bytes, nothing is found that is not there."""
    text = "".join(parts)
    data = np.frombuffer(b"{" * before + text.encode() + b"{ms of" * behind, np.uint8)
    stop = before + len(text.encode())
    assert holds(data, before, stop, np.uint8(ord("{"))) == ("{" in text)
    assert holds(data, before, stop, np.uint8(ord("["))) == ("[" in text)
    symbols_at = [at for at in range(before, stop) if data[at] in (0x23, 0x2E, 0xE2)]
    assert next_symbol(data, before, stop) == min([*symbols_at, stop])
    if any(phrase in text.lower() for phrase, _ in PHRASES) or any(hint in text.lower() for hint in HINTS):
        assert may_hold_phrase(data, before, stop)


def test_ordinary_text_has_no_hints():
    data = padded(["This is a piece of ordinary text, which holds nothing that is looked for. " * 3])
    assert not may_hold_phrase(data, 0, len(data))


def test_each_phrase_has_a_hint():
    assert [phrase for phrase, _ in PHRASES if not any(hint in phrase for hint in HINTS)] == []


def test_the_classes_are_those_of_the_tables():
    flags = signs().bytes
    for ranges, flag in ((LINE_BREAKS, BREAK), (SENTENCE_MARKS, TERMINAL)):
        inside = {byte for low, high in ranges for byte in range(low, high + 1)}
        assert inside == {byte for byte in range(256) if flags[byte] & flag}


def test_only_bytes_in_a_row_are_taken():
    with pytest.raises(TypingError, match="bytes in a row are needed"):
        of_hints(np.zeros(200, np.uint8)[::2], 0)
