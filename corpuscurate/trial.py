"""Measure and settle without writing: what a tuning tool needs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpuscurate.check import check_spec
from corpuscurate.manifest import build_manifest
from corpuscurate.plan import segments
from corpuscurate.progress import NoProgress, Progress
from corpuscurate.run import _Steps
from corpuscurate.runners import make_runner
from corpuscurate.session import Session, locked
from corpuscurate.spec import Spec
from corpuscurate.warm import to_text


def settle_spec(spec: Spec, *, base: Path, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The accounts of the global stages by label, as a run would come to them; no document is written.

    base: the folder relative paths start from. folder: for what is measured; what an earlier call left there and still
    fits is used again. Raises the errors of `run_spec`.
    """
    check_spec(spec, base)
    manifest = build_manifest(spec.source, base)
    warm = to_text(spec, [file.format for file in manifest.files])
    with locked(folder), make_runner(spec.settings, warm) as runner:
        steps = _Steps(Session(spec, folder, manifest, runner, progress or NoProgress()))
        for segment in segments(spec.stages):
            steps.measure(segment)
            steps.settle(segment)
    return steps.settled
