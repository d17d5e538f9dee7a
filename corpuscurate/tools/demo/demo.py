"""The main job on real text with no download: make shards, run the bundled recipe, pair removed with kept documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpuscurate.core.errors import OutputError
from corpuscurate.core.run_folder import DATA, DROPPED
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import run_spec
from corpuscurate.recipe.bundled import bundled_recipe
from corpuscurate.recipe.load import load_recipe
from corpuscurate.tools.demo.text import collect, write_shards

RECIPE = "recipe.yaml"
LEAST_CHARACTERS = 200
"""Shorter examples show little."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the demo made. report: of the run; shards, recipe, output: where they are."""

    report: dict[str, Any]
    documents: int
    shards: list[Path]
    recipe: Path
    output: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A removed document beside the one that was kept. similarity: to its verified neighbour, 1.0 for equal texts."""

    stage: str
    similarity: float | None
    dropped_id: str
    dropped_text: str
    kept_id: str
    kept_text: str


def make_demo(folder: Path, progress: Progress) -> Made:
    """Make shards in `folder`, put the recipe beside them and run it. A recipe that is there already is used.

    Raises OutputError when the folder holds anything but a demo.
    """
    recipe = folder / RECIPE
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not recipe.is_file())):
        raise OutputError(f"{folder} holds something else than a demo. Choose another folder with --output.")
    folder.mkdir(parents=True, exist_ok=True)
    if not recipe.exists():
        recipe.write_bytes(bundled_recipe("demo.yaml").read_bytes())
    spec = load_recipe(recipe)
    progress.message("collecting docstrings, descriptions and licences of this Python installation")
    documents = collect()
    shards = write_shards(documents, folder / "shards")
    for old in set((folder / "shards").glob("docs-*.jsonl.zst")) - set(shards):
        old.unlink()
    report = run_spec(spec, overwrite=True, progress=progress)
    return Made(report, len(documents), shards, recipe, spec.output)


def pairs(output: Path, count: int = 3) -> list[Pair]:
    """Removed documents beside the ones that were kept: the least similar first, each of another kind and cluster
    where there are enough."""
    rows = _dropped(output)
    found: list[Pair] = []
    texts = _texts(output)
    for row in sorted(rows.values(), key=_order):
        end = _kept_for(rows, row)
        if row["text"] is None or len(row["text"]) < LEAST_CHARACTERS or end not in texts:
            continue
        found.append(Pair(row["stage"], row["similarity"], row["id"], row["text"], end, texts[end]))
    return _varied(found, count)


def _order(row: Mapping[str, Any]) -> tuple[float, str]:
    return (1.0 if row["similarity"] is None else row["similarity"], row["id"])


def _dropped(output: Path) -> dict[str, dict[str, Any]]:
    """The rows of dropped/ that are duplicates, by id."""
    columns = ["id", "stage", "similarity", "duplicate_of", "text"]
    files = sorted((output / DROPPED).glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file, columns=columns).to_pylist()]
    return {row["id"]: row for row in rows if row["duplicate_of"] is not None and row["id"] is not None}


def _texts(output: Path) -> dict[str, str]:
    files = sorted((output / DATA).rglob("*.parquet"))
    return {row["id"]: row["text"] for file in files for row in pq.read_table(file, columns=["id", "text"]).to_pylist()}


def _kept_for(rows: Mapping[str, Mapping[str, Any]], row: Mapping[str, Any]) -> str:
    """The document that stands for this one at the end of the run."""
    end = str(row["duplicate_of"])
    for _ in range(len(rows)):
        if end not in rows:
            break
        end = str(rows[end]["duplicate_of"])
    return end


def _varied(found: list[Pair], count: int) -> list[Pair]:
    """The first `count`, of different kinds, then of different clusters, then any."""
    chosen: list[Pair] = []
    for same in (_kind, _cluster, _itself):
        for pair in found:
            if len(chosen) < count and same(pair) not in {same(other) for other in chosen}:
                chosen.append(pair)
    return chosen


def _kind(pair: Pair) -> str:
    return pair.dropped_id.partition("/")[0]


def _cluster(pair: Pair) -> str:
    return pair.kept_id


def _itself(pair: Pair) -> str:
    return pair.dropped_id
