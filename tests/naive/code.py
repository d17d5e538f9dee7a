"""The measures of source files by their definitions, in plain Python."""

from __future__ import annotations


def code_measures(text: str, markers: list[str], marker_lines: int, line_ends: bool) -> dict[str, float]:
    lines = text.splitlines()
    in_lines = len(text) if line_ends else sum(map(len, lines))
    head = [ascii_lower(line) for line in lines[:marker_lines]]
    return {
        "longest_line": max(map(len, lines), default=0),
        "mean_line_length": in_lines / len(lines) if lines else 0.0,
        "alphanumeric_ratio": sum(map(str.isalnum, text)) / len(text) if text else 0.0,
        "alphabetic_ratio": sum(map(str.isalpha, text)) / len(text) if text else 0.0,
        "generated": int(any(ascii_lower(marker) in line for marker in markers for line in head)),
        "xml_header": int("<?xml version=" in text[:100]),
    }


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)
