"""Digests of values and of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import xxhash


def canonical(value: Any) -> bytes:
    """Canonical JSON (sorted keys) of a value: the bytes that are digested."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def fingerprint(value: Any) -> str:
    """xxh3-128 of the canonical JSON of a value, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(canonical(value))


def digest_file(path: Path) -> str:
    """xxh3-64 of a file's bytes, 16 hex digits."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
