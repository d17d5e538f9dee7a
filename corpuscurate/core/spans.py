"""Spans of bytes within the texts of a batch: its words, its lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.kernels.text.walks import count_lines, find_lines, find_words
from corpuscurate.kernels.text.words import count_words


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


def words_of(text: pa.LargeStringArray) -> Spans:
    """The Unicode words of each text, as `kernels.text.words` defines them."""
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
