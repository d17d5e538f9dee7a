"""Tokens as spaCy's blank English tokenizer makes them, nearly: the steps that `kernels/text/tokens.py` states, with
regular expressions upon classes of characters."""

from __future__ import annotations

import re

PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
SYMBOLS = [
    *[(code, code) for code in b"\xa6\xa9\xae\xb0"],
    (0x2100, 0x218F),
    (0x2195, 0x21FF),
    (0x2300, 0x27BF),
    (0x2800, 0x28FF),
    (0x2B00, 0x2BFF),
    (0xFFFC, 0xFFFD),
    (0x1F000, 0x1FAFF),
]


def kind(char: str) -> str:  # noqa: PLR0911
    """One letter for each class: a letter, A capital, 9 digit, q quote, s symbol, p punctuation, c currency, or the
    character itself."""
    if char.isalpha():
        return "A" if char.casefold() != char else "a"
    if char in "0123456789":
        return "9"
    if char in QUOTES and char != ",":
        return "q"
    if any(low <= ord(char) <= high for low, high in SYMBOLS):
        return "s"
    if char in ",…:<>" or char in "—–":
        return char
    if char in PUNCTUATION:
        return "p"
    if char in CURRENCIES:
        return "c"
    return char if char in ".+-*^~=/%²|§" else "x"


def kinds(text: str) -> str:
    return "".join(map(kind, text))


OPENER = re.compile(r"[p,…:<>qc—–s§%=*]|\.\.+|\+(?!9)")
CLOSER = "[p,…:<>q—–s*]"
SUFFIX = re.compile(
    rf"({CLOSER}|\.\.+|(?<=9)[+%c]|(?<=[9ap,…:<>q—–s%²+|*-])(?<!\.)\.|(?<=AA)\.)\Z",
)
POSSESSIVE = re.compile(r"['’][sS]\Z")
CONTRACTION = re.compile(r"(?<=\S)(n['’]t|['’](m|re|ve|ll|d))\Z")
INFIX = re.compile(
    r"\.\.+|…|s|(?<=9)[+*^-](?=[9-])|(?<=[aq,])\.(?=[Aq,])|(?<=[aA]),(?=[aA])"
    r"|(?<=[aA9])(?:-|–|—|--|---|——|~)(?=[aA])|(?<=[aA9])[:<>=/](?=[aA])"
)


def is_address(word: str) -> bool:
    """`[scheme://][user@]host[:port][/path]`: the first "://" ends a scheme, the last "@" before "/" a user."""
    host = word.split("://", 1)[-1]
    authority, slash, rest = host.partition("/")
    last = authority.rpartition("@")[2]
    name = re.match(r"[^:?#]*", last).group()
    while name and not all(kind(char) in "aA9" or char in "._-" for char in name):
        name = name[:-1]
    behind = (last + slash + rest)[len(name) :]
    labels = name.split(".")
    well = len(labels) > 1 and all(labels[:-1]) and re.fullmatch("a{2,}", kinds(labels[-1]))
    return bool(well and (not behind or behind[0] in ":/?#"))


def tokens(text: str) -> list[str]:
    return [token for run in text.split() for token in of_run(run)]


def of_run(run: str) -> list[str]:
    front: list[str] = []
    back: list[str] = []
    while match := OPENER.match(kinds(run)):
        front.append(run[: match.end()])
        run = run[match.end() :]
    while run:
        if len(run) > 1 and POSSESSIVE.search(run):
            match = POSSESSIVE.search(run)
        elif not (match := SUFFIX.search(kinds(run))):
            break
        back.insert(0, run[match.start() :])
        run = run[: match.start()]
    if not run:
        return front + back
    match = CONTRACTION.search(run)
    if match and run[match.start() - 1].isalpha():
        back.insert(0, match.group())
        run = run[: match.start()]
    return front + (of_word(run)) + back


def of_word(word: str) -> list[str]:
    if is_address(word):
        return [word]
    parts, start = [], 0
    for match in INFIX.finditer(kinds(word)):
        if match.start() == 0:
            continue
        parts += [word[start : match.start()], match.group() and word[match.start() : match.end()]]
        start = match.end()
    return [part for part in [*parts, word[start:]] if part]
