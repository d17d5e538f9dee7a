"""`perplexity`: how likely a language model of n-grams finds a document, as CCNet measures it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, from_buffers, lengths_bytes, text_buffers
from corpuscurate.core.errors import InputError, MissingExtraError
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Outcome
from corpuscurate.kernels.text.ccnet import normalise, punctuation
from corpuscurate.kernels.text.lower_nfd import GROWTH, lower_tables
from corpuscurate.kernels.text.ngram_lm import score_lines
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.quality.kenlm_model import model_digest, read_model
from corpuscurate.methods.user_files import state_of, user_digest

_PIECES = "the SentencePiece model"


class Perplexity(Filter):
    """Measures the perplexity of each document under your language model, and drops those outside the bounds.

    The model is KenLM's: an ARPA file, or a binary file with probing hash tables, its default. Scores of words are
    KenLM's own, to the bit; their sum is in float64. The perplexity is 10 ** (-(sum of log10 probabilities) / tokens),
    where each sentence has a token more for its end; small is likely. A token is what ASCII white space parts.

    - As CCNet: `sentencepiece` is the model that the language model's text was cut into pieces by. A document is
      normalised (`normalize: ccnet`: lower case, no accents, digits 0, ASCII punctuation, no control characters, line
      ends among them), cut, and scored as one sentence. Needs the extra `perplexity`.
    - Without `sentencepiece` each line is normalised and scored as a sentence, blank ones too, and their sums added.
    A document without a character left has no perplexity (null), and lies within every bound.

    `head` and `tail` add `<stage>.bucket`, as CCNet parts its documents by language: head, below `head`; middle, below
    `tail`; tail. CCNet takes the 30th and the 60th percentile; `corpuscurate show` has the histogram of values.
    """

    word = "perplexity"
    source = "Wenzek et al. 2020 (CCNet), arXiv 1911.00359, section 3.3; Heafield 2011 (KenLM), WMT"
    measured: ClassVar[Mapping[str, pa.DataType]] = {"value": pa.float64()}

    model: LocalPath = Field(
        description="the language model: .arpa, or .bin of KenLM's build_binary", examples=["en.arpa.bin"]
    )
    sentencepiece: LocalPath | None = Field(
        None, description="SentencePiece model that cuts text into the tokens of the language model", examples=["en.sp"]
    )
    normalize: Literal["ccnet", "none"] = Field("ccnet", description="what is done to the text before")
    min_value: float | None = Field(None, description="least perplexity that is kept", gt=0)
    max_value: float | None = Field(None, description="greatest perplexity that is kept", gt=0, examples=[1000])
    head: float | None = Field(None, description="perplexity from which on a document is in the middle", gt=0)
    tail: float | None = Field(None, description="perplexity from which on a document is in the tail", gt=0)

    @model_validator(mode="after")
    def _both_cuts(self) -> Perplexity:
        if (self.head is None) != (self.tail is None):
            raise ValueError("head and tail are given together, or neither")
        if self.head is not None and self.tail is not None and self.head > self.tail:
            raise ValueError(f"head ({self.head}) is above tail ({self.tail})")
        return self

    @property
    def packages(self) -> tuple[str, ...]:
        """SentencePiece, where it cuts the text."""
        return () if self.sentencepiece is None else ("sentencepiece",)

    def adds(self) -> Mapping[str, pa.DataType]:
        """The perplexity, and the bucket where its borders are given."""
        return {**self.measured, **({} if self.head is None else {"bucket": pa.large_string()})}

    def measures(self) -> Mapping[str, pa.DataType]:
        """Nothing beyond the perplexity, which is always there."""
        return {}

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digests of the models in the place of their paths.

        Raises InputError where a model cannot be used, MissingExtraError without the package `sentencepiece`.
        """
        read_model(self.model)
        digests = {"model": model_digest(self.model)}
        if self.sentencepiece is not None:
            _pieces(self.sentencepiece)
            digests["sentencepiece"] = user_digest(self.sentencepiece, _PIECES)
        return {**super().identity(), **digests}

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The perplexities; nan where there is none."""
        text = batch.text if self.normalize == "none" else _normalised(batch.text, lines=self.sentencepiece is None)
        there = lengths_bytes(text) > 0
        if self.sentencepiece is not None:
            text = _cut(text, self.sentencepiece)
        scores, tokens = np.empty(len(text)), np.empty(len(text), np.int64)
        score_lines(*text_buffers(text), read_model(self.model), scores, tokens)
        with np.errstate(over="ignore"):
            return {"value": np.where(there, 10.0 ** (-scores / tokens), np.nan)}

    def apply(self, batch: Batch) -> Outcome:
        """Measure, and hold the perplexities against the bounds."""
        found = self.measure(batch)
        reason, value = self.judge(found, len(batch))
        failed = self.failed(found, len(batch)) if self.reasons == "all" else None
        columns = {"value": pa.array(found["value"], pa.float64(), from_pandas=True)}
        if self.head is not None and self.tail is not None:
            columns["bucket"] = _buckets(found["value"], self.head, self.tail)
        return Outcome(columns=columns, reason=reason, value=value, failed=failed)


def _normalised(text: pa.LargeStringArray, *, lines: bool) -> pa.LargeStringArray:
    offsets, data = text_buffers(text)
    out_offsets = np.empty(len(text) + 1, np.int64)
    out = np.empty(GROWTH * int(offsets[-1] - offsets[0]), np.uint8)
    size = normalise(offsets, data, tables(), lower_tables(), *punctuation(), lines, out_offsets, out)
    return from_buffers(out_offsets, out[:size])


def _cut(text: pa.LargeStringArray, model: str) -> pa.LargeStringArray:
    """The pieces of each text, joined by spaces. SentencePiece takes and gives Python strings."""
    pieces = _pieces(model).encode(text.to_pylist(), out_type=str)
    return pa.array([" ".join(each) for each in pieces], TEXT)


def _pieces(path: str) -> Any:
    return _pieces_of(path, *state_of(path, _PIECES))


@lru_cache(2)
def _pieces_of(path: str, size: int, changed: int) -> Any:
    try:
        from sentencepiece import SentencePieceProcessor
    except ModuleNotFoundError as error:
        raise MissingExtraError("sentencepiece", "perplexity", "perplexity with `sentencepiece`") from error
    try:
        return SentencePieceProcessor(model_file=path)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{_PIECES} {path!r} cannot be used: {error}") from error


def _buckets(values: NDArray[np.float64], head: float, tail: float) -> pa.Array:
    numbers = np.digitize(values, [head, tail]).astype(np.int8)
    names = pa.DictionaryArray.from_arrays(
        pa.array(numbers, mask=np.isnan(values)), pa.array(["head", "middle", "tail"], TEXT)
    )
    return names.cast(TEXT)
