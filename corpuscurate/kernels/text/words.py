"""Lengths of documents in words and in characters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import INVISIBLE, MARK, SINGLE, WORD, Int, Tables, decode, flags_of


@uncounted
def count_words(offsets: NDArray[np.int64], data: NDArray[np.uint8], t: Tables, out: NDArray[np.int64]) -> int:
    """Words of each document, as `kernels.text.unicode` defines them and `t` has them. out: int64[n]. Returns n."""
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        words: Int = 0
        inside: Int = 0  # 1 in a run of letters
        while i < end:
            byte = data[i]
            if byte < 0x80:
                word = np.int64(t.byte_flags[byte] & WORD)
                words += word & (inside ^ 1)
                inside = word
                i += 1
            else:
                code_point, i = decode(data, i)
                flags = flags_of(t, code_point)
                if flags & SINGLE:
                    words += 1
                    inside = 0
                elif flags & WORD:
                    words += inside ^ 1
                    inside = 1
                elif not flags & (MARK | INVISIBLE):
                    inside = 0
        out[row] = words
    return len(offsets) - 1


@uncounted
def count_characters(offsets: NDArray[np.int64], data: NDArray[np.uint8], out: NDArray[np.int64]) -> int:
    """Code points of each document. out: int64[n]. Returns n."""
    for row in range(len(offsets) - 1):
        characters = 0
        for i in range(np.uint64(offsets[row]), np.uint64(offsets[row + 1])):
            characters += (data[i] & 0xC0) != 0x80
        out[row] = characters
    return len(offsets) - 1
