"""Words as spaCy's blank English tokenizer makes them, near enough for the rules that datatrove writes upon it.

A word here is a token: punctuation at the ends of what white space parts is a token of its own, character by
character. Each run without white space (`str.isspace()`) is cut in these steps:
1. From its front, while it begins with one: an OPENER, a run of two or more full stops, or "+" before no digit.
2. From its end, while it ends in one: a CLOSER, a run of two or more full stops, "'s" (of either apostrophe and case),
   "%", "+" or a currency sign behind a digit, or a full stop behind a digit, a letter that is no capital, a CLOSER, one
   of "%²-+|", or two capitals ("end." is two tokens, "U.S." is one).
3. What is left loses "n't", "'m", "'re", "'ve", "'ll" or "'d" behind a letter at its end: a token of its own, too.
4. The rest is one token if it is an address (below). Else it is cut before and behind each of these, but where it
   begins with one: a run of two or more full stops; "…" or a SYMBOL; one of "+-*^" behind a digit and before a digit or
   "-"; a full stop between a letter that is no capital or one of QUOTES and a capital or one of QUOTES; a comma between
   letters; one to three "-", one or two "—", "–" or "~" between a letter or digit and a letter; one of ":<>=/" between
   those.
A letter is `str.isalpha()`, a capital one that `str.casefold()` changes, a digit is 0 to 9. An address is
`[scheme://][user@]host[:port][/path]` whose host ends in a full stop and two or more letters that are no capitals.

spaCy has, besides, lists of English abbreviations ("Mr.", "e.g."), slang and smileys, and cuts units from numbers.
Source: spaCy 3.8, `lang/punctuation.py` and `lang/en/punctuation.py`; the tables are made of its lists.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.simd.bits import trailing_zeros
from corpuscurate.kernels.simd.spaces import word_ends
from corpuscurate.kernels.text.unicode import ALPHA, PAGE, Int, decode, tables
from corpuscurate.kernels.text.unicode import SPACE as SPACE_FLAG

PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
DASHES = "—–"
SYMBOL_RANGES = (
    *((code, code) for code in (0xA6, 0xA9, 0xAE, 0xB0)),
    (0x2100, 0x218F),  # letter-like, where they are no letters
    (0x2195, 0x21FF),  # arrows
    (0x2300, 0x23FF),  # technical
    (0x2400, 0x24FF),  # control pictures, enclosed
    (0x2500, 0x27BF),  # boxes, shapes, dingbats
    (0x2800, 0x28FF),  # Braille
    (0x2B00, 0x2BFF),  # arrows and shapes
    (0xFFFC, 0xFFFD),  # replacement characters
    (0x1F000, 0x1FAFF),  # emoji, cards, tiles
)
"""Blocks of symbols that are tokens of their own, as far as they are no letters."""

LETTER, CAPITAL, DIGIT, SPACE, QUOTE, SYMBOL, OPENER, CLOSER, CURRENCY, BEFORE_STOP, INFIX = (
    1 << bit for bit in range(11)
)
"""Classes of a code point. OPENER: `PUNCTUATION`, `QUOTES`, `CURRENCIES`, `DASHES`, SYMBOL, "§", "%", "=". CLOSER:
`PUNCTUATION`, `QUOTES`, `DASHES`, SYMBOL. BEFORE_STOP: a full stop behind it is a token. INFIX: may part a word."""

CODE_POINTS = 0x110000
_1 = np.uint64(1)
_PLAIN = LETTER | DIGIT
_DOT, _PLUS, _MINUS, _COMMA, _PERCENT, _AT, _COLON, _SLASH = 0x2E, 0x2B, 0x2D, 0x2C, 0x25, 0x40, 0x3A, 0x2F
_ELLIPSIS, _EM_DASH, _EN_DASH, _TILDE, _CURLY = 0x2026, 0x2014, 0x2013, 0x7E, 0x2019


@cache
def token_classes() -> NDArray[np.uint16]:
    """The classes of each code point, uint16[0x110000], read-only; made once a process."""
    t = tables()
    flags = t.flag_data.reshape(-1, PAGE)[t.flag_pages].ravel()
    steps = t.fold_data.reshape(-1, PAGE)[t.fold_pages].ravel()
    classes = np.zeros(CODE_POINTS, np.uint16)
    letters = (flags & ALPHA) != 0
    classes[letters] |= LETTER
    classes[letters & (steps != 0)] |= CAPITAL
    classes[(flags & SPACE_FLAG) != 0] |= SPACE
    symbols = np.zeros(CODE_POINTS, np.bool_)
    for first, last in SYMBOL_RANGES:
        symbols[first : last + 1] = True
    classes[symbols & ~letters] |= SYMBOL | OPENER | CLOSER | BEFORE_STOP | INFIX
    for chars, bits in (
        ("0123456789", DIGIT | BEFORE_STOP),
        (QUOTES, QUOTE | OPENER | CLOSER | BEFORE_STOP),
        (PUNCTUATION + DASHES, OPENER | CLOSER | BEFORE_STOP),
        (CURRENCIES, OPENER | CURRENCY),
        ("§%=", OPENER),
        ("%²-+|", BEFORE_STOP),
        ("….+-*^,–—~:<>=/", INFIX),
    ):
        for char in chars:
            classes[ord(char)] |= bits
    classes[((classes & LETTER) != 0) & ((classes & CAPITAL) == 0)] |= BEFORE_STOP
    classes.setflags(write=False)
    return classes


@uncounted
def _before(data: NDArray[np.uint8], i: Int) -> Int:
    """The first byte of the character that ends before byte i."""
    i -= 1
    while data[np.uint64(i)] & 0xC0 == 0x80:
        i -= 1
    return i


@uncounted
def _class_at(data: NDArray[np.uint8], i: Int, classes: NDArray[np.uint16]) -> Int:
    return np.int64(classes[np.uint64(decode(data, i)[0])])


@uncounted
def _is_apostrophe(data: NDArray[np.uint8], i: Int, stop: Int) -> Int:
    """Bytes of the apostrophe, straight or curly, at byte i; 0 for none."""
    if data[i] == 0x27:
        return 1
    if i + 3 <= stop and data[i] == 0xE2 and data[i + 1] == 0x80 and data[i + 2] == 0x99:
        return 3
    return 0


@uncounted
def _prefix(data: NDArray[np.uint8], start: Int, stop: Int, classes: NDArray[np.uint16]) -> Int:
    """Where the token ends that is cut from the front of data[start:stop]; `start` for none."""
    code_point, after = decode(data, start)
    if classes[np.uint64(code_point)] & OPENER:
        return after
    if code_point == _DOT:
        while after < stop and data[after] == _DOT:
            after += 1
        return after if after - start > 1 else start
    if code_point == _PLUS and not (after < stop and classes[np.uint64(data[after])] & DIGIT):
        return after
    return start


@uncounted
def _suffix(data: NDArray[np.uint8], start: Int, stop: Int, classes: NDArray[np.uint16]) -> Int:
    """Where the token begins that is cut from the end of data[start:stop]; `stop` for none."""
    begin: Int = _before(data, stop)
    code_point: Int = decode(data, begin)[0]
    kind: Int = np.int64(classes[np.uint64(code_point)])
    if kind & CLOSER:
        return begin
    if code_point == _DOT:
        while begin > start and data[begin - 1] == _DOT:
            begin -= 1
        if stop - begin > 1:
            return begin
        if begin == start:
            return stop
        earlier = _before(data, begin)
        kind = _class_at(data, earlier, classes)
        if kind & BEFORE_STOP:
            return begin
        if kind & CAPITAL and earlier > start and _class_at(data, _before(data, earlier), classes) & CAPITAL:
            return begin
        return stop
    if begin == start:
        return stop
    if (code_point in (_PLUS, _PERCENT) or kind & CURRENCY) and classes[np.uint64(data[begin - 1])] & DIGIT:
        return begin
    if code_point in (0x73, 0x53):
        mark = _before(data, begin)
        if mark >= start and _is_apostrophe(data, mark, stop):
            return mark
    return stop


@uncounted
def _contraction(data: NDArray[np.uint8], start: Int, stop: Int, classes: NDArray[np.uint16]) -> Int:
    """Where "n't", "'m", "'re", "'ve", "'ll" or "'d" begins at the end of data[start:stop]; `stop` for none."""
    last = data[stop - 1]
    mark = stop - 1
    if last in (0x65, 0x6C):  # 're 've 'll
        if stop - start < 4:
            return stop
        ahead = data[stop - 2]
        if not ((last == 0x65 and ahead in (0x72, 0x76)) or (last == 0x6C and ahead == 0x6C)):
            return stop
        mark -= 1
    elif last not in (0x74, 0x6D, 0x64):
        return stop
    if mark <= start:
        return stop
    mark = _before(data, mark)
    if mark <= start or not _is_apostrophe(data, mark, stop):
        return stop
    if last == 0x74:
        if data[mark - 1] != 0x6E:
            return stop
        mark -= 1
        if mark <= start:
            return stop
    return mark if _class_at(data, _before(data, mark), classes) & LETTER else stop


@uncounted
def _is_address(data: NDArray[np.uint8], start: Int, stop: Int, classes: NDArray[np.uint16]) -> bool:
    """Whether data[start:stop] is an address, as the module says."""
    host = start
    i = start
    while i + 2 < stop and not (data[i] == _COLON and data[i + 1] == _SLASH and data[i + 2] == _SLASH):
        i += 1
    if i + 2 < stop:
        host = i + 3
    i = host
    while i < stop and data[i] != _SLASH:
        if data[i] == _AT:
            host = i + 1
        i += 1
    i = host
    dot: Int = -1
    lower = 0
    while i < stop:
        code_point, after = decode(data, i)
        kind = np.int64(classes[np.uint64(code_point)])
        if code_point == _DOT:
            if i == host or dot == i - 1:
                return False
            dot, lower = i, 0
        elif kind & LETTER and not kind & CAPITAL:
            lower += 1
        elif kind & (LETTER | DIGIT) or code_point in (_MINUS, 0x5F):
            lower = -(1 << 40)
        else:
            break
        i = after
    if dot < 0 or lower < 2:
        return False
    return bool(i >= stop or data[i] == _COLON or data[i] == _SLASH or data[i] == 0x3F or data[i] == 0x23)


@uncounted
def _infix(data: NDArray[np.uint8], i: Int, stop: Int, before: Int, classes: NDArray[np.uint16]) -> Int:
    """Where the token ends that parts a word at byte i; `i` for none. before: the classes of the character before."""
    code_point, after = decode(data, i)
    kind = np.int64(classes[np.uint64(code_point)])
    if not kind & INFIX:
        return i
    if kind & SYMBOL or code_point == _ELLIPSIS:
        return after
    behind = _class_at(data, after, classes) if after < stop else 0
    if code_point == _DOT:
        if after < stop and data[after] == _DOT:
            while after < stop and data[after] == _DOT:
                after += 1
            return after
        left = (before & LETTER and not before & CAPITAL) or before & QUOTE
        return after if left and behind & (CAPITAL | QUOTE) else i
    if code_point == _COMMA:
        return after if before & LETTER and behind & LETTER else i
    arithmetic = code_point in (_PLUS, 0x2A, 0x5E, _MINUS)
    if arithmetic and before & DIGIT and after < stop and (behind & DIGIT or data[after] == _MINUS):
        return after
    if not before & _PLAIN:
        return i
    if code_point in (_MINUS, _EM_DASH):
        most = 2 if code_point == _MINUS else 1
        while most and after < stop and decode(data, after)[0] == code_point:
            after = decode(data, after)[1]
            most -= 1
        behind = _class_at(data, after, classes) if after < stop else 0
        return after if behind & LETTER else i
    if code_point in (_PLUS, 0x2A, 0x5E):
        return i
    return after if behind & LETTER else i


@uncounted
def _token(begin: Int, end: Int, at: Int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Int:
    """Write a span, if there is room; the index after it."""
    if at < len(starts):
        starts[np.uint64(at)] = begin
        stops[np.uint64(at)] = end
    return at + 1


@uncounted
def _cut(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    classes: NDArray[np.uint16],
    at: Int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """Write the tokens of data[start:stop], which has no white space, from index `at`; the index after them."""
    while start < stop:
        after = _prefix(data, start, stop, classes)
        if after == start:
            break
        at = _token(start, after, at, starts, stops)
        start = after
    end = stop
    while start < end:
        begin = _suffix(data, start, end, classes)
        if begin == end:
            break
        end = begin
    if start < end:
        tail = _contraction(data, start, end, classes)
        parts: bool | np.bool_ = False
        for k in range(start, tail):
            byte = np.int64(data[np.uint64(k)])
            parts = parts or byte >= 0xC0 or (byte < 0x80 and (classes[np.uint64(byte)] & INFIX) != 0)
        i: Int = start
        if parts and not _is_address(data, start, tail, classes):
            before: Int = 0
            origin = start
            while i < tail:
                after = _infix(data, i, tail, before, classes) if i > origin else i
                if after > i:
                    if i > start:
                        at = _token(start, i, at, starts, stops)
                    at = _token(i, after, at, starts, stops)
                    start = after
                    before = _class_at(data, _before(data, after), classes)
                    i = after
                else:
                    code_point, i = decode(data, i)
                    before = np.int64(classes[np.uint64(code_point)])
        if start < tail:
            at = _token(start, tail, at, starts, stops)
        if tail < end:
            at = _token(tail, end, at, starts, stops)
    while end < stop:  # the tokens that were cut from the end
        begin = end
        end = decode(data, begin)[1]
        if data[begin] == _DOT:
            while end < stop and data[end] == _DOT:
                end += 1
        elif _is_apostrophe(data, begin, stop) and end < stop and (data[end] == 0x73 or data[end] == 0x53):
            end += 1
        at = _token(begin, end, at, starts, stops)
    return at


@uncounted
def _marks_at_the_end(data: NDArray[np.uint8], i: Int, end: Int) -> tuple[np.uint64, np.uint64]:
    """`word_ends` of data[i:end], fewer than 64 bytes, where the buffer ends with them."""
    ends, odd = np.uint64(0), np.uint64(0)
    for k in range(end - i):
        byte = np.int64(data[np.uint64(i + k)])
        bit = _1 << np.uint64(k)
        if byte <= 0x20 or byte == 0xC2 or 0xE1 <= byte <= 0xE3:
            ends |= bit
        if not (0x30 <= byte <= 0x39 or 0x61 <= byte | 0x20 <= 0x7A):
            odd |= bit
    return ends, odd


@inlined
def _find(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    classes: NDArray[np.uint16],
    cut: bool,
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """What white space parts, 64 bytes at a time; cut: to tokens, where it has more than letters and digits."""
    at: Int = 0
    first[0] = 0
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        begin = i  # of the run of which no end was met
        mixed = False  # whether that has more than letters and digits
        while i < end:
            size = min(end - i, 64)
            ends, odd = word_ends(data, i) if i + 64 <= len(data) else _marks_at_the_end(data, i, end)
            if size < 64:
                ends &= (_1 << np.uint64(size)) - _1
                odd &= (_1 << np.uint64(size)) - _1
            while ends:
                bit = np.uint64(trailing_zeros(ends))
                ends &= ends - _1
                stop = i + np.int64(bit)
                code_point, after = decode(data, stop)
                if not classes[np.uint64(code_point)] & SPACE:
                    continue
                below = (_1 << bit) - _1
                if cut and (mixed or odd & below):
                    at = _cut(data, begin, stop, classes, at, starts, stops)
                elif stop > begin:
                    at = _token(begin, stop, at, starts, stops)
                odd &= ~(below << _1 | _1)
                begin, mixed = after, False
            if odd:
                mixed = True
            i += 64
        if begin < end:
            at = _cut(data, begin, end, classes, at, starts, stops) if cut else _token(begin, end, at, starts, stops)
        first[row + 1] = at
    return at


@uncounted
def find_tokens(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    classes: NDArray[np.uint16],
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """The tokens of all documents; how many there are.

    offsets, data: texts as in Arrow. classes: of `token_classes`. first: int64[n + 1], tokens before each document.
    starts, stops: int64[room], bytes of `data`; where the room is too small, tokens that have none are counted only.
    """
    return _find(offsets, data, classes, True, first, starts, stops)


@uncounted
def find_runs(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    classes: NDArray[np.uint16],
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """What white space parts, `str.split()`, of all documents; how many there are. Arguments as of `find_tokens`."""
    return _find(offsets, data, classes, False, first, starts, stops)
