"""Static embeddings: a Model2Vec or StaticEmbedding folder, looked up by a kernel of our own.

A document's vector is the mean of its tokens' rows, brought to length 1: what sentence-transformers' `StaticEmbedding`
followed by `Normalize` gives (the whole document is read, not its head; special tokens are not added). The Hugging Face
tokeniser takes nearly all of the time there, so WordPiece is done by `kernels.wordpiece`, with the same token numbers.

The unknown token stands for any word, so its row says nothing: texts of unknown words would all be one. As in their own
packages, it is left out of the mean in Model2Vec's files (`embeddings`) and counts in those of StaticEmbedding
(`embedding.weight`), whose rows were trained with it. In both a document with more than `max_unknown_ratio` of it gets
no vector, and in both one of unknown words alone.

Files: tokenizer.json; model.safetensors with `embeddings` or `embedding.weight`, and where a model has them `weights`
(a number a token) and `mapping` (the row of each token). Integers and 16-bit floats are used as they are stored: no
scale is needed for a direction. Nothing but numbers and JSON is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.columns import text_buffers
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Resources
from corpuscurate.kernels.embedding.wordpiece import VERSION, embed_tokens
from corpuscurate.methods.embed.base import EMPTY, UNKNOWN, Embedded, Parameters, checked_folder, folder_digest
from corpuscurate.methods.embed.tensors import read_tensors
from corpuscurate.methods.embed.wordpiece import read_wordpiece

MODEL2VEC, STATIC_EMBEDDING = ROWS = ("embeddings", "embedding.weight")
STATIC_VERSION = 2
"""2: unknown tokens."""
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"


class Static(Parameters):
    """A Model2Vec or StaticEmbedding folder (tokenizer.json and safetensors): a row a token, looked up and averaged."""

    kind: Literal["static"] = "static"
    model: LocalPath = Field(description="folder with tokenizer.json and model.safetensors", min_length=1)
    max_tokens: int | None = Field(None, description="tokens of a document that are used; all where null", ge=1)
    max_unknown_ratio: float = Field(
        0.1, description="share of tokens unknown to the model above which a document gets no vector", ge=0, le=1
    )

    def make_embedder(self) -> StaticEmbedder:
        """See `base.Parameters`."""
        return StaticEmbedder(self)

    def model_folder(self) -> Path:
        """See `base.Parameters`."""
        return checked_folder(self.kind, self.model)

    def row_length(self) -> int:
        """See `base.Parameters`."""
        return int(_weights(self.model_folder())[0].shape[1])


class StaticEmbedder:
    """See `base.Embedder` and the module's text."""

    def __init__(self, parameters: Static) -> None:
        folder = Path(parameters.model)
        self._rows, row_of, factors, counts_unknown = _weights(folder)
        self._tokens = read_wordpiece(folder / TOKENIZER)
        self._row_of, self._factors = _by_token(folder, self._tokens.size, len(self._rows), row_of, factors)
        if not counts_unknown:
            self._factors[self._tokens.pieces.unknown] = 0
        self._most_unknown = parameters.max_unknown_ratio
        limits = [limit for limit in (parameters.max_tokens, self._tokens.truncation) if limit is not None]
        self._limit = min(limits, default=np.iinfo(np.int64).max)
        versions = [VERSION, STATIC_VERSION]
        self._identity = fingerprint([*versions, parameters.model_dump(exclude={"model"}), folder_digest(folder)])

    @property
    def dimension(self) -> int:
        """See `base.Embedder`."""
        return int(self._rows.shape[1])

    @property
    def resources(self) -> Resources:
        """See `base.Embedder`."""
        pieces = sum(part.nbytes for part in self._tokens.pieces if isinstance(part, np.ndarray))
        return Resources(memory_bytes=self._rows.nbytes + self._factors.nbytes + self._row_of.nbytes + pieces)

    def identity(self) -> str:
        """See `base.Embedder`."""
        return self._identity

    def embed(self, texts: pa.LargeStringArray) -> Embedded:
        """See `base.Embedder`."""
        offsets, data = text_buffers(texts)
        out = np.empty((len(texts), self.dimension), np.float32)
        bert, pieces = self._tokens.bert, self._tokens.pieces
        sizes = np.empty((len(texts), 2), np.int64)
        embed_tokens(offsets, data, bert, pieces, self._limit, self._row_of, self._factors, self._rows, sizes, out)
        tokens, unknown = sizes.T
        too_many = (unknown > self._most_unknown * tokens) | ((unknown == tokens) & (tokens > 0))
        out[too_many] = 0
        notes = np.where(out.any(axis=1), 0, np.where(too_many, UNKNOWN, EMPTY)).astype(np.uint8)
        return Embedded(out, notes)


def _weights(folder: Path) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, bool]:
    """rows [r, d] as int8 or float32; mapping and weights where there are any; whether the unknown token counts."""
    if not folder.is_dir():
        raise RecipeError(f"the model of the embedder 'static' is not there: {str(folder)!r} is no folder.")
    tensors = read_tensors(folder / WEIGHTS)
    name = next((name for name in ROWS if name in tensors), "")
    rows = tensors.get(name)
    if rows is None or rows.ndim != 2 or 0 in rows.shape:
        raise RecipeError(
            f"{folder / WEIGHTS} holds no table of embeddings: one of {', '.join(ROWS)} must be a matrix; "
            f"there are {', '.join(f'{name} {tensor.shape}' for name, tensor in tensors.items())}."
        )
    return (
        rows if rows.dtype == np.int8 else rows.astype(np.float32, copy=False),
        tensors.get("mapping"),
        tensors.get("weights"),
        name == STATIC_EMBEDDING,
    )


def _by_token(
    folder: Path, tokens: int, rows: int, mapping: NDArray[Any] | None, weights: NDArray[Any] | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The row of each token, and its weight."""
    row_of = np.arange(tokens) if mapping is None else mapping
    factors = np.ones(tokens) if weights is None else weights
    if len(row_of) < tokens or len(factors) < tokens:
        raise RecipeError(
            f"{folder}: the tokenizer has {tokens} tokens, but there are {len(row_of)} in `mapping` and "
            f"{len(factors)} in `weights`."
        )
    row_of = row_of[:tokens].astype(np.int64)
    if row_of.min(initial=0) < 0 or row_of.max(initial=0) >= rows:
        raise RecipeError(f"{folder}: the tokenizer has {tokens} tokens, but the table of embeddings has {rows} rows.")
    return row_of.astype(np.int32), factors[:tokens].astype(np.float32)
