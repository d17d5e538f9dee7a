"""The importance weights of DSIR (Xie et al. 2023, arXiv 2302.03169): how much more often a document's n-grams occur
in texts like the target than in raw ones.

Both are bags of hashed n-grams: counts by bucket, integers, so that they do not depend on the order of the texts.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.compile import cache_folder
from corpuscurate.kernels.text.importance import HASH_VERSION, count_buckets
from corpuscurate.kernels.text.unicode import tables

SMOOTHING = 1e-8
"""Added to each probability, as in DSIR's code."""


def bucket_counts(texts: Iterator[pa.LargeStringArray], ngrams: int, buckets: int) -> NDArray[np.int64]:
    """How many n-grams of the texts fall in each bucket, int64[buckets]."""
    counts = np.zeros(buckets, np.int64)
    for text in texts:
        count_buckets(*text_buffers(text), tables(), ngrams, counts)
    return counts


def log_ratios(target: NDArray[np.int64], raw: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weight of each bucket: log of its probability in the target less that in the raw texts, float64[buckets]."""
    shares = [counts / counts.sum() + SMOOTHING for counts in (target, raw)]
    weights: NDArray[np.float64] = np.log(shares[0]) - np.log(shares[1])
    weights.flags.writeable = False
    return weights


class Texts(Protocol):
    """Texts to count. unread: records that could not be read so far."""

    unread: int

    def __iter__(self) -> Iterator[pa.LargeStringArray]: ...


def counts_of(
    name: str, digests: tuple[str, ...], ngrams: int, buckets: int, texts: Texts
) -> tuple[NDArray[np.int64], int]:
    """The counts of the texts, from the user's cache where they were counted before, and the records not read.

    name: of the texts, for messages; digests: of their files, and all else that decides which texts these are. Raises
    InputError where there is no n-gram.
    """
    path = _path(digests, ngrams, buckets)
    known = _known(path, buckets)
    if known is None:
        counts = bucket_counts(iter(texts), ngrams, buckets)
        known = np.append(counts, texts.unread)
        _keep(path, known)
    if not known[:-1].any():
        raise InputError(f"importance: {name} has no word in any document")
    return known[:-1], int(known[-1])


def _path(digests: tuple[str, ...], ngrams: int, buckets: int) -> Path | None:
    folder = cache_folder()
    key = fingerprint(["importance", HASH_VERSION, *digests, ngrams, buckets])
    return Path(folder).parent / "importance" / f"{key}.npy" if folder else None


def _known(path: Path | None, buckets: int) -> NDArray[np.int64] | None:
    """Counts and the number of records not read, int64[buckets + 1], or None."""
    if path is None or not path.exists():
        return None
    try:
        counts: NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError):  # the cache is a help and no more
        return None
    return counts if counts.shape == (buckets + 1,) and counts.dtype == np.int64 else None


def _keep(path: Path | None, counts: NDArray[np.int64]) -> None:
    """Store the counts under a name of this process's own first, so that nobody reads half of them."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
            np.save(file, counts)
        Path(file.name).replace(path)
