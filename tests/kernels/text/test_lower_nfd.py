"""Lower case and decomposition against Python, code point by code point and in texts."""

from __future__ import annotations

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from support.characters import code_points
from support.hostile import texts

from corpuscurate.kernels.text import lower_nfd as low
from corpuscurate.kernels.text.unicode import tables, unidata_version

PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""
pytestmark = pytest.mark.skipif(
    unicodedata.unidata_version != unidata_version(), reason="this Python's Unicode is not that of the tables"
)


def lowered(text: str, drop: bool = False) -> str:
    data = np.frombuffer(text.encode() or b"", np.uint8)
    out = np.empty(low.GROWTH * len(data) + 8, np.uint8)
    marks, places = np.empty(2 * (len(data) + 1), np.int32), np.empty(low.CLASSES + 1, np.int64)
    size = low.lower_nfd(data, 0, len(data), tables(), low.lower_tables(), drop, marks, places, out)
    return out[:size].tobytes().decode()


def naive(text: str, drop: bool = False) -> str:
    kept = "".join(char for char in text if not (drop and char in PUNCTUATION))
    return unicodedata.normalize("NFD", kept.lower())


def test_every_character_by_itself_and_behind_a_letter():
    alone, behind = "\n".join(map(chr, code_points())), "\n".join("a" + chr(point) for point in code_points())
    assert lowered(alone) == naive(alone)
    assert lowered(behind) == naive(behind)


def test_nothing_grows_beyond_the_bound():
    worst = max(len(naive(chr(point)).encode()) / len(chr(point).encode()) for point in code_points())
    assert worst <= low.GROWTH


@given(texts())
def test_equal_to_python(text):
    assert lowered(text) == naive(text)
    assert lowered(text, drop=True) == naive(text, drop=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ὈΔΥΣΣΕΎΣ ΑΣ.", "ὀδυσσεύς ας."),
        ("Σ ΑΣΑ ΑΣ'Α ΑΣ' 'Σ", "σ ασα ασ'α ας' 'σ"),
        ("ΑΣ\u0301\u0301 ΑΣ\u0301Α", "ας\u0301\u0301 ασ\u0301α"),
        ("İI", "i\u0307i"),
        ("q\u0307\u0323", "q\u0323\u0307"),
        ("각ﬁÅ", "\u1100\u1161\u11a8ﬁa\u030a"),
    ],
)
def test_golden(text, wanted):
    assert lowered(text) == unicodedata.normalize("NFD", wanted)


def test_a_run_of_marks_takes_linear_time():
    lowered("a\u0301\u0323")
    took = []
    for size in (200_000, 800_000):
        started = time.process_time()
        found = lowered("a" + "\u0301\u0323" * size)
        took.append(time.process_time() - started)
        assert found == "a" + "\u0323" * size + "\u0301" * size
    assert took[1] < 16 * max(took[0], 0.005)  # quadratic would be a million times a short run
