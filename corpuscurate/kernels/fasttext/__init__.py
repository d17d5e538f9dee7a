"""fastText scores: words, n-grams, sums, losses."""
