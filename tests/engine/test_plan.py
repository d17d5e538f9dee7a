"""Planning is pure: stages to passes, counts to parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage
from corpuscurate.engine.manifest import coalesce
from corpuscurate.engine.plan import (
    OutputPart,
    Pass,
    SplitCount,
    added_columns,
    cut_parts,
    cut_passes,
    edits_before,
    pack_writes,
    user_columns,
)
from corpuscurate.io.base import SourceFile, Span


class Sieve(StreamingStage):
    """A filter that reads a column and measures one."""

    def reads(self) -> tuple[str, ...]:
        return ("score", "mark.seen")

    def measures(self) -> Mapping[str, pa.DataType]:
        return {"size": pa.int64()}


class Mark(StreamingStage):
    """An annotator."""

    def adds(self) -> Mapping[str, pa.DataType]:
        return {"seen": pa.bool_()}


class Editor(StreamingStage):
    """A stage that edits text."""

    edits_text: ClassVar[bool] = True


class Whole(GlobalStage):
    """A global stage."""


def made(*kinds: str) -> list[Stage]:
    table: dict[str, Any] = {"s": Sieve, "m": Mark, "e": Editor, "g": Whole}
    return [table[kind](name=f"{kind}{place}") for place, kind in enumerate("".join(kinds))]


def test_a_new_pass_begins_where_a_streaming_stage_follows_a_global_one() -> None:
    assert cut_passes(made("ssgg")) == [Pass(0, (0, 1), (2, 3))]
    assert cut_passes(made("sgsg")) == [Pass(0, (0,), (1,)), Pass(1, (2,), (3,))]
    assert cut_passes(made("gs")) == [Pass(0, (), (0,)), Pass(1, (1,), ())]
    assert cut_passes([]) == [Pass(0, (), ())]


def test_edits_are_replayed_in_order_up_to_the_pass_asked_for() -> None:
    stages = made("esgeg")
    cut = cut_passes(stages)
    assert edits_before(stages, cut, -1) == ()
    assert edits_before(stages, cut, 0) == (stages[0],)
    assert edits_before(stages, cut, 1) == (stages[0], stages[3])


def test_columns_added_and_columns_of_the_user() -> None:
    stages = [Mark(name="mark"), Sieve(name="sieve"), Sieve(name="tagged", mode="tag")]
    assert added_columns(stages) == {"mark.seen": pa.bool_(), "tagged.size": pa.int64()}
    assert user_columns(stages) == ("score",)


def test_a_part_is_closed_by_the_document_that_fills_it() -> None:
    ids = np.array([3, 5, 8, 9, 12], np.uint64)
    assert cut_parts(ids, np.array([4, 6, 1, 20, 2]), 10) == [(3, 5), (8, 9), (12, 12)]
    assert cut_parts(ids[:0], np.zeros(0, np.int64), 10) == []


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 100))
def test_parts_hold_every_document_once_and_only_the_last_is_not_full(sizes: list[int], part_bytes: int) -> None:
    ids = np.arange(len(sizes), dtype=np.uint64) * np.uint64(3)
    parts = cut_parts(ids, np.array(sizes, np.int64), part_bytes)
    covered = [list(range(first, last + 1, 3)) for first, last in parts]
    assert [i for part in covered for i in part] == ids.tolist()
    for part in covered[:-1]:
        total = sum(sizes[i // 3] for i in part)
        assert total >= part_bytes > total - sizes[part[-1] // 3]


def count(kept: int, size: int, *, dropped: int = 0, bad: int = 0, at: int = 0, cuts: int = 1) -> SplitCount:
    parts = tuple((at + 10 * i, at + 10 * i + 9) for i in range(cuts)) if kept else ()
    return SplitCount(kept, size, dropped, bad, parts)


def test_small_splits_share_a_part_and_large_ones_make_several() -> None:
    groups = pack_writes(
        [count(1, 40, at=0), count(1, 70, at=100), count(1, 30, at=200, dropped=1), count(1, 250, at=300, cuts=3)], 100
    )
    assert [group.splits for group in groups] == [(0, 1), (2, 3)]
    assert groups[0].parts == (OutputPart(0, 0, 109),)
    assert groups[1].parts == (
        OutputPart(1, 200, 209),
        OutputPart(2, 300, 309),
        OutputPart(3, 310, 319),
        OutputPart(4, 320, 329),
    )
    assert [group.dropped for group in groups] == [None, 0]


def test_numbers_in_dropped_and_quarantine_have_no_gaps() -> None:
    counts = [count(1, 9, dropped=1), count(1, 9, at=20), count(1, 9, at=40, dropped=2, bad=1)]
    groups = pack_writes(counts, 5)
    assert [group.dropped for group in groups] == [0, None, 1]
    assert [group.quarantine for group in groups] == [None, None, 0]


def test_a_run_that_keeps_nothing_still_writes_a_file_of_each_kind() -> None:
    for counts in ([], [count(0, 0)], [count(0, 0), count(0, 0)]):
        groups = pack_writes(counts, 100)
        assert sum(len(group.parts) for group in groups) == 1
        assert [g.dropped for g in groups].count(0) == 1
        assert [g.quarantine for g in groups].count(0) == 1


@given(st.lists(st.integers(0, 120), max_size=40), st.integers(1, 100))
def test_splits_hold_every_span_once_in_order_and_are_not_too_large(sizes: list[int], split_bytes: int) -> None:
    files = [SourceFile(number, f"{number}", f"{number}", size, "jsonl") for number, size in enumerate(sizes)]
    spans = [Span(number, 0, 1, size) for number, size in enumerate(sizes)]
    splits = coalesce(files, spans, split_bytes)
    assert [span for split in splits for span in split.spans] == spans
    assert [split.number for split in splits] == list(range(len(splits)))
    assert all(split.bytes <= split_bytes or len(split.spans) == 1 for split in splits)
    assert all(file.number == span.file for s in splits for file, span in zip(s.files, s.spans, strict=True))
