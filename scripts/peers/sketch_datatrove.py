"""datatrove: shingles and signature of its first MinHash stage (spaCy words, 5-grams), 16 x 8 = 128 values."""

import tempfile
from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from timing import arguments, read_texts, report

given = arguments()
texts = read_texts(given)
step = MinhashDedupSignature(tempfile.gettempdir(), MinhashConfig(num_buckets=16, hashes_per_bucket=8))


def run() -> list[list[list[int]]]:
    """A signature for each text that has a shingle, as the stage does it."""
    made = []
    for text in texts:
        shingles = step.get_shingles(text)
        if shingles.size:
            made.append(step.get_signature(shingles))
    return made


def parts(made: list[list[list[int]]]) -> Iterator[bytes]:
    """Bytes of the signatures."""
    return (np.array(each, np.uint64).tobytes() for each in made)


step.get_shingles("The word tokenizer is loaded at its first use, which is not counted.")
report("datatrove", texts, given.repeats, run, parts, values=128)
