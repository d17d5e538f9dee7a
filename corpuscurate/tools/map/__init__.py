"""A map of a corpus: a page with a point a document."""
