"""Tasks on their way to a worker process: by name where it can import every class, otherwise by value.

A worker does not run the caller's script. A stage or a work that is defined there, in a cell of a notebook or in a
function travels with its code, by cloudpickle.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from corpuscurate.core.errors import WorkerError
from corpuscurate.engine.task import Task, perform

_ADVICE = (
    "Put it in a module that can be imported, and let it hold plain values only (open files, locks and connections are"
    " made where they are used); or give workers=1, which sends nothing."
)
_SCRIPT = b"__main__"


def to_send(task: Task) -> bytes:
    """A task as bytes for `perform_sent`. Raises WorkerError, which names the class that cannot be sent."""
    try:
        data = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        if _SCRIPT not in data:
            return data
    except Exception:  # noqa: S110  as of a class that a function defines; by value it may go
        pass
    try:
        return _by_value(task)
    except Exception as error:
        raise WorkerError(f"{_culprit(task)} cannot be sent to a worker process: {error}. {_ADVICE}") from error


def value_to_send(value: Any) -> bytes:
    """A work as bytes for `pickle.loads`."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return data if _SCRIPT not in data else _by_value(value)


def _by_value(value: Any) -> bytes:
    import cloudpickle  # few runs need it

    file = io.BytesIO()
    cloudpickle.CloudPickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def perform_sent(data: bytes) -> dict[str, Any]:
    """Run a task that was sent. Raises WorkerError where this process cannot import a class of it."""
    try:
        task: Task = pickle.loads(data)  # noqa: S301  from the process that started this one
    except (ImportError, AttributeError) as error:
        raise WorkerError(f"a worker process cannot load what it was sent: {error}. {_ADVICE}") from error
    return perform(task)


def _culprit(task: Task) -> str:
    """The innermost value of a task that cannot be sent, by its class."""
    found: Any = task.body
    while (inner := next((each for each in _parts(found) if not _can_go(each)), None)) is not None:
        found = inner
    kind = type(found)
    return f"{kind.__qualname__} (of {kind.__module__})"


def _parts(value: Any) -> Iterator[Any]:
    """What a value of ours or of the user holds that may have a class of the user's; not what a library holds."""
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple | list):
        yield from value
    elif is_dataclass(value) and type(value).__module__.startswith("corpuscurate."):
        yield from (getattr(value, field.name) for field in fields(value))


def _can_go(value: Any) -> bool:
    try:
        _by_value(value)
    except Exception:
        return False
    return True
