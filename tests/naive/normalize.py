"""What `normalize` does to one text, from its definition, in plain Python."""

from __future__ import annotations

import unicodedata

from naive.text import without_invisible


def is_control(char: str) -> bool:
    """Category Cc but tab, LF, CR; U+FEFF; the noncharacters U+FDD0..U+FDEF and the last two of each plane."""
    code = ord(char)
    noncharacter = 0xFDD0 <= code <= 0xFDEF or code % 0x10000 in (0xFFFE, 0xFFFF)
    return (unicodedata.category(char) == "Cc" and char not in "\t\n\r") or code == 0xFEFF or noncharacter


def normalize(
    text: str, form: str = "nfc", line_ends: bool = True, control: bool = True, invisible: bool = False
) -> str:
    if line_ends:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if control:
        text = "".join((" " if char.isspace() else "") if is_control(char) else char for char in text)
    if invisible:
        text = without_invisible(text)
    return text if form == "none" else unicodedata.normalize(form.upper(), text)
