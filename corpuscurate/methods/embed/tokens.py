"""Texts as tokens of a transformer: by the WordPiece kernel where the tokenizer is of that kind, else by `tokenizers`.

The kernel stops when a window is full, and makes no Python object a document. It gives the token numbers of Hugging
Face's tokenizers. What a tokenizer does is asked of the loaded model once (`Facts`) and kept beside the compiled
kernels, so that processes that only tokenise load neither weights nor torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.columns import TEXT, lengths_bytes, one_array, text_buffers, to_numpy
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.core.stage import package_version
from corpuscurate.kernels.compile import cache_folder
from corpuscurate.kernels.embedding.wordpiece import NO_LIMIT, TOKENS_A_BYTE, wordpiece_heads
from corpuscurate.methods.embed.base import CUT, NOTES, UNKNOWN
from corpuscurate.methods.embed.wordpiece import WordPiece, parse_wordpiece

HEAD_CHARACTERS = 64
"""Characters of text that `tokenizers` looks at for each token of a head, so that no huge text is tokenised whole."""
FACTS_VERSION = 1
TOKENS = "tokens"
"""Column of files of tokens, beside `base.NOTES`."""
_NARROW = 1 << 16


@dataclass(frozen=True)
class Facts:
    """What must be known of a model to make its tokens and batches. tokenizer: as JSON, of the form of tokenizer.json.

    before, after: the special tokens around a text. pad, unknown: tokens (unknown: None where there is none). typed:
    whether the model takes token types. limits: tokens of a window that the model's and the tokenizer's settings allow;
    positions: those that the model has. size: greatest token + 1.
    """

    tokenizer: str
    before: Sequence[int]
    after: Sequence[int]
    pad: int
    unknown: int | None
    typed: bool
    limits: Sequence[int]
    positions: int | None
    size: int

    def longest(self, wanted: int | None) -> int:
        """Tokens of a window, special ones included: the recipe's, within what the model can take."""
        most = min((limit for limit in self.limits if limit and limit < 1 << 20), default=512)
        longest = min(most, self.positions or most) if wanted is None else wanted
        positions = self.positions or most
        if longest > positions:
            raise RecipeError(f"max_tokens ({wanted}) is more than the {positions} positions of the model.")
        if longest <= len(self.before) + len(self.after):
            raise RecipeError(f"max_tokens ({longest}) leaves no room beside the special tokens.")
        return longest

    def room(self, longest: int) -> int:
        """Tokens of a text in a window."""
        return longest - len(self.before) - len(self.after)


def facts_of(tokenizer: Any, limits: Sequence[Any], positions: int | None) -> Facts:
    """The facts of a loaded tokenizer of transformers. limits: of the model; the tokenizer's own is added."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise RecipeError("the model has no fast tokenizer (tokenizer.json).")
    before, after = _frame(tokenizer)
    known = [int(limit) for limit in (*limits, getattr(tokenizer, "model_max_length", None)) if limit]
    tokens = backend.get_vocab(with_added_tokens=True)
    return Facts(
        tokenizer=backend.to_str(),
        before=before,
        after=after,
        pad=tokenizer.pad_token_id or 0,
        unknown=tokenizer.unk_token_id,
        typed="token_type_ids" in tokenizer.model_input_names,
        limits=[min(limit, 1 << 40) for limit in known],
        positions=positions,
        size=1 + max([*tokens.values(), *before, *after, 0]),
    )


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return whole[:start], whole[start + len(inner) :]
    raise RecipeError("the model's tokenizer does not put its special tokens around a text")


def kept_facts(digest: str, packages: Sequence[str], make: Callable[[], Facts]) -> Facts:
    """The facts of a model, from the user's cache where they were asked for before. digest: of the model's files;
    packages: whose versions they depend on."""
    key = fingerprint([FACTS_VERSION, digest, {name: package_version(name) for name in packages}])
    folder = cache_folder()
    path = Path(folder).parent / "tokenizers" / f"{key}.json" if folder else None
    known = read_sealed(path) if path is not None else None
    if known is not None:
        return Facts(**known)
    facts = make()
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(path, asdict(facts), durable=False)
        except OSError:  # the cache is a help and no more
            pass
    return facts


class Tokens(NamedTuple):
    """The tokens of n texts, without special ones. offsets: int64[n + 1]; ids: uint16 or uint32; notes: uint8[n], CUT
    where a text has more tokens than were wanted, UNKNOWN where too many of them are (see `base.Embedded`)."""

    offsets: NDArray[np.int64]
    ids: NDArray[np.uint16] | NDArray[np.uint32]
    notes: NDArray[np.uint8]

    def columns(self) -> dict[str, pa.Array]:
        """As columns of a file of tokens."""
        return {
            TOKENS: pa.LargeListArray.from_arrays(pa.array(self.offsets), pa.array(self.ids)),
            NOTES: pa.array(self.notes),
        }


def tokens_in(columns: Mapping[str, pa.Array] | pa.RecordBatch | pa.Table) -> Tokens:
    """The tokens in columns of a file of tokens."""
    lists = one_array(columns[TOKENS])
    offsets = to_numpy(lists.offsets)
    ids = to_numpy(lists.values)[offsets[0] : offsets[-1]]
    return Tokens(offsets - offsets[0], ids, to_numpy(one_array(columns[NOTES])))


class Tokeniser:
    """Texts to tokens. facts: of the model. limit: tokens of a text at most; None: all. prompt: before each text that
    is not blank.

    max_unknown_ratio: share of a text's tokens, as far as they are read, above which too many are unknown. Those of the
    prompt, which come first, do not count.
    """

    def __init__(self, facts: Facts, limit: int | None, prompt: str = "", max_unknown_ratio: float = 1.0) -> None:
        self.facts = facts
        self._limit = limit
        self._prompt = prompt
        self._max_unknown_ratio = max_unknown_ratio
        self._kind: Any = np.uint16 if facts.size <= _NARROW else np.uint32
        try:
            self._pieces: WordPiece | None = parse_wordpiece(facts.tokenizer)
        except RecipeError:
            self._pieces = None
        self._backend = None if self._pieces is not None else _backend(facts.tokenizer)
        self._before = _Prompt(0, 0)
        if prompt:
            own = self._pieces.ids(pa.array([prompt], TEXT))[1] if self._pieces else np.array(self._encode([prompt])[0])
            self._before = _Prompt(len(own), int((own == facts.unknown).sum()))

    @property
    def schema(self) -> pa.Schema:
        """Columns of a file of its tokens."""
        kind = pa.large_list(pa.from_numpy_dtype(self._kind))
        return pa.schema([(TOKENS, kind), (NOTES, pa.uint8())])

    @property
    def by_kernel(self) -> bool:
        """Whether the tokens come from the WordPiece kernel."""
        return self._pieces is not None

    def tokens(self, texts: pa.LargeStringArray) -> Tokens:
        """The tokens of texts; none of a text without anything but white space."""
        return self._by_kernel(texts, self._pieces) if self._pieces is not None else self._by_package(texts)

    def _by_kernel(self, texts: pa.LargeStringArray, pieces: WordPiece) -> Tokens:
        if self._prompt:
            blank = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0)
            prompt, nothing = (pa.scalar(each, pa.large_string()) for each in (self._prompt, ""))
            prompted = pc.binary_join_element_wise(prompt, texts, nothing)
            texts = one_array(pc.if_else(blank, nothing, prompted))
        offsets, data = text_buffers(texts)
        limit = NO_LIMIT if self._limit is None else self._limit
        most = np.minimum(TOKENS_A_BYTE * lengths_bytes(texts), limit)
        borders, found = np.empty(len(texts) + 1, np.int64), np.empty(int(most.sum()), self._kind)
        unknown, more = np.empty(len(texts), np.int32), np.empty(len(texts), np.bool_)
        size = wordpiece_heads(offsets, data, pieces.bert, pieces.pieces, limit, borders, unknown, more, found)
        return Tokens(borders, found[: int(size)], self._notes(borders, unknown, more))

    def _by_package(self, texts: pa.LargeStringArray) -> Tokens:
        strings = texts.to_pylist()  # the package takes nothing else
        more = np.zeros(len(strings), np.bool_)
        if self._limit is not None:
            characters = HEAD_CHARACTERS * (self._limit + len(self.facts.before) + len(self.facts.after))
            more[:] = [len(string) > characters for string in strings]
            strings = [string[:characters] for string in strings]
        filled = [i for i, string in enumerate(strings) if string.strip()]
        prompted = [self._prompt + strings[i] for i in filled]
        encoded = self._encode(prompted)
        sizes = np.zeros(len(strings), np.int64)
        for i, ids in zip(filled, encoded, strict=True):
            kept = len(ids) if self._limit is None else min(len(ids), self._limit)
            more[i] |= kept < len(ids)
            sizes[i] = kept
        kept_ids = chain.from_iterable(ids[: sizes[i]] for i, ids in zip(filled, encoded, strict=True))
        flat = np.fromiter(kept_ids, self._kind, int(sizes.sum()))
        borders = np.concatenate([[0], np.cumsum(sizes)])
        unknown = np.zeros(len(strings), np.int32)
        if self.facts.unknown is not None:
            before = np.concatenate([[0], np.cumsum(flat == self.facts.unknown)])
            unknown[:] = before[borders[1:]] - before[borders[:-1]]
        return Tokens(borders, flat, self._notes(borders, unknown, more))

    def _encode(self, strings: list[str]) -> list[list[int]]:
        assert self._backend is not None  # noqa: S101  by __init__
        return [each.ids for each in self._backend.encode_batch_fast(strings, add_special_tokens=False)]

    def _notes(
        self, borders: NDArray[np.int64], unknown: NDArray[np.int32], more: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        own = np.maximum(np.diff(borders) - self._before.tokens, 0)
        too_many = unknown - self._before.unknown > self._max_unknown_ratio * own
        return np.where(more, CUT, 0).astype(np.uint8) | np.where(too_many, UNKNOWN, 0).astype(np.uint8)


class _Prompt(NamedTuple):
    tokens: int
    unknown: int


def _backend(tokenizer: str) -> Any:
    """The tokenizer of the package `tokenizers`, without truncation and padding."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes: no threads under them
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("tokenizers", "embed", "this model's tokenizer") from error
    value = orjson.loads(tokenizer)
    value["truncation"] = value["padding"] = None
    return Tokenizer.from_str(orjson.dumps(value).decode())
