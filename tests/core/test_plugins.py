"""What other packages bring is found by entry points, once a process."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from corpuscurate.core import plugins


def test_entry_points_are_loaded_once_and_a_broken_one_is_named(monkeypatch):
    asked = []
    points = {
        "test.good": [EntryPoint("dumps", "json:dumps", "test.good")],
        "test.bad": [EntryPoint("mine", "json:no_such_name", "test.bad")],
    }
    monkeypatch.setattr(plugins, "_LOADED", set())
    monkeypatch.setattr(plugins, "entry_points", lambda group: asked.append(group) or points[group])
    plugins.load_plugins("corpuscurate.io", "test.good")
    plugins.load_plugins("corpuscurate.io", "test.good")
    assert asked == ["test.good"]
    for _ in range(2):  # an error is not forgotten
        with pytest.raises(AttributeError, match="no_such_name") as error:
            plugins.load_plugins("corpuscurate.io", "test.good", "test.bad")
        assert error.value.__notes__ == [
            "while loading the entry point mine = 'json:no_such_name' of the group test.bad"
        ]


@pytest.mark.parametrize(
    ("ask", "groups"),
    [
        ("corpuscurate.io.base:input_formats", ["corpuscurate.readers", "corpuscurate.writers"]),
        ("corpuscurate.methods.embed.base:embedder_kinds", ["corpuscurate.embedders"]),
        ("corpuscurate.core.stage:stage_classes", ["corpuscurate.stages"]),
    ],
)
def test_each_registry_has_its_groups(monkeypatch, ask, groups):
    known = EntryPoint("ask", ask, "").load()
    before = known()
    asked = []
    monkeypatch.setattr(plugins, "_LOADED", set())
    monkeypatch.setattr(plugins, "entry_points", lambda group: asked.append(group) or [])
    assert known() == before
    assert asked == groups
