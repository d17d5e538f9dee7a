"""Adjacent columns of one type in a sketch file, read as a matrix.

Bands are read from a few of a hundred columns, many times. Opening the file as a table each time costs more than the
bytes, so the offsets of the columns are looked up once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact

_NOT_ADJACENT = "the columns of a sketch file are not adjacent"


class Block(NamedTuple):
    """The columns in a record batch. start: offset of the first column in the file, in bytes. step: bytes from the
    start of one column to that of the next. rows: rows of the record batch."""

    start: int
    step: int
    rows: int


def blocks_of(path: Artefact, schema: Sequence[str], names: Sequence[str]) -> list[Block]:
    """The blocks of an Arrow file, a record batch each. schema: its columns. names: adjacent columns of one type,
    without nulls. Raises RuntimeError where they are not at equal distances."""
    first = schema.index(names[0])
    if list(schema[first : first + len(names)]) != list(names):
        raise RuntimeError(_NOT_ADJACENT)
    fields = [first, first + min(1, len(names) - 1), first + len(names) - 1]
    found = []
    # The whole file is mapped: of chosen fields, Arrow would give copies at other addresses.
    with pa.memory_map(os.fspath(path)) as mapped, pa.ipc.open_file(mapped) as reader:
        base = mapped.read_buffer(1).address
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            columns = [batch.column(field) for field in fields]
            found.append(_block(columns, base, len(names)) if batch.num_rows else Block(0, 0, 0))
    return found


def _block(columns: Sequence[pa.Array], base: int, count: int) -> Block:
    starts = [column.buffers()[1].address - base for column in columns]
    size = len(columns[0]) * columns[0].type.byte_width
    step = starts[1] - starts[0] if count > 1 else size
    if starts[0] < 0 or step < size or starts[2] - starts[0] != step * (count - 1) or columns[0].null_count:
        raise RuntimeError(_NOT_ADJACENT)
    return Block(starts[0], step, len(columns[0]))


class Reader:
    """Reads such columns into a buffer that each call uses again."""

    def __init__(self, kind: str) -> None:
        self._kind = np.dtype(kind)
        self._buffer = np.empty(0, np.uint8)

    def read(self, file: BinaryIO, block: Block, first: int, count: int) -> NDArray[Any]:
        """Columns first .. first + count - 1 as a matrix [count, rows], valid until the next call."""
        size = (count - 1) * block.step + block.rows * self._kind.itemsize
        whole = count * block.step
        if len(self._buffer) < whole:
            self._buffer = np.empty(whole, np.uint8)
        file.seek(block.start + first * block.step)
        _fill(file, memoryview(self._buffer[:size].data))
        return self._buffer[:whole].view(self._kind).reshape(count, -1)[:, : block.rows]


def _fill(file: BinaryIO, room: memoryview) -> None:
    """Read until the room is full: Linux gives at most 2 GiB at once."""
    filled = 0
    while filled < len(room):
        got = file.readinto(room[filled:])  # type: ignore[attr-defined]
        if not got:
            raise RuntimeError("a sketch file is shorter than it was")
        filled += got
