"""Deduplication: keep rule, sketches, bands, verification, clusters."""
