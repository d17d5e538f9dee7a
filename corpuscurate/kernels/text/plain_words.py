"""Text without ASCII punctuation and in lower case, as RedPajama-v2 reads words of it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""Python's `string.punctuation`."""
GONE = 0
"""In the table of `plain_bytes`: left out."""


@cache
def plain_bytes() -> NDArray[np.uint8]:
    """What each byte becomes, uint8[256], read-only. The byte 0 becomes 1, which is no white space either."""
    table = np.arange(256, dtype=np.uint8)
    table[0] = 1
    table[ord("A") : ord("Z") + 1] += 32
    table[[ord(char) for char in PUNCTUATION]] = GONE
    table.setflags(write=False)
    return table


@uncounted
def plain_ascii(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    table: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
    out_data: NDArray[np.uint8],
) -> int:
    """Texts without ASCII punctuation, ASCII letters in lower case; how many bytes of them are not ASCII.

    table: of `plain_bytes`. out_offsets: int64[n + 1]. out_data: uint8[], as long as the texts.
    """
    at = np.uint64(0)
    others = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            byte = data[np.uint64(i)]
            others += byte >> 7
            out_data[at] = table[np.uint64(byte)]
            at += np.uint64(out_data[at] != GONE)
        out_offsets[row + 1] = at
    return others
