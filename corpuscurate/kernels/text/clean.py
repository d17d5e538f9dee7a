"""Line ends, control characters and invisible characters: what needs cleaning, and the cleaning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.unicode import CONTROL, INVISIBLE, SPACE, Int, Tables, combining_class, decode, flags_of

HAS_RETURN, HAS_CONTROL, HAS_FORM, HAS_OTHER, HAS_INVISIBLE = 1, 2, 4, 8, 16
"""A carriage return; a character with CONTROL; perhaps not in the normal form; anything that is not ASCII; a character
with INVISIBLE."""

_NEWLINE, _RETURN, _BLANK = 0x0A, 0x0D, 0x20


@uncounted
def find_needs(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], t: Tables, form: int, out: NDArray[np.uint8]
) -> int:
    """What each document may need. form: one of the flags NOT_NFC ... or 0. out: uint8[n], HAS_* bits.

    HAS_FORM is the quick check of UAX #15: without it the text is in the normal form; with it, it may be.
    Returns how many documents have any bit.
    """
    found = 0
    for row in range(len(offsets) - 1):
        start = offsets[row]
        end = offsets[row + 1]
        high = np.uint8(0)
        low = np.uint8(0)
        for at in range(start, end):  # without a branch: eight to sixty-four bytes at once
            high |= data[at] & np.uint8(0x80)
            low |= np.uint8((data[at] < 0x20) & (data[at] != 0x09) & (data[at] != _NEWLINE) | (data[at] == 0x7F))
        needs: Int = 0
        if high or low:
            needs = HAS_OTHER if high else 0
            before: Int = 0
            i: Int = start
            while i < end:
                byte = data[i]
                if byte < 0x80:
                    if byte == _RETURN:
                        needs |= HAS_RETURN
                    elif t.byte_flags[byte] & CONTROL:
                        needs |= HAS_CONTROL
                    before = 0
                    i += 1
                else:
                    code_point, i = decode(data, i)
                    flags = flags_of(t, code_point)
                    combining = combining_class(t, code_point)
                    if flags & form or (form and combining != 0 and combining < before):
                        needs |= HAS_FORM
                    if flags & CONTROL:
                        needs |= HAS_CONTROL
                    if flags & INVISIBLE:
                        needs |= HAS_INVISIBLE
                    before = combining
        out[row] = needs
        found += needs != 0
    return found


@kernel
def clean(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    line_ends: bool,
    control: bool,
    invisible: bool,
    changes: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """Copy documents with clean line ends and without control and invisible characters.

    line_ends: each CR LF, and each CR alone, becomes LF. control: characters with CONTROL that are white space become
    a space, so that they never glue two words; others are left out. invisible: characters with INVISIBLE are left out;
    one with both flags is a control character if these go. changes: int64[n, 6], line ends replaced and bytes saved by
    it, control characters replaced or left out and bytes saved by it, invisible ones left out and bytes saved by it.
    out_offsets: int64[n + 1]. out: uint8[], as long as the documents together at least: cleaning never adds bytes.
    Returns the bytes written.
    """
    watched = np.zeros(256, np.bool_)  # bytes that may begin something to change: few
    for byte in range(128):
        watched[byte] = byte == _RETURN or t.byte_flags[byte] & CONTROL
    watched[0xC2] = True  # U+0080..U+009F
    watched[0xC2 if invisible else 0xEF :] = True  # U+FEFF and the noncharacters; invisible characters: all over
    at = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        changes[row, :] = 0
        while i < end:
            byte = data[i]
            if not watched[byte]:
                out[at] = byte
                at += 1
                i += 1
                continue
            if byte == _RETURN and line_ends:
                changes[row, 0] += 1
                if i + 1 < end and data[i + 1] == _NEWLINE:
                    changes[row, 1] += 1
                    i += 1
                out[at] = _NEWLINE
                at += 1
                i += 1
                continue
            code_point, after = decode(data, i)
            flags = flags_of(t, code_point) if byte >= 0x80 else np.int64(t.byte_flags[byte])
            if control and flags & CONTROL:
                changes[row, 2] += 1
                changes[row, 3] += after - i
                if flags & SPACE:
                    changes[row, 3] -= 1
                    out[at] = _BLANK
                    at += 1
                i = after
                continue
            if invisible and flags & INVISIBLE:
                changes[row, 4] += 1
                changes[row, 5] += after - i
                i = after
                continue
            while i < after:
                out[at] = data[i]
                at += 1
                i += 1
        out_offsets[row + 1] = at
    return at
