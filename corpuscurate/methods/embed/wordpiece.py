"""A `tokenizer.json` for the WordPiece kernel: what it says of normaliser, vocabulary and added tokens, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.core.errors import RecipeError
from corpuscurate.kernels.embedding.bert import Bert, bert_table
from corpuscurate.kernels.embedding.wordpiece import Pieces, pieces_of, wordpiece_ids

SUPPORTED = "a WordPiece model with BertNormalizer and BertPreTokenizer"


class WordPiece(NamedTuple):
    """A tokeniser: tables of the kernel, the highest token number + 1, and the most tokens of a text (or None)."""

    bert: Bert
    pieces: Pieces
    size: int
    truncation: int | None

    def ids(self, texts: pa.LargeStringArray) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Offsets int64[n + 1] and token numbers int32[...] of texts, without special or truncated ones."""
        offsets, data = text_buffers(texts)
        borders = np.empty(len(offsets), np.int64)
        size = wordpiece_ids(offsets, data, self.bert, self.pieces, borders, np.empty(0, np.int32))
        found = np.empty(int(size), np.int32)
        if size:
            wordpiece_ids(offsets, data, self.bert, self.pieces, borders, found)
        return borders, found


def read_wordpiece(path: Path) -> WordPiece:
    """The tokeniser of a `tokenizer.json`. Raises RecipeError, which says what it is and what is supported."""
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read {path}: {error}") from error
    return _parsed(path, value)


def parse_wordpiece(text: str) -> WordPiece:
    """The tokeniser of the content of a `tokenizer.json`. Raises RecipeError as `read_wordpiece` does."""
    return _parsed(Path("tokenizer.json"), orjson.loads(text))


def _parsed(path: Path, value: Any) -> WordPiece:
    try:
        return _read(path, value)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecipeError(f"{path} is not a sound tokenizer.json: {type(error).__name__}: {error}") from error


def _read(path: Path, value: Any) -> WordPiece:
    model, normaliser = value["model"], value.get("normalizer") or {"type": "none"}
    splitter = value.get("pre_tokenizer") or {"type": "none"}
    kinds = (model.get("type", "WordPiece"), normaliser["type"], splitter["type"])
    if kinds != ("WordPiece", "BertNormalizer", "BertPreTokenizer"):
        raise RecipeError(
            f"{path}: a {kinds[0]} model with normalizer {kinds[1]} and pre-tokenizer {kinds[2]} is not supported by "
            f"`kind: static`, which reads {SUPPORTED}. Use `kind: sentence-transformers` with this folder: slower, but "
            "it runs any tokeniser."
        )
    added = [_added(path, token) for token in value.get("added_tokens", [])]
    vocabulary: dict[str, int] = model["vocab"]
    if not vocabulary or not all(type(number) is int and number >= 0 for number in vocabulary.values()):
        raise RecipeError(f"{path}: the vocabulary is empty or has token numbers below 0.")
    if model["unk_token"] not in vocabulary:
        raise RecipeError(f"{path}: the unknown token {model['unk_token']!r} is not in the vocabulary.")
    lowercase = bool(normaliser["lowercase"])
    strip = normaliser.get("strip_accents")
    bert = bert_table(
        bool(normaliser["clean_text"]),
        bool(normaliser["handle_chinese_chars"]),
        lowercase if strip is None else bool(strip),
        lowercase,
    )
    pieces = pieces_of(
        vocabulary,
        model["continuing_subword_prefix"],
        vocabulary[model["unk_token"]],
        int(model["max_input_chars_per_word"]),
        added,
    )
    size = 1 + max([*vocabulary.values(), *(number for _, number in added)])
    return WordPiece(bert, pieces, size, _truncation(path, value.get("truncation")))


def _added(path: Path, token: Any) -> tuple[str, int]:
    if any(token[flag] for flag in ("single_word", "lstrip", "rstrip", "normalized")):
        raise RecipeError(
            f"{path}: the added token {token['content']!r} is matched with single_word, lstrip, rstrip or normalized, "
            "which `kind: static` does not support. Use `kind: sentence-transformers` with this folder."
        )
    return token["content"], int(token["id"])


def _truncation(path: Path, value: Any) -> int | None:
    if value is None:
        return None
    if value["direction"] != "Right":
        raise RecipeError(f"{path}: truncation from the left is not supported by `kind: static`.")
    return int(value["max_length"])
