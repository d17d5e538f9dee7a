"""The tables against Python, code point by code point."""

from __future__ import annotations

import pickle
import unicodedata

import numpy as np
import pytest
from naive.normalize import is_control
from naive.text import is_invisible, is_single
from support.characters import code_points

from corpuscurate.kernels.text import unicode as u

same_version = pytest.mark.skipif(
    unicodedata.unidata_version != u.unidata_version(),
    reason=f"this Python has Unicode {unicodedata.unidata_version}, the tables are of {u.unidata_version()}",
)


def all_flags() -> np.ndarray:
    t = u.tables()
    return t.flag_data.reshape(-1, u.PAGE)[t.flag_pages].reshape(-1)


@same_version
@pytest.mark.parametrize(
    ("flag", "rule"),
    [
        (u.WORD, str.isalnum),
        (u.ALPHA, str.isalpha),
        (u.SPACE, str.isspace),
        (u.SINGLE, is_single),
        (u.MARK, lambda char: unicodedata.category(char)[0] == "M"),
        (u.CONTROL, is_control),
        (u.INVISIBLE, is_invisible),
    ],
)
def test_flags_are_those_of_python(flag, rule):
    flags = all_flags()
    assert [hex(c) for c in code_points() if bool(flags[c] & flag) != rule(chr(c))] == []


@same_version
def test_combining_classes_are_those_of_python():
    t = u.tables()
    found = t.combining_data.reshape(-1, u.PAGE)[t.combining_pages].reshape(-1)
    assert [hex(c) for c in code_points() if found[c] != unicodedata.combining(chr(c))] == []


@same_version
@pytest.mark.parametrize(
    ("form", "flag"), [("NFC", u.NOT_NFC), ("NFD", u.NOT_NFD), ("NFKC", u.NOT_NFKC), ("NFKD", u.NOT_NFKD)]
)
def test_a_character_without_the_flag_is_in_the_form_alone_and_after_any_base(form, flag):
    flags = all_flags()
    quiet = [chr(c) for c in code_points() if not flags[c] & flag]
    assert [char for char in quiet if not unicodedata.is_normalized(form, char)] == []
    for base in "aoyAOY가각カאاक":  # bases that compose with many a mark
        if not flags[ord(base)] & flag:
            assert [char for char in quiet if not unicodedata.is_normalized(form, base + char)] == []


@same_version
def test_folding_and_coding_of_every_code_point():
    t = u.tables()
    out = np.zeros(16, np.uint8)
    for c in code_points():
        data = np.frombuffer(chr(c).encode(), np.uint8)
        assert u.decode(data, 0) == (c, len(data))
        assert out[: u.encode(c, 0, out)].tobytes() == data.tobytes()
        size = u.fold_into(t, c, 0, out)
        assert out[:size].tobytes().decode() == chr(c).casefold()
        assert size <= 3 * len(data)
        assert size <= 6


@pytest.mark.parametrize(
    ("char", "folded"), [("A", "a"), ("ß", "ss"), ("İ", "i̇"), ("ſ", "s"), ("\u0390", "\u03b9\u0308\u0301"), ("Ꭰ", "Ꭰ")]
)
def test_folding_golden(char, folded):
    count, *points = u.fold(u.tables(), ord(char))
    assert "".join(map(chr, points[:count])) == folded
    assert points[count:] == [0] * (3 - count)


def test_byte_tables_are_the_first_page():
    t = u.tables()
    assert [int(t.byte_flags[b]) for b in range(128)] == [int(u.flags_of(t, b)) for b in range(128)]
    assert not t.byte_flags[128:].any()
    assert [chr(t.byte_fold[b]) for b in range(128)] == [chr(b).casefold() for b in range(128)]
    assert t.byte_fold[128:].tolist() == list(range(128, 256))


def test_tables_are_read_only_shared_and_small():
    t = u.tables()
    assert t is u.tables() is u.tables("unicode")
    assert not any(array.flags.writeable for array in t)
    assert u.PATH.stat().st_size < 50_000
    assert all(np.array_equal(a, b) for a, b in zip(pickle.loads(pickle.dumps(t)), t, strict=True))  # noqa: S301


def test_single_is_always_a_word():
    flags = all_flags()
    assert ((flags & u.SINGLE == 0) | (flags & u.WORD != 0)).all()


def test_invisible_is_the_standards_format_and_joiners():
    """Ranges of WordBreakProperty.txt 15.1, Format, with the joiners and one of each kind of ignorable mark."""
    flags = all_flags()
    text = "\u00ad\u061c\u180e\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2064\u2066\u206f\ufeff\ufff9\ufffb"
    text += "\U00013430\U0001d173\U000e0001"
    ignorable = "\u034f\u180b\ufe00\ufe0f\U000e0020\U000e007f\U000e0100\U000e01ef"
    assert all(flags[ord(char)] & u.INVISIBLE for char in text + ignorable)
    visible = "a_\u200b\u0600\u06dd\u08e2\U000110bd\u0301\u2028\u00a0\u3000\u115f"
    assert not any(flags[ord(char)] & u.INVISIBLE for char in visible)
    assert not (flags[flags & u.INVISIBLE != 0] & (u.WORD | u.SPACE)).any()
    assert u.visible(text + "co\u00adop" + ignorable) == "coop"


def test_the_underscore_is_all_that_parts_the_two_kinds_of_words():
    plain, code = u.tables(), u.tables("identifiers")
    assert [b for b in range(256) if plain.byte_flags[b] != code.byte_flags[b]] == [ord("_")]
    assert [int(code.byte_flags[b]) for b in range(128)] == [int(u.flags_of(code, b)) for b in range(128)]
    assert code.byte_flags[ord("_")] == plain.byte_flags[ord("_")] | u.WORD
    same = [name for name in u.Tables._fields if np.array_equal(getattr(plain, name), getattr(code, name))]
    assert set(u.Tables._fields) - set(same) <= {"byte_flags", "flag_data", "kind_data"}
    assert not any(array.flags.writeable for array in code)
