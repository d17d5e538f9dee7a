"""Vectors: word pieces, word vectors, linear heads, neighbours."""
