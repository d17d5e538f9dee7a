"""Takes HTML tags and comments out of text, and resolves character references.

A tag is `<` or `</`, the name of an HTML element, and then `>`, or attributes up to `>`: names with a value, or names
of boolean attributes. So `a < b`, `List<String>`, `<source file>` and `<x>` are none. A tag that opens without
attributes is one only where the element may stand without an end (`<p>`, `<br>`), or its end follows in the text;
directly behind a letter or digit (`List<object>`), only `<br>`, `<hr>`, `<wbr>`, `<img>` and those whose end follows.
Of `script` and `style` the content goes too, where the end follows. `<!-- -->` and `<!doctype >` go.
"""

from __future__ import annotations

from html import unescape
from html.entities import html5
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import Int, encode
from corpuscurate.kernels.urls.table import START, Table, grown, make_table, place_of

INLINE = """
a abbr acronym area audio b base basefont bdi bdo big button canvas cite code col colgroup data datalist del
dfn em embed font i iframe img input ins kbd label link map mark meta meter noscript object optgroup option
output param picture progress q rp rt ruby s samp script select slot small source span strike strong style sub
sup svg template textarea time tt u var video wbr
"""
BLOCK = """
address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption
figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav
noframes ol p pre search section summary table tbody td tfoot th thead title tr ul
"""
"""Elements whose tags become a line feed, cells (`td`, `th`) a space, where there is no white space before."""
ALONE = "p br hr wbr img li dt dd tr td th tbody thead html head body".split()  # noqa: SIM905
"""Elements that may stand without an end."""
NEVER_TYPES = "br hr wbr img".split()  # noqa: SIM905
RAW = "script style".split()  # noqa: SIM905
BOOLEAN = """
allowfullscreen async autofocus autoplay checked compact controls default defer disabled formnovalidate hidden inert
ismap itemscope loop multiple muted nohref nomodule noresize noshade novalidate nowrap open playsinline readonly
required reversed selected
"""
_BLOCK, _CELL, _ALONE, _NEVER_TYPE, _RAW = (1 << bit for bit in range(5))
TAGS, COMMENTS, ENTITIES = range(3)
"""Columns of what `strip_markup` counts."""
MOST_BYTES = 1 << 16
"""Longest tag."""
_NAME_BYTES, _ENTITY_BYTES = 12, 33
_CONTROLS = 160
"""Character references below this may stand for something else (of windows-1252)."""
_LT, _GT, _SLASH, _AMP, _SEMICOLON, _BANG, _DASH, _QUOTE, _TICK, _EQUALS = (ord(sign) for sign in "<>/&;!-\"'=")


class Markup(NamedTuple):
    """elements: the names. kinds: uint8[elements]. attributes: the boolean ones. entities: the names of character
    references. offsets, data: int64[k + 1], uint8[...], what these stand for, then what the numbers below 160 do."""

    elements: Table
    kinds: NDArray[np.uint8]
    attributes: Table
    entities: Table
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]


def markup() -> Markup:
    """The tables."""
    names = [*INLINE.split(), *BLOCK.split()]
    flags = ((BLOCK.split(), _BLOCK), (["td", "th"], _CELL), (ALONE, _ALONE), (NEVER_TYPES, _NEVER_TYPE), (RAW, _RAW))
    kinds = [sum(flag for members, flag in flags if name in members) for name in names]
    entities = {name[:-1].encode(): value.encode() for name, value in html5.items() if name.endswith(";")}
    values = [*entities.values(), *(unescape(f"&#{number};").encode() for number in range(_CONTROLS))]
    return Markup(
        make_table([name.encode() for name in names]),
        np.array(kinds, np.uint8),
        make_table([name.encode() for name in BOOLEAN.split()]),
        make_table(list(entities)),
        np.cumsum([0, *map(len, values)]).astype(np.int64),
        np.frombuffer(b"".join(values), np.uint8),
    )


@uncounted
def _is_space(byte: Int) -> bool:
    return bool(byte == 0x20 or 0x09 <= byte <= 0x0D)


@uncounted
def _alnum(byte: Int) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x61 <= byte | 0x20 <= 0x7A)


@uncounted
def _lower_hash(data: NDArray[np.uint8], start: Int, stop: Int, name: NDArray[np.uint8]) -> np.uint64:
    """The hash of a name in lower case, which is written to `name`."""
    state = START
    for k in range(stop - start):
        byte = data[start + k]
        name[k] = byte | 0x20 if 0x41 <= byte <= 0x5A else byte
        state = grown(state, name[k])
    return state


@uncounted
def _element(data: NDArray[np.uint8], i: Int, stop: Int, m: Markup, name: NDArray[np.uint8]) -> tuple[Int, Int]:
    """The place of the element whose name begins at byte i, or -1; the byte behind the name."""
    at: Int = np.int64(i)
    while at < stop and at - i <= _NAME_BYTES and _alnum(data[at]):
        at += 1
    if at - i > _NAME_BYTES or at in (i, stop):
        return np.int64(-1), at
    if not (_is_space(data[at]) or data[at] == _GT or data[at] == _SLASH):
        return np.int64(-1), at
    return place_of(m.elements, _lower_hash(data, i, at, name), name, 0, at - i), at


@uncounted
def _attributes_stop(data: NDArray[np.uint8], i: Int, stop: Int, m: Markup, name: NDArray[np.uint8]) -> tuple[Int, Int]:
    """The byte behind the `>` that ends a tag whose name ends at byte i, or -1; the number of attributes."""
    at: Int = np.int64(i)
    count: Int = np.int64(0)
    none = np.int64(-1), np.int64(0)
    stop = min(stop, i + MOST_BYTES)
    while True:
        begin = at
        while at < stop and _is_space(data[at]):
            at += 1
        if at < stop and data[at] == _SLASH:
            at += 1
            while at < stop and _is_space(data[at]):
                at += 1
            if at >= stop or data[at] != _GT:
                return none
        if at >= stop:
            return none
        if data[at] == _GT:
            return at + 1, count
        if at == begin:
            return none  # no white space before an attribute
        first = at
        while at < stop and (_alnum(data[at]) or data[at] in (0x2D, 0x5F, 0x3A, 0x2E, 0x40)):
            at += 1
        if at == first:
            return none
        size = at - first
        after = at
        while after < stop and _is_space(data[after]):
            after += 1
        count += 1
        if after >= stop or data[after] != _EQUALS:
            if size > len(name):
                return none
            if place_of(m.attributes, _lower_hash(data, first, at, name), name, 0, size) < 0:
                return none
            continue
        at = after + 1
        while at < stop and _is_space(data[at]):
            at += 1
        if at >= stop:
            return none
        quote = data[at]
        if quote in (_QUOTE, _TICK):
            at += 1
            while at < stop and data[at] != quote:
                at += 1
            if at >= stop:
                return none
            at += 1
        else:
            first = at
            while at < stop and not (_is_space(data[at]) or data[at] in (_QUOTE, _TICK, _LT, _GT, _EQUALS, 0x60)):
                at += 1
            if at == first:
                return none


@uncounted
def _find(data: NDArray[np.uint8], i: Int, stop: Int, first: Int, second: Int, third: Int) -> Int:
    """The byte behind the next three bytes of these values, or -1."""
    while i + 3 <= stop:
        if data[np.uint64(i)] == first and data[i + 1] == second and data[i + 2] == third:
            return np.int64(i + 3)
        i += 1
    return np.int64(-1)


@uncounted
def _note_ends(
    data: NDArray[np.uint8], start: Int, stop: Int, m: Markup, name: NDArray[np.uint8], ends: NDArray[np.int64]
) -> None:
    """ends[place]: the last byte at which an element of a text ends, or -1."""
    for k in range(len(ends)):
        ends[k] = -1
    i: Int = np.int64(start)
    while i + 3 < stop:
        if data[np.uint64(i)] == _LT and data[i + 1] == _SLASH:
            place, _ = _element(data, i + 2, stop, m, name)
            if place >= 0:
                ends[place] = i
        i += 1


@uncounted
def _raw_stop(data: NDArray[np.uint8], i: Int, stop: Int, place: Int, m: Markup, name: NDArray[np.uint8]) -> Int:
    """The byte behind the tag that ends the element from byte i on, which is known to be there."""
    while i < stop:
        if data[np.uint64(i)] == _LT and i + 1 < stop and data[i + 1] == _SLASH:
            found, at = _element(data, i + 2, stop, m, name)
            if found == place:
                while at < stop and data[at] != _GT:
                    at += 1
                return np.int64(min(at + 1, stop))
        i += 1
    return np.int64(stop)


@uncounted
def _doctype_stop(data: NDArray[np.uint8], i: Int, stop: Int) -> Int:
    """The byte behind `<!doctype ...>` that begins at byte i, or -1."""
    for k in range(7):
        if i + 2 + k >= stop or data[i + 2 + k] | 0x20 != _DOCTYPE[k]:
            return np.int64(-1)
    at: Int = np.int64(i + 9)
    while at < stop and at - i < 512 and data[at] != _GT and data[at] != _LT:
        at += 1
    return np.int64(at + 1) if at < stop and data[at] == _GT else np.int64(-1)


_DOCTYPE = np.frombuffer(b"doctype", np.uint8)


@uncounted
def _entity(data: NDArray[np.uint8], i: Int, stop: Int, m: Markup, at: Int, out: NDArray[np.uint8]) -> tuple[Int, Int]:
    """Resolve the character reference that begins at byte i: the byte behind it, or -1; the end of what was written."""
    j: Int = np.int64(i + 1)
    none = np.int64(-1), np.int64(at)
    if j < stop and data[j] == 0x23:
        j += 1
        base: Int = np.int64(10)
        if j < stop and data[j] | 0x20 == 0x78:
            base = np.int64(16)
            j += 1
        begin = j
        value: Int = np.int64(0)
        while j < stop and j - begin < _ENTITY_BYTES:
            byte = np.int64(data[j])
            digit = byte - 0x30 if 0x30 <= byte <= 0x39 else np.int64(-1)
            if base == 16 and 0x61 <= byte | 0x20 <= 0x66:
                digit = (byte | 0x20) - 0x57
            if digit < 0:
                break
            value = min(np.int64(value * base + digit), np.int64(0x110000))
            j += 1
        if j == begin or j >= stop or data[j] != _SEMICOLON:
            return none
        if value < _CONTROLS:
            return j + 1, _copy(m, len(m.entities.hashes) + value, at, out)
        if value >= 0x110000 or 0xD800 <= value <= 0xDFFF:
            value = np.int64(0xFFFD)
        if 0xFDD0 <= value <= 0xFDEF or value & 0xFFFE == 0xFFFE:
            return j + 1, np.int64(at)
        return j + 1, encode(value, at, out)
    begin = j
    state = START
    while j < stop and j - begin < _ENTITY_BYTES and _alnum(data[j]):
        state = grown(state, data[j])
        j += 1
    if j == begin or j >= stop or data[j] != _SEMICOLON:
        return none
    place = place_of(m.entities, state, data, begin, j)
    return (j + 1, _copy(m, place, at, out)) if place >= 0 else none


@uncounted
def _copy(m: Markup, place: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    for k in range(m.offsets[place], m.offsets[place + 1]):
        out[at] = m.data[k]
        at += 1
    return np.int64(at)


@uncounted
def strip_markup(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    m: Markup,
    tags: bool,
    entities: bool,
    name: NDArray[np.uint8],
    ends: NDArray[np.int64],
    counts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Any:
    """Write the texts without markup; the number of bytes written.

    name: uint8[64], ends: int64[elements], scratch. counts, cuts: int64[n, 3], how many tags, comments and character
    references went of each text, and how many bytes by them. out: room for a quarter more than the texts.
    """
    at: Int = np.int64(0)
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        first = at
        for k in range(3):
            counts[row, k], cuts[row, k] = 0, 0
        known = False  # whether `ends` is of this text
        comments = True  # whether a comment may still end
        feed = False  # whether the last byte written stands for a tag
        i: Int = np.int64(start)
        while i < stop:
            byte = data[np.uint64(i)]
            if byte == _LT and tags:
                behind: Int = np.int64(-1)
                kind: Int = np.int64(0)
                what: Int = np.int64(TAGS)
                if i + 3 < stop and data[i + 1] == _BANG:
                    if data[i + 2] == _DASH and data[i + 3] == _DASH and comments:
                        behind = _find(data, i + 4, stop, _DASH, _DASH, _GT)
                        comments = bool(behind >= 0)
                        what = np.int64(COMMENTS)
                    else:
                        behind = _doctype_stop(data, i, stop)
                elif i + 2 < stop and data[i + 1] == _SLASH:
                    place, tail = _element(data, i + 2, stop, m, name)
                    if place >= 0:
                        while tail < stop and _is_space(data[tail]):
                            tail += 1
                        if tail < stop and data[tail] == _GT:
                            behind = np.int64(tail + 1)
                            kind = np.int64(m.kinds[place])
                elif i + 2 < stop:
                    place, tail = _element(data, i + 1, stop, m, name)
                    if place >= 0:
                        behind, attributes = _attributes_stop(data, tail, stop, m, name)
                        kind = np.int64(m.kinds[place])
                        if behind >= 0:
                            if not known and (attributes == 0 or kind & _RAW):
                                _note_ends(data, i, stop, m, name, ends)
                                known = True
                            closed = known and ends[place] > i
                            glued = i > start and (_alnum(data[i - 1]) or data[i - 1] == 0x5F)
                            free = kind & _NEVER_TYPE if glued else kind & _ALONE
                            if attributes == 0 and not closed and not free:
                                behind = np.int64(-1)
                            elif kind & _RAW and closed:
                                behind = _raw_stop(data, behind, stop, place, m, name)
                if behind >= 0:
                    begin = at
                    if kind & (_BLOCK | _CELL) and at > first and not _is_space(out[at - 1]):
                        out[at] = 0x20 if kind & _CELL else 0x0A
                        at += 1
                        feed = True
                    counts[row, what] += 1
                    cuts[row, what] += behind - i - (at - begin)
                    i = behind
                    continue
            elif byte == _AMP and entities:
                behind, end = _entity(data, i, stop, m, at, out)
                if behind >= 0:
                    counts[row, ENTITIES] += 1
                    cuts[row, ENTITIES] += behind - i - (end - at)
                    at = end
                    i = behind
                    feed = False
                    continue
            if feed and byte in (0x0A, 0x0D) and out[at - 1] in (0x0A, 0x20):
                at -= 1  # the text has a line end of its own here
                cuts[row, TAGS] += 1
            feed = False
            out[np.uint64(at)] = byte
            at += 1
            i += 1
        if feed:
            at -= 1  # nothing follows what a tag parts
            cuts[row, TAGS] += 1
        out_offsets[row + 1] = at
    return at
