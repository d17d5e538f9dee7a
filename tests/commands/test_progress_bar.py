from __future__ import annotations

import io
import re
from dataclasses import replace

import orjson

from corpuscurate.commands import json_events
from corpuscurate.commands import progress_bar as progress_module
from corpuscurate.commands.json_events import JsonEvents
from corpuscurate.commands.progress_bar import RichProgress, clock
from corpuscurate.engine.overview import Overview
from corpuscurate.engine.progress import LOST, NoProgress, Sheltered


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def drive(progress, tick=lambda: None):
    progress.start("reading [bold]", 100_000_000, 4)
    for _ in range(4):
        tick()
        progress.advance(25_000_000)
        progress.task_done()
    progress.message("warning: [red]look[/red]")
    progress.finish()


def test_plain_lines_where_there_is_no_terminal(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress_module, "time", time)
    stream = io.StringIO()

    def tick() -> None:
        time.now += 6

    with RichProgress(stream, every_seconds=10) as progress:
        drive(progress, tick)
    assert stream.getvalue().splitlines() == [
        "reading [bold]: 4 tasks, 100.0 MB to read",
        "reading [bold]:  50%, 4.2 MB/s, task 1 of 4, 0:12, 0:12 left",
        "reading [bold]: 100%, 4.2 MB/s, task 3 of 4, 0:24, -:-- left",
        "warning: [red]look[/red]",
        "reading [bold]: done in 0:24, 4.2 MB/s",
    ]


def test_a_pass_without_bytes_goes_by_tasks(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress_module, "time", time)
    stream = io.StringIO()
    progress = RichProgress(stream, every_seconds=1)
    progress.start("matching", 0, 4)
    time.now += 3600
    progress.task_done()
    assert stream.getvalue().splitlines()[1] == "matching:  25%, - MB/s, task 1 of 4, 1:00:00, 3:00:00 left"


def test_more_to_read_than_was_thought(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress_module, "time", time)
    stream = io.StringIO()
    progress = RichProgress(stream, every_seconds=1)
    progress.start("reading", 1_000_000, 2)
    time.now += 10
    progress.advance(5_000_000)
    assert stream.getvalue().splitlines()[1] == "reading: 100%, 0.5 MB/s, task 0 of 2, 0:10, -:-- left"


def test_artefacts_are_not_told_in_megabytes():
    stream = io.StringIO()
    progress = RichProgress(stream)
    progress.start("exact: match", 1, 1)
    progress.advance(1)
    progress.finish()
    assert stream.getvalue() == "exact: match: 1 task\nexact: match: done in 0:00\n"


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with RichProgress(stream) as progress:
        drive(progress)
        drive(progress)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "reading [bold]" in shown
    assert "warning: [red]look[/red]" in shown
    assert "100%" in shown
    assert "tasks 4/4" in shown
    assert "in 0:00" in shown
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1  # the cursor comes back


def test_the_cursor_comes_back_after_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    try:
        with RichProgress(stream) as progress:
            progress.start("reading", 10, 1)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert stream.getvalue().endswith("\x1b[?25h")


def test_calls_outside_a_pass_do_nothing(capsys):
    for progress in (RichProgress(), NoProgress()):
        progress.advance(5)
        progress.task_done()
        progress.finish()
    drive(NoProgress())
    assert capsys.readouterr() == ("", "")


def test_clock():
    assert [clock(s) for s in (0, 59.9, 60, 3599, 3600, 90061)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]


def stands(number=1, phase="reading and measuring", **how):
    known = {"share": 0.25, "seconds": 30.0, "seconds_left": 90.0, "documents": 12_000, "dropped": 345}
    told = Overview(phase, number, 3, **known, bytes=60_000_000, phase_seconds=30.0, fresh_documents=12_000)
    return replace(told, **how)


def test_a_run_is_one_line_a_minute_where_there_is_no_terminal(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress_module, "time", time)
    stream = io.StringIO()
    with RichProgress(stream) as progress:
        for second in range(125):
            time.now += 1
            progress.overview(stands(seconds=float(second)))
            progress.start("minhash: narrow", 5_000_000, 3)  # a wave of the settling: not for users
            progress.advance(5)
            progress.task_done()
            progress.finish()
        progress.overview(stands(3, "writing", resumed_tasks=4, seconds=130.0, bytes=0))
        progress.message("warning: look")
    rest = "reading and measuring (1 of 3), 400 documents/s, 2.0 MB/s, 12,000 documents, 345 dropped"
    assert stream.getvalue().splitlines() == [
        f" 25% {rest}, 0:00, 1:30 left",
        f" 25% {rest}, 1:00, 1:30 left",
        f" 25% {rest}, 2:00, 1:30 left",
        "writing: 4 tasks were finished before, and are not repeated",
        "warning: look",
        "done in 2:10: 12,000 documents, 345 dropped",
    ]


def test_no_rate_and_no_time_are_invented():
    line = progress_module.whole_line(stands(bytes=0, fresh_documents=0, seconds_left=None))
    assert line == " 25% reading and measuring (1 of 3), 12,000 documents, 345 dropped, 0:30, -:-- left"


def test_a_run_is_one_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    stream = Terminal()
    with RichProgress(stream) as progress:
        progress.overview(stands())
        progress.start("minhash: narrow", 5_000_000, 3)
        progress.overview(stands(2, "deciding: minhash", share=0.5))
        progress.overview(stands(3, "writing", share=0.99))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    last = shown.rstrip().splitlines()[-1]
    assert "done" in last and "100%" in last and "12,000 documents, 345 dropped" in last and "in 0:30" in last
    assert "narrow" not in shown


def test_a_run_that_failed_is_not_said_to_be_done():
    stream = io.StringIO()
    try:
        with RichProgress(stream) as progress:
            progress.overview(stands())
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert "done" not in stream.getvalue()


def test_json_events(monkeypatch, tmp_path):
    time = Clock()
    monkeypatch.setattr(json_events, "time", time)
    stream = io.StringIO()
    events = JsonEvents(stream)
    events.begin(tmp_path)
    for _ in range(5):
        time.now += 0.5
        events.overview(stands())
    events.message("warning: look")
    events.message("collecting")
    events.overview(stands(3, "writing", resumed_tasks=4, seconds_left=None))
    events.end({"documents": {"input": 2}}, tmp_path)
    told = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    kinds = ["start", "phase", "progress", "progress", "warning", "message", "phase", "finish"]
    assert [each["event"] for each in told] == kinds
    place = {"phase": "reading and measuring", "number": 1, "phases": 3}
    assert told[1] == {"event": "phase", "seconds": 0.5, **place, "resumed": 0}
    figures = {"share": 0.25, "seconds_left": 90.0, "documents": 12_000, "dropped": 345}
    rates = {"documents_per_second": 400.0, "mb_per_second": 2.0}
    assert told[2] == {"event": "progress", "seconds": 1.0, **place, **figures, **rates}
    assert told[4]["text"] == "look" and told[6]["resumed"] == 4
    assert told[7]["report"] == str(tmp_path / "report.json") and told[7]["documents"] == {"input": 2}


def test_a_reader_of_events_that_is_gone_ends_nothing(tmp_path):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    lost = []
    events = JsonEvents(Gone())
    events.begin(tmp_path)
    shown = Sheltered(events, lost.append)
    shown.overview(stands())
    shown.overview(stands(2))
    events.end({"documents": {}}, tmp_path)
    assert len(lost) == 1 and lost[0].startswith(LOST)


def test_a_display_of_passes_alone_is_told_of_them():
    class Old:
        def __init__(self) -> None:
            self.told = []

        def message(self, text: str) -> None:
            self.told.append(text)

    old = Old()
    shown = Sheltered(old, old.told.append)
    shown.overview(stands())
    shown.message("look")
    assert old.told == ["look"]
