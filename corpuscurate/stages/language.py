"""`language`: the language of each document, as columns and as a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError, did_you_mean
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Note, Outcome, Resources, StreamingStage
from corpuscurate.kernels.language.scripts import script_codes
from corpuscurate.methods.language.codes import (
    NOT_LANGUAGE,
    UNDETERMINED,
    LabelSystem,
    group_of,
    individual,
    parse,
    written,
)
from corpuscurate.methods.language.fineweb2 import fineweb2_rows, is_glotlid
from corpuscurate.methods.language.identify import identify
from corpuscurate.methods.language.models import language_model, model_digest
from corpuscurate.methods.language.py3langid_model import PACKAGE

DEFAULT = "default"
KEEP, MIN_SCORE = 1, 2
MEMORY_BYTES = 200 << 20


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Languages = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Labels(NamedTuple):
    """The labels of the stage by number. label_of: int64[labels of the model], the number that each counts as. names:
    as the model writes them, or the code of a group. alike: int64[numbers], equal for languages of one group, -1 for
    what is no language. kept: bool[numbers]. least: float64[numbers], nan where there is no bound."""

    label_of: NDArray[np.int64]
    names: tuple[str, ...]
    alike: NDArray[np.int64]
    kept: NDArray[np.bool_]
    least: NDArray[np.float64]


class Language(StreamingStage):
    """Tells the language of each document. Without `keep` and `min_score` nothing is dropped.

    Columns, always added:
    - `label`: the most probable language, written as `labels` says. `und` (undetermined) where the text has nothing
      that the model knows, or where its score is below `und_below`; `zxx` where the model has a class for what is no
      language.
    - `score`: the probability of the label, 0..1. It means something for this model alone.
    - `script`: the script of most letters (ISO 15924; Jpan where at least a tenth of Han and Kana is Kana), Zyyy
      without letters.
    - `second`: a second language of the document, null where none is found; `second_ratio`: its share. Up to `parts`
      pieces of 128 bytes, evenly spread over the document, are identified each by itself; those of another language
      than the document's count where their score is at least 0.8, and the most frequent such language is the second
      one. Of languages that are hard to tell apart (`merge`) one is never the second of another. Documents of less than
      512 bytes have none.

    The model is that of the package py3langid, with its answers: 139 languages and `zxx`, naive Bayes over n-grams of
    bytes, its probabilities calibrated by length. Labels with a score below 0.3 are wrong more often than right, so
    `und_below` is 0.3 for it. Or `model` is a fastText file: lid.176.bin or .ftz, GlotLID, OpenLID; a document is one
    line to fastText, its score that of `predict`.

    Languages in `keep`, `merge` and `min_score` are written in any system: `de`, `deu`, `ger`, `deu_Latn` are the same,
    and so are `zh`, `zho` and `cmn`. A code with a script keeps that script alone.
    """

    word = "language"
    source = "Lui and Baldwin 2011, 2012 (langid.py); Joulin et al. 2016, arXiv 1607.01759 (fastText)"

    model: LocalPath | None = Field(None, description="a fastText file, .bin or .ftz; null: the model of py3langid")
    keep: Languages | None = Field(None, description="the languages that are kept; null: all", min_length=1)
    min_score: Share | dict[str, Share] | Literal["fineweb2"] | None = Field(
        None,
        description="least score that is kept: for all, or by language with `default` for the others; fineweb2: the"
        " published ones of GlotLID",
    )
    merge: Annotated[tuple[Literal["hbs", "msa", "nor"], ...], BeforeValidator(_as_tuple)] = Field(
        (),
        description="languages that count as one: hbs (Bosnian, Croatian, Montenegrin, Serbian), msa (Indonesian,"
        " Malay), nor (Bokmål, Nynorsk)",
    )
    labels: LabelSystem = Field("short", description="how labels are written: en, eng, eng_Latn, or as in the model")
    und_below: Share | None = Field(
        None, description="the score below which the label is und; null: 0.3 for the model of py3langid, 0 for others"
    )
    max_bytes: int | None = Field(None, description="most bytes of a document that are looked at", ge=64)
    parts: int = Field(8, description="most parts that are identified for a second language; 0: none", ge=0, le=1024)

    @property
    def packages(self) -> tuple[str, ...]:
        """py3langid has the default model."""
        return () if self.model is not None else (PACKAGE,)

    @property
    def resources(self) -> Resources:
        """The tables of the default model."""
        return Resources(memory_bytes=MEMORY_BYTES)

    def adds(self) -> Mapping[str, pa.DataType]:
        """What the stage found."""
        return {"label": TEXT, "score": pa.float64(), "script": TEXT, "second": TEXT, "second_ratio": pa.float64()}

    def rules(self) -> Mapping[str, float | None]:
        """`keep` and the bound, those that are set; of bounds by language that of `default`, or the lowest."""
        found: dict[str, float | None] = {}
        if self.keep is not None:
            found["keep"] = None
        if self.min_score is not None:
            found["min_score"] = self._bound
        return found

    @property
    def _bound(self) -> float | None:
        if isinstance(self.min_score, Mapping):
            return self.min_score.get(DEFAULT, min(self.min_score.values(), default=0.0))
        return (
            min(row.language_score for row in fineweb2_rows().values())
            if self.min_score == "fineweb2"
            else self.min_score
        )

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digest of the model's content in the place of its path. Raises InputError."""
        _ = self._labels
        return {**super().identity(), "model": f"xxh3-64:{model_digest(self.model)}"}

    def origin(self, measure: str) -> Any:
        """The model: scores of one mean nothing for another."""
        return {"model": model_digest(self.model)}

    def apply(self, batch: Batch) -> Outcome:
        """Identify, and hold the labels against `keep` and the scores against the bounds."""
        model, labels = language_model(self.model), self._labels
        made = identify(
            batch.text, model, labels.label_of, labels.alike, max_bytes=self.max_bytes or 0, parts=self.parts
        )
        number, score = made.found.labels[:, 0], made.found.scores[:, 0]
        doubt = model.doubt if self.und_below is None else self.und_below
        number = np.where(score < doubt, -1, number)
        second = np.where(number < 0, -1, made.second)
        columns = {
            "label": self._written(number, made.scripts, UNDETERMINED),
            "score": pa.array(score),
            "script": _chosen(script_codes(), made.scripts.astype(np.int64)),
            "second": self._written(second, None, None),
            "second_ratio": pa.array(np.where(second < 0, 0.0, made.second_ratio)),
        }
        reason, value, threshold = self._judged(number, score, made.scripts)
        noted = {"mixed": second >= 0, "undetermined": number < 0}
        return Outcome(columns=columns, reason=reason, value=value, threshold=threshold, noted=noted)

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """How many documents have a second language, or none that could be told."""
        told = {
            "mixed": "have text in a second language",
            "undetermined": "are in no language that could be told (und)",
        }
        return [
            f"{note.count:,} of {documents:,} documents {told[name]}, the first is doc_id {note.first}"
            for name, note in noted.items()
        ]

    def _judged(
        self, number: NDArray[np.int64], score: NDArray[np.float64], scripts: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
        """Reasons, values and thresholds."""
        labels, numbers = self._labels, {name: place for place, name in enumerate(self.rules(), 1)}
        reason = np.zeros(len(number), np.int16)
        value, threshold = np.full(len(number), np.nan), np.full(len(number), np.nan)
        if "min_score" in numbers:
            least = np.append(labels.least, self._least_of(None))[number]
            low = score < least
            reason[low] = numbers["min_score"]
            value[low], threshold[low] = score[low], least[low]
        if "keep" in numbers:
            gone = ~self._kept(number, scripts)
            reason[gone] = numbers["keep"]
            value[gone] = threshold[gone] = np.nan
        return reason, value, threshold

    def _kept(self, number: NDArray[np.int64], scripts: NDArray[np.int16]) -> NDArray[np.bool_]:
        kept = np.append(self._labels.kept, UNDETERMINED in (self.keep or ()))[number]
        codes = script_codes()
        for each in self.keep or ():
            code = parse(each)
            if code is not None and code.script in codes:
                there = [individual(name) == individual(each) for name in self._labels.names]
                kept |= np.append(there, False)[number] & (scripts == codes.index(code.script))
        return kept

    def _written(
        self, number: NDArray[np.int64], scripts: NDArray[np.int16] | None, none: str | None
    ) -> pa.LargeStringArray:
        """Labels as text; `none` for -1. scripts: of the texts, for labels without one."""
        codes, names = script_codes(), self._labels.names
        if self.labels != "iso639_3_script" or scripts is None:
            return _chosen([*(written(name, self.labels) for name in names), none], number)
        pair = np.where(number < 0, -1, number * len(codes) + scripts)
        found, which = np.unique(pair, return_inverse=True)
        texts = [
            none if each < 0 else written(names[each // len(codes)], self.labels, codes[each % len(codes)])
            for each in found.tolist()
        ]
        return _chosen(texts, which.reshape(-1))

    def _least_of(self, name: str | None) -> float:
        """The bound of a language; nan where there is none. name: a label of the model, None for `und`."""
        if self.min_score is None or isinstance(self.min_score, str):
            rows = fineweb2_rows() if self.min_score is not None and name is not None else {}
            code = parse(name or "")
            row = None if code is None else rows.get((individual(code.three), code.script))
            return np.nan if row is None else row.language_score
        if not isinstance(self.min_score, Mapping):
            return self.min_score
        given = {individual(each): bound for each, bound in self.min_score.items()}
        return given.get(individual(name or UNDETERMINED), self.min_score.get(DEFAULT, np.nan))

    @cached_property
    def _labels(self) -> _Labels:
        """Raises InputError where a language in a parameter is none of the model's, or its scores are of another
        one."""
        model = language_model(self.model)
        if self.min_score == "fineweb2" and not is_glotlid(model.labels):
            raise InputError(
                f"{self.label}: the thresholds of FineWeb-2 are of scores of GlotLID, and mean nothing for"
                f" {model.name}: set `model:` to a file of GlotLID, or `min_score:` to thresholds of your own"
            )
        names: list[str] = []
        label_of = np.empty(len(model.labels), np.int64)
        for place, label in enumerate(model.labels):
            group = group_of(label)
            name = group if group in self.merge else label
            if name not in names:
                names.append(name)
            label_of[place] = names.index(name)
        groups = [group_of(name) for name in names]
        alike = np.array([-1 if name == NOT_LANGUAGE else groups.index(group_of(name)) for name in names], np.int64)
        self._check_languages(names)
        plain = {individual(each) for each in self.keep or () if not _scripted(each)}
        kept = np.array([individual(name) in plain for name in names], np.bool_)
        least = np.array([self._least_of(name) for name in names])
        return _Labels(label_of, tuple(names), alike, kept, least)

    def _check_languages(self, names: Sequence[str]) -> None:
        known = {individual(name) for name in names} | {UNDETERMINED}
        by_language = self.min_score if isinstance(self.min_score, Mapping) else {}
        for parameter, given in (("keep", self.keep or ()), ("min_score", by_language)):
            for each in given:
                if (each == DEFAULT and parameter == "min_score") or individual(each) in known:
                    continue
                merged = group_of(each)
                why = f"it counts as {merged} (`merge`)" if merged in self.merge else did_you_mean(each, names)
                raise InputError(f"{self.label}: {parameter} names {each!r}, which the model does not tell: {why}")


def _scripted(label: str) -> bool:
    code = parse(label)
    return code is not None and code.script in script_codes()


def _chosen(names: Sequence[str | None], which: NDArray[np.int64]) -> pa.LargeStringArray:
    """names[which] as a column; -1 is the last name."""
    return pa.array(names, TEXT).take(pa.array(which % max(len(names), 1)))
