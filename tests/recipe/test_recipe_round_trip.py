from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.core.spec import Settings, Sink, Source, Spec
from corpuscurate.recipe.load import dump_recipe, spec_from_mapping, spec_to_mapping
from corpuscurate.recipe.yaml_tree import dump_yaml, parse_yaml
from corpuscurate.stages.gopher_quality import GopherQuality
from corpuscurate.stages.length import Length
from corpuscurate.stages.normalize import Normalize
from corpuscurate.stages.where import Where

WORDS = st.sampled_from(
    ["no", "on", "1e-3", "010", "1:30", "2020-01-01", "~", "", "- a", "a: b", "#", "*a", "&b", "<<"]
)
TEXT = st.one_of(st.text(min_size=1), WORDS.filter(bool))
PATH = TEXT.filter(lambda text: not text.startswith("~"))  # a home folder, which a recipe replaces
NAMES = st.none() | st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,10}\Z")
SIZES = st.integers(1, 1 << 40)
MODES = st.sampled_from(["drop", "tag"])
COUNTS = st.none() | st.integers(0, 1 << 62)
SHARES = st.none() | st.floats(0, 1)

STAGES = st.one_of(
    st.builds(Normalize, name=NAMES),
    st.builds(Length, name=NAMES, mode=st.just("tag"), min_words=COUNTS),
    st.builds(Length, name=NAMES, mode=MODES, min_bytes=st.integers(0, 9)),
    st.builds(Where, name=NAMES, mode=MODES, expression=TEXT.map(lambda text: f"lang == {text!r}")),
    st.builds(
        GopherQuality,
        name=NAMES,
        max_hash_ratio=SHARES,
        min_stop_words=st.just(1),
        stop_words=st.lists(st.sampled_from(["no", "on", "the", "null", "12"]), min_size=1, unique=True),
    ),
)
SPECS = st.builds(
    Spec,
    st.builds(
        Source,
        paths=st.lists(PATH, min_size=1).map(tuple),
        text=TEXT,
        id=st.none() | TEXT,
        format=st.sampled_from([None, "jsonl", "text"]),
        split_bytes=SIZES,
    ),
    st.lists(STAGES, max_size=5, unique_by=lambda stage: stage.label).map(tuple),
    st.builds(Sink, path=PATH, format=st.sampled_from(["parquet", "jsonl"]), dropped_text=st.booleans()),
    st.builds(Settings) | st.builds(Settings, workers=st.integers(1, 64), memory=st.integers(3 << 27, 1 << 45)),
)


@settings(max_examples=some(150), deadline=None)
@given(SPECS)
def test_a_spec_comes_back_from_its_recipe(spec):
    mapping = spec_to_mapping(spec)
    assert spec_from_mapping(mapping) == spec
    text = dump_recipe(spec)
    node = parse_yaml(text, "recipe.yaml")
    assert node.plain() == mapping
    assert spec_from_mapping(node.plain()) == spec


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=some(300), deadline=None)
@given(PLAIN)
def test_plain_values_come_back_from_yaml(value):
    text = dump_yaml({"x": value})
    assert parse_yaml(text, "f").plain() == {"x": value}
    assert yaml.safe_load(text) == {"x": value}


def test_only_what_differs_from_the_defaults_is_written():
    spec = Spec(
        Source(paths=("a",), text="text"),
        (Normalize(), Length(min_words=5, name="short"), Length(min_words=9, mode="tag")),
        Sink(path="o", part_bytes=1 << 20),
        Settings(workers=2),
    )
    assert dump_recipe(spec) == (
        "input:\n  paths:\n  - a\nstages:\n- normalize\n- length:\n    min_words: 5\n  name: short\n"
        "- length:\n    mode: tag\n    min_words: 9\noutput:\n  path: o\n  part_bytes: 1MiB\nrun:\n  workers: 2\n"
    )
