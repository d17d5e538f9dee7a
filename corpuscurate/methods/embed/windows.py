"""Texts as windows of tokens, computed in fixed shapes: what transformers of any kind have in common here.

How a row is made independent of the engine's batches: the shape of a computation decides how a matrix product orders
its sums, so every computation has one of a few fixed shapes. A text is padded to the next of `lengths(max_tokens)`, and
computed in a batch of exactly `batch_size` texts of that length, filled up with empty texts where there are too few.
One thread computes on a CPU. Each row of a product is summed on its own there, so neither its neighbours nor its place
among them matter (tested byte for byte; plain batches, padded to the longest text, differ by 1e-7). The promise holds
for the same versions of torch and the same kind of CPU or GPU, and for the same `batch_size`.

Long documents: `head` computes the first `max_tokens` tokens (of at most 64 characters a token, so that a huge document
is not tokenised whole); `mean` computes every window of that length, to be averaged by their tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import lengths_bytes
from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed.base import CUT, UNKNOWN

HEAD_CHARACTERS = 64
"""Characters of text that are looked at for each token of a head."""
GROUP_BYTES = 4 << 20
GROUP_TEXTS = 4096
"""Texts tokenised and sorted at once; changes nothing in the result."""


class Window(NamedTuple):
    """Token numbers of a piece of a text, special ones included, and the number of its own tokens."""

    text: int
    ids: list[int]
    weight: int


class Shapes(NamedTuple):
    """How texts are cut and computed. longest: tokens of a window, special ones included. head: the first alone.
    max_unknown_ratio: texts with a greater share of unknown tokens have no windows."""

    longest: int
    batch_size: int
    head: bool
    device: str
    prompt: str = ""
    max_unknown_ratio: float = 1.0


def lengths(longest: int) -> list[int]:
    """The lengths that texts are padded to: steps of about a third, so that padding costs little and shapes are few."""
    steps = [length for power in range(4, 20) for length in (1 << power, 3 << power - 1)]
    return [*(length for length in steps if length < longest), longest]


def groups(texts: pa.LargeStringArray) -> Iterator[tuple[int, int]]:
    """Spans (start, stop) of texts that are tokenised and sorted at once."""
    ends = np.cumsum(lengths_bytes(texts))
    start, done = 0, 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, done + GROUP_BYTES, "right"))
        stop = min(max(stop, start + 1), start + GROUP_TEXTS, len(texts))
        yield start, stop
        start, done = stop, int(ends[stop - 1])


class Windows:
    """A tokenizer with the shapes of its windows. Raises RecipeError for a tokenizer that cannot be used so."""

    def __init__(self, tokenizer: Any, shapes: Shapes) -> None:
        self._tokenizer = tokenizer
        self._shapes = shapes
        self._before, self._after = _frame(tokenizer)
        if shapes.longest <= len(self._before) + len(self._after):
            raise RecipeError(f"max_tokens ({shapes.longest}) leaves no room beside the special tokens.")
        self._lengths = np.array(lengths(shapes.longest))
        self._prompted = len(tokenizer(shapes.prompt, add_special_tokens=False)["input_ids"]) if shapes.prompt else 0
        self._typed = "token_type_ids" in tokenizer.model_input_names

    def of(self, texts: pa.LargeStringArray) -> tuple[list[Window], NDArray[np.uint8]]:
        """The windows of texts, and a note for each text: uint8[n], CUT and UNKNOWN (see `base.Embedded`).

        None for a text without anything but white space, or with too many unknown tokens.
        """
        shapes = self._shapes
        room = shapes.longest - len(self._before) - len(self._after)
        strings = texts.to_pylist()  # the tokenizer takes nothing else, and the model costs a thousand times more
        notes = np.zeros(len(strings), np.uint8)
        if shapes.head:
            characters = HEAD_CHARACTERS * shapes.longest
            notes[[len(string) > characters for string in strings]] = CUT
            strings = [string[:characters] for string in strings]
        filled = [i for i, string in enumerate(strings) if string.strip()]
        if not filled:
            return [], notes
        prompted = [shapes.prompt + strings[i] for i in filled]
        tokens = self._tokenizer(prompted, add_special_tokens=False, truncation=False, padding=False, verbose=False)
        windows = []
        for i, found in zip(filled, tokens["input_ids"], strict=True):
            ids = found[:room] if shapes.head else found
            if len(ids) < len(found):
                notes[i] |= CUT
            if self._mostly_unknown(ids):
                notes[i] |= UNKNOWN
                continue
            for start in range(0, len(ids), room):
                piece = ids[start : start + room]
                windows.append(Window(i, [*self._before, *piece, *self._after], len(piece)))
        return windows, notes

    def _mostly_unknown(self, ids: list[int]) -> bool:
        """Whether more than `max_unknown_ratio` of a text's tokens, as far as they are read, are the unknown token.
        Those of the prompt, which come first, are not the text's."""
        unknown, own = self._tokenizer.unk_token_id, ids[self._prompted :]
        return unknown is not None and own.count(unknown) > self._shapes.max_unknown_ratio * len(own)

    def compute(self, windows: list[Window], width: int, run: Callable[[dict[str, Any]], Any]) -> NDArray[np.float32]:
        """float32[windows, width]: what `run`, from features to a tensor of a row a text, makes of each window."""
        sizes = np.array([len(window.ids) for window in windows], np.int64)
        padded = self._lengths[np.searchsorted(self._lengths, sizes)]
        rows = np.empty((len(windows), width), np.float32)
        batch = self._shapes.batch_size
        for length in np.unique(padded).tolist():
            members = np.flatnonzero(padded == length)
            for start in range(0, len(members), batch):
                chosen = members[start : start + batch]
                rows[chosen] = self._batch([windows[i].ids for i in chosen.tolist()], length, run)[: len(chosen)]
        return rows

    def _batch(self, texts: list[list[int]], length: int, run: Callable[[dict[str, Any]], Any]) -> NDArray[np.float32]:
        """The rows of a batch of fixed shape [batch_size, length]."""
        import torch

        texts = texts + [[*self._before, *self._after] or [0]] * (self._shapes.batch_size - len(texts))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([text + [pad] * (length - len(text)) for text in texts])
        sizes = torch.tensor([[len(text)] for text in texts])
        features = {"input_ids": ids, "attention_mask": (torch.arange(length) < sizes).long()}
        if self._typed:
            features["token_type_ids"] = torch.zeros_like(ids)
        features = {name: part.to(self._shapes.device) for name, part in features.items()}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                found = run(features)
        finally:
            torch.set_num_threads(threads)
        rows: NDArray[np.float32] = found.float().cpu().numpy()
        return rows


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return whole[:start], whole[start + len(inner) :]
    raise RecipeError("the model's tokenizer does not put its special tokens around a text")


def longest_window(limits: list[Any], positions: int | None, wanted: int | None) -> int:
    """Tokens of a window: the recipe's, within what the model can take. limits: of the model and its tokenizer."""
    most = min((int(limit) for limit in limits if limit and limit < 1 << 20), default=512)
    positions = positions or most
    if wanted is None:
        return min(most, positions)
    if wanted > positions:
        raise RecipeError(f"max_tokens ({wanted}) is more than the {positions} positions of the model.")
    return wanted
