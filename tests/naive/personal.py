"""Personal data found by the definitions in `corpuscurate/kernels/text/personal/`, in plain Python."""

import ipaddress
import re
import unicodedata

SIGNS = "!#$%'*+-^_~"
RESET = "._-+"


def plain(char):
    if char in "\u00a0\u202f\u3000" or "\u2000" <= char <= "\u200a":
        return " "
    if "\u2010" <= char <= "\u2015" or char == "\u2212":
        return "-"
    if "\uff01" <= char <= "\uff5e":
        return chr(ord(char) - 0xFEE0)
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    return char


def kind(char):
    if char.isascii():
        return "digit" if char.isdigit() else "latin" if char.isalpha() else ""
    if unicodedata.category(char)[0] == "M":
        return "mark"
    if not char.isalnum():
        return ""
    return "latin" if ord(char) < 0x250 or 0x1E00 <= ord(char) <= 0x1EFF else "letter"


def joins(char):
    return char != "" and (kind(char) in ("digit", "latin") or char == "_")


def at(text, i):
    return text[i] if 0 <= i < len(text) else ""


def local_start(text, sign):
    found, script, dot, size = None, "", True, 0
    for i in range(sign - 1, -1, -1):
        char = text[i]
        group = kind(char)
        if char == ".":
            if dot:
                break
            dot, script = True, ""
        elif group:
            if group in ("latin", "letter"):
                if script and script != group:
                    break
                script = group
            dot = False
            found = found if group == "mark" else i
        elif char in SIGNS:
            dot = False
            script = "" if char in RESET else script
            found = i if char == "_" else found
        else:
            break
        size += len(char.encode())
        if size > 64:
            return None
    return found


def label_of(text, start):
    script, end, names, others, hyphens = "", start, 0, 0, 0
    i = start
    while i < len(text):
        char = text[i]
        group = kind(char)
        if not (group or char == "-") or len(text[start : i + 1].encode()) > 63:
            break
        if i == start and (char == "-" or group == "mark"):
            break
        if group in ("latin", "letter"):
            if script and script != group:
                break
            script, names = group, names + 1
        elif group == "digit":
            others += 1
        elif char == "-":
            hyphens, script = hyphens + 1, ""
        i += 1
        end = end if char == "-" else i
    puny = end - start > 4 and text[start : start + 4].lower() == "xn--"
    return end, i, (names >= 2 and not others and not hyphens) or puny, names == 0 and not puny


def domain_stop(text, start):
    i, found, labels, numbers = start, None, 0, 0
    while True:
        end, behind, name, number = label_of(text, i)
        if end == i or len(text[start:end].encode()) > 255:
            break
        labels += 1
        numbers += number and numbers == labels - 1
        if labels >= 2 and name:
            found = end
        if behind != end or at(text, end) != "." or numbers >= 2:
            break
        i = end + 1
    return None if numbers >= 2 else found


def emails(text):
    """Addresses as (start, stop), of texts without full-width characters."""
    text = "".join(map(plain, text))
    for sign in (i for i, char in enumerate(text) if char == "@"):
        start, stop = local_start(text, sign), domain_stop(text, sign + 1)
        if stop is None:
            literal = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]", re.IGNORECASE).match(text, sign + 1)
            if literal and is_address(literal[1], v6="IPv6:".lower() in literal[0].lower()):
                stop = literal.end()
        if start is not None and stop is not None:
            yield start, stop


def is_address(text, v6):
    try:
        ipaddress.IPv6Address(text) if v6 else ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
V4 = re.compile(rf"{OCTET}(?:\.{OCTET}){{3}}")
WORDS = [
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "releases",
    "rel",
    "rev",
    "revision",
    "build",
    "firmware",
    "section",
    "sections",
    "sec",
    "chapter",
    "clause",
    "figure",
    "fig",
    "table",
    "appendix",
]
VERSION = re.compile(rf"(?<![a-z])(?:{'|'.join(WORDS)})[\s.:=(\['\"]{{0,12}}$", re.IGNORECASE | re.ASCII)


def v4(text):
    """IPv4 addresses as (start, stop, address)."""
    text = "".join(map(plain, text))
    for i in range(len(text)):
        found = V4.match(text, i)
        before, beyond = at(text, i - 1), at(text, i - 2)
        if not found or joins(before) or (before == "." and beyond.isdecimal()):
            continue
        if before == "-" and (beyond == "_" or (beyond and kind(beyond) == "latin")):
            continue
        stop = found.end()
        after, beyond = at(text, stop), at(text, stop + 1)
        if (
            joins(after)
            or (after == "." and beyond.isdecimal())
            or (after == "-" and beyond and kind(beyond) == "latin")
        ):
            continue
        if not VERSION.search(text[:i]):
            yield i, stop, ipaddress.ip_address(found[0])


def luhn(digits):
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def issued(digits, ranges):
    """ranges: lines of the table of issuers."""
    for part in re.split(r"[|\n]", ranges):
        if not part.strip():
            continue
        prefix, length = part.split()
        low, high = (prefix.split("-") * 2)[:2]
        short, long = (length.split("-") * 2)[:2]
        if int(low.ljust(4, "0")) <= int(digits[:4]) <= int(high.ljust(4, "9")) and int(short) <= len(digits) <= int(
            long
        ):
            return True
    return False


def bordered(text, start, stop):
    for near, far in ((at(text, start - 1), at(text, start - 2)), (at(text, stop), at(text, stop + 1))):
        if joins(near) or (near in (".", ",") and far.isdecimal()):
            return False
    return True


def cards(text, ranges):
    """Card numbers as (start, stop)."""
    text = "".join(map(plain, text))
    done = 0
    for i in range(len(text)):
        if i < done or not text[i].isdecimal() or joins(at(text, i - 1)):
            continue
        best = None
        for stop in range(i + 12, min(i + 24, len(text) + 1)):
            part = text[i:stop]
            digits = re.sub("[ -]", "", part)
            bare = part == digits
            groups = re.split("[ -]", part)
            signs = set(part) - set(digits)
            if not digits.isdecimal() or not 12 <= len(digits) <= 19 or len(signs) > 1:
                continue
            sizes = [len(group) for group in groups]
            fours = set(sizes[:-1]) == {4} and 1 <= sizes[-1] <= 4 and len(sizes) <= 5
            if not (bare or fours or sizes in ([4, 6, 4], [4, 6, 5])):
                continue
            if luhn(digits) and issued(digits, ranges) and bordered(text, i, stop):
                best = stop
        if best:
            yield i, best
            done = best


def ibans(text, patterns):
    """IBANs as (start, stop). patterns: country -> such as "8n12c"."""
    text = "".join(map(plain, text))
    for i in range(len(text)):
        country = text[i : i + 2].upper()
        if country not in patterns:
            continue
        pieces = re.findall(r"(\d+)([nac])", patterns[country])
        kinds = {"n": "[0-9]", "a": "[A-Za-z]", "c": "[0-9A-Za-z]"}
        size = 4 + sum(int(count) for count, _ in pieces)
        for sign in ("", " ", "-"):
            step = size + ((size - 1) // 4 if sign else 0)
            part = text[i : i + step]
            bare = "".join(part[k : k + 4] for k in range(0, len(part), 5)) if sign else part
            again = sign.join(bare[k : k + 4] for k in range(0, len(bare), 4))
            whole = r"[A-Za-z]{2}[0-9]{2}" + "".join(f"{kinds[kind]}{{{count}}}" for count, kind in pieces)
            if part == again and re.fullmatch(whole, bare) and bordered(text, i, i + len(part)):
                number = "".join(str(int(char, 36)) for char in bare[4:] + bare[:4])
                if int(number) % 97 == 1:
                    yield i, i + len(part)
