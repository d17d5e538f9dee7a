"""Readers and writers. Importing this package fills `base.FORMATS`."""

from corpuscurate.io import arrow_ipc, jsonl, parquet
from corpuscurate.io import text as textfile

__all__ = ["arrow_ipc", "jsonl", "parquet", "textfile"]
