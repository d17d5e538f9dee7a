"""The feeder: windows of tokens to rows, on a CPU or a card, through one model that is loaded.

On a CPU one thread computes: parallelism is tasks, and no number of threads changes the order of sums.

On a card the host only fills and sends: batches are filled in pinned memory, copied on a stream of their own while the
batch before is computed, and results come back on a third stream. `Feed.launch` returns when the last batch is
launched, so that the caller can let the next one launch before this one's rows are here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.beats import beat
from corpuscurate.core.errors import OutOfMemoryError
from corpuscurate.kernels.embedding.token_batches import fill_batch
from corpuscurate.methods.embed.tokens import Facts, Tokens
from corpuscurate.methods.embed.windows import Batch, Shapes, Windows, cut_batches

UNDER_WAY = 3
"""Batches that are launched and whose rows are not fetched yet."""


class Loaded(Protocol):
    """A model of transformers on its device."""

    @property
    def width(self) -> int:
        """Numbers of a row."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def facts(self) -> Facts:
        """Of its tokens."""

    @property
    def shapes(self) -> Shapes:
        """Of its batches."""


class Model(Loaded, Protocol):
    """One of torch."""

    def run(self, features: dict[str, Any]) -> Any:
        """A tensor [rows, width] from input_ids, attention_mask and maybe token_type_ids, int64 [rows, length]."""


@runtime_checkable
class OnHost(Loaded, Protocol):
    """One that computes on a CPU without torch."""

    def rows(self, ids: NDArray[np.int32], sizes: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[rows, width] from ids int32[rows, length] and sizes int32[rows], tokens without padding."""


def kind_of_device(device: str) -> str:
    """The kind of device and backend, whose last bits are in the rows."""
    if device != "cuda":
        return device
    import torch

    major, minor = torch.cuda.get_device_capability(0)
    return f"{torch.cuda.get_device_name(0)}, compute capability {major}.{minor}, CUDA {torch.version.cuda}"


@dataclass
class Feed:
    """Tokens fed to a model. rows: float32[windows, width], whole after `launch` and `fetch`."""

    model: Model | OnHost
    tokens: Tokens
    windows: Windows
    rows: NDArray[np.float32] = field(init=False)
    padded: int = 0
    """Tokens computed, padding and filling included."""
    _fetching: deque[Callable[[], None]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.rows = np.empty((len(self.windows.sizes), self.model.width), np.float32)

    def launch(self) -> None:
        """Launch all batches. Raises OutOfMemoryError, which names the model and the batch size."""
        batches = cut_batches(self.windows.sizes, self.model.shapes)
        self.padded = sum(batch.rows * batch.length for batch in batches)
        if isinstance(self.model, OnHost):
            for batch in batches:
                self.done(batch, self.model.rows(*self._filled(batch)))
        else:
            self._launch_torch(self.model, batches)

    def _launch_torch(self, model: Model, batches: list[Batch]) -> None:
        import torch

        on_card = model.device == "cuda"
        threads = torch.get_num_threads()
        if not on_card:
            torch.set_num_threads(1)  # sums in an order that no number of threads changes
        try:
            with torch.inference_mode():
                if on_card:
                    _OnCard(self, model).launch(batches)
                else:
                    for batch in batches:
                        self._on_cpu(model, batch)
        except torch.OutOfMemoryError as error:
            raise self._no_memory(error) from error
        finally:
            if not on_card:
                torch.set_num_threads(threads)

    def fetch(self, left: int = 0) -> None:
        """Wait for the rows of all batches but the last `left`."""
        while len(self._fetching) > left:
            self._fetching.popleft()()

    def later(self, fetch: Callable[[], None]) -> None:
        """Note how the rows of a batch that was launched are fetched."""
        self._fetching.append(fetch)

    def fill(self, batch: Batch, ids: NDArray[np.int32], sizes: NDArray[np.int32]) -> None:
        """The tokens of a batch: ids int32[rows, length], sizes int32[rows]."""
        facts, members = self.model.facts, batch.members
        before, after = np.array(facts.before, np.int64), np.array(facts.after, np.int64)
        starts, own = self.windows.starts[members], self.windows.sizes[members]
        fill_batch(self.tokens.ids, starts, own, before, after, facts.pad, sizes, ids)

    def features(self, ids: Any, sizes: Any, length: int) -> dict[str, Any]:
        """What the model takes, on the device of `ids`."""
        import torch

        mask = torch.arange(length, device=ids.device) < sizes[:, None]
        features = {"input_ids": ids.long(), "attention_mask": mask.long()}
        if self.model.facts.typed:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        return features

    def done(self, batch: Batch, rows: NDArray[np.float32]) -> None:
        """Keep the rows of a batch."""
        self.rows[batch.members] = rows[: len(batch.members)]
        beat(int(self.windows.sizes[batch.members].sum()) * self.tokens.ids.itemsize)

    def _filled(self, batch: Batch) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        ids, sizes = np.empty((batch.rows, batch.length), np.int32), np.empty(batch.rows, np.int32)
        self.fill(batch, ids, sizes)
        return ids, sizes

    def _on_cpu(self, model: Model, batch: Batch) -> None:
        import torch

        ids, sizes = self._filled(batch)
        found = model.run(self.features(torch.from_numpy(ids), torch.from_numpy(sizes), batch.length))
        self.done(batch, found.float().numpy())

    def _no_memory(self, error: Exception) -> OutOfMemoryError:
        shapes = self.model.shapes
        return OutOfMemoryError(
            f"out of memory on the card: the model {self.model.name} with batch_size {shapes.batch_size} (windows of"
            f" {shapes.longest} tokens). Give the embedder a smaller `batch_size`, half of it for a start, or fewer"
            " `max_tokens`, or see what else runs on the card. Finished files are kept, and running again goes on from"
            f" there. ({str(error).splitlines()[0]})"
        )


class _OnCard:
    """The launching of batches on the current card of CUDA."""

    def __init__(self, feed: Feed, model: Model) -> None:
        import torch

        self.feed, self.model = feed, model
        self.torch = torch
        self.main = torch.cuda.current_stream()
        self.sending, self.fetching = _streams()

    def launch(self, batches: list[Batch]) -> None:
        """Launch all batches, a few ahead of what is fetched."""
        for batch in batches:
            self.feed.fetch(UNDER_WAY - 1)
            self._launch(batch)

    def _launch(self, batch: Batch) -> None:
        torch, feed = self.torch, self.feed
        host = torch.empty((batch.rows, batch.length), dtype=torch.int32, pin_memory=True)
        host_sizes = torch.empty(batch.rows, dtype=torch.int32, pin_memory=True)
        feed.fill(batch, host.numpy(), host_sizes.numpy())
        with torch.cuda.stream(self.sending):
            ids, sizes = (each.to("cuda", non_blocking=True) for each in (host, host_sizes))
        self.main.wait_stream(self.sending)
        for each in (ids, sizes):
            each.record_stream(self.main)
        found = self.model.run(feed.features(ids, sizes, batch.length)).float()
        self.fetching.wait_stream(self.main)
        back = torch.empty((batch.rows, feed.model.width), dtype=torch.float32, pin_memory=True)
        with torch.cuda.stream(self.fetching):
            back.copy_(found, non_blocking=True)
            found.record_stream(self.fetching)
            here = torch.cuda.Event()
            here.record()

        def fetch() -> None:
            here.synchronize()
            feed.done(batch, back.numpy())

        feed.later(fetch)


_STREAMS: list[Any] = []


def _streams() -> tuple[Any, Any]:
    """The streams for sending and for fetching, made once a process."""
    import torch

    if not _STREAMS:
        _STREAMS.extend([torch.cuda.Stream(), torch.cuda.Stream()])
    return _STREAMS[0], _STREAMS[1]
