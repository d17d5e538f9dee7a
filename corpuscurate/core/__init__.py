"""The values that all rooms share: stages, batches, artefacts, doc_ids, names of files."""
