"""`length`: documents that are too short or too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import lengths_bytes, text_buffers
from corpuscurate.core.filter import Filter
from corpuscurate.kernels.text.unicode import WORDS_DESCRIPTION, Words, tables
from corpuscurate.kernels.text.words import count_characters, count_words


class Length(Filter):
    """Drops documents shorter or longer than given, in words, characters or bytes.

    A word is a run of letters, digits and combining marks, with `words: identifiers` of underscores, too; in scripts
    written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese and others) each letter is a word of its own. Soft
    hyphens, joiners, marks of direction and other invisible characters part no word; the zero width space does. A
    character is a code point, invisible ones included. Bytes are UTF-8.
    """

    word = "length"
    version: ClassVar[int] = 2
    measured: ClassVar[Mapping[str, pa.DataType]] = {
        "words": pa.int64(),
        "characters": pa.int64(),
        "bytes": pa.int64(),
    }

    min_words: int | None = Field(None, description="fewest words that are kept", ge=0, examples=[50])
    max_words: int | None = Field(None, description="most words that are kept", ge=0)
    words: Words = Field("unicode", description=WORDS_DESCRIPTION)
    min_characters: int | None = Field(None, description="fewest characters (code points) that are kept", ge=0)
    max_characters: int | None = Field(None, description="most characters (code points) that are kept", ge=0)
    min_bytes: int | None = Field(None, description="fewest bytes of UTF-8 that are kept", ge=0)
    max_bytes: int | None = Field(None, description="most bytes of UTF-8 that are kept", ge=0)

    @model_validator(mode="after")
    def _some_bound(self) -> Length:
        if not self.bounds() and self.mode == "drop":
            known = [name for name in type(self).model_fields if name.startswith(("min_", "max_"))]
            raise ValueError(f"length needs at least one bound: {', '.join(known)}; or `mode: tag` to measure only")
        return self

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """Words, characters and bytes, as far as they are wanted."""
        offsets, data = text_buffers(batch.text)
        found: dict[str, NDArray[Any]] = {"bytes": lengths_bytes(batch.text)}
        if self.wants("words"):
            found["words"] = np.empty(len(batch), np.int64)
            count_words(offsets, data, tables(self.words), found["words"])
        if self.wants("characters"):
            found["characters"] = np.empty(len(batch), np.int64)
            count_characters(offsets, data, found["characters"])
        return found
