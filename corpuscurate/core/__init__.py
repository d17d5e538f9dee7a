"""The values that every room speaks in: stages, batches, artefacts, doc_ids, names of files."""
