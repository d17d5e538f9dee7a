"""What the filters of source files measure: one walk over the characters.

Lines are those of `str.splitlines()`. Definitions, each equal to a line of Python on `text`:
- lines, longest: `text.splitlines()`, and the longest of them in characters. ends: characters that belong to none.
- alphanumeric, alphabetic: characters for which `str.isalnum()`, `str.isalpha()`.
- markers: whether one of the phrases is in one of the first lines, A to Z taken for a to z.
- header: whether `"<?xml version=" in text[:100]`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.text.automaton import Automaton
from corpuscurate.kernels.text.unicode import ALPHA, WORD, Int, Tables, decode, flags_of

CODE_COUNTS = ("characters", "lines", "longest", "ends", "alphanumeric", "alphabetic", "markers", "header")
"""The columns of `count_code`."""
HEAD_CHARACTERS = 100
_HEADER = np.frombuffer(b"<?xml version=", np.uint8)


@kernel
def count_code(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    markers: Automaton,
    marker_lines: int,
    out: NDArray[np.int64],
) -> int:
    """The `CODE_COUNTS` of each document, int64[n, 8]. Returns n."""
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        characters = lines = longest = ends = alphanumeric = alphabetic = 0
        marked = header = False
        state: Int = 0
        matched: Int = 0  # characters of the header so far
        size = 0
        while i < end:
            start = i
            code_point, i = decode(data, i)
            flags = flags_of(t, code_point)
            alphanumeric += (flags & WORD) != 0
            alphabetic += (flags & ALPHA) != 0
            characters += 1
            if characters <= HEAD_CHARACTERS and not header:
                if code_point == _HEADER[matched]:
                    matched += 1
                else:
                    matched = np.int64(code_point == _HEADER[0])
                header = matched == len(_HEADER)
                if header:
                    matched = 0
            line_end = (
                0x0A <= code_point <= 0x0D
                or 0x1C <= code_point <= 0x1E
                or (code_point >= 0x85 and code_point in (0x85, 0x2028, 0x2029))
            )
            if line_end:
                ends += 1
                if code_point == 0x0D and i < end and data[i] == 0x0A:  # one line end of two characters
                    i += 1
                    ends += 1
                    characters += 1
            else:
                size += 1
                if lines < marker_lines and not marked:
                    for at in range(start, i):
                        state = np.int64(markers.following[np.uint64(state), np.uint64(data[np.uint64(at)])])
                    marked = markers.found[np.uint64(state)] != 0
            if line_end or i == end:
                lines += 1
                longest = max(longest, size)
                size = 0
                state = 0
        out[row, 0] = characters
        out[row, 1] = lines
        out[row, 2] = longest
        out[row, 3] = ends
        out[row, 4] = alphanumeric
        out[row, 5] = alphabetic
        out[row, 6] = marked
        out[row, 7] = header
    return len(offsets) - 1
