"""The score that a fastText model gives one label, for batches of text.

Where few output rows matter, the input matrix is replaced by its products with them, formed once a process: one column
for two labels (their difference decides) and for the independent sigmoids of `ns` and `ova`, the nodes on the label's
path for `hs`, one column a label for `softmax`. A model whose products would be no smaller than its rows is summed by
rows. Both sum in float32 within a block of features and in float64 beyond, in an order that the document alone decides.
Documents of MANY features are summed as fastText does, for its own rounding then shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.fasttext.lookup_tables import fold_subwords, project_codes, project_dense
from corpuscurate.kernels.fasttext.loss import (
    SIGMOID_CELLS,
    SIGMOID_RANGE,
    mean_logits,
    sigmoid_scores,
    softmax_scores,
    tree_scores,
    two_label_scores,
)
from corpuscurate.kernels.fasttext.sum_in_order import Rows, ordered_sum
from corpuscurate.kernels.fasttext.sum_rows import feature_sums
from corpuscurate.kernels.fasttext.words import Vocabulary, ask_slot, fill_slots, find_short
from corpuscurate.methods.quality.fasttext_model import Dense, FasttextModel, Quantised, file_digest, read_model

EOS = b"</s>"
_NEAR = 1e-4
"""How near to a step of the sigmoid's table a logit is computed again in fastText's own order."""
_CHUNK = 1 << 16
MANY = 1 << 17
"""Features from which a document is summed in fastText's own order. Its float32 sum is then so far from the true one
(1e-4 in a logit) that scores near .5 would differ by more than 2e-5."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which output rows the label needs. outputs: float64[columns, dim]. right: for hs, whether each node's path goes
    right. certain: softmax over one label, whose probability is 1 whatever the features."""

    outputs: NDArray[np.float64]
    right: NDArray[np.bool_] | None = None
    certain: bool = False


class Features:
    """The features of documents under a model, summed, times some output rows."""

    def __init__(self, model: FasttextModel, outputs: NDArray[np.float64], *, project: bool | None = None) -> None:
        """outputs: float64[columns, dim]. project: whether to form the products; None: where they are smaller. Raises
        InputError."""
        self.model = model
        self.columns = outputs
        few = 2 * len(outputs) <= model.dim
        self.projected = few if project is None else project
        vocabulary = make_vocabulary(model)
        self.folded = np.zeros(0, np.float32)
        if self.projected:
            self.width = 4 if len(outputs) in (2, 3) else len(outputs)  # four at once are quicker than three
            self.table = _project(model, outputs, self.width)
            self.outputs = np.zeros((0, 0))
        else:
            self.width = model.dim
            self.table = _all_rows(model)
            self.outputs = np.ascontiguousarray(outputs.T)
        counts = np.ones(model.words, np.int64)
        if model.maxn > 0:
            folded = np.empty(model.words * self.width, np.float32)
            fold_subwords(vocabulary, self.table, self.width, folded, counts)
            if self.projected:
                self.table[: len(folded)] = folded
            else:
                self.folded = folded
        self.vocabulary = vocabulary._replace(counts=counts)
        self.rows = input_rows(model)

    def logits(
        self, offsets: NDArray[np.int64], data: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """float64[n, columns], nan where a document has no features; and how many it has, int64[n]."""
        size = len(offsets) - 1
        sums, counts = np.empty((size, self.width)), np.empty(size, np.int64)
        feature_sums(offsets, data, self.vocabulary, self.table, self.folded, self.width, sums, counts)
        logits = np.empty((size, len(self.columns)))
        mean_logits(sums, counts, self.outputs, logits)
        for row in np.flatnonzero(counts >= MANY).tolist():
            logits[row] = self._ordered_logits(data, int(offsets[row]), int(offsets[row + 1]))
        return logits, counts

    def exact_logit(self, data: NDArray[np.uint8], start: int, stop: int, column: int) -> float:
        """The logit of one column with fastText's own roundings: all sums float32, in its order."""
        products = self._ordered_mean(data, start, stop) * self.columns[column].astype(np.float32)
        return float(np.add.accumulate(products, dtype=np.float32)[-1])

    def _ordered_logits(self, data: NDArray[np.uint8], start: int, stop: int) -> NDArray[np.float64]:
        """All logits, float64[columns], of a mean with fastText's own roundings."""
        products = self._ordered_mean(data, start, stop).astype(np.float64) * self.columns
        return np.asarray(np.add.accumulate(products, axis=1)[:, -1])

    def _ordered_mean(self, data: NDArray[np.uint8], start: int, stop: int) -> NDArray[np.float32]:
        hidden = np.empty(self.model.dim, np.float32)
        count = ordered_sum(data, start, stop, self.vocabulary, self.rows, hidden)
        return hidden * np.float32(1.0 / count)


class Scorer(Features):
    """Scores of one label. Build through `scorer`, which remembers the last ones."""

    def __init__(self, model: FasttextModel, label: str, *, project: bool | None = None) -> None:
        """project: see `Features`. Raises InputError."""
        self.label = model.label_index(label)
        self.plan = _plan(model, self.label)
        super().__init__(model, self.plan.outputs, project=project)

    def score(self, text: pa.LargeStringArray) -> NDArray[np.float64]:
        """The scores of documents, float64[n] in 0..1; nan where the model knows no feature of a document."""
        offsets, data = text_buffers(text)
        logits, counts = self.logits(offsets, data)
        if self.plan.certain:
            return np.where(counts == 0, np.nan, 1.0)
        return self._loss(logits, offsets, data)

    def _loss(
        self, logits: NDArray[np.float64], offsets: NDArray[np.int64], data: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        out = np.empty(len(logits))
        if self.plan.right is not None:
            tree_scores(logits, self.plan.right, out)
        elif self.model.loss == "softmax" and logits.shape[1] == 1:
            two_label_scores(logits, out)
        elif self.model.loss == "softmax":
            softmax_scores(logits, self.label, out)
        else:
            for row in near_steps(logits[:, 0]).tolist():
                logits[row, 0] = self.exact_logit(data, int(offsets[row]), int(offsets[row + 1]), 0)
            sigmoid_scores(logits, sigmoid_table(), out)
        return out


@lru_cache(4)
def _scorer(path: str, digest: str, label: str) -> Scorer:
    return Scorer(read_model(path), label)


def scorer(path: str, label: str) -> Scorer:
    """The scorer of a model file and a label; formed once a process. Raises InputError."""
    return _scorer(path, file_digest(path), label)


def make_vocabulary(model: FasttextModel) -> Vocabulary:
    """The dictionary of a model as the kernels read it (a word stands for one feature: see `fold_subwords`)."""
    capacity = 1 << max(4, (2 * len(model.starts)).bit_length())
    slots = np.zeros((capacity, 4), np.uint64)
    fill_slots(model.data, model.starts, model.stops, slots)
    remap = np.zeros(0, np.int32)
    if model.pruned is not None:
        remap = np.full(max(model.bucket, 1), -1, np.int32)
        remap[model.pruned[0]] = model.pruned[1]
    ones = np.ones(model.words, np.int64)
    inverse = np.uint64((2**64 - 1) // model.bucket if model.bucket > 0 else 0)
    found = Vocabulary(
        model.data, model.starts, model.stops, slots, remap, ones, model.words, -1, model.bucket, inverse, model.minn,
        max(model.maxn, 0), model.word_ngrams,
    )  # fmt: skip
    end = np.frombuffer(EOS, np.uint8)
    slot = find_short(slots, end, 0, len(EOS), ask_slot(slots, end, 0, len(EOS)))
    eos = int(slots[slot, 0] & np.uint64(0xFFFFFFFF)) - 1 if slot >= 0 else -1
    return found._replace(eos=eos if eos < model.words else -1)


def output_rows(model: FasttextModel) -> NDArray[np.float64]:
    """All rows of the output matrix, float64[labels, dim]. Raises InputError where they are not finite."""
    outputs = model.output.rows(0, len(model.labels)).astype(np.float64)
    if not np.isfinite(outputs).all():
        raise InputError(f"{model.path}: the model's output matrix holds numbers that are not finite: train it again")
    return outputs


def _plan(model: FasttextModel, label: int) -> Plan:
    outputs = output_rows(model)
    if len(model.labels) == 1 and model.loss in ("softmax", "hs"):
        return Plan(outputs, certain=True)
    if model.loss == "hs":
        nodes, right = tree_path(model.label_counts, label)
        return Plan(outputs[nodes], right)
    if model.loss in ("ns", "ova"):
        return Plan(outputs[label : label + 1])
    if len(model.labels) == 2:
        return Plan(outputs[1 - label : 2 - label] - outputs[label : label + 1])
    return Plan(outputs)


def tree_path(counts: NDArray[np.int64], label: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The way from the root of fastText's Huffman tree to a label: the output row of each node, and whether it goes
    right there. counts: int64[labels], in the dictionary's order."""
    children = huffman_tree(counts)
    parent = {int(child): node for node, pair in enumerate(children.tolist()) for child in pair}
    nodes, right = [], []
    at = label
    while at in parent:
        node = parent[at]
        nodes.append(node)
        right.append(bool(children[node, 1] == at))
        at = node + len(counts)
    return np.array(nodes[::-1], np.int64), np.array(right[::-1], np.bool_)


def huffman_tree(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """fastText's Huffman tree: the children, left and right, of each inner node, int64[labels - 1, 2].

    A child below `labels` is a label, another one the inner node child - labels, which comes before its parent: the
    last one is the root. counts: int64[labels], in the dictionary's order."""
    size = len(counts)
    weight = [*counts.tolist(), *([10**15] * (size - 1))]
    children = np.empty((size - 1, 2), np.int64)
    leaf, node = size - 1, size
    for new in range(size, 2 * size - 1):
        for side in range(2):
            if leaf >= 0 and weight[leaf] < weight[node]:
                children[new - size, side] = leaf
                leaf -= 1
            else:
                children[new - size, side] = node
                node += 1
        weight[new] = int(sum(weight[child] for child in children[new - size].tolist()))
    return children


def _project(model: FasttextModel, outputs: NDArray[np.float64], width: int) -> NDArray[np.float32]:
    rows = model.input.shape[0]
    table = np.zeros(rows * width, np.float32)
    if isinstance(model.input, Dense):
        finite = project_dense(model.input.values, outputs, width, table)
    else:
        codes = model.input.codes
        norms = np.zeros(0, np.float32) if model.input.norms is None else model.input.norms
        finite = project_codes(codes, norms, _part_products(model.input, outputs), width, table)
    if not finite:
        raise InputError(f"{model.path}: the model holds numbers that are not finite: train it again")
    return table


def _part_products(source: Quantised, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each centroid times its part of each output row: float64[columns, parts, 256]."""
    parts, centroids, size = source.centroids.shape
    padded = np.zeros((len(outputs), parts * size))
    padded[:, : outputs.shape[1]] = outputs
    products = np.zeros((len(outputs), parts, centroids))
    for j in range(size):  # one column at a time: a fixed order, whatever the machine's BLAS
        products += source.centroids[None, :, :, j].astype(np.float64) * padded.reshape(-1, parts, 1, size)[..., j]
    return products


def _all_rows(model: FasttextModel) -> NDArray[np.float32]:
    """All input rows, flat: mapped where the model is dense, decoded where it is quantised."""
    size = model.input.shape[0]
    if isinstance(model.input, Dense):
        return model.input.values.reshape(-1)
    chunks = [model.input.rows(first, min(first + _CHUNK, size)) for first in range(0, size, _CHUNK)]
    return np.concatenate(chunks).reshape(-1) if chunks else np.zeros(0, np.float32)


def input_rows(model: FasttextModel) -> Rows:
    """The input matrix as `ordered_sum` reads it: mapped, not copied."""
    source = model.input
    if isinstance(source, Dense):
        empty = np.zeros((0, 0), np.uint8), np.zeros((0, 0, 0), np.float32), np.zeros(0, np.float32)
        return Rows(model.dim, source.values.reshape(-1), *empty)
    norms = np.zeros(0, np.float32) if source.norms is None else source.norms
    return Rows(model.dim, np.zeros(0, np.float32), source.codes, source.centroids, norms)


def near_steps(logits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows whose logit lies so near to a step of the sigmoid's table that rounding decides."""
    steps = SIGMOID_CELLS / (2 * SIGMOID_RANGE)
    inside = np.abs(logits) < SIGMOID_RANGE + 1
    away = np.abs(logits * steps - np.round(logits * steps))
    return np.flatnonzero(inside & (away < _NEAR * steps * np.maximum(1.0, np.abs(logits))))


@lru_cache(1)
def sigmoid_table() -> NDArray[np.float32]:
    """fastText's table of the sigmoid, float32[513], over -8..8."""
    step = 2 * SIGMOID_RANGE / SIGMOID_CELLS
    return np.array([1 / (1 + math.exp(SIGMOID_RANGE - i * step)) for i in range(SIGMOID_CELLS + 1)], np.float32)
