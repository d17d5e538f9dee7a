"""Recipes in YAML: read, checked with file, line and key path, made into a `Spec`."""
