"""The repetition rules of arXiv 2112.11446, Table A1, by four conventions, from their definitions in plain Python."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from itertools import groupby

from naive.text import words as unicode_words
from naive.tokens import tokens

LINES = ["dup_line_ratio", "dup_paragraph_ratio", "dup_line_char_ratio", "dup_paragraph_char_ratio"]
BOUNDS = dict(zip(LINES, [0.3, 0.3, 0.2, 0.2], strict=True))
BOUNDS |= {f"top_{n}gram_char_ratio": bound for n, bound in [(2, 0.2), (3, 0.18), (4, 0.16)]}
BOUNDS |= {f"dup_{n}gram_char_ratio": bound for n, bound in zip(range(5, 11), [15, 14, 13, 12, 11, 10], strict=True)}
BOUNDS = {name: bound if bound < 1 else bound / 100 for name, bound in BOUNDS.items()}
DATATROVE_ORDER = [LINES[1], LINES[3], LINES[0], LINES[2], *list(BOUNDS)[4:]]


def plain(text: str) -> str:
    """RedPajama-v2's normalisation, lower case by character."""
    text = text.translate(str.maketrans("", "", string.punctuation))
    return unicodedata.normalize("NFD", "".join(char.lower() for char in text))


def words_of(text: str, convention: str) -> list[str]:
    if convention == "datatrove":
        return tokens(text)
    if convention == "dclm":
        return unicode_words(text)
    return (plain(text) if convention == "redpajama" else text).split()


def lines_of(text: str, convention: str) -> list[str]:
    if convention == "datatrove":
        return re.split("\n+", text)
    return [line.strip() for line in text.split("\n") if line.strip()]


def paragraphs_of(text: str, convention: str) -> list[str]:
    if convention == "datatrove":
        return re.split("\n{2,}", text.strip())
    if convention == "dclm":
        return [part.strip() for part in text.split("\n\n") if part.strip()]
    groups = groupby(text.split("\n"), key=lambda line: bool(line.strip()))
    return ["\n".join(lines).strip() for filled, lines in groups if filled]


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def repeated(parts: list[str], convention: str) -> tuple[int, int]:
    """How many parts are duplicates, and their characters."""
    counts, seen, found = Counter(parts), set(), []
    for part in parts:
        if part in seen if convention == "datatrove" else counts[part] > 1:
            found.append(part)
        seen.add(part)
    return len(found), sum(map(len, found))


def top(words: list[str], n: int, convention: str) -> int:
    """The characters of the most frequent n-gram."""
    all_grams = grams(words, n)
    if not all_grams:
        return 0
    counts = Counter(all_grams)
    gram, most = counts.most_common(1)[0]
    if convention == "datatrove":
        return len(" ".join(gram)) * most
    if most == 1:
        return 0
    if convention == "redpajama":
        return len("".join(gram)) * most
    ties = [gram for gram, count in counts.items() if count == most]
    if convention == "dclm":
        return max(len("".join(gram)) for gram in ties) * most
    return max(covered(words, n, {gram}) for gram in ties)


def covered(words: list[str], n: int, wanted: set[tuple[str, ...]]) -> int:
    """The characters of all words that belong to one of the n-grams."""
    inside = {i + k for i, gram in enumerate(grams(words, n)) if gram in wanted for k in range(n)}
    return sum(len(words[i]) for i in inside)


def duplicate(words: list[str], n: int, convention: str) -> int:
    """The characters of duplicate n-grams."""
    if convention != "datatrove":
        return covered(words, n, {gram for gram, count in Counter(grams(words, n)).items() if count > 1})
    seen, characters, i = set(), 0, 0
    while i + n <= len(words):
        gram = "".join(words[i : i + n])
        if gram in seen:
            characters += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return characters


def repetition(text: str, convention: str) -> dict[str, float]:
    """All measures."""
    words = words_of(text, convention)
    lines, paragraphs = lines_of(text, convention), paragraphs_of(text, convention)
    line_count, line_chars = repeated(lines, convention)
    paragraph_count, paragraph_chars = repeated(paragraphs, convention)
    of_datatrove = convention == "datatrove"
    whole = len(text) if of_datatrove else len("".join(words))
    return {
        "dup_line_ratio": share(line_count, len(lines)),
        "dup_paragraph_ratio": share(paragraph_count, len(paragraphs)),
        "dup_line_char_ratio": share(line_chars, len(text) if of_datatrove else len("".join(lines))),
        "dup_paragraph_char_ratio": share(paragraph_chars, len(text) if of_datatrove else len("".join(paragraphs))),
        **{f"top_{n}gram_char_ratio": share(top(words, n, convention), whole) for n in (2, 3, 4)},
        **{f"dup_{n}gram_char_ratio": share(duplicate(words, n, convention), whole) for n in range(5, 11)},
    }


def repetition_verdict(text: str, convention: str) -> tuple[str, float] | None:
    """The first rule that a document fails, with the measured value; None for a good document."""
    measures = repetition(text, convention)
    order = DATATROVE_ORDER if convention == "datatrove" else list(BOUNDS)
    return next(((f"max_{name}", measures[name]) for name in order if measures[name] > BOUNDS[name]), None)
