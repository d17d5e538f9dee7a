"""What the sketch programs share: texts from JSON lines, one core, repeated timing, one line of JSON as the result.

No import beyond the standard library: this runs in the environment of each peer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    """FILE [--repeats N] [--limit BYTES] [--signature KIND]; pins the process to the last core that it may use."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="bytes of text to stop after; 0: all")
    parser.add_argument("--signature", help="kind of signature, of those that have several")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return given


def read_texts(given: argparse.Namespace) -> list[str]:
    """The texts, until the limit."""
    texts, size = [], 0
    with Path(given.file).open(encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if given.limit and size >= given.limit:
                break
    return texts


def digest(parts: Iterable[bytes]) -> str:
    """16 hex digits of what was made, so that a change of results is seen beside a change of speed."""
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def report(
    package: str,
    texts: Sequence[str],
    repeats: int,
    run: Callable[[], Any],
    parts: Callable[[Any], Iterable[bytes]],
    **more: Any,
) -> None:
    """Time `run`, after a first time that is not counted, and print the result. parts: bytes of what it returned."""
    run() if repeats > 1 else None
    cpu, wall = [], []
    for _ in range(repeats):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        result = run()
        cpu.append(time.process_time() - begun_cpu)
        wall.append(time.perf_counter() - begun)
    value = {
        "package": package,
        "version": version(package),
        "documents": len(texts),
        "bytes": sum(len(text.encode()) for text in texts),
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "digest": digest(parts(result)),
        **more,
    }
    print(json.dumps(value))
