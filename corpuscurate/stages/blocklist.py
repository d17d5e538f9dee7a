"""`blocklist`: words and phrases in the text that are on a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, strings, text_buffers
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import FromRecipe, LocalPaths
from corpuscurate.core.spans import words_of
from corpuscurate.core.stage import Outcome
from corpuscurate.kernels.text.borders import at_borders, first_of_each
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.lists.read import Entry, digests, entries
from corpuscurate.methods.lists.seek import Seeker
from corpuscurate.methods.user_files import state_of

_WHAT = "the list of words"


def _as_tuples(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: (paths,) if isinstance(paths, str) else tuple(paths) for name, paths in value.items()}


ByLanguage = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_as_tuples), FromRecipe()]


@dataclass(frozen=True, slots=True)
class _Hits:
    """k hits, by row and place: row of the document, entry of the list, words of it."""

    rows: NDArray[np.int64]
    entries: NDArray[np.int64]
    words: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _List:
    """What is sought, where each entry stands, and its number of words."""

    seeker: Seeker
    entries: tuple[Entry, ...]
    words: NDArray[np.int64]


class Blocklist(Filter):
    """Drops documents with too many words or phrases of your lists, or too large a share of them.

    Text and entries are compared in lower case (one character for one; normalize both alike first: `normalize`). An
    entry is met as a whole: it begins and ends at borders of words. In scripts with combining marks (Hindi) a mark
    belongs to the letter before it; in scripts without spaces between words (Thai, Lao, Khmer, Burmese, Chinese,
    Japanese) every letter with its marks is a word, so an entry is met within other text, where a reader may see
    another word: `borders: false` takes it anywhere in every script. Korean has spaces, and an entry does not meet a
    word with a particle. Of hits that overlap, the one that begins first counts, of these the longest.

    `words` holds for all documents, `by_language` for those whose column `language` has that value. Lists have an entry
    a line, plain, .gz or .zst. One is LDNOOBW (github LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words,
    CC-BY-4.0), by language, as C4 used it; dropping by it loses texts by and about minorities (arXiv 2104.08758), so
    look first with `mode: tag`. dropped/ names list, line and entry of the first hit (`detail`), as does `mode: tag`.
    """

    word = "blocklist"
    source = "Raffel et al. 2020, arXiv 1910.10683, section 2.2 (any word); RedPajama-v2, arXiv 2411.12372 (counts)"
    details: ClassVar[bool] = True
    measured: ClassVar[Mapping[str, pa.DataType]] = {"hits": pa.int64(), "hit_ratio": pa.float64(), "detail": TEXT}

    words: LocalPaths = Field((), description="lists of words and phrases for all documents", examples=["words.txt"])
    by_language: ByLanguage = Field(
        default_factory=dict, description="lists by language: {en: words_en.txt, hi: [words_hi.txt]}"
    )
    language: str | None = Field(None, description="the column with the language, for by_language", min_length=1)
    borders: bool = Field(True, description="an entry begins and ends at borders of words; false: it stands anywhere")
    max_hits: int | None = Field(0, description="most hits of a document (C4: 0)", ge=0)
    max_hit_ratio: float | None = Field(None, description="greatest share of words that are in hits", ge=0, le=1)

    @model_validator(mode="after")
    def _lists_fit(self) -> Blocklist:
        if not self.words and not self.by_language:
            raise ValueError("there is no list: give words or by_language")
        if bool(self.by_language) != (self.language is not None):
            raise ValueError("by_language and language go together: the lists, and the column with the language")
        return self

    def reads(self) -> tuple[str, ...]:
        """The language, where lists go by it."""
        return () if self.language is None else (self.language,)

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digests of the lists in the place of their paths. Raises InputError for a list that
        cannot be used."""
        for paths in (self.words, *self.by_language.values()):
            if paths:
                _load(paths)
        by_language = {name: digests(paths, _WHAT) for name, paths in self.by_language.items()}
        return {**self.parameters(), "words": digests(self.words, _WHAT), "by_language": by_language}

    def wants(self, measure: str) -> bool:
        """`detail` is a column of `mode: tag`."""
        return self.mode == "tag" or (measure != "detail" and super().wants(measure))

    def apply(self, batch: Batch) -> Outcome:
        """Judge the texts of a batch."""
        size = len(batch)
        text = pc.utf8_lower(batch.text)
        hits, covered = np.zeros(size, np.int64), np.zeros(size, np.int64)
        told = np.full(size, None, object)
        for rows, paths in self._uses(batch):
            loaded = _load(paths)
            found = self._found(text if len(rows) == size else text.take(pa.array(rows)), loaded)
            hits[rows] += np.bincount(found.rows, minlength=len(rows))
            covered[rows] += np.bincount(found.rows, found.words, len(rows)).astype(np.int64)
            first, at = np.unique(found.rows, return_index=True)
            for row, number in zip(rows[first].tolist(), found.entries[at].tolist(), strict=True):
                told[row] = told[row] or loaded.entries[number].told
        measures = {"hits": hits, "hit_ratio": np.zeros(size), "detail": told}
        if self.wants("hit_ratio"):
            words = batch.words().counts
            measures["hit_ratio"] = np.divide(covered, words, out=np.zeros(size), where=words > 0).clip(0, 1)
        outcome = self.outcome(measures, size)
        detail = pa.array(told, TEXT)
        if outcome.reason is not None:
            detail = pc.if_else(pa.array(outcome.reason > 0), detail, pa.scalar(None, TEXT))
        return replace(outcome, detail=detail)

    def _uses(self, batch: Batch) -> list[tuple[NDArray[np.int64], tuple[str, ...]]]:
        """The lists that hold for rows of the batch."""
        uses = [(np.arange(len(batch)), self.words)] if self.words else []
        if self.language is not None:
            languages = strings(batch.columns[self.language])
            for name, paths in self.by_language.items():
                mine = pc.fill_null(pc.equal(languages, name), False).to_numpy(zero_copy_only=False)
                uses.append((np.flatnonzero(mine), paths))
        return [(rows, paths) for rows, paths in uses if len(rows)]

    def _found(self, text: pa.LargeStringArray, loaded: _List) -> _Hits:
        """The hits of a list in texts of lower case."""
        offsets, data = text_buffers(text)
        base = int(offsets[0])
        which, starts, stops = loaded.seeker.hits(data[base : int(offsets[-1])])
        starts, stops = starts + base, stops + base
        rows = np.searchsorted(offsets, starts, "right") - 1
        kept = stops <= offsets[rows + 1]  # not across two documents
        if self.borders and len(rows):
            bordered = np.empty(len(rows), np.bool_)
            t = tables()
            at_borders(data, offsets[rows], offsets[rows + 1], starts, stops, t.flag_pages, t.flag_data, bordered)
            kept &= bordered
        order = np.flatnonzero(kept)
        order = order[np.lexsort((-stops[order], starts[order]))]
        alone = np.empty(len(order), np.bool_)
        first_of_each(starts[order], stops[order], alone)
        chosen = order[alone]
        return _Hits(rows[chosen], which[chosen], loaded.words[which[chosen]])


def _load(paths: Sequence[str]) -> _List:
    """The lists as one. Raises InputError."""
    return _loaded(tuple(paths), tuple(state_of(path, _WHAT) for path in paths))


@lru_cache(64)
def _loaded(paths: tuple[str, ...], states: tuple[tuple[int, int], ...]) -> _List:
    forms, where = entries(paths, _WHAT, lambda lines: [[line.encode()] for line in lines])
    lower = pc.utf8_lower(pa.array([form.decode() for form in forms], TEXT))
    known: dict[bytes, int] = {}
    for number, form in enumerate(lower.to_pylist()):
        known.setdefault(form.encode(), number)
    words = words_of(lower).counts
    numbers = list(known.values())
    return _List(Seeker(list(known)), tuple(where[number] for number in numbers), words[numbers])
