"""The quality signals of RedPajama-v2 by name, from what the kernels count.

A signal is a function of counts: of a document (`raw`, `words`: int64[n] by name), or of a line. Values are exact
float64; RedPajama's own files have them rounded to 8 decimals. nan stands for RedPajama's None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import lengths_bytes, text_buffers
from corpuscurate.kernels.text.interning import SEED
from corpuscurate.kernels.text.lower_nfd import lower_tables
from corpuscurate.kernels.text.phrase_sets import PhraseSet, phrase_set
from corpuscurate.kernels.text.raw_signals import LINE_COUNTS, RAW_COUNTS, count_raw
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.kernels.text.walks import count_lines
from corpuscurate.kernels.text.word_signals import (
    COUNT,
    LONGER,
    NORMAL_LINE_COUNTS,
    NUMBER,
    REPEATED,
    TOP,
    WORD_COUNTS,
    count_words_normalised,
    make_scratch,
)

Values = NDArray[np.float64]
LINE_SIGNAL = pa.list_(pa.float64())
"""A value for each line, in their order."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the kernels count of n documents with m lines; what no signal asks for is left out.

    raw, words: int64[n] by RAW_COUNTS and WORD_COUNTS; entropy: float64[n]; raw_lines, word_lines: int64[m] by
    LINE_COUNTS and NORMAL_LINE_COUNTS; first: int64[n + 1], lines before each document.
    """

    raw: Mapping[str, NDArray[np.int64]]
    words: Mapping[str, NDArray[np.int64]]
    entropy: Values
    raw_lines: Mapping[str, NDArray[np.int64]]
    word_lines: Mapping[str, NDArray[np.int64]]
    first: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Signal:
    """value: of the counts. needs: "raw", or COUNT, NUMBER or LONGER, how much is counted of normalised words. lines:
    whether it has a value a line. list: the parameter that names the list that it needs."""

    value: Callable[[Counts], Values]
    needs: str | int
    lines: bool = False
    list: str | None = None


def _share(part: NDArray[np.int64], whole: NDArray[np.int64], empty: float) -> Values:
    found: Values = np.divide(part, whole, out=np.full(len(whole), empty), where=whole > 0)
    return found


def _raw(name: str) -> Signal:
    return Signal(lambda c: c.raw[name].astype(np.float64), "raw")


def _of_raw(part: str, whole: str = "words", empty: float = np.nan) -> Signal:
    return Signal(lambda c: _share(c.raw[part], c.raw[whole], empty), "raw")


def _words(name: str) -> Signal:
    return Signal(lambda c: c.words[name].astype(np.float64), COUNT)


def _of_words(part: str, whole: str, needs: int, empty: float) -> Signal:
    return Signal(lambda c: _share(c.words[part], c.words[whole], empty), needs)


def _raw_line(part: str, whole: str | None = None) -> Signal:
    def value(c: Counts) -> Values:
        lines = c.raw_lines
        return lines[part].astype(np.float64) if whole is None else _share(lines[part], lines[whole], 0.0)

    return Signal(value, "raw", lines=True)


def _word_line(part: str, whole: str | None = None) -> Signal:
    def value(c: Counts) -> Values:
        lines = c.word_lines
        return lines[part].astype(np.float64) if whole is None else _share(lines[part], lines[whole], 0.0)

    return Signal(value, COUNT, lines=True)


def _no_latin(c: Counts) -> Values:
    return 1.0 - _share(c.raw["latin_words"], c.raw["words"], np.nan)


def _stop_words(c: Counts) -> Values:
    """0 where there is no normalised word, though there may be signs."""
    return np.where(c.words["words"] == 0, 0.0, _share(c.raw["listed_words"], c.raw["words"], 0.0))


def _entropy(c: Counts) -> Values:
    return np.where(c.words["words"] == 0, np.nan, c.entropy)


SIGNALS: Mapping[str, Signal] = {
    "ccnet_length": _raw("characters"),
    "ccnet_nlines": Signal(lambda c: (c.raw["line_feeds"] + 1).astype(np.float64), "raw"),
    "rps_doc_curly_bracket": _of_raw("brackets", "characters", 0.0),
    "rps_doc_frac_all_caps_words": _of_raw("upper_words"),
    **{f"rps_doc_frac_chars_dupe_{n}grams": _of_words(f"repeated_{n}", "characters", LONGER, 0.0) for n in REPEATED},
    **{f"rps_doc_frac_chars_top_{n}gram": _of_words(f"top_{n}", "characters", LONGER, 0.0) for n in TOP},
    "rps_doc_frac_lines_end_with_ellipsis": _of_raw("ellipsis_lines", "lines"),
    "rps_doc_frac_no_alph_words": Signal(_no_latin, "raw"),
    "rps_doc_frac_unique_words": _of_words("distinct", "words", NUMBER, np.nan),
    "rps_doc_ldnoobw_words": Signal(lambda c: c.words["listed"].astype(np.float64), COUNT, list="bad_words"),
    "rps_doc_lorem_ipsum": _of_words("lorem", "length", COUNT, 0.0),
    "rps_doc_mean_word_length": _of_words("characters", "words", COUNT, np.nan),
    "rps_doc_num_sentences": _raw("sentences"),
    "rps_doc_stop_word_fraction": Signal(_stop_words, COUNT, list="stop_words"),
    "rps_doc_symbol_to_word_ratio": _of_raw("symbols"),
    "rps_doc_unigram_entropy": Signal(_entropy, NUMBER),
    "rps_doc_word_count": _words("words"),
    "rps_lines_ending_with_terminal_punctution_mark": _raw_line("terminal"),
    "rps_lines_javascript_counts": _word_line("javascript"),
    "rps_lines_num_words": _word_line("words"),
    "rps_lines_numerical_chars_fraction": _word_line("numeric", "length"),
    "rps_lines_start_with_bulletpoint": _raw_line("bullet"),
    "rps_lines_uppercase_letter_fraction": _raw_line("uppercase", "characters"),
}
"""RedPajama's names, its spelling of punctuation included."""

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("ccnet_perplexity", "ccnet_bucket"), "the stage `perplexity` gives it, with your KenLM model"),
    "ccnet_language_score": "it is the score of a language identifier, which a stage of its own gives",
    **dict.fromkeys(
        ("ccnet_original_length", "ccnet_original_nlines"),
        "it is about the page before CCNet removed lines, which your text no longer shows",
    ),
    **dict.fromkeys(
        (
            "rps_doc_ml_wikiref_score",
            "rps_doc_ml_palm_score",
            "rps_doc_ml_wikipedia_score",
        ),
        "the stage `fasttext_quality` gives it, with your fastText model",
    ),
    **dict.fromkeys(
        (
            f"rps_doc_{target}_importance{correction}"
            for target in ("books", "openwebtext", "wikipedia")
            for correction in ("", "_length_correction")
        ),
        "the stage `importance` gives it, with your target and raw texts",
    ),
    "rps_doc_ut1_blacklist": "it is about the address, not the text: join the UT1 lists to your URL column",
}
"""Signals that RedPajama has besides, and where they come from."""


@lru_cache(8)
def _set_of(phrases: tuple[str, ...]) -> PhraseSet:
    return phrase_set(phrases)


def count(
    text: pa.LargeStringArray, names: tuple[str, ...], stop_words: tuple[str, ...], bad_words: tuple[str, ...]
) -> Counts:
    """All that the named signals need of the texts."""
    wanted = [SIGNALS[name] for name in names]
    offsets, data = text_buffers(text)
    lines = np.empty(len(text), np.int64)
    count_lines(offsets, data, lines)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(lines)])
    raw = np.zeros((len(text), len(RAW_COUNTS)), np.int64)
    raw_lines = np.zeros((first[-1], len(LINE_COUNTS)), np.int64)
    if any(each.needs == "raw" or each.list == "stop_words" for each in wanted):
        count_raw(offsets, data, tables(), lower_tables(), _set_of(stop_words), first, raw_lines, raw)
    words = np.zeros((len(text), len(WORD_COUNTS)), np.int64)
    word_lines = np.zeros((first[-1], len(NORMAL_LINE_COUNTS)), np.int64)
    entropy = np.zeros(len(text))
    depths = [each.needs for each in wanted if isinstance(each.needs, int)]
    if depths:
        scratch, ids = make_scratch(int(lengths_bytes(text).max(initial=0)))
        count_words_normalised(
            *(offsets, data, tables(), lower_tables(), _set_of(bad_words), max(depths), SEED),
            *(scratch, ids, first, word_lines, entropy, words),
        )
    return Counts(
        _named(RAW_COUNTS, raw),
        _named(WORD_COUNTS, words),
        entropy,
        _named(LINE_COUNTS, raw_lines),
        _named(NORMAL_LINE_COUNTS, word_lines),
        first,
    )


def _named(names: tuple[str, ...], table: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    return dict(zip(names, table.T, strict=True))


def column(name: str, counts: Counts) -> pa.Array:
    """The column of a signal: float64, or a list of them for one a line."""
    values = SIGNALS[name].value(counts)
    if not SIGNALS[name].lines:
        return pa.array(values, pa.float64(), from_pandas=True)
    return pa.ListArray.from_arrays(pa.array(counts.first, pa.int32()), pa.array(values), type=LINE_SIGNAL)
