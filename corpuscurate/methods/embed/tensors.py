"""The safetensors format, read with every size checked, and written: numbers only, nothing in it can run.

8 bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}}, then the bytes.
Format: github.com/huggingface/safetensors, README "Format" (which also bounds the header to 100 MB and forbids holes).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from corpuscurate.core.errors import RecipeError

MAX_HEADER_BYTES = 100_000_000
_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items() if name != "BF16"}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file by name, memory-mapped and read-only (bfloat16 as float32, then copied).

    Raises RecipeError, which names the file and what is wrong, for anything that is not well-formed.
    """
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the tensors of {path}: {error}") from error
    header, begin = _header(path, mapped)
    data = mapped[begin:]
    found = {name: _tensor(path, name, entry, data) for name, entry in header.items()}
    spans = sorted(entry["data_offsets"] for entry in header.values())
    ends = [0, *(stop for _, stop in spans)]
    if [start for start, _ in spans] != ends[:-1] or ends[-1] != len(data):
        raise _wrong(path, "its tensors overlap or leave holes")
    return found


def _header(path: Path, mapped: memoryview) -> tuple[dict[str, Any], int]:
    if len(mapped) < 8:
        raise _wrong(path, "it is shorter than 8 bytes")
    size = int.from_bytes(mapped[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(mapped) - 8):
        raise _wrong(path, f"its header claims {size} bytes")
    try:
        header = orjson.loads(mapped[8 : 8 + size])
    except orjson.JSONDecodeError as error:
        raise _wrong(path, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _wrong(path, "its header is no JSON object")
    header.pop("__metadata__", None)
    return header, 8 + size


def _tensor(path: Path, name: str, entry: Any, data: memoryview) -> NDArray[Any]:
    try:
        kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, stop]
    except (TypeError, KeyError, ValueError) as error:
        raise _wrong(path, f"the entry of {name!r} is not as it should be") from error
    if kind not in _TYPES or not all(type(x) is int and x >= 0 for x in numbers):
        raise _wrong(path, f"{name!r} has the type {kind!r}, shape {shape!r} and data offsets {[start, stop]!r}")
    dtype = np.dtype(_TYPES[kind])
    if stop > len(data) or stop - start != math.prod(shape) * dtype.itemsize:
        raise _wrong(
            path, f"{name!r} of shape {shape} and type {kind} cannot lie in bytes {start}..{stop} of {len(data)}"
        )
    flat: NDArray[Any] = np.frombuffer(data[start:stop], dtype)
    if not flat.flags.aligned:
        flat = flat.copy()
    if kind == "BF16":
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    flat.setflags(write=False)
    return flat.reshape(shape)


def _wrong(path: Path, what: str) -> RecipeError:
    return RecipeError(f"{path} is not a sound safetensors file: {what}.")


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write tensors, in the order given, the first byte of data at a multiple of 8."""
    header: dict[str, Any] = {}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = orjson.dumps(header)
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).data)
