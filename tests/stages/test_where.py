from __future__ import annotations

import json
import warnings

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.expression import holds as naive_holds
from pydantic import ValidationError
from support.forms import some

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import JSON, TEXT
from corpuscurate.stages.where import Where

EXAMPLES = [{"expression": "score > 0.5 and lang in ['en', 'de'] or len(text) == 3"}]
UNPUBLISHED = True

ABSENT = object()


def as_json(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, int) else orjson.dumps(value).decode()


def json_column(values):
    texts = [None if value is ABSENT else as_json(value) for value in values]
    return pa.ExtensionArray.from_storage(JSON, pa.array(texts, TEXT))


def batch_of(columns, texts):
    return Batch(
        np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64), columns=columns
    )


def found(expression, **columns):
    """True, False or None for each row."""
    size = len(next(iter(columns.values())))
    text = columns.pop("text", [""] * size)
    arrays = {name: values if isinstance(values, pa.Array) else json_column(values) for name, values in columns.items()}
    outcome = Where(expression=expression).apply(batch_of(arrays, text))
    return [{0: True, 1: False, 2: None}[reason] for reason in outcome.reason.tolist()]


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("x > 0.5", [1, 0.5, "1", True, None, ABSENT, [1], 0.51], [True, False, None, None, None, None, None, True]),
        ("x == 'en'", ["en", "de", 1, None, ABSENT, "e\u006e"], [True, False, None, None, None, True]),
        ("x", [True, False, 1, "true", None], [True, False, None, None, None]),
        ("not x", [True, False, 1], [False, True, None]),
        ("x == True", [True, False, 1], [True, False, None]),
        ("x in ['en', 5]", ["en", "de", 5, 6, True, None], [True, False, True, False, None, None]),
        ("x not in ['en']", ["en", "de", 5], [False, True, None]),
        ("is_null(x)", [None, ABSENT, 0, "", False], [True, True, False, False, False]),
        ("is_null(x) or x > 1", [None, ABSENT, 0, 2, "a"], [True, True, False, True, None]),
        ("x > 1 and 1 > 2", [2, "a", None], [False, False, False]),
        ("x > 1 or 2 > 1", [0, "a", None], [True, True, True]),
        ("0 < x <= 1", [0, 0.5, 1, 1.1, "a"], [False, True, True, False, None]),
        ("x / 0 > 1", [1, 0, -1], [None, None, None]),
        ("x * 2 - 1 == 5", [3, 2, "a"], [True, False, None]),
        ("-x < -2", [3, 2], [True, False]),
        ("len(x) == 2", ["ab", "𝒳ü", "a", 22], [True, True, False, None]),
        ("startswith(lower(x), 'ä')", ["ÄB", "äb", "b", 1], [True, True, False, None]),
        ("endswith(x, '.') or contains(x, '..')", ["a.", "..a", "a"], [True, True, False]),
        ("x < 'é'", ["e", "é", "𝒳"], [True, False, False]),
        ("x == '\\n\"'", ['\n"', "n"], [True, False]),
        ("x\n  == 1  # a remark", [1, 2], [True, False]),
    ],
)
def test_golden(expression, values, expected):
    assert found(expression, x=values) == expected


def test_integers_beyond_2_to_the_53_are_exact():
    big = 2**53
    values = [big, big + 1, big + 2, str(big + 1), float(big)]
    assert found(f"x == {big + 1}", x=values) == [False, True, False, None, True]  # a float compares as one
    assert found(f"x > {big}", x=values) == [False, True, True, None, False]
    assert found(f"x in [{big + 1}, 3]", x=[*values, 3]) == [False, True, False, None, True, True]
    assert found(f"x == {2**64 - 1}", x=pa.array([2**64 - 1, 2**64 - 2, None], pa.uint64())) == [True, False, None]
    assert found("x == 12345678901234567890", x=[12345678901234567890, 12345678901234567891]) == [True, False]
    assert found("x < y", x=[big, big + 1], y=pa.array([big + 1, big], pa.int64())) == [True, False]


def test_columns_against_columns():
    assert found("x == y", x=[1, "a", "1", True, None, 1.0], y=[1, "a", 1, True, None, 1]) == [
        True,
        True,
        None,
        True,
        None,
        True,
    ]
    assert found("x < y", x=[1, "a", True], y=[2, "b", False]) == [True, True, None]


def test_typed_columns():
    assert found("x > 1", x=pa.array([1, 2, None], pa.int32())) == [False, True, None]
    assert found("x > 1", x=pa.array([1.5, float("nan"), float("inf")])) == [True, None, None]
    assert found("x == 'a'", x=pa.array(["a", "b", None]).dictionary_encode()) == [True, False, None]
    assert found("x == 1", x=pa.array([1, 2]).dictionary_encode()) == [True, False]
    assert found("x", x=pa.array([True, None])) == [True, None]
    assert found("x == 'a'", x=pa.array([1, 2])) == [None, None]


def test_half_a_surrogate_pair_is_no_string():
    column = pa.ExtensionArray.from_storage(JSON, pa.array(['"\\ud800"', '"\\ud83d\\ude00"'], TEXT))
    assert found("x == '😀'", x=column) == [None, True]


def test_names_of_columns():
    stage = Where(expression="gopher_quality.words > 1 and col('my \"odd\" name') == 'x' or lang == col('text')")
    assert stage.reads() == ("gopher_quality.words", 'my "odd" name', "lang", "text")
    assert Where(expression="len(text) > 3").reads() == ()
    assert found("len(text) > 3", text=["four", "𝒳𝒳𝒳"], x=[1, 1]) == [True, False]


def test_reasons_and_tag():
    stage = Where(expression="x > 1", mode="tag")
    outcome = stage.apply(batch_of({"x": json_column([2, 1, "a"])}, ["", "", ""]))
    assert list(stage.rules()) == ["false", "undecided"]
    assert outcome.reason.tolist() == [0, 1, 2]
    assert outcome.measures["holds"].to_pylist() == [True, False, None]


NAMES = st.sampled_from(["a", "b", "c"])
NUMBER = st.one_of(
    NAMES, st.integers(-5, 5).map(str), st.sampled_from(["0.2", "9007199254740993", "-9007199254740993"])
)
ARITHMETIC = st.recursive(
    st.one_of(NUMBER, NAMES.map("len({})".format), st.just("len(text)")),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=3,
)
STRING = st.sampled_from(["a", "b", "'en'", "lower(a)", "text", "'ü𝒳'", "lower(text)", "''"])
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def chain(values):
    return st.tuples(values, OPERATORS, values, OPERATORS, values, st.booleans()).map(
        lambda t: " ".join(t[:5]) if t[5] else " ".join(t[:3])
    )


ATOM = st.one_of(
    chain(ARITHMETIC),
    chain(STRING),
    NAMES,
    st.sampled_from(["a == b", "a != c", "b < c", "a == True", "c != False", "True == b"]),
    st.tuples(
        NAMES, st.sampled_from(["in", "not in"]), st.sampled_from(["['en', 1]", "(True,)", "[0.2, 9007199254740993]"])
    ).map(" ".join),
    NAMES.map("is_null({})".format),
    st.tuples(
        st.sampled_from(["startswith", "endswith", "contains"]), STRING, st.sampled_from(["'e'", "''", "'X'", "'𝒳'"])
    ).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
)
EXPRESSIONS = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: " and ".join(f"({part})" for part in parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: " or ".join(f"({part})" for part in parts)),
    ),
    max_leaves=5,
)
CELL = st.sampled_from(
    [1, 0.2, 0, -5, "en", "EN", "", "ü𝒳", True, False, None, ABSENT, [1], 2**53, 2**53 + 1, -(2**53) - 1, 10**30]
)


@settings(max_examples=some(500), deadline=None)
@given(EXPRESSIONS, st.lists(st.tuples(CELL, CELL, CELL, st.sampled_from(["", "EN", "ü𝒳"])), min_size=1, max_size=5))
def test_equal_to_the_twin(expression, rows):
    records = [{name: value for name, value in zip("abc", row, strict=False) if value is not ABSENT} for row in rows]
    columns = {name: json_column([row[at] for row in rows]) for at, name in enumerate("abc")}
    try:
        stage = Where(expression=expression)
    except ValidationError as error:
        assert "is never compared with" in str(error) or "names no column" in str(error)
        return
    outcome = stage.apply(batch_of(columns, [row[3] for row in rows]))
    expected = [naive_holds(expression, record, row[3]) for record, row in zip(records, rows, strict=True)]
    assert [{0: True, 1: False, 2: None}[reason] for reason in outcome.reason.tolist()] == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "the expression is empty, at character 1"),
        ("lang = 'en'", "to compare write =="),
        ("x == $", "not an expression .*, at character 6"),
        ("__import__('os').system('ls')", "no such function, at character 1"),
        ("x.y() == 1", "no such function"),
        ("x[0] == 1", "an index cannot be used here, at character 1"),
        ("[y for y in x] == 1", "ListComp cannot be used here"),
        ("(lambda: 1)() == x", "no such function"),
        ("f'{x}' == 'a'", "an f-string cannot be used here"),
        ("(y := 1) == x", "NamedExpr cannot be used here"),
        ("x) or (y", "a bracket is closed that was never opened, at character 2"),
        ("x), (y", "a bracket is closed"),
        ("x, y", "Tuple cannot be used here"),
        ("x ** 2 > 1", "the operator Pow cannot be used"),
        ("x & y", "the operator BitAnd cannot be used: write and"),
        ("lang == None", r"use is_null\(column\), at character 9"),
        ("lang == true", "true is written True"),
        ("x is None", "`is` cannot be used"),
        ("1 < 2", "the expression names no column"),
        ("'a' in x", "expected a list of literals"),
        ("x in []", "expected a list of literals"),
        ("x in [y]", "expected a literal, at character 7"),
        ("len(x) == 'a'", "a number is never compared with a string, at character 11"),
        ("é == 'ü' and foo(1)", "no such function, at character 14"),
        ("x == 1 and\n  foo(x)", r"no such function, at character 14:\n      foo\(x\)\n      \^"),
        ("len(x, y) > 1", r"len\(\) takes 1 argument"),
        ("contains(x, y)", 'expected a string such as "x"'),
        ("x + 'a' > 1", "expected a number, found a string"),
        ("text", "expected true or false, found a string"),
        ("x < True", "have no order"),
        ("x == 1e999", "the number is too large"),
        (f"x == {10**38}", "the number is too large"),
        ("x == b'a'", "neither a number"),
        ("x == '\\ud800'", "half a surrogate pair"),
        ("x\0", "not an expression"),
        ("x" * 5000, "at most 4096"),
        ("not " * 200 + "x", "nested deeper than 64"),
        ("-" * 4000 + "x", "not an expression|nested deeper"),
        ("(" * 3000, "not an expression"),
        (" or ".join(["x"] * 200 + ["y ==== 1"]), "not an expression"),
    ],
)
def test_what_is_refused(expression, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValidationError, match=message) as caught:
            Where(expression=expression)
    assert len(str(caught.value)) < 2000


def test_refusals_say_what_is_allowed():
    with pytest.raises(ValidationError, match=r"allowed are:\n  columns     name, stage\.measure"):
        Where(expression="foo(x)")
