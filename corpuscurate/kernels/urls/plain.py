"""The plain form of URLs, in which they are compared: host, path and query alone.

- White space and control characters around it, the scheme, user name and password, port and fragment are left out.
- The host: ASCII letters in lower case, without dots at its end; a "www." at its start is told. Hosts with other
  characters, percent signs or brackets are made plain before (`locate_hosts` says which).
- Path and query: "%41" becomes the byte it stands for, ASCII letters become lower case; slashes at the end go where
  there is no query.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import Int

_SLASH, _BACKSLASH, _QUESTION, _HASH, _COLON, _AT, _DOT, _PERCENT = (ord(sign) for sign in "/\\?#:@.%")


@uncounted
def _is_letter(byte: Int) -> bool:
    return bool(0x61 <= byte | 0x20 <= 0x7A)


@uncounted
def _ends_host(byte: Int) -> bool:
    return bool(byte in (_SLASH, _BACKSLASH, _QUESTION, _HASH))


@uncounted
def locate_hosts(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    behind: NDArray[np.int64],
    needs: NDArray[np.bool_],
) -> None:
    """Where the hosts of URLs stand.

    starts, stops: int64[n], bytes of the host, without port, user name and dots at its end. behind: int64[n], where
    path, query or fragment begin. needs: bool[n], hosts that are not plain yet.
    """
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while i < end and data[i] <= 0x20:
            i += 1
        at = i
        while at < end and (
            _is_letter(data[at]) or (at > i and (0x30 <= data[at] <= 0x39 or data[at] in (0x2B, 0x2D, 0x2E)))
        ):
            at += 1
        if at > i and at + 2 < end and data[at] == _COLON and data[at + 1] in (_SLASH, _BACKSLASH):
            i = at + 1
        slashes = 0
        while i < end and slashes < 2 and data[i] in (_SLASH, _BACKSLASH):
            i += 1
            slashes += 1
        start = i
        at = i
        colon: Int = np.int64(-1)
        bracket = False
        odd = False
        while at < end and not _ends_host(data[at]):
            byte = data[at]
            if byte == _AT:
                start = at + 1
                colon = np.int64(-1)
                bracket = False
                odd = False
            elif byte == _COLON and not bracket:
                colon = np.int64(at) if colon < 0 else colon
            elif byte == 0x5B:
                bracket = True
                odd = True
            elif byte == 0x5D:
                bracket = False
            elif byte >= 0x80 or byte == _PERCENT:
                odd = True
            at += 1
        stop = at if colon < 0 else colon
        while stop > start and (data[stop - 1] == _DOT or data[stop - 1] <= 0x20):
            stop -= 1
        starts[row], stops[row], behind[row], needs[row] = start, stop, at, odd


@uncounted
def _hex(byte: Int) -> Int:
    if 0x30 <= byte <= 0x39:
        return np.int64(byte - 0x30)
    lower = byte | 0x20
    return np.int64(lower - 0x57) if 0x61 <= lower <= 0x66 else np.int64(-1)


@uncounted
def write_plain(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    behind: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    host_stops: NDArray[np.int64],
    bare: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Any:
    """Write the plain form of URLs; the number of bytes written.

    starts, stops, behind: see `locate_hosts`. out_offsets: int64[n + 1], of the plain URLs. host_stops: int64[n], where
    in `out` the host ends. bare: int64[n], where the host begins less one "www.". out: room for all bytes.
    """
    at: Int = np.int64(0)
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin = at
        for i in range(starts[row], stops[row]):
            byte = data[np.uint64(i)]
            out[np.uint64(at)] = byte + 0x20 if 0x41 <= byte <= 0x5A else byte
            at += 1
        has_www = at - begin > 4 and out[begin + 3] == _DOT
        for k in range(3):
            has_www = has_www and out[begin + k] == 0x77
        bare[row] = begin + 4 if has_www else begin
        host_stops[row] = at
        i = behind[row]
        end = offsets[row + 1]
        while end > i and data[end - 1] <= 0x20:
            end -= 1
        query = False
        while i < end and data[i] != _HASH:
            byte = data[i]
            if byte == _PERCENT and i + 2 < end:
                high, low = _hex(data[i + 1]), _hex(data[i + 2])
                if high >= 0 and low >= 0:
                    byte = np.uint8(high * 16 + low)
                    i += 2
            elif byte == _QUESTION:
                query = True
            elif byte == _BACKSLASH and not query:
                byte = np.uint8(_SLASH)
            out[at] = byte + 0x20 if 0x41 <= byte <= 0x5A else byte
            at += 1
            i += 1
        while not query and at > host_stops[row] and out[at - 1] == _SLASH:
            at -= 1
        out_offsets[row + 1] = at
    return at


@uncounted
def squeeze(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    all_signs: bool,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Any:
    """Write plain URLs, data[starts[i]:stops[i]], without hyphens and dots, or without any ASCII that is no letter or
    digit, each with a line feed behind it; the number of bytes written. out_offsets: int64[n + 1]."""
    at: Int = np.int64(0)
    out_offsets[0] = 0
    for row in range(len(starts)):
        for i in range(starts[row], stops[row]):
            byte = data[np.uint64(i)]
            if all_signs:  # noqa: SIM108
                kept = byte >= 0x80 or _is_letter(byte) or 0x30 <= byte <= 0x39
            else:
                kept = byte not in (0x2D, _DOT, 0x0A)
            if kept:
                out[np.uint64(at)] = byte
                at += 1
        out[at] = 0x0A
        at += 1
        out_offsets[row + 1] = at
    return at
