"""JSON lines: grammar, fields, strings."""
