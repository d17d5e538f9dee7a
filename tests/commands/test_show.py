from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.commands.demo import LINES, excerpts
from corpuscurate.commands.show import printable, size


def test_what_could_steer_a_terminal_is_escaped():
    hostile = "a\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u202c \x9b1m \u200b\ue000 \ud800 é 文\tb\r\nc"
    assert printable(hostile) == (
        "a\\x1b[31mred\\x1b]0;title\\x07 \\u202egnp.exe\\u202c \\x9b1m \\u200b\\ue000 \\ud800 é 文\\x09b\\x0d\nc"
    )
    assert printable("a\nb", "") == "a\\x0ab"
    assert printable("\U000e0001") == "\\U000e0001"


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_but_line_ends_is_left_unescaped(text):
    shown = printable(text)
    assert not [c for c in shown if c != "\n" and unicodedata.category(c).startswith("C")]
    shown.encode()


def test_sizes():
    assert [size(n) for n in (0, 999, 1000, 1_234_567, 5e9, 7.25e12)] == [
        "0 B", "999 B", "1.0 kB", "1.2 MB", "5.0 GB", "7.2 TB"
    ]  # fmt: skip


def test_excerpts_begin_shortly_before_the_first_difference():
    same = [f"line {n}" for n in range(10)]
    left, right = excerpts("\n".join([*same, "old [bold]\x1b[0m", *same]), "\n".join([*same, "new", *same]))
    assert left.plain.splitlines() == ["... ", "line 8", "line 9", "old [bold]\\x1b[0m", *same[:6], "... 4 more lines"]
    assert right.plain.splitlines()[3] == "new"
    assert [left.plain[span.start : span.end].strip() for span in left.spans if span.style] == ["old [bold]\\x1b[0m"]


def test_excerpts_of_equal_and_of_long_texts():
    left, right = excerpts("a\nb", "a\nb")
    assert left.plain == right.plain == "a\nb\n"
    left, _ = excerpts("x" * 5000 + "\n" + "\n".join("yz" for _ in range(5000)), "q")
    assert len(left.plain.splitlines()) == LINES + 1
    assert len(left.plain) < 300
