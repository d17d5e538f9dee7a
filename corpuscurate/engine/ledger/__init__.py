"""The ledger of a run: finished tasks, published outputs, the report, the index for later runs."""
