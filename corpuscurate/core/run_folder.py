"""Every file name inside an output folder, and nothing else."""

from __future__ import annotations

HEADER = "index.json"

KEPT = "kept"


DOCS = "docs.arrow"

COLUMNS = "columns.arrow"

BAD = "bad.arrow"


KINDS = ("data", "dropped", "quarantine")

REPORT = "report.json"

STATE = "_run"


MARKER = "done.json"

BASIS = "basis-"
"""Folders within a global stage's own, of what does not depend on all its parameters (see `stage.Corpus.run`)."""


SETTLED = "settled.json"
