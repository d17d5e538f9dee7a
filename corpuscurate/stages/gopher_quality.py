"""`gopher_quality`: the quality filter of Gopher."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.gopher import STATISTICS, Strings, count_statistics, strings
from corpuscurate.kernels.text.gopher_tokens import STATISTICS as TOKEN_STATISTICS
from corpuscurate.kernels.text.gopher_tokens import count_token_statistics, statistic_classes
from corpuscurate.kernels.text.unicode import MARK, WORD, flags_of, tables, visible
from corpuscurate.methods.language.by_language import ByLanguage, Languages, scattered
from corpuscurate.methods.language.fineweb2 import Fineweb2Row

BULLETS = ("•", "‣", "⁃", "◦", "▪", "●", "■", "-", "*")
DATATROVE_BULLETS = ("•", "-")
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_bullets(bullets: tuple[str, ...]) -> tuple[str, ...]:
    for bullet in bullets:
        if not bullet or bullet[0].isspace() or "\n" in bullet:
            raise ValueError(f"bullet {bullet!r} can begin no line: leading white space is not compared")
    return bullets


def _belongs_to_word(char: str) -> bool:
    return bool(flags_of(tables(), ord(char)) & (WORD | MARK))


def _check_stop_words(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        seen = visible(word)
        if not seen or len(seen.split()) != 1 or not (_belongs_to_word(seen[0]) and _belongs_to_word(seen[-1])):
            raise ValueError(
                f"stop word {word!r} can never be met: words are compared without white space and without the "
                "punctuation at their ends"
            )
    return words


Bullets = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_bullets)]
StopWords = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_stop_words)]


@cache
def _lookup(values: tuple[str, ...]) -> Strings:
    return strings(values)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


class GopherQuality(ByLanguage):
    """Drops documents that are too short or too long, or that look like lists, menus, tables, code or not English.

    The rules of the paper in its order, each bound a parameter (null: without it). Where the paper is silent,
    `convention: paper` (default) means:
    - A word is what white space parts (`str.split()`), punctuation included: the rule that 80 % of words hold a letter
      makes sense for such words alone. Its length is in code points. So scripts written without spaces need other
      bounds (max_mean_word_length, min_words) and, like every language but English, other stop_words.
    - A ratio of symbols counts every "#", and every "…" or "..." (not overlapping), for each word.
    - Lines end at a line feed; lines of white space alone are not counted. White space around a line is ignored.
    - A stop word counts once however often it occurs. Words are compared after `str.casefold()` and without what is
      neither alphanumeric nor a combining mark at their ends: "The," is "the". Soft hyphens, joiners and other
      invisible characters do not count there.
    - A document of no words has mean length and ratios 0.

    `convention: datatrove` decides as datatrove 0.10, with which FineWeb was made:
    - A word is a token of spaCy's blank English tokenizer, nearly: punctuation is cut from words and is tokens of its
      own, "don't" is two tokens, "well-known" three (`corpuscurate/kernels/text/tokens.py` has the steps). `words` and
      `mean_word_length` are of the tokens that have more than punctuation in them; the ratios of symbols and of
      alphabetic words are of all tokens, which is why many documents fail the latter that pass it by the paper.
    - Bullets are "•" and "-" unless `bullets` are given. Lines end at every end of line that Unicode has
      (`str.splitlines()`), and blank ones count.
    - Stop words are compared as they are, in the same case.
    Its names are min_doc_words, max_doc_words, min_avg_word_length, max_avg_word_length, max_symbol_word_ratio (for
    max_hash_ratio and max_ellipsis_ratio), max_bullet_lines_ratio, max_ellipsis_lines_ratio, min_stop_words; its
    max_non_alpha_words_ratio of 0.8 is min_alphabetic_word_ratio here, a least share. Its 0 is null here.

    `language: auto` takes the bounds of mean_word_length and alphabetic_word_ratio, and the stop words, from FineWeb-2
    for the language of each document; they are fitted to `convention: datatrove`.
    """

    word = "gopher_quality"
    version: ClassVar[int] = 2
    source = "Rae et al. 2021, arXiv 2112.11446, appendix A.1.1, Quality Filtering"
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "words": pa.int64(),
        "mean_word_length": pa.float64(),
        "hash_ratio": pa.float64(),
        "ellipsis_ratio": pa.float64(),
        "bullet_line_ratio": pa.float64(),
        "ellipsis_line_ratio": pa.float64(),
        "alphabetic_word_ratio": pa.float64(),
        "stop_words": pa.int64(),
    }

    of_words: ClassVar[frozenset[str]] = frozenset(
        f"{end}_{name}" for name in measured if not name.endswith("line_ratio") for end in ("min", "max")
    )
    of_stop_words: ClassVar[str] = "min_stop_words"

    convention: Literal["paper", "datatrove"] = Field("paper", description="whose reading of the rules")
    min_words: int | None = Field(50, description="fewest words", ge=0)
    max_words: int | None = Field(100_000, description="most words", ge=0)
    min_mean_word_length: float | None = Field(3, description="least mean length of a word in characters", ge=0)
    max_mean_word_length: float | None = Field(10, description="greatest mean length of a word in characters", ge=0)
    max_hash_ratio: float | None = Field(0.1, description='most "#" for each word', ge=0)
    max_ellipsis_ratio: float | None = Field(0.1, description='most "…" or "..." for each word', ge=0)
    max_bullet_line_ratio: float | None = Field(0.9, description="greatest share of lines with a bullet", ge=0, le=1)
    max_ellipsis_line_ratio: float | None = Field(
        0.3, description="greatest share of lines that end with an ellipsis", ge=0, le=1
    )
    min_alphabetic_word_ratio: float | None = Field(
        0.8, description="least share of words with a letter (Unicode alphabetic character)", ge=0, le=1
    )
    min_stop_words: int | None = Field(2, description="fewest different stop words", ge=0)
    bullets: Bullets = Field(BULLETS, description="what a line with a bullet begins with")
    stop_words: StopWords = Field(STOP_WORDS, description="the stop words; the paper's are English")

    @model_validator(mode="before")
    @classmethod
    def _bullets_of_the_convention(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("convention") == "datatrove":
            return {"bullets": DATATROVE_BULLETS, **values}
        return values

    @model_validator(mode="after")
    def _enough_stop_words(self) -> GopherQuality:
        known = len(set(self._compared(self.stop_words)))
        if self.min_stop_words is not None and self.min_stop_words > known:
            raise ValueError(
                f"min_stop_words ({self.min_stop_words}) is above the number of stop_words ({known}): "
                "no document could pass"
            )
        return self

    def _compared(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Stop words as they are compared."""
        return words if self.convention == "datatrove" else tuple(visible(word.casefold()) for word in words)

    def of_row(self, row: Fineweb2Row) -> Mapping[str, float]:
        """Mean lengths of words, words with a letter, and no more stop words than there are."""
        return {
            "min_mean_word_length": row.min_avg_word_length,
            "max_mean_word_length": row.max_avg_word_length,
            "min_alphabetic_word_ratio": row.max_non_alpha_words_ratio,
            "min_stop_words": min(self.min_stop_words or 0, len(set(row.stopwords))),
        }

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures, in one walk over the text."""
        return self._measured(batch, self.stop_words)

    def measure_in(self, batch: Batch, languages: Languages) -> Mapping[str, NDArray[Any]]:
        """All measures, with the stop words of each language."""
        if not self.wants("stop_words"):
            return self.measure(batch)
        of_kind = [self.stop_words if kind.row is None else kind.row.stopwords for kind in languages.kinds]
        lists = list(dict.fromkeys(of_kind)) or [self.stop_words]
        groups = [languages.mask([stops == each for stops in of_kind]) for each in lists]
        measured = [self._measured(batch.filter(mask), stops) for mask, stops in zip(groups, lists, strict=True)]
        return scattered(languages, groups, measured)

    def _measured(self, batch: Batch, stop_words: tuple[str, ...]) -> Mapping[str, NDArray[Any]]:
        stops = _lookup(self._compared(stop_words))
        return self._of_tokens(batch, stops) if self.convention == "datatrove" else self._of_runs(batch, stops)

    def _of_tokens(self, batch: Batch, stops: Strings) -> Mapping[str, NDArray[Any]]:
        counts = np.empty((len(batch), len(TOKEN_STATISTICS)), np.int64)
        tokens = batch.words("tokens")
        count_token_statistics(
            *text_buffers(batch.text),
            tokens.first,
            tokens.starts,
            tokens.stops,
            statistic_classes(),
            _lookup(self.bullets),
            stops,
            counts,
        )
        column = dict(zip(TOKEN_STATISTICS, counts.T, strict=True))
        return {
            "words": column["words"],
            "mean_word_length": _ratio(column["characters"], column["words"]),
            "hash_ratio": _ratio(column["hashes"], column["tokens"]),
            "ellipsis_ratio": _ratio(column["ellipses"], column["tokens"]),
            "bullet_line_ratio": _ratio(column["bullet_lines"], column["lines"]),
            "ellipsis_line_ratio": _ratio(column["ellipsis_lines"], column["lines"]),
            "alphabetic_word_ratio": _ratio(column["alphabetic_tokens"], column["tokens"]),
            "stop_words": column["stop_words"],
        }

    def _of_runs(self, batch: Batch, stops: Strings) -> Mapping[str, NDArray[Any]]:
        counts = np.empty((len(batch), len(STATISTICS)), np.int64)
        words = batch.words("runs")
        count_statistics(
            *(*text_buffers(batch.text), words.first, words.starts, words.stops),
            *(tables(), _lookup(self.bullets), stops, counts),
        )
        column = dict(zip(STATISTICS, counts.T, strict=True))
        count, lines = column["words"], column["lines"]
        return {
            "words": count,
            "mean_word_length": _ratio(column["characters"], count),
            "hash_ratio": _ratio(column["hashes"], count),
            "ellipsis_ratio": _ratio(column["ellipses"], count),
            "bullet_line_ratio": _ratio(column["bullet_lines"], lines),
            "ellipsis_line_ratio": _ratio(column["ellipsis_lines"], lines),
            "alphabetic_word_ratio": _ratio(column["alphabetic_words"], count),
            "stop_words": column["stop_words"],
        }
