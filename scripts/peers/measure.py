"""Running a command and what it took: wall and CPU seconds of all its processes, and their memory together."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Took:
    """What a command took. peak_bytes: greatest sum of proportional memory (shared pages count once), sampled."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def adopt_orphans() -> None:
    """Let what a command's own children leave behind (fork servers) come to this process, to be waited for."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Took:
    """Run a command to its end. Raises RuntimeError with its errors when it fails."""
    stop = threading.Event()
    peak = [0]
    watch = threading.Thread(target=_watch, args=(stop, peak), daemon=True)
    before = _children_cpu()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        watch.start()
        # a folder of its own: fork servers look for modules in the current one
        with tempfile.TemporaryDirectory() as folder:
            code = subprocess.Popen(command, stdout=out, stderr=errors, env=environment, cwd=folder).wait()
        wall = time.perf_counter() - begun
        stop.set()
        watch.join()
        _reap()
        out.seek(0)
        errors.seek(0)
        if code:
            raise RuntimeError(f"{' '.join(command[:3])} ... ended with {code}:\n{errors.read()[-3000:]}")
        return Took(wall, _children_cpu() - before, peak[0], out.read())


def run_json(command: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON of a command's last line."""
    value: dict[str, Any] = json.loads(run(command, environment).output.strip().splitlines()[-1])
    return value


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _reap() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _watch(stop: threading.Event, peak: list[int]) -> None:
    """Sample five times a second, but where counting proportional memory takes long, for a fiftieth of the time."""
    me = psutil.Process()
    pause = 0.2
    while not stop.wait(pause):
        begun = time.perf_counter()
        total = 0
        with suppress(psutil.Error):
            for child in me.children(recursive=True):
                with suppress(psutil.Error):
                    total += child.memory_full_info().pss if sys.platform == "linux" else child.memory_info().rss
        peak[0] = max(peak[0], total)
        pause = max(0.2, 50 * (time.perf_counter() - begun))


def python_of(envs: Path, name: str, packages: Sequence[str]) -> str:
    """The interpreter of a peer's own environment, made by pip the first time."""
    folder = envs / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    marker = folder / "installed.json"
    if not marker.is_file() or json.loads(marker.read_text()) != list(packages):
        print(f"installing {name} into {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        marker.write_text(json.dumps(list(packages)))
    return str(python)
