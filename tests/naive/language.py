"""Naive Bayes over n-grams of bytes, scripts and parts of texts, from their definitions in plain Python."""

from __future__ import annotations

import math
import unicodedata


def states_of(ngrams: list[bytes]) -> list[bytes]:
    """The states of the automaton of Aho and Corasick: every beginning of an n-gram, the empty one first."""
    return sorted({each[:size] for each in ngrams for size in range(len(each) + 1)}, key=lambda one: (len(one), one))


def next_state(states: set[bytes], state: bytes, byte: int) -> bytes:
    """The longest end of what was read that is a state."""
    text = state + bytes([byte])
    return next(text[at:] for at in range(len(text) + 1) if text[at:] in states)


def feature_counts(ngrams: list[bytes], text: bytes) -> dict[int, int]:
    """How often each n-gram is the longest state at a byte. (langid.py's own way: one n-gram a byte.)"""
    states, state, found = set(states_of(ngrams)), b"", {}
    for byte in text:
        state = next_state(states, state, byte)
        if state in ngrams:
            found[ngrams.index(state)] = found.get(ngrams.index(state), 0) + 1
    return found


def probabilities(ngrams: list[bytes], table: list[list[float]], prior: list[float], text: bytes) -> list[float] | None:
    """Of each class; None for a text without features."""
    counts = feature_counts(ngrams, text)
    if not counts:
        return None
    scores = [
        prior[c] + math.fsum(math.log1p(count) * table[f][c] for f, count in counts.items()) for c in range(len(prior))
    ]
    powers = [math.exp((score - max(scores)) / math.sqrt(len(text))) for score in scores]
    return [power / math.fsum(powers) for power in powers]


NAMES = {
    "LATIN": "Latn", "FULLWIDTH LATIN": "Latn", "GREEK": "Grek", "CYRILLIC": "Cyrl", "ARABIC": "Arab", "HEBREW": "Hebr",
    "DEVANAGARI": "Deva", "THAI": "Thai", "LAO": "Laoo", "KHMER": "Khmr", "MYANMAR": "Mymr", "TIBETAN": "Tibt",
    "HANGUL": "Hang", "CJK UNIFIED": "Hani", "HIRAGANA": "Hira", "KATAKANA": "Kana", "GEORGIAN": "Geor",
    "ETHIOPIC": "Ethi",
}  # fmt: skip


def script_of(char: str) -> str | None:
    """The script in the name of a letter."""
    if not char.isalpha() or unicodedata.category(char) == "Lm":
        return None
    name = unicodedata.name(char, "")
    return next((code for start, code in NAMES.items() if name.startswith(start + " ")), None)


def script(text: str) -> str:
    """The script of most letters."""
    counts: dict[str, int] = {}
    for char in text:
        code = script_of(char)
        if code:
            counts[code] = counts.get(code, 0) + 1
    kana = counts.get("Hira", 0) + counts.get("Kana", 0)
    both = kana + counts.get("Hani", 0)
    if kana and kana * 10 >= both:
        counts = {code: n for code, n in counts.items() if code not in ("Hira", "Kana", "Hani")} | {"Jpan": both}
    most = max(counts.values(), default=0)
    return min(
        (code for code, n in counts.items() if n == most), key=lambda code: (code == "Jpan", code), default="Zyyy"
    )


def parts(text: bytes, most: int, size: int) -> list[bytes]:
    """Pieces of at most `size` bytes, evenly spread, whole characters each."""
    count = min(len(text) // size, most)
    found = []
    for k in range(count if count >= 2 else 0):
        at = len(text) * k // count
        while at < len(text) and text[at] & 0xC0 == 0x80:
            at += 1
        found.append(text[at : at + size].decode("utf-8", "ignore").encode())
    return found
