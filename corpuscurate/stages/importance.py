"""`importance`: data selection with importance resampling (DSIR)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import text_buffers
from corpuscurate.core.errors import InputError
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import LocalPaths
from corpuscurate.core.stage import Outcome
from corpuscurate.io.base import SourceFile, Want, input_format
from corpuscurate.io.files import expand
from corpuscurate.kernels.text.importance import HASH_VERSION, gumbel_keys, sum_weights
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.quality.importance import counts_of, log_ratios
from corpuscurate.methods.user_files import user_digest

LOG = logging.getLogger(__name__)
SPLIT_BYTES = 64 << 20


class Importance(Filter):
    """Measures how much more a document is like the target texts than like the raw ones, and drops by bounds, if any.

    Both are modelled as bags of hashed 1-grams and 2-grams of words in `buckets` buckets. `log_weight` is the sum over
    the document's n-grams of log p(target) - log p(raw), 1e-8 added to each probability. A word is a run of letters,
    digits and underscores, or a run of other signs, without regard to case. The hash is our own and fixed, where DSIR
    takes SHA-256 and RedPajama Python's, which differs by run.

    To sample as DSIR does, keep the greatest `gumbel_key`s, which are the log weights plus a Gumbel draw that the
    document's number and `seed` decide: k documents without replacement, in proportion to their weights.

        stages:
          - importance: {target: wikipedia/*.parquet, raw: shards}
          - keep_best: {by: importance.gumbel_key, fraction: 0.1}

    Or `by: importance.log_weight` for the k best. Weights grow with length, in both directions; they are for documents
    of like length, as the chunks of DSIR. Target and raw are read once, before the run, and their counts kept in the
    user's cache folder. `raw` is usually the input itself, or a sample of it.
    """

    word = "importance"
    source = "Xie et al. 2023 (DSIR), arXiv 2302.03169, section 3"
    measured: ClassVar[Mapping[str, pa.DataType]] = {"log_weight": pa.float64()}

    target: LocalPaths = Field(
        description="local files, folders or globs with texts of the kind wanted; relative to the recipe",
        min_length=1,
        examples=["wikipedia/*.jsonl.gz"],
    )
    raw: LocalPaths = Field(
        description="local files, folders or globs with texts like the input", min_length=1, examples=["shards"]
    )
    text: str = Field("text", description="column with the text in both", min_length=1)
    buckets: int = Field(10_000, description="buckets that n-grams are hashed to", ge=2, le=1 << 24)
    ngrams: int = Field(2, description="most words in an n-gram", ge=1, le=5)
    seed: int = Field(0, description="another draw for gumbel_key", ge=0, le=2**63 - 1)
    min_log_weight: float | None = Field(None, description="least log weight that is kept", examples=[0])
    max_log_weight: float | None = Field(None, description="greatest log weight that is kept")

    def adds(self) -> Mapping[str, pa.DataType]:
        """The log weight, and the key whose greatest values are a sample."""
        return {**self.measured, "gumbel_key": pa.float64()}

    def measures(self) -> Mapping[str, pa.DataType]:
        """Nothing beyond the columns that are always there."""
        return {}

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digests of the files in the place of their paths. Reads them, and keeps their
        counts, where that was not done before. Raises InputError."""
        for name, unread in zip(("target", "raw"), self._weights()[1], strict=True):
            if unread:
                LOG.warning("importance: %d records of `%s` cannot be read, and are not counted", unread, name)
        digests = {name: list(_digests(getattr(self, name))) for name in ("target", "raw")}
        return {**super().identity(), **digests, "hash": HASH_VERSION}

    def _weights(self) -> tuple[NDArray[np.float64], tuple[int, ...]]:
        """The weight of each bucket, float64[buckets], and how many records of target and raw cannot be read;
        remembered while the files stay as they are."""
        digests = tuple(_digests(paths) for paths in (self.target, self.raw))
        return _weights_of(self.target, self.raw, digests, self.text, self.ngrams, self.buckets)

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The log weights."""
        found = np.empty(len(batch))
        sum_weights(*text_buffers(batch.text), tables(), self.ngrams, self._weights()[0], found)
        return {"log_weight": found}

    def apply(self, batch: Batch) -> Outcome:
        """Weigh, and hold the weights against the bounds."""
        found = self.measure(batch)
        keys = np.empty(len(batch))
        gumbel_keys(found["log_weight"], batch.doc_id, np.uint64(self.seed), keys)
        reason, value = self.judge(found, len(batch))
        failed = self.failed(found, len(batch)) if self.reasons == "all" else None
        columns = {"log_weight": pa.array(found["log_weight"]), "gumbel_key": pa.array(keys)}
        return Outcome(columns=columns, reason=reason, value=value, failed=failed)


@lru_cache(4)
def _weights_of(
    target: tuple[str, ...],
    raw: tuple[str, ...],
    digests: tuple[tuple[str, ...], ...],
    text: str,
    ngrams: int,
    buckets: int,
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    found = [
        counts_of(f"`{name}`", (text, *known), ngrams, buckets, _Texts(paths, text))
        for name, paths, known in zip(("target", "raw"), (target, raw), digests, strict=True)
    ]
    return log_ratios(*(counts for counts, _ in found)), tuple(unread for _, unread in found)


def _files(paths: tuple[str, ...]) -> list[SourceFile]:
    return expand(paths, Path(), None)


def _digests(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(user_digest(file.path, "the file of texts") for file in _files(paths))


class _Texts:
    """The texts of all files; see `methods.quality.importance.Texts`."""

    def __init__(self, paths: tuple[str, ...], text: str) -> None:
        self.unread = 0
        self._paths, self._text = paths, text

    def __iter__(self) -> Iterator[pa.LargeStringArray]:
        for file in _files(self._paths):
            format = input_format(file.format)
            names = format.columns(file)
            if names and self._text not in names:
                raise InputError(f"importance: {file.name} has no column {self._text!r}; it has {', '.join(names)}")
            for span in format.split(file, SPLIT_BYTES):
                for chunk in format.read(file, span, Want(text=self._text)):
                    self.unread += len(chunk.bad)
                    if chunk.batch is not None:
                        yield chunk.batch.text
