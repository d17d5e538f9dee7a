"""Which entries of lists a URL meets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import Int
from corpuscurate.kernels.urls.table import START, Table, grown, place_of

DOMAINS, HOSTS, PATHS, URLS, HARD, SOFT = range(6)
"""Columns of what `match_urls` finds."""
RULES = 6
NORMAL, WILDCARD, EXCEPTION = 1, 2, 4
"""Kinds of rules in the list of public suffixes: the name, the names one label longer, not this name after all."""
MOST_WORDS = 8
"""Different words of a list that are counted in one URL."""
_DOT, _SLASH, _QUESTION = 0x2E, 0x2F, 0x3F


class Suffixes(NamedTuple):
    """The list of public suffixes. table: the names, hashed backwards. kinds: uint8[n], NORMAL | WILDCARD | .."""

    table: Table
    kinds: NDArray[np.uint8]


class Lists(NamedTuple):
    """A table for each rule; domains and hosts hashed backwards."""

    domains: Table
    hosts: Table
    paths: Table
    urls: Table
    hard: Table
    soft: Table


@uncounted
def _is_number(data: NDArray[np.uint8], start: Int, stop: Int) -> bool:
    """Whether a host is an IP address: digits and dots alone, or in brackets."""
    if start < stop and data[start] == 0x5B:
        return True
    for i in range(start, stop):  # noqa: SIM110
        if data[i] != _DOT and not 0x30 <= data[i] <= 0x39:
            return False
    return True


@uncounted
def _domain(data: NDArray[np.uint8], start: Int, stop: Int, suffixes: Suffixes, domains: Table) -> Int:
    """The place of the longest of a host and its parents that the table has, or -1.

    A name that is itself a public suffix counts for the host of that name alone, never for what lies below it, and an
    IP address has no parents.
    """
    found: Int = np.int64(-1)
    number = _is_number(data, start, stop)
    state = START
    public_next = True  # whether the next label makes a public suffix; the last label always does
    i: Int = np.int64(stop)
    while i > start:
        i -= 1
        state = grown(state, data[i])
        if i > start and (number or data[i - 1] != _DOT):
            continue
        public = public_next
        public_next = False
        place = place_of(suffixes.table, state, data, i, stop)
        if place >= 0:
            kind = suffixes.kinds[place]
            public = (public or kind & NORMAL != 0) and kind & EXCEPTION == 0
            public_next = kind & WILDCARD != 0
        if i == start or not public:
            place = place_of(domains, state, data, i, stop)
            if place >= 0:
                found = place
    return found


@uncounted
def _host(data: NDArray[np.uint8], start: Int, stop: Int, hosts: Table) -> Int:
    state = START
    for k in range(stop - start):
        state = grown(state, data[stop - 1 - k])
    return place_of(hosts, state, data, start, stop)


@uncounted
def _note(place: Int, rule: Int, places: NDArray[np.int64], counts: NDArray[np.int64], row: Int) -> None:
    if place >= 0:
        places[row, rule] = place
        counts[row, rule] = 1


@uncounted
def _prefixes(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    host: Int,
    lists: Lists,
    wanted: NDArray[np.bool_],
    places: NDArray[np.int64],
    counts: NDArray[np.int64],
    row: Int,
) -> None:
    """Look up every prefix of a URL that ends at a border of its path, the shortest first, and the whole."""
    state = START
    open_ = wanted[PATHS]
    for i in range(start, stop):
        byte = data[np.uint64(i)]
        if open_ and i >= host and (byte in (_SLASH, _QUESTION)):
            place = place_of(lists.paths, state, data, start, i)
            if place >= 0:
                _note(place, PATHS, places, counts, row)
                open_ = False
        state = grown(state, byte)
    if open_:
        _note(place_of(lists.paths, state, data, start, stop), PATHS, places, counts, row)
    if wanted[URLS]:
        _note(place_of(lists.urls, state, data, start, stop), URLS, places, counts, row)


@uncounted
def _words(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    lists: Lists,
    wanted: NDArray[np.bool_],
    seen: NDArray[np.int64],
    places: NDArray[np.int64],
    counts: NDArray[np.int64],
    row: Int,
) -> None:
    """Look up every run of letters and digits. seen: int64[2, MOST_SOFT], scratch."""
    i: Int = np.int64(start)
    while i < stop:
        begin = i
        state = START
        while i < stop:
            byte = data[np.uint64(i)]
            if not (byte >= 0x80 or 0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39):
                break
            state = grown(state, byte)
            i += 1
        if i > begin:
            for step in range(2):
                rule = HARD + step
                if wanted[rule] and counts[row, rule] < MOST_WORDS:
                    place = place_of(lists.hard if step == 0 else lists.soft, state, data, begin, i)
                    known = place < 0
                    for k in range(counts[row, rule]):
                        known = known or seen[step, k] == place
                    if not known:
                        seen[step, counts[row, rule]] = place
                        if counts[row, rule] == 0:
                            places[row, rule] = place
                        counts[row, rule] += 1
        i += 1


@uncounted
def match_urls(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    host_stops: NDArray[np.int64],
    bare: NDArray[np.int64],
    suffixes: Suffixes,
    lists: Lists,
    wanted: NDArray[np.bool_],
    seen: NDArray[np.int64],
    places: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Look plain URLs up; see `kernels.urls.plain`.

    wanted: bool[RULES]. seen: int64[2, MOST_WORDS], scratch. places: int64[n, RULES], the first entry met, or -1; of
    domains the longest, of paths the shortest. counts: int64[n, RULES], entries met: of words all different ones, up to
    MOST_WORDS; else 0 or 1.
    """
    for row in range(len(offsets) - 1):
        start, stop, host = offsets[row], offsets[row + 1], host_stops[row]
        for rule in range(RULES):
            places[row, rule], counts[row, rule] = -1, 0
        if start == stop:
            continue
        if wanted[DOMAINS]:
            _note(_domain(data, start, host, suffixes, lists.domains), DOMAINS, places, counts, row)
        if wanted[HOSTS]:
            _note(_host(data, bare[row], host, lists.hosts), HOSTS, places, counts, row)
        if wanted[PATHS] or wanted[URLS]:
            _prefixes(data, bare[row], stop, host, lists, wanted, places, counts, row)
        if wanted[HARD] or wanted[SOFT]:
            _words(data, bare[row], stop, lists, wanted, seen, places, counts, row)
