"""What a run would do: passes, tasks and disk. Nothing is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil

from corpuscurate.core.spec import Spec, planned
from corpuscurate.core.stage import GlobalStage, row_bytes
from corpuscurate.engine.fingerprints import run_identity
from corpuscurate.engine.ledger.index import sketched_while_writing
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.engine.memory import fitted, plan_memory
from corpuscurate.engine.plan import cut_passes, global_stages
from corpuscurate.engine.runners.cards import needs_card
from corpuscurate.io.base import output_format


def plan_spec(spec: Spec) -> dict[str, Any]:
    """The plan of a run: passes, tasks, bytes read, and estimates of the text and of the disk needed. Reads no text."""
    manifest = build_manifest(spec.source, spec.base)
    spec, told = fitted(planned(spec))
    cut = cut_passes(spec.stages)
    stored = sum(file.size for file in manifest.files)
    held = sum(split.bytes for split in manifest.splits)
    passes = []
    for current in cut:
        labels = [spec.stages[place].label for place in (*current.streaming, *current.settling)]
        passes.append(
            {
                "title": f"measure {current.number + 1}",
                "kind": "measure",
                "stages": labels,
                "tasks": len(manifest.splits),
                "read_bytes": stored,
            }
        )
        passes += [
            {
                "title": f"settle {stage.label}",
                "kind": "settle",
                "stages": [stage.label],
                "tasks": None,
                "read_bytes": 0,
                "on_card": needs_card(stage),
            }
            for stage in global_stages(spec.stages, current)
        ]
    parts = max(1, round(held / spec.sink.part_bytes))
    passes.append({"title": "write", "kind": "write", "stages": [], "tasks": parts, "read_bytes": stored})
    return {
        "files": len(manifest.files),
        "stored_bytes": stored,
        "text_bytes_estimate": held,
        "splits": len(manifest.splits),
        "passes": passes,
        "workers": spec.settings.workers,
        "warnings": told,
        "output": os.fspath(spec.output),
        "disk_bytes_estimate": disk_estimate(spec, manifest),
        "disk_free_bytes": free_bytes(spec.output),
        "memory": plan_memory(spec),
        "fingerprint": run_identity(spec, manifest),
    }


DOCUMENT_BYTES = 2000
"""Bytes of text of a typical document, for estimates only."""


def disk_estimate(spec: Spec, manifest: Manifest) -> int:
    """Approximate disk that a run needs at most, in bytes: the dataset in its format, and the artefacts."""
    spec = planned(spec)
    held = sum(split.bytes for split in manifest.splits)
    documents = held / DOCUMENT_BYTES
    ratio = 0.45 if output_format(spec.sink.format).compressed else 1.1
    artefacts = documents * 80
    for stage in spec.stages:
        if isinstance(stage, GlobalStage):
            artefacts += documents * stage.disk_bytes(DOCUMENT_BYTES)
    if spec.settings.retain != "none":
        written = sketched_while_writing(spec.stages, cut_passes(spec.stages))
        artefacts += documents * sum(row_bytes(stage.sketch_schema()) for stage in written)
    return int(held * ratio + artefacts)


def free_bytes(path: Path) -> int:
    """Free bytes on the disk of a path, which need not exist yet."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    return int(psutil.disk_usage(str(place)).free)
