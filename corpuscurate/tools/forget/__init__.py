"""Takes documents out of the output of a finished run, for good: the right to erasure."""
