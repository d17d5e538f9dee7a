"""Published recipes of near-duplicate removal."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["fineweb", "refinedweb", "nemo", "redpajama"]
PRESETS: dict[str, dict[str, Any]] = {
    # Penedo et al. 2024, "The FineWeb Datasets", arXiv 2406.17557, section 3.4: 112 hashes, 14 buckets of 8, 5-grams
    "fineweb": {"threshold": 0.75, "ngram": 5, "values": 112, "bands": 14, "rows": 8},
    # Penedo et al. 2023, "The RefinedWeb Dataset", arXiv 2306.01116, G.3.1, after Lee et al. 2022: 9,000 hashes,
    # b = 20 and r = 450 in P = 1 - (1 - J^b)^r, so 450 bands of 20 rows
    "refinedweb": {"threshold": 0.8, "ngram": 5, "values": 9000, "bands": 450, "rows": 20},
    # NeMo Curator, fuzzy deduplication: char_ngrams 24, num_bands 20, minhashes_per_band 13
    "nemo": {"threshold": 0.8, "unit": "characters", "ngram": 24, "values": 260, "bands": 20, "rows": 13},
    # RedPajama-Data-V2, data card: 128 hashes in 9 bands of 13 rows for 0.8; 13-grams as in its code
    "redpajama": {"threshold": 0.8, "ngram": 13, "values": 128, "bands": 9, "rows": 13},
}
"""Parameters as published. Words, hashes and seeds are this package's own, so the same documents are near-duplicates,
but not the same candidates are missed."""
