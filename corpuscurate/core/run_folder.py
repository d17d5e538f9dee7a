"""Every file name inside an output folder, and nothing else.

    OUT/data/part-00000.parquet        and dropped/, edits/, quarantine/
    OUT/report.json
    OUT/_run/run.json                  whose run this is, and the form of the folder
    OUT/_run/measure-0/00003/          a split in a measuring pass: docs, columns, sketches, bad records
    OUT/_run/settle-minhash/<work>/    a work of a stage's settle step; settled.json is its decision
    OUT/_run/write/00000/              a writing task, until its files are published
    OUT/_run/index.json, kept/         what a later run compares with

No other module spells one of these names (`tests/core/test_run_folder.py` holds it).
"""

from __future__ import annotations

FORM = 2
"""Of the run folder. A folder of another form is refused: its artefacts are not what this version expects."""

DATA, DROPPED, QUARANTINE = "data", "dropped", "quarantine"
KINDS = (DATA, DROPPED, QUARANTINE)
REPORT = "report.json"
STATE = "_run"

RUN = "run.json"
MANIFEST = "manifest.json"
LOCK = "lock"
PUBLISH = "publish.json"
PUBLISHING = "publish"
WRITE = "write"
TEMPORARY = ".*.tmp"
"""Pattern of what is not whole: left by a process that was killed."""

DOCS = "docs.arrow"
COLUMNS = "columns.arrow"
BAD = "bad.arrow"
ROWS = "rows.arrow"
"""What a second reading of documents makes."""

MARKER = "done.json"
SETTLED = "settled.json"
IDENTITY = "identity.json"
BASIS = "basis-"
"""Folders within a global stage's own, of what does not depend on all its parameters (see `Corpus.run`)."""

INDEX = "index.json"
KEPT = "kept"

_MEASURE = "measure-"


def measure_folder(number: int) -> str:
    """Of a measuring pass, within STATE."""
    return f"{_MEASURE}{number}"


def is_measure_folder(name: str) -> bool:
    """Whether a name within STATE is that of a measuring pass."""
    return name.startswith(_MEASURE)


def settle_folder(label: str) -> str:
    """Of a global stage, within STATE."""
    return f"settle-{label}"


def task_folder(number: int) -> str:
    """Of a split or of a writing task, within its pass."""
    return f"{number:05d}"


def sketch_file(label: str) -> str:
    """The sketches of a global stage for a split."""
    return f"sketch-{label}.arrow"


def reread_folder(sketch: str, split: int, corpus: int | None = None) -> str:
    """A split read again for a global stage, within the stage's folder. corpus: of an earlier run."""
    return f"reread-{sketch}-{split:05d}" if corpus is None else f"earlier-{corpus}-{sketch}-{split:05d}"


def kept_file(split: int) -> str:
    """The doc_ids of a split that are in data/, within KEPT."""
    return f"{split:05d}.npy"


def part_name(number: int, suffix: str) -> str:
    """A file of data/, dropped/ or quarantine/: sorts bytewise in input order up to 10^8 parts."""
    return f"part-{number:05d}.{suffix}" if number < 100_000 else f"part-x{number:08d}.{suffix}"


def unpublished(kind: str, part: str) -> str:
    """What a file of data/, dropped/ or quarantine/ is called in the folder of its writing task."""
    return f"{kind}.{part}"


def published(name: str) -> tuple[str, str]:
    """(kind, part) of a name made by `unpublished`."""
    kind, part = name.split(".", 1)
    return kind, part
