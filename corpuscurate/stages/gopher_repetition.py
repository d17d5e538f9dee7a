"""`gopher_repetition`: the repetition filter of Gopher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, lengths_bytes, text_buffers
from corpuscurate.core.spans import Spans, WordKind, words_of
from corpuscurate.kernels.text.interning import SEED
from corpuscurate.kernels.text.plain_words import plain_ascii, plain_bytes
from corpuscurate.kernels.text.repetition import MEASURES, REPEATED, TOP, measure_repetition
from corpuscurate.kernels.text.repetition_scratch import make_scratch
from corpuscurate.kernels.text.segments import DATATROVE, DCLM, PAPER, REDPAJAMA
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.kernels.text.walks import count_lines
from corpuscurate.methods.language.by_language import ByLanguage
from corpuscurate.methods.language.fineweb2 import Fineweb2Row

Convention = Literal["paper", "datatrove", "dclm", "redpajama"]

CODES: Mapping[str, int] = {"paper": PAPER, "datatrove": DATATROVE, "dclm": DCLM, "redpajama": REDPAJAMA}
WORDS: Mapping[str, WordKind] = {"paper": "runs", "datatrove": "tokens", "dclm": "unicode", "redpajama": "runs"}
DATATROVE_ORDER = (MEASURES[1], MEASURES[3], MEASURES[0], MEASURES[2], *MEASURES[4:])


class GopherRepetition(ByLanguage):
    """Drops documents in which too much is repeated: lines, paragraphs, n-grams of words.

    The rules and bounds of Table A1; a measure above its bound drops. The paper leaves open what a word and a duplicate
    are, and implementations differ so much that documents move over the bounds; `convention` says whose is meant:

    - `paper` (default) takes it by its word. A line, paragraph or n-gram is a duplicate if it occurs more than once in
      the document, and each copy counts. The shares of characters are of those of all lines (paragraphs, words), so
      they are within 0..1. Top n-gram: the characters that the most frequent n-gram covers, those of overlapping
      occurrences once; of equally frequent ones that which covers most; 0 where none occurs twice. Duplicate n-grams:
      the characters of all words in one, each once. Words are what white space parts, as in `gopher_quality`. Lines end
      at a line feed, paragraphs at lines of white space. White space at their ends is left out; blank ones are none.
    - `datatrove` (0.10, as FineWeb was made) counts second and later copies, and divides characters by those of the
      text, white space included. Lines are `re.split("\\n+")`, paragraphs `text.strip()` at two or more line feeds. Top
      n-gram: length with single spaces x occurrences, overlapping ones in full, of a single occurrence, too; the first
      of equally frequent ones. Duplicate n-grams: from left to right, n words on after each copy, compared without
      spaces. Words are tokens (`gopher_quality` says which); rules on paragraphs stand before those on lines.
    - `dclm` counts all copies, as `paper`, of words of letters and digits without what stands between; paragraphs are
      parted by empty lines. Top n-gram: length x occurrences, the longest of equally frequent ones; 0 where none occurs
      twice. A document without a line, which DCLM drops, has measures 0 here.
    - `redpajama` (v2) is `dclm` upon what white space parts in lower case, without ASCII punctuation, in NFD; its top
      n-gram is the first of equally frequent ones. It has no signals for lines and paragraphs: these are of `paper`.

    A document with fewer than n words has measure 0 for n-grams, one without lines for lines: it is not dropped for it.

    `language: auto` takes the bounds of duplicate lines and of n-grams from FineWeb-2 for the language of each
    document; they are fitted to `convention: datatrove`.
    """

    word = "gopher_repetition"
    source = "Rae et al. 2021, arXiv 2112.11446, appendix A.1.1, Repetition Removal, and Table A1"
    measured: ClassVar[Mapping[str, pa.DataType]] = dict.fromkeys(MEASURES, pa.float64())

    of_words: ClassVar[frozenset[str]] = frozenset(f"max_{name}" for name in MEASURES[4:])

    convention: Convention = Field("paper", description="whose reading of the rules")
    max_dup_line_ratio: float | None = Field(0.3, description="greatest share of lines that are repeated", ge=0, le=1)
    max_dup_paragraph_ratio: float | None = Field(
        0.3, description="greatest share of paragraphs that are repeated", ge=0, le=1
    )
    max_dup_line_char_ratio: float | None = Field(
        0.2, description="greatest share of characters in repeated lines", ge=0, le=1
    )
    max_dup_paragraph_char_ratio: float | None = Field(
        0.2, description="greatest share of characters in repeated paragraphs", ge=0, le=1
    )
    max_top_2gram_char_ratio: float | None = Field(
        0.2, description="greatest share of characters in the most frequent 2-gram", ge=0, le=1
    )
    max_top_3gram_char_ratio: float | None = Field(
        0.18, description="greatest share of characters in the most frequent 3-gram", ge=0, le=1
    )
    max_top_4gram_char_ratio: float | None = Field(
        0.16, description="greatest share of characters in the most frequent 4-gram", ge=0, le=1
    )
    max_dup_5gram_char_ratio: float | None = Field(
        0.15, description="greatest share of characters in repeated 5-grams", ge=0, le=1
    )
    max_dup_6gram_char_ratio: float | None = Field(
        0.14, description="greatest share of characters in repeated 6-grams", ge=0, le=1
    )
    max_dup_7gram_char_ratio: float | None = Field(
        0.13, description="greatest share of characters in repeated 7-grams", ge=0, le=1
    )
    max_dup_8gram_char_ratio: float | None = Field(
        0.12, description="greatest share of characters in repeated 8-grams", ge=0, le=1
    )
    max_dup_9gram_char_ratio: float | None = Field(
        0.11, description="greatest share of characters in repeated 9-grams", ge=0, le=1
    )
    max_dup_10gram_char_ratio: float | None = Field(
        0.1, description="greatest share of characters in repeated 10-grams", ge=0, le=1
    )

    @property
    def packages(self) -> tuple[str, ...]:
        """pyarrow has the Unicode tables of `redpajama`."""
        return ("pyarrow",) if self.convention == "redpajama" else ()

    def bounds(self) -> dict[str, int | float]:
        """The bounds in force, in the order of the convention."""
        bounds = super().bounds()
        if self.convention != "datatrove":
            return bounds
        names = (f"max_{measure}" for measure in DATATROVE_ORDER)
        return {name: bounds[name] for name in names if name in bounds}

    def of_row(self, row: Fineweb2Row) -> Mapping[str, float]:
        """Duplicate lines, top and duplicate n-grams."""
        ngrams = zip(MEASURES[4:], (*row.top_n_grams, *row.dup_n_grams), strict=True)
        return {"max_dup_line_ratio": row.dup_line_frac, **{f"max_{name}": bound for name, bound in ngrams}}

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """All measures that are wanted, in one walk over words and text; others are 0."""
        offsets, data = text_buffers(batch.text)
        longest = max((n for n, name in zip(TOP + REPEATED, MEASURES[4:], strict=True) if self.wants(name)), default=0)
        words, words_data = self._words(batch) if longest else (_no_words(len(batch)), data)
        lines = np.empty(len(batch), np.int64)
        count_lines(offsets, data, lines)
        scratch = make_scratch(
            int(words.counts.max(initial=0)),
            int(lines.max(initial=0)),
            int(lengths_bytes(batch.text).max(initial=0)),
            glue=self.convention == "datatrove",
        )
        segments = any(self.wants(name) for name in MEASURES[:4])
        out = np.empty((len(batch), len(MEASURES)))
        code = CODES[self.convention]
        measure_repetition(
            offsets,
            data,
            words.first,
            words.starts,
            words.stops,
            words_data,
            tables(),
            code,
            segments,
            longest,
            SEED,
            scratch,
            out,
        )
        return dict(zip(MEASURES, np.ascontiguousarray(out.T), strict=True))

    def _words(self, batch: Batch) -> tuple[Spans, NDArray[np.uint8]]:
        """The words of the convention, and the bytes they are of."""
        if self.convention != "redpajama":
            return batch.words(WORDS[self.convention]), text_buffers(batch.text)[1]
        plain = _plain(batch.text)
        return words_of(plain, "runs"), text_buffers(plain)[1]


def _no_words(rows: int) -> Spans:
    none = np.zeros(0, np.int64)
    return Spans(np.zeros(rows + 1, np.int64), none, none)


def _plain(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """The texts as RedPajama-v2 normalises them: no ASCII punctuation, lower case, NFD.

    Lower case is that of each character by itself, so a capital sigma becomes σ at the end of a word, too.
    """
    offsets, data = text_buffers(text)
    out_offsets, out = np.empty(len(text) + 1, np.int64), np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8)
    others = plain_ascii(offsets, data, plain_bytes(), out_offsets, out)
    plain = from_buffers(out_offsets, out)
    if not others:
        return plain
    lower = pc.utf8_lower(pc.replace_substring(plain, "İ", "i\u0307"))
    return pc.utf8_normalize(lower, form="NFD")
