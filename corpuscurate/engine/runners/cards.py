"""Tasks that need a card: one spawned process a card, which loads a model once and works on several tasks at once.

Spawned and never forked: CUDA cannot be used in the child of a process that has used it. Each process sees one card
(CUDA_VISIBLE_DEVICES). Its tasks are threads, so that one task's rows are written while the next computes. Tasks are
dealt to cards by a hash of their name.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import xxhash

from corpuscurate.core import user_code
from corpuscurate.core.corpus import Work
from corpuscurate.core.errors import WorkerError
from corpuscurate.core.stage import Resources
from corpuscurate.engine.progress import EVERY_SECONDS, Sink, connect
from corpuscurate.engine.runners.memory import keep_freed_memory, worker_environment
from corpuscurate.engine.runners.sending import perform_sent, to_send, value_to_send
from corpuscurate.engine.runners.surroundings import end_with_caller, environment, hidden_main
from corpuscurate.engine.task import Runner, Task, ignore

VISIBLE = "CUDA_VISIBLE_DEVICES"
AT_ONCE = 2
"""Tasks of a card under way: one computes while the other one's rows are fetched and written."""
AHEAD = 3
"""Tasks sent to a card before the first of them is finished."""
END_SECONDS = 10.0
_AGAIN = "Run again to go on from the finished tasks."


def visible_cards() -> list[str]:
    """The cards that this process may use, as CUDA_VISIBLE_DEVICES names them; at least one, which may not exist."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip()] or [""]
    found = [path for path in Path("/dev").glob("nvidia[0-9]*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(max(len(found), 1))]


def needs_card(value: Any) -> bool:
    """Whether a work or a stage asks for a card."""
    resources = getattr(value, "resources", None)
    return isinstance(resources, Resources) and resources.gpus > 0


@dataclass
class _Card:
    """A process of a card. tasks: numbers of those that are sent and not finished; waiting: those not yet sent."""

    name: str
    process: Any
    line: Connection
    tasks: set[int] = field(default_factory=set)
    waiting: list[int] = field(default_factory=list)


class WithCards:
    """A runner whose tasks may need a card: these run in the processes of cards, all others on the runner within.

    A context manager, which enters the runner within. Processes start when the first task needs one, or at once where
    `ahead` names works that load what they will need.
    """

    def __init__(self, inner: Runner, cards: int | None = None, ahead: Sequence[Work] = ()) -> None:
        """cards: how many are used; None: all that are visible."""
        self.inner = inner
        self._names = visible_cards()[:cards]
        self._ahead = tuple(ahead)
        self._cards: list[_Card] = []

    def __enter__(self) -> Self:
        self.inner.__enter__()
        if self._ahead:
            self._start()
            for card in self._cards:
                for work in self._ahead:
                    card.line.send(("ahead", -1, value_to_send(work)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for card in self._cards:
            with suppress(OSError):
                card.line.send(None)
            card.line.close()
            card.process.terminate()  # all that counts is committed
        for card in self._cards:
            card.process.join(END_SECONDS)
            if card.process.is_alive():
                card.process.kill()
        self._cards = []
        self.inner.__exit__(kind, error, trace)

    def run(
        self, tasks: Sequence[Task], beat: Sink, warn: Callable[[str], None] = ignore
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks; see `Runner`."""
        on_card = [place for place, task in enumerate(tasks) if needs_card(task.body)]
        rest = sorted(set(range(len(tasks))) - set(on_card))
        for place, result in self.inner.run([tasks[each] for each in rest], beat, warn):
            yield rest[place], result
        if on_card:
            yield from self._run(tasks, on_card, beat)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        for name in self._names if not self._cards else ():
            mine, theirs = context.Pipe()
            values = {VISIBLE: name, "PYTHONSAFEPATH": "1", **worker_environment()}
            with hidden_main(), environment(values):
                process = context.Process(
                    target=serve, args=(theirs, os.getpid(), user_code.sources()), name=f"card {name}", daemon=True
                )
                process.start()
            theirs.close()
            self._cards.append(_Card(name, process, mine))

    def _run(self, tasks: Sequence[Task], places: Sequence[int], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        self._start()
        for place in places:
            number = xxhash.xxh3_64_intdigest(tasks[place].home.name.encode()) % len(self._cards)
            self._cards[number].waiting.append(place)
        while any(card.waiting or card.tasks for card in self._cards):
            for card in self._cards:
                while card.waiting and len(card.tasks) < AHEAD:
                    place = card.waiting.pop(0)
                    self._send(card, ("task", place, to_send(tasks[place])))
                    card.tasks.add(place)
            lines: dict[Any, _Card] = {card.line: card for card in self._cards}
            ends: dict[Any, _Card] = {card.process.sentinel: card for card in self._cards}
            for ready in wait([*lines, *ends], EVERY_SECONDS):
                if ready in lines:
                    yield from self._hear(lines[ready], beat)
                elif not ends[ready].line.poll():
                    raise self._died(ends[ready])

    def _send(self, card: _Card, message: Any) -> None:
        try:
            card.line.send(message)
        except OSError:
            raise self._died(card) from None

    def _hear(self, card: _Card, beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        """What a process says next: the result of a task, a beat, or an error, which is raised."""
        try:
            what, place, value = card.line.recv()
        except (EOFError, OSError):
            raise self._died(card) from None
        if what == "beat":
            beat(*value)
        elif what == "error":
            raise _error(value)
        elif what == "result":
            card.tasks.discard(place)
            yield place, value

    def _died(self, card: _Card) -> WorkerError:
        card.process.join(END_SECONDS)
        code = card.process.exitcode
        how = f"with exit code {code}" if code is None or code >= 0 else f"by signal {-code}"
        killed = " Killed by SIGKILL, most often the machine or the container ran out of memory." if code == -9 else ""
        return WorkerError(
            f"The process of card {card.name or '?'} ended {how}. What it said last stands above.{killed} {_AGAIN}"
        )


def _error(value: tuple[bytes | None, str]) -> BaseException:
    """An error as it was raised in the process of a card."""
    data, told = value
    with suppress(Exception):
        if data is not None:
            error: BaseException = pickle.loads(data)  # noqa: S301  from the process that this one started
            error.add_note(told)
            return error
    return WorkerError(f"A task on a card failed:\n{told}")


def serve(line: Connection, caller: int, code: tuple[user_code.Source, ...]) -> None:
    """The process of a card: performs what comes through `line` until it is told None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends this process
    threading.Thread(target=end_with_caller, args=(caller,), daemon=True).start()
    keep_freed_memory()
    user_code.know(code)
    talking = threading.Lock()

    def say(*message: Any) -> None:
        with talking, suppress(OSError):  # the caller may be gone
            line.send(message)

    def work(what: str, place: int, data: bytes) -> None:
        if what == "ahead":
            with suppress(Exception):  # a task meets it again, and reports it
                pickle.loads(data).run(Path())  # noqa: S301  from the process that started this one
            return
        connect(lambda task, size: say("beat", place, (task, size)))
        try:
            say("result", place, perform_sent(data))
        except BaseException as error:
            say("error", place, _told(error))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        while True:
            try:
                got = line.recv()
            except (EOFError, OSError):
                break
            if got is None:
                break
            threads.submit(work, *got)


def _told(error: BaseException) -> tuple[bytes | None, str]:
    """An error for the caller: pickled, where that can be done, and its traceback as text."""
    import traceback

    told = "".join(traceback.format_exception(error))
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301
    except Exception:
        return None, told
    return data, told
