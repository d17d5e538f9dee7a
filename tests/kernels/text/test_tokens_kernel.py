"""Words by white space and tokens against plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive.tokens import tokens as naive_tokens
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.core.spans import words_of

PIECES = [
    "a",
    "B",
    "cd",
    "EF",
    "é",
    "ß",
    "漢",
    "١",
    "1",
    "23",
    ".",
    "..",
    "...",
    "…",
    ",",
    ":",
    ";",
    "!",
    "?",
    "'",
    '"',
    "“",
    "”",
    "’",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    "_",
    "#",
    "*",
    "&",
    "-",
    "--",
    "---",
    "–",
    "—",
    "——",
    "~",
    "～",
    "=",
    "/",
    "+",
    "^",
    "%",
    "$",
    "€",
    "§",
    "²",
    "|",
    "@",
    "n't",
    "'t",
    "'m",
    "'re",
    "'ve",
    "'ll",
    "'d",
    "'s",
    "’s",
    "’S",
    "n’t",
    "’re",
    "U.S.",
    "e.g.",
    "http://",
    "www.a.com",
    "me@x.org",
    "a.b-c.de/f-g",
    ":80",
    "foo.Bar",
    "☃",
    "🦊",
    "°",
    "™",
    "©",
    "\\",
    "x",
]
BLANKS = [" ", " ", "\n", "\t", "\u2003", "\x85", "\xa0", "\u3000", "\x1c", "\x1f", "\u200b", "\0"]
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=150),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(PIECES + BLANKS), max_size=80).map("".join),
)


def found(texts, kind):
    array = pa.array(["before it ends", *texts], TEXT).slice(1)
    spans = words_of(array, kind)
    data = text_buffers(array)[1].tobytes()
    pieces = [data[a:b].decode() for a, b in zip(spans.starts, spans.stops, strict=True)]
    return [pieces[a:b] for a, b in zip(spans.first[:-1], spans.first[1:], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello, world! (It's here.)", ["Hello", ",", "world", "!", "(", "It", "'s", "here", ".", ")"]),
        ("He doesn't; they’ll.", ["He", "does", "n't", ";", "they", "’ll", "."]),
        (
            "well-known and/or a--b 9-5 3.14",
            ["well", "-", "known", "and", "/", "or", "a", "--", "b", "9", "-", "5", "3.14"],
        ),
        ("end.Next one... U.S. NATO. A.", ["end", ".", "Next", "one", "...", "U.S.", "NATO", ".", "A."]),
        ("https://a.org/x-y (see me@b.com)", ["https://a.org/x-y", "(", "see", "me@b.com", ")"]),
        ("$5 10% 5€ C++ -1 +x #tag", ["$", "5", "10", "%", "5", "€", "C++", "-1", "+", "x", "#", "tag"]),
        ("“naïve—ok” 漢字。 🦊x", ["“", "naïve", "—", "ok", "”", "漢字", "。", "🦊", "x"]),
    ],
)
def test_golden(text, expected):
    assert found([text], "tokens") == [expected]
    assert naive_tokens(text) == expected


@settings(max_examples=some(1000), deadline=None)
@given(st.lists(TEXTS, max_size=3))
@example(["'s", "’s", "''s", "a's'", ".'s", "..", "a..b", "x@y", "://a.bc", "a://", "a.bc.", "@a.bc"])
def test_equal_to_the_twin(texts):
    assert found(texts, "tokens") == [naive_tokens(text) for text in texts]
    assert found(texts, "runs") == [text.split() for text in texts]


@pytest.mark.parametrize("kind", ["runs", "tokens"])
def test_words_across_blocks_of_64_bytes_and_at_the_end_of_the_buffer(kind):
    for size in range(130):
        text = "x" * size + "!\u3000y" + " " * (size % 3)
        expected = [["x" * size + "!", "y"]] if kind == "runs" else [[*["x" * size][: size > 0], "!", "y"]]
        assert found([text], kind) == expected


def test_more_words_than_there_was_room_for():
    assert found(["a " * 1000], "runs") == [["a"] * 1000]
    assert found(["!" * 1000, "b"], "tokens") == [["!"] * 1000, ["b"]]


@pytest.mark.parametrize(
    "text", ["x" * 3_000_000, "." * 3_000_000, "a." * 1_500_000, "x-" * 1_500_000, "\n" * 3_000_000]
)
def test_hostile_text_takes_linear_time(text):
    small = np.mean([_seconds(text[: len(text) // 30]) for _ in range(3)])
    assert _seconds(text) < 30 * small * 5 + 0.2


def _seconds(text):
    from time import process_time

    begun = process_time()
    words_of(pa.array([text], TEXT), "tokens")
    return process_time() - begun
