"""What every registered stage must hold to.

Each stage has a test file of its own, `tests/stages/test_<word>.py`. What it defines there is used here:
EXAMPLES: parameters that make the stage do something, but not everything, on TEXTS; needed unless all have defaults.
UNPUBLISHED: True for a stage that has no source to name.
"""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.examples import TESTS, examples, ours, own_tests
from support.forms import some

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import JSON, TEXT
from corpuscurate.core.stage import Edit, GlobalStage, Outcome, Stage, StreamingStage

TEXTS = [
    "",
    " \n\t",
    "one",
    "𝒳𝒴😀",
    "The rules of the house, and that is it. " * 20,
    "- a\r\n- b\r\n* c…\n",
    "e\u0301 \ufeff\0 x\x0cy",
    "漢字とかな、กิน ຄົນ",
    "# # # ...",
    "the " * 60,
    "the and of " * 30,
    "👩\u200d👩\u200d👧 🇩🇪 ❤\ufe0f",
    "a" * 3000,
    "Straße STRASSE ﬁn ½",
    "one",
    "\U0010ffff\U0001fffe\uffff",
    "2021-11-20 12:34:56; 1,000,000",
    "WHY SHOUT? http://example.org/a?b=c <b>bold</b> {x: [1]} lorem ipsum",
    "Write to jo@example.org, or to 8.8.8.8 &amp; +44 20 7946 0958<br>now",
]
URLS = ['"http://www.example.org/a?b=c"', '"https://a.B.example.net"', None, "5", '"http://x.test/bad-word"', '""']
SCORES = ["1", "0.2", '"x"', None, "null", "true", "12345678901234567890", "-1e400", "[1]", "{}", "0.6", "2"]
LANGS = ['"en"', '"de"', '"fr"', None, "null", "5", '"\\u0065n"', '"\\ud800"']


def json_column(values: list[str | None], rows: int) -> pa.Array:
    column = [values[row % len(values)] for row in range(rows)]
    return pa.ExtensionArray.from_storage(JSON, pa.array(column, TEXT))


def batch_of(texts: list[str]) -> Batch:
    rows = len(texts)
    return Batch(
        np.arange(rows, dtype=np.uint64) * np.uint64(7),
        pa.array(texts, TEXT),
        np.full(rows, 100, np.int64),
        columns={"score": json_column(SCORES, rows), "lang": json_column(LANGS, rows), "url": json_column(URLS, rows)},
    )


def made(base: type[Stage], **more: Any) -> list[Any]:
    found = []
    for word, kind in ours().items():
        for number, parameters in enumerate(examples(word, kind)):
            if issubclass(kind, base):
                found.append(pytest.param(kind(**parameters, **more), id=f"{word}-{number}"))
    return found


every = pytest.mark.parametrize("stage", made(Stage))
streaming = pytest.mark.parametrize("stage", made(StreamingStage))
tagging = pytest.mark.parametrize("stage", made(StreamingStage, mode="tag"))
globally = pytest.mark.parametrize("stage", made(GlobalStage))


def rows_of(outcome: Outcome, batch: Batch) -> dict[str, list[Any]]:
    """Everything an outcome says, by row, in a form that can be joined and compared."""
    text = batch.text if outcome.text is None else outcome.text
    reason = np.zeros(len(batch), np.int16) if outcome.reason is None else outcome.reason
    value = np.full(len(batch), np.nan) if outcome.value is None else outcome.value
    found = {"text": text.to_pylist(), "reason": reason.tolist(), "value": value.view(np.int64).tolist()}
    for place, columns in (("columns", outcome.columns), ("measures", outcome.measures)):
        found |= {f"{place}.{name}": column.to_pylist() for name, column in columns.items()}
    return found


def joined(parts: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def sum_of(edits: list[dict[str, Edit]]) -> dict[str, Edit]:
    total: dict[str, Edit] = {}
    for part in edits:
        for reason, edit in part.items():
            total[reason] = total[reason] + edit if reason in total else edit
    return total


@pytest.mark.parametrize("word", sorted(ours()))
def test_a_stage_has_tests_of_its_own_and_an_example(word):
    assert (TESTS / f"test_{word}.py").exists()
    assert examples(word, ours()[word]), f"tests/stages/test_{word}.py must define EXAMPLES"


@pytest.mark.parametrize("word", sorted(ours()))
def test_a_stage_documents_itself(word):
    kind = ours()[word]
    assert kind.__module__ == f"corpuscurate.stages.{word}"
    assert kind.__doc__
    assert kind.__doc__ != Stage.__doc__
    assert bool(kind.source) != getattr(own_tests(word), "UNPUBLISHED", False)
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
    assert issubclass(kind, StreamingStage) != issubclass(kind, GlobalStage)


@every
def test_a_stage_is_a_frozen_picklable_value(stage):
    assert pickle.loads(pickle.dumps(stage)) == stage  # noqa: S301
    with pytest.raises(ValidationError, match="frozen"):
        stage.mode = "tag"
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(stage)(**stage.parameters(), no_such_parameter=1)


@every
def test_parameters_are_plain_and_make_the_same_stage(stage):
    plain = orjson.loads(orjson.dumps(stage.parameters()))
    assert type(stage)(**plain) == stage


@every
def test_declarations_have_their_types(stage):
    assert all(isinstance(column, str) for column in stage.reads())
    assert all(isinstance(kind, pa.DataType) for kind in [*stage.adds().values(), *stage.measures().values()])
    assert all(bound is None or isinstance(bound, int | float) for bound in stage.rules().values())
    assert not set(stage.adds()) & set(stage.measures())


def check(stage: StreamingStage, batch: Batch, outcome: Outcome) -> None:
    """What holds of every outcome."""
    rows = len(batch)
    if outcome.text is not None:
        assert stage.edits_text
        assert outcome.text.type == TEXT
        assert len(outcome.text) == rows
        assert outcome.text.null_count == 0
        outcome.text.validate(full=True)
        if not outcome.edits:
            assert outcome.text.equals(batch.text)
    assert {name: column.type for name, column in outcome.columns.items()} == dict(stage.adds())
    measured = {name: column.type for name, column in outcome.measures.items()}
    assert measured.items() <= dict(stage.measures()).items()  # of the rules in force, always
    if stage.mode == "tag":
        assert measured == dict(stage.measures())
    assert all(len(column) == rows for column in [*outcome.columns.values(), *outcome.measures.values()])
    assert all(edit.documents > 0 for edit in outcome.edits.values())
    thresholds = [None, *stage.rules().values()]
    if outcome.reason is None:
        assert outcome.value is None
        return
    assert outcome.reason.dtype == np.int16
    assert outcome.reason.shape == (rows,)
    assert rows == 0 or (outcome.reason.min() >= 0 and outcome.reason.max() < len(thresholds))
    value = np.full(rows, np.nan) if outcome.value is None else outcome.value
    assert value.dtype == np.float64
    measured = np.array([thresholds[reason] is not None for reason in outcome.reason], bool)
    assert (np.isnan(value) == ~measured).all()  # nan exactly where kept, or where nothing is measured


@streaming
def test_outcome_is_as_declared(stage):
    batch = batch_of(TEXTS)
    check(stage, batch, stage.apply(batch))


@tagging
def test_outcome_in_mode_tag_is_as_declared(stage):
    batch = batch_of(TEXTS)
    check(stage, batch, stage.apply(batch))


@streaming
def test_the_example_does_something_and_not_everything(stage):
    outcome = stage.apply(batch_of(TEXTS))
    if outcome.reason is not None:
        assert 0 < np.count_nonzero(outcome.reason) < len(TEXTS)
    else:
        assert outcome.edits or outcome.columns


@tagging
def test_mode_does_not_change_the_verdict(stage):
    batch = batch_of(TEXTS)
    dropping = rows_of(type(stage)(**(stage.parameters() | {"mode": "drop"})).apply(batch), batch)
    tagged = rows_of(stage.apply(batch), batch)
    assert tagged.keys() >= dropping.keys()
    assert all(name in dropping or name.startswith("measures.") for name in tagged)
    if stage.edits_text and stage.rules():  # what drops and edits, does neither where it tags
        assert tagged.pop("text") == TEXTS
        del dropping["text"]
    assert {name: tagged[name] for name in dropping} == dropping


@tagging
@settings(max_examples=some(30), deadline=None)
@given(texts=st.lists(st.sampled_from(TEXTS), max_size=12), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_any_split_into_batches_gives_the_same_rows(stage, texts, cuts):
    whole = batch_of(texts)
    borders = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [whole.slice(start, stop) for start, stop in pairwise(borders)]  # also empty ones
    outcomes = [stage.apply(part) for part in parts]
    once = stage.apply(whole)
    assert joined([rows_of(o, part) for o, part in zip(outcomes, parts, strict=True)]) == rows_of(once, whole)
    assert sum_of([dict(outcome.edits) for outcome in outcomes]) == dict(once.edits)


@tagging
@settings(max_examples=some(30), deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=5))
def test_any_text_is_handled(stage, texts):
    batch = batch_of(texts)
    outcome = stage.apply(batch)
    check(stage, batch, outcome)
    again = stage.apply(batch)
    assert rows_of(again, batch) == rows_of(outcome, batch)


@tagging
def test_slices_and_empty_batches(stage):
    whole = batch_of(TEXTS)
    rows = rows_of(stage.apply(whole), whole)
    for start, stop in [(3, 9), (15, 18), (0, 0), (18, 18)]:
        part = whole.slice(start, stop)
        outcome = stage.apply(part)
        check(stage, part, outcome)
        assert rows_of(outcome, part) == {name: values[start:stop] for name, values in rows.items()}


@streaming
def test_a_very_long_document(stage):
    long = "The quick brown 🦊 jumps over the lazy dog, and ... that is # all.\r\n" * some(300_000)
    batch = batch_of(["one", long, "two"])
    assert batch.text_bytes > some(20_000_000)
    outcome = stage.apply(batch)
    check(stage, batch, outcome)
    small = batch_of(["one", "", "two"])
    found, alone = rows_of(outcome, batch), rows_of(stage.apply(small), small)
    assert {name: values[::2] for name, values in found.items()} == {
        name: values[::2] for name, values in alone.items()
    }


def sketch_rows(stage: GlobalStage, batch: Batch) -> dict[str, list[Any]]:
    columns = stage.sketch(batch)
    schema = stage.sketch_schema()
    assert list(columns) == schema.names
    assert [column.type for column in columns.values()] == schema.types
    assert all(len(column) == len(batch) for column in columns.values())
    return {name: column.to_pylist() for name, column in columns.items()}


@globally
@settings(max_examples=some(20), deadline=None)
@given(texts=st.lists(st.sampled_from(TEXTS), max_size=12), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_any_split_into_batches_gives_the_same_sketches(stage, texts, cuts):
    whole = batch_of(texts)
    borders = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [whole.slice(start, stop) for start, stop in pairwise(borders)]
    assert joined([sketch_rows(stage, part) for part in parts]) == sketch_rows(stage, whole)


@globally
def test_a_sketch_tells_documents_apart_and_equal_ones_not(stage):
    batch = batch_of(TEXTS)
    columns = sketch_rows(stage, batch)
    rows = list(zip(*columns.values(), strict=True))
    assert len({orjson.dumps(row, option=orjson.OPT_PASSTHROUGH_DATETIME, default=str) for row in rows}) > 5
    twice = batch_of([TEXTS[2], TEXTS[2]])  # equal in all that the stage reads: its columns, too
    alike = {name: pa.concat_arrays([column.slice(0, 1)] * 2) for name, column in twice.columns.items()}
    found = sketch_rows(stage, twice.with_columns(alike))
    assert all(first == second for first, second in found.values())


@globally
def test_what_a_global_stage_declares(stage):
    assert "doc_id" not in stage.sketch_schema().names
    asked, own = stage.sketch_parameters(), stage.parameters()
    given = {name for name in asked.keys() & own.keys() if own[name] is not None}  # None: left to the stage
    assert {name: asked[name] for name in given} == {name: own[name] for name in given}
    assert orjson.dumps(asked)
    assert set(stage.tag_defaults()) <= {*stage.measures(), *stage.adds()}
    assert stage.rules()


@globally
def test_sketches_for_an_index_are_the_stage_s_own_with_fewer_columns(stage):
    other = stage.for_index()
    assert other.index_header() == stage.index_header()
    assert (other.word, other.label) == (stage.word, stage.label)
    own, found = sketch_rows(stage, batch_of(TEXTS)), sketch_rows(other, batch_of(TEXTS))
    assert found == {name: own[name] for name in found}
