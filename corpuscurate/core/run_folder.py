"""Every file name inside an output folder, and nothing else.

    OUT/data/part-00000.parquet        and dropped/, edits/, quarantine/
    OUT/report.json
    OUT/README.md                      the dataset card
    OUT/forgotten.json                 tombstones of documents that were forgotten (`core/tombstones.py`)
    OUT/_run/run.json                  the fingerprint of the run, and the form of the folder
    OUT/_run/measure-0/00003           a split in a measuring pass: docs, columns, sketches, bad records
    OUT/_run/settle-minhash/<work>     a work of a stage's settle step; settled.json is its decision
    OUT/_run/duplicate-ids.json        which ids several documents have; duplicate-ids/ is the scratch of the search
    OUT/_run/write/00000               a writing task, until its files are published
    OUT/_run/index.json, kept/         the index for later runs: its header; kept doc_ids, and sketches of edited texts
    OUT/_run/amend.json, amend/        files that are being replaced in a finished run (`engine/ledger/amend.py`)

A task `X` stands in two entries: its files in X.<attempt>.attempt/, its marker in X.done.json (`core/artefact.py`).
No other module spells one of these names (`tests/core/test_run_folder.py` holds it).
"""

from __future__ import annotations

FORM = 2
"""Format number of the run folder. A folder of another form is refused: its artefacts differ."""

DATA, DROPPED, QUARANTINE = "data", "dropped", "quarantine"
EDITS = "edits"
"""Written only where a stage of the recipe may cut spans out of documents."""
KINDS = (DATA, DROPPED, QUARANTINE, EDITS)
REPORT = "report.json"
CARD = "README.md"
FORGOTTEN = "forgotten.json"
STATE = "_run"

RUN = "run.json"
MANIFEST = "manifest.json"
LOCK = "lock"
PUBLISH = "publish.json"
PUBLISHING = "publish"
PUBLISHED = "published.json"
"""Sizes and times of the published files, and the digest of the card."""
AMEND, AMENDING = "amend.json", "amend"
WRITE, PLACE, GATHER = "write", "place", "gather"
DUPLICATE_IDS, DUPLICATE_IDS_FOUND = "duplicate-ids", "duplicate-ids.json"
PIECES = "pieces.arrow"
TEMPORARY = ".*.tmp"
"""Pattern of incomplete files, left by a process that was killed."""

DOCS = "docs.arrow"
COLUMNS = "columns.arrow"
BAD = "bad.arrow"
TEXT = "text.arrow"
ROWS = "rows.arrow"
"""The sketches of documents that were read again."""

_MARKER, _ATTEMPT = ".done.json", ".attempt"
SETTLED = "settled.json"
IDENTITY = "identity.json"
BASIS = "basis-"
"""Prefix of folders within a stage's folder: results that depend on some parameters only (see `Corpus.run`)."""

INDEX = "index.json"
KEPT = "kept"
INDEX_FORM = 3
"""Format number of INDEX. An index of another form is refused: its sketches are of other texts."""

_MEASURE, _SETTLE = "measure-", "settle-"


def marker_file(task: str) -> str:
    """The marker of a task, beside its files."""
    return f"{task}{_MARKER}"


def attempt_folder(task: str, attempt: str) -> str:
    """The folder of one attempt at a task."""
    return f"{task}.{attempt}{_ATTEMPT}"


def is_attempt_folder(name: str) -> bool:
    """Whether a name is one that `attempt_folder` makes."""
    return name.endswith(_ATTEMPT) and name.count(".") > 1


def is_attempt_of(name: str, task: str) -> bool:
    """Whether a name is that of an attempt at `task`."""
    return is_attempt_folder(name) and marker_of_attempt(name) == marker_file(task)


def marker_of_attempt(name: str) -> str:
    """The marker of the task that the attempt folder `name` belongs to."""
    return marker_file(name.removesuffix(_ATTEMPT).rsplit(".", 1)[0])


def measure_folder(number: int) -> str:
    """The folder of a measuring pass, within STATE."""
    return f"{_MEASURE}{number}"


def is_measure_folder(name: str) -> bool:
    """Whether a name within STATE is that of a measuring pass."""
    return name.startswith(_MEASURE)


def is_settle_folder(name: str) -> bool:
    """Whether a name within STATE is that of a global stage."""
    return name.startswith(_SETTLE)


def settle_folder(label: str) -> str:
    """The folder of a global stage, within STATE."""
    return f"{_SETTLE}{label}"


def task_folder(number: int) -> str:
    """The task of a split or of a group of splits, within its pass."""
    return f"{number:05d}"


def sketch_file(label: str) -> str:
    """The sketches of a global stage for a split."""
    return f"sketch-{label}.arrow"


def reread_folder(sketch: str, split: int, corpus: int | None = None) -> str:
    """The task that reads a split again, within the stage's folder. corpus: number of an earlier run."""
    return f"reread-{sketch}-{split:05d}" if corpus is None else f"earlier-{corpus}-{sketch}-{split:05d}"


def placement_file(split: int) -> str:
    """Part and rank of the kept documents of a split, a file of the task PLACE."""
    return f"{split:05d}.arrow"


def kept_file(split: int) -> str:
    """The kept doc_ids of a split, within KEPT."""
    return f"{split:05d}.npy"


def written_sketch_file(label: str, split: int) -> str:
    """The sketches of the texts of a split as they are written, in a writing task and within KEPT."""
    return f"{split:05d}-{sketch_file(label)}"


def part_name(number: int, suffix: str) -> str:
    """A file of data/, dropped/ or quarantine/: sorts bytewise in input order up to 10^8 parts."""
    return f"part-{number:05d}.{suffix}" if number < 100_000 else f"part-x{number:08d}.{suffix}"


def unpublished(kind: str, part: str, partition: str | None = None) -> str:
    """Name of an output file in the folder of its writing task. partition: its folder within data/."""
    return f"{kind}.{part}" if partition is None else f"{kind}.{partition}.{part}"


def is_unpublished(name: str) -> bool:
    """Whether a file of a writing task is an output file, one that `unpublished` names."""
    return ".part-" in name


def published(name: str) -> str:
    """Final path of a file named by `unpublished`: `data/part-00000.parquet`, `data/<partition>/part-00000.parquet`."""
    folders, part = name.split(".part-", 1)
    return f"{folders.replace('.', '/')}/part-{part}"
