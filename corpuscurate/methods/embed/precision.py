"""Where a transformer computes, by what, and in what precision: parameters that several kinds of model share.

None of it is chosen for the user: where a recipe says nothing, torch computes in float32 on a CPU.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from corpuscurate.core.errors import MissingExtraError, OutOfMemoryError, RecipeError
from corpuscurate.core.machine import processor_kind

Device = Literal["cpu", "cuda"]
Backend = Literal["torch", "onnx"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]
CPU_BATCH, CARD_BATCH = 2, 512
"""Windows computed at once where the recipe says nothing: 512 tokens stay in the caches of a processor (measured, see
scripts/LOG.md), and smaller batches leave a card waiting."""
ONNX_PACKAGES = ("onnxruntime", "onnx", "onnxscript")
"""What `backend: onnx` needs: the first computes, the others write the model's file."""


class Computing(Protocol):
    """Parameters of a model that computes."""

    @property
    def device(self) -> Device:
        """Where it runs."""

    @property
    def backend(self) -> Backend:
        """What computes."""

    @property
    def half(self) -> bool:
        """Whether weights and sums are float16."""

    @property
    def batches(self) -> Literal["fixed", "free"]:
        """How batches are made, see `windows`."""

    @property
    def batch_size(self) -> int:
        """Windows of full length in a batch."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a window; None: the model's own."""

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
    """Refuse what a device or a backend does not compute, and two precisions at once."""
    if value.half and value.device == "cpu":
        raise ValueError("half: true needs device: cuda (on a CPU 16-bit sums are slower, not faster)")
    if value.precision == "float16" and value.device == "cpu":
        raise ValueError("precision: float16 needs device: cuda (on a CPU 16-bit sums are slower)")
    if value.half and value.precision not in (None, "float16"):
        raise ValueError(f"half: true is precision: float16, and the recipe also says precision: {value.precision}")
    if value.backend == "onnx" and value.device != "cpu":
        raise ValueError("backend: onnx computes on a CPU: leave out device: cuda, or the backend")
    if value.backend == "onnx" and value.precision == "bfloat16":
        raise ValueError("backend: onnx computes in float32 or int8; precision: bfloat16 needs backend: torch")
    if value.precision == "int8" and value.backend != "onnx":
        raise ValueError("precision: int8 needs backend: onnx")
    if value.precision == "int8" and value.batches == "free":
        raise ValueError(
            "precision: int8 computes each window alone, since its scales are of all that is computed at once: leave"
            " out batches: free"
        )
    return value


def check_backend(backend: Backend, wanted_by: str) -> None:
    """Raises MissingExtraError where a package of the backend is not installed."""
    for package in ONNX_PACKAGES if backend == "onnx" else ():
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx", f"backend: onnx of {wanted_by}")


def device_kind(device: Device) -> str:
    """For `Resources.device`: on a CPU the kind of processor, since libraries choose their instructions by it."""
    return processor_kind() if device == "cpu" else device


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
