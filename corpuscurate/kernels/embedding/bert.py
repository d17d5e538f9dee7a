"""What BERT's normaliser and pre-tokeniser make of each code point, as tables for one setting of the normaliser.

`bert_tables.npz` is made by `scripts/make_bert_tables.py`, which asks the Hugging Face `tokenizers` package character
by character: the kernel agrees with it whatever versions of the Unicode tables its parts carry.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).with_name("bert_tables.npz")

_REMOVED, _WHITE, _CHINESE, _NONSPACING, _SPACE, _PUNCTUATION = 1, 2, 4, 8, 16, 32
SAME = 0
"""A character of a word, as it is."""
GONE = 1
"""Removed: words go on across it."""
BREAK = 2
"""White space."""
ALONE = 3
"""A token's worth of its own, as it is."""
BECOMES = 4
"""BECOMES + row of `Bert.forms`."""
_HANGUL = range(0xAC00, 0xD7A4)
_PAGE = 256


class Bert(NamedTuple):
    """Tables for one setting of the normaliser. pages: uint16[4352]; kinds: int32[], SAME, GONE, BREAK, ALONE or
    BECOMES + row; forms: int32[rows, 10], how many characters, then pairs (kind, code point)."""

    pages: NDArray[np.uint16]
    kinds: NDArray[np.int32]
    forms: NDArray[np.int32]
    ascii_kinds: NDArray[np.int32]
    ascii_lower: NDArray[np.uint8]


class _Source(NamedTuple):
    flags: NDArray[np.uint8]
    nfd: dict[int, list[int]]
    lower: dict[int, list[int]]


@lru_cache(maxsize=1)
def _source() -> _Source:
    with np.load(PATH, allow_pickle=False) as stored:
        flags = stored["flag_data"].reshape(-1, _PAGE)[stored["flag_pages"]].ravel()
        maps = []
        for name in ("nfd", "lower"):
            rows = zip(stored[f"{name}_from"].tolist(), stored[f"{name}_to"].tolist(), strict=True)
            maps.append({code_point: [c for c in after if c] for code_point, after in rows})
    for code_point in _HANGUL:  # Unicode standard, 3.12
        index = code_point - 0xAC00
        parts = [0x1100 + index // 588, 0x1161 + index % 588 // 28, 0x11A7 + index % 28]
        maps[0][code_point] = parts if index % 28 else parts[:2]
    return _Source(flags, *maps)


@lru_cache(maxsize=16)
def bert_table(clean_text: bool, handle_chinese_chars: bool, strip_accents: bool, lowercase: bool) -> Bert:
    """The tables for a setting of `BertNormalizer` followed by `BertPreTokenizer`."""
    source = _source()
    flags = source.flags.astype(np.int32)
    kinds = np.zeros(len(flags), np.int32)
    kinds[flags & _PUNCTUATION > 0] = ALONE
    kinds[flags & _SPACE > 0] = BREAK
    if strip_accents:
        kinds[flags & _NONSPACING > 0] = GONE
    if handle_chinese_chars:
        kinds[flags & _CHINESE > 0] = ALONE
    if clean_text:
        kinds[flags & _REMOVED > 0] = GONE
        kinds[flags & _WHITE > 0] = BREAK
    changed = set(source.nfd if strip_accents else ()) | set(source.lower if lowercase else ())
    forms: list[list[int]] = []
    for code_point in sorted(changed):
        if kinds[code_point] in (GONE, BREAK):
            continue
        chinese = handle_chinese_chars and bool(flags[code_point] & _CHINESE)
        after = source.nfd.get(code_point, [code_point]) if strip_accents else [code_point]
        after = [c for c in after if not (strip_accents and flags[c] & _NONSPACING)]
        if lowercase:
            after = [small for c in after for small in source.lower.get(c, [c])]
        form = [len(after)]
        for c in after:
            alone = chinese or flags[c] & _PUNCTUATION
            form += [BREAK if flags[c] & _SPACE else ALONE if alone else SAME, c]
        kinds[code_point] = BECOMES + len(forms)
        forms.append(form + [0] * (10 - len(form)))
    numbers: dict[bytes, int] = {}
    pages = [numbers.setdefault(page.tobytes(), len(numbers)) for page in kinds.reshape(-1, _PAGE)]
    distinct = np.frombuffer(b"".join(numbers), np.int32)
    table = np.array(forms, np.int32).reshape(-1, 10)
    ascii_kinds, ascii_lower = kinds[:128].copy(), np.arange(128, dtype=np.uint8)
    for code_point in range(128):  # one character for one in ASCII
        if ascii_kinds[code_point] >= BECOMES:
            _, ascii_kinds[code_point], ascii_lower[code_point] = table[ascii_kinds[code_point] - BECOMES][:3]
    return Bert(np.array(pages, np.uint16), distinct, table, ascii_kinds, ascii_lower)
