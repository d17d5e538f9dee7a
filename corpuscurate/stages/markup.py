"""`markup`: stray HTML tags, comments and character references out of text that should have none."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, text_buffers
from corpuscurate.core.stage import Edit, Outcome, StreamingStage
from corpuscurate.kernels.text.markup import Markup as Tables
from corpuscurate.kernels.text.markup import markup, strip_markup

REASONS = ("tags", "comments", "entities")


class Markup(StreamingStage):
    """Takes HTML tags out of text, and resolves character references such as `&amp;`.

    For text that was extracted from pages and still has some. It is no extractor: what stands between tags stays, but
    for `script` and `style`. It is careful: a tag has the name of an HTML element and well-formed attributes; one
    without attributes must be of an element that may stand alone (`<p>`, `<br>`) or its end must follow in the text. So
    `a < b and c > d`, `List<String>`, `vector<object>` and `<your name>` stay. Tags of blocks become a line feed, those
    of cells a space, where there is none, and the others nothing.
    References are those with a semicolon, by the WHATWG's table of names, as `html.unescape` resolves them; once, so
    that `&amp;lt;` becomes `&lt;`. Text about HTML loses its examples: leave them out (`tags: false`), or this stage.
    """

    word = "markup"
    source = "HTML Living Standard: names of elements, named character references (Python's html.entities)"
    edits_text: ClassVar[bool] = True

    tags: bool = Field(True, description="take out tags and comments")
    entities: bool = Field(True, description="resolve character references")

    @model_validator(mode="after")
    def _does_something(self) -> Markup:
        if not self.tags and not self.entities:
            raise ValueError("tags and entities are both false: there is nothing to do")
        return self

    def apply(self, batch: Batch) -> Outcome:
        """The text without markup."""
        offsets, data = text_buffers(batch.text)
        size = len(batch)
        m = _tables()
        counts, cuts = np.empty((size, 3), np.int64), np.empty((size, 3), np.int64)
        ends = np.empty(size + 1, np.int64)
        whole = int(offsets[-1] - offsets[0])
        out = np.empty(whole + whole // 4 + 16, np.uint8)
        name, places = np.empty(64, np.uint8), np.empty(len(m.kinds), np.int64)
        strip_markup(offsets, data, m, self.tags, self.entities, name, places, counts, cuts, ends, out)
        edits = {
            reason: Edit(int(np.count_nonzero(counts[:, at])), int(cuts[:, at].sum()))
            for at, reason in enumerate(REASONS)
            if counts[:, at].any()
        }
        return Outcome(text=from_buffers(ends, out[: ends[-1]]), edits=edits) if edits else Outcome()


@cache
def _tables() -> Tables:
    return markup()
