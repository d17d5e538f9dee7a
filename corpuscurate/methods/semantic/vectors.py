"""Embeddings in whole numbers: 16 bits an element, so that products are exact whatever computes them.

A unit row is multiplied by `LENGTH` and rounded. Then every partial sum of a product of two rows, in any order, is at
most the product of their lengths, below 2^24, and float32 holds it exactly: BLAS and FAISS give the same whole numbers
with any block size, number of threads or kind of CPU. The rounding error of an element is below a 4000th of the row's
length, whatever the other elements are; 8 bits, whose step is a 127th of the greatest element, lost what is beside one
large element. Before rounding, a number of its own between -.5 and .5 is added to each dimension (dither: Schuchman
1964). Without it, many equal elements are all rounded the same way, and their errors add up instead of cancelling out.
So the error of a cosine is at most about .00018 (standard deviation), for any distribution of the elements.

A file of vectors is a folder: vectors.bin (int16[n, d]), or at.bin (int64[n]: which rows of the sketch they are, for
embeddings that came in a column); ids.bin (uint64[n], ascending), squares.bin (int32[n]); and
zeros.bin (uint64), the documents without a direction, with zero_notes.bin (uint8), why (see `embed.base.Embedded`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.core.errors import InputError
from corpuscurate.core.tables import read_table
from corpuscurate.kernels.embedding.whole_rows import row_squares, whole_rows
from corpuscurate.methods.embed.base import embedding_batches, embedding_shape
from corpuscurate.methods.embed.noted import Noted, joined_notes
from corpuscurate.methods.semantic.gathered import Gathered

LENGTH = 4000
"""Length of a stored row and of a centroid: 4000 and the rounding stay below 2^12."""
MOST_DIMENSIONS = 16_384
VECTOR = "vector"
"""Column of a sketch with rows in whole numbers (see `semantic.column`)."""
_BLOCK_ROWS = 1 << 14
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Vectors:
    """A stored file of vectors. rows: how many; dimension: of each; zeros: documents without a direction, left out.
    sketch: where the vectors are, if they are not in the file but came in a column (`semantic.column`)."""

    files: Artefacts
    rows: int
    dimension: int
    zeros: int
    sketch: Artefact | None = None

    def vectors(self) -> NDArray[np.int16] | Gathered:
        """int16[n, d], memory-mapped, or gathered where rows are asked for."""
        if self.sketch is None:
            return mapped(self.files["vectors.bin"], np.int16, (self.rows, self.dimension))
        chunks = read_table(self.sketch).column(VECTOR).chunks
        pieces = [to_numpy(chunk.flatten()).reshape(-1, self.dimension) for chunk in chunks]
        return Gathered(pieces, mapped(self.files["at.bin"], np.int64, (self.rows,)), self.dimension)

    def ids(self) -> NDArray[np.uint64]:
        """uint64[n], ascending."""
        return np.fromfile(self.files["ids.bin"], np.uint64)

    def zero_ids(self) -> NDArray[np.uint64]:
        """Documents without a direction, ascending."""
        return np.fromfile(self.files["zeros.bin"], np.uint64)

    def zero_notes(self) -> NDArray[np.uint8]:
        """The notes of these documents."""
        return np.fromfile(self.files["zero_notes.bin"], np.uint8)

    def squares(self) -> NDArray[np.int32]:
        """int32[n]: the square of each row's length."""
        return np.fromfile(self.files["squares.bin"], np.int32)


def mapped(path: Artefact | Path, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A raw file as an array, memory-mapped; an empty file, which cannot be mapped, as an empty array."""
    return np.memmap(path, kind, "r", shape=shape) if np.prod(shape) else np.empty(shape, kind)


def quantised(rows: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Stored form of unit rows float32[n, d]: int16[n, d] and the square of each row's length; zero rows stay zero."""
    whole, squares = np.empty(rows.shape, np.int16), np.empty(len(rows), np.int32)
    whole_rows(rows, float(LENGTH), _dither(rows.shape[1]), whole, squares)
    return whole, squares


def squares_of(rows: NDArray[np.int16]) -> NDArray[np.int32]:
    """int32[n]: the square of the length of each row int16[n, d]."""
    squares = np.empty(len(rows), np.int32)
    row_squares(rows, squares)
    return squares


def _dither(dimension: int) -> NDArray[np.float64]:
    """float64[d]: multiples of the golden ratio, modulo 1, less a half: as even as can be in any run of dimensions."""
    found: NDArray[np.float64] = np.mod(np.arange(1, dimension + 1, dtype=np.float64) * _GOLDEN, 1.0) - 0.5
    return found


@dataclass(frozen=True, slots=True)
class Quantise:
    """Store the embeddings of a split."""

    split: int
    path: Artefact

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"vectors-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write the file of vectors, without documents that have no direction."""
        noted = Noted()
        with ExitStack() as stack:
            files = VectorFiles(folder, stack)
            for ids, block, notes in embedding_batches(self.path):
                noted = noted.with_batch(ids, notes)
                for start in range(0, len(ids), _BLOCK_ROWS):
                    some = slice(start, start + _BLOCK_ROWS)
                    whole, squares = quantised(block[some])
                    there = squares > 0
                    files.write(whole[there], ids[some][there], squares[there])
                    files.without(ids[some][~there], notes[some][~there])
        return {**files.counts(), "noted": noted.value()}


class VectorFiles:
    """A file of vectors while it is written. folder: where to; stack: closes its files."""

    def __init__(self, folder: Path, stack: ExitStack, rows: str = "vectors") -> None:
        """rows: the file of rows."""
        names = (rows, "ids", "squares", "zeros", "zero_notes")
        self._rows_file = rows
        self._files = {name: stack.enter_context((folder / f"{name}.bin").open("wb")) for name in names}
        self._rows = self._zeros = 0

    def write(self, rows: NDArray[Any], ids: NDArray[np.uint64], squares: NDArray[np.int32]) -> None:
        """Add rows with a direction, or where they are; their documents, ascending; the squares of their lengths."""
        self._files[self._rows_file].write(rows.tobytes())
        self._files["ids"].write(ids.tobytes())
        self._files["squares"].write(squares.tobytes())
        self._rows += len(ids)

    def without(self, ids: NDArray[np.uint64], notes: NDArray[np.uint8]) -> None:
        """Add documents without a direction and why, ascending."""
        self._files["zeros"].write(ids.tobytes())
        self._files["zero_notes"].write(notes.tobytes())
        self._zeros += len(ids)

    def counts(self) -> dict[str, int]:
        """How many there are of both."""
        return {"rows": self._rows, "zeros": self._zeros}


def quantise(corpus: Corpus, paths: list[Artefact], basis: Any) -> tuple[tuple[Vectors, ...], Noted]:
    """Store the embeddings of all splits (`embed_corpus`), and count their notes. Raises InputError for rows that are
    too long."""
    shapes = [embedding_shape(path) for path in paths]
    dimension = max((width for _, width in shapes), default=1)
    checked_dimension(dimension)
    done = corpus.run([Quantise(i, path) for i, path in enumerate(paths)], "storing vectors", basis=basis)
    noted = joined_notes([Noted.of(each.result["noted"]) for each in done])
    return tuple(vectors_of(each, dimension) for each in done), noted


def checked_dimension(dimension: int) -> int:
    """The number of dimensions. Raises InputError where products would not be exact."""
    if dimension > MOST_DIMENSIONS:
        raise InputError(f"embeddings have {dimension} dimensions; at most {MOST_DIMENSIONS} can be handled.")
    return dimension


def vectors_of(done: Done, dimension: int, sketch: Artefact | None = None) -> Vectors:
    """What a work that wrote `VectorFiles` left. sketch: where the vectors are, if not in the file."""
    return Vectors(done.files, done.result["rows"], dimension, done.result["zeros"], sketch)
