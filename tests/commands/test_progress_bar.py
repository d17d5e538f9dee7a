from __future__ import annotations

import io
import re

from corpuscurate.commands import progress_bar as progress_module
from corpuscurate.commands.progress_bar import RichProgress, clock
from corpuscurate.engine.progress import NoProgress


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

    with RichProgress(stream) as progress:
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
