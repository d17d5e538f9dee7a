"""Progress as JSON lines on stderr, for programs: `corpuscurate run --json`.

Each line is an object with `event` and `seconds` (since the start). The fields of an event are never taken away:

    start     output, version
    phase     phase, number, phases, resumed (tasks of it that were finished before)
    progress  phase, number, phases, share (of the run, 0..1), seconds_left (null: not known yet), documents, dropped,
              documents_per_second, mb_per_second (null: none in this phase); at most once a second
    warning   text
    message   text
    finish    report (its path), documents (counts, as in the report)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import orjson

from corpuscurate import __version__
from corpuscurate.core.run_folder import REPORT
from corpuscurate.engine.overview import Overview
from corpuscurate.engine.progress import NoProgress

EVERY_SECONDS = 1.0
_WARNING = "warning: "


class JsonEvents(NoProgress):
    """See the module."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began = time.monotonic()
        self._told = (0, False)
        self._said = 0.0

    def begin(self, output: Path) -> None:
        """The run begins."""
        self._try("start", output=str(output), version=__version__)

    def end(self, report: Mapping[str, Any], output: Path) -> None:
        """The run is finished."""
        self._try("finish", report=str(output / REPORT), documents=report["documents"])

    def message(self, text: str) -> None:
        """A warning or a message."""
        if text.startswith(_WARNING):
            self._tell("warning", text=text.removeprefix(_WARNING))
        else:
            self._tell("message", text=text)

    def overview(self, overview: Overview) -> None:
        """See `Display`."""
        place = {"phase": overview.phase, "number": overview.number, "phases": overview.phases}
        now = time.monotonic()
        told = (overview.number, overview.resumed_tasks > 0)
        if told != self._told:
            self._told = told
            self._tell("phase", **place, resumed=overview.resumed_tasks)
        elif now - self._said >= EVERY_SECONDS:
            self._said = now
            self._tell(
                "progress",
                **place,
                share=round(overview.share, 4),
                seconds_left=_rounded(overview.seconds_left),
                documents=overview.documents,
                dropped=overview.dropped,
                documents_per_second=_rounded(overview.documents_per_second),
                mb_per_second=_rounded(overview.mb_per_second),
            )

    def _try(self, event: str, **fields: Any) -> None:
        """As `_tell`, outside the run, where a reader that is gone ends nothing either."""
        with suppress(OSError, ValueError):
            self._tell(event, **fields)

    def _tell(self, event: str, **fields: Any) -> None:
        value = {"event": event, "seconds": round(time.monotonic() - self._began, 3), **fields}
        self._stream.write(orjson.dumps(value).decode() + "\n")
        self._stream.flush()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
