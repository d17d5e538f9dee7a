"""Rules whose thresholds follow the language of each document: `language: auto`.

The language comes from a column of labels, as an earlier stage `language` makes it, or is one for all. Its row is that
of FineWeb-2 (`fineweb2`), and its thresholds stand in the place of the stage's own where both have one. For English,
which FineWeb-2 does not have, the stage's own thresholds hold, which are the published ones by default. They also hold
for a language without a row, but for the rule of stop words: of these there are none.

Scripts without spaces between words (UNSPACED): what white space parts is not a word there, and a page of Thai has a
dozen of them. FineWeb-2 took other segmenters for each. Rules that count words are off for these documents.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import strings
from corpuscurate.core.filter import Filter
from corpuscurate.core.stage import Note, Outcome
from corpuscurate.methods.language.codes import individual, parse
from corpuscurate.methods.language.fineweb2 import Fineweb2Row, fineweb2_row

AUTO = "auto"
UNSPACED = frozenset(
    {"Ahom", "Bopo", "Hani", "Hans", "Hant", "Hira", "Jpan", "Kana", "Khmr", "Lana", "Laoo", "Mymr", "Tale", "Talu"}
    | {"Tavt", "Thai", "Tibt"}
)
"""Scripts that are written without spaces between words, Tibetan among them, where a mark ends each syllable."""
UNSPACED_LANGUAGES = frozenset(["bod", "cmn", "dzo", "jpn", "khm", "lao", "lzh", "mya", "shn", "tha", "wuu", "yue"])
"""Languages of these scripts, for labels without one."""
_LABEL, _SCRIPT = ".label", ".script"


class DocumentLanguage(NamedTuple):
    """What the rules know of a language. row: FineWeb-2's, None where the stage's own thresholds hold. known: whether
    they are meant for it: it has a row, or is English. spaced: whether spaces stand between its words."""

    row: Fineweb2Row | None
    known: bool
    spaced: bool


class Languages(NamedTuple):
    """The languages of n documents: which of `kinds` each has, int64[n]."""

    which: NDArray[np.int64]
    kinds: tuple[DocumentLanguage, ...]

    def mask(self, good: list[bool]) -> NDArray[np.bool_]:
        """bool[n]: what holds of each kind, by document."""
        return np.array(good, np.bool_)[self.which]


def document_language(label: str | None, script: str | None = None) -> DocumentLanguage:
    """What the rules know of a label, in any system. script: of the text."""
    code = parse(label or "")
    script = (code.script if code is not None else "") or script or ""
    row = None if label is None else fineweb2_row(label, script)
    if row is not None:
        script = row.name[4:]
    spaced = script not in UNSPACED and not (not script and individual(label or "") in UNSPACED_LANGUAGES)
    return DocumentLanguage(row, row is not None or (code is not None and code.three == "eng"), spaced)


class ByLanguage(Filter):
    """A filter whose thresholds may follow the language of each document."""

    of_words: ClassVar[frozenset[str]] = frozenset()
    """The bounds of measures that count words."""
    of_stop_words: ClassVar[str] = ""
    """The bound of stop words."""

    language: str | None = Field(
        None,
        description="auto: FineWeb-2's thresholds for the language of each document; or one language for all, as"
        " deu_Latn; null: the stage's own",
        examples=[AUTO],
    )
    language_from: str = Field(
        f"language{_LABEL}", description="with `language: auto`, the column of labels", min_length=1
    )

    @field_validator("language")
    @classmethod
    def _known_language(cls, language: str | None) -> str | None:
        if language not in (None, AUTO) and not document_language(language).known:
            raise ValueError(
                f"{language!r} is no language that FineWeb-2 has thresholds for: expected auto, or a code such as deu"
                " or srp_Cyrl (with the script where a language has several)"
            )
        return language

    @abstractmethod
    def of_row(self, row: Fineweb2Row) -> Mapping[str, float]:
        """The bounds that FineWeb-2 sets for a language, nan where it has none."""

    def reads(self) -> tuple[str, ...]:
        """The labels, and the scripts of the stage that made them."""
        if self.language != AUTO:
            return ()
        made = self.language_from.endswith(_LABEL)
        return (
            (self.language_from, self.language_from.removesuffix(_LABEL) + _SCRIPT) if made else (self.language_from,)
        )

    def languages(self, batch: Batch) -> Languages | None:
        """The languages of the documents; None where thresholds do not follow them."""
        if self.language is None:
            return None
        if self.language != AUTO:
            return Languages(np.zeros(len(batch), np.int64), (document_language(self.language),))
        columns = [strings(batch.columns[name]).dictionary_encode("encode") for name in self.reads()]
        names = [column.dictionary.to_pylist() for column in columns]  # distinct values
        codes = [column.indices.to_numpy(zero_copy_only=False).astype(np.int64) for column in columns]
        pairs = codes[0] if len(codes) == 1 else codes[0] * max(len(names[-1]), 1) + codes[1]
        found, which = np.unique(pairs, return_inverse=True)
        kinds = []
        for pair in found.tolist():
            label, script = divmod(pair, max(len(names[1]), 1)) if len(names) == 2 else (pair, None)
            kinds.append(document_language(names[0][label], None if script is None else names[1][script]))
        return Languages(which.reshape(-1), tuple(kinds))

    def thresholds(self, languages: Languages) -> dict[str, NDArray[np.float64]]:
        """The bounds of each document, float64[n], nan where one is off; those of all bounds that differ by
        document."""
        own = self.bounds()
        tables = {name: np.full(len(languages.kinds), bound, np.float64) for name, bound in own.items()}
        for place, kind in enumerate(languages.kinds):
            of_row = {} if kind.row is None else self.of_row(kind.row)
            for name in own:
                if (name in self.of_words and not kind.spaced) or (name == self.of_stop_words and not kind.known):
                    tables[name][place] = np.nan
                else:
                    tables[name][place] = of_row.get(name, own[name])
        return {name: table[languages.which] for name, table in tables.items()}

    def measure_in(self, batch: Batch, languages: Languages) -> Mapping[str, NDArray[Any]]:
        """The measures of documents whose languages are known."""
        return self.measure(batch)

    def apply(self, batch: Batch) -> Outcome:
        """Compare the measures with the bounds of each document's language."""
        languages = self.languages(batch)
        if languages is None:
            return super().apply(batch)
        found = self.measure_in(batch, languages)
        noted = {
            "no_row": languages.mask([not kind.known for kind in languages.kinds]),
            "unspaced": languages.mask([not kind.spaced for kind in languages.kinds]) & bool(self._word_rules()),
        }
        return self.outcome(found, len(batch), self.thresholds(languages), noted)

    def _word_rules(self) -> list[str]:
        return [name for name in self.bounds() if name in self.of_words]

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """How many documents have no row, or no words that white space parts."""
        told = {
            "no_row": "are in a language without thresholds of FineWeb-2: the stage's own hold"
            + (f", without {self.of_stop_words}" if self.of_stop_words in self.bounds() else ""),
            "unspaced": f"are in a script without spaces, where these rules are off: {', '.join(self._word_rules())}",
        }
        return [
            f"{note.count:,} of {documents:,} documents {told[name]}; the first is doc_id {note.first}"
            for name, note in noted.items()
        ]


def scattered(
    languages: Languages, groups: list[NDArray[np.bool_]], measured: list[Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Measures of groups of documents put together again, in their order."""
    whole: dict[str, NDArray[Any]] = {}
    for mask, found in zip(groups, measured, strict=True):
        for name, values in found.items():
            if name not in whole:
                whole[name] = np.zeros(len(languages.which), values.dtype)
            whole[name][mask] = values
    return whole
