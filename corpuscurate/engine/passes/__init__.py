"""The tasks of a run: measure, settle, read again, count, place, write."""
