"""Classifiers of quality: fastText models and heads over embeddings."""
