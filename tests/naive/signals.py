"""The quality signals of RedPajama-v2 by their definitions, in plain Python: each document and line on its own."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter

BULLETS = ("•", "‣", "▶", "◀", "◦", "■", "□", "▪", "▫", "–")


def normalised(text: str) -> str:
    kept = "".join(char for char in text if char not in string.punctuation)
    return unicodedata.normalize("NFD", re.sub(r"\s+", " ", kept.lower().strip()))


def raw_words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]+", text)


def lines_of(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def top(words: list[str], n: int) -> float:
    counts = Counter(grams(words, n))
    if not counts or max(counts.values()) <= 1:
        return 0.0
    gram = max(counts, key=counts.__getitem__)  # of equals the first
    return sum(map(len, gram)) * counts[gram] / sum(map(len, words))


def dupe(words: list[str], n: int) -> float:
    found = grams(words, n)
    counts = Counter(found)
    hit = {j for i, gram in enumerate(found) if counts[gram] > 1 for j in range(i, i + n)}
    return sum(len(words[j]) for j in hit) / sum(map(len, words)) if words else 0.0


def entropy(words: list[str]) -> float | None:
    shares = [count / len(words) for count in Counter(words).values()]
    return sum(-share * math.log(share) for share in shares) if words else None


def lorem(content: str) -> float:
    if "lorem ipsum" not in content:
        return 0.0
    return len(re.findall("lorem ipsum", content, re.IGNORECASE)) / len(content)


def ratio(part: float, whole: int, empty: float | None = None) -> float | None:
    return part / whole if whole else empty


def document_signals(text: str, stop_words: list[str], bad_words: list[str]) -> dict[str, float | None]:
    raw, content, lines = raw_words(text), normalised(text), lines_of(text)
    words = content.split()
    bad = set(bad_words)
    sizes = {1 + phrase.count(" ") for phrase in bad}
    ellipses = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    latin = ratio(sum(re.search("[a-zA-Z]", word) is not None for word in raw), len(raw))
    return {
        "ccnet_length": len(text),
        "ccnet_nlines": text.count("\n") + 1,
        "rps_doc_curly_bracket": ratio(text.count("{") + text.count("}"), len(text), 0.0),
        "rps_doc_frac_all_caps_words": ratio(sum(word.isupper() for word in raw), len(raw)),
        **{f"rps_doc_frac_chars_dupe_{n}grams": dupe(words, n) for n in range(5, 11)},
        **{f"rps_doc_frac_chars_top_{n}gram": top(words, n) for n in (2, 3, 4)},
        "rps_doc_frac_lines_end_with_ellipsis": ratio(ellipses, len(lines)),
        "rps_doc_frac_no_alph_words": None if latin is None else 1.0 - latin,
        "rps_doc_frac_unique_words": ratio(len(set(words)), len(words)),
        "rps_doc_ldnoobw_words": sum(" ".join(gram) in bad for n in sizes for gram in grams(words, n)),
        "rps_doc_lorem_ipsum": lorem(content),
        "rps_doc_mean_word_length": ratio(sum(map(len, words)), len(words)),
        "rps_doc_num_sentences": len(re.findall(r"\b[^.!?]+[.!?]*", text)),
        "rps_doc_stop_word_fraction": ratio(sum(word in stop_words for word in raw), len(raw)) if words else 0.0,
        "rps_doc_symbol_to_word_ratio": ratio(sum(text.count(mark) for mark in ("#", "...", "…")), len(raw)),
        "rps_doc_unigram_entropy": entropy(words),
        "rps_doc_word_count": len(words),
    }


def line_signals(text: str) -> dict[str, list[float]]:
    raw = lines_of(text)
    normal = [normalised(line) for line in raw]
    return {
        "rps_lines_ending_with_terminal_punctution_mark": [
            float(line.rstrip().endswith((".", "!", "?", "”"))) for line in raw
        ],
        "rps_lines_javascript_counts": [float(line.split().count("javascript")) for line in normal],
        "rps_lines_num_words": [float(len(line.split())) for line in normal],
        "rps_lines_numerical_chars_fraction": [
            sum(char.isnumeric() for char in line) / len(line) if line else 0.0 for line in normal
        ],
        "rps_lines_start_with_bulletpoint": [float(line.lstrip().startswith(BULLETS)) for line in raw],
        "rps_lines_uppercase_letter_fraction": [sum(char.isupper() for char in line) / len(line) for line in raw],
    }
