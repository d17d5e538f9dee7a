"""Text to unit vectors: one file an embedder, one interface (`base`), and whole corpora (`corpus`)."""
