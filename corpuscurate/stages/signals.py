"""`signals`: the quality signals of RedPajama-v2 as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import did_you_mean
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Outcome, StreamingStage
from corpuscurate.methods.quality.signals import ELSEWHERE, LINE_SIGNAL, SIGNALS, column, count
from corpuscurate.methods.user_files import read_phrases, user_digest

_LISTS = {"stop_words": "the list of stop words", "bad_words": "the list of bad words"}


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_names(names: Literal["all"] | tuple[str, ...]) -> Literal["all"] | tuple[str, ...]:
    if names == "all":
        return names
    for name in names:
        if name in ELSEWHERE:
            raise ValueError(f"{name!r} is none of the signals here: {ELSEWHERE[name]}")
        if name not in SIGNALS:
            raise ValueError(f"there is no signal {name!r}. {did_you_mean(name, SIGNALS)} `all` stands for all")
    if not names or len(set(names)) < len(names):
        raise ValueError("expected `all`, or a list of signals, each once")
    return names


Names = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_names)]


class Signals(StreamingStage):
    """Adds quality signals of RedPajama-v2 as columns under its names, such as `signals.rps_doc_word_count`.

    Nothing is dropped: a `where` behind it may, as in `signals.rps_doc_word_count >= 50`. Definitions are those of the
    code that made the data set:
    - A raw word is a run of letters, digits and underscores, or a run of other signs. A normalised word is what white
      space parts in the text without ASCII punctuation, in lower case, in NFD.
    - A line ends at a line feed; one at the end of the text begins no line. Signals of lines (`rps_lines_...`) are
      lists with a value for each line, as there, for thresholds on lines are the user's; a document of no lines has the
      empty list.
    - A document of no words or lines has null where RedPajama has None, and 0 where it has 0.
    Values are not rounded; RedPajama's are, to 8 decimals. `ccnet_nlines` is 1 more than the line feeds.

    Signals that need a list take yours: `stop_words` (RedPajama's are those of stopwords-json, by language),
    `bad_words` (LDNOOBW, by language); `all` has them where the list is given. What needs a model is a stage of its
    own.
    """

    word = "signals"
    shorthand: ClassVar[str] = "signals"
    source = "Weber et al. 2024 (RedPajama-v2), arXiv 2411.12372; github.com/togethercomputer/RedPajama-Data, app/"

    signals: Names = Field("all", description="`all`, or a list of names", examples=[["rps_doc_word_count"]])
    stop_words: LocalPath | None = Field(None, description="text file with a stop word a line; for its fraction")
    bad_words: LocalPath | None = Field(None, description="text file with a word or phrase a line; for ldnoobw_words")

    @model_validator(mode="after")
    def _lists_are_given(self) -> Signals:
        for name in () if self.signals == "all" else self.signals:
            wanted = SIGNALS[name].list
            if wanted is not None and getattr(self, wanted) is None:
                raise ValueError(f"{name!r} needs `{wanted}`: the path of a text file with a word a line")
        return self

    @property
    def chosen(self) -> tuple[str, ...]:
        """The signals that are added, in the order given, or in that of their names."""
        if self.signals != "all":
            return self.signals
        return tuple(name for name, each in SIGNALS.items() if each.list is None or getattr(self, each.list))

    def adds(self) -> Mapping[str, pa.DataType]:
        """The signals, as numbers and as lists of them."""
        return {name: LINE_SIGNAL if SIGNALS[name].lines else pa.float64() for name in self.chosen}

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digests of the lists in the place of their paths. Raises InputError."""
        digests = {}
        for name, what in _LISTS.items():
            if path := getattr(self, name):
                read_phrases(path, what)
                digests[name] = user_digest(path, what)
        return {**super().identity(), **digests}

    def apply(self, batch: Batch) -> Outcome:
        """Count what is needed in two walks, and make the columns."""
        lists = [read_phrases(path, what) if (path := getattr(self, name)) else () for name, what in _LISTS.items()]
        counts = count(batch.text, self.chosen, *lists)
        return Outcome(columns={name: column(name, counts) for name in self.chosen})
