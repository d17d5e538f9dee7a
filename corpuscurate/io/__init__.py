"""Readers and writers. Importing this package fills `base.FORMATS`."""

from corpuscurate.io import arrow_ipc, parquet, textfile

__all__ = ["arrow_ipc", "parquet", "textfile"]
