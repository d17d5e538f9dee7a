"""`normalize`: one spelling for what means the same."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, from_buffers, lengths_bytes, text_buffers
from corpuscurate.core.errors import MissingExtraError
from corpuscurate.core.stage import Edit, Outcome, StreamingStage
from corpuscurate.kernels.text.clean import (
    HAS_CONTROL,
    HAS_FORM,
    HAS_INVISIBLE,
    HAS_OTHER,
    HAS_RETURN,
    clean,
    find_needs,
)
from corpuscurate.kernels.text.unicode import NOT_NFC, NOT_NFD, NOT_NFKC, NOT_NFKD, tables

_FORM_FLAGS = {"nfc": NOT_NFC, "nfd": NOT_NFD, "nfkc": NOT_NFKC, "nfkd": NOT_NFKD, "none": 0}

Text = Any  # pa.LargeStringArray, which mypy does not know


class Normalize(StreamingStage):
    """Brings text to one Unicode form and one kind of line end, and takes out control characters.

    In this order: mistaken encodings are repaired (`fix_encoding`), line ends become LF (`line_ends`), control
    characters go (`control`), invisible characters go where wanted (`invisible`), the Unicode form is applied (`form`).
    Nothing else is touched: spaces of all kinds, the zero width space among them, stay. Soft hyphens, joiners, marks of
    direction and variation selectors stay, too, unless `invisible` takes them out: they part no word and change none
    for `length` and `minhash`, but joiners spell words in Persian and in Indic scripts, joiners and selectors make one
    emoji of several, and marks of direction order mixed lines. Without `fix_encoding`, a second application changes
    nothing.
    """

    word = "normalize"
    source = "Unicode Standard Annex #15, Unicode Normalization Forms"
    edits_text: ClassVar[bool] = True

    form: Literal["nfc", "nfkc", "nfd", "nfkd", "none"] = Field(
        "nfc", description="Unicode form; nfkc and nfkd also rewrite look-alikes such as ﬁ, ² and full-width letters"
    )
    line_ends: bool = Field(True, description="CR LF and CR alone become LF")
    control: bool = Field(
        True,
        description="take out control characters (category Cc but tab, LF and CR), U+FEFF and the 66 noncharacters; "
        "those that are white space, such as form feed, become a space",
    )
    invisible: bool = Field(
        False,
        description="take out soft hyphens, word joiners, zero-width joiners and non-joiners, marks of direction, "
        "U+FEFF, variation selectors, tags and the like: category Cf but U+200B and visible signs, and marks that are "
        "default-ignorable",
    )
    fix_encoding: bool = Field(
        False, description="repair text decoded with a wrong encoding (needs ftfy: slow, and it guesses)"
    )

    @model_validator(mode="after")
    def _ftfy_is_there(self) -> Normalize:
        if self.fix_encoding and find_spec("ftfy") is None:
            raise MissingExtraError("ftfy", "ftfy", "normalize with `fix_encoding: true`")
        return self

    @property
    def packages(self) -> tuple[str, ...]:
        """ftfy, where it is used."""
        return ("ftfy",) if self.fix_encoding else ()

    def apply(self, batch: Batch) -> Outcome:
        """The new text, or none when no document changes."""
        text = batch.text
        edits: dict[str, Edit] = {}
        needs = self._needs(text)
        if self.fix_encoding:
            text, needs = self._fix_encoding(text, needs, edits)
        text, needs = self._clean(text, needs, edits)
        text = self._apply_form(text, needs, edits)
        return Outcome(text=None if text is batch.text else text, edits=edits)

    def _needs(self, text: Text) -> NDArray[np.uint8]:
        needs = np.empty(len(text), np.uint8)
        find_needs(*text_buffers(text), tables(), _FORM_FLAGS[self.form], needs)
        return needs

    def _put(
        self, text: Text, needs: NDArray[np.uint8], rows: NDArray[np.bool_], new: Text
    ) -> tuple[Text, NDArray[np.uint8]]:
        """The text with `new` in place of `rows`, and what it needs now."""
        needs = needs.copy()
        needs[rows] = self._needs(new)
        return (new if rows.all() else pc.replace_with_mask(text, pa.array(rows), new)), needs

    def _fix_encoding(
        self, text: Text, needs: NDArray[np.uint8], edits: dict[str, Edit]
    ) -> tuple[Text, NDArray[np.uint8]]:
        from ftfy import fix_encoding

        rows = (needs & HAS_OTHER) != 0  # ASCII is right in every encoding that ftfy knows
        old = text.filter(pa.array(rows))
        new = pa.array([fix_encoding(document) for document in old.to_pylist()], TEXT)
        return self._accept(text, needs, rows, old, new, "encoding", edits)

    def _clean(self, text: Text, needs: NDArray[np.uint8], edits: dict[str, Edit]) -> tuple[Text, NDArray[np.uint8]]:
        wanted = HAS_RETURN * self.line_ends | HAS_CONTROL * self.control | HAS_INVISIBLE * self.invisible
        rows = (needs & wanted) != 0
        if not rows.any():
            return text, needs
        old = text.filter(pa.array(rows))
        changes = np.empty((len(old), 6), np.int64)
        offsets = np.empty(len(old) + 1, np.int64)
        data = np.empty(int(lengths_bytes(old).sum()), np.uint8)
        clean(*text_buffers(old), tables(), self.line_ends, self.control, self.invisible, changes, offsets, data)
        for reason, first in (("line_ends", 0), ("control", 2), ("invisible", 4)):
            documents = int(np.count_nonzero(changes[:, first]))
            if documents:
                edits[reason] = Edit(documents, int(changes[:, first + 1].sum()))
        return self._put(text, needs, rows, from_buffers(offsets, data[: offsets[-1]]))

    def _apply_form(self, text: Text, needs: NDArray[np.uint8], edits: dict[str, Edit]) -> Text:
        rows = (needs & HAS_FORM) != 0
        if not rows.any():
            return text
        old = text.filter(pa.array(rows))
        new = pc.utf8_normalize(old, form=self.form.upper())
        return self._accept(text, needs, rows, old, new, "unicode_form", edits)[0]

    def _accept(
        self,
        text: Text,
        needs: NDArray[np.uint8],
        rows: NDArray[np.bool_],
        old: Text,
        new: Text,
        reason: str,
        edits: dict[str, Edit],
    ) -> tuple[Text, NDArray[np.uint8]]:
        """Put the documents among `rows` that did change, and count what changed."""
        changed = pc.not_equal(old, new).to_numpy(zero_copy_only=False)
        if not changed.any():
            return text, needs
        saved = (lengths_bytes(old) - lengths_bytes(new))[changed]
        edits[reason] = Edit(int(changed.sum()), int(saved.sum()))
        where = rows.copy()
        where[rows] = changed
        return self._put(text, needs, where, new.filter(pa.array(changed)))
