"""Tokens as windows, and windows as batches: what transformers of any kind have in common here.

How a row is made independent of the other texts (`batches: fixed`): the shape of a computation decides how a matrix
product orders its sums, so every computation has one of a few fixed shapes. A window is padded to the next of a list of
lengths, and computed in a batch of exactly so many windows of that length, filled up with empty ones where there are
too few. Batches of all lengths have about the same number of tokens: as many as a processor's caches, or a card, like.
Each row of a product is summed on its own, and there is one or a multiple of four, so neither its neighbours nor its
place among them matter (tested byte for byte; plain batches, padded to the longest text, differ by 1e-7). On a CPU one
thread computes. On a card windows without padding have batches of their own, since attention without a mask is another
computation. The promise holds for the same versions of torch or ONNX Runtime and the same kind of CPU or GPU, and for
the same `batch_size`.

With `batches: free` a batch is as long as its longest window and as large as there are windows: less is computed, and
the last bits of a row depend on what stands beside it.

Where a model scales its activations by all that it computes at once (int8), no fixed shape would help: each window is
computed alone, at its own length.

Long documents: `head` computes the first window alone; `mean` computes every window, to be averaged by their tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.methods.embed.base import UNKNOWN
from corpuscurate.methods.embed.precision import Computing
from corpuscurate.methods.embed.tokens import Facts, Tokens

CARD_STEP, STEP, SHORT_STEP, SHORT = 16, 8, 4, 64
"""Steps of the lengths that windows are padded to, on a card and on a CPU, and there up to SHORT tokens."""
ROWS = 4
"""Rows that a product on a CPU computes side by side. Where fewer are left over, their sums have another order, so that
the place of a window would decide about the last bits of a head, which has a row a window (found for every count of
rows but 1 and the multiples of 4)."""


class Shapes(NamedTuple):
    """How windows are computed. longest: tokens of a window, special ones included; special: how many those are.
    batch_size: windows of that length at once. fixed, alone: see the module's text. card: whether a card computes."""

    longest: int
    special: int
    batch_size: int
    fixed: bool = True
    card: bool = False
    alone: bool = False

    @property
    def lengths(self) -> list[int]:
        """The lengths that windows are padded to."""
        steps: Iterable[int] = range(CARD_STEP, self.longest, CARD_STEP)
        if not self.card:
            steps = chain(range(SHORT_STEP, SHORT, SHORT_STEP), range(SHORT, self.longest, STEP))
        return [*(length for length in steps if length < self.longest), self.longest]

    def rows(self, length: int) -> int:
        """Windows in a batch of that length: about as many as make the same number of tokens. In fixed shapes on a CPU
        one, or a multiple of ROWS."""
        rows = max(self.batch_size * self.longest // length, 1)
        if self.card or not self.fixed:
            return rows
        return rows - rows % ROWS if rows >= ROWS else 1


class Windows(NamedTuple):
    """Pieces of texts. texts: int64[w], ascending, which text; starts: int64[w], its first token in `Tokens.ids`;
    sizes: int64[w], its own tokens."""

    texts: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]


def shapes_of(parameters: Computing, facts: Facts) -> Shapes:
    """The shapes in which a model with these parameters computes."""
    longest = facts.longest(parameters.max_tokens)
    fixed, card, alone = parameters.batches == "fixed", parameters.device == "cuda", parameters.precision == "int8"
    return Shapes(longest, longest - facts.room(longest), parameters.batch_size, fixed, card, alone)


def cut_windows(tokens: Tokens, room: int) -> Windows:
    """The windows of texts. room: tokens of a text in a window. A text without tokens has none, nor has one with too
    many unknown ones."""
    sizes = np.diff(tokens.offsets)
    counts = np.where(tokens.notes & UNKNOWN > 0, 0, -(-sizes // room))
    texts = np.repeat(np.arange(len(sizes)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    within = (np.arange(len(texts)) - first) * room
    starts = tokens.offsets[:-1][texts] + within
    return Windows(texts, starts, np.minimum(sizes[texts] - within, room))


class Batch(NamedTuple):
    """Windows that are computed at once. members: int64[m], which windows; rows, length: the shape, rows >= m. full:
    no window has padding."""

    members: NDArray[np.int64]
    rows: int
    length: int
    full: bool


def cut_batches(sizes: NDArray[np.int64], shapes: Shapes) -> list[Batch]:
    """All windows in batches, the longest first. sizes: int64[w], of the windows, without special tokens."""
    sizes = sizes + shapes.special
    if shapes.alone:
        return [Batch(np.array([i]), 1, size, True) for i, size in enumerate(np.maximum(sizes, 1).tolist())]
    return _fixed(sizes, shapes) if shapes.fixed else _free(sizes, shapes)


def _fixed(sizes: NDArray[np.int64], shapes: Shapes) -> list[Batch]:
    steps = np.array(shapes.lengths, np.int64)
    padded = steps[np.searchsorted(steps, sizes)]
    full = (padded == sizes) & shapes.card
    kinds = 2 * padded + full
    order = np.argsort(-kinds, kind="stable")
    batches = []
    borders = np.flatnonzero(np.diff(kinds[order], prepend=-1, append=-1))
    for first, last in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        kind = int(kinds[order[first]])
        rows = shapes.rows(kind // 2)
        for start in range(first, last, rows):
            members = order[start : min(start + rows, last)]
            batches.append(Batch(members, rows, kind // 2, bool(kind % 2)))
    return batches


def _free(sizes: NDArray[np.int64], shapes: Shapes) -> list[Batch]:
    order = np.argsort(-sizes, kind="stable")
    batches, start = [], 0
    while start < len(order):
        length = int(sizes[order[start]])
        members = order[start : start + shapes.rows(length)]
        batches.append(Batch(members, len(members), length, bool(sizes[members[-1]] == length)))
        start += len(members)
    return batches
