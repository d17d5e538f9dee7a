"""What personal data a batch holds: hits that do not overlap, in the order of the text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.personal.characters import letters
from corpuscurate.kernels.text.personal.find import (
    CARD,
    EMAIL,
    IBAN,
    IP,
    KINDS,
    NATIONAL,
    PHONE,
    Hits,
    Wanted,
    find_personal,
    scratch,
)
from corpuscurate.methods.personal import national, phones

BEHIND_BYTES, BEFORE_BYTES = 24, 8
"""What is shown of the text around a run of digits: an extension may follow it, a letter may stand before it."""
STEP_BYTES, PIECE_BYTES = 192, 256
"""How far a piece of a run lies behind the one before, and how long it is: the difference is more than a number has."""
BYTES_A_HIT = 4096
Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Found:
    """k hits, by row and start. kinds: int8[k], places in KINDS. rows, starts, stops: int64[k]; bytes of the text's own
    buffer. values: of telephone and national numbers, as one spells them; "" for other kinds."""

    kinds: NDArray[np.int8]
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    values: tuple[str, ...]


def find(text: pa.LargeStringArray, wanted: Wanted, regions: Sequence[str], formats: Sequence[str]) -> Found:
    """The personal data of the texts. regions, formats: see `phones` and `national`."""
    offsets, data = text_buffers(text)
    hits = _candidates(offsets, data, wanted)
    exact = (hits.kinds != PHONE) & (hits.kinds != NATIONAL)
    kinds, rows, starts, stops = hits.kinds[exact], hits.rows[exact], hits.starts[exact], hits.stops[exact]
    more = list(_told(hits, offsets, data, regions, formats))
    values = ("",) * len(kinds) + tuple(value for *_, value in more)
    numbers = np.array([each[:4] for each in more], np.int64).reshape(-1, 4)
    kinds = np.concatenate([kinds, numbers[:, 0].astype(np.int8)])
    rows, starts, stops = (np.concatenate([array, numbers[:, at]]) for at, array in enumerate((rows, starts, stops), 1))
    keep = _without_overlaps(kinds, starts, stops)
    return Found(kinds[keep], rows[keep], starts[keep], stops[keep], tuple(values[at] for at in keep.tolist()))


def _candidates(offsets: NDArray[np.int64], data: NDArray[np.uint8], wanted: Wanted) -> Hits:
    room = int(offsets[-1] - offsets[0]) // BYTES_A_HIT + 256
    while True:
        hits = Hits(np.empty(room, np.int8), *(np.empty(room, np.int64) for _ in range(3)))
        count = find_personal(offsets, data, letters(), wanted, scratch(), hits)
        if count <= room:
            return Hits(hits.kinds[:count], hits.rows[:count], hits.starts[:count], hits.stops[:count])
        room = count


def _told(
    hits: Hits, offsets: NDArray[np.int64], data: NDArray[np.uint8], regions: Sequence[str], formats: Sequence[str]
) -> Iterator[tuple[int, int, int, int, str]]:
    """Kind, row, start, stop and value of the telephone and national numbers among the candidates."""
    for at in np.flatnonzero((hits.kinds == PHONE) | (hits.kinds == NATIONAL)).tolist():
        kind, row, start, stop = (int(array[at]) for array in hits)
        if kind == PHONE:
            found = _phones(data, (int(offsets[row]), start, stop, int(offsets[row + 1])), regions)
        else:
            found = _national(data[start:stop], formats)
        for begin, end, value in found:
            yield kind, row, start + begin, start + end, value


def _phones(data: NDArray[np.uint8], place: tuple[int, int, int, int], regions: Sequence[str]) -> Iterator[Span]:
    """Telephone numbers in a run, as bytes from its first on. place: the first byte of the text, of the run, and the
    bytes behind both. A long run is looked at in pieces: the package takes more than linear time."""
    first, start, stop, last = place
    for begin in range(start, stop, STEP_BYTES):
        low, high = max(first, begin - BEFORE_BYTES), min(last, begin + PIECE_BYTES + BEHIND_BYTES)
        middle = min(stop, begin + STEP_BYTES)
        before = data[low:begin].tobytes().decode(errors="ignore")
        inside = data[begin:middle].tobytes().decode(errors="ignore")
        text = before + data[begin:high].tobytes().decode(errors="ignore")
        for head, tail, value in phones.numbers_in(text, len(before), len(before) + len(inside), regions):
            at = begin - start + len(text[len(before) : head].encode())
            yield at, at + len(text[head:tail].encode()), value


def _national(run: NDArray[np.uint8], formats: Sequence[str]) -> Iterator[Span]:
    return national.numbers_in(run.tobytes().decode("ascii"), formats)


def _without_overlaps(
    kinds: NDArray[np.int8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The hits that stay, by start: of two that overlap that of the kind that comes first in KINDS, of one kind the one
    that begins first, then the longer, then the one that was found first."""
    order = np.lexsort((-stops, starts, kinds))
    taken = np.zeros((0, 2), np.int64)
    kept: list[NDArray[np.int64]] = []
    for kind in range(len(KINDS)):
        own = order[kinds[order] == kind]
        place = np.searchsorted(taken[:, 0], stops[own], "left")  # taken spans that begin before the hit ends
        free = own[(place == 0) | (taken[np.maximum(place - 1, 0), 1] <= starts[own])] if len(taken) else own
        alone = _first_of_each(starts[free], stops[free])
        kept.append(free[alone])
        taken = np.concatenate([taken, np.stack([starts[kept[-1]], stops[kept[-1]]], axis=1)])
        taken = taken[np.argsort(taken[:, 0], kind="stable")]
    every = np.concatenate(kept)
    result: NDArray[np.int64] = every[np.argsort(starts[every], kind="stable")]
    return result


def _first_of_each(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which spans, by start, begin behind all that were taken before."""
    if len(starts) < 2 or (starts[1:] >= np.maximum.accumulate(stops)[:-1]).all():
        return np.ones(len(starts), np.bool_)
    result = np.zeros(len(starts), np.bool_)
    end = -1
    for at, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        if start >= end:
            result[at], end = True, stop
    return result


def spelled(kind: int, raw: str, value: str) -> str:
    """One spelling for equal values, of which tokens are made. value: see `Found`."""
    if kind in (PHONE, NATIONAL):
        return value
    return _SPELLED[kind](unicodedata.normalize("NFKC", raw))


def _code(text: str) -> str:
    return "".join(char for char in text if char.isalnum()).upper()


def _address(text: str) -> str:
    return str(ip_address(".".join(map(str, map(int, text.split(".")))) if ":" not in text else text))


_SPELLED: dict[int, Callable[[str], str]] = {EMAIL: str.casefold, IBAN: _code, CARD: _code, IP: _address}
