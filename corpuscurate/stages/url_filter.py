"""`url_filter`: documents whose URL is on a list, or has words of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, strings
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import LocalPaths
from corpuscurate.core.stage import Note, Outcome
from corpuscurate.kernels.urls.match import MOST_WORDS, RULES, Lists, match_urls
from corpuscurate.kernels.urls.plain import squeeze
from corpuscurate.kernels.urls.table import Table, make_table
from corpuscurate.methods.lists.read import Entry, digests, entries
from corpuscurate.methods.lists.seek import Seeker
from corpuscurate.methods.lists.urls import Plain, pages, plain, sites, suffixes, words
from corpuscurate.methods.user_files import state_of

LISTS = ("domains", "hosts", "paths", "urls", "hard_words", "soft_words", "strict_words")
"""Rules with a list, in the order of `kernels.urls.match`; strict words are sought apart."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A table for each rule, where each entry stands, and what finds strict words."""

    tables: Lists
    entries: Mapping[str, tuple[Entry, ...]]
    strict: Seeker | None


class UrlFilter(Filter):
    """Drops documents by their URL: sites, pages, and words in it.

    Rules, of which the first that is met is the reason:
    - `missing`: there is no URL (with `missing: drop`; else such documents stay and are counted).
    - `domains`: the host or one of its parents is listed, label by label: `b.org` meets `www.b.org`, not `ab.org`. A
      name that is itself a public suffix (`co.uk`, by the ICANN section of publicsuffix.org's list, which the package
      publicsuffixlist brings) meets that host alone.
    - `hosts`: this very host, with or without "www.".
    - `paths`: host and path begin so, up to a slash, a question mark or the end: `a.org/x` meets `a.org/x/y?z`.
    - `urls`: this very page.
    - `hard_words`: a run of letters and digits in host, path or query is listed. `soft_words`: `min_soft_words`
      different ones are. `strict_words`: one occurs anywhere, hyphens and dots left out (`convention: datatrove`: all
      signs).
    URLs and entries are compared in a plain form: no scheme, user name, port or fragment; hosts in lower case, by UTS
    #46 in ASCII (bücher.de is xn--bcher-kva.de), without dots at the end; "%41" decoded, ASCII letters of paths in
    lower case, slashes at the end left out. An IP address is a host without parents.

    Lists are yours, an entry a line, plain, .gz or .zst; lines of hosts files and of ad blockers (`||a.org^`) are read
    too. Where they are had: UT1 (dsi.ut-capitole.fr/blacklists, CC-BY-SA-4.0), which RefinedWeb and FineWeb took theirs
    from; the words of RefinedWeb and FineWeb (github allenai/datamap-rs, banlists/; huggingface/datatrove, assets/).
    dropped/ names list, line and entry of each hit (`detail`), and so does `mode: tag` (column `detail`).
    """

    word = "url_filter"
    source = (
        "Penedo et al. 2023, arXiv 2306.01116, section 3.1 and appendix G.1; datatrove's URLFilter (FineWeb); "
        "lists after Universite Toulouse Capitole (UT1)"
    )
    details: ClassVar[bool] = True
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "missing": pa.int64(),
        **{name: pa.int64() for name in LISTS},
        "detail": TEXT,
    }

    url: str = Field("url", description="the column with the URL", min_length=1)
    domains: LocalPaths = Field((), description="lists of domains, met with all below them", examples=["domains.txt"])
    hosts: LocalPaths = Field((), description="lists of hosts, met alone")
    paths: LocalPaths = Field((), description="lists of hosts with the beginning of a path")
    urls: LocalPaths = Field((), description="lists of pages")
    hard_words: LocalPaths = Field((), description="lists of words, of which a URL may have none")
    soft_words: LocalPaths = Field((), description="lists of words, of which a URL may have fewer than min_soft_words")
    strict_words: LocalPaths = Field((), description="lists of words that may stand nowhere, within others either")
    min_soft_words: int = Field(
        2, description="different soft words that are a reason (appendix G.1: 2)", ge=1, le=MOST_WORDS
    )
    missing: Literal["keep", "drop"] = Field("keep", description="what becomes of documents without a URL")
    convention: Literal["refinedweb", "datatrove"] = Field(
        "refinedweb", description="what strict words are sought in: the URL without - and . , or without all signs"
    )

    @model_validator(mode="after")
    def _has_a_list(self) -> UrlFilter:
        if not self._listed and self.missing == "keep":
            raise ValueError(f"there is no list: give one of {', '.join(LISTS)}")
        return self

    @property
    def _listed(self) -> tuple[str, ...]:
        return tuple(name for name in LISTS if getattr(self, name))

    @property
    def packages(self) -> tuple[str, ...]:
        """Those whose tables decide."""
        return ("idna", "publicsuffixlist")

    def reads(self) -> tuple[str, ...]:
        """The URL."""
        return (self.url,)

    def bounds(self) -> dict[str, int | float]:
        """Most hits of each rule in force."""
        limits: dict[str, int | float] = {"max_missing": 0} if self.missing == "drop" else {}
        return limits | {f"max_{name}": self.min_soft_words - 1 if name == "soft_words" else 0 for name in self._listed}

    def rules(self) -> Mapping[str, float | None]:
        """The rules in force with the most hits allowed; the value is the number of entries that were met."""
        return {name.removeprefix("max_"): bound for name, bound in self.bounds().items()}

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digests of the lists in the place of their paths. Raises InputError for a list that
        cannot be used."""
        self._lists()
        lists = {name: digests(getattr(self, name), _what(name)) for name in self._listed}
        return {**self.parameters(), **lists}

    def _lists(self) -> _Loaded:
        states = tuple(state_of(path, _what(name)) for name in self._listed for path in getattr(self, name))
        return _loaded(tuple(getattr(self, name) for name in LISTS), states)

    def wants(self, measure: str) -> bool:
        """`detail` is a column of `mode: tag`."""
        return self.mode == "tag" or (measure != "detail" and (measure == "missing" or measure in self._listed))

    def apply(self, batch: Batch) -> Outcome:
        """Judge the URLs of a batch."""
        column = batch.columns[self.url]
        urls = plain(strings(column))
        absent = urls.offsets[1:] == urls.offsets[:-1]
        found, met = self._met(urls, len(batch))
        found["missing"] = absent.astype(np.int64)
        detail = self._told(found, met, len(batch))
        found["detail"] = detail
        outcome = self._outcome(found, len(batch))
        return replace(outcome, detail=detail, noted={"missing": absent})

    def _outcome(self, found: Mapping[str, Any], size: int) -> Outcome:
        """As `Filter.outcome`; details are text."""
        numbers = {name: values for name, values in found.items() if name != "detail"}
        plain_outcome = self.outcome({**numbers, "detail": np.array(found["detail"], object)}, size)
        if "detail" not in plain_outcome.measures:
            return plain_outcome
        return replace(plain_outcome, measures={**plain_outcome.measures, "detail": found["detail"]})

    def _met(self, urls: Plain, size: int) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
        """By rule, the number of entries that each URL meets, and the place of the first, or -1."""
        lists = self._lists()
        places, counts = np.empty((size, RULES), np.int64), np.empty((size, RULES), np.int64)
        wanted = np.array([name in self._listed for name in LISTS[:RULES]])
        seen = np.empty((2, MOST_WORDS), np.int64)
        match_urls(
            urls.offsets, urls.data, urls.hosts, urls.bare, suffixes(), lists.tables, wanted, seen, places, counts
        )
        found = {name: counts[:, at] for at, name in enumerate(LISTS[:RULES])}
        met = {name: places[:, at] for at, name in enumerate(LISTS[:RULES])}
        found["strict_words"], met["strict_words"] = self._strict(urls, size, lists.strict)
        return found, met

    def _strict(self, urls: Plain, size: int, seeker: Seeker | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of different strict words in each URL, and the place of the one that ends first, or -1."""
        counts, first = np.zeros(size, np.int64), np.full(size, -1, np.int64)
        if seeker is None or not size:
            return counts, first
        offsets, out = np.empty(size + 1, np.int64), np.empty(len(urls.data) + size, np.uint8)
        written = squeeze(urls.bare, urls.offsets[1:], urls.data, self.convention == "datatrove", offsets, out)
        which, starts, _ = seeker.hits(out[:written])
        rows = np.searchsorted(offsets, starts, "right") - 1
        different = np.unique(np.stack([rows, which], axis=1), axis=0)[:, 0] if len(rows) else rows
        counts += np.bincount(different, minlength=size)
        hit, at = np.unique(rows, return_index=True)
        first[hit] = which[at]
        return counts, first

    def _told(self, found: Mapping[str, Any], met: Mapping[str, NDArray[np.int64]], size: int) -> pa.LargeStringArray:
        """List, line and entry of the first entry of each rule that a URL fails (`reasons: first`: of the first rule);
        null where it fails none."""
        lists = self._lists().entries
        told: dict[int, str] = {}
        for rule, bound in self.rules().items():
            if rule == "missing":
                continue
            for row in np.flatnonzero(found[rule] > bound).tolist():
                text = lists[rule][int(met[rule][row])].told
                if row not in told:
                    told[row] = text
                elif self.reasons == "all":
                    told[row] += f"; {text}"
        values = np.full(size, None, object)
        for row, text in told.items():
            values[row] = text
        return pa.array(values, TEXT)

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """How many documents have no URL."""
        if "missing" not in noted:
            return []
        note = noted["missing"]
        became = "were dropped" if self.missing == "drop" and self.mode == "drop" else "were kept"
        return [
            f"{self.label}: {note.count:,} of {documents:,} documents have no URL in the column {self.url!r} and"
            f" {became}; the first is doc_id {note.first}"
        ]


def _what(name: str) -> str:
    return f"the list {name}"


_FORMS = {
    "domains": lambda lines: sites(lines, keep_www=True),
    "hosts": lambda lines: sites(lines, keep_www=False),
    "paths": pages,
    "urls": pages,
    "hard_words": words,
    "soft_words": words,
    "strict_words": words,
}


@lru_cache(4)
def _loaded(lists: tuple[tuple[str, ...], ...], states: tuple[tuple[int, int], ...]) -> _Loaded:
    """The lists of a stage. states: of the files, so that changed ones are read again."""
    tables: list[Table] = []
    known: dict[str, tuple[Entry, ...]] = {}
    strict: Seeker | None = None
    for name, paths in zip(LISTS, lists, strict=True):
        forms, known[name] = entries(paths, _what(name), _FORMS[name])
        if name != "strict_words":
            tables.append(make_table(forms, backwards=name in ("domains", "hosts")))
        elif forms:
            strict = Seeker(forms)
    return _Loaded(Lists(*tables), known, strict)
