"""The short form of the tests leaves out cases of campaigns, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import conftest
import pytest
from support import forms


def item(nodeid, every=None):
    mark = None if every is None else SimpleNamespace(args=(every,))
    return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: mark if name == "campaign" else None)


def names(items):
    return [each.nodeid for each in items]


def chosen(monkeypatch, items, full=False, keyword="", args=("tests",)):
    monkeypatch.setattr(conftest, "FULL", full)
    left = []
    hook = SimpleNamespace(pytest_deselected=lambda items: left.extend(items))  # noqa: PLW0108  called by keyword
    config = SimpleNamespace(option=SimpleNamespace(keyword=keyword), args=list(args), hook=hook)
    conftest.pytest_collection_modifyitems(config, items)
    return names(items), names(left)


CASES = [f"a.py::test_grid[{n}]" for n in range(7)]


def mixed():
    return [item("a.py::test_plain"), *(item(name, 3) for name in CASES), item("b.py::test_grid[0]", 3)]


def test_every_third_case_of_a_campaign_and_its_first_stay(monkeypatch):
    kept, left = chosen(monkeypatch, mixed())
    assert kept == ["a.py::test_plain", *CASES[::3], "b.py::test_grid[0]"]
    assert sorted([*kept, *left]) == sorted(names(mixed()))


@pytest.mark.parametrize("wish", [{"full": True}, {"keyword": "grid"}, {"args": [CASES[1]]}])
def test_in_the_full_form_or_when_tests_are_named_all_stay(monkeypatch, wish):
    assert chosen(monkeypatch, mixed(), **wish) == (names(mixed()), [])


def test_examples(monkeypatch):
    monkeypatch.setattr(forms, "FULL", False)
    assert [forms.some(count) for count in (1, 4, 100, 30)] == [1, 1, 25, 8]
    monkeypatch.setattr(forms, "FULL", True)
    assert forms.some(100) == 100
