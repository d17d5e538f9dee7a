from __future__ import annotations

import json
import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.dedup import DoubleCorpus, make_batch
from support.forms import some

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.columns import group_names
from corpuscurate.core.tables import read_table
from corpuscurate.methods import top_fraction as selection
from corpuscurate.pipeline import curate
from corpuscurate.stages.keep_best import KeepBest

EXAMPLES = [
    {"by": "score", "fraction": 0.4},
    {"by": "score", "fraction": 0.5, "group": "lang"},
    {"by": "score", "stochastic": {"pareto_alpha": 9}},
]


def best(rows, fraction, ascending=False):
    """From the definition: sort each group, keep the first ceil(fraction * n). rows: (doc_id, score or None, group)."""
    groups = defaultdict(list)
    for doc_id, score, group in rows:
        last = score is None or not math.isfinite(score)
        key = 0.0 if last else (score if ascending else -score)
        groups[group].append((last, key, doc_id))
    kept = set()
    for members in groups.values():
        count = math.ceil(Fraction(str(fraction)) * len(members))
        kept |= {doc_id for _, _, doc_id in sorted(members)[:count]}
    return kept


def settle(tmp_path, stage, rows, splits=3, **more):
    per = max(1, -(-len(rows) // splits))
    batches = []
    for start in range(0, max(len(rows), 1), per):
        part = rows[start : start + per]
        columns = {
            "s": pa.array([score for _, score, _ in part], pa.float64()),
            "g": pa.array([group for *_, group in part], pa.string()),
        }
        batches.append([make_batch(["x"] * len(part), [doc_id for doc_id, *_ in part], columns)])
    corpus = DoubleCorpus(stage, batches, tmp_path, **more)
    return stage.settle(corpus)


def dropped(settled):
    tables = [read_table(path) for path in settled.drops]
    ids = [doc_id for table in tables for doc_id in table["doc_id"].to_pylist()]
    assert ids == sorted(ids)
    return ids


SCORES = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 0.5, 0.5000001, 1.0, -3.0, 1e300, float("inf")]), st.floats())
ROWS = st.lists(st.tuples(SCORES, st.sampled_from(["a", "b", None])), max_size=25)


@settings(max_examples=some(60), deadline=None)
@given(
    rows=ROWS,
    fraction=st.sampled_from([0.1, 0.3, 0.5, 0.999, 1.0]),
    grouped=st.booleans(),
    order=st.sampled_from(["desc", "asc"]),
    workers=st.sampled_from([1, 4]),
)
def test_equal_to_sorting(tmp_path_factory, rows, fraction, grouped, order, workers):
    rows = [(7 * i, score, group) for i, (score, group) in enumerate(rows)]
    stage = KeepBest(by="s", fraction=fraction, group="g" if grouped else None, order=order)
    settled = settle(tmp_path_factory.mktemp("keep"), stage, rows, workers=workers)
    plain = [(doc_id, score, group if grouped else None) for doc_id, score, group in rows]
    assert set(dropped(settled)) == {doc_id for doc_id, *_ in rows} - best(plain, fraction, order == "asc")
    assert settled.stats["kept"] == len(rows) - len(dropped(settled))


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("form", ["jsonl", "parquet", "both"])
@pytest.mark.campaign(2)
def test_integers_beyond_double_are_told_apart(tmp_path, form, order):
    """2^53 and 2^53 + 1 are one float64, as are the neighbours of 2^63 and 2^64."""
    scores = [2**53 + 1, 2**53, 2**53 + 2, 2**63 + 1, 2**63, 2**64 - 3, 2**64 - 2, 5]
    for half, values in enumerate((scores[::2], scores[1::2])):
        table = pa.table({"text": [str(v) for v in values], "s": pa.array(values, pa.uint64())})
        if form == "jsonl" or (form == "both" and half):
            lines = [f'{{"text": "{value}", "s": {value}}}\n' for value in values]
            (tmp_path / f"{half}.jsonl").write_text("".join(lines))
        else:
            pq.write_table(table, tmp_path / f"{half}.parquet")
    for kept in range(1, len(scores)):
        stage = KeepBest(by="s", fraction=kept / len(scores), order=order)
        out = tmp_path / f"out{kept}"
        source = Source(paths=tuple(str(path) for path in sorted(tmp_path.glob("?.*"))))
        report = Pipeline(source, (stage,), Sink(path=str(out), format="jsonl"), Settings(workers=1)).run()
        rows = [json.loads(line) for path in (out / "data").iterdir() for line in path.read_text().splitlines()]
        best = sorted(scores, reverse=order == "desc")[:kept]
        assert sorted((row["s"] for row in rows), reverse=order == "desc") == best
        assert report["stages"][0]["stats"]["threshold"] == best[-1]


def test_ties_go_to_the_lowest_doc_id_across_files(tmp_path):
    rows = [(i, 0.5, None) for i in range(20)]
    assert dropped(settle(tmp_path, KeepBest(by="s", fraction=0.35), rows, splits=5)) == list(range(7, 20))


def test_the_fraction_is_meant_as_it_is_written(tmp_path):
    # 0.07 * 100 is 7.000000000000001 in floating point; seven documents are kept, not eight
    rows = [(i, float(i), None) for i in range(100)]
    assert len(dropped(settle(tmp_path, KeepBest(by="s", fraction=0.07), rows))) == 93


def test_what_an_earlier_stage_dropped_does_not_count(tmp_path):
    rows = [(i, float(i), None) for i in range(10)]
    settled = settle(tmp_path, KeepBest(by="s", fraction=0.5), rows, gone=frozenset({9, 8, 7, 6}))
    assert dropped(settled) == [0, 1, 2]
    assert settled.stats["documents"] == 6


@pytest.mark.parametrize("counter_bytes", [8 << 16, 1 << 11, 64])
def test_counters_of_any_size_give_the_same(tmp_path, monkeypatch, counter_bytes):
    monkeypatch.setattr(selection, "COUNTER_BYTES", counter_bytes)
    draw = np.random.default_rng(5)
    rows = [(i, float(s), g) for i, (s, g) in enumerate(zip(draw.normal(size=200), draw.choice(["a", "b"], 200)))]  # noqa: B905
    settled = settle(tmp_path, KeepBest(by="s", fraction=0.3, group="g"), rows)
    assert set(dropped(settled)) == set(range(200)) - best(rows, 0.3)


def test_stats(tmp_path):
    rows = [(i, i / 10, "a" if i < 6 else "b") for i in range(10)]
    stats = settle(tmp_path, KeepBest(by="s", fraction=0.5, group="g"), rows).stats
    assert (stats["documents"], stats["kept"], stats["fraction"]) == (10, 5, 0.5)
    assert stats["largest_groups"] == [
        {"group": "a", "documents": 6, "kept": 3, "threshold": 0.3},
        {"group": "b", "documents": 4, "kept": 2, "threshold": 0.8},
    ]
    assert stats["histogram"]["span"] == (0.0, 0.9)
    assert sum(stats["histogram"]["documents"]) == 10
    assert sum(stats["histogram"]["kept"]) == 5


def test_stochastic_keeps_by_the_published_chance(tmp_path):
    # P(draw > 1 - s) = (2 - s)^-9 for the Pareto (Lomax) distribution of NumPy with alpha 9
    size = 40_000
    rows = [(i * 977, 0.9 if i % 2 else 0.6, None) for i in range(size)]
    settled = settle(tmp_path, KeepBest(by="s", stochastic={"pareto_alpha": 9}), rows)
    gone = set(dropped(settled))
    for score, first in ((0.6, 0), (0.9, 1)):
        kept = sum(doc_id not in gone for doc_id, *_ in rows[first::2]) / (size / 2)
        chance = (2 - score) ** -9
        assert abs(kept - chance) < 4 * math.sqrt(chance * (1 - chance) / (size / 2))


def test_stochastic_repeats_and_its_seed_matters(tmp_path):
    rows = [(i, 0.7, None) for i in range(500)]
    stage = {"by": "s", "fraction": 0.2, "stochastic": {}}
    one, two = (dropped(settle(tmp_path / name, KeepBest(**stage), rows, splits=n)) for name, n in (("a", 2), ("b", 5)))
    other = dropped(settle(tmp_path / "c", KeepBest(**{**stage, "stochastic": {"seed": 1}}), rows))
    assert one == two != other
    assert len(one) == len(other) == 400


def test_in_a_whole_run_by_a_column_of_an_earlier_stage():
    texts = ["one two three " * n for n in range(1, 11)]
    table = pa.table({"text": texts, "lang": ["en", "de"] * 5})
    stages = [{"length": {}, "mode": "tag"}, {"keep_best": {"by": "length.words", "fraction": 0.2, "group": "lang"}}]
    found = curate(table, stages)
    assert found.kept["text"].to_pylist() == texts[8:]
    assert set(found.dropped["reason"].to_pylist()) == {"not_among_best"}
    assert found.dropped["value"].to_pylist() == [3.0 * n for n in range(1, 9)]


def test_tagging_drops_nothing():
    table = pa.table({"text": list("abcd"), "q": [1, 4, None, 3]})
    found = curate(table, [{"keep_best": {"by": "q", "fraction": 0.5}, "mode": "tag"}])
    assert found.kept["keep_best.is_kept"].to_pylist() == [False, True, False, True]


def test_no_scores_at_all_is_told():
    table = pa.table({"text": list("abcd"), "q": ["x"] * 4})
    found = curate(table, [{"keep_best": {"by": "q", "fraction": 0.5}}])
    assert found.kept["text"].to_pylist() == ["a", "b"]
    assert any("no document has a number in the column 'q'" in text for text in found.report["warnings"])


def test_group_names_of_any_type():
    assert group_names(pa.array([1, None, 3])).to_pylist() == ["1", None, "3"]
    assert group_names(pa.array([True, None])).to_pylist() == ["true", None]
    assert group_names(pa.array([None, None], pa.string())).to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "s"}, "keep_best needs `fraction`, such as 0.1, or `stochastic`"),
        ({"by": "s", "fraction": 0}, "greater than 0"),
        ({"by": "s", "fraction": 1.5}, "less than or equal to 1"),
        ({"by": "s", "stochastic": {}, "order": "asc"}, "order must be desc"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        KeepBest(**parameters)
