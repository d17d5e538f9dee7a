"""The default embedder: word vectors learned from the corpus itself, no download, the same bytes each time.

Latent semantic analysis (Deerwester et al. 1990): words are alike when they occur in the same passages.
1. Documents of the sample are cut into passages of about 64 words. A matrix holds (1 + ln occurrences) * ln(passages /
   passages with the word) for the `vocabulary` most frequent words that occur at least twice; rows have length 1.
2. Its leading right singular vectors, times the root of their singular values, give each word a vector
   (`embed.spectrum`), brought to length 1. The values themselves told rewrites apart worse (AUC at equal word overlap
   .92 instead of .94), no values at all lose the topics of a small corpus.
3. A document has two vectors. Its topic is the weighted sum of the vectors of its words; its words are the same sum
   of fixed random vectors of +1 and -1, made from each word's hash, learned or not. Both are brought to length 1.
   Weight of a word: a / (a + p) for a relative frequency p, a = 1e-3 (smooth inverse frequency: Arora, Liang and Ma
   2017), and 1 for words that were not learned, times 1 + ln(occurrences in the document).
4. The document's vector is the root of 1 - s times its topic, and the root of s times its words (less what lies along
   the topic). s = WORDS + NARROW * sum(topic^4), the last about 1 over the number of axes that the topic takes up;
   where words that were learned have less than a quarter of the weight, the topic's share is less in proportion.

So words count in every document: however alike two topics are, a cosine of c means a cosine of the words of 1 - (1 - c)
/ s at least. That holds where a topic says little: all texts of a language that few documents are in share one axis,
as do tables, or forms. Before, words that were not learned, and random parts of others, drowned in a sum that grows
with the length of a text, and such texts were all one.

In scripts without spaces two letters that follow each other are a word (`kernels.embedding.wordvectors`).

What it sees: rewording, noise (shuffled sentences, lost words), topic. What it does not: paraphrase, that is the same
meaning in other words; order of words; negation. Take a `sentence-transformers` or a `static` model for those. It is
learned from the corpus at hand and must be: vectors learned on other text gain nothing over random ones. No threshold
carries over from one corpus, or one model, to another.

Memory to learn: about 12 bytes a byte of sample and 2 kB a word of the vocabulary (256 dimensions); to embed: 256
bytes a word. The promise: equal bytes for any number of threads and workers and any batch size, with the same versions
of Python, NumPy and Numba and the same `log` of the C library. No BLAS is used, and no sum is reordered, so the kind of
processor does not matter (the same bytes from code for SSE2, AVX2 and AVX-512).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.columns import text_buffers
from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.durable import read_json, write_json
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.stage import Resources
from corpuscurate.kernels.embedding.wordvectors import (
    chunk_rows,
    chunk_starts,
    embed_documents,
    fill_table,
    find_rows,
    term_bound,
    term_hashes,
    weight_rows,
)
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.embed.base import Embedded, Embedder, Parameters, checked_folder, noted
from corpuscurate.methods.embed.spectrum import Sparse, right_vectors
from corpuscurate.methods.embed.tensors import read_tensors, write_tensors

CHUNK_WORDS = 64
ITERATIONS = 3
WORDS = 0.14
"""Least share of its words in the square of a document's length."""
NARROW = 0.12
"""What is added to that where the topic is on one axis alone, and a k-th of it where it is spread over k."""
COMMON = 1e-3
"""The `a` of smooth inverse frequency."""
FORM = 3
"""Version of the files. 2: invisible characters part no word, so that such words have other numbers. 3: pairs of
letters in scripts without spaces; rows without a random part."""
SETTINGS = "learned.json"
WEIGHTS = "model.safetensors"


class Learned(Parameters):
    """Word vectors learned from the corpus itself: sees rewording, noise and topic, not paraphrase. No download."""

    kind: Literal["learned"] = "learned"
    dimension: int = Field(256, description="length of a vector, a multiple of 64", ge=64, le=1024, multiple_of=64)
    sample_bytes: int = Field(
        32 << 20, description="text to learn from: documents chosen by hash", ge=1 << 16, le=1 << 30
    )
    vocabulary: int = Field(100_000, description="most words that are learned", ge=1, le=2_000_000)
    seed: int = Field(0, description="of the random parts", ge=0, le=2**63 - 1)
    model: Annotated[str | None, FromRecipe()] = Field(
        None, description="folder of a model that was fitted before; nothing is fitted then"
    )

    def make_embedder(self) -> Embedder:
        """See `base.Parameters`."""
        return super().make_embedder() if self.model is None else load(Path(self.model))

    def model_folder(self) -> Path | None:
        """See `base.Parameters`."""
        return None if self.model is None else checked_folder(self.kind, self.model)

    def row_length(self) -> int:
        """See `base.Parameters`."""
        return self.dimension if self.model is None else self.make_embedder().dimension

    def sample_to_fit(self) -> int:
        """See `base.Parameters`."""
        return self.sample_bytes if self.model is None else 0

    def fit(self, texts: Iterable[pa.LargeStringArray], folder: Path, *, threads: int = 1) -> dict[str, Any]:
        """See `base.Parameters`, and `fit`."""
        return fit(texts, self, folder, threads=threads)


def fit(texts: Iterable[pa.LargeStringArray], parameters: Learned, folder: Path, *, threads: int = 1) -> dict[str, Any]:
    """Learn word vectors from `texts` and write learned.json and model.safetensors into `folder`, which must exist.

    threads: how many to use; the files do not depend on it. Returns counts: words, passages, vocabulary.
    """
    words, offsets = _words(texts)
    names, counts = _vocabulary(words, parameters.vocabulary)
    matrix = _passages(words, offsets, names)
    seed = parameters.seed
    vectors = right_vectors(matrix, names, parameters.dimension, ITERATIONS, seed, threads)
    rows, scales = _quantised(vectors)
    weights = (COMMON / (COMMON + counts / max(1, len(words)))).astype(np.float32)
    write_tensors(folder / WEIGHTS, {"words": names, "rows": rows, "scales": scales, "weights": weights})
    stats = {"words": len(words), "passages": matrix.height, "vocabulary": len(names)}
    settings = {"form": FORM, "dimension": parameters.dimension, "seed": seed, "learned_from": stats}
    write_json(folder / SETTINGS, settings)
    return stats


def _words(texts: Iterable[pa.LargeStringArray]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All words of the sample, and where documents begin among them."""
    parts: list[NDArray[np.uint64]] = []
    edges: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    total = 0
    for array in texts:
        offsets, data = text_buffers(array)
        found = np.empty(int(term_bound(offsets)), np.uint64)
        borders = np.empty(len(offsets), np.int64)
        size = int(term_hashes(offsets, data, tables(), borders, found))
        parts.append(found[:size].copy())
        edges.append(borders[1:] + total)
        total += size
    return np.concatenate([np.zeros(0, np.uint64), *parts]), np.concatenate(edges)


def _vocabulary(words: NDArray[np.uint64], limit: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The most frequent words that occur at least twice, in descending order (ties by hash), and their counts."""
    names, counts = np.unique(words, return_counts=True)
    names, counts = names[counts > 1], counts[counts > 1]
    order = np.argsort(-counts, kind="stable")[:limit]
    return names[order], counts[order]


def table_of(names: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The lookup table from a word to its index in `names` (see `fill_table`): keys, rows; at most half full."""
    slots = 1 << max(4, (2 * len(names)).bit_length())
    keys, rows = np.zeros(slots, np.uint64), np.empty(slots, np.int32)
    fill_table(names, keys, rows)
    return keys, rows


def _passages(words: NDArray[np.uint64], offsets: NDArray[np.int64], names: NDArray[np.uint64]) -> Sparse:
    """The weighted matrix, a row a passage, a column a word."""
    numbers = np.empty(len(words), np.int32)
    find_rows(words, *table_of(names), numbers)
    starts = np.empty(int(chunk_starts(offsets, CHUNK_WORDS, np.empty(0, np.int64))) + 1, np.int64)
    chunk_starts(offsets, CHUNK_WORDS, starts)
    row_starts = np.empty(len(starts), np.int64)
    columns, values = np.empty(len(numbers), np.int32), np.empty(len(numbers), np.float32)
    size = int(chunk_rows(starts, numbers, len(names), row_starts, columns, values))
    columns, values = columns[:size].copy(), values[:size].copy()
    spread = np.bincount(columns, minlength=len(names))
    idf = np.array([math.log(len(starts) / max(1, count)) for count in spread.tolist()])  # >= 0: one is added above
    weight_rows(row_starts, columns, idf, values)
    return Sparse(row_starts, columns, values, len(names))


def _quantised(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows in 8 bits, and what each is to be multiplied with to have length 1; 0 for zero rows."""
    scales = np.zeros(len(rows), np.float32)
    small = np.zeros(rows.shape, np.int8)
    for row in range(len(rows)):
        wide = rows[row].astype(np.float64)
        greatest = np.abs(wide).max(initial=0.0)
        if greatest > 0:
            whole = np.rint(wide * (127 / greatest))
            small[row] = whole
            scales[row] = 1 / math.sqrt(math.fsum(whole * whole))
    return small, scales


class LearnedEmbedder:
    """A fitted model (see `base.Embedder`). Made by `load`."""

    def __init__(self, settings: dict[str, Any], tensors: dict[str, NDArray[Any]], digest: str) -> None:
        self.dimension: int = settings["dimension"]
        self._settings = settings
        self._rows = tensors["rows"]
        self._words, self._scales, self._weights = tensors["words"], tensors["scales"], tensors["weights"]
        self._seed = np.uint64(settings["seed"])
        self._shares = WORDS, NARROW
        self._keys, self._table_rows = table_of(tensors["words"])
        self._identity = fingerprint([settings, digest])

    @property
    def resources(self) -> Resources:
        """See `base.Embedder`."""
        parts = (self._rows, self._words, self._scales, self._weights, self._keys, self._table_rows)
        return Resources(memory_bytes=sum(part.nbytes for part in parts))

    def identity(self) -> str:
        """See `base.Embedder`."""
        return self._identity

    def embed(self, texts: pa.LargeStringArray) -> Embedded:
        """See `base.Embedder`."""
        offsets, data = text_buffers(texts)
        out = np.empty((len(texts), self.dimension), np.float32)
        known = self._keys, self._table_rows, self._words, self._rows, self._scales, self._weights
        embed_documents(offsets, data, tables(), *known, self._seed, *self._shares, out)
        return noted(out)


def load(folder: Path) -> LearnedEmbedder:
    """The model that `fit` wrote. Raises RecipeError where the folder holds none, or a damaged one."""
    try:
        settings = read_json(folder / SETTINGS)
        form, dimension, seed = settings["form"], settings["dimension"], settings["seed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{folder} holds no learned model: {SETTINGS} cannot be read ({error}).") from error
    if form != FORM:
        raise RecipeError(
            f"the learned model in {folder} has form {form}; this version reads form {FORM}: fit it again."
        )
    tensors = read_tensors(folder / WEIGHTS)
    wanted = {"words": np.uint64, "rows": np.int8, "scales": np.float32, "weights": np.float32}
    sound = all(name in tensors and tensors[name].dtype == kind for name, kind in wanted.items())
    if sound:
        size = len(tensors["words"])
        sound = tensors["rows"].shape == (size, dimension)
        sound = sound and tensors["scales"].shape == tensors["weights"].shape == (size,)
    if not sound or type(seed) is not int:
        raise RecipeError(f"the learned model in {folder} is damaged: {WEIGHTS} does not fit {SETTINGS}. Fit it again.")
    return LearnedEmbedder(settings, tensors, digest_file(folder / WEIGHTS))
