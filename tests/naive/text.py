"""Words, characters and the Gopher statistics from their definitions, in plain Python."""

from __future__ import annotations

import unicodedata

SCRIPTS_WITHOUT_SPACES = {
    "Thai": ["0E00-0E7F"],
    "Lao": ["0E80-0EFF"],
    "Myanmar": ["1000-109F", "A9E0-A9FF", "AA60-AA7F"],
    "Khmer": ["1780-17FF"],
    "Tai Le": ["1950-197F"],
    "New Tai Lue": ["1980-19DF"],
    "Tai Tham": ["1A20-1AAF"],
    "Tai Viet": ["AA80-AADF"],
    "Ahom": ["11700-1174F"],
    "Han": ["3005-3007", "3021-3029", "3038-303C", "3400-4DBF", "4E00-9FFF", "F900-FAFF", "20000-3FFFF"],
    "Kana": ["3031-3035", "3040-309F", "30A0-30FF", "31F0-31FF", "FF66-FF9F", "1AFF0-1B16F"],
}
_RANGES = [
    tuple(int(end, 16) for end in span.split("-")) for spans in SCRIPTS_WITHOUT_SPACES.values() for span in spans
]


def is_single(char: str) -> bool:
    """A letter, or letter-like number, of a script without spaces."""
    inside = any(low <= ord(char) <= high for low, high in _RANGES)
    return inside and (unicodedata.category(char)[0] == "L" or unicodedata.category(char) == "Nl")


def is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


def is_invisible(char: str) -> bool:
    """Word_Break Format and ZWJ of UAX #29, the zero-width non-joiner, tags, and default-ignorable marks."""
    code = ord(char)
    if char == "\u200b" or code in PREPENDED:
        return False
    return unicodedata.category(char) == "Cf" or any(low <= code <= high for low, high in IGNORABLE_MARKS)


PREPENDED = [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD]
IGNORABLE_MARKS = [
    (0x34F, 0x34F),
    (0x17B4, 0x17B5),
    (0x180B, 0x180D),
    (0x180F, 0x180F),
    (0xFE00, 0xFE0F),
    (0xE0100, 0xE01EF),
]


def without_invisible(text: str) -> str:
    return "".join(char for char in text if not is_invisible(char))


def words(text: str, kind: str = "unicode") -> list[str]:
    """SINGLE IGNORED* or LETTER (LETTER | IGNORED)*, leftmost, longest; IGNORED are marks and what is invisible.

    kind: "identifiers" makes the underscore a LETTER.
    """
    found: list[str] = []
    state = "outside"
    for char in text:
        if is_single(char):
            found.append(char)
            state = "single"
        elif char.isalnum() or (char == "_" and kind == "identifiers"):
            if state == "run":
                found[-1] += char
            else:
                found.append(char)
            state = "run"
        elif is_mark(char) or is_invisible(char):
            if state != "outside":
                found[-1] += char
        else:
            state = "outside"
    return found


BULLETS = ("•", "‣", "⁃", "◦", "▪", "●", "■", "-", "*")
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


def bare(word: str) -> str:
    """A word without what is neither alphanumeric nor a combining mark at its ends and without what is invisible, case
    folded."""
    kept = [at for at, char in enumerate(word) if char.isalnum() or is_mark(char)]
    return without_invisible(word[kept[0] : kept[-1] + 1]).casefold() if kept else ""


def gopher_statistics(
    text: str, bullets: tuple[str, ...] = BULLETS, stop_words: tuple[str, ...] = STOP_WORDS
) -> dict[str, int]:
    """The counts behind the quality rules of arXiv 2112.11446, appendix A.1.1."""
    tokens = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "words": len(tokens),
        "characters": sum(len(token) for token in tokens),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "lines": len(lines),
        "bullet_lines": sum(any(line.lstrip().startswith(bullet) for bullet in bullets) for line in lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "alphabetic_words": sum(any(char.isalpha() for char in token) for token in tokens),
        "stop_words": len({word.casefold() for word in stop_words} & {bare(token) for token in tokens}),
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def gopher_verdict(text: str) -> tuple[str, float] | None:
    """The first rule of the paper that a document fails, with the measured value; None for a good document."""
    count = gopher_statistics(text)
    mean = _ratio(count["characters"], count["words"])
    hashes = _ratio(count["hashes"], count["words"])
    ellipses = _ratio(count["ellipses"], count["words"])
    bullets = _ratio(count["bullet_lines"], count["lines"])
    endings = _ratio(count["ellipsis_lines"], count["lines"])
    alphabetic = _ratio(count["alphabetic_words"], count["words"])
    rules = [
        ("min_words", count["words"], count["words"] < 50),
        ("max_words", count["words"], count["words"] > 100_000),
        ("min_mean_word_length", mean, mean < 3),
        ("max_mean_word_length", mean, mean > 10),
        ("max_hash_ratio", hashes, hashes > 0.1),
        ("max_ellipsis_ratio", ellipses, ellipses > 0.1),
        ("max_bullet_line_ratio", bullets, bullets > 0.9),
        ("max_ellipsis_line_ratio", endings, endings > 0.3),
        ("min_alphabetic_word_ratio", alphabetic, alphabetic < 0.8),
        ("min_stop_words", count["stop_words"], count["stop_words"] < 2),
    ]
    return next(((reason, float(value)) for reason, value, failed in rules if failed), None)
