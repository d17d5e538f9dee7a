"""Embeddings of a corpus as clusters and pairs: what the stages over embeddings share."""
