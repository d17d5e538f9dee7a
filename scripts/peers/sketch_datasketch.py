"""datasketch: word 5-grams in Python, `MinHash.bulk` with 128 values, its default hash."""

from datasketch import MinHash
from timing import arguments, read_texts, report


def shingles(text: str) -> list[bytes]:
    """Word 5-grams; a shorter text is one shingle."""
    words = text.lower().split()
    grams = set(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:])))  # noqa: B905
    return [gram.encode() for gram in grams or {" ".join(words)}]


given = arguments()
texts = read_texts(given)
report(
    "datasketch",
    texts,
    given.repeats,
    lambda: MinHash.bulk([shingles(text) for text in texts], num_perm=128),
    lambda made: (each.hashvalues.tobytes() for each in made),
    values=128,
)
