"""Reading fastText's model files, `.bin` and quantised `.ftz`, without fastText.

The layout is that of fastText 0.9 (`FastText::loadModel`, file version 12; 11 too): arguments, dictionary, input
matrix, output matrix, all little-endian. Every size in the file is held against the file's own size before it is used,
so a truncated or hostile file ends in a message and not in a crash. The file is mapped, not loaded, and holds numbers
and text alone: nothing in it is executed.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.digests import digest_file
from corpuscurate.core.errors import InputError, did_you_mean
from corpuscurate.kernels.fasttext.words import scan_entries
from corpuscurate.methods.quality.label_names import LABEL, label_name

MAGIC = 793712314
VERSIONS = (11, 12)
LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
KINDS = {1: "cbow", 2: "skipgram", 3: "supervised"}
CENTROIDS = 256
MAX_NGRAMS = 4096
"""Longest word n-gram and character n-gram that is scored, for the memory that they take; real models stay below 10."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A matrix as it is in the file. values: float32[rows, columns], mapped, perhaps not aligned."""

    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.values.shape[0], self.values.shape[1]

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Rows first..last-1 as float32."""
        return self.values[first:last]


@dataclass(frozen=True, slots=True)
class Quantised:
    """A matrix of product-quantiser codes (Jegou et al. 2011): row i is, part by part, a centroid, times its norm.

    codes: uint8[rows, parts]. centroids: float32[parts, 256, size], where the last part may use less of `size`
    (the rest is 0). columns: sum of the parts' true sizes. norms: float32[rows], or None for all 1.
    """

    codes: NDArray[np.uint8]
    centroids: NDArray[np.float32]
    columns: int
    norms: NDArray[np.float32] | None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.codes.shape[0], self.columns

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Rows first..last-1 as float32, decoded."""
        parts = np.arange(self.codes.shape[1])
        decoded = self.centroids[parts, self.codes[first:last]].reshape(last - first, -1)[:, : self.columns]
        return decoded if self.norms is None else decoded * self.norms[first:last, None]


Matrix = Dense | Quantised


@dataclass(frozen=True, slots=True)
class FasttextModel:
    """A supervised model. data: uint8[...], the file. Dictionary entry i is data[starts[i]:stops[i]]: `words` words,
    then the labels, whose training counts are `label_counts`, int64[labels]. pruned: (buckets, rows), int32 each, of
    the n-grams that a pruned model kept, or None. loss: hs, ns, softmax or ova."""

    path: str
    data: NDArray[np.uint8]
    dim: int
    word_ngrams: int
    loss: str
    bucket: int
    minn: int
    maxn: int
    words: int
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    labels: tuple[str, ...]
    label_counts: NDArray[np.int64]
    pruned: tuple[NDArray[np.int32], NDArray[np.int32]] | None
    input: Matrix
    output: Matrix

    def label_index(self, label: str) -> int:
        """The number of a label, in any spelling of `label_name`. Raises InputError with the labels there are."""
        for wanted in (label, LABEL + label):
            if wanted in self.labels:
                return self.labels.index(wanted)
        found = [i for i, name in enumerate(self.labels) if label_name(name) == label_name(label)]
        if len(found) == 1:
            return found[0]
        names = [name.removeprefix(LABEL) for name in self.labels]
        shown = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
        raise InputError(
            f"{self.path}: the model has no label {label!r}. Its labels are: {shown}. {did_you_mean(label, names)}"
        )


class _File:
    """Reads a mapped file from the front; asks for more than there is end in an InputError that says what for."""

    def __init__(self, path: str, data: NDArray[np.uint8]) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def fault(self, text: str) -> InputError:
        return InputError(f"{self.path}: {text}")

    def take(self, size: int, what: str) -> NDArray[np.uint8]:
        left = len(self.data) - self.at
        if size < 0 or size > left:
            raise self.fault(
                f"the model file is truncated or damaged: {what} should take {size:,} bytes at offset {self.at:,},"
                f" but the file ends after {left:,}. Copy or download it again."
            )
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what).tobytes())

    def floats(self, count: int, what: str) -> NDArray[np.float32]:
        return self.take(4 * count, what).view("<f4")

    def flag(self, what: str) -> bool:
        (value,) = self.numbers("B", what)
        if value > 1:
            raise self.fault(f"the model file is damaged: {what} is {value}, not 0 or 1")
        return bool(value)


def file_digest(path: str) -> str:
    """The digest of a model file's content, remembered while its size and time of change stay. Raises InputError."""
    return _digest_of(path, *_state(path))


def read_model(path: str) -> FasttextModel:
    """The model of a file, remembered while the file's size and time of change stay. Raises InputError."""
    return _model_of(path, *_state(path))


def _state(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise InputError(f"the fastText model {path!r} cannot be read: {error.strerror or error}") from error
    if not Path(path).is_file():
        raise InputError(f"the fastText model {path!r} is no file: expected a .bin or .ftz file of fastText")
    return found.st_size, found.st_mtime_ns


@lru_cache(8)
def _digest_of(path: str, size: int, changed: int) -> str:
    return digest_file(Path(path))


@lru_cache(2)
def _model_of(path: str, size: int, changed: int) -> FasttextModel:
    if size < 8:
        raise InputError(f"{path}: no fastText model: the file has {size} bytes")
    try:
        data = np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise InputError(f"{path}: the model cannot be read: {error.strerror or error}") from error
    return _read(_File(os.fspath(path), data.view(np.ndarray)))


def _read(file: _File) -> FasttextModel:
    version = _check_kind(file)
    dim, _, _, _, _, word_ngrams, loss, kind, bucket, minn, maxn, _ = file.numbers("12i", "the arguments")
    file.numbers("d", "the arguments")
    if kind != 3:
        found = KINDS.get(kind)
        if found is None:
            raise file.fault(
                f"the model file is damaged: its kind is {kind}, not 1 (cbow), 2 (skipgram), 3 (supervised)"
            )
        raise file.fault(
            f"the model is unsupervised ({found}): it gives word vectors and no labels."
            " Expected a supervised model, as made by `fasttext supervised` or `corpuscurate train quality`."
        )
    if version == 11:  # supervised models of that version have no character n-grams, whatever they say
        maxn = 0
    # fastText compares the length of an n-gram with its bounds as numbers without a sign: there is none of at least -1
    # characters, and none where the shortest is longer than the longest; up to -1 is without end, for unknown words
    if minn < 0 or minn > maxn >= 0:
        minn = maxn = 0
    word_ngrams = max(word_ngrams, 1)
    _check_arguments(file, dim, word_ngrams, loss, bucket, maxn)
    words, starts, stops, labels, label_counts, pruned = _read_dictionary(file, bucket)
    quantised = file.flag("the mark of a quantised input matrix")
    source = _read_matrix(file, "the input matrix", quantised)
    if pruned is not None and not quantised:
        raise file.fault("the model file is damaged: a pruned dictionary with a matrix that is not quantised")
    quantised_out = file.flag("the mark of a quantised output matrix")
    target = _read_matrix(file, "the output matrix", quantised and quantised_out)
    if file.at != len(file.data):
        raise file.fault(f"the model file is damaged: {len(file.data) - file.at:,} bytes follow the model's end")
    _check_shapes(file, dim, words, bucket if word_ngrams > 1 or maxn > 0 else 0, len(labels), pruned, source, target)
    return FasttextModel(
        file.path, file.data, dim, word_ngrams, LOSSES[loss], bucket, minn, maxn, words, starts, stops, labels,
        label_counts, pruned, source, target,
    )  # fmt: skip


def _check_kind(file: _File) -> int:
    magic, version = file.numbers("2i", "the head")
    if magic != MAGIC:
        raise file.fault("no fastText model: the file does not begin with fastText's mark (a .vec file holds text)")
    if version not in VERSIONS:
        raise file.fault(f"fastText file version {version} is not known; expected 11 or 12")
    return version


def _check_arguments(file: _File, dim: int, word_ngrams: int, loss: int, bucket: int, maxn: int) -> None:
    hashes = word_ngrams > 1 or maxn > 0
    checks = (
        (dim >= 1, "dim", dim),
        (loss in LOSSES, "loss", loss),
        (bucket >= (1 if hashes else 0), "bucket", bucket),
    )
    for good, name, value in checks:
        if not good:
            raise file.fault(f"the model file is damaged: its argument {name} is {value}")
    for name, value in (("wordNgrams", word_ngrams), ("maxn", maxn)):
        if not 0 <= value <= MAX_NGRAMS:
            raise file.fault(
                f"the model's argument {name} is {value:,}: n-grams of more than {MAX_NGRAMS:,} are not scored"
            )


def _read_dictionary(
    file: _File, bucket: int
) -> tuple[
    int,
    NDArray[np.int64],
    NDArray[np.int64],
    tuple[str, ...],
    NDArray[np.int64],
    tuple[NDArray[np.int32], NDArray[np.int32]] | None,
]:
    size, words, labels, _, kept = file.numbers("3i2q", "the dictionary's head")
    if min(size, words, labels) < 0 or words + labels != size:
        raise file.fault(f"the model file is damaged: {size} entries, but {words} words and {labels} labels")
    if labels == 0:
        raise file.fault("the model has no labels")
    if size > (len(file.data) - file.at) // 10:  # an entry takes at least 10 bytes
        file.take(10 * size, f"a dictionary of {size:,} entries")
    starts, stops, counts = (np.empty(size, np.int64) for _ in range(3))
    kinds = np.empty(size, np.int8)
    end = int(scan_entries(file.data, file.at, starts, stops, counts, kinds))
    if end < 0:
        file.at = int(starts[-1 - end])
        file.take(len(file.data), f"entry {-1 - end:,} of {size:,} of the dictionary")
    file.at = end
    if kinds[:words].any() or (kinds[words:] != 1).any():
        raise file.fault("the model file is damaged: words and labels of the dictionary are mixed")
    names = tuple(file.data[starts[i] : stops[i]].tobytes().decode("utf-8", "replace") for i in range(words, size))
    return words, starts, stops, names, counts[words:].copy(), _read_pruned(file, kept, bucket)


def _read_pruned(file: _File, kept: int, bucket: int) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    if kept < 0:
        return None
    pairs = file.take(8 * kept, f"an index of {kept:,} kept n-grams").tobytes()
    index = np.frombuffer(pairs, "<i4").reshape(-1, 2)
    if kept and (index.min() < 0 or index[:, 0].max() >= bucket):
        raise file.fault("the model file is damaged: its index of kept n-grams names buckets that there are not")
    return index[:, 0], index[:, 1]


def _read_matrix(file: _File, what: str, quantised: bool) -> Matrix:
    return _read_codes(file, what) if quantised else _read_dense(file, what)


def _read_dense(file: _File, what: str) -> Dense:
    rows, columns = file.numbers("2q", what)
    if rows < 0 or columns < 1:
        raise file.fault(f"the model file is damaged: {what} has {rows} rows and {columns} columns")
    return Dense(file.floats(rows * columns, f"{what} of {rows:,} x {columns:,}").reshape(rows, columns))


def _read_codes(file: _File, what: str) -> Quantised:
    with_norms = file.flag(f"{what}'s mark of norms")
    rows, columns, size = file.numbers("2qi", what)
    if rows < 0 or columns < 1 or size < 0:
        raise file.fault(f"the model file is damaged: {what} has {rows} rows, {columns} columns and {size} codes")
    codes = file.take(size, f"the codes of {what}")
    parts, centroids = _read_quantiser(file, columns, what)
    if size != rows * parts:
        raise file.fault(f"the model file is damaged: {what} has {size} codes for {rows} rows of {parts} parts")
    norms = None
    if with_norms:
        norm_codes = file.take(rows, f"the norms of {what}")
        _, of_norms = _read_quantiser(file, 1, f"the norms of {what}")
        norms = of_norms[0, :, 0][norm_codes]
    return Quantised(codes.reshape(rows, parts), centroids, columns, norms)


def _read_quantiser(file: _File, columns: int, what: str) -> tuple[int, NDArray[np.float32]]:
    """Number of parts, and centroids float32[parts, 256, size]."""
    dim, parts, size, last = file.numbers("4i", f"the quantiser of {what}")
    # a part may be larger than the vector: fastText's `-dsub 10` of 4 columns makes one part, of which 4 are used
    good = dim == columns and size >= 1 and parts == -(-dim // size) and last == dim - (parts - 1) * size
    if not good:
        raise file.fault(
            f"the model file is damaged: the quantiser of {what} has dim {dim} in {parts} parts of {size}"
            f" (the last of {last}) for {columns} columns"
        )
    flat = file.floats(dim * CENTROIDS, f"the centroids of {what}")
    size = min(size, dim)
    whole = np.zeros((parts, CENTROIDS, size), np.float32)
    full = (parts - 1) * CENTROIDS * size
    whole[:-1] = flat[:full].reshape(parts - 1, CENTROIDS, size)
    whole[-1, :, :last] = flat[full:].reshape(CENTROIDS, last)
    return parts, whole


def _check_shapes(
    file: _File,
    dim: int,
    words: int,
    buckets: int,
    labels: int,
    pruned: tuple[NDArray[np.int32], NDArray[np.int32]] | None,
    source: Matrix,
    target: Matrix,
) -> None:
    hashed = buckets if pruned is None else (int(pruned[1].max()) + 1 if len(pruned[1]) else 0)
    rows, columns = source.shape
    if columns != dim or rows < words + hashed or rows >= 1 << 31:
        raise file.fault(
            f"the model file is damaged: the input matrix is {rows:,} x {columns:,}, but {words:,} words,"
            f" {hashed:,} hashed n-grams and dim {dim:,} need {words + hashed:,} x {dim:,}"
        )
    if target.shape != (labels, dim):
        raise file.fault(
            f"the model file is damaged: the output matrix is {target.shape[0]:,} x {target.shape[1]:,},"
            f" but there are {labels:,} labels and dim {dim:,}"
        )
