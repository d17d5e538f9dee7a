"""Fast similarity sketches, character shingles and datasketch's shingles from their definitions, in plain Python."""

from __future__ import annotations

from naive.neardup import BASE, MASK, MASK32, SEED, mix64, shingle_hash, shingles
from naive.text import without_invisible

C = 0xD1342543DE82EF95


def folded_characters(text: str) -> list[str]:
    """Each visible character folded by itself; runs of white space are one space, none at the ends."""
    return list("".join(char.casefold() for char in " ".join(without_invisible(text).split())))


def character_shingles(text: str, n: int) -> list[tuple[str, ...]]:
    found = folded_characters(text)
    if not found:
        return []
    return [tuple(found[i : i + n]) for i in range(max(1, len(found) - n + 1))]


def character_shingle_hash(shingle: tuple[str, ...]) -> int:
    return unit_shingle_hash([ord(char) for char in shingle])


def unit_shingle_hash(units: list[int]) -> int:
    total = 0
    for unit in units:
        total = (total * BASE + mix64(unit ^ SEED)) & MASK
    return mix64(total)


def hashes(text: str, unit: str, n: int, kind: str = "unicode") -> set[int]:
    if unit == "characters":
        return {character_shingle_hash(shingle) for shingle in character_shingles(text, n)}
    return {shingle_hash(shingle) for shingle in shingles(text, n, kind)}


def set_of_units(units: list[int], n: int) -> set[int]:
    """Shingle hashes of a document given by its units; one of fewer than n is one shingle."""
    return {unit_shingle_hash(units[i : i + n]) for i in range(max(1, len(units) - n + 1))} if units else set()


def fast_signature(elements: set[int], k: int, seed: int) -> list[int]:
    """Algorithm 1 of Dahlgaard, Knudsen, Thorup: rounds 0..2k-1, a bin keeps the least of the first round it is hit.

    elements: 64-bit shingle hashes. In round i element h has the hash g = h a C^i; bin: the upper 32 bits of g times k,
    shifted by 32, and round - k from round k on. In round 0 g itself decides, later g without its lowest 15 bits.
    """
    if not elements:
        return [MASK32] * k
    a = mix64((seed + SEED) & MASK) | 1
    bins: list[tuple[int, int] | None] = [None] * k
    for number in range(2 * k):
        for h in elements:
            g = h * a * pow(C, number, 1 << 64) & MASK
            at = ((g >> 32) * k) >> 32 if number < k else number - k
            key = (number, g >> 15 if number else g)
            if bins[at] is None or key < bins[at]:
                bins[at] = key
        if all(each is not None for each in bins):
            break
    return [each[1] & MASK32 for each in bins if each is not None]


def datasketch_shingles(text: str, unit: str, n: int, kind: str = "unicode") -> set[bytes]:
    """The bytes of each shingle: words joined by one space, characters by nothing."""
    if unit == "characters":
        return {"".join(shingle).encode() for shingle in character_shingles(text, n)}
    return {" ".join(shingle).encode() for shingle in shingles(text, n, kind)}
