"""A stage that masks digits, and families of texts that differ in digits alone. Workers import this."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import Outcome, StreamingStage


class MaskDigits(StreamingStage):
    """Every digit becomes `by`."""

    edits_text: ClassVar[bool] = True
    by: str = "#"

    def apply(self, batch: Batch) -> Outcome:
        text = pc.replace_substring_regex(batch.text, "[0-9]", self.by)
        return Outcome(text=text.cast(pa.large_string()))


def masked(text: str, by: str = "#") -> str:
    """What `MaskDigits` makes of a text."""
    return "".join(by if each in "0123456789" else each for each in text)


def documents(name: str, size: int, seed: int) -> list[dict[str, Any]]:
    """Documents of 40 families, which all seeds share: those of a family differ in telephone numbers alone, some in
    nothing. Every word holds a letter, so that masked numbers stay words of the family."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(size):
        family = int(rng.integers(0, 40))
        words = [f"{chr(97 + family % 26)}{chr(97 + family // 26)}{chr(97 + i)}" for i in range(12)]
        for at in (2, 5, 9):
            words[at] = f"tel{rng.integers(1000, 1004)}777{rng.integers(1000, 1004)}"
        found.append({"id": f"{name}{place}", "text": " ".join(words), "grade": int(rng.integers(0, 9))})
    return found


def write_shards(folder: Path, records: list[dict[str, Any]], shards: int = 3) -> None:
    """The records in several files of JSON lines."""
    folder.mkdir(parents=True)
    for number in range(shards):
        lines = [orjson.dumps(each) + b"\n" for each in records[number::shards]]
        (folder / f"{number}.jsonl").write_bytes(b"".join(lines))
