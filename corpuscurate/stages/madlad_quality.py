"""`madlad_quality`: the questionable sentences of MADLAD-400."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, text_buffers, to_numpy
from corpuscurate.core.filter import Filter
from corpuscurate.kernels.text.madlad import (
    CURSED,
    LENGTH,
    LIST_CASE,
    TECHNICAL,
    TECHNICAL_CHARACTERS,
    judge_sentences,
    split_sentences,
)
from corpuscurate.kernels.text.sentences import count_sentences, find_sentences
from corpuscurate.kernels.text.signs import signs
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.conventions import with_defaults
from corpuscurate.methods.end_marks import as_tuple

Rule = Literal["list_case", "length", "technical", "cursed"]
FLAGS: Mapping[str, int] = {"list_case": LIST_CASE, "length": LENGTH, "technical": TECHNICAL, "cursed": CURSED}
CONVENTIONS: Mapping[str, Mapping[str, Any]] = {"olmo3": {"rules_counted": ("list_case", "cursed")}}

PATTERNS = (
    " №",
    "\ufffd\ufffd\ufffd",
    r"\|\s*$",
    r" nr\.$",
    "aute irure dolor ",
    " sunt in culpa qui ",
    "orem ipsum ",
    " quis nostrud ",
    " adipisicing ",
    " dolore eu ",
    " cupidatat ",
    "autem vel eum",
    "wisi enim ad",
    " sex ",
    " porn ",
    "黄色电影",
    "mp3",
    "ownload",
    r"Vol\.",
    r" Ep\.",
    "Episode",
    r" г\.\s*$",
    r" кг\.\s*$",
    r" шт\.",
    "Develop",
    "Facebook",
    " crusher ",
    " xxx ",
    " ... ... ... ... ... ... ... ... ...",
    " .... .... .... .... .... .... .... .... ....",
    " [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ]",
    ", ..,,? ..,,? ..,,? ..,,?",
)
"""The cursed substrings and regular expressions of MADLAD-400, in its order."""
EXPRESSIONS = 4
"""How many of them, the last ones, are regular expressions to Olmo 3, whose code takes the others by the letter."""


def _check_patterns(patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for pattern in patterns or ():
        try:
            pc.match_substring_regex(pa.array(["text"]), pattern)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{pattern!r} is no regular expression of RE2: {error}") from error
        if not pattern:
            raise ValueError("an empty pattern is in every sentence")
    return patterns


Patterns = Annotated[tuple[str, ...] | None, BeforeValidator(as_tuple), AfterValidator(_check_patterns)]
Rules = Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)]


class MadladQuality(Filter):
    """Drops documents with too few sentences, or with too many questionable ones: the filter of MADLAD-400.

    A sentence is questionable (section 2.3 and the data card) if
    - list_case (rule 2): it has at least 12 tokens, and more than half of them begin with a capital letter;
    - length (rule 3): it has fewer than 20 or more than 500 characters;
    - technical (rule 4): more than a fifth of its characters are among 0 to 9 { } + / ( ) >;
    - cursed (rule 5): one of the patterns is found in it: 32 substrings and regular expressions that audits turned up.
    A document goes with fewer than 5 sentences, or if more than 20 % are questionable.
    Rule 1, a sentence in another language than the document, needs a language model, which this stage has not.

    `convention` says whose sentences and tokens:
    - `paper` (default): all four rules; sentences as `kernels/text/sentences.py` says, tokens are what white space
      parts (the paper defines neither); each pattern is a regular expression.
    - `olmo3` (datamap-rs, `madlad400_rule_filter`): rules 2 and 5; sentences are the pieces between `[.!?]+\\s+`,
      across lines; tokens are words of letters, digits and marks; 20 % is too many; the first 28 patterns are taken by
      the letter, so that `\\|\\s*$` and ` nr\\.$` never match. Olmo's tokens are those of UAX #29, which keeps "don't"
      and "3.14" whole.
    Patterns are searched in time linear in the text, whatever they are (RE2).
    """

    word = "madlad_quality"
    source = "Kudugunta et al. 2023, arXiv 2309.04662, section 2.3; olmo3: github allenai/datamap-rs all_dressed"
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "sentences": pa.int64(),
        "questionable_sentence_ratio": pa.float64(),
        **{f"{name}_ratio": pa.float64() for name in FLAGS},
    }

    convention: Literal["paper", "olmo3"] = Field("paper", description="whose sentences, tokens, patterns and rules")
    min_sentences: int | None = Field(5, description="fewest sentences (section 2.3)", ge=0)
    max_questionable_sentence_ratio: float | None = Field(
        0.2, description="greatest share of questionable sentences (section 2.3; olmo3 drops at it, too)", ge=0, le=1
    )
    rules_counted: Rules = Field(
        ("list_case", "length", "technical", "cursed"),
        description="the rules that make a sentence questionable (olmo3: list_case and cursed)",
    )
    list_tokens: int = Field(12, description="fewest tokens of a sentence for list_case (rule 2)", ge=1)
    list_capital_ratio: float = Field(
        0.5, description="greatest share of tokens that begin with a capital letter (rule 2)", ge=0, le=1
    )
    sentence_characters: tuple[int, int] = Field(
        (20, 500), description="fewest and most characters of a sentence (rule 3)"
    )
    technical_ratio: float = Field(0.2, description="greatest share of technical characters (rule 4)", ge=0, le=1)
    cursed: Patterns = Field(
        None, description="regular expressions (RE2) of cursed sentences (rule 5); null: the 32 of MADLAD-400"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_convention(cls, values: Any) -> Any:
        made = with_defaults(values, "paper", CONVENTIONS)
        if isinstance(made, Mapping) and isinstance(made.get("sentence_characters"), list):
            return {**made, "sentence_characters": tuple(made["sentence_characters"])}
        return made

    @model_validator(mode="after")
    def _characters_in_order(self) -> MadladQuality:
        low, high = self.sentence_characters
        if not 0 <= low <= high:
            raise ValueError(f"sentence_characters ({low}, {high}): expected 0 <= fewest <= most")
        return self

    def outside(self, name: str, values: NDArray[Any], bound: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        """As in `Filter`; in Olmo 3 a share at the bound is outside."""
        failed = super().outside(name, values, bound)
        return failed | (values == bound) if self.convention == "olmo3" and name.startswith("max_") else failed

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures."""
        counts, starts, stops = self._sentences(batch.text)
        flags = self._flags(batch.text, starts, stops)
        rows = np.repeat(np.arange(len(batch)), counts)
        asked = sum(FLAGS[name] for name in set(self.rules_counted))
        shares = {"questionable_sentence": asked, **FLAGS}
        found = {
            f"{name}_ratio": np.bincount(rows, (flags & flag) != 0, len(batch)) / np.maximum(counts, 1)
            for name, flag in shares.items()
        }
        return {"sentences": counts, **found}

    def _sentences(self, text: pa.LargeStringArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Sentences of each document, and where they start and stop in the bytes of the text."""
        offsets, data = text_buffers(text)
        counts, none = np.empty(len(text), np.int64), np.empty(0, np.int64)
        if self.convention == "olmo3":
            total = split_sentences(offsets, data, signs(), counts, none, none)
            starts, stops = np.empty(total, np.int64), np.empty(total, np.int64)
            split_sentences(offsets, data, signs(), counts, starts, stops)
        else:
            total = count_sentences(offsets, data, signs(), counts)
            starts, stops = np.empty(total, np.int64), np.empty(total, np.int64)
            find_sentences(offsets, data, signs(), starts, stops)
        return counts, starts, stops

    def _flags(
        self, text: pa.LargeStringArray, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Why each sentence is questionable."""
        data = text_buffers(text)[1]
        flags = np.empty(len(starts), np.uint8)
        limits = np.array([self.list_tokens, self.list_capital_ratio, *self.sentence_characters, self.technical_ratio])
        judge_sentences(data, starts, stops, tables(), signs(), _technical(), self.convention == "olmo3", limits, flags)
        patterns = _pattern(self.cursed, self.convention)
        if len(starts) and patterns and self.wants("cursed_ratio") | ("cursed" in self.rules_counted):
            borders = np.stack([starts, stops], axis=1).ravel()  # sentences and what is between them, without a copy
            pieces = from_buffers(borders, data)
            flags[to_numpy(pc.match_substring_regex(pieces, patterns))[::2]] |= CURSED
        return flags


@lru_cache(1)
def _technical() -> NDArray[np.bool_]:
    """bool[256]: the technical characters."""
    found = np.zeros(256, np.bool_)
    found[[ord(char) for char in TECHNICAL_CHARACTERS]] = True
    return found


@lru_cache(8)
def _pattern(own: tuple[str, ...] | None, convention: str) -> str:
    """One regular expression for all patterns."""
    if own is not None:
        patterns = list(own)
    elif convention == "olmo3":
        patterns = [*map(re.escape, PATTERNS[:-EXPRESSIONS]), *PATTERNS[-EXPRESSIONS:]]
    else:
        patterns = list(PATTERNS)
    return "|".join(f"(?:{pattern})" for pattern in patterns)
