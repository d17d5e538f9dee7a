from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from naive import urls as naive
from pydantic import ValidationError

from corpuscurate import Batch, Pipeline, Sink, Source
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.urls.table import make_table
from corpuscurate.methods.lists.urls import plain, plain_host, sites, suffixes
from corpuscurate.stages import UrlFilter
from corpuscurate.stages.url_filter import LISTS

LIST = __file__.replace("test_url_filter.py", "lists/words.txt")
EXAMPLES = [{"strict_words": LIST}, {"hard_words": [LIST], "domains": LIST, "missing": "drop", "reasons": "all"}]


def batch_of(urls):
    column = pa.array(urls, TEXT)
    texts = pa.array([""] * len(urls), TEXT)
    return Batch(np.arange(len(urls), dtype=np.uint64), texts, np.zeros(len(urls), np.int64), columns={"url": column})


@pytest.fixture
def lists(tmp_path):
    """Make the lists of a stage: name -> lines."""

    def make(**named):
        made = {}
        for name, lines in named.items():
            (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
            made[name] = str(tmp_path / f"{name}.txt")
        return made

    return make


def reasons(stage, urls):
    outcome = stage.apply(batch_of(urls))
    names = ["", *stage.rules()]
    return [names[reason] for reason in outcome.reason.tolist()]


def kept(stage, urls):
    return [not reason for reason in reasons(stage, urls)]


PLAIN = {
    "http://Example.ORG": "example.org",
    "HTTPS://user:pw@Example.org:8080/A/b/?Q=1#top": "example.org/a/b/?q=1",
    "//www.Example.org./": "example.org",
    "example.org/%41%2fb//": "example.org/a/b",
    " https:\\\\example.org\\a ": "example.org/a",
    "https://BÜCHER.de/ä": "xn--bcher-kva.de/ä",
    "http://例え。テスト/": "xn--r8jz45g.xn--zckzah",
    "http://ex%61mple.org": "example.org",
    "http://[2001:DB8:0:0::1]:80/": "[2001:db8::1]",
    "http://1.2.3.4:80": "1.2.3.4",
    "": "",
    "http://": "",
}


@pytest.mark.parametrize("url", PLAIN)
def test_plain_forms_worked_by_hand(url):
    assert [piece.decode() for piece in plain(pa.array([url], TEXT)).pieces()] == [PLAIN[url]]


PIECES = [
    "http://",
    "https://",
    "//",
    "/",
    "\\",
    "www.",
    "WWW.",
    "a.org",
    "B.co.uk",
    "co.uk",
    "x.ck",
    "www.ck",
    "1.2.3.4",
]
PIECES += [
    "user@",
    ":80",
    "?",
    "#",
    "%41",
    "%",
    "%2",
    ".",
    "-",
    "sex",
    "SOFT",
    "one",
    "/path/",
    " ",
    "x",
    "é",
    "&",
    "github.io",
]
URLS = st.lists(st.sampled_from(PIECES) | st.sampled_from(list("abcZ09/._-?#:@\\%")), max_size=10).map("".join)
ASCII_HOSTS = URLS.filter(lambda url: naive.plain(url)[0].isascii() and b"%" not in naive.plain(url)[0])
ASCII_HOSTS = ASCII_HOSTS.filter(
    lambda url: "@" not in naive.plain(url)[0].decode() and "%" not in url.partition("/")[0]
)


@given(st.lists(ASCII_HOSTS, max_size=5))
def test_plain_forms_are_those_of_the_definition(urls):
    found = plain(pa.array(["padding", *urls], TEXT).slice(1))
    whole = [found.data[a:b].tobytes() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    hosts = [found.data[a:b].tobytes() for a, b in zip(found.offsets[:-1], found.hosts, strict=True)]
    expected = [naive.plain(url) for url in urls]
    assert hosts == [host for host, _ in expected]
    assert whole == [host + rest for host, rest in expected]


ENTRIES = {
    "domains": ["a.org", "B.co.uk", "co.uk", "x.ck", "ck", "www.ck", "1.2.3.4", "3.4", "github.io", "www.a.org"],
    "hosts": ["a.org", "www.b.co.uk", "x"],
    "paths": ["a.org/path", "b.co.uk/", "x"],
    "urls": ["http://a.org/path?", "a.orgx"],
    "hard_words": ["sex", "o-n-e"],
    "soft_words": ["soft", "path", "a"],
    "strict_words": ["sexs", "th/x", "Sof"],
}


def expected_counts(url):
    host, rest = naive.plain(url)
    text = host.decode()
    bare = naive.without_www(text).encode()
    page = bare + rest
    domains = {entry.lower() for entry in ENTRIES["domains"]}
    prefixes = set(naive.prefixes(page, len(bare)))
    words = set(naive.words(page))
    squeezed = page.replace(b"-", b"").replace(b".", b"")
    return {
        "domains": int(any(name in domains for name in naive.parents(text))),
        "hosts": int(bare in (b"a.org", b"b.co.uk", b"x")),
        "paths": int(bool(prefixes & {b"a.org/path", b"b.co.uk", b"x"})),
        "urls": int(page in (b"a.org/path?", b"a.orgx")),
        "hard_words": len(words & {b"sex", b"one"}),
        "soft_words": len(words & {b"soft", b"path", b"a"}),
        "strict_words": sum(word in squeezed for word in (b"sexs", b"thx", b"sof")),
    }


@given(st.lists(ASCII_HOSTS.filter(lambda url: naive.plain(url) != (b"", b"")), max_size=5))
def test_rules_are_those_of_the_definition(urls):
    with pytest.MonkeyPatch.context():
        stage = UrlFilter(**_written(), mode="tag")
    found = stage.apply(batch_of(urls)).measures
    assert {name: found[name].to_pylist() for name in LISTS} == {
        name: [expected_counts(url)[name] for url in urls] for name in LISTS
    }


_MADE = {}


def _written():
    """The lists of ENTRIES, written once a process."""
    if not _MADE:
        import tempfile
        from pathlib import Path

        folder = Path(tempfile.mkdtemp())
        for name, lines in ENTRIES.items():
            (folder / name).write_text("\n".join(lines))
            _MADE[name] = str(folder / name)
    return _MADE


def test_domains_are_met_label_by_label(lists):
    stage = UrlFilter(**lists(domains=["b.org", "co.uk", "bücher.de", "github.io", "*.wild.net"]))
    urls = ["http://b.org", "http://www.b.org/x", "http://ab.org", "http://b.org.net", "http://a.co.uk", "http://co.uk"]
    assert kept(stage, urls) == [False, False, True, True, True, False]
    urls = ["http://x.BÜCHER.de", "http://xn--bcher-kva.de", "http://me.github.io", "http://a.wild.net"]
    assert kept(stage, urls) == [False] * 4


def test_the_first_rule_is_the_reason_and_every_hit_is_named(lists):
    stage = UrlFilter(
        **lists(domains=["# a comment", "", "b.org"], hard_words=["bad"], soft_words=["one", "two"]), reasons="all"
    )
    outcome = stage.apply(batch_of(["http://b.org/bad/one", "http://c.org/one-two", "http://c.org/one/one", None]))
    assert outcome.reason.tolist() == [1, 3, 0, 0]
    assert outcome.value.tolist()[:2] == [1, 2]
    assert list(stage.rules().items()) == [("domains", 0), ("hard_words", 0), ("soft_words", 1)]
    assert outcome.detail.to_pylist() == [
        "domains.txt:3: b.org; hard_words.txt:1: bad",
        "soft_words.txt:1: one",
        None,
        None,
    ]
    assert [[rule["rule"] for rule in failed] for failed in outcome.failed.to_pylist()] == [[1, 2], [3], [], []]


def test_urls_that_are_missing(lists):
    urls = [None, "", "  ", "http://b.org"]
    named = lists(domains=["b.org"])
    assert reasons(UrlFilter(**named), urls) == ["", "", "", "domains"]
    assert reasons(UrlFilter(**named, missing="drop"), urls) == ["missing"] * 3 + ["domains"]
    assert reasons(UrlFilter(missing="drop"), urls) == ["missing"] * 3 + [""]
    with pytest.raises(ValidationError, match="there is no list"):
        UrlFilter()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("0.0.0.0 ads.example.org tracker.net # both", [b"ads.example.org", b"tracker.net"]),
        ("127.0.0.1 localhost", []),
        ("||ads.example.org^", [b"ads.example.org"]),
        ("||ads.example.org^$third-party", [b"ads.example.org"]),
        ("||ads.example.org/banner^", []),
        ("@@||good.org^", []),
        ("example.org##.banner", []),
        ("! comment", []),
        ("#comment", []),
        ("[Adblock Plus 2.0]", []),
        ("http://Example.org/x", [b"example.org"]),
        ("bücher.de", [b"xn--bcher-kva.de"]),
        (".example.org", [b"example.org"]),
        ("1.2.3.4", [b"1.2.3.4"]),
    ],
)
def test_forms_of_lists(line, names):
    assert list(sites([line, "z.org"], keep_www=True)) == [names, [b"z.org"]]


def test_lists_as_they_come(tmp_path):
    data = "\ufeffb.org\r\n\r\n  \r\nc.org\r\nb.org\rd.org".encode()
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(data))
    (tmp_path / "packed.zst").write_bytes(zstandard.compress(data))
    for name in ("plain", "packed.gz", "packed.zst"):
        stage = UrlFilter(domains=str(tmp_path / name))
        outcome = stage.apply(batch_of(["http://b.org", "http://c.org/", "http://d.org", "http://x.org/"]))
        assert outcome.detail.to_pylist() == [f"{name}:1: b.org", f"{name}:4: c.org", f"{name}:6: d.org", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.org\n\xff\xfe\n", "line 2: not UTF-8 \\(byte 0 of the line\\): expected text, an entry a line"),
        (b"a.org\nb\0c\n", "line 2: a zero byte"),
        (b"a.org\n\n" + b"x" * 5000, "line 3: 5,000 bytes long"),
        (b"\n# nothing\n", "is empty: expected text"),
        (b"\x1f\x8b\x08\x00", "cannot be unpacked"),
    ],
)
def test_what_is_no_list_is_told_with_file_and_line(tmp_path, content, message):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=f"the list domains '.*list',? ?{message}"):
        UrlFilter(domains=str(tmp_path / "list")).identity()


def test_a_missing_list_is_told(tmp_path):
    with pytest.raises(InputError, match=r"the list urls '.*none' cannot be read: No such file"):
        UrlFilter(urls=str(tmp_path / "none")).identity()


def test_a_changed_list_is_another_stage(lists):
    named = lists(domains=["b.org"])
    before = UrlFilter(**named).identity()
    assert kept(UrlFilter(**named), ["http://c.org"]) == [True]
    assert UrlFilter(**lists(domains=["b.org", "c.org"])).identity() != before
    assert kept(UrlFilter(**named), ["http://c.org"]) == [False]


@given(st.lists(st.binary(max_size=9), unique=True, max_size=40), st.booleans())
def test_a_table_finds_its_entries_and_no_others(entries, backwards):
    from corpuscurate.kernels.urls.match import _host
    from corpuscurate.kernels.urls.table import START, grown, place_of

    table = make_table(entries, backwards)
    for number, entry in enumerate([*entries, b"no such entry"]):
        data = np.frombuffer(entry or b"\0", np.uint8)
        state = START
        for byte in reversed(entry) if backwards else entry:
            state = grown(np.uint64(state), byte)
        expected = number if number < len(entries) else -1
        assert place_of(table, np.uint64(state), data, 0, len(entry)) == expected
        if backwards:
            assert _host(data, 0, len(entry), table) == expected


def test_public_suffixes_are_those_of_the_package():
    table, kinds = suffixes()
    assert len(kinds) > 5000
    names = table.data.tobytes()
    pieces = [names[a:b].decode() for a, b in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)]
    wrong = [
        name
        for name, kind in zip(pieces, kinds.tolist(), strict=True)
        if kind & 1 and naive.PSL.publicsuffix(name) != name
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "host", ["a" * 300 + "é.org", "\u200d.org", "xn--.org", "a..é", "é" * 80, "[::zz]", "%zz.org", "%2f%23é"]
)
def test_hosts_that_are_no_names_do_not_fail(host):
    assert isinstance(plain_host(host), str)
    plain(pa.array([f"http://{host}/x"], TEXT))


def test_the_ledger_names_list_line_and_entry(tmp_path, lists):
    (tmp_path / "in.jsonl").write_text(
        '{"text": "a", "url": "http://www.b.org/"}\n{"text": "b", "url": "http://c.org/"}\n'
    )
    named = lists(domains=["", "b.org"])
    source, sink = Source(paths=(str(tmp_path / "in.jsonl"),)), Sink(path=str(tmp_path / "out"))
    Pipeline(source, [UrlFilter(**named)], sink).run(runner="inprocess")
    (row,) = pq.read_table(tmp_path / "out" / "dropped").to_pylist()
    assert (row["reason"], row["value"], row["threshold"], row["detail"]) == ("domains", 1, 0, "domains.txt:2: b.org")
