"""Every file name inside an output folder, and nothing else.

    OUT/data/part-00000.parquet        and dropped/, edits/, quarantine/
    OUT/report.json
    OUT/_run/run.json                  whose run this is, and the form of the folder
    OUT/_run/measure-0/00003           a split in a measuring pass: docs, columns, sketches, bad records
    OUT/_run/settle-minhash/<work>     a work of a stage's settle step; settled.json is its decision
    OUT/_run/write/00000               a writing task, until its files are published
    OUT/_run/index.json, kept/         what a later run compares with

A task `X` stands in two entries: its files in X.<attempt>.attempt/, its marker in X.done.json (`core/handles.py`).
No other module spells one of these names (`tests/core/test_run_folder.py` holds it).
"""

from __future__ import annotations

FORM = 2
"""Of the run folder. A folder of another form is refused: its artefacts are not what this version expects."""

DATA, DROPPED, QUARANTINE = "data", "dropped", "quarantine"
EDITS = "edits"
"""Only where a stage of the recipe may cut spans out of documents."""
KINDS = (DATA, DROPPED, QUARANTINE, EDITS)
REPORT = "report.json"
STATE = "_run"

RUN = "run.json"
MANIFEST = "manifest.json"
LOCK = "lock"
PUBLISH = "publish.json"
PUBLISHING = "publish"
WRITE, PLACE, GATHER = "write", "place", "gather"
PIECES = "pieces.arrow"
TEMPORARY = ".*.tmp"
"""Pattern of what is not whole: left by a process that was killed."""

DOCS = "docs.arrow"
COLUMNS = "columns.arrow"
BAD = "bad.arrow"
TEXT = "text.arrow"
ROWS = "rows.arrow"
"""What a second reading of documents makes."""

_MARKER, _ATTEMPT = ".done.json", ".attempt"
SETTLED = "settled.json"
IDENTITY = "identity.json"
BASIS = "basis-"
"""Folders within a global stage's own, of what does not depend on all its parameters (see `Corpus.run`)."""

INDEX = "index.json"
KEPT = "kept"

_MEASURE = "measure-"


def marker_file(task: str) -> str:
    """The marker of a task, beside its files."""
    return f"{task}{_MARKER}"


def attempt_folder(task: str, attempt: str) -> str:
    """The files of one attempt at a task."""
    return f"{task}.{attempt}{_ATTEMPT}"


def is_attempt_folder(name: str) -> bool:
    """Whether a name is one that `attempt_folder` makes."""
    return name.endswith(_ATTEMPT) and name.count(".") > 1


def is_attempt_of(name: str, task: str) -> bool:
    """Whether a name is that of the files of an attempt at `task`."""
    return is_attempt_folder(name) and marker_of_attempt(name) == marker_file(task)


def marker_of_attempt(name: str) -> str:
    """The marker of the task whose attempt left the folder `name`."""
    return marker_file(name.removesuffix(_ATTEMPT).rsplit(".", 1)[0])


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


def placement_file(split: int) -> str:
    """Where the kept documents of a split go, of the task PLACE."""
    return f"{split:05d}.arrow"


def kept_file(split: int) -> str:
    """The doc_ids of a split that are in data/, within KEPT."""
    return f"{split:05d}.npy"


def part_name(number: int, suffix: str) -> str:
    """A file of data/, dropped/ or quarantine/: sorts bytewise in input order up to 10^8 parts."""
    return f"part-{number:05d}.{suffix}" if number < 100_000 else f"part-x{number:08d}.{suffix}"


def unpublished(kind: str, part: str, partition: str | None = None) -> str:
    """What a file of an output folder is called among the files of its writing task. partition: folder within."""
    return f"{kind}.{part}" if partition is None else f"{kind}.{partition}.{part}"


def published(name: str) -> str:
    """Where a file named by `unpublished` goes: `data/part-00000.parquet` or `data/<partition>/part-00000.parquet`."""
    folders, part = name.split(".part-", 1)
    return f"{folders.replace('.', '/')}/part-{part}"
