"""Signals end a command soon, by itself or by force, and say how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import hashlib, signal, sys, time
import typer
from corpuscurate.commands.guard import guarded
from corpuscurate.commands.interrupt import ending_soon

if sys.argv[2] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

@guarded
def command():
    print("begun", flush=True)
    if sys.argv[1] == "kernel":
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)  # minutes, without the interpreter
    elif sys.argv[1] == "stubborn":
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
    else:
        time.sleep(float(sys.argv[3]))
    print("done")

try:
    with ending_soon():
        command()
except typer.Exit as ended:
    if sys.argv[1] == "exit":
        time.sleep(600)  # as where Python waits for a process that never ends
    sys.exit(ended.exit_code)
"""
RESUME = "interrupted. What was finished is kept: run the same command again, and it goes on from there.\n"


def start(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("what", "number", "code"),
    [
        ("sleep", signal.SIGINT, 130),
        ("sleep", signal.SIGTERM, 143),
        ("kernel", signal.SIGTERM, 143),
        ("exit", signal.SIGINT, 130),
        ("stubborn", signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_a_command_within_two_seconds_and_says_how_to_go_on(what: str, number: int, code: int) -> None:
    process = start(what, "heard", "600")
    begun = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, RESUME)
    assert time.monotonic() - begun < 30, "this machine may be busy; scripts/faults.py measures it"


def test_a_closed_terminal_is_ignored_where_the_user_said_so() -> None:
    process = start("sleep", "ignored", "0.5")
    process.send_signal(signal.SIGHUP)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said) == (0, "done\n", "")
