import numpy as np
import pyarrow as pa
import pytest

from corpuscurate.methods.dedup.column_blocks import Block, Reader, blocks_of

SIZES = (0, 1, 7, 100, 0, 33)


def write(path, kind, count, *, gap=False):
    """An id, `count` columns of random values with another one amid them if there is a gap, and a last column."""
    rng = np.random.default_rng(3)
    names = [f"v{j}" for j in range(count)]
    order = [*names[:1], "between", *names[1:]] if gap else names
    batches = []
    for size in SIZES:
        columns = {name: pa.array(rng.integers(0, 2**16, size).astype(kind)) for name in order}
        batches.append(pa.record_batch({"id": np.arange(size), **columns, "end": np.arange(size)}))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return names, batches


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_columns_are_those_of_the_table(tmp_path, kind, count):
    names, batches = write(tmp_path / "a.arrow", kind, count)
    blocks = blocks_of(tmp_path / "a.arrow", batches[0].schema.names, names)
    assert [block.rows for block in blocks] == list(SIZES)
    reader = Reader(kind)
    with (tmp_path / "a.arrow").open("rb", buffering=0) as file:
        for block, batch in zip(blocks, batches, strict=True):
            for first in range(count if block.rows else 0):
                for width in range(1, count - first + 1):
                    found = reader.read(file, block, first, width)
                    assert found.tolist() == [batch[name].to_pylist() for name in names[first : first + width]]


def test_columns_apart_are_refused(tmp_path):
    names, batches = write(tmp_path / "a.arrow", "uint16", 3, gap=True)
    with pytest.raises(RuntimeError, match="not adjacent"):
        blocks_of(tmp_path / "a.arrow", batches[0].schema.names, names)


def test_a_file_cut_short_is_noticed(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    with (tmp_path / "a").open("rb", buffering=0) as file, pytest.raises(RuntimeError, match="shorter"):
        Reader("uint16").read(file, Block(0, 8, 4), 0, 1)


class Sparing:
    """A file that gives at most three bytes at once."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def seek(self, at):
        self.at = at

    def readinto(self, room):
        piece = self.data[self.at : self.at + min(3, len(room))]
        room[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def test_what_comes_in_pieces_is_read_whole():
    data = np.arange(40, dtype=np.uint16).tobytes()
    found = Reader("uint16").read(Sparing(data), Block(4, 16, 6), 1, 3)
    assert found.tolist() == [[2 + 8 * column + row for row in range(6)] for column in (1, 2, 3)]
