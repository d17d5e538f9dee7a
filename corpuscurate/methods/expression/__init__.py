"""Expressions over columns: parsed into a tree, evaluated over Arrow arrays."""
