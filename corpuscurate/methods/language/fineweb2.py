"""FineWeb-2's thresholds and stop words by language.

`fineweb2.json.xz` (by `scripts/make_fineweb2_table.py`) holds `configs/*.yml` of github.com/huggingface/fineweb-2 at
d0defb24f193: copyright the authors of FineWeb-2 (Penedo et al. 2025, arXiv 2506.20920), licensed under Apache-2.0. They
have 1,929 languages, each with a script, and not English.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from corpuscurate.methods.language.codes import individual, parse

_PATH = Path(__file__).with_name("fineweb2.json.xz")
_GLOTLID_LABELS = 1600


class Fineweb2Row(NamedTuple):
    """What FineWeb-2 sets for a language; the names are those of its files. name: as `deu_Latn`. language_score: least
    score of GlotLID. dup_n_grams: for n = 5..10. top_n_grams: for n = 2..4. line_punct_thr: -1: no rule."""

    name: str
    language_score: float
    dup_line_frac: float
    dup_n_grams: tuple[float, ...]
    top_n_grams: tuple[float, ...]
    line_punct_thr: float
    new_line_ratio: float
    min_avg_word_length: float
    max_avg_word_length: float
    max_non_alpha_words_ratio: float
    stopwords: tuple[str, ...]


@cache
def fineweb2_rows() -> Mapping[tuple[str, str], Fineweb2Row]:
    """All rows, by individual language and script."""
    rows = json.loads(lzma.decompress(_PATH.read_bytes()))
    found = {}
    for name, score, lines, dups, tops, *rest in rows:
        ends, newlines, shortest, longest, letters, stops = rest
        row = Fineweb2Row(
            name, score, lines, tuple(dups), tuple(tops), ends, newlines, shortest, longest, letters, tuple(stops)
        )
        found[individual(name), name[4:]] = row
    return found


@cache
def _only_rows() -> Mapping[str, Fineweb2Row | None]:
    """The row of each language that has one alone."""
    found: dict[str, Fineweb2Row | None] = {}
    for (language, _), row in fineweb2_rows().items():
        found[language] = None if language in found else row
    return found


def fineweb2_row(label: str, script: str = "") -> Fineweb2Row | None:
    """The row of a language, None where it has none.

    script: of the text, for a label without one. It decides where FineWeb-2 has a language in several scripts: a
    Chinese page with much code in it has more Latin letters than others, and is Chinese."""
    code = parse(label)
    if code is None:
        return None
    language = individual(code.three)
    found = fineweb2_rows().get((language, code.script or script))
    return found if found is not None or code.script else _only_rows().get(language)


def is_glotlid(labels: Sequence[str]) -> bool:
    """Whether the labels are those of GlotLID, of whose scores the thresholds are: more than any other model has, each
    with a script."""
    scripted = sum(code is not None and bool(code.script) for code in map(parse, labels))
    return scripted >= _GLOTLID_LABELS
