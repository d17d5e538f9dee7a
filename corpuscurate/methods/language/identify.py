"""The languages of a batch of texts: prepared as the model wants them, identified as wholes and in parts."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.language.scripts import ALL_UPPER, script_tables, survey
from corpuscurate.kernels.language.spans import cut_spans, part_spans
from corpuscurate.methods.language.models import Found, LanguageModel, TextSpans

PART_BYTES = 128
"""Bytes of a part of a document: of so many a model tells the language nearly as well as of a page."""
PART_EVERY = 256
"""Bytes of a document for each part: at most half of it is looked at twice."""
SURE = 0.8
"""The least score for which the language of a part counts."""


@dataclass(frozen=True, slots=True)
class Identified:
    """found: of the whole texts. scripts: int16[n], numbers of `script_codes()`. second: int64[n], the label that most
    parts have which are sure and of none of the languages alike to the text's, -1 for none. second_ratio: float64[n],
    its share of the parts."""

    found: Found
    scripts: NDArray[np.int16]
    second: NDArray[np.int64]
    second_ratio: NDArray[np.float64]


def identify(
    text: pa.LargeStringArray,
    model: LanguageModel,
    label_of: NDArray[np.int64],
    alike: NDArray[np.int64],
    *,
    max_bytes: int,
    parts: int,
) -> Identified:
    """Identify texts. label_of: int64[labels of the model], those that count as one have one number. alike:
    int64[numbers], equal where two are hard to tell apart, -1 for what is no language. max_bytes: most bytes of a text
    that are looked at, 0: all. parts: most parts of a text."""
    spans, scripts = _prepared(text, model.normalises, max_bytes)
    found = model.identify(spans, label_of)
    second, ratio = _second(spans, found, model, label_of, alike, parts)
    return Identified(found, scripts, second, ratio)


def _read_only(array: NDArray[np.int64]) -> NDArray[np.int64]:
    array.setflags(write=False)
    return array


def _prepared(text: pa.LargeStringArray, normalises: bool, max_bytes: int) -> tuple[TextSpans, NDArray[np.int16]]:
    """The spans of the texts, and the scripts. Texts that are not in the form that the model wants are put into it."""
    offsets, data = text_buffers(text)
    starts, stops = offsets[:-1], np.empty(len(text), np.int64)
    cut_spans(starts, offsets[1:], data, max_bytes, stops)
    _read_only(stops)
    needs, scripts = np.empty(len(text), np.uint8), np.empty(len(text), np.int16)
    survey(starts, stops, data, script_tables(), needs, scripts)
    rows = np.flatnonzero(needs) if normalises else np.zeros(0, np.int64)
    if not len(rows):
        return TextSpans(starts, stops, data), scripts
    made = [_normalised(data[starts[row] : stops[row]], bool(needs[row] & ALL_UPPER)) for row in rows.tolist()]
    ends = np.cumsum([len(each) for each in made]) + len(data)
    starts, stops = starts.copy(), stops.copy()
    starts[rows] = np.concatenate([[len(data)], ends[:-1]])
    stops[rows] = ends
    whole = np.frombuffer(data.tobytes() + b"".join(made), np.uint8)
    return TextSpans(_read_only(starts), _read_only(stops), whole), scripts


def _normalised(data: NDArray[np.uint8], upper: bool) -> bytes:
    """In NFC, and in lower case where all is in upper case: as py3langid prepares a text."""
    text = data.tobytes().decode()
    return unicodedata.normalize("NFC", text.lower() if upper else text).encode()


def _second(
    spans: TextSpans,
    found: Found,
    model: LanguageModel,
    label_of: NDArray[np.int64],
    alike: NDArray[np.int64],
    parts: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    size = len(spans.starts)
    second, ratio = np.full(size, -1, np.int64), np.zeros(size)
    counts = np.minimum((spans.stops - spans.starts) // PART_EVERY, parts)
    counts[counts < 2] = 0
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    if not first[-1]:
        return second, ratio
    starts, stops = np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)
    part_spans(spans.starts, spans.stops, spans.data, first, PART_BYTES, starts, stops)
    of_parts = model.identify(TextSpans(_read_only(starts), _read_only(stops), spans.data), label_of)
    owner, label = np.repeat(np.arange(size), counts), of_parts.labels[:, 0]
    mine = found.labels[owner, 0]
    sure = (of_parts.scores[:, 0] >= SURE) & (label >= 0) & (mine >= 0)
    sure &= (alike[label] >= 0) & (alike[label] != alike[mine])
    pairs, votes = np.unique(np.stack([owner[sure], label[sure]]), axis=1, return_counts=True)
    order = np.lexsort((-pairs[1], votes))  # the last one written for a text has most votes, and the lowest label
    second[pairs[0, order]] = pairs[1, order]
    ratio[pairs[0, order]] = votes[order] / counts[pairs[0, order]]
    return second, ratio
