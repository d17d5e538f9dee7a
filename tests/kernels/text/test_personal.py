"""Personal data: kernels against the definitions in plain Python, cases worked by hand, and hostile texts."""

import ipaddress
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import personal as naive

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.text.personal.accounts import CARDS, IBANS
from corpuscurate.kernels.text.personal.addresses import GROUPS, is_public_v4, is_public_v6, parse_v6
from corpuscurate.kernels.text.personal.characters import letters, plain
from corpuscurate.kernels.text.personal.find import KINDS, Hits, Wanted, find_personal, scratch

PATTERNS = dict(zip(IBANS.split()[::2], IBANS.split()[1::2], strict=True))
PIECES = [
    *("a", "Z9", ".", "-", "_", "@", "+", "'", " ", "\n", "é", "漢", "и", "\u0301", "@x.org", "a.b@", "=", "xn--p1ai"),
    *("1", "25", "255", "1.2.3.4", "8.8.8.8", "v", "version ", "::", ":", "fe80", "2001:", "::1", "/24", "[1.2.3.4]"),
    *("4111 1111 1111 1111", "4111111111111111", "3782-822463-10005", "0000", "٣", "9", "12 "),
    *("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "DE", "89", "\u00a0", "\u2013"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8", categories=("L", "N", "P")), max_size=25).map(
    "".join
)
LONG = st.tuples(st.integers(0, 140), TEXTS, st.integers(0, 80)).map(lambda t: "x " * t[0] + t[1] + " y" * t[2])
ALL = {"email", "iban", "card", "ip", "phone", "ids"}


def found(texts, *kinds, public=False, national=True):
    """(row, start, stop) in characters of every hit, by kind."""
    array = pa.array(["padding", *texts], TEXT).slice(1)
    offsets, data = text_buffers(array)
    hits = Hits(np.empty(999, np.int8), *(np.empty(999, np.int64) for _ in range(3)))
    wanted = Wanted(*(kind in kinds for kind in ("email", "iban", "card", "ip", "phone", "ids")), public, national)
    count = find_personal(offsets, data, letters(), wanted, scratch(), hits)
    result = {kind: [] for kind in KINDS}
    for at in range(min(count, 999)):
        row = int(hits.rows[at])
        text = texts[row].encode()
        start, stop = (int(array[at] - offsets[row]) for array in (hits.starts, hits.stops))
        result[KINDS[hits.kinds[at]]].append((row, len(text[:start].decode()), len(text[:stop].decode())))
    return result


def shown(text, kind, **options):
    return [text[start:stop] for _, start, stop in sorted(found([text], kind, **options)[kind])]


@given(st.lists(LONG, max_size=3))
def test_emails_are_those_of_the_definition(texts):
    assert sorted(found(texts, "email")["email"]) == [
        (row, *span) for row, text in enumerate(texts) for span in naive.emails(text)
    ]


@given(st.lists(LONG, max_size=3))
def test_ipv4_addresses_are_those_of_the_definition(texts):
    texts = [text.replace("::", ":x:") for text in texts]
    for public in (False, True):
        assert sorted(found(texts, "ip", public=public)["ip"]) == [
            (row, start, stop)
            for row, text in enumerate(texts)
            for start, stop, address in naive.v4(text)
            if not public or is_public_v4(np.uint64(int(address)))
        ]


@given(st.lists(LONG, max_size=3))
def test_cards_and_ibans_are_those_of_the_definition(texts):
    hits = found(texts, "card", "iban")
    assert sorted(hits["card"]) == [(row, *s) for row, text in enumerate(texts) for s in naive.cards(text, CARDS)]
    assert sorted(hits["iban"]) == [(row, *s) for row, text in enumerate(texts) for s in naive.ibans(text, PATTERNS)]


@given(st.lists(LONG, max_size=3), st.integers(0, 3))
def test_the_place_in_the_buffer_and_other_kinds_change_nothing(texts, behind):
    alone = {kind: found(texts, "ids" if kind == "national" else kind)[kind] for kind in KINDS}
    together = found(texts + ["z" * 70] * behind, *ALL)
    assert {kind: sorted(hits) for kind, hits in together.items()} == {
        kind: sorted(hits) for kind, hits in alone.items()
    }


@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**40), st.booleans())
def test_ipv6_addresses_are_read_as_by_ipaddress(value, exploded):
    address = ipaddress.IPv6Address(value)
    text = (address.exploded if exploded else address.compressed).encode()
    groups = np.zeros(GROUPS, np.int64)
    assert parse_v6(np.frombuffer(text, np.uint8), 0, len(text), groups) == len(text)
    assert sum(int(group) << 16 * (7 - k) for k, group in enumerate(groups[:8])) == value


@given(st.text("0123abcdef:.", max_size=20) | st.from_regex(r"[0-9a-f]{1,4}(:{1,2}[0-9a-f]{0,4}){1,8}", fullmatch=True))
def test_what_is_read_as_ipv6_is_one(text):
    data = np.frombuffer(text.encode(), np.uint8)
    behind = parse_v6(data, 0, len(data), np.zeros(GROUPS, np.int64))
    if behind >= 0:
        ipaddress.IPv6Address(text[:behind])
    else:
        assert not naive.is_address(text, v6=True)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "10.1.2.3", "100.64.0.1", "172.32.0.1", "192.0.0.9", "224.0.0.1", "255.255.255.255"]
)
def test_public_v4(text):
    expected = {"1.1.1.1", "172.32.0.1", "192.0.0.9", "224.0.0.1"}
    assert is_public_v4(np.uint64(int(ipaddress.ip_address(text)))) == (text in expected)


@given(st.integers(0, 2**32 - 1))
def test_public_v4_is_global_but_where_python_changed_its_mind(value):
    address = ipaddress.IPv4Address(value)
    if address not in ipaddress.ip_network("192.0.0.0/24"):
        assert is_public_v4(np.uint64(value)) == address.is_global


@given(st.integers(0, 2**128 - 1) | st.integers(0x2001 << 112, 0x2003 << 112) | st.integers(0xFC << 120, 2**128 - 1))
def test_public_v6_is_global_but_where_python_changed_its_mind(value):
    address = ipaddress.IPv6Address(value)
    changed = ("2001::/23", "2002::/16", "::ffff:0:0/96", "64:ff9b:1::/48", "3fff::/20")
    if not any(address in ipaddress.ip_network(each) for each in changed):
        groups = np.array([value >> 16 * (7 - k) & 0xFFFF for k in range(8)] + [1], np.int64)
        assert is_public_v6(groups) == address.is_global


@pytest.mark.parametrize("char", ["7", "a", "．", "９", "٣", "४", "\u00a0", "–", "𝟗", "漢", "é"])
def test_plain_characters(char):
    assert chr(plain(ord(char), letters())) == naive.plain(char)


EMAILS = {
    "write to john.doe+tag@mail.example.co.uk.": ["john.doe+tag@mail.example.co.uk"],
    "'o'brien@ex-ample.ie' <a@b.io>": ["o'brien@ex-ample.ie", "a@b.io"],
    "?email=a_b@c.org&next": ["a_b@c.org"],
    "邮箱foo@bar.com。谢谢": ["foo@bar.com"],
    "foo@bar.com으로, 用户@例子.广告": ["foo@bar.com", "用户@例子.广告"],
    "jürgen@bücher.de ｊｏ＠ｅｘ．ｃｏｍ": ["jürgen@bücher.de", "ｊｏ＠ｅｘ．ｃｏｍ"],
    "i@xn--80ak6aa92e.xn--p1ai": ["i@xn--80ak6aa92e.xn--p1ai"],
    "a@b a@b.c a..b@c.de @c.de .@c.de a@-b.de": ["b@c.de"],
    "lodash@4.17.21 pkg@1.2.3-rc.x me@163.com": ["me@163.com"],
    "a" * 65 + "@b.de": [],
    "a" * 64 + "@b.de": ["a" * 64 + "@b.de"],
    "x@[8.8.8.8] y@[IPv6:2001:db8::1] z@[300.1.1.1]": ["x@[8.8.8.8]", "y@[IPv6:2001:db8::1]"],
    "a@b.de-": [],
    "a@b.c-d.de-x": [],
}
ADDRESSES = {
    "at 8.8.8.8, or 9.9.9.9:53 or 1.1.1.1/24.": ["8.8.8.8", "9.9.9.9", "1.1.1.1"],
    "v1.2.3.4 Version: 1.2.3.4 1.2.3.4.5 256.1.1.1 01.2.3.4 tool-1.2.3.4 1.2.3.4-rc Section (1.2.3.4)": [],
    "1.2.3.4-1.2.3.9": ["1.2.3.4", "1.2.3.9"],
    "地址1.2.3.4的 ８．８．８．８": ["1.2.3.4", "８．８．８．８"],
    "2606:4700:4700::1111 is up; [2001:4860:0:0:0:0:0:8888]:80": ["2606:4700:4700::1111", "2001:4860:0:0:0:0:0:8888"],
    "12:34:56 00:1a:2b:3c:4d:5e 00:1a:2b:3c:4d:5e:6f:70 std::dec a::b Foo::Bar :: 1:2:3:4:5:6:7:8": [],
    "from fe80::1%eth0 to fe80::2: done": ["fe80::1", "fe80::2"],
    "::ffff:8.8.8.8 and 64:ff9b::1.2.3.4": ["8.8.8.8", "::ffff:8.8.8.8", "1.2.3.4", "64:ff9b::1.2.3.4"],
}


@pytest.mark.parametrize("text", EMAILS)
def test_emails_worked_by_hand(text):
    assert shown(text, "email") == EMAILS[text]


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_worked_by_hand(text):
    assert sorted(shown(text, "ip")) == sorted(ADDRESSES[text])


def test_numbers_worked_by_hand():
    text = "4111 1111 1111 1111, 4111-1111 1111-1111, 5555555555554444x 378282246310005 "
    text += "４１１１１１１１１１１１１１１１ 3.4111111111111111"
    assert shown(text, "card") == ["4111 1111 1111 1111", "378282246310005", "４１１１１１１１１１１１１１１１"]
    text = "GB82 WEST 1234 5698 7654 32, de89370400440532013000 NO93 8601 1117 947 DE88 3704 0044 0532 0130 00"
    assert shown(text, "iban") == ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000", "NO93 8601 1117 947"]
    assert shown("call (415) 555-2671 or +44 20 7946 0958; 12.345", "phone") == ["(415) 555-2671", "+44 20 7946 0958"]
    assert shown("call (415) 555-2671 or +44 20 7946 0958; 12.345", "phone", national=False) == ["+44 20 7946 0958"]


@pytest.mark.parametrize("country", PATTERNS)
def test_every_country_has_a_number(country):
    """The check digits of a made-up account are those that make the remainder 1."""
    places = "".join(kind * int(count) for count, kind in re.findall(r"(\d+)([nac])", PATTERNS[country]))
    account = "".join({"n": "7", "a": "Q", "c": "7"}[kind] for kind in places)
    rest = int("".join(str(int(char, 36)) for char in account + country + "00")) % 97
    assert shown(f"to {country}{98 - rest:02}{account}.", "iban") == [f"{country}{98 - rest:02}{account}"]


@pytest.mark.parametrize(
    "piece", ["a.", "-a", "a@", "@", "@a.", "1 ", "1", "1.", "1-", ":1", "::", "1.1.1.1.", "DE89", "+1 ", "1a", "@a.b"]
)
def test_time_is_linear_in_any_text(piece):
    """A megabyte of each takes milliseconds; of a quadratic search it would take hours."""
    text = piece * (1_000_000 // len(piece))
    hits = found([text, "a@b.de"], *ALL)
    assert (1, 0, 6) in hits["email"] or sum(map(len, hits.values())) >= 999
