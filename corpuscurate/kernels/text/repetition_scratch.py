"""Memory for counting repetition, shared by all documents of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.text.interning import bits_for

WINDOW_BYTES = 24
"""The most bytes of glued words that tell n-grams apart."""
FIRST_SLOTS = 1 << 4
"""Slots of the smallest table."""
MOST_STRINGS = 1 << 28
"""Words, lines or paragraphs of one document, of which it must have fewer."""


class Scratch(NamedTuple):
    """Memory that all documents of a batch share, for the largest of them; pages that none needs stay untouched.

    As many as strings, which are words, lines or paragraphs: hashes, uint32; places, numbers, chosen, others, counts,
    origins, int32; ends_of, cover, int64. chars: int64[words + 1]. begins, ends: int64[lines + 2]. seen: uint8[],
    table: uint64[], powers of two. glued: uint8[bytes + 32] and at: int64[words + 1], for `datatrove`.
    """

    hashes: NDArray[np.uint32]
    places: NDArray[np.int32]
    numbers: NDArray[np.int32]
    chosen: NDArray[np.int32]
    others: NDArray[np.int32]
    counts: NDArray[np.int32]
    origins: NDArray[np.int32]
    ends_of: NDArray[np.int64]
    cover: NDArray[np.int64]
    chars: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    seen: NDArray[np.uint8]
    table: NDArray[np.uint64]
    glued: NDArray[np.uint8]
    at: NDArray[np.int64]


def make_scratch(words: int, lines: int, size_bytes: int, glue: bool) -> Scratch:
    """Scratch for documents of at most so many words, lines and bytes; glue: for `datatrove`.

    Raises ValueError where a document has MOST_STRINGS words or lines, or more.
    """
    strings = max(words, lines + 2)
    if strings >= MOST_STRINGS:
        raise ValueError(f"a document has {strings} words or lines; fewer than {MOST_STRINGS} can be compared")
    return Scratch(
        np.empty(strings, np.uint32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int64),
        np.empty(strings, np.int64),
        np.empty(words + 1, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(1 << int(bits_for(strings)), np.uint8),
        np.empty(1 << max(2 * strings, FIRST_SLOTS).bit_length(), np.uint64),
        np.empty(size_bytes + WINDOW_BYTES + 8 if glue else 0, np.uint8),
        np.empty(words + 1 if glue else 0, np.int64),
    )
