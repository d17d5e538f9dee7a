"""BERT's WordPiece tokenisation: UTF-8 bytes to token numbers in one walk, equal to Hugging Face `tokenizers`.

Per character, through tables made for one setting of the normaliser (`kernels.bert`): removed, white space, isolated
(punctuation, Chinese), or part of a word, then in its normalised form (decomposed, accents stripped, lower case).
Per word: pieces by longest match first, walking a trie of the vocabulary's bytes; a word with a part in no piece, or
with more than `max_characters`, is one unknown token. Added tokens that are matched in the text as it is ("[SEP]")
come first, the longest of them. Source: Wu et al. 2016, arXiv 1609.08144; Devlin et al. 2019; the code of
huggingface/tokenizers (normalizers/bert.rs, pre_tokenizers/bert.rs, models/wordpiece).

One difference is known: canonical ordering among several combining marks of category Mc with different classes is not
done (strip_accents removes all Mn; only a few Mc of musical and Balinese notation have a class at all).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.embedding.bert import ALONE, BECOMES, BREAK, GONE, SAME, Bert
from corpuscurate.kernels.text.unicode import decode, encode

VERSION = 1
"""Raise it when token numbers change."""
Int: TypeAlias = int | np.int64

CHUNK = 4096
"""Input bytes read at once."""
NO_LIMIT = 1 << 40
"""More tokens than any text has."""
TOKENS_A_BYTE = 2
"""Tokens that a byte of text gives at most: 3 bytes decompose into 4 characters at the worst (U+1F82)."""


class Pieces(NamedTuple):
    """A vocabulary. Node 0 begins words, node 1 goes on within words.

    keys: (node << 8 | byte) + 1 of each edge, 0 = empty slot; nodes: where it leads; tokens: int32[nodes], the token
    that ends there or -1. added_first: bool[256], whether an added token begins with the byte; added_offsets,
    added_bytes, added_tokens: those, the longest first. unknown: token; max_characters: of a word.
    """

    keys: NDArray[np.uint32]
    nodes: NDArray[np.int32]
    tokens: NDArray[np.int32]
    added_first: NDArray[np.bool_]
    added_offsets: NDArray[np.int64]
    added_bytes: NDArray[np.uint8]
    added_tokens: NDArray[np.int32]
    unknown: int
    max_characters: int


def pieces_of(
    vocabulary: Mapping[str, int], prefix: str, unknown: int, max_characters: int, added: Sequence[tuple[str, int]]
) -> Pieces:
    """The trie of a WordPiece vocabulary. prefix: of pieces within words ("##"). added: tokens matched in raw text."""
    edges: dict[int, int] = {}
    ends = {}
    count = 2
    for token, number in vocabulary.items():
        inner = token.startswith(prefix)
        node = int(inner)
        for byte in token[len(prefix) * inner :].encode():
            key = node << 8 | byte
            node = edges.get(key, count)
            if node == count:
                edges[key] = node
                count += 1
        if node > 1:
            ends[node] = number
    slots = 1 << (2 * len(edges) + 16).bit_length()
    keys, nodes = np.zeros(slots, np.uint32), np.zeros(slots, np.int32)
    fill_edges(np.array(list(edges), np.uint32), np.array(list(edges.values()), np.int32), keys, nodes)
    tokens = np.full(count, -1, np.int32)
    tokens[list(ends)] = list(ends.values())
    longest = sorted(((text.encode(), number) for text, number in added), key=lambda each: -len(each[0]))
    first = np.zeros(256, np.bool_)
    first[[text[0] for text, _ in longest]] = True
    return Pieces(
        keys,
        nodes,
        tokens,
        first,
        np.cumsum([0, *(len(text) for text, _ in longest)]).astype(np.int64),
        np.frombuffer(b"".join(text for text, _ in longest), np.uint8),
        np.array([number for _, number in longest], np.int32),
        unknown,
        max_characters,
    )


@kernel
def _slot(key: np.uint32, mask: np.uint32) -> np.uint32:
    return np.uint32(key * np.uint32(0x9E3779B1)) >> np.uint32(7) & mask


@kernel
def fill_edges(
    edges: NDArray[np.uint32], targets: NDArray[np.int32], out_keys: NDArray[np.uint32], out_nodes: NDArray[np.int32]
) -> int:
    """An open-addressing table of edges (node << 8 | byte); stored keys are one more, 0 is an empty slot."""
    mask = np.uint32(len(out_keys) - 1)
    for i in range(len(edges)):
        slot = _slot(edges[i], mask)
        while out_keys[slot] != np.uint32(0):
            slot = (slot + np.uint32(1)) & mask
        out_keys[slot] = edges[i] + np.uint32(1)
        out_nodes[slot] = targets[i]
    return len(edges)


@kernel
def _step(node: Int, byte: Int, pieces: Pieces) -> Int:
    """The node after a byte, or -1."""
    key = np.uint32(node << 8 | byte)
    mask = np.uint32(len(pieces.keys) - 1)
    slot = _slot(key, mask)
    wanted = np.uint32(key + np.uint32(1))
    while True:
        found = pieces.keys[slot]
        if found == wanted:
            return np.int64(pieces.nodes[slot])
        if found == np.uint32(0):
            return -1
        slot = np.uint32(slot + np.uint32(1)) & mask


@kernel
def _word(word: NDArray[np.uint8], size: Int, characters: Int, pieces: Pieces, at: Int, out: NDArray[np.int32]) -> Int:
    """The tokens of a word to out[at:]; the index after them."""
    if size == 0:
        return at
    begin = at
    if characters > pieces.max_characters:
        out[at] = pieces.unknown
        return at + 1
    start: Int = 0
    while start < size:
        node: Int = 0 if start == 0 else 1
        token: Int = -1
        stop = start
        i = start
        while i < size:
            node = _step(node, np.int64(word[i]), pieces)
            if node < 0:
                break
            i += 1
            if pieces.tokens[node] >= 0:
                token = np.int64(pieces.tokens[node])
                stop = i
        if token < 0:
            out[begin] = pieces.unknown
            return begin + 1
        out[at] = token
        at += 1
        start = stop
    return at


@kernel
def _added(data: NDArray[np.uint8], i: Int, stop: Int, pieces: Pieces) -> Int:
    """Which added token stands at byte i, or -1."""
    for k in range(len(pieces.added_tokens)):
        first = pieces.added_offsets[k]
        size = pieces.added_offsets[k + 1] - first
        if i + size > stop:
            continue
        same = True
        for j in range(size):
            if data[i + j] != pieces.added_bytes[first + j]:
                same = False
                break
        if same:
            return k
    return -1


class Reading(NamedTuple):
    """The state of a walk through one document. cursor: int64[4]: next byte, end, bytes and characters of `word` so
    far. word: the word under way, normalised. ids: what a call of `next_ids` made."""

    cursor: NDArray[np.int64]
    word: NDArray[np.uint8]
    ids: NDArray[np.int32]


@kernel
def new_reading(max_characters: Int) -> Reading:
    """Buffers for words of that many characters."""
    word = np.empty(4 * max_characters + 64, np.uint8)
    return Reading(np.zeros(4, np.int64), word, np.empty(4 * CHUNK + 4 * max_characters + 128, np.int32))


@kernel
def begin_reading(start: Int, stop: Int, reading: Reading) -> None:
    """Set the walk to the document in bytes start..stop-1."""
    reading.cursor[0] = start
    reading.cursor[1] = stop
    reading.cursor[2] = 0
    reading.cursor[3] = 0


@kernel
def next_ids(data: NDArray[np.uint8], bert: Bert, pieces: Pieces, reading: Reading, most: Int) -> Int:
    """The next tokens of the document, in `reading.ids`. Returns how many (0 is possible), -1 after the last.

    most: it stops soon after that many tokens, so that no more text is read than a caller needs.
    """
    cursor = reading.cursor
    i = cursor[0]
    stop = cursor[1]
    if i > stop:
        return -1
    size = cursor[2]
    characters = cursor[3]
    word = reading.word
    ids = reading.ids
    full = len(word) - 8
    at: Int = 0
    limit = min(stop, i + CHUNK)
    while i < limit and at < most:
        byte = np.int64(data[i])
        if pieces.added_first[byte]:
            k = _added(data, i, stop, pieces)
            if k >= 0:
                at = _word(word, size, characters, pieces, at, ids)
                size = 0
                characters = 0
                ids[at] = pieces.added_tokens[k]
                at += 1
                i += pieces.added_offsets[k + 1] - pieces.added_offsets[k]
                continue
        if byte < 0x80:
            i += 1
            kind = bert.ascii_kinds[byte]
            if kind == SAME:
                if size < full:
                    word[size] = bert.ascii_lower[byte]
                    size += 1
                characters += 1
            elif kind == BREAK:
                at = _word(word, size, characters, pieces, at, ids)
                size = 0
                characters = 0
            elif kind == ALONE:
                at = _word(word, size, characters, pieces, at, ids)
                word[0] = bert.ascii_lower[byte]
                at = _word(word, 1, 1, pieces, at, ids)
                size = 0
                characters = 0
            continue
        code_point, i = decode(data, i)
        kind = bert.kinds[np.int64(bert.pages[code_point >> 8]) << 8 | code_point & 0xFF]
        if kind == GONE:
            continue
        parts: Int = 1
        row: Int = -1
        if kind >= BECOMES:
            row = kind - BECOMES
            parts = np.int64(bert.forms[row, 0])
        for part in range(parts):
            if row >= 0:
                kind = bert.forms[row, 1 + 2 * part]
                code_point = np.int64(bert.forms[row, 2 + 2 * part])
            if kind == SAME:
                if size < full:
                    size = encode(code_point, size, word)
                characters += 1
                continue
            at = _word(word, size, characters, pieces, at, ids)
            size = 0
            characters = 0
            if kind == ALONE:
                at = _word(word, encode(code_point, 0, word), 1, pieces, at, ids)
    if i >= stop:
        at = _word(word, size, characters, pieces, at, ids)
        size = 0
        characters = 0
        i = stop + 1
    cursor[0] = i
    cursor[2] = size
    cursor[3] = characters
    return at


@kernel
def wordpiece_ids(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    bert: Bert,
    pieces: Pieces,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.int32],
) -> Int:
    """The tokens of each document. Returns how many in all.

    out_offsets: int64[n + 1]. out: int32[...], or of length 0 to count only.
    """
    reading = new_reading(pieces.max_characters)
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin_reading(offsets[row], offsets[row + 1], reading)
        made = next_ids(data, bert, pieces, reading, NO_LIMIT)
        while made >= 0:
            if len(out):
                out[at : at + made] = reading.ids[:made]
            at += made
            made = next_ids(data, bert, pieces, reading, NO_LIMIT)
        out_offsets[row + 1] = at
    return at


@kernel
def wordpiece_heads(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    bert: Bert,
    pieces: Pieces,
    limit: Int,
    out_offsets: NDArray[np.int64],
    out_unknown: NDArray[np.int32],
    out_cut: NDArray[np.bool_],
    out: NDArray[np.int32] | NDArray[np.uint16],
) -> Int:
    """The first `limit` tokens of each document; no more of its text is read than they need. Returns how many in all.

    out_offsets: int64[n + 1]; out_unknown: int32[n], unknown ones among them; out_cut: bool[n], whether the document
    has more. out: TOKENS_A_BYTE a byte of a document, or `limit` where that is less, of all documents together.
    """
    reading = new_reading(pieces.max_characters)
    ids = reading.ids
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin_reading(offsets[row], offsets[row + 1], reading)
        left = limit
        unknown = 0
        cut = False
        made = next_ids(data, bert, pieces, reading, left + 1)
        while made >= 0:
            taken = min(made, left)
            for k in range(taken):
                token = ids[k]
                unknown += token == pieces.unknown
                out[at + k] = token
            at += taken
            left -= taken
            if made > taken:
                cut = True
                break
            made = next_ids(data, bert, pieces, reading, left + 1)
        out_offsets[row + 1] = at
        out_unknown[row] = unknown
        out_cut[row] = cut
    return at


@kernel
def embed_tokens(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    bert: Bert,
    pieces: Pieces,
    limit: Int,
    row_of: NDArray[np.int32],
    factors: NDArray[np.float32],
    rows: NDArray[np.float32] | NDArray[np.int8],
    out_tokens: NDArray[np.int64],
    out: NDArray[np.float32],
) -> int:
    """The unit vector of the sum of factor times row over the first `limit` tokens of each document. Returns n.

    row_of: int32[tokens], the row of each token; factors: float32[tokens]. Tokens are counted first and each row is
    added once, in float64. out_tokens: int64[n, 2], tokens of each document and how many of them are the unknown one.
    out: float32[n, d]; zero where a document has no token or its sum is zero.
    """
    reading = new_reading(pieces.max_characters)
    counts = np.zeros(len(row_of), np.int64)
    seen = np.empty(len(row_of), np.int32)
    sums = np.empty(rows.shape[1], np.float64)
    for document in range(len(offsets) - 1):
        sums[:] = 0.0
        distinct = 0
        left = limit
        begin_reading(offsets[document], offsets[document + 1], reading)
        made = next_ids(data, bert, pieces, reading, left)
        while made >= 0 and left > 0:
            for k in range(min(made, left)):
                token = reading.ids[k]
                if counts[token] == 0:
                    seen[distinct] = token
                    distinct += 1
                counts[token] += 1
            left -= made
            made = next_ids(data, bert, pieces, reading, left)
        out_tokens[document, 0] = 0
        out_tokens[document, 1] = counts[pieces.unknown]
        for k in range(distinct):
            token = seen[k]
            out_tokens[document, 0] += counts[token]
            weight = np.float64(counts[token]) * np.float64(factors[token])
            row = rows[row_of[token]]
            for j in range(len(sums)):
                sums[j] += weight * np.float64(row[j])
            counts[token] = 0
        square = 0.0
        for j in range(len(sums)):
            square += sums[j] * sums[j]
        scale = 1.0 / np.sqrt(square) if 0.0 < square < np.inf else 0.0
        for j in range(len(sums)):
            out[document, j] = np.float32(sums[j] * scale) if scale > 0.0 else np.float32(0.0)
    return len(offsets) - 1
