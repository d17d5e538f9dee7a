"""What is finished, and what it was made from.

A task's outputs are one folder. It is filled under a temporary name and renamed when it is whole, with its marker
`done.json` inside: fingerprint of everything the outputs depend on, result, and size and digest of each file. What is
there under its final name is finished; whether it is *wanted* is decided by the fingerprint alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corpuscurate.core.artefact import digest_file, read_json
from corpuscurate.core.run_folder import MARKER
from corpuscurate.engine.progress import Sink
from corpuscurate.engine.task import Task


def result_of(task: Task) -> dict[str, Any] | None:
    """The result of a finished task with this fingerprint, or None where it must (again) be done.

    Sizes are compared, and digests too: a disk that lost bytes is noticed here and not one step later.
    """
    try:
        marker = read_json(task.final / MARKER)
    except (OSError, ValueError):
        return None
    if marker["fingerprint"] != task.fingerprint:
        return None
    for name, (size, digest) in marker["files"].items():
        path = task.final / name
        if not path.is_file() or path.stat().st_size != size or digest_file(path) != digest:
            return None
    result: dict[str, Any] = marker["result"]
    return result


def run_tasks(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task], Sink], Iterator[tuple[int, dict[str, Any]]]],
    finished: Callable[[Task], None],
    beat: Sink,
    *,
    largest_first: bool = False,
) -> list[dict[str, Any]]:
    """The results of all tasks, in their order; those that are finished are not run again.

    They are begun in their order, so that with one worker the first error of the input is told. largest_first: for few
    large ones, so that in the end no worker waits for another that has just begun.
    """
    results = [result_of(task) for task in tasks]
    left = [place for place, result in enumerate(results) if result is None]
    if largest_first:
        left.sort(key=lambda place: -tasks[place].bytes)
    for task, result in zip(tasks, results, strict=True):
        if result is not None:
            finished(task)
    for place, result in run([tasks[i] for i in left], beat):
        results[left[place]] = result
        finished(tasks[left[place]])
    if any(result is None for result in results):
        raise RuntimeError("a runner ended without running every task")
    return [result for result in results if result is not None]
