from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuscurate import Batch, Pipeline, Settings, Sink, Source
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import BadInputError, InputError, MissingExtraError, RecipeError
from corpuscurate.core.stage import Edit
from corpuscurate.methods.personal import phones
from corpuscurate.methods.personal.keys import fingerprint, token
from corpuscurate.stages import Pii

KEY = "0123456789abcdef0123456789abcdef"
CARD, OTHER = "4111 1111 1111 1111", "5555-5555-5555-4444"
PIECES = [
    "a@b.de ",
    "x.y@c.org, ",
    "8.8.8.8 ",
    CARD + " ",
    "+44 20 7946 0958 ",
    "DE89370400440532013000 ",
    "plain words ",
    "é漢 ",
]

EXAMPLES = [
    {"max_hits": 0, "public_ips": False, "email": "count"},
]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def edited(texts, **parameters):
    outcome = Pii(**parameters).apply(batch_of(texts))
    return texts if outcome.text is None else outcome.text.to_pylist()


def test_fixed_texts_stand_for_each_kind():
    text = f"a@b.de, 8.8.8.8, {CARD}, DE89 3704 0044 0532 0130 00, +44 20 7946 0958; 10.0.0.1"
    outcome = Pii().apply(batch_of(["", text, "nothing here"]))
    assert outcome.text.to_pylist() == [
        "",
        "email@example.com, 192.0.2.1, <card>, <iban>, <phone>; 10.0.0.1",
        "nothing here",
    ]
    assert outcome.edits == {
        "email": Edit(1, -11),
        "iban": Edit(1, 21),
        "card": Edit(1, 13),
        "ip": Edit(1, -2),
        "phone": Edit(1, 9),
    }
    assert edited(["a@b.de 8.8.8.8"], placeholders={"email": " |||EMAIL_ADDRESS||| "}) == [
        " |||EMAIL_ADDRESS|||  192.0.2.1"
    ]


def test_a_second_time_changes_nothing():
    (once,) = edited([f"a@b.de, 8.8.8.8, {CARD}, +44 20 7946 0958"])
    assert edited([once]) == [once]


def test_actions():
    text = f"a.b@c.de 8.8.8.8 {CARD} ｊ@ｋé.de"
    assert edited([text], email="mask", ip="count", card="ignore") == [f"*.*@*.** 8.8.8.8 {CARD} *@**.**"]
    outcome = Pii(email="count", ip="count", card="ignore").apply(batch_of([text, "8.8.4.4"]))
    assert outcome.text is None
    assert outcome.columns["emails"].to_pylist() == [2, 0]
    assert outcome.columns["ips"].to_pylist() == [1, 1]


def test_spans_are_bytes_of_the_text_before_edits():
    outcome = Pii(spans=True).apply(batch_of(["é a@b.de", "x", "8.8.8.8 a@b.de"]).slice(0, 3))
    assert outcome.columns["spans"].to_pylist() == [
        [{"kind": "email", "start": 3, "stop": 9}],
        [],
        [{"kind": "ip", "start": 0, "stop": 7}, {"kind": "email", "start": 8, "stop": 14}],
    ]


def test_too_many_drop_a_document():
    texts = ["a@b.de", "a@b.de c@d.de", "a@b.de c@d.de 8.8.8.8"]
    outcome = Pii(max_emails=1, max_hits=2, reasons="all").apply(batch_of(texts))
    assert outcome.reason.tolist() == [0, 1, 1]
    assert outcome.value[1:].tolist() == [2, 2]
    assert [len(each) for each in outcome.failed.to_pylist()] == [0, 1, 2]
    assert outcome.text.to_pylist() == ["email@example.com", *texts[1:]]  # the engine drops these


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), max_size=6), st.randoms())
def test_tokens_depend_on_value_and_key_alone(texts, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PII_KEY", KEY)
        mixed = random.sample(texts, len(texts))
        made = dict(zip(texts, edited(texts, key_variable="PII_KEY"), strict=True))
        assert edited(mixed, key_variable="PII_KEY") == [made[text] for text in mixed]


def test_equal_values_have_equal_tokens_however_they_are_written(monkeypatch, tmp_path):
    monkeypatch.setenv("PII_KEY", KEY)
    text = "Jo@B.de jo@b.DE; 4111111111111111 4111-1111-1111-1111; 2001:0:0:0:0:0:0:1f2 2001::1f2; "
    text += "+442079460958 +44 20 7946 0958"
    (found,) = edited([text], key_variable="PII_KEY", public_ips=False)
    tokens = re.findall(r"<([a-z]+)-([a-p]{16})>", found)
    assert [kind for kind, _ in tokens] == ["email"] * 2 + ["card"] * 2 + ["ip"] * 2 + ["phone"] * 2
    assert len(set(tokens)) == 4
    assert tokens[0][1] == token(KEY.encode(), "email", "jo@b.de")
    (tmp_path / "key").write_text(KEY + "\n")
    assert edited([text], key_file=str(tmp_path / "key"), public_ips=False) == [found]
    monkeypatch.setenv("PII_KEY", KEY[::-1])
    assert edited([text], key_variable="PII_KEY", public_ips=False) != [found]


def test_a_run_records_a_fingerprint_of_the_key_alone(monkeypatch):
    monkeypatch.setenv("PII_KEY", KEY)
    identity = Pii(key_variable="PII_KEY").identity()
    assert identity["key"] == fingerprint(KEY.encode())
    assert KEY not in repr(identity)
    monkeypatch.setenv("PII_KEY", KEY[::-1])
    assert Pii(key_variable="PII_KEY").identity() != identity
    monkeypatch.setenv("PII_OTHER", KEY)
    assert Pii(key_variable="PII_OTHER").identity() == identity


def test_keys_that_cannot_be_used_are_told_and_never_shown(monkeypatch, tmp_path):
    monkeypatch.delenv("PII_KEY", raising=False)
    with pytest.raises(
        RecipeError, match=r"the variable PII_KEY of the environment, .* is not set.*openssl rand -hex 32"
    ):
        Pii(key_variable="PII_KEY").identity()
    monkeypatch.setenv("PII_KEY", "short secret")
    with pytest.raises(RecipeError, match="has 12 bytes") as error:
        Pii(key_variable="PII_KEY").identity()
    assert "short" not in str(error.value).replace("that short", "")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Pii(key_file=str(tmp_path / "none")).identity()
    with pytest.raises(ValidationError, match="both name a key"):
        Pii(key_variable="PII_KEY", key_file="key")


def test_parameters_that_say_nothing_are_refused():
    with pytest.raises(ValidationError, match=r"unknown region 'UK'"):
        Pii(regions=["UK"])
    with pytest.raises(ValidationError, match="no kind 'mail'"):
        Pii(placeholders={"mail": "x"})
    with pytest.raises(ValidationError, match="every kind is ignored"):
        Pii(email="ignore", ip="ignore", phone="ignore", card="ignore", iban="ignore")


PHONES = {
    "call (415) 555-2671 or 415.555.2672 now": ["(415) 555-2671", "415.555.2672"],
    "since 12.10.1998, 2021-11-20 12:34:56, 3.14159265358, 1,000,000, A4155552671": [],
    "abroad +49 30 901820, +1 415 555 2671 ext. 12": ["+49 30 901820", "+1 415 555 2671 ext. 12"],
    "invalid +1 (0)15 5552671, 999 123-4567": [],
    "４１５-５５５-２６７１": ["４１５-５５５-２６７１"],
}


@pytest.mark.parametrize("text", PHONES)
def test_phones(text):
    lists = Pii(regions=["us"], spans=True).apply(batch_of([text])).columns["spans"].to_pylist()
    assert [text.encode()[span["start"] : span["stop"]].decode() for span in lists[0]] == PHONES[text]


def test_long_runs_of_digits_are_looked_at_in_pieces():
    text = "415-555-2671 " * 200
    assert edited([text], regions=["US"]) == ["<phone> " * 200]


@pytest.mark.parametrize("region", ["US", "GB", "DE", "FR", "JP", "IT", "BR"])
def test_the_first_look_lets_every_example_of_the_package_through(region):
    from phonenumbers import PhoneNumberFormat, example_number, format_number

    number = example_number(region)
    for form in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL):
        text = format_number(number, form).lstrip("+")
        assert phones._may_hold(text, region)


def test_national_numbers():
    pytest.importorskip("stdnum")
    text = "SSN 536-90-4399 or 000-12-3456; DNI 54362315K"
    assert edited([text], national_numbers=["us.ssn", "es.dni"]) == ["SSN <national> or 000-12-3456; DNI <national>"]
    with pytest.raises(ValidationError, match=r"no format 'us\.nothing'"):
        Pii(national_numbers=["us.nothing"])
    with pytest.raises(ValidationError, match="expected a country and a format"):
        Pii(national_numbers=["os"])


def test_without_the_extra_national_numbers_are_refused(monkeypatch):
    monkeypatch.setattr("corpuscurate.methods.personal.national.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"corpuscurate\[national\]"):
        Pii(national_numbers=["us.ssn"])


SECRETS = ["jo.hidden@example.org", "93.184.216.34", CARD]


def test_no_file_of_a_run_keeps_a_value(tmp_path):
    """Kept text, the text of dropped documents, and unreadable records; the run folder with everything retained."""
    lines = [
        f'{{"id": "kept", "text": "write to {SECRETS[0]} at once, or else"}}',
        f'{{"id": "dropped", "text": "{SECRETS[1]}"}}',
        f'{{"id": "broken", "text": "{SECRETS[2]}"',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    source = Source(paths=(str(tmp_path / "in.jsonl"),), id="id")
    sink = Sink(path=str(tmp_path / "out"), dropped_text=True)
    stages = ["pii", {"length": {"min_words": 5}}, "exact"]
    report = Pipeline(source, stages, sink, Settings(runner="inprocess", retain="all")).run()
    assert report["documents"]["kept"] == 1
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path).to_pylist()).encode()
        assert [secret for secret in SECRETS if secret.encode() in content] == [], path
    dropped = pq.read_table(tmp_path / "out" / "dropped").to_pylist()
    assert [row["text"] for row in dropped] == ["192.0.2.1"]
    (bad,) = pq.read_table(tmp_path / "out" / "quarantine").to_pylist()
    assert bad["head"].startswith(b'{"xx": "xxxxxx", "xxxx": "0000 0000 0000 0000"')


def test_the_message_of_a_bad_record_keeps_no_value(tmp_path):
    (tmp_path / "in.jsonl").write_text(f'{{"text": "{SECRETS[0]}"\n')
    source = Source(paths=(str(tmp_path / "in.jsonl"),), on_bad_input="fail")
    with pytest.raises(BadInputError, match="broken_json") as error:
        Pipeline(source, ["pii"], Sink(path=str(tmp_path / "out"))).run(runner="inprocess")
    assert "hidden" not in str(error.value)


def test_another_key_is_never_answered_from_an_old_run(tmp_path, monkeypatch):
    (tmp_path / "in.jsonl").write_text(f'{{"text": "{SECRETS[0]}"}}\n')
    pipeline = Pipeline(
        Source(paths=(str(tmp_path / "in.jsonl"),)), [Pii(key_variable="PII_KEY")], Sink(path=str(tmp_path / "out"))
    )
    texts = []
    for key in (KEY, KEY[::-1]):
        monkeypatch.setenv("PII_KEY", key)
        pipeline.run(runner="inprocess", overwrite=True)
        texts += pq.read_table(tmp_path / "out" / "data")["text"].to_pylist()
        assert not any(key.encode() in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert texts == [f"<email-{token(key.encode(), 'email', SECRETS[0])}>" for key in (KEY, KEY[::-1])]
