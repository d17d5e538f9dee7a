"""What stays of a run: finished tasks, outputs, the report, the index for later runs."""
