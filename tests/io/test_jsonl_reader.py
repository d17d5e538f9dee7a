from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import jsonlines as naive
from support.forms import some

from corpuscurate.core.columns import JSON
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.errors import InputError
from corpuscurate.io import jsonl
from corpuscurate.io.base import HEAD_BYTES, SourceFile, Span, Want
from corpuscurate.io.jsonl import JSONL

EXAMPLE = '{"text": "one", "n": 1}\n{"n": null, "text": ""}\r\n{"text": "zwölf"}\n{"text": "four 🦊"}'.encode()
DAMAGED = b"no JSON"

MASK = (1 << POSITION_BITS) - 1


def stored(path: Path, raw: bytes, compression: str | None = None, number: int = 0) -> SourceFile:
    path.write_bytes(raw)
    return SourceFile(number, path.name, str(path), len(raw), "jsonl", compression)


def chunks(file: SourceFile, want: Want, spans: list[Span] | None = None):
    for span in spans or JSONL.split(file, 1 << 60):
        yield from JSONL.read(file, span, want)


def read(file: SourceFile, want: Want = Want(), spans: list[Span] | None = None):  # noqa: B008
    """(documents, bad records) in the order in which they came; a document is a dict of all its parts."""
    documents, bad = [], []
    for chunk in chunks(file, want, spans):
        bad += chunk.bad
        if chunk.batch is None:
            continue
        batch = chunk.batch
        batch.text.validate(full=True)
        parts = {"doc_id": batch.doc_id.tolist(), "text": batch.text.to_pylist(), "bytes": batch.record_bytes.tolist()}
        if batch.id is not None:
            batch.id.validate(full=True)
            parts["id"] = batch.id.to_pylist()
        for name, column in batch.columns.items():
            assert column.type == JSON
            parts[f"column {name}"] = column.storage.to_pylist()
        if batch.rest is not None:
            parts |= batch.rest.to_pydict()
        documents += [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    return documents, bad


def read_bytes(tmp_path: Path, raw: bytes, want: Want = Want()):  # noqa: B008
    return read(stored(tmp_path / "x.jsonl", raw), want)


def short(bad):
    return [(record.position, record.reason) for record in bad]


MIXED = (
    b'\xef\xbb\xbf{"id":"a","text":"one"}\r\n'
    b"\n \t\r\n"
    b'{"id":7,"text":"t\\u00e9\\n","n":1,"n":2}\n'
    b'{"id":8,"text":"x"\n'
    b'{"text":"no id"}\n'
    b'{"id":true,"text":"\\ud83d\\ude00 \\"q\\""}\n'
    b'{"id":"z","text":"bad \xff"}\n'
    b'{"id":"d","text":"d","text":"d"}\n'
    b'{"id":"n","text":null}\n{"id":"m"}\n{"id":"s","text":5}\n{"id":"l","text":"\\udead"}\n'
    b'{"id":"\\ud800","text":"id"}\n{"\\ud801":1,"text":"name"}\n[]\n{"text":"b","text":1,}\n'
    b'{"\\u0074ext":"key escaped","\\u0069d":-0.50}'
)


def test_mixed_file_by_hand(tmp_path):
    documents, bad = read_bytes(tmp_path, MIXED, Want(id="id"))
    assert [(doc["id"], doc["text"]) for doc in documents] == [
        ("a", "one"),
        ("7", "té\n"),
        (None, "no id"),
        ("true", '😀 "q"'),
        ("-0.50", "key escaped"),
    ]
    assert [record.reason for record in bad] == [
        "broken_json",
        "invalid_utf8",
        "duplicate_field",
        "null_text",
        "missing_text",
        "text_not_string",
        "lone_surrogate",
        "lone_surrogate",
        "lone_surrogate",
        "broken_json",
        "broken_json",
    ]
    for record in bad:
        line = MIXED[record.position :].split(b"\n", 1)[0]
        assert record.head == line[:HEAD_BYTES]
        assert record.detail
        assert not record.whole_file
    assert [doc["doc_id"] for doc in documents] == [
        3,
        *(MIXED.index(start) for start in (b'{"id":7', b'{"text":"no', b'{"id":true', b'{"\\u0074')),
    ]
    assert documents[0]["bytes"] == len(b'{"id":"a","text":"one"}')


def test_details_say_what_is_wrong(tmp_path):
    _, bad = read_bytes(tmp_path, MIXED)
    details = {record.reason: record.detail for record in bad}
    assert details["missing_text"] == "the record has no field 'text'"
    assert details["null_text"] == "'text' is null"
    assert details["text_not_string"] == "'text' is a number"
    assert details["duplicate_field"] == "one of the fields 'text' occurs twice"
    assert details["invalid_utf8"] == "not UTF-8 at byte 22 of the line (0xff)"
    broken = [record.detail for record in bad if record.reason == "broken_json"]
    assert "line 1 column 19" in broken[0]  # the parser's own words
    assert broken[1] == "a list and not an object"
    raw = b'{"a":NaN}\n{"text":"","a":' + b"[" * 1024 + b"]" * 1024 + b"}\n"
    nan, deep = (record.detail for record in read_bytes(tmp_path, raw)[1])
    assert "column 6" in nan
    assert "depth" in deep or "recursion" in deep  # two versions of the parser


def test_named_columns_are_raw_json(tmp_path):
    raw = (
        b'{"text":"a","n": 12345678901234567890 ,"d":"2020-01-01","o":{"x": [1, 2]}}\n'
        b'{"d":null,"text":"b","n":1e400,"o":"\\u00e9"}\n'
        b'{"text":"c"}\n{"text":"d","d":1,"d":1}\n{"text":"e","other":1,"other":2}\n'
    )
    documents, bad = read_bytes(tmp_path, raw, Want(columns=("n", "d", "o", "text")))
    assert [(doc["column n"], doc["column d"], doc["column o"]) for doc in documents] == [
        ("12345678901234567890", '"2020-01-01"', '{"x": [1, 2]}'),
        ("1e400", None, '"\\u00e9"'),
        (None, None, None),
        (None, None, None),
    ]
    assert [doc["column text"] for doc in documents] == ['"a"', '"b"', '"c"', '"e"']
    assert [record.reason for record in bad] == ["duplicate_field"]


def test_rest_tells_where_the_text_stands(tmp_path):
    documents, _ = read_bytes(tmp_path, MIXED, Want(rest=True))
    lines = [line.removesuffix(b"\r") for line in MIXED[3:].split(b"\n")]
    for doc in documents:
        assert doc["line"] in lines
        text = doc["line"][doc["text_start"] : doc["text_end"]]
        assert json.loads(text) == doc["text"]
        assert doc["line"][doc["braces"] :].strip() == b"}"
        assert len(doc["line"]) == doc["bytes"]


def test_batch_bytes_and_splits_change_nothing(tmp_path):
    raw = MIXED.replace(b'"one"', b'"' + b"o" * 300 + b'"')
    file = stored(tmp_path / "x.jsonl", raw, number=5)
    want = Want(id="id", columns=("n",), rest=True, max_record_bytes=250)
    documents, bad = read(file, want)
    assert (3, "too_large") in short(bad)
    assert all(doc["doc_id"] >> POSITION_BITS == 5 for doc in documents)
    for batch_bytes in (1, 64, 65, 100, 199, 333, 1000):
        got = read(file, Want("text", "id", ("n",), True, batch_bytes=batch_bytes, max_record_bytes=250))
        assert got[0] == documents
        assert sorted(got[1], key=lambda record: record.position) == sorted(bad, key=lambda record: record.position)


@pytest.mark.parametrize("batch_bytes", [1, 100, 1 << 20])
def test_a_cut_at_any_byte_gives_every_record_once(tmp_path, batch_bytes):
    raw = MIXED
    file = stored(tmp_path / "x.jsonl", raw)
    want = Want(id="id", rest=True, batch_bytes=batch_bytes)
    documents, bad = read(file, want)
    bad.sort(key=lambda record: record.position)
    for cut in range(1, len(raw)):
        spans = [Span(0, 0, cut, cut), Span(0, cut, len(raw), len(raw) - cut)]
        got = read(file, want, spans)
        assert got[0] == documents, cut
        assert sorted(got[1], key=lambda record: record.position) == bad, cut
        head = read(file, want, spans[:1])
        starts = [position + (3 if position == 0 else 0) for position, _ in naive.records(raw) if position < cut]
        seen = sorted([doc["doc_id"] for doc in head[0]] + [record.position for record in head[1]])
        assert seen == starts, cut


@settings(max_examples=some(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.text(max_size=40).map(lambda text: json.dumps({"text": text}).encode()),
            st.binary(max_size=90).map(lambda line: line.replace(b"\n", b"")),
            st.sampled_from([b"", b"\r", b"  ", b'{"text":"' + b"y" * 200 + b'"}', b"z" * 130]),
        ),
        max_size=8,
    ),
    st.booleans(),
    st.sampled_from([1, 70, 128, 4096]),
    st.sampled_from([1, 3, 17, 64, 1000]),
    st.sampled_from([0, 20, 128, 1 << 20]),
)
def test_every_line_is_a_document_or_a_bad_record(tmp_path, lines, ended, batch_bytes, split_bytes, max_bytes):
    raw = b"\n".join(lines) + (b"\n" if ended else b"")
    if not raw or raw.startswith(b"\xef\xbb\xbf"):
        return
    file = stored(tmp_path / "x.jsonl", raw)
    want = Want(batch_bytes=batch_bytes, max_record_bytes=max_bytes)
    documents, bad = read(file, want, JSONL.split(file, split_bytes))
    seen = sorted([doc["doc_id"] for doc in documents] + [record.position for record in bad])
    position, starts, good = 0, [], {}
    for line in raw.split(b"\n"):
        body = line.removesuffix(b"\r")
        if len(body) > max_bytes or line.strip(b" \t\r"):
            starts.append(position)
            text = text_of(body)
            if len(body) <= max_bytes and text is not None:
                good[position] = text
        position += len(line) + 1
    assert seen == starts
    assert {doc["doc_id"]: doc["text"] for doc in documents} == good


def text_of(line: bytes):
    try:
        pairs = naive.strict_object(line)
    except UnicodeDecodeError:
        return None
    if pairs is None or any(naive.has_lone(name) for name, _ in pairs):
        return None
    texts = [value for name, value in pairs if name == "text"]
    return texts[0] if len(texts) == 1 and isinstance(texts[0], str) and not naive.has_lone(texts[0]) else None


def compressed(raw: bytes, kind: str) -> bytes:
    return gzip.compress(raw, 1) if kind == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress(raw)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_compressed_files_of_several_members(tmp_path, kind):
    plain = read_bytes(tmp_path, MIXED, Want(id="id"))
    half = len(MIXED) // 2
    raw = compressed(MIXED[:half], kind) + compressed(MIXED[half:], kind)
    file = stored(tmp_path / f"x.jsonl.{kind}", raw, kind)
    assert len(JSONL.split(file, 10)) == 1
    assert read(file, Want(id="id")) == plain


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("batch_bytes", [1, 5000, 1 << 22])
@pytest.mark.parametrize("max_bytes", [50, 700, 1 << 20])
@pytest.mark.campaign(2)
def test_truncated_streams_give_what_they_hold(tmp_path, kind, batch_bytes, max_bytes):
    rng = np.random.default_rng(3)
    lines = [json.dumps({"text": rng.bytes(300).hex()}).encode() for _ in range(2000)]
    whole = b"\n".join(lines) + b"\n"
    stream = compressed(whole, kind)
    file = stored(tmp_path / f"x.jsonl.{kind}", stream[: len(stream) // 2], kind)
    documents, bad = read(file, Want(batch_bytes=batch_bytes, max_record_bytes=max_bytes))
    last = bad[-1]
    assert (last.reason, last.whole_file) == ("truncated", True)
    assert last.detail
    too_large = bad[:-1]
    assert len(documents) + len(too_large) > 500
    assert all(record.reason == "too_large" for record in too_large)
    starts = sorted([doc["doc_id"] for doc in documents] + [record.position for record in too_large])
    size = len(lines[0]) + 1
    assert starts == [size * k for k in range(len(starts))]
    assert last.position >= starts[-1]
    assert whole[last.position :].startswith(last.head)


def test_a_cut_line_over_the_limit_is_told_alike_whatever_the_batch(tmp_path):
    raw = b'{"text":"a"}\n{"text":"' + os.urandom(3000).hex().encode() * 3
    stream = gzip.compress(raw)
    file = stored(tmp_path / "x.jsonl.gz", stream[:-20], "gz")
    for limit in (100, 5000, 1 << 20):
        results = [read(file, Want(batch_bytes=size, max_record_bytes=limit)) for size in (1, 100, 4096, 1 << 22)]
        assert all(result == results[0] for result in results)
        assert [record.reason for record in results[0][1]][-1] == "truncated"


@pytest.mark.parametrize(("suffix", "kind"), [("", None), (".gz", "gz"), (".zst", "zst")])
def test_an_empty_file_is_told(tmp_path, suffix, kind):
    contents = [b""] if kind is None else [b"", compressed(b"", kind)]
    for raw in contents:
        file = stored(tmp_path / f"x.jsonl{suffix}", raw, kind)
        documents, bad = read(file, Want(column_types=True))
        assert documents == []
        assert [(record.reason, record.position, record.whole_file) for record in bad] == [("empty_file", 0, True)]


def test_what_is_no_gzip_is_unreadable(tmp_path):
    _, bad = read(stored(tmp_path / "x.jsonl.gz", b'{"text":"plain"}\n', "gz"))
    assert [(record.reason, record.whole_file) for record in bad] == [("unreadable", True)]


def test_blank_lines_alone_are_no_records(tmp_path):
    assert read_bytes(tmp_path, b"\n\r\n  \n\t") == ([], [])
    assert read_bytes(tmp_path, b"\xef\xbb\xbf\n") == ([], [])


def test_a_huge_line_is_not_held(tmp_path):
    path = tmp_path / "x.jsonl"
    with path.open("wb") as out:
        out.write(b'{"text":"first"}\n{"text":"')
        for _ in range(60):
            out.write(b"h" * (1 << 20))
        out.write(b'"}\n{"text":"last"}\n')
    file = SourceFile(0, "x", str(path), path.stat().st_size, "jsonl")
    want = Want(batch_bytes=1 << 20, max_record_bytes=2 << 20)
    read(stored(tmp_path / "warm.jsonl", b'{"text":"warm"}\n'), want)
    tracemalloc.start()
    documents, bad = read(file, want)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [doc["text"] for doc in documents] == ["first", "last"]
    assert short(bad) == [(17, "too_large")]
    assert len(bad[0].head) == HEAD_BYTES
    assert peak < 16 << 20
    spans = JSONL.split(file, 10 << 20)
    assert len(spans) > 5
    assert read(file, want, spans) == (documents, bad)


def test_bad_records_come_some_at_a_time(tmp_path):
    file = stored(tmp_path / "x.jsonl", b"x\n" * 20_000)
    sizes = [len(chunk.bad) for chunk in chunks(file, Want())]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 4096


def test_many_fields_in_one_record(tmp_path):
    value = {f"k{number}": number for number in range(30_000)} | {"text": "many"}
    documents, bad = read_bytes(tmp_path, json.dumps(value).encode(), Want(columns=("k29999",)))
    assert bad == []
    assert [(doc["text"], doc["column k29999"]) for doc in documents] == [("many", "29999")]


def test_split(tmp_path):
    file = stored(tmp_path / "x.jsonl", b"x" * 100)
    assert JSONL.split(file, 100) == [Span(0, 0, 100, 100)]
    assert JSONL.split(file, 40) == [Span(0, 0, 40, 40), Span(0, 40, 80, 40), Span(0, 80, 100, 20)]


def test_columns_of_the_first_records(tmp_path):
    raw = b'{"text":"a","n":1,"o":{"x":[1.5]}}\nbroken\n{"text":"b","n":"1","b":true}\n\xff\n'
    assert JSONL.columns(stored(tmp_path / "x.jsonl", raw)) == {
        "text": "string",
        "n": "JSON",
        "o": "struct<x: list<item: double>>",
        "b": "bool",
    }
    assert JSONL.columns(stored(tmp_path / "x.jsonl", b"")) == {}


@pytest.mark.skipif("CORPUSCURATE_DATA" not in os.environ, reason="CORPUSCURATE_DATA is not set")
@pytest.mark.parametrize("name", ["multilingual/tldr.jsonl.gz", "web/dolma_cc_head.jsonl.gz", "evals/gsm8k.jsonl.gz"])
def test_real_shards_equal_json(name, tmp_path):
    path = Path(os.environ["CORPUSCURATE_DATA"], name)
    raw = gzip.decompress(path.read_bytes())[: 3 << 20].rsplit(b"\n", 1)[0] + b"\n"
    documents, bad = read(stored(tmp_path / "x.jsonl", raw), Want(id="id", rest=True))
    assert bad == []
    values = [json.loads(line) for line in raw.splitlines()]
    assert [doc["text"] for doc in documents] == [value["text"] for value in values]
    assert [doc["id"] for doc in documents] == [str(value["id"]) for value in values]
    assert b"".join(doc["line"] + b"\n" for doc in documents) == raw
    assert all(raw[doc["doc_id"] :].startswith(doc["line"]) for doc in documents)


def test_texts_are_large_strings(tmp_path):
    (chunk,) = chunks(stored(tmp_path / "x.jsonl", b'{"text":"a"}\n'), Want(id="id"))
    assert chunk.batch.text.type == chunk.batch.id.type == pa.large_string()


def test_a_compressed_file_that_holds_more_than_a_position_can_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_FILE_BYTES", 40)
    raw = b'{"text": "one"}\n'
    for lines, compressed in ((2, gzip.compress(2 * raw)), (3, gzip.compress(3 * raw))):
        file = stored(tmp_path / f"{lines}.jsonl.gz", compressed, "gz")
        if lines == 2:
            assert len(read(file)[0]) == 2
            continue
        with pytest.raises(InputError, match=r"3\.jsonl\.gz holds more than 40 bytes .* decompressed\. Split it"):
            read(file)
