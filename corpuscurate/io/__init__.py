"""Readers and writers: one file a format, which registers itself (`base`)."""
