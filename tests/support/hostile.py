"""Texts that measures of words, lines and characters go wrong on: pieces for hypothesis to join."""

from __future__ import annotations

from hypothesis import strategies as st

CHARACTERS = list(
    "aAbΣσς.!?…\n\n  #{}[]-_'\"1²½À\u0301\u0323\U0001d165ǅʼİıſ”•–»漢か가\x85\x1c\r\t°ª٣\u0f7c\u093f\u200b\u2028ﬁⒶ"
)
PHRASES = [
    *("lorem ipsum", "Lorem\nIpsum", "lorem ıpſum", "javascript ", "the ", " and ", "use cookies", "Privacy Policy"),
    *(
        "...",
        "\n\n",
        "http://a.b/c",
        "https://x%20y.z",
        "read more",
        "(...)",
        "a b a b ",
        "one two three four five six ",
    ),
    *("<?xml version=", "auto-Generated", "\r\n", "- ", "ὈΔΥΣΣΕΎΣ ", "a'Σ", "ΑΣ'", "ΑΣ\u0301", "# ## "),
]
ANY = st.characters(codec="utf-8", categories=("L", "N", "M", "Z", "P", "S"))
"""No unassigned ones: what they are depends on Python's version of Unicode."""


def texts(max_size: int = 60) -> st.SearchStrategy[str]:
    """Texts of any characters, those that matter and those phrases often."""
    piece = st.one_of(st.sampled_from(CHARACTERS), st.sampled_from(PHRASES), ANY)
    return st.lists(piece, max_size=max_size).map("".join)
