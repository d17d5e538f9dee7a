from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive import jsonlines as naive
from support.forms import some

from corpuscurate.kernels.json import lines as json_lines
from corpuscurate.kernels.json import strings as json_text
from corpuscurate.kernels.json.fields import integer_bits, magnitude, parse_integers

PAD = 16


def buffer(raw: bytes, behind: int = 0x5C):
    data = np.full(len(raw) + PAD, behind, np.uint8)
    data[: len(raw)] = np.frombuffer(raw, np.uint8)
    return data


def scan(raw: bytes, max_bytes: int = 1 << 40, rows: int = 1000, room: int = 1000, behind: int = 0x5C):
    """[(begin, line, state, [(key, value, kind, flags)], brace)] of all records of whole lines."""
    data = buffer(raw, behind)
    stack = np.empty(json_lines.MAX_DEPTH, np.uint8)
    lines, status = np.empty((rows, 5), np.int64), np.empty(rows, np.uint8)
    fields, kinds, flags = np.empty((room, 4), np.int64), np.empty(room, np.uint8), np.empty(room, np.uint8)
    found, start = [], 0
    while start < len(raw):
        after, count, used = json_lines.scan_lines(
            data, start, len(raw), max_bytes, stack, lines, status, fields, kinds, flags
        )
        assert after > start, "a record does not fit"
        assert used == (lines[count - 1, 4] if count else 0)
        for row in range(count):
            begin, end, brace, first, last = lines[row].tolist()
            parts = [
                (raw[a:b], raw[c:d], int(kinds[k]), int(flags[k]))
                for k in range(first, last)
                for a, b, c, d in [fields[k].tolist()]
            ]
            found.append((begin, raw[begin:end], int(status[row]), parts, brace))
        start = after
    return found


def check(raw: bytes, **limits):
    """The scan agrees with the oracle on every line."""
    got = scan(raw, **limits)
    want = list(naive.records(raw))
    assert [(begin, line) for begin, line, *_ in got] == want
    for begin, line, state, parts, brace in got:
        pairs = naive.strict_object(line)
        assert (state == json_lines.OK) == (pairs is not None), line
        if pairs is None:
            assert begin <= brace <= begin + len(line) + 1
            assert parts == []
            continue
        assert raw[brace : brace + 1] == b"}"
        assert line[brace - begin :].strip(b" \t\r") == b"}"
        assert len(parts) == len(pairs)
        for (key, value, kind, flags), (name, meant) in zip(parts, pairs, strict=True):
            assert json.loads(b'"' + key + b'"') == name
            assert kind == naive.kind(meant)
            assert bool(flags & json_lines.KEY_ESCAPED) == (b"\\" in key)
            assert bool(flags & json_lines.KEY_LONE) == naive.has_lone(name)
            assert bool(flags & json_lines.ESCAPED) == (kind == json_lines.STRING and b"\\" in value)
            assert bool(flags & json_lines.LONE) == (kind == json_lines.STRING and naive.has_lone(meant))
            if kind in (json_lines.INTEGER, json_lines.FLOAT):
                assert value.decode() == meant[1]
            else:
                alone = naive.strict_object(b'{"v":' + value + b"}")
                assert alone is not None
                assert alone[0][1] == meant


GOOD = [
    b'{"a":1}',
    b"{}",
    b"{ }\r",
    b' \t{ "a" : "b" , "c" : [ 1 , { } , [ ] , {"d":null} ] } \t',
    b'{"a":-0,"b":0,"c":-1.5e+10,"d":1E5,"e":0.0,"f":1e400,"g":12345678901234567890}',
    b'{"a":true,"b":false,"c":null,"a":2}',
    b'{"date":"2020-01-01","t":"\\u00e9\\ud83d\\ude00\\n\\/\\b\\f\\r\\t\\"\\\\"}',
    b'{"lone":"\\ud800","low":"\\udc00","two":"\\ud800\\ud800\\udc00","half":"\\ud800\\n"}',
    b'{"\\ud800":1,"\\u0061":2}',
    '{"é":"日本語 🎉","\x7f":"\x7f"}'.encode(),
    b'{"nested":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"":""}',
    b'{"n":[[[]],{"a":{}},[{}]]}',
]
BAD = [
    b"{",
    b"}",
    b"[]",
    b"1",
    b'"a"',
    b"null",
    b'{"a":1}}',
    b'{"a":1} x',
    b'{"a":1}{"b":2}',
    b'{"a":1,}',
    b'{,"a":1}',
    b'{"a" 1}',
    b'{"a":}',
    b"{a:1}",
    b"{'a':1}",
    b'{"a":01}',
    b'{"a":+1}',
    b'{"a":.5}',
    b'{"a":1.}',
    b'{"a":1e}',
    b'{"a":1e+}',
    b'{"a":-}',
    b'{"a":--1}',
    b'{"a":0x10}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":tru}',
    b'{"a":truex}',
    b'{"a":nul}',
    b'{"a":fals}',
    b'{"a":"\t"}',
    b'{"a":"\x00"}',
    b'{"a":"\\x"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\u12g4"}',
    b'{"a":"\\U0041"}',
    b'{"a":"\\',
    b'{"a":"\\u',
    b'{"a":"open}',
    b'{"a',
    b'{"a":[1,]}',
    b'{"a":[1 2]}',
    b'{"a":[,1]}',
    b'{"a":[1}',
    b'{"a":[}]',
    b'{"a":{"b":1]}',
    b'{"a":{"b"}}',
    b'{"a":{"b":1,}}',
    b'{"a":{1:2}}',
    b'{"a":[[]}',
    b'\xef\xbb\xbf{"a":1}',
    b'\x0b{"a":1}',
    b'{"a":1}\x0c',
    '{"a":1}\u00a0'.encode(),
    b'{"a":1}\x00',
]


@pytest.mark.parametrize("line", GOOD)
def test_good_lines(line):
    assert naive.strict_object(line) is not None
    for behind in (0x5C, 0x22, 0x00, 0x7D):
        check(line + b"\n", behind=behind)


@pytest.mark.parametrize("line", BAD)
def test_bad_lines_cost_one_line(line):
    assert naive.strict_object(line) is None
    check(b'{"x":1}\n' + line + b'\n{"y":2}\n')
    check(line + b"\n", behind=0x7D)


def test_spans_by_hand():
    raw = b' {"a\\n" : "x\\u0041", "b":-1.5}\r\n\n{"c":[1]}\n'
    (first, second) = scan(raw)
    assert first == (
        0,
        b' {"a\\n" : "x\\u0041", "b":-1.5}',
        json_lines.OK,
        [
            (b"a\\n", b'"x\\u0041"', json_lines.STRING, json_lines.KEY_ESCAPED | json_lines.ESCAPED),
            (b"b", b"-1.5", json_lines.FLOAT, 0),
        ],
        29,
    )
    assert second == (33, b'{"c":[1]}', json_lines.OK, [(b"c", b"[1]", json_lines.ARRAY, 0)], 41)


def nested(depth: int) -> bytes:
    """An object with `depth` objects and arrays within each other, itself counted."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}\n"


def test_depth_is_bounded():
    limit = json_lines.MAX_DEPTH
    assert [state for _, _, state, *_ in scan(nested(limit) + nested(limit + 1) + nested(100_000))] == [0, 1, 1]


def test_closing_bracket_must_match_the_open_one_at_any_depth():
    good = b'{"a":' + b'[{"b":' * 300 + b"1" + b"}]" * 300 + b"}"
    check(good + b"\n")
    for at in range(len(good)):
        if good[at : at + 1] in b"[]{}":
            swapped = good[:at] + good[at : at + 1].translate(bytes.maketrans(b"[]{}", b"{}[]")) + good[at + 1 :]
            assert scan(swapped + b"\n")[0][2] == json_lines.BROKEN


def test_too_large_goes_before_all_else_and_counts_no_line_end():
    raw = b'{"a":1}\r\n{"a":12}\n' + b" " * 8 + b"\n[1,2,3,4]\n       \n"
    got = scan(raw, max_bytes=7)
    assert [(line, state) for _, line, state, *_ in got] == [
        (b'{"a":1}', json_lines.OK),
        (b'{"a":12}', json_lines.TOO_LARGE),
        (b" " * 8, json_lines.TOO_LARGE),
        (b"[1,2,3,4]", json_lines.TOO_LARGE),
    ]


def test_full_arrays_only_pause_the_scan():
    raw = b"".join(b'{"a":%d,"b":[%d]}\n' % (k, k) + b"bad\n" * (k % 3) for k in range(50))
    whole = scan(raw)
    assert scan(raw, rows=1) == whole
    assert scan(raw, room=2) == whole
    assert scan(raw, rows=7, room=5) == whole


def test_a_record_with_too_many_fields_makes_no_progress():
    data = buffer(b'{"a":1,"b":2}\n')
    arrays = (np.empty((9, 5), np.int64), np.empty(9, np.uint8))
    fields = (np.empty((1, 4), np.int64), np.empty(1, np.uint8), np.empty(1, np.uint8))
    stack = np.empty(json_lines.MAX_DEPTH, np.uint8)
    assert json_lines.scan_lines(data, 0, 14, 99, stack, *arrays, *fields) == (0, 0, 0)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


@st.composite
def lines(draw):
    value = draw(OBJECTS)
    ascii_only = draw(st.booleans())
    separators = draw(st.sampled_from([(",", ":"), (" , ", " :\t"), ("\r,", ": ")]))
    return json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw):
    line = bytearray(draw(lines()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        action = draw(st.integers(0, 2))
        if action == 0:
            del line[at : at + draw(st.integers(1, 3))]
        elif action == 1:
            line[at:at] = draw(
                st.sampled_from(
                    [
                        b'"',
                        b"\\",
                        b"{",
                        b"}",
                        b"[",
                        b"]",
                        b",",
                        b":",
                        b"1",
                        b"e",
                        b" ",
                        b"\r",
                        b"\\u",
                        b"\\ud800",
                        b"-",
                        b".",
                        b"t",
                        b"\x01",
                        b"\x7f",
                        b"0",
                        b"null",
                    ]
                )
            )
        elif line:
            line[at % len(line)] = draw(st.integers(0, 127))
    return bytes(line).replace(b"\n", b" ").decode("utf-8", "ignore").encode()  # UTF-8 is not the scan's business


@settings(max_examples=some(400), deadline=None)
@given(st.lists(mutated() | st.sampled_from([b"", b" ", b"\r", b"\t\r"]), max_size=4), st.integers(0, 9))
@example([b'{"a":"' + b"x" * 9 + b'"}'], 0)
def test_accepts_exactly_what_strict_json_accepts(parts, shift):
    check(b"\n" * shift + b"\n".join(parts) + b"\n")


def unescaped(inside: bytes, escaped: bool = True) -> bytes:
    data = np.frombuffer(inside, np.uint8)  # read-only, nothing behind it
    offsets, out = np.empty(2, np.int64), np.full(len(inside), 7, np.uint8)
    used = json_text.unescape_spans(
        data, np.zeros(1, np.int64), np.array([len(inside)]), np.array([escaped]), offsets, out
    )
    assert offsets.tolist() == [0, used]
    return out[:used].tobytes()


@settings(max_examples=some(300), deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40), st.booleans())
def test_unescape_is_the_inverse_of_json(text, ascii_only):
    inside = json.dumps(text, ensure_ascii=ascii_only).encode()[1:-1]
    assert unescaped(inside).decode() == text
    if b"\\" not in inside:
        assert unescaped(inside, escaped=False).decode() == text


def test_unescape_by_hand():
    assert unescaped(b'\\"\\\\\\/\\b\\f\\n\\r\\t') == b'"\\/\b\f\n\r\t'
    assert unescaped(b"\\u0041\\u00e9\\u20AC\\uD83D\\ude00") == "Aé€😀".encode()
    assert unescaped(b"a\\ud800b") == "a\ufffdb".encode()


def test_spans_without_text_and_in_any_order():
    data = np.frombuffer(b"abcdefgh\\nXYZ", np.uint8)
    starts, stops = np.array([10, -1, 0, 5, 8]), np.array([13, -1, 8, 5, 10])
    offsets, out = np.empty(6, np.int64), np.empty(13, np.uint8)
    used = json_text.unescape_spans(data, starts, stops, np.array([False, False, True, False, True]), offsets, out)
    assert out[:used].tobytes() == b"XYZabcdefgh\n"
    assert offsets.tolist() == [0, 3, 3, 11, 11, 12]
    used = json_text.copy_spans(data, starts, stops, offsets, out)
    assert out[:used].tobytes() == b"XYZabcdefgh\\n"


@settings(max_examples=some(300), deadline=None)
@given(
    st.lists(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\\n\t\x00\x1f\x7f/ ab')), max_size=30))
)
def test_quoting_is_what_json_writes(texts):
    data = np.frombuffer(b"##" + "".join(texts).encode(), np.uint8)
    offsets = np.cumsum([2, *(len(text.encode()) for text in texts)])
    want = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
    sizes = np.empty(len(texts), np.int64)
    assert json_text.count_quoted(offsets, data, sizes) == sum(map(len, want))
    assert sizes.tolist() == [len(text) for text in want]
    out = np.empty(int(sizes.sum()), np.uint8)
    assert json_text.fill_quoted(offsets, data, np.cumsum([0, *sizes]), out) == len(out)
    assert out.tobytes() == b"".join(want)


@settings(max_examples=some(500), deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=4),
            st.text(max_size=9, alphabet=st.characters(codec="utf-8")).map(str.encode),
            st.sampled_from(
                [
                    b"\xed\xa0\x80",
                    b"\xc0\x80",
                    b"\xf4\x90\x80\x80",
                    b"\xe0\x80\x80",
                    b"\xf0\x80\x80\x80",
                    b"\xf4\x8f\xbf\xbf",
                    b"\xe2\x82",
                    b"\x80",
                    b"a" * 17,
                ]
            ),
        ),
        max_size=5,
    )
)
def test_utf8_is_judged_as_python_does(parts):
    raw = b"".join(parts)
    try:
        raw.decode()
        want = -1
    except UnicodeDecodeError as error:
        want = error.start
    assert json_text.invalid_utf8_at(np.frombuffer(b"??" + raw, np.uint8), 2, len(raw) + 2) == (
        want if want < 0 else want + 2
    )


EDGES = [0, 1, 9, 10, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**19, 10**20 - 1, 10**20, 10**30]


@settings(deadline=None)
@given(st.integers(-(2**70), 2**70) | st.sampled_from([sign * edge for edge in EDGES for sign in (1, -1)]))
@example(2**64 - 1)
def test_integers_and_their_classes(value):
    from corpuscurate.kernels.json.fields import BEYOND, NEGATIVE, OVER_DOUBLE, OVER_INT64

    text = str(value).encode()
    data = np.frombuffer(text, np.uint8)
    bits = integer_bits(data, 0, len(text))
    fits = -(2**63) <= value < 2**64
    assert bool(bits & BEYOND) == (not fits)
    assert bool(bits & OVER_DOUBLE) == (abs(value) > 2**53)
    if fits:
        assert bool(bits & NEGATIVE) == (value < 0)
        assert bool(bits & OVER_INT64) == (value >= 2**63)
        assert magnitude(data, 0, len(text)) == (abs(value), False)
        out = np.empty(1, np.uint64)
        parse_integers(data, np.zeros(1, np.int64), np.array([len(text)]), out)
        assert int(out[0]) == value % 2**64
