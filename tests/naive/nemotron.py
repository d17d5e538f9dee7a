"""NeMo Curator's English heuristics by their definitions, in plain Python."""

from __future__ import annotations

import re
from collections import Counter

PLAIN = re.compile("[a-zA-Z0-9\n?!,.]")
URL = re.compile(r"https?://(?:[a-zA-Z0-9$_@.&+!*(),-]|%[0-9a-fA-F][0-9a-fA-F])+")
PAREN = re.compile(r"[{}⟨⟩\[\]()]")
ELLIPSES = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")
BULLETS = tuple("•‣⁃⁌⁍∙○●◘◦⦾⦿")


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def is_symbol(word: str) -> bool:
    return word in ELLIPSES or len(re.findall("#+", word)) / len(word) > 0.5


def boilerplate(text: str, phrases: list[str]) -> float:
    paragraphs = [ascii_lower(paragraph) for paragraph in text.split("\n\n")]
    if any("lorem ipsum" in paragraph for paragraph in paragraphs):
        return 1.0
    hit = sum(any(ascii_lower(phrase) in paragraph for phrase in phrases) for paragraph in paragraphs)
    return hit / len(paragraphs)


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def top(text: str, words: list[str], n: int) -> float:
    counts = Counter(grams(words, n))
    if not counts:
        return 0.0
    gram = " ".join(max(counts, key=counts.__getitem__))
    return text.count(gram) * len(gram) / len(text)


def dup(text: str, words: list[str], n: int) -> float:
    seen: set[tuple[str, ...]] = set()
    characters = 0
    until = 0  # the words before it have been counted
    for i, gram in enumerate(grams(words, n)):
        if gram in seen:
            new = gram[max(until - i, 0) :]
            characters += sum(map(len, new)) + min(len(new), n - 1)
            until = i + n
        seen.add(gram)
    return characters / len(text) if text else 0.0


def unique(parts: list[str]) -> tuple[float, float]:
    whole = len("".join(parts))
    return len(set(parts)) / len(parts) if parts else 0.0, len("".join(set(parts))) / whole if whole else 0.0


def nemotron_measures(text: str, common: list[str], phrases: list[str]) -> dict[str, float]:
    size, words = len(text), text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    unique_lines = unique(lines)
    unique_paragraphs = unique(text.split("\n\n")) if words else (0.0, 0.0)

    def of_text(count: float) -> float:
        return count / size if size else 1.0

    def of_lines(hit: list[bool]) -> float:
        return sum(hit) / len(lines) if lines else 1.0

    ends = [ascii_lower(line.strip()) for line in lines]
    return {
        "non_alphanumeric_ratio": of_text(size - len(PLAIN.findall(text))),
        "symbol_word_ratio": sum(map(is_symbol, words)) / len(words) if words else 1.0,
        "digit_ratio": of_text(sum(map(str.isdecimal, text))),
        "url_ratio": of_text(sum(map(len, URL.findall(text)))),
        "white_space_ratio": of_text(sum(char in "\t\n\r\b " for char in text)),
        "parenthesis_ratio": of_text(len(PAREN.findall(text))),
        "boilerplate_ratio": boilerplate(text, phrases),
        "unique_line_ratio": unique_lines[0],
        "unique_paragraph_ratio": unique_paragraphs[0],
        "unique_line_char_ratio": unique_lines[1],
        "unique_paragraph_char_ratio": unique_paragraphs[1],
        "words": len(words),
        "open_line_ratio": of_lines([not line.endswith((".", "?", "!", '"', "'")) for line in ends]),
        "alphabetic_word_ratio": sum(any(map(str.isalpha, word)) for word in words) / len(words) if words else 0.0,
        "common_words": sum(word in common for word in words),
        "mean_word_length": sum(map(len, words)) / len(words) if words else 0.0,
        "longest_word": max(map(len, words), default=0),
        "ellipsis_line_ratio": of_lines([line.endswith(ELLIPSES) for line in ends]),
        **{f"top_{n}gram_ratio": top(text, words, n) for n in (2, 3, 4)},
        **{f"dup_{n}gram_ratio": dup(text, words, n) for n in range(5, 11)},
        "bullet_line_ratio": of_lines([line.strip().startswith(BULLETS) for line in lines]),
    }
