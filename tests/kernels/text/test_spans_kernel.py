"""Cutting spans: the kernels against their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from naive.spans import cut, first_fault

from corpuscurate.core.columns import from_buffers, text_buffers
from corpuscurate.kernels.text.spans import OUTSIDE, OVERLAPPING, SPLITS_CHARACTER, check_spans, cut_spans

FAULTS = {OUTSIDE: "outside", OVERLAPPING: "overlapping", SPLITS_CHARACTER: "inside"}
HUGE = (1 << 63) - 1


def columns(spans: list[tuple[int, int, int]]) -> list[Any]:
    return [np.array([span[at] for span in spans], np.int64) for at in range(3)]


def checked(texts: pa.LargeStringArray, spans: list[tuple[int, int, int]]) -> tuple[int, str] | None:
    status = np.zeros(1, np.int64)
    wrong = int(check_spans(*text_buffers(texts), *columns(spans), status))
    return None if wrong < 0 else (wrong, FAULTS[int(status[0])])


def after(texts: pa.LargeStringArray, spans: list[tuple[int, int, int]]) -> list[str]:
    offsets, data = text_buffers(texts)
    rows, starts, stops = columns(spans)
    out_offsets = np.full(len(texts) + 1, -1, np.int64)
    out = np.zeros(int(offsets[-1] - offsets[0] - (stops - starts).sum()), np.uint8)
    assert cut_spans(offsets, data, rows, starts, stops, out_offsets, out) == len(out)
    made = from_buffers(out_offsets, out)
    made.validate(full=True)
    return list(made.to_pylist())


@pytest.mark.parametrize("seed", range(30))
def test_spans_agree_with_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alphabet = ["a", "b", "\n", "é", "日", "\U0001f600"]
    faults = 0
    for _ in range(30):
        texts = ["".join(rng.choice(alphabet, rng.integers(0, 9))) for _ in range(rng.integers(1, 6))]
        given = pa.array(["before é", *texts, "after"], pa.large_string()).slice(1, len(texts))
        spans = []
        for row in range(len(texts)):
            size = len(texts[row].encode())
            at = sorted(rng.integers(-(rng.random() < 0.1), size + 1 + (rng.random() < 0.1), 2 * rng.integers(0, 3)))
            pairs = [(int(a), int(b)) for a, b in zip(at[::2], at[1::2], strict=True)]
            if rng.random() < 0.1:
                pairs.append((0, size))
            spans += [(row, a, b) for a, b in sorted(pairs)]
        wanted = first_fault(texts, spans)
        assert checked(given, spans) == wanted, (texts, spans)
        faults += wanted is not None
        if wanted is None:
            assert after(given, spans) == cut(texts, spans)
    assert 0 < faults < 30


@pytest.mark.parametrize("span", [(HUGE - 1, HUGE), (0, HUGE), (-HUGE, 3), (-1, 0), (3, 2), (0, 4), (4, 4)])
def test_no_number_leads_outside_the_text(span: tuple[int, int]) -> None:
    texts = pa.array(["before", "abc", "after"], pa.large_string())
    assert checked(texts, [(1, *span)]) == (0, "outside")


def test_empty_spans_texts_and_batches() -> None:
    texts = pa.array(["", "é", ""], pa.large_string())
    assert checked(texts, [(0, 0, 0), (1, 0, 0), (1, 0, 2), (1, 2, 2)]) is None
    assert after(texts, [(0, 0, 0), (1, 0, 0), (1, 0, 2), (1, 2, 2)]) == ["", "", ""]
    assert checked(texts, [(1, 1, 1)]) == (0, "inside")
    assert after(pa.array([], pa.large_string()), []) == []
