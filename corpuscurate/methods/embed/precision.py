"""Where a transformer computes, and in what precision: parameters that several kinds of model share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from corpuscurate.core.errors import OutOfMemoryError, RecipeError

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]
CARD_BATCH = 512
"""Windows computed at once on a card where the recipe says nothing: smaller batches leave it waiting."""


class Computing(Protocol):
    """Parameters of a model that computes."""

    @property
    def device(self) -> Device:
        """Where it runs."""

    @property
    def half(self) -> bool:
        """Whether weights and sums are float16."""

    @property
    def precision(self) -> Precision | None:
        """Of weights and sums; None: the model's own."""


P = TypeVar("P", bound=Computing)


def card_batch(value: Any) -> Any:
    """Parameters with the batch size of a card, where the recipe names none and a card computes."""
    if isinstance(value, dict) and value.get("device") == "cuda" and "batch_size" not in value:
        return {**value, "batch_size": CARD_BATCH}
    return value


def check_precision(value: P) -> P:
    """Refuse 16 bits on a CPU, and two precisions at once."""
    if value.half and value.device == "cpu":
        raise ValueError("half: true needs device: cuda (on a CPU 16-bit sums are slower, not faster)")
    if value.precision not in (None, "float32") and value.device == "cpu":
        raise ValueError(f"precision: {value.precision} needs device: cuda (on a CPU 16-bit sums are slower)")
    if value.half and value.precision not in (None, "float16"):
        raise ValueError(f"half: true is precision: float16, and the recipe also says precision: {value.precision}")
    return value


def dtype_of(value: Computing) -> str | None:
    """The precision asked for, by its name in torch; None: that of the model's files."""
    return value.precision or ("float16" if value.half else None)


def check_card(device: str, dtype: str | None) -> None:
    """Raises RecipeError where there is no card, or it cannot compute in that precision."""
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise RecipeError("`device: cuda` of the embedder: torch sees no CUDA device here. Use `device: cpu`.")
    if dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(0)
        raise RecipeError(f"`precision: bfloat16`: the card {name} has no bfloat16. Use `precision: float16`.")


def no_room_for(folder: Path) -> OutOfMemoryError:
    """The error for weights that do not fit on the card."""
    return OutOfMemoryError(
        f"out of memory on the card: the weights of the model in {folder} do not fit beside what else runs there."
        " Give it a card of its own (CUDA_VISIBLE_DEVICES), or `precision: float16`, or a smaller model."
    )
