"""`refinedweb_lines`: the line-wise corrections of RefinedWeb."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, lengths_bytes, text_buffers
from corpuscurate.kernels.text.gopher import Strings, strings
from corpuscurate.kernels.text.refinedweb import COUNTS, CUTS, correct_lines
from corpuscurate.kernels.text.signs import signs
from corpuscurate.methods.conventions import with_defaults
from corpuscurate.methods.end_marks import as_tuple
from corpuscurate.methods.line_filter import LineFilter, Walked

COUNTED = (
    "likes",
    "shares",
    "comments",
    "retweets",
    "reposts",
    "quotes",
    "bookmarks",
    "upvotes",
    "downvotes",
    "downloads",
    "views",
    "followers",
)
CONVENTIONS: Mapping[str, Mapping[str, Any]] = {
    "paper": {"max_removed_word_ratio": None, "max_flagged_word_ratio": 0.05}
}
NO_BOUND = 2.0
"""Above every share."""


def _check_patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value or value != value.strip() or "\n" in value:
            raise ValueError(
                f"{value!r} can be met in no line: it is empty, or has white space around it or a line feed"
            )
    return values


Patterns = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(_check_patterns)]


@lru_cache(16)
def _lookup(values: tuple[str, ...]) -> Strings:
    """The values with ASCII letters in lower case."""
    return strings(["".join(char.lower() if char.isascii() else char for char in value) for value in values])


class RefinedwebLines(LineFilter):
    """Takes boilerplate lines out of documents, and drops those that lose too much by it: RefinedWeb's corrections.

    Lines are parted by line feeds; blank ones stay. Words are what white space parts. A line goes by the first of these
    (appendix G.2, "line-wise filtering") that it meets:
    1. It is mainly of capital letters: more than half of its characters, white space included.
    2. It is of digits alone. 3. It is a counter, such as "3 likes" or "1.2K followers". 4. It has a single word.
    If it stays and has at most 10 words, patterns are cut out of it: anywhere ("items in cart"), at its end ("Read
    more..."), at its start ("Sign-in"), each with one white space before or behind it. Case of ASCII letters does not
    count. A line of which nothing is left goes. No other byte changes.
    Then the document is dropped if these corrections took too many of its words.

    The paper names examples and no list: the counted things, the patterns and the share of one half are those of DCLM
    (`refinedweb.yaml`). `convention` says which words count for the document:
    - `dclm` (default): those that are no longer there: at most 5 % of all.
    - `paper`: "the words in the flagged lines", all words of lines that went or were edited.
    DCLM counts words by UAX #29 for the 5 %, takes white space off the ends of documents and lines of white space out;
    Olmo 3's code takes lengths in bytes, and lines that begin as a counter for counters.
    """

    word = "refinedweb_lines"
    source = "Penedo et al. 2023, arXiv 2306.01116, appendix G.2; patterns: github mlfoundations/dclm refinedweb.yaml"
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "removed_word_ratio": pa.float64(),
        "flagged_word_ratio": pa.float64(),
        **{name: pa.int64() for name in COUNTS[:-2]},
    }

    convention: Literal["dclm", "paper"] = Field(
        "dclm", description="which words count for the document: removed ones, or all of the lines touched"
    )
    max_removed_word_ratio: float | None = Field(
        0.05, description="greatest share of the document's words that may be removed (dclm; paper: null)", ge=0, le=1
    )
    max_flagged_word_ratio: float | None = Field(
        None, description="greatest share of words in lines that go or are edited (appendix G.2: 0.05)", ge=0, le=1
    )
    max_line_uppercase_ratio: float | None = Field(
        0.5, description="greatest share of capital letters among a line's characters", ge=0, le=1
    )
    numeric: bool = Field(True, description="take out lines of digits alone")
    counters: Patterns = Field(COUNTED, description="things that are counted in lines such as '3 likes'; []: without")
    min_line_words: int | None = Field(2, description="fewest words of a line", ge=0)
    max_pattern_line_words: int = Field(10, description="most words of a line that patterns are cut out of", ge=0)
    cut_anywhere: Patterns = Field(("items in cart",), description="patterns that are cut out anywhere in a short line")
    cut_at_end: Patterns = Field(("Read more...",), description="patterns that are cut off the end of a short line")
    cut_at_start: Patterns = Field(("Sign-in",), description="patterns that are cut off the start of a short line")

    @model_validator(mode="before")
    @classmethod
    def _by_convention(cls, values: Any) -> Any:
        return with_defaults(values, "dclm", CONVENTIONS)

    def walk(self, batch: Batch) -> Walked:
        """The lines that stay, in one walk over the text."""
        size = len(batch)
        counts, cuts = np.empty((size, len(COUNTS)), np.int64), np.empty((size, len(CUTS)), np.int64)
        offsets = np.empty(size + 1, np.int64)
        data = np.empty(int(lengths_bytes(batch.text).sum()), np.uint8)
        share = NO_BOUND if self.max_line_uppercase_ratio is None else float(self.max_line_uppercase_ratio)
        old_offsets, old = text_buffers(batch.text)
        correct_lines(
            old_offsets,
            old,
            signs(),
            share,
            self.numeric,
            self.min_line_words or 0,
            self.max_pattern_line_words,
            _lookup(self.counters),
            _lookup(self.cut_anywhere),
            _lookup(self.cut_at_end),
            _lookup(self.cut_at_start),
            counts,
            cuts,
            offsets,
            data,
        )
        column = dict(zip(COUNTS, counts.T, strict=True))
        words = column["words"]
        shares = {
            f"{name}_word_ratio": np.divide(column.pop(f"{name}_words"), words, out=np.zeros(size), where=words > 0)
            for name in ("removed", "flagged")
        }
        text = from_buffers(offsets, data[: offsets[-1]])
        return Walked({**shares, **column}, text, dict(zip(CUTS, cuts.T, strict=True)), np.zeros(size, np.bool_))
