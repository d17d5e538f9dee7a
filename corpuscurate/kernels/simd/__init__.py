"""Many bytes at once: bits, lanes, rows and words of 64 bits."""
