"""What the tasks of a pass do: measure, settle, read again, count, write."""
