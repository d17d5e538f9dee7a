"""Running a `Spec`: manifest, passes, settlings, writing, report, publishing; each step is resumable.

Nothing here depends on workers, memory, batch size or the order of finishing: those only decide who does what when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from corpuscurate.core.artefact import fingerprint
from corpuscurate.core.errors import DamagedError, InputError
from corpuscurate.core.os_errors import is_about_output, output_error
from corpuscurate.core.spec import Spec
from corpuscurate.engine.check import check_spec
from corpuscurate.engine.ledger.index import check_edits
from corpuscurate.engine.ledger.publish import OutputFolder
from corpuscurate.engine.ledger.report import Facts, build_report, versions
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.engine.plan import cut_passes
from corpuscurate.engine.progress import NoProgress, Progress
from corpuscurate.engine.runners import Runner, load_ahead, make_runner
from corpuscurate.engine.runners.warm import to_text
from corpuscurate.engine.session import MemoryWatch, Session, locked
from corpuscurate.engine.steps import Steps, source_value, stage_value
from corpuscurate.io.files import expand
from corpuscurate.kernels.compile import is_cold

T = TypeVar("T")


def run_spec(
    spec: Spec,
    *,
    base: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
    runner: Callable[[], Runner] | None = None,
) -> dict[str, Any]:
    """Run the spec and return its report (also written to `report.json`).

    base: the folder relative paths start from. overwrite: replace what an earlier run left in the output folder
    (artefacts that still fit are used again). A run that was interrupted goes on; one that is finished is not repeated.
    Raises RecipeError, InputError, OutputError, StageError, BadInputError, WorkerError, BalanceError.
    """
    started = time.time()
    shown = progress or NoProgress()
    if is_cold() and runner is None:
        shown.message("compiling the kernels for this machine: once, some tens of seconds")
        files = expand(spec.source.paths, base, spec.source.format)
        load_ahead(spec.settings, to_text(spec, [file.format for file in files]))  # the check reads, and compiles, too
    warnings = check_spec(spec, base)
    check_edits(spec)
    manifest = build_manifest(spec.source, base)
    identity = run_identity(spec, manifest)
    output = OutputFolder(base / spec.sink.path)
    try:
        finished = output.claim(identity, overwrite)
        if finished is not None:
            shown.message(f"{output.path} already holds this very run, finished: nothing to do.")
            return finished
        with locked(output.state):
            output.claim(identity, overwrite)  # again: it may have changed before it was locked
            output.begin(identity, manifest, overwrite)
            report = output.pending_report(identity)
            if report is None:
                report = mended(
                    lambda notes: _run(spec, manifest, output, shown, [*warnings, *notes], identity, started, runner),
                    output.state,
                )
            public = output.publish(report)
            output.tidy(spec.settings.retain)
            return public
    except OSError as error:
        if is_about_output(error):
            raise output_error(error, Path(error.filename or output.path)) from error
        raise


def mended(work: Callable[[Sequence[str]], T], state: Path) -> T:
    """The result of `work`, which is begun again where it met a damaged file of `state`: that file goes, and what made
    it is done again. work: is given what to warn of. Raises InputError for a damaged file of another run."""
    notes: list[str] = []
    while True:
        try:
            return work(notes)
        except DamagedError as error:
            path = Path(error.path)
            if not path.is_relative_to(state):
                raise InputError(f"{error}. It belongs to an earlier run: run that one again.") from error
            note = f"{error}; it is made again"
            if note in notes:
                raise
            notes.append(note)
            path.unlink(missing_ok=True)


def run_identity(spec: Spec, manifest: Manifest) -> str:
    """The fingerprint of all that the output's bytes depend on."""
    whole = [manifest.identity(split) for split in manifest.splits]
    sink = spec.sink.model_dump(mode="json", exclude={"path"})
    return fingerprint([versions(), source_value(spec), [stage_value(s) for s in spec.stages], sink, whole])


def _run(
    spec: Spec,
    manifest: Manifest,
    output: OutputFolder,
    shown: Progress,
    warnings: list[str],
    identity: str,
    started: float,
    runner: Callable[[], Runner] | None,
) -> dict[str, Any]:
    warm = to_text(spec, [file.format for file in manifest.files])
    make = runner or (lambda: make_runner(spec.settings, warm))
    with MemoryWatch() as memory, make() as running:
        session = Session(spec, output.state, manifest, running, shown)
        for text in warnings:
            session.warn(text)
        steps = Steps(session)
        for current in cut_passes(spec.stages):
            steps.measure(current)
            steps.settle(current)
            steps.discard(current)
        steps.write(identity)
        steps.leave_index(identity)
    return build_report(
        Facts(
            spec=spec,
            manifest=manifest,
            identity=identity,
            measured=steps.measured,
            settled=steps.settled,
            counts=steps.counts,
            written=steps.written,
            parts=steps.parts,
            outputs=output.collect(steps.write_tasks),
            conflicts=steps.conflicts,
            incomplete=steps.incomplete,
            warnings=session.warnings,
            seconds=session.seconds,
            started=started,
            peak_memory_bytes=memory.peak_bytes,
        )
    )


def settle_only(spec: Spec, *, base: Path, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The stats of the global stages by label, as a run would come to them; no document is written.

    base: the folder relative paths start from. folder: for what is measured; what an earlier call left there and still
    fits is used again. Raises the errors of `run_spec`.
    """
    check_spec(spec, base)
    manifest = build_manifest(spec.source, base)
    warm = to_text(spec, [file.format for file in manifest.files])
    with locked(folder), make_runner(spec.settings, warm) as runner:
        steps = Steps(Session(spec, folder, manifest, runner, progress or NoProgress()))
        for current in cut_passes(spec.stages):
            steps.measure(current)
            steps.settle(current)
    return steps.settled
