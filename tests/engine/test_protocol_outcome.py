"""What a streaming stage may tell: thresholds a document, every rule that failed, measures as histograms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from naive.histogram import bin_edges
from support.protocol import Judge, files_of, judge, pipeline, read_part, rows_of, write_input

from corpuscurate.core.histogram import count_bins, histogram, merge_bins
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.normalize import Normalize

STAGE = Judge(name="judge")


def wanted_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of dropped/ as naive code makes them."""
    names, own = list(STAGE.rules()), list(STAGE.rules().values())
    rows = []
    for each in records:
        said = judge(STAGE, each["text"], each["lang"])
        if not said["reason"]:
            continue
        failed = said["failed"] and [
            {
                "reason": names[rule["rule"] - 1],
                "value": rule["value"],
                "threshold": own[rule["rule"] - 1] if rule["threshold"] is None else rule["threshold"],
            }
            for rule in said["failed"]
        ]
        threshold = own[said["reason"] - 1] if math.isnan(said["threshold"]) else said["threshold"]
        rows.append(
            {
                "id": each["id"],
                "reason": names[said["reason"] - 1],
                "value": said["value"],
                "threshold": threshold,
                "failed": failed,
            }
        )
    return rows


def told(out: Path) -> list[dict[str, Any]]:
    keys = ("id", "reason", "value", "threshold", "failed")
    return [{key: row[key] for key in keys} for row in rows_of(out / "dropped") if row["stage"] == "judge"]


@pytest.mark.parametrize(("kind", "workers"), [("jsonl", 1), ("jsonl", 2), ("parquet", 1)])
def test_dropped_tells_the_thresholds_of_the_document_and_every_rule_that_failed(
    tmp_path: Path, kind: str, workers: int
) -> None:
    records = write_input(tmp_path / "in", kind)
    pipeline(tmp_path, [STAGE], dropped_text=True).run(workers=workers)
    wanted = wanted_rows(records)
    assert {len(row["failed"] or ()) for row in wanted} == {0, 1, 2}
    assert len({row["threshold"] for row in wanted}) > 2
    assert told(tmp_path / "out") == wanted


def test_several_passes_and_a_resume_keep_them(tmp_path: Path) -> None:
    records = write_input(tmp_path / "in")
    stages = [Normalize(), Exact(), STAGE, Exact(name="again")]
    pipeline(tmp_path, stages, retain="all").run()
    first = files_of(tmp_path / "out")
    unique = list({each["text"]: each for each in reversed(records)}.values())
    wanted = wanted_rows(sorted(unique, key=lambda each: each["n"]))
    assert told(tmp_path / "out") == wanted
    (tmp_path / "out" / "report.json").unlink()
    pipeline(tmp_path, stages, retain="all").run()
    assert files_of(tmp_path / "out") == first


@pytest.mark.parametrize("mode", ["drop", "tag"])
def test_measures_are_in_the_report_always_and_columns_where_they_tag(tmp_path: Path, mode: Any) -> None:
    records = write_input(tmp_path / "in")
    report = pipeline(tmp_path, [Judge(name="judge", mode=mode)], batch_bytes=300).run()
    assert report == orjson.loads((tmp_path / "out" / "report.json").read_bytes())
    (row,) = report["stages"]
    words = [len(each["text"].split()) for each in records]
    exact = [[n, words.count(n)] for n in sorted(set(words)) if n < 32]
    assert [[low, count] for low, _, count in row["measures"]["words"] if low < 32] == exact
    for name in ("words", "characters", "has_digit"):
        assert sum(count for _, _, count in row["measures"][name]) == len(records)
    kept = rows_of(tmp_path / "out" / "data")
    names = {name for name in kept[0] if name.startswith("judge.")}
    assert names == ({"judge.words", "judge.characters", "judge.has_digit"} if mode == "tag" else set())
    if mode == "tag":
        assert [each["judge.words"] for each in kept] == words


def test_bins_agree_with_their_definition() -> None:
    rng = np.random.default_rng(5)
    special = [0.0, -0.0, 1e308, -1e308, 5e-324, -5e-324, np.nan, np.inf, -np.inf, 1.7976931348623157e308, 2.0, -3.0]
    values = np.concatenate(
        [special, rng.normal(size=200) * 10.0 ** rng.integers(-300, 300, 200), rng.integers(-40, 40, 300)]
    )
    rows = histogram(merge_bins([count_bins(values[:100]), count_bins(values[100:])]))
    wanted: dict[tuple[float, float], int] = {}
    for value in values.tolist():
        if math.isfinite(value):
            wanted[bin_edges(value)] = wanted.get(bin_edges(value), 0) + 1
    assert [((low, high), count) for low, high, count in rows] == sorted(wanted.items())
    assert orjson.loads(orjson.dumps(rows)) == rows
    assert histogram(count_bins(np.array([True, False, True]))) == [[0.0, rows_of_zero(), 1], [1.0, 1.0625, 2]]
    assert histogram(count_bins(np.arange(1, 32))) == [[n, bin_edges(float(n))[1], 1] for n in range(1, 32)]
    assert histogram(count_bins(np.array([np.nan]))) == []


def rows_of_zero() -> float:
    """The upper edge of the bin of 0."""
    return bin_edges(0.0)[1]


def test_large_integers_are_counted(tmp_path: Path) -> None:
    from support.protocol_measures import Large

    records = write_input(tmp_path / "in", files=1)
    report = pipeline(tmp_path, [Large(name="large")]).run()
    measures = report["stages"][0]["measures"]
    for name in ("large", "half"):
        assert sum(count for _, _, count in measures[name]) == len(records)
    assert "names" not in measures
    assert read_part(next((tmp_path / "out" / "data").iterdir()))


@pytest.mark.parametrize("fault", ["reason", "failed"])
def test_what_a_stage_tells_wrongly_names_it(tmp_path: Path, fault: str) -> None:
    from support.protocol_measures import TellsWrongly

    from corpuscurate.core.errors import StageError

    write_input(tmp_path / "in", files=1)
    with pytest.raises(StageError, match=rf"(?s)stage 'mine' failed on documents .*{fault} is .*in in/in-0\.jsonl"):
        pipeline(tmp_path, [TellsWrongly(name="mine", fault=fault)]).run()
