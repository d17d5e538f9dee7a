"""A run as a whole: which phase it is in, how much of it is done, how long the rest may take.

A phase is a measuring pass, the settling of a stage, or the writing. How long those to come will take follows from what
the finished tasks measured: writing reads the text again, so it takes a multiple of what reading took; settling a stage
takes a multiple of its sketches. Both are as slow as this machine is now. The factors are medians of recorded runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SETTLE_BY_SKETCH = 1.4
"""Seconds of settling for a second of sketching, all workers at work."""
WRITE_BY_READ = {True: 4.5, False: 2.0}
"""Seconds of writing for a second of reading, for formats that are columnar or compressed, and for the others."""
SETTLE_BY_PASS, WRITE_BY_PASS, AGAIN_BY_PASS = 0.9, 1.7, 0.8
"""The same for a second of the first pass, before a task is finished."""
LEAST_SHARE = 0.01
"""Of a phase: before it, the pace is not known."""
SURE_SHARE = 0.1
"""Of a phase: from here on its own pace counts alone, and not what was expected of it."""
MEASURING, SETTLING, WRITING = "measure", "settle", "write"


@dataclass(frozen=True, slots=True)
class Overview:
    """What a display shows. phase: in a user's words; number: of the phase, from 1, of `phases`. share: of the whole
    run, 0..1, which never falls. seconds_left: None where it cannot be told yet. documents, dropped: so far. bytes: of
    text that this run has read in this phase, in phase_seconds; resumed_tasks: of this phase, done before."""

    phase: str
    number: int
    phases: int
    share: float
    seconds: float
    seconds_left: float | None
    documents: int
    dropped: int
    bytes: int
    phase_seconds: float
    resumed_tasks: int = 0
    fresh_documents: int = 0
    """Documents that this run has read in the first pass, not one before it."""

    @property
    def documents_per_second(self) -> float | None:
        """Documents read a second, while the first pass runs."""
        known = self.number == 1 and self.fresh_documents and self.phase_seconds > 0
        return self.fresh_documents / self.phase_seconds if known else None

    @property
    def mb_per_second(self) -> float | None:
        """MB/s of the phase; None for a phase that reads no text, or only finds what was read before."""
        return self.bytes / 1e6 / self.phase_seconds if self.bytes >= 100_000 and self.phase_seconds > 0 else None


@dataclass
class _Phase:
    kind: str
    title: str
    label: str = ""
    began: float | None = None
    ended: float | None = None
    total: int = 0
    bytes: int = 0
    resumed: int = 0
    resumed_tasks: int = 0
    waves: int = 0
    first: tuple[float, int] | None = None
    """When the first bytes were told, and how many: what came before, such as loading, says nothing of the pace."""

    def share(self) -> float:
        """How much of what was left to do is done, by bytes; 0 where only an estimate of seconds can tell."""
        left = self.total - self.resumed
        return min(1.0, self.bytes / left) if self.kind != SETTLING and left > 0 else 0.0

    def pace(self, now: float) -> float | None:
        """Seconds a byte; None before it is known."""
        if self.first is None or self.kind == SETTLING:
            return None
        since, known = self.first
        more = self.bytes - known
        return (now - since) / more if more >= LEAST_SHARE * (self.total - self.resumed) and more > 0 else None


@dataclass
class _Measured:
    """Sums over the finished tasks of the first pass, in seconds of the workers."""

    bytes: int = 0
    seconds: float = 0.0
    reading: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


class Tracker:
    """Follows a run, phase by phase. show: is given an `Overview` at every change."""

    def __init__(
        self,
        phases: Sequence[tuple[str, str, str]],
        show: Callable[[Overview], None],
        *,
        slow_writing: bool = True,
        edits: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """phases: (kind, title, label of the stage) in order. slow_writing: the format is columnar or compressed.
        edits: labels of the stages that the writing pass applies again."""
        self._phases = [_Phase(*each) for each in phases]
        self._show, self._clock = show, clock
        self._write_by_read, self._edits = WRITE_BY_READ[slow_writing], tuple(edits)
        self._at = -1
        self._began = clock()
        self._measured = _Measured()
        self._documents = self._fresh_documents = self._dropped = 0
        self._share = 0.0

    def enter(self, number: int) -> None:
        """Phase `number` begins; those before it have ended."""
        now = self._clock()
        for phase in self._phases[max(0, self._at) : number]:
            phase.began = now if phase.began is None else phase.began
            phase.ended = now if phase.ended is None else phase.ended
        self._at = number
        self._phases[number].began = now
        self.tell()

    def wave(self, total_bytes: int) -> None:
        """Tasks of the phase begin, which read about so many bytes."""
        if self._at >= 0:
            self._phases[self._at].total += total_bytes
            self._phases[self._at].waves += 1

    def advance(self, size: int) -> None:
        """So many bytes more are read."""
        if self._at >= 0:
            phase = self._phases[self._at]
            phase.bytes += size
            phase.first = phase.first or (self._clock(), size)
            self.tell()

    def resumed(self, tasks: int, size: int) -> None:
        """Tasks that were finished before, of so many bytes: they take no time."""
        if self._at >= 0:
            self._phases[self._at].resumed += size
            self._phases[self._at].resumed_tasks += tasks

    def task_done(self, size: int, result: Mapping[str, Any], *, fresh: bool) -> None:
        """A task of the phase has ended. fresh: it was run now, so that its seconds count."""
        if self._at < 0 or self._phases[self._at].kind != MEASURING or "stages" not in result:
            return
        if self._at == 0:
            self._documents += result["documents"]
            self._fresh_documents += result["documents"] if fresh else 0
        self._dropped += result["documents"] - result["kept"]
        if fresh and self._at == 0:
            took = {label: stats["seconds"] for label, stats in result["stages"].items()}
            self._measured.bytes += size
            self._measured.seconds += result["seconds"]
            self._measured.reading += max(0.0, result["seconds"] - sum(took.values()))
            for label, seconds in took.items():
                self._measured.stages[label] = self._measured.stages.get(label, 0.0) + seconds
        if fresh:
            self.tell()

    def counted(self, dropped: int) -> None:
        """All decisions are made: so many documents are dropped."""
        self._dropped = dropped

    def tell(self) -> None:
        """Show how things stand."""
        if self._at >= 0:
            self._show(self.overview())

    def overview(self) -> Overview:
        """How things stand."""
        phase, now = self._phases[self._at], self._clock()
        left = self._left(now)
        seconds = now - self._began
        if left is not None and seconds + left > 0:
            self._share = max(self._share, seconds / (seconds + left))
        return Overview(
            phase.title,
            self._at + 1,
            len(self._phases),
            self._share,
            seconds,
            left,
            self._documents,
            self._dropped,
            phase.bytes,
            now - (phase.began or now),
            phase.resumed_tasks,
            self._fresh_documents,
        )

    def _left(self, now: float) -> float | None:
        """Seconds until the end of the run; None where nothing is known."""
        first = self._first_pass(now)
        if first is None:
            return None
        expected = [self._expected(phase, first) for phase in self._phases]
        phase = self._phases[self._at]
        took = now - (phase.began or now)
        here, pace = max(expected[self._at] - took, 0.1 * took), phase.pace(now)
        if pace is not None:
            sure = 1.0 if self._at == 0 else min(1.0, phase.share() / SURE_SHARE)
            left = max(0, phase.total - phase.resumed - phase.bytes) * pace
            here = sure * left + (1 - sure) * here
        return here + sum(expected[self._at + 1 :])

    def _first_pass(self, now: float) -> float | None:
        """Seconds of the whole first pass, as if nothing of it had been done before."""
        first = self._phases[0]
        if first.began is None:
            return None
        if first.resumed and first.resumed >= first.total:
            return 0.0 if first.ended is not None else None
        pace = first.pace(first.ended or now)
        if pace is not None:
            return pace * first.total
        return None if first.ended is None else first.ended - first.began

    def _expected(self, phase: _Phase, first: float) -> float:
        """Seconds of a phase, from the first pass and what its tasks measured."""
        known = self._measured
        scale = first / known.seconds if known.seconds > 0 else 0.0  # seconds of the pass for a second of its tasks
        if phase is self._phases[0]:
            return first
        if phase.kind == MEASURING:
            return AGAIN_BY_PASS * first
        if phase.kind == SETTLING:
            sketch = known.stages.get(phase.label)
            return SETTLE_BY_PASS * first if sketch is None else SETTLE_BY_SKETCH * sketch * scale
        if not scale:
            return WRITE_BY_PASS * first
        again = sum(known.stages.get(label, 0.0) for label in self._edits)
        kept = 1 - self._dropped / self._documents if self._documents else 1.0
        return (known.reading + (self._write_by_read - 1) * known.reading * kept + again) * scale
