"""Shingles and their sketches: MinHash, sets, digests."""
