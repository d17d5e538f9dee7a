"""`fineweb_quality`: the rules that FineWeb added to those of Gopher and C4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.fineweb import COUNTS, count_lines
from corpuscurate.kernels.text.signs import signs
from corpuscurate.methods.conventions import with_defaults
from corpuscurate.methods.end_marks import EndMarks, table_of
from corpuscurate.methods.language.by_language import ByLanguage
from corpuscurate.methods.language.fineweb2 import Fineweb2Row

CONVENTIONS: Mapping[str, Mapping[str, Any]] = {
    "code": {"short_line_characters": 30, "max_duplicate_character_ratio": 0.01, "max_newline_ratio": 0.3}
}


class FinewebQuality(ByLanguage):
    """Drops documents that look like lists, menus or repeated boilerplate: FineWeb's own rules.

    Lines are parted by line feeds; lines of white space alone are left out. Characters are code points.
    1. Too few lines end with a mark that ends sentences, of any script: by default the 159 of
       `kernels/text/signs.py` (Unicode's Sentence_Terminal and five Khmer signs), which are datatrove's; quotes and the
       ellipsis are not among them.
    2. Too many lines are short.
    3. Too many characters stand in lines that equal an earlier line of the document; of all characters but line feeds.
    4. Too many line feeds for each word; a document of no words counts as of one.

    `convention` sets what paper and code differ in; each parameter that you give comes first:
    - `paper` (default): section 3.6 drops at the bounds themselves (<= .12, >= .67, >= .1), a short line has fewer than
      30 characters, and there is no rule 4 (with a bound of your own, words are what white space parts). White space at
      the end of a line is ignored.
    - `code`: datatrove's FineWebQualityFilter, with which FineWeb was made: .01 for rule 3, at most 30 characters for a
      short line, the bounds themselves are kept, and rule 4 counts tokens near those of spaCy
      (`kernels/text/tokens.py`), punctuation among them. A line ends with its last character, so lines with white space
      or a carriage return at their end fail rule 1: `normalize` first.

    `language: auto` takes rules 1 and 4 from FineWeb-2 for the language of each document; they are fitted to the code's
    measures.
    """

    word = "fineweb_quality"
    source = "Penedo et al. 2024, arXiv 2406.17557, section 3.6; its code: datatrove FineWebQualityFilter"
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "lines": pa.int64(),
        "terminal_line_ratio": pa.float64(),
        "short_line_ratio": pa.float64(),
        "duplicate_character_ratio": pa.float64(),
        "newline_ratio": pa.float64(),
    }

    of_words: ClassVar[frozenset[str]] = frozenset({"max_newline_ratio"})

    convention: Literal["paper", "code"] = Field(
        "paper", description="whose rules: sets what other parameters are by default, and whether bounds are kept"
    )
    min_lines: int | None = Field(1, description="fewest lines that are not blank (the code: 'empty')", ge=0)
    min_terminal_line_ratio: float | None = Field(
        0.12, description="least share of lines that end with an end mark (section 3.6)", ge=0, le=1
    )
    max_short_line_ratio: float | None = Field(
        0.67, description="greatest share of short lines (section 3.6)", ge=0, le=1
    )
    max_duplicate_character_ratio: float | None = Field(
        0.1, description="greatest share of characters in repeated lines (section 3.6; code: 0.01)", ge=0, le=1
    )
    max_newline_ratio: float | None = Field(None, description="most line feeds for each word (code: 0.3)", ge=0)
    short_line_characters: int = Field(
        29, description="most characters of a short line (section 3.6: fewer than 30; code: 30)", ge=0
    )
    end_marks: EndMarks | None = Field(
        None, description="characters that may end a line; null: those that end sentences in any script"
    )
    allow_no_terminal: bool = Field(
        False, description="keep documents in which no line ends with an end mark (the code: line_punct_exclude_zero)"
    )

    def of_row(self, row: Fineweb2Row) -> Mapping[str, float]:
        """Rules 1 and 4; -1 is FineWeb-2's word for without rule 1."""
        ends = row.line_punct_thr if row.line_punct_thr >= 0 else np.nan
        return {"min_terminal_line_ratio": ends, "max_newline_ratio": row.new_line_ratio}

    @model_validator(mode="before")
    @classmethod
    def _by_convention(cls, values: Any) -> Any:
        return with_defaults(values, "paper", CONVENTIONS)

    def outside(self, name: str, values: NDArray[Any], bound: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        """As in `Filter`; in the paper, shares at their bound are outside."""
        failed = super().outside(name, values, bound)
        if self.convention == "paper" and name.endswith("_ratio"):
            failed |= values == bound
        if name == "min_terminal_line_ratio" and self.allow_no_terminal:
            failed &= values > 0
        return failed

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures: one walk over the lines, and one over the words where these are needed."""
        counts = np.empty((len(batch), len(COUNTS)), np.int64)
        ends = signs() if self.end_marks is None else table_of(self.end_marks)
        strip = self.convention == "paper"
        count_lines(*text_buffers(batch.text), signs(), ends, strip, self.short_line_characters, counts)
        column = dict(zip(COUNTS, counts.T, strict=True))
        lines = column["lines"]
        found = {
            "lines": lines,
            "terminal_line_ratio": _ratio(column["terminal_lines"], lines),
            "short_line_ratio": _ratio(column["short_lines"], lines),
            "duplicate_character_ratio": _ratio(column["duplicate_characters"], column["characters"]),
        }
        if self.wants("newline_ratio"):
            words = batch.words("tokens" if self.convention == "code" else "runs").counts
            found["newline_ratio"] = column["newlines"] / np.maximum(words, 1)
        return found


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
