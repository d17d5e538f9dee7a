"""Words, characters and the Gopher statistics from their definitions, in plain Python."""

from __future__ import annotations

import unicodedata

from naive.tokens import tokens

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


def _measures(count: dict[str, int], words: str, lines: str = "lines") -> dict[str, float]:
    """words: the statistic that symbols and alphabetic words are divided by."""
    return {
        "words": count["words"],
        "mean_word_length": _ratio(count["characters"], count["words"]),
        "hash_ratio": _ratio(count["hashes"], count[words]),
        "ellipsis_ratio": _ratio(count["ellipses"], count[words]),
        "bullet_line_ratio": _ratio(count["bullet_lines"], count[lines]),
        "ellipsis_line_ratio": _ratio(count["ellipsis_lines"], count[lines]),
        "alphabetic_word_ratio": _ratio(count["alphabetic_words"], count[words]),
        "stop_words": count["stop_words"],
    }


def gopher_measures(text: str, convention: str = "paper") -> dict[str, float]:
    """The measures of the quality rules of arXiv 2112.11446, appendix A.1.1."""
    if convention == "paper":
        return _measures(gopher_statistics(text), "words")
    return _measures(datatrove_statistics(text), "tokens")


def datatrove_statistics(
    text: str, bullets: tuple[str, ...] = ("•", "-"), stop_words: tuple[str, ...] = STOP_WORDS
) -> dict[str, int]:
    """The counts behind datatrove's Gopher quality rules, upon tokens."""
    found = tokens(text)
    words = [token for token in found if any(not is_datatrove_punctuation(char) for char in token)]
    lines = text.splitlines()
    return {
        "tokens": len(found),
        "words": len(words),
        "characters": sum(map(len, words)),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "lines": len(lines),
        "bullet_lines": sum(line.lstrip().startswith(bullets) for line in lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "alphabetic_words": sum(any(char.isalpha() for char in token) for token in found),
        "stop_words": len(set(stop_words) & set(found)),
    }


END_MARKS = (
    "։\u061d؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕៖៙៚᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟\u1b7d\u1b7e᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼\u2e53\u2e54。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？｡"
)
END_MARK_RANGES = (
    "10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD-111CD 111DE-111DF "
    "11238-11239 1123B-1123C 112A9-112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944-11944 "
    "11946-11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5-16AF5 16B37-16B38 "
    "16B44-16B44 16E98-16E98 1BC9F-1BC9F 1DA88-1DA88"
)
MARKS = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
_END_MARKS = [tuple(int(end, 16) for end in span.split("-")) for span in END_MARK_RANGES.split()]


def is_datatrove_punctuation(char: str) -> bool:
    """One of datatrove's PUNCTUATION (marks and controls) or TERMINAL_PUNCTUATION."""
    code = ord(char)
    control = code < 9 or 11 <= code < 32 or 127 <= code < 160
    return char in MARKS or control or char in END_MARKS or any(low <= code <= high for low, high in _END_MARKS)


RULES = [
    ("min_words", 50),
    ("max_words", 100_000),
    ("min_mean_word_length", 3),
    ("max_mean_word_length", 10),
    ("max_hash_ratio", 0.1),
    ("max_ellipsis_ratio", 0.1),
    ("max_bullet_line_ratio", 0.9),
    ("max_ellipsis_line_ratio", 0.3),
    ("min_alphabetic_word_ratio", 0.8),
    ("min_stop_words", 2),
]


def gopher_verdict(text: str, convention: str = "paper") -> tuple[str, float] | None:
    """The first rule of the paper that a document fails, with the measured value; None for a good document."""
    measures = gopher_measures(text, convention)
    for rule, bound in RULES:
        value = measures[rule[4:]]
        if value < bound if rule.startswith("min_") else value > bound:
            return rule, float(value)
    return None
