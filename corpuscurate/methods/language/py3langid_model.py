"""The language model that comes with the package py3langid, read without its code and without pickle.

`data/model.npz.xz` holds NumPy arrays: log probabilities of each feature by class (float16), the classes with their
priors, and the automaton, whose states share the rows of moves that are equal. Its sizes are held against one another
before a kernel walks it.
"""

from __future__ import annotations

import io
import lzma
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.digests import digest_file
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.language.byte_ngrams import ByteNgrams

PACKAGE = "py3langid"
MAX_BYTES = 1 << 28
"""Most bytes of the unpacked file; that of version 0.4.0 has 68 MB."""
MAX_DEPTH = 32
"""Most bytes of an n-gram; that of version 0.4.0 has 6."""
_LANES = 16
_KINDS = {"ptc": "f", "pc": "f", "classes": "U", "nextmove": "u", "nextmove_row": "u", "out_feat": "i"}


def model_path() -> Path:
    """Where the model lies. Raises InputError."""
    found = find_spec(PACKAGE)
    path = Path(found.origin).parent / "data/model.npz.xz" if found is not None and found.origin else None
    if path is None or not path.is_file():
        raise InputError(
            f"the model of {PACKAGE} is not there:"
            " `pip install py3langid` brings it, or set `model:` to a fastText file"
        )
    return path


@cache
def file_digest() -> str:
    """The digest of the model's file. Raises InputError."""
    return digest_file(model_path())


def load_model(path: Path | None = None) -> tuple[ByteNgrams, tuple[str, ...]]:
    """The model, and the label of each of its classes. Raises InputError."""
    path = model_path() if path is None else path
    arrays = _arrays(path, _unpacked(path))
    _check(path, arrays)
    classes = tuple(arrays["classes"].tolist())
    row = arrays["nextmove_row"].astype(np.uint64) << np.uint64(8)
    states = (arrays["out_feat"].astype(np.int64) + 1).astype(np.uint64) << np.uint64(32) | row
    moves = arrays["nextmove"].astype(np.uint32, copy=False)
    table, width, scale = _whole_numbers(path, arrays["ptc"])
    prior = arrays["pc"].astype(np.float64)
    depth = _depth(path, moves.reshape(-1, 256), arrays["nextmove_row"])
    return ByteNgrams(moves, states, depth, table, width, scale, prior), classes


def _fault(path: Path, text: str) -> InputError:
    return InputError(f"{path}: the language model is damaged or of another kind: {text}. Install py3langid 0.4 again")


def _unpacked(path: Path) -> bytes:
    try:
        with path.open("rb") as packed:
            unpacked = lzma.LZMADecompressor(memlimit=MAX_BYTES).decompress(packed.read(MAX_BYTES), MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: the language model cannot be read: {error.strerror or error}") from error
    except lzma.LZMAError as error:
        raise _fault(path, str(error)) from error
    if len(unpacked) > MAX_BYTES:
        raise _fault(path, f"it unpacks to more than {MAX_BYTES:,} bytes")
    return unpacked


def _arrays(path: Path, unpacked: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(unpacked)) as members:
            if sum(each.file_size for each in members.infolist()) > MAX_BYTES:
                raise _fault(path, f"it unpacks to more than {MAX_BYTES:,} bytes")
        with np.load(io.BytesIO(unpacked), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _KINDS if name in stored.files}
    except (ValueError, zipfile.BadZipFile, OSError, EOFError, NotImplementedError, MemoryError) as error:
        raise _fault(path, str(error) or type(error).__name__) from error
    for name, kind in _KINDS.items():
        if name not in arrays or arrays[name].dtype.kind != kind:
            raise _fault(path, f"its array {name} is missing or of another type")
    return arrays


def _check(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Check that no index leads out of an array."""
    ptc, moves, row, feature = (arrays[name] for name in ("ptc", "nextmove", "nextmove_row", "out_feat"))
    classes = len(arrays["pc"])
    flat = all(arrays[name].ndim == 1 for name in _KINDS if name != "ptc")
    if not flat or ptc.ndim != 2 or min(ptc.shape) < 1 or ptc.shape[1] != classes or len(arrays["classes"]) != classes:
        raise _fault(path, "its arrays have other shapes")
    states = len(row)
    good = (
        states > 0
        and len(feature) == states
        and len(moves) % 256 == 0
        and 0 < len(moves) < 1 << 32
        and int(moves.max()) < states
        and int(row.max()) < len(moves) // 256
        and int(feature.min()) >= -1
        and int(feature.max()) < len(ptc)
    )
    if not good:
        raise _fault(path, "its automaton leads out of its tables")


def _whole_numbers(path: Path, ptc: NDArray[Any]) -> tuple[NDArray[np.int16], int, float]:
    """The log probabilities as whole numbers: a flat table with a row of 0 at the end, its width, and the scale."""
    features, classes = ptc.shape
    width = -(-classes // _LANES) * _LANES
    most = float(np.abs(ptc).max())
    if not 0 < most < np.inf:
        raise _fault(path, "its probabilities are no numbers")
    scale = 2.0 ** np.floor(np.log2(np.iinfo(np.int16).max / 4 / most))
    table = np.zeros((features + 1, width), np.int16)
    for first in range(0, features, 8192):  # a part at a time: the table is 28 MB
        scaled = ptc[first : first + 8192].astype(np.float32) * np.float32(scale)
        table[first : first + len(scaled), :classes] = scaled
        if not np.array_equal(table[first : first + len(scaled), :classes], scaled):
            raise _fault(path, f"its probabilities are no multiples of 1/{scale:.0f}")
    return table.reshape(-1), width, float(scale)


def _depth(path: Path, moves: NDArray[np.uint32], rows: NDArray[Any]) -> int:
    """How many bytes lead at most from the first state to another: those that a state depends on."""
    seen = np.zeros(len(rows), np.bool_)
    seen[0] = True
    front, depth = np.zeros(1, np.int64), 0
    while len(front):
        reached = np.unique(moves[rows[front]])
        front = reached[~seen[reached]]
        seen[front] = True
        depth += len(front) > 0
        if depth > MAX_DEPTH:
            raise _fault(path, f"its n-grams have more than {MAX_DEPTH} bytes")
    return depth
