"""Characters, words and lines of text."""
