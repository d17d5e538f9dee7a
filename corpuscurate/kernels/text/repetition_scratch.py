"""Memory for counting repetition, shared by all documents of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.text.interning import SEED, Ids, make_ids

WINDOW_BYTES = 24
"""The most bytes of glued words that tell n-grams apart."""
MOST_STRINGS = 1 << 28
"""Words, lines or paragraphs of one document, of which it must have fewer."""
BASE = int(SEED) & ~7 | 5
"""Of the polynomial hash of glued words, modulo 2**64: odd, so that it has an inverse, and of the greatest period."""


class Scratch(NamedTuple):
    """Memory that all documents of a batch share, for the largest of them; pages that none needs stay untouched.

    ids: for its words, lines or paragraphs. ends_of, cover: int64[strings]. chars: int64[words + 1]. begins, ends:
    int64[lines + 2]. For `datatrove`: glued: uint8[bytes + 32]; at: int64[words + 1]; sums: uint64[words + 1];
    inverses: uint64[words]; powers: uint64[2, 9], of BASE and of its inverse.
    """

    ids: Ids
    ends_of: NDArray[np.int64]
    cover: NDArray[np.int64]
    chars: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    glued: NDArray[np.uint8]
    at: NDArray[np.int64]
    sums: NDArray[np.uint64]
    inverses: NDArray[np.uint64]
    powers: NDArray[np.uint64]


def make_scratch(words: int, lines: int, size_bytes: int, glue: bool) -> Scratch:
    """Scratch for documents of at most so many words, lines and bytes; glue: for `datatrove`.

    Raises ValueError where a document has MOST_STRINGS words or lines, or more.
    """
    strings = max(words, lines + 2)
    if strings >= MOST_STRINGS:
        raise ValueError(f"a document has {strings} words or lines; fewer than {MOST_STRINGS} can be compared")
    bases = BASE, pow(BASE, -1, 1 << 64)
    return Scratch(
        make_ids(strings),
        np.empty(strings, np.int64),
        np.empty(strings, np.int64),
        np.empty(words + 1, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(size_bytes + WINDOW_BYTES + 8 if glue else 0, np.uint8),
        np.empty(words + 1 if glue else 0, np.int64),
        np.empty(words + 1 if glue else 0, np.uint64),
        np.empty(words if glue else 0, np.uint64),
        np.array([[pow(base, k, 1 << 64) for k in range(9)] for base in bases], np.uint64),
    )
