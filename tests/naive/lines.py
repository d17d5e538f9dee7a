"""Sentences and the rules of C4, FineWeb, RefinedWeb and MADLAD-400 from their definitions, in plain Python."""

from __future__ import annotations

import re

TERMINAL_RANGES = """
21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6
17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049
2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB
FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143
111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642
1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5
16B37-16B38 16B44 16E98 1BC9F 1DA88
"""


def _chars(ranges: str) -> str:
    spans = [each.split("-") for each in ranges.split()]
    return "".join(chr(code) for span in spans for code in range(int(span[0], 16), int(span[-1], 16) + 1))


TERMINALS = _chars(TERMINAL_RANGES)
CLOSERS = "\"')]}»’”›》」』】）"
_RUN = re.compile(f"([{re.escape(TERMINALS)}]+)[{re.escape(CLOSERS)}]*")


def _ends(line: str, start: int, run: re.Match[str]) -> bool:
    """Whether a run of marks ends a sentence that began at `start`."""
    marks = run[1]
    if not marks.isascii():
        return True
    if run.end() < len(line) and not line[run.end()].isspace():
        return False
    if set(marks) != {"."}:
        return True
    before = line[max(start, run.start() - 2) : run.start()]
    lone_capital = before[-1:].isupper() and not (before[:-1].isalnum() or before[:-1] == "_")
    return len(marks) == 1 and not lone_capital


def _skip(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def sentences_of_line(line: str) -> list[str]:
    found = []
    start = _skip(line, 0)
    while start < len(line):
        runs = (run for run in _RUN.finditer(line, start) if _ends(line, start, run))
        first = next(runs, None)
        stop = first.end() if first else len(line)
        while first and (run := _RUN.match(line, _skip(line, stop))) and _ends(line, run.start(), run):
            stop = run.end()
        found.append(line[start:stop].rstrip())
        start = _skip(line, stop)
    return found


def sentences(text: str) -> list[str]:
    return [sentence for line in text.split("\n") for sentence in sentences_of_line(line)]


POLICY = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
C4 = {
    "paper": {"words": 5, "sentences": 3, "marks": '.?!"', "words_after": True},
    "paper_v1": {"words": 3, "sentences": 5, "marks": '.?!"', "words_after": True},
    "datatrove": {"words": 3, "sentences": 5, "marks": ".?!\"'", "words_after": False},
}


def c4(text: str, convention: str = "paper", terminal: bool = True) -> tuple[dict[str, int], str, str | None]:
    """What C4 counts, the text that it would leave, and why it drops the page."""
    rules = C4[convention]
    count = dict.fromkeys(
        (
            *("lines", "kept_lines", "sentences", "lorem_ipsum_lines", "curly_bracket_lines", "long_word_lines"),
            *("no_end_mark_lines", "few_words_lines", "javascript_lines", "policy_lines", "citations"),
        ),
        0,
    )
    kept = []
    for raw in text.splitlines():
        count["lines"] += 1
        line = raw.strip()
        if any(len(word) > 1000 for word in line.split()):
            count["long_word_lines"] += 1
            continue
        clean = CITATION.sub("", line)
        if terminal and (not clean.endswith(tuple(rules["marks"])) or clean.endswith("...")):
            count["no_end_mark_lines"] += 1
            continue
        if len((clean if rules["words_after"] else line).split()) < rules["words"]:
            count["few_words_lines"] += 1
            continue
        lower = clean.lower()
        count["lorem_ipsum_lines"] += "lorem ipsum" in lower
        if "javascript" in lower:
            count["javascript_lines"] += 1
            continue
        count["curly_bracket_lines"] += "{" in clean
        if any(phrase in lower for phrase in POLICY):
            count["policy_lines"] += 1
            continue
        count["sentences"] += len(sentences_of_line(clean))
        count["citations"] += len(CITATION.findall(line))
        kept.append(clean)
    count["kept_lines"] = len(kept)
    reason = (
        "max_lorem_ipsum_lines"
        if count["lorem_ipsum_lines"]
        else "max_curly_bracket_lines"
        if count["curly_bracket_lines"]
        else "min_sentences"
        if count["sentences"] < rules["sentences"]
        else None
    )
    return count, "\n".join(kept).strip(), reason


def fineweb(text: str, convention: str, words: int) -> tuple[dict[str, float], str | None]:
    """The measures of FineWeb's rules, and the first one that drops. words: those of the text."""
    lines = [line for line in text.split("\n") if line.strip()]
    ends = [line.rstrip() if convention == "paper" else line for line in lines]
    seen: set[str] = set()
    duplicate = 0
    for line in lines:
        duplicate += len(line) if line in seen else 0
        seen.add(line)
    short = 29 if convention == "paper" else 30
    count = len(lines)
    found = {
        "lines": count,
        "terminal_line_ratio": sum(line[-1] in TERMINALS for line in ends) / count if count else 0.0,
        "short_line_ratio": sum(len(line) <= short for line in lines) / count if count else 0.0,
        "duplicate_character_ratio": duplicate / len(text.replace("\n", "")) if count else 0.0,
        "newline_ratio": text.count("\n") / max(words, 1),
    }
    if convention == "paper":
        checks = {
            "min_lines": count < 1,
            "min_terminal_line_ratio": found["terminal_line_ratio"] <= 0.12,
            "max_short_line_ratio": found["short_line_ratio"] >= 0.67,
            "max_duplicate_character_ratio": found["duplicate_character_ratio"] >= 0.1,
        }
    else:
        checks = {
            "min_lines": count < 1,
            "min_terminal_line_ratio": found["terminal_line_ratio"] < 0.12,
            "max_short_line_ratio": found["short_line_ratio"] > 0.67,
            "max_duplicate_character_ratio": found["duplicate_character_ratio"] > 0.01,
            "max_newline_ratio": found["newline_ratio"] > 0.3,
        }
    return found, next((name for name, fails in checks.items() if fails), None)


def _counter(line: str) -> bool:
    """Whether a line is a counter such as "3 likes"."""
    at = 0
    while at < len(line) and not (line[at].isalnum() or line[at] == "_"):
        at += 1
    if at == len(line) or not line[at].isdecimal():
        return False
    while at < len(line) and (line[at].isdecimal() or line[at] in ".,"):
        at += 1
    if line[at : at + 1] in ("k", "K", "m", "M", "b", "B"):
        at += 1
    behind = _skip(line, at)
    if behind == at:
        return False
    things = "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers"
    for thing in things.split():
        rest = line[behind + len(thing) :]
        same = all(a == b or (a.isascii() and a.lower() == b) for a, b in zip(line[behind:], thing, strict=False))
        if same and len(line) >= behind + len(thing) and not any(char.isalnum() or char == "_" for char in rest):
            return True
    return False


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _cut(line: str) -> str:
    """A short line without the patterns."""
    lower, at, left = _ascii_lower(line), 0, ""
    while at < len(line):
        if lower.startswith("items in cart", at):
            left = left[:-1] if left[-1:].isspace() else left
            at += len("items in cart")
        else:
            left += line[at]
            at += 1
    line = left
    if _ascii_lower(line.rstrip()).endswith("read more..."):
        line = line.rstrip()[: -len("read more...")]
        line = line[:-1] if line[-1:].isspace() else line
    if _ascii_lower(line.lstrip()).startswith("sign-in"):
        line = line.lstrip()[len("sign-in") :]
        line = line[1:] if line[:1].isspace() else line
    return line


def refinedweb(text: str) -> tuple[dict[str, float], str]:
    """What the line-wise corrections count, and the text that they leave."""
    count = dict.fromkeys(
        (
            *("lines", "words", "uppercase_lines", "numeric_lines", "counter_lines", "few_words_lines"),
            *("edited_lines", "removed_words", "flagged_words"),
        ),
        0,
    )
    kept = []
    for line in text.split("\n"):
        if not line.strip():
            kept.append(line)
            continue
        words = len(line.split())
        count["lines"] += 1
        count["words"] += words
        if sum(char.isupper() for char in line) / len(line) > 0.5:
            reason = "uppercase"
        elif all(char.isdigit() for char in line.strip()):
            reason = "numeric"
        elif _counter(line):
            reason = "counter"
        elif words < 2:
            reason = "few_words"
        else:
            cut = _cut(line) if words <= 10 else line
            if cut != line:
                count["edited_lines"] += 1
                count["flagged_words"] += words
            count["removed_words"] += words - len(cut.split())
            if cut.strip():
                kept.append(cut)
            continue
        count[f"{reason}_lines"] += 1
        count["removed_words"] += words
        count["flagged_words"] += words
    return count, "\n".join(kept)


CURSED = [
    *(" №", "\ufffd\ufffd\ufffd", r"\|\s*$", r" nr\.$", "aute irure dolor ", " sunt in culpa qui ", "orem ipsum "),
    *(" quis nostrud ", " adipisicing ", " dolore eu ", " cupidatat ", "autem vel eum", "wisi enim ad", " sex "),
    *(" porn ", "黄色电影", "mp3", "ownload", r"Vol\.", r" Ep\.", "Episode", r" г\.\s*$", r" кг\.\s*$", r" шт\."),
    *("Develop", "Facebook", " crusher ", " xxx ", " ... ... ... ... ... ... ... ... ..."),
    *(" .... .... .... .... .... .... .... .... ....", " [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ]"),
    ", ..,,? ..,,? ..,,? ..,,?",
]


def madlad(text: str, words: object) -> dict[str, list[bool]]:
    """For each sentence whether a rule of the paper holds. words: not used."""
    found = sentences(text)
    heads = [[token[0] for token in sentence.split()] for sentence in found]
    technical = set("0123456789{}+/()>")
    return {
        "list_case": [len(head) >= 12 and sum(char.isupper() for char in head) / len(head) > 0.5 for head in heads],
        "length": [not 20 <= len(sentence) <= 500 for sentence in found],
        "technical": [sum(char in technical for char in sentence) / len(sentence) > 0.2 for sentence in found],
        "cursed": [any(re.search(each, sentence) for each in CURSED) for sentence in found],
    }


def olmo(text: str, words: object) -> dict[str, list[bool]]:
    """As `madlad`, as Olmo 3 does it. words: a function that gives the words of a text."""
    found = [piece for piece in re.split(r"[.!?]+\s+", text) if piece.strip()]
    heads = [[word[0] for word in words(piece)] for piece in found]  # type: ignore[operator]
    return {
        "list_case": [len(head) >= 12 and sum(char.isupper() for char in head) / len(head) > 0.5 for head in heads],
        "cursed": [
            any(each in piece for each in CURSED[:-4]) or any(re.search(each, piece) for each in CURSED[-4:])
            for piece in found
        ],
    }
