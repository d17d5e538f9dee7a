"""How often rules fail alone and together, against counts document by document."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate import curate
from corpuscurate.commands.summary import print_failed
from corpuscurate.core.stage import FAILED
from corpuscurate.engine.failed_rules import add_counts, count_failed, failed_row

NAMES = ["min_a", "max_a", "min_b", "max_c"]


def lists(documents):
    rows = [
        None if each is None else [{"rule": rule, "value": 0.5, "threshold": None} for rule in sorted(each)]
        for each in documents
    ]
    return pa.array(rows, FAILED)


@given(st.lists(st.none() | st.sets(st.integers(1, len(NAMES)))), st.integers(0, 10), st.integers(0, 3))
def test_counts_are_those_of_a_count_by_hand(documents, cut, skipped):
    batches = [lists(documents[:cut]), lists([None] * skipped + documents[cut:]).slice(skipped)]
    found = failed_row(add_counts(count_failed(each, NAMES) for each in batches), NAMES)
    sets = [{NAMES[rule - 1] for rule in each} for each in documents if each]
    wanted = {}
    for rule in NAMES:
        having = [each for each in sets if rule in each]
        together = {other: sum(other in each for each in having) for other in NAMES if other != rule}
        if having:
            wanted[rule] = {
                "documents": len(having),
                "alone": sum(each == {rule} for each in having),
                "together": {other: count for other, count in together.items() if count},
            }
    assert found == wanted
    assert list(found) == [name for name in NAMES if name in found]


TEXTS = ["", "one two three", "words enough " * 30, "a b c d e f", "x" * 30]
STAGE = {"length": {"min_words": 3, "min_characters": 20, "reasons": "all"}}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["drop", "tag"])
def test_the_report_tells_them_in_either_mode(workers, mode, capsys):
    table = pa.table({"text": TEXTS * 3})
    report = curate(table, [{"length": {**STAGE["length"], "mode": mode}}], workers=workers).report
    (row,) = report["stages"]
    assert row["failed"] == {
        "min_words": {"documents": 6, "alone": 3, "together": {"min_characters": 3}},
        "min_characters": {"documents": 9, "alone": 6, "together": {"min_words": 3}},
    }
    assert row["reasons"] == {"min_words": 6, "min_characters": 6}
    print_failed(row)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "min_" in line] == [["min_words", "6", "3"], ["min_characters", "9", "6"]]


def test_a_stage_that_tells_the_first_rule_has_no_such_counts(capsys):
    (row,) = curate(pa.table({"text": TEXTS}), [{"length": {"min_words": 3}}]).report["stages"]
    assert "failed" not in row
    print_failed(row)
    assert capsys.readouterr().out == ""
