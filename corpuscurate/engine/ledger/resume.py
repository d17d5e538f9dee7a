"""Resume: runs tasks and skips the finished ones.

A task with a marker is finished (`core.artefact`). The marker holds the fingerprint of everything that the task's files
depend on, its result, and size and digest of each file: the fingerprint alone decides whether the files are reused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corpuscurate.core.errors import DamagedError
from corpuscurate.engine.progress import Sink
from corpuscurate.engine.task import Task, finished_result


def run_tasks(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task], Sink], Iterator[tuple[int, dict[str, Any]]]],
    finished: Callable[[Task, dict[str, Any], bool], None],
    beat: Sink,
    *,
    largest_first: bool = False,
    damaged: Callable[[DamagedError], None] | None = None,
) -> list[dict[str, Any]]:
    """The results of all tasks, in their order; finished tasks are not run again. finished: is told of each task, its
    result, and whether it was run now.

    They are begun in their order, so that with one worker the first error of the input is told. largest_first: for few
    large ones, so that in the end no worker waits for another that has just begun. damaged: is told of files of
    finished tasks that are not what was written; these tasks are run again.
    """
    results = [finished_result(task, damaged) for task in tasks]
    left = [index for index, result in enumerate(results) if result is None]
    if largest_first:
        left.sort(key=lambda index: -tasks[index].bytes)
    for task, result in zip(tasks, results, strict=True):
        if result is not None:
            finished(task, result, False)
    for index, result in run([tasks[i] for i in left], beat):
        results[left[index]] = result
        finished(tasks[left[index]], result, True)
    if any(result is None for result in results):
        raise RuntimeError("a runner ended without running every task")
    return [result for result in results if result is not None]
