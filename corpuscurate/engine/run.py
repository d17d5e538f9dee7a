"""Runs a `Spec`: manifest, measuring passes, settle steps, writing pass, report, publishing. Each step is resumable.

The output depends neither on workers, memory and batch size nor on the order in which tasks finish.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from corpuscurate.core.errors import DamagedError, InputError
from corpuscurate.core.os_errors import system_error
from corpuscurate.core.spec import Spec, planned
from corpuscurate.engine.check import check_spec
from corpuscurate.engine.fingerprints import run_identity
from corpuscurate.engine.forgotten import forgotten_in
from corpuscurate.engine.ledger.publish import OutputFolder
from corpuscurate.engine.ledger.report import Facts, build_report
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.engine.memory import fitted
from corpuscurate.engine.progress import NoProgress, Progress, Sheltered
from corpuscurate.engine.runners import Runner, load_ahead, make_runner, runner_warnings, with_cards
from corpuscurate.engine.runners.warm import to_text
from corpuscurate.engine.session import MemoryWatch, Session, locked, made_again
from corpuscurate.engine.steps import Steps
from corpuscurate.io.files import expand
from corpuscurate.kernels.compile import is_cold

LOG = logging.getLogger(__name__)
T = TypeVar("T")


def run_spec(
    spec: Spec,
    *,
    overwrite: bool = False,
    verify: bool = False,
    progress: Progress | None = None,
    runner: Callable[[], Runner] | None = None,
) -> dict[str, Any]:
    """Run the spec and return its report (also written to `report.json`).

    overwrite: replace what an earlier run left in the output folder (artefacts that still fit are used again). A run
    that was interrupted goes on; one that is finished is not repeated, if its files are there with their sizes and
    times. verify: compare their digests, too. Raises RecipeError, InputError, OutputError,
    StageError, BadInputError, WorkerError, BalanceError.
    """
    started = time.time()
    lost: list[str] = []
    shown = Sheltered(progress or NoProgress(), lost.append)
    manifest, warnings = prepared(spec, shown, ahead=runner is None)
    spec, told = fitted(planned(spec))
    warnings += told
    identity = run_identity(spec, manifest)
    output = OutputFolder(spec.output)
    try:
        output.finish_amendment(overwrite)
        finished = output.claim(identity, overwrite, verify)
        if finished is not None:
            foreign = output.foreign(finished)
            if foreign:
                more = f" and {len(foreign) - 3} more files" if len(foreign) > 3 else ""
                shown.message(f"warning: {', '.join(foreign[:3])}{more} in {output.path}: not of this run.")
            shown.message(f"{output.path} already holds this very run, finished: nothing to do.")
            return finished
        with locked(output.state):
            output.claim(identity, overwrite)  # again: it may have changed before it was locked
            output.begin(identity, manifest, overwrite)
            report, problems = output.pending_report(identity)
            if report is None:
                report = mended(
                    lambda notes: _run(
                        spec, manifest, output, shown, [*warnings, *problems, *notes], identity, started, runner
                    ),
                    output.state,
                )
                report["warnings"] += lost
            public = output.publish(report)
            output.tidy(spec.settings.retain)
            return public
    except OSError as error:
        raise system_error(error, output.path) from error


def prepared(spec: Spec, shown: Progress, *, ahead: bool) -> tuple[Manifest, list[str]]:
    """Everything before the first pass: the manifest, and what `check` warns of.

    ahead: on a machine without compiled kernels, what the spec uses is compiled first, in several processes, since the
    check reads, and would compile, too.
    """
    if ahead and is_cold():
        files = expand(spec.source.paths, spec.base, spec.source.format)
        load_ahead(spec.settings, to_text(spec, [file.format for file in files]), shown)
    warnings = check_spec(spec)
    return build_manifest(spec.source, spec.base), [*warnings, *runner_warnings(spec.settings)]


def mended(work: Callable[[Sequence[str]], T], state: Path) -> T:
    """The result of `work`, which is begun again where it met a damaged file of `state`: then it finds that the task
    which made the file must be done again. work: is given what to warn of.

    Raises InputError for a damaged file of another run.
    """
    notes: list[str] = []
    while True:
        try:
            return work(notes)
        except DamagedError as error:
            path = Path(error.path)
            if not path.is_relative_to(state):
                raise InputError(f"{error}. It belongs to an earlier run: run that one again.") from error
            note = made_again([error])
            if note in notes:
                raise
            notes.append(note)


def _run(
    spec: Spec,
    manifest: Manifest,
    output: OutputFolder,
    shown: Sheltered,
    warnings: list[str],
    identity: str,
    started: float,
    runner: Callable[[], Runner] | None,
) -> dict[str, Any]:
    warm = to_text(spec, [file.format for file in manifest.files])
    make = runner or (lambda: make_runner(spec.settings, warm))
    with MemoryWatch() as memory, with_cards(spec, make()) as running:
        session = Session(spec, output.state, manifest, running, shown)
        session.forgotten = forgotten_in(output.path, spec.stages, manifest)
        for text in warnings:
            session.warn(text)
        steps = Steps(session)
        steps.measure_and_settle(to_write=True)
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
            duplicate_ids=steps.duplicate_ids,
            incomplete=steps.incomplete,
            warnings=session.warnings,
            seconds=session.seconds,
            started=started,
            peak_memory_bytes=memory.peak_bytes,
        )
    )


def settle_only(spec: Spec, *, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The stats of the global stages by label, as a run would come to them; no document is written.

    folder: for what is measured; what an earlier call left there and still fits is used again. Raises the errors of
    `run_spec`.
    """
    shown = Sheltered(progress or NoProgress(), LOG.warning)
    manifest, warnings = prepared(spec, shown, ahead=True)
    spec, told = fitted(planned(spec))
    for text in (*warnings, *told):
        shown.message(f"warning: {text}")
    warm = to_text(spec, [file.format for file in manifest.files])

    def work(_: Sequence[str]) -> dict[str, Any]:
        with with_cards(spec, make_runner(spec.settings, warm)) as runner:
            steps = Steps(Session(spec, folder, manifest, runner, shown))
            steps.measure_and_settle()
        return steps.settled

    with locked(folder):
        return mended(work, folder)
