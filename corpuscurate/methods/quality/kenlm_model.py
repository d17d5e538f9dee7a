"""Reading n-gram language models: ARPA files, and KenLM's binary files with probing hash tables, without KenLM.

The binary layout is that of KenLM's format version 5 (`lm/binary_format.cc`, `lm/vocab.hh`, `lm/search_hashed.hh`): a
header, the vocabulary's table, unigrams, a table for each greater length, all little-endian. Its file is mapped, not
loaded. An ARPA file is parsed, and the same tables are made of it in memory; large ones are better turned into a binary
file once, by KenLM's `build_binary`. Sizes in a file are held against its own size before they are used.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import InputError
from corpuscurate.kernels.text.ngram_lm import (
    LONGEST_WIDTH,
    MAX_ORDER,
    MIDDLE_WIDTH,
    VOCABULARY_WIDTH,
    Tables,
    find_word,
    insert_ngrams,
    insert_words,
    mark_extended,
)
from corpuscurate.methods.user_files import state_of, user_digest

WHAT = "the language model"
MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_ANY_MAGIC = b"mmap lm http://kheafield.com/code"
_KINDS = (
    "probing hash tables",
    "probing hash tables with rest costs",
    "a trie",
    "a trie with quantization",
    "a trie with array-compressed pointers",
    "a trie with quantization and array-compressed pointers",
)
_FIXED = struct.Struct("<B3xfiI I".replace(" ", ""))
_MAGIC_BYTES = -(-(len(MAGIC) + 1) // 8) * 8
_SANITY_BYTES = _MAGIC_BYTES + 6 * 4 + 8
MULTIPLIER = 1.5
"""Rows of a table for each n-gram, KenLM's default."""
UNKNOWN_LOG10 = -100.0
"""The probability of unknown words where the model has none, KenLM's default."""
_UNKNOWN = (b"<unk>", b"<UNK>")


class Layout(NamedTuple):
    """Where the tables lie in an image, in units of 4 bytes; `Tables` without its arrays. end: the units of all."""

    vocabulary: int
    unigrams: int
    starts: tuple[int, ...]
    buckets: tuple[int, ...]
    end: int


def model_digest(path: str) -> str:
    """The digest of a model's file. Raises InputError."""
    return user_digest(path, WHAT)


def read_model(path: str) -> Tables:
    """The model of a file, remembered while its size and time of change stay. Raises InputError."""
    return _model_of(path, *state_of(path, WHAT))


@lru_cache(2)
def _model_of(path: str, size: int, changed: int) -> Tables:
    with Path(path).open("rb") as file:
        head = file.read(_SANITY_BYTES)
        if head.startswith(_ANY_MAGIC):
            if size <= _SANITY_BYTES:
                raise _damaged(path, "it ends within its header")
            return _mapped(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if head.lstrip().startswith(b"\\data\\"):
        return _from_arpa(path)
    raise InputError(
        f"{WHAT} {path!r} is neither an ARPA file nor a binary file of KenLM: expected `\\data\\` or KenLM's header"
    )


def _damaged(path: str, why: str) -> InputError:
    return InputError(f"{WHAT} {path!r} is damaged: {why}. Copy it again, or make it again with KenLM's build_binary")


def buckets_for(rows: int, multiplier: float) -> int:
    """The rows of a table for so many entries, as KenLM computes them, in float32."""
    return max(rows + 1, int(np.float32(multiplier) * np.float32(rows)))


def layout(counts: tuple[int, ...], multiplier: float) -> Layout:
    """Where the tables of a model with so many n-grams of each length lie."""
    header = -(-(_SANITY_BYTES + _FIXED.size + 8 * len(counts)) // 8) * 8
    buckets = tuple(buckets_for(count, multiplier) for count in counts)
    vocabulary = header // 4 + 2  # behind its version and the number of words
    unigrams = vocabulary + VOCABULARY_WIDTH * buckets[0]
    starts = [unigrams + 2 * (counts[0] + 1)]
    for number in buckets[1:-1]:
        starts.append(starts[-1] + MIDDLE_WIDTH * number)
    return Layout(vocabulary, unigrams, tuple(starts), buckets, starts[-1] + LONGEST_WIDTH * buckets[-1])


def header_bytes(counts: tuple[int, ...], multiplier: float) -> bytes:
    """The header of a binary file with these counts, without words at its end."""
    sanity = MAGIC.ljust(_MAGIC_BYTES, b"\0") + struct.pack("<3f3IQ", 0, 1, -0.5, 1, 2**32 - 1, 0, 1)
    whole = sanity + _FIXED.pack(len(counts), multiplier, 0, 0, 0) + struct.pack(f"<{len(counts)}Q", *counts)
    return whole.ljust(-(-len(whole) // 8) * 8, b"\0")


def _mapped(path: str, image: mmap.mmap) -> Tables:
    if image[: len(MAGIC)] != MAGIC:
        raise InputError(
            f"{WHAT} {path!r} is a binary file of another version of KenLM, or one that was not finished: expected"
            " version 5. Make it again with build_binary"
        )
    size = len(image)
    if size < _SANITY_BYTES + _FIXED.size:
        raise _damaged(path, "it ends within its header")
    order, multiplier, kind, _, _ = _FIXED.unpack_from(image, _SANITY_BYTES)
    if kind != 0:
        named = _KINDS[kind] if 0 <= kind < len(_KINDS) else f"kind {kind}"
        raise InputError(
            f"{WHAT} {path!r} is a binary file with {named}; expected probing hash tables, KenLM's default. Make it"
            " again from the ARPA file with `build_binary probing model.arpa model.bin`, or name the ARPA file"
        )
    if not 2 <= order <= MAX_ORDER:
        raise InputError(f"{WHAT} {path!r} has order {order}; expected 2 to {MAX_ORDER}")
    if size < _SANITY_BYTES + _FIXED.size + 8 * order or not 1 <= multiplier < 1e6:
        raise _damaged(path, "its header holds impossible numbers")
    counts = struct.unpack_from(f"<{order}Q", image, _SANITY_BYTES + _FIXED.size)
    if max(counts) > size:
        raise _damaged(path, f"its header tells of {max(counts)} n-grams, more than the file has bytes")
    there = layout(counts, multiplier)
    if 4 * there.end > size:
        raise _damaged(path, f"it has {size} bytes, and its header tells of {4 * there.end}")
    units = np.frombuffer(image, np.uint32, there.end)
    found = _tables(units, there)
    numbers = units[there.vocabulary : there.unigrams].reshape(-1, VOCABULARY_WIDTH)[:, 2]
    if int(numbers.max()) > counts[0]:
        raise _damaged(path, "a word in it has no probability")
    return found


def _tables(units: NDArray[np.uint32], there: Layout) -> Tables:
    """Of an image; raises nothing. Arrays are read-only, so that kernels are compiled for one type."""
    units.flags.writeable = False
    starts = np.array(there.starts, np.int64)
    buckets = np.array(there.buckets, np.uint64)
    for array in (starts, buckets):
        array.flags.writeable = False
    begin, end = (_number(units, there, word) for word in (b"<s>", b"</s>"))
    return Tables(
        len(there.buckets), units, units.view(np.float32), there.vocabulary, there.unigrams, starts, buckets, begin, end
    )


def _number(units: NDArray[np.uint32], there: Layout, word: bytes) -> int:
    data = np.frombuffer(word, np.uint8)
    return int(find_word(data, units, there.vocabulary, np.uint64(there.buckets[0])))


class Ngrams(NamedTuple):
    """The n-grams of a length. words: int64[rows, n], numbers; probabilities, backoffs: float32[rows]."""

    words: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    backoffs: NDArray[np.float32]


def _from_arpa(path: str) -> Tables:
    counts, words, lengths = parse_arpa(path)
    return _tables(arpa_image(path, counts, words, lengths), layout(counts, MULTIPLIER))


def arpa_image(path: str, counts: tuple[int, ...], words: list[bytes], lengths: list[Ngrams]) -> NDArray[np.uint32]:
    """The image of a model: header, tables. words: those with the numbers 1, 2, ...; path: for messages.

    Raises InputError for n-grams without the shorter one at their end, which build_binary would fill in.
    """
    there = layout(counts, MULTIPLIER)
    units = np.zeros(there.end, np.uint32)
    floats = units.view(np.float32)
    header = np.frombuffer(header_bytes(counts, MULTIPLIER), np.uint32)
    units[: len(header)] = header
    units[there.vocabulary - 1] = len(words) + 1
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
    data = np.frombuffer(b"".join(words) + bytes(8), np.uint8)
    numbers = np.arange(1, len(words) + 1)
    insert_words(offsets, data, numbers, there.vocabulary, np.uint64(there.buckets[0]), units)
    first = lengths[0]
    rows = first.words[:, 0]
    floats[there.unigrams] = UNKNOWN_LOG10
    floats[there.unigrams + 2 * rows] = first.probabilities
    floats[there.unigrams + 2 * rows + 1] = first.backoffs
    for at, found in enumerate(lengths[1:]):
        n = at + 2
        buckets = np.uint64(there.buckets[at + 1])
        longest = n == len(counts)
        insert_ngrams(*found, there.starts[at], buckets, longest, units, floats)
        if n == 2:
            last = there.unigrams + 2 * found.words[:, 1]
            floats[last] = np.abs(floats[last])
        else:
            gap = mark_extended(found.words, there.starts[at - 1], np.uint64(there.buckets[at]), units, floats)
            if gap >= 0:
                named = b" ".join(words[number - 1] if number else b"<unk>" for number in found.words[gap]).decode()
                raise InputError(
                    f"{WHAT} {path!r} has the {n}-gram {named!r} without the {n - 1}-gram at its end. Make a binary"
                    " file of it with KenLM's build_binary, which fills such gaps in, and name that"
                )
    return units


def parse_arpa(path: str) -> tuple[tuple[int, ...], list[bytes], list[Ngrams]]:
    """The counts of an ARPA file, its words but <unk>, in their order, and its n-grams. Raises InputError."""
    with Path(path).open("rb") as file:
        lines = _Lines(path, enumerate(file, 1))
        counts = _counts(lines)
        numbers: dict[bytes, int] = dict.fromkeys(_UNKNOWN, 0)
        lengths = [_section(lines, n, count, numbers) for n, count in enumerate(counts, 1)]
        if lines.next_filled() != b"\\end\\":
            raise lines.wrong("expected \\end\\ after the last n-gram")
    return counts, list(numbers)[len(_UNKNOWN) :], lengths


class _Lines:
    """Lines of an ARPA file, and errors that name them."""

    def __init__(self, path: str, lines: Iterator[tuple[int, bytes]]) -> None:
        self._path, self._lines, self.number = path, lines, 0

    def next_filled(self) -> bytes:
        """The next line that is not blank, without white space at its ends; b"" at the end of the file."""
        for number, line in self._lines:
            self.number = number
            if stripped := line.strip():
                return stripped
        return b""

    def wrong(self, what: str) -> InputError:
        """An error about the last line."""
        return InputError(f"{WHAT} {self._path!r}, line {self.number}: {what}")


def _counts(lines: _Lines) -> tuple[int, ...]:
    if lines.next_filled() != b"\\data\\":
        raise lines.wrong("expected \\data\\")
    counts: list[int] = []
    while (line := lines.next_filled()).startswith(b"ngram"):
        try:
            n, count = (int(part) for part in line[5:].split(b"="))
        except ValueError:
            raise lines.wrong("expected `ngram N=count`") from None
        if n != len(counts) + 1 or count < 0:
            raise lines.wrong(f"expected the count of {len(counts) + 1}-grams")
        counts.append(count)
    if line != b"\\1-grams:" or not 2 <= len(counts) <= MAX_ORDER or not counts[0]:
        raise lines.wrong(f"expected counts of 1-grams to N-grams, N from 2 to {MAX_ORDER}, and then \\1-grams:")
    return tuple(counts)


def _section(lines: _Lines, n: int, count: int, numbers: dict[bytes, int]) -> Ngrams:
    if n > 1 and lines.next_filled() != f"\\{n}-grams:".encode():
        raise lines.wrong(f"expected \\{n}-grams: after {n - 1}-grams as many as their count says")
    words: list[list[int]] = []
    values: list[tuple[float, float]] = []
    for _ in range(count):
        parts = lines.next_filled().split()
        try:
            if len(parts) not in (n + 1, n + 2):
                raise ValueError
            values.append((float(parts[0]), float(parts[n + 1]) if len(parts) == n + 2 else 0.0))
        except ValueError:
            raise lines.wrong(f"expected log10 probability, {n} words, and perhaps a back-off weight") from None
        if n == 1:
            _add(lines, parts[1], numbers)
        try:
            words.append([numbers[word] for word in parts[1 : n + 1]])
        except KeyError:
            raise lines.wrong("a word of it is not among the 1-grams") from None
    found = np.array(values, np.float64).reshape(-1, 2)
    if not (found[:, 0] <= 0).all():
        raise lines.wrong(f"a {n}-gram before it has a log10 probability above 0")
    return Ngrams(
        np.array(words, np.int64).reshape(-1, n), found[:, 0].astype(np.float32), found[:, 1].astype(np.float32)
    )


def _add(lines: _Lines, word: bytes, numbers: dict[bytes, int]) -> None:
    """Give a word the next number."""
    if word not in numbers:
        numbers[word] = len(numbers) - len(_UNKNOWN) + 1
    elif word not in _UNKNOWN:
        raise lines.wrong("this word has a line already")
