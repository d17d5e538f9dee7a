"""BERT's tokenisation from its definition (Devlin et al. 2019, the original tokenization.py), in plain Python."""

from __future__ import annotations

import unicodedata

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0xF900, 0xFAFF))


def is_chinese(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in CHINESE)


def is_punctuation(char: str) -> bool:
    return (char.isascii() and not char.isalnum() and "!" <= char <= "~") or unicodedata.category(char)[0] == "P"


def cleaned(text: str) -> str:
    kept = []
    for char in text:
        if char in "\t\n\r" or (char.isspace() and unicodedata.category(char)[0] != "C"):
            kept.append(" ")
        elif char not in "\0\ufffd" and unicodedata.category(char)[0] != "C":
            kept.append(char)
    return "".join(kept)


def normalised(text: str, clean: bool, chinese: bool, strip: bool, lower: bool) -> str:
    if clean:
        text = cleaned(text)
    if chinese:
        text = "".join(f" {char} " if is_chinese(char) else char for char in text)
    if strip:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    if lower:
        text = "".join(char.lower() for char in text)
    return text


def split(text: str) -> list[str]:
    words = []
    for part in text.split():
        word = ""
        for char in part:
            if is_punctuation(char):
                words += [word, char]
                word = ""
            else:
                word += char
        words.append(word)
    return [word for word in words if word]


def pieces(word: str, vocabulary: dict[str, int], unknown: int, most: int) -> list[int]:
    if len(word) > most:
        return [unknown]
    found, start = [], 0
    while start < len(word):
        for stop in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:stop]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                start = stop
                break
        else:
            return [unknown]
    return found


def tokenise(
    text: str, vocabulary: dict[str, int], setting: tuple[bool, bool, bool, bool], added: dict[str, int], most: int
) -> list[int]:
    """Token numbers; added tokens are cut out of the raw text first, leftmost, then longest."""
    found = []
    start = i = 0
    while i <= len(text):
        here = max((token for token in added if text.startswith(token, i)), key=len, default=None)
        if here is not None or i == len(text):
            for word in split(normalised(text[start:i], *setting)):
                found += pieces(word, vocabulary, vocabulary["[UNK]"], most)
            if here is None:
                break
            found.append(added[here])
            i += len(here)
            start = i
        else:
            i += 1
    return found


def head(
    text: str,
    vocabulary: dict[str, int],
    setting: tuple[bool, bool, bool, bool],
    added: dict[str, int],
    most: int,
    limit: int,
) -> tuple[list[int], int, bool]:
    """The first `limit` tokens, how many of them are unknown, and whether the text has more."""
    found = tokenise(text, vocabulary, setting, added, most)
    return found[:limit], found[:limit].count(vocabulary["[UNK]"]), len(found) > limit
