"""`nemotron_quality`: the English heuristic filters of NeMo Curator, as in Nemotron-CC."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import lengths_bytes, text_buffers
from corpuscurate.core.filter import Filter
from corpuscurate.kernels.text.automaton import Automaton, automaton
from corpuscurate.kernels.text.interning import SEED, make_ids
from corpuscurate.kernels.text.lower_nfd import lower_tables
from corpuscurate.kernels.text.nemotron import COUNTS, ELLIPSES, byte_classes, count_nemotron
from corpuscurate.kernels.text.nemotron_repetition import REPETITION, count_repetition
from corpuscurate.kernels.text.phrase_sets import PhraseSet, phrase_set
from corpuscurate.kernels.text.unicode import tables

COMMON_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
BOILERPLATE = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "necessary cookies are absolutely essential for the website to function properly. this category only includes"
    " cookies that ensures basic functionalities and security features of the website. these cookies do not store"
    " any personal information.",
    "any cookies that may not be particularly necessary for the website to function and is used specifically to collect"
    " user personal data via analytics, ads, other embedded contents are termed as non-necessary cookies. it is"
    " mandatory to procure user consent prior to running these cookies on your website.",
    "if you continue to browse this site without changing your cookie settings, you agree to this use. acceptread more",
)
"""Those of NeMo Curator, without two that contain one of these."""
TOP, REPEATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_phrases(phrases: tuple[str, ...]) -> tuple[str, ...]:
    for phrase in phrases:
        if not phrase or "\n\n" in phrase:
            raise ValueError(f"phrase {phrase!r} can be in no paragraph: it is empty, or has the border of two in it")
    return phrases


def _check_words(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        if len(word.split()) != 1 or word != word.strip():
            raise ValueError(f"word {word!r} can never be met: words are parted by white space")
    return words


Phrases = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_phrases)]
CommonWords = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_words)]


@cache
def _set(phrases: tuple[str, ...]) -> PhraseSet:
    return phrase_set(phrases)


@cache
def _automaton(phrases: tuple[str, ...]) -> Automaton:
    return automaton(phrases, ("lorem ipsum",))


@cache
def _classes() -> NDArray[np.uint8]:
    return byte_classes()


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64], empty: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(whole), float(empty)), where=whole > 0)
    return found


class NemotronQuality(Filter):
    """Drops documents by the 27 heuristics of NeMo Curator's English pipeline, which Nemotron-CC was filtered with.

    Rules, thresholds and order are those of its configuration, each bound a parameter (null: without it). The paper
    applies them only to the documents that its classifiers do not count as high quality, for there they cost good
    tokens: in `mode: tag`, a `where` behind it can spare those. Its perplexity filter is the stage `perplexity`.

    - A word is what white space parts (`str.split()`), a line what line feeds part, without those of white space alone,
      a paragraph what "\\n\\n" parts. Characters are code points.
    - Documents without characters, words or lines have the measures that are dropped, as there.
    - "Alphanumeric" are a-z, A-Z, 0-9, the line feed and "?!,."; spaces are not. Letters of words are `str.isalpha()`;
      Curator's also has vowel signs and letter numbers.
    - A URL ends at its first "/" behind the host, as the regular expression there has it.
    - Repetition as there: shares of different lines and paragraphs; the most frequent n-gram wherever its words joined
      by single spaces stand in the text, of equally frequent ones the first (there, by chance); n-grams of 5 to 10
      words that occurred before, with the spaces between, each word once. Documents shorter than n words have 0
      (there: 1).
    - Phrases are compared with A to Z taken for a to z. "lorem ipsum" anywhere makes all paragraphs boilerplate.
    """

    word = "nemotron_quality"
    source = (
        "Su et al. 2024 (Nemotron-CC), arXiv 2412.02595, section 2; github.com/NVIDIA-NeMo/Curator,"
        " nemo_curator/config/text/heuristic_filter_english_pipeline.yaml"
    )
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "non_alphanumeric_ratio": pa.float64(),
        "symbol_word_ratio": pa.float64(),
        "digit_ratio": pa.float64(),
        "url_ratio": pa.float64(),
        "white_space_ratio": pa.float64(),
        "parenthesis_ratio": pa.float64(),
        "boilerplate_ratio": pa.float64(),
        "unique_line_ratio": pa.float64(),
        "unique_paragraph_ratio": pa.float64(),
        "unique_line_char_ratio": pa.float64(),
        "unique_paragraph_char_ratio": pa.float64(),
        "words": pa.int64(),
        "open_line_ratio": pa.float64(),
        "alphabetic_word_ratio": pa.float64(),
        "common_words": pa.int64(),
        "mean_word_length": pa.float64(),
        "longest_word": pa.int64(),
        "ellipsis_line_ratio": pa.float64(),
        **{f"top_{n}gram_ratio": pa.float64() for n in TOP},
        **{f"dup_{n}gram_ratio": pa.float64() for n in REPEATED},
        "bullet_line_ratio": pa.float64(),
    }

    max_non_alphanumeric_ratio: float | None = Field(
        0.25, description="greatest share of characters other than a-z, A-Z, 0-9, ?!,. and line feeds", ge=0, le=1
    )
    max_symbol_word_ratio: float | None = Field(
        0.1, description='greatest share of words that are an ellipsis or mostly "#"', ge=0, le=1
    )
    max_digit_ratio: float | None = Field(0.15, description="greatest share of digits", ge=0, le=1)
    max_url_ratio: float | None = Field(0.2, description="greatest share of characters in URLs", ge=0, le=1)
    max_white_space_ratio: float | None = Field(0.25, description="greatest share of white space", ge=0, le=1)
    max_parenthesis_ratio: float | None = Field(0.1, description="greatest share of parentheses", ge=0, le=1)
    max_boilerplate_ratio: float | None = Field(
        0.4, description="greatest share of paragraphs with a phrase of boilerplate", ge=0, le=1
    )
    min_unique_line_ratio: float | None = Field(0.7, description="least share of different lines", ge=0, le=1)
    min_unique_paragraph_ratio: float | None = Field(0.7, description="least share of different paragraphs", ge=0, le=1)
    min_unique_line_char_ratio: float | None = Field(
        0.8, description="least share of the characters of different lines", ge=0, le=1
    )
    min_unique_paragraph_char_ratio: float | None = Field(
        0.8, description="least share of the characters of different paragraphs", ge=0, le=1
    )
    min_words: int | None = Field(50, description="fewest words", ge=0)
    max_words: int | None = Field(100_000, description="most words", ge=0)
    max_open_line_ratio: float | None = Field(
        0.85, description="greatest share of lines that end in no mark (. ? ! \" ')", ge=0, le=1
    )
    min_alphabetic_word_ratio: float | None = Field(0.8, description="least share of words with a letter", ge=0, le=1)
    min_common_words: int | None = Field(2, description="fewest common words, each occurrence counted", ge=0)
    min_mean_word_length: float | None = Field(3, description="least mean length of a word in characters", ge=0)
    max_mean_word_length: float | None = Field(10, description="greatest mean length of a word in characters", ge=0)
    max_longest_word: int | None = Field(1000, description="most characters of a word", ge=0)
    max_ellipsis_line_ratio: float | None = Field(
        0.3, description="greatest share of lines that end with an ellipsis", ge=0, le=1
    )
    max_top_2gram_ratio: float | None = Field(0.2, description="greatest share of the top 2-gram", ge=0, le=1)
    max_top_3gram_ratio: float | None = Field(0.18, description="greatest share of the top 3-gram", ge=0, le=1)
    max_top_4gram_ratio: float | None = Field(0.16, description="greatest share of the top 4-gram", ge=0, le=1)
    max_dup_5gram_ratio: float | None = Field(0.15, description="greatest share of repeated 5-grams", ge=0, le=1)
    max_dup_6gram_ratio: float | None = Field(0.14, description="greatest share of repeated 6-grams", ge=0, le=1)
    max_dup_7gram_ratio: float | None = Field(0.13, description="greatest share of repeated 7-grams", ge=0, le=1)
    max_dup_8gram_ratio: float | None = Field(0.12, description="greatest share of repeated 8-grams", ge=0, le=1)
    max_dup_9gram_ratio: float | None = Field(0.11, description="greatest share of repeated 9-grams", ge=0, le=1)
    max_dup_10gram_ratio: float | None = Field(0.1, description="greatest share of repeated 10-grams", ge=0, le=1)
    max_bullet_line_ratio: float | None = Field(
        0.9, description="greatest share of lines that begin with a bullet", ge=0, le=1
    )
    common_words: CommonWords = Field(COMMON_WORDS, description="the common words, in lower case as they are compared")
    boilerplate: Phrases = Field(BOILERPLATE, description="phrases of boilerplate")

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures, repetition where one of its rules is in force."""
        counts = np.empty((len(batch), len(COUNTS)), np.int64)
        count_nemotron(
            *(*text_buffers(batch.text), tables(), lower_tables(), _classes(), _set(ELLIPSES), _set(self.common_words)),
            *(_automaton(self.boilerplate), counts),
        )
        column = dict(zip(COUNTS, counts.T, strict=True))
        characters, words, lines = column["characters"], column["words"], column["lines"]
        return {
            "non_alphanumeric_ratio": _ratio(characters - column["plain"], characters, 1),
            "symbol_word_ratio": _ratio(column["symbol_words"], words, 1),
            "digit_ratio": _ratio(column["digits"], characters, 1),
            "url_ratio": _ratio(column["url_characters"], characters, 1),
            "white_space_ratio": _ratio(column["blanks"], characters, 1),
            "parenthesis_ratio": _ratio(column["parentheses"], characters, 1),
            "boilerplate_ratio": _ratio(column["boilerplate"], column["paragraphs"], 0),
            "words": words,
            "open_line_ratio": _ratio(column["open_lines"], lines, 1),
            "alphabetic_word_ratio": _ratio(column["alphabetic_words"], words, 0),
            "common_words": column["common_words"],
            "mean_word_length": _ratio(column["word_characters"], words, 0),
            "longest_word": column["longest_word"],
            "ellipsis_line_ratio": _ratio(column["ellipsis_lines"], lines, 1),
            "bullet_line_ratio": _ratio(column["bullet_lines"], lines, 1),
            **(self._repetition(batch, words, characters) if self._wants_repetition() else {}),
        }

    def _wants_repetition(self) -> bool:
        names = (name for name in self.measured if name.startswith(("unique_", "top_", "dup_")))
        return any(self.wants(name) for name in names)

    def _repetition(
        self, batch: Batch, words: NDArray[np.int64], characters: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        most = int(lengths_bytes(batch.text).max(initial=0))
        room = most // 2 + 2
        counts = np.empty((len(batch), len(REPETITION)), np.int64)
        starts, stops, chars = (np.empty(room, np.int64) for _ in range(3))
        joined = np.empty(most + 4, np.uint8)
        count_repetition(
            *text_buffers(batch.text), tables(), SEED, starts, stops, chars, joined, make_ids(room), counts
        )
        column = dict(zip(REPETITION, counts.T, strict=True))
        blank = words == 0
        paragraphs = {
            "unique_paragraph_ratio": _ratio(column["unique_paragraphs"], column["paragraphs"], 0),
            "unique_paragraph_char_ratio": _ratio(
                column["unique_paragraph_characters"], column["paragraph_characters"], 0
            ),
        }
        return {
            "unique_line_ratio": _ratio(column["unique_lines"], column["lines"], 0),
            "unique_line_char_ratio": _ratio(column["unique_line_characters"], column["line_characters"], 0),
            **{name: np.where(blank, 0.0, values) for name, values in paragraphs.items()},
            **{f"top_{n}gram_ratio": _ratio(column[f"top_{n}"], characters, 0) for n in TOP},
            **{f"dup_{n}gram_ratio": _ratio(column[f"repeated_{n}"], characters, 0) for n in REPEATED},
        }
