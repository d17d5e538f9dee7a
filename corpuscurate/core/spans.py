"""Spans of bytes within the texts of a batch: its words, its lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.tokens import find_runs, find_tokens, token_classes
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.kernels.text.walks import count_lines, find_lines, find_words
from corpuscurate.kernels.text.words import count_words

WordKind = Literal["unicode", "runs", "tokens"]
"""What a word is. unicode: letters, digits and marks (`kernels.text.unicode`). runs: what white space parts, as
`str.split()`. tokens: these cut as spaCy's blank English tokenizer does, nearly (`kernels.text.tokens`)."""

BYTES_A_WORD = 4
"""Room for words at first: English text has some 5 to 6 bytes for each, white space included."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of n texts: text i has the spans first[i] .. first[i + 1] - 1.

    first: int64[n + 1], from 0. starts, stops: int64[k], bytes of the text's own buffer as `text_buffers` gives it, so
    that a kernel takes `data`, `starts` and `stops` as they are.
    """

    first: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Spans of each text, int64[n]."""
        return np.diff(self.first)

    def kept(self, mask: NDArray[np.bool_], before: NDArray[np.int64], after: NDArray[np.int64]) -> Spans:
        """The spans of the texts where `mask` is True, in the buffer that has these texts alone.

        before: offsets of all texts, int64[n + 1]; after: those of the texts that are kept.
        """
        counts = self.counts
        inside = np.repeat(mask, counts)
        shift = np.repeat(after[:-1] - before[:-1][mask], counts[mask])
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[mask])])
        return Spans(first, self.starts[inside] + shift, self.stops[inside] + shift)


def words_of(text: pa.LargeStringArray, kind: WordKind = "unicode") -> Spans:
    """The words of each text."""
    if kind == "runs":
        return _found(text, find_runs)
    if kind == "tokens":
        return _found(text, find_tokens)
    offsets, data = text_buffers(text)
    counts = np.empty(len(text), np.int64)
    count_words(offsets, data, tables(), counts)
    first, starts, stops = _room(counts)
    find_words(offsets, data, tables(), starts, stops)
    return Spans(first, starts, stops)


def lines_of(text: pa.LargeStringArray) -> Spans:
    """The lines of each text, parted by line feeds, which belong to none; a line feed at the end begins no line."""
    offsets, data = text_buffers(text)
    counts = np.empty(len(text), np.int64)
    count_lines(offsets, data, counts)
    first, starts, stops = _room(counts)
    find_lines(offsets, data, starts, stops)
    return Spans(first, starts, stops)


def _room(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return first, np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)


def _found(text: pa.LargeStringArray, find: Callable[..., Any]) -> Spans:
    """The spans that a kernel finds; once more with room for all where there was not enough."""
    offsets, data = text_buffers(text)
    first = np.empty(len(text) + 1, np.int64)
    room = int(offsets[-1] - offsets[0]) // BYTES_A_WORD + 16
    while True:
        starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)
        found = find(offsets, data, token_classes(), first, starts, stops)
        if found <= room:
            return Spans(first, starts[:found], stops[:found])
        room = found
