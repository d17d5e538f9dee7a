"""rensa: word 5-grams in Python, R-MinHash with 128 values by its batch call."""

from rensa import RMinHash
from timing import arguments, read_texts, report


def shingles(text: str) -> list[str]:
    """Word 5-grams; a shorter text is one shingle."""
    words = text.lower().split()
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:]))) or [" ".join(words)]  # noqa: B905


given = arguments()
texts = read_texts(given)
report(
    "rensa",
    texts,
    given.repeats,
    lambda: RMinHash.digests_from_token_sets([shingles(text) for text in texts], num_perm=128, seed=42),
    lambda made: (repr(list(each)).encode() for each in made),
    values=128,
)
