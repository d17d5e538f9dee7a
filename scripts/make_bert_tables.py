"""Make kernels/embedding/bert_tables.npz: what BERT's normaliser and pre-tokeniser do with each code point.

The tables are asked of the Hugging Face `tokenizers` package itself, character by character, so that the kernel agrees
with it whatever versions of the Unicode tables its parts carry. Run again after a new release of `tokenizers`, and
raise VERSION in `kernels/wordpiece.py` when the file changes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tokenizers
from tokenizers.normalizers import NFD, BertNormalizer, Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer

REMOVED, WHITE, CHINESE, NONSPACING, SPACE, PUNCTUATION = 1, 2, 4, 8, 16, 32
PAGE = 256
SIZE = 0x110000
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic in the kernel's loader


def normalizer(**parts: bool) -> BertNormalizer:
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return BertNormalizer(**{**off, **parts})


def flags(char: str, cleaner: BertNormalizer, chinese: BertNormalizer, stripper: BertNormalizer) -> int:
    found = 0
    framed = f"a{char}b"
    cleaned = cleaner.normalize_str(framed)
    if cleaned == "ab":
        found |= REMOVED
    elif cleaned == "a b" and char != " ":
        found |= WHITE
    if chinese.normalize_str(framed) == f"a {char} b":
        found |= CHINESE
    if NFD().normalize_str(char) == char and stripper.normalize_str(framed) == "ab":
        found |= NONSPACING
    pieces = [piece for piece, _ in BertPreTokenizer().pre_tokenize_str(framed)]
    if pieces == ["a", "b"]:
        found |= SPACE
    elif pieces == ["a", char, "b"]:
        found |= PUNCTUATION
    elif pieces != [framed]:
        raise RuntimeError(f"U+{ord(char):04X} is pre-tokenised as {pieces}")
    return found


def pages_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, numbers = np.unique(values.reshape(-1, PAGE), axis=0, return_inverse=True)
    return numbers.astype(np.uint16).ravel(), distinct.ravel()


def main() -> None:
    cleaner, chinese = normalizer(clean_text=True), normalizer(handle_chinese_chars=True)
    stripper = normalizer(strip_accents=True)
    bits = np.zeros(SIZE, np.uint8)
    changes: dict[str, list[tuple[int, str]]] = {"nfd": [], "lower": []}
    for code_point in range(SIZE):
        if 0xD800 <= code_point < 0xE000:
            continue
        char = chr(code_point)
        bits[code_point] = flags(char, cleaner, chinese, stripper)
        for name, change in (("nfd", NFD()), ("lower", Lowercase())):
            after = change.normalize_str(char)
            if after != char and not (name == "nfd" and code_point in HANGUL):
                changes[name].append((code_point, after))
    pages, data = pages_of(bits)
    stored = {"flag_pages": pages, "flag_data": data}
    for name, rows in changes.items():
        stored[f"{name}_from"] = np.array([code_point for code_point, _ in rows], np.int32)
        table = np.zeros((len(rows), 4), np.int32)
        for row, (_, after) in enumerate(rows):
            table[row, : len(after)] = [ord(char) for char in after]
        stored[f"{name}_to"] = table
    stored["tokenizers_version"] = np.array(tokenizers.__version__)
    target = Path(__file__).parents[1] / "corpuscurate" / "kernels" / "embedding" / "bert_tables.npz"
    np.savez_compressed(target, **stored)
    print(target, target.stat().st_size, {name: len(rows) for name, rows in changes.items()})


if __name__ == "__main__":
    main()
