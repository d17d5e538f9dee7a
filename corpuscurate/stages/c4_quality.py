"""`c4_quality`: the line and page rules of C4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, lengths_bytes, text_buffers, to_numpy
from corpuscurate.core.local_path import LocalPath
from corpuscurate.kernels.text.c4 import COUNTS, CUTS, clean_lines, phrases
from corpuscurate.kernels.text.signs import signs
from corpuscurate.methods.conventions import with_defaults
from corpuscurate.methods.end_marks import EndMarks, table_of
from corpuscurate.methods.line_filter import LineFilter, Walked
from corpuscurate.methods.user_files import read_phrases, user_digest

END_MARKS = (".", "?", "!", '"')
_LIST = "the list of words"
SLACK = 64
"""Bytes behind the text that let a kernel look at whole blocks."""
CONVENTIONS: Mapping[str, Mapping[str, Any]] = {
    "paper_v1": {"min_line_words": 3, "min_sentences": 5},
    "datatrove": {"min_line_words": 3, "min_sentences": 5, "end_marks": (*END_MARKS, "'")},
}


class C4Quality(LineFilter):
    """Takes out lines that are no prose, and drops pages that look like code, filler or lists: the rules of C4.

    Lines are those of `str.splitlines()` without the white space around them, words what white space parts. Each line
    meets these rules in this order, and goes by the first that it fails (section 2.2, and the authors' code,
    tensorflow/datasets `text/c4_utils.py`):
    1. A word of more than 1,000 characters (code).
    2. Citation marks are cut out of the line: `[1]`, `[]`, `[edit]`, `[citation needed]`.
    3. It ends with none of the end marks, or with "..." (code).
    4. It has too few words.
    5. "lorem ipsum" in it drops the page. 6. "javascript" in it: the line goes. 7. A "{" in it drops the page.
    8. It has one of "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies".
    Phrases count in any case. So "lorem ipsum" and "{" count only in lines that the rules before leave, as in the code.
    Then the page is dropped if its kept lines hold too few sentences (`kernels/text/sentences.py` says what one is), or
    a word of the list `bad_words`. What stays are the kept lines, joined by line feeds.

    `convention` sets what versions differ in; each parameter that you give comes first:
    - `paper` (default): the current paper (v3, JMLR 2020) and its code. Lines of 5 words, counted without citation
      marks; 3 sentences; end marks . ? ! "; a bad word counts where characters other than a to z stand on both of its
      sides.
    - `paper_v1`: the first version of the paper. Lines of 3 words, 5 sentences; the rest as above.
    - `datatrove` (0.10, as FineWeb was made): as `paper_v1`, but ' is an end mark, too, words are counted with the
      citation marks, and the borders of a bad word are as in its C4BadWordsFilter: no letter, digit or underscore
      beside it. FineWeb runs it with `terminal_punctuation: false`.

    Not in this stage: the language (English at .99 by langdetect), and what C4 removes of duplicates over the whole set
    (lines by the current code, spans of three sentences by the first version). Sentences are NLTK's in C4 and spaCy's
    in datatrove; words of rule 4 are the same in all three. `reason` is the first bound in the order below, while the
    implementations stop at the first line that drops.
    """

    word = "c4_quality"
    source = "Raffel et al. 2020, arXiv 1910.10683, section 2.2; its code: tensorflow/datasets text/c4_utils.py"
    strips: ClassVar[bool] = True
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        name: pa.int64()
        for name in (
            "lorem_ipsum_lines",
            "curly_bracket_lines",
            "bad_words",
            "sentences",
            *(name for name in COUNTS if name not in ("lorem_ipsum_lines", "curly_bracket_lines", "sentences")),
        )
        if name != "line_ends"
    }

    convention: Literal["paper", "paper_v1", "datatrove"] = Field(
        "paper", description="whose rules: sets what other parameters are by default, and how words are counted"
    )
    max_lorem_ipsum_lines: int | None = Field(
        0, description='most lines with "lorem ipsum", of those that rules 1 to 4 leave (section 2.2)', ge=0
    )
    max_curly_bracket_lines: int | None = Field(
        0, description='most lines with "{", of those that rules 1 to 6 leave (section 2.2)', ge=0
    )
    max_bad_words: int | None = Field(
        0, description="most occurrences of words of the list bad_words in the kept lines (section 2.2)", ge=0
    )
    min_sentences: int | None = Field(
        3, description="fewest sentences of the kept lines (section 2.2; paper_v1, datatrove: 5)", ge=0
    )
    min_line_words: int | None = Field(
        5, description="fewest words of a line that is kept (section 2.2; paper_v1, datatrove: 3)", ge=0
    )
    max_word_characters: int | None = Field(
        1000, description="most characters of a word in a line that is kept (the code)", ge=1
    )
    terminal_punctuation: bool = Field(
        True, description="take out lines without an end mark (section 2.2); false: as FineWeb runs it"
    )
    end_marks: EndMarks = Field(
        END_MARKS, description="characters that may end a line (section 2.2; datatrove: ' as well)"
    )
    citations: bool = Field(True, description="cut citation marks out of lines (section 2.2)")
    javascript: bool = Field(True, description='take out lines with "javascript" (section 2.2)')
    policy: bool = Field(True, description="take out lines with phrases of policies and cookies (section 2.2)")
    bad_words: LocalPath | None = Field(
        None,
        description="a list of words, an entry a line, as C4's List of Dirty, Naughty, Obscene or Otherwise Bad Words "
        "(github LDNOOBW, CC-BY-4.0; none comes with this package); null: without this rule",
        examples=["bad_words_en.txt"],
    )
    bad_word_borders: bool = Field(
        True, description="a bad word counts as a whole word only; false: anywhere, for scripts without spaces"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_convention(cls, values: Any) -> Any:
        return with_defaults(values, "paper", CONVENTIONS)

    def bounds(self) -> dict[str, int | float]:
        """The bounds in force: that of bad words only with a list."""
        found = super().bounds()
        if self.bad_words is None:
            found.pop("max_bad_words", None)
        return found

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digest of the list in the place of its path. Raises InputError for a list that
        cannot be used."""
        if self.bad_words is None:
            return super().identity()
        read_phrases(self.bad_words, _LIST)
        return {**super().identity(), "bad_words": user_digest(self.bad_words, _LIST)}

    def walk(self, batch: Batch) -> Walked:
        """The lines that stay, in one walk over the text."""
        size = len(batch)
        rules = [
            self.max_word_characters or 0,
            self.citations,
            self.terminal_punctuation,
            self.min_line_words or 0,
            self.convention != "datatrove",
            self.javascript,
            self.policy,
        ]
        counts, cuts = np.empty((size, len(COUNTS)), np.int64), np.empty((size, len(CUTS)), np.int64)
        offsets = np.empty(size + 1, np.int64)
        data = np.empty(int(lengths_bytes(batch.text).sum()) + SLACK, np.uint8)
        limits, ends = np.array(rules, np.int64), table_of(self.end_marks)
        old_offsets, old = text_buffers(batch.text)
        clean_lines(old_offsets, old, signs(), phrases(), ends, limits, counts, cuts, offsets, data)
        text = from_buffers(offsets, data[: offsets[-1]])
        column = dict(zip(COUNTS, counts.T, strict=True))
        changed = column.pop("line_ends") > 0
        measures = {**column, "bad_words": self._bad_words(text)}
        return Walked(measures, text, dict(zip(CUTS, cuts.T, strict=True)), changed)

    def _bad_words(self, text: pa.LargeStringArray) -> NDArray[np.int64]:
        """Occurrences of bad words, not overlapping; 0 without a list."""
        if self.bad_words is None or not len(text):
            return np.zeros(len(text), np.int64)
        pattern = _pattern(read_phrases(self.bad_words, _LIST), self.convention, self.bad_word_borders)
        return to_numpy(pc.count_substring_regex(pc.utf8_lower(text), pattern)).astype(np.int64)


@lru_cache(4)
def _pattern(words: tuple[str, ...], convention: str, borders: bool) -> str:
    """What finds a bad word in lines of lower case, in the syntax of RE2 (linear in the text)."""
    any_word = "|".join(re.escape(word.lower()) for word in words)
    if not borders:
        return any_word
    if convention == "datatrove":
        return rf"(?:[^\p{{L}}\p{{N}}_]|^)(?:{any_word})(?:[^\p{{L}}\p{{N}}_]|$)"
    return rf"[^a-z\n](?:{any_word})[^a-z\n]"
