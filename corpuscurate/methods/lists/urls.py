"""URLs in their plain form, and lists of domains, hosts and URLs in the forms in which they come.

A line of a list of domains or hosts may be a name, a URL, a line of a hosts file (`0.0.0.0 name name`), or a rule of an
ad blocker for a whole domain (`||name^`). Rules for parts of pages (`##`, `$`, `*`, `/.../`) and exceptions (`@@`) say
nothing of a whole site and hold nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.urls.match import EXCEPTION, NORMAL, WILDCARD, Suffixes
from corpuscurate.kernels.urls.plain import locate_hosts, write_plain
from corpuscurate.kernels.urls.table import make_table

_HOSTS_LINE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?|fe80::1%\S+|255\.255\.255\.255)\s+(.+)")
_LOCAL = {"localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "0.0.0.0"}  # noqa: S104
"""Names that hosts files give to the machine itself."""
_BLOCKER = re.compile(r"\|\|([^\^/$*|]+)\^(?:\$(?:all|document|doc|popup|important|third-party|,)*)?\|?")
_NOT_SITES = re.compile(r"@@|.*##|.*#@#|.*#\?#|\[Adblock|/.*/$|\|", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plain:
    """n plain URLs. offsets: int64[n + 1], data: uint8[...]. bare: int64[n], where each begins without "www.". hosts:
    int64[n], where its host ends."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    bare: NDArray[np.int64]
    hosts: NDArray[np.int64]

    def pieces(self) -> list[bytes]:
        """Each URL without "www."."""
        whole = self.data.tobytes()
        return [whole[start:stop] for start, stop in zip(self.bare.tolist(), self.offsets[1:].tolist(), strict=True)]


def plain(urls: pa.LargeStringArray) -> Plain:
    """The plain form of URLs; of null the empty one."""
    urls = pc.fill_null(urls, "") if urls.null_count else urls
    located = _located(urls)
    if located[3].any():
        urls = _with_plain_hosts(urls, *located)
        located = _located(urls)
    offsets, data = text_buffers(urls)
    size = len(urls)
    ends, hosts, bare = np.empty(size + 1, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    out = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8)
    written = write_plain(offsets, data, *located[:3], ends, hosts, bare, out)
    return Plain(ends, out[:written], bare, hosts)


def _located(
    urls: pa.LargeStringArray,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    offsets, data = text_buffers(urls)
    starts, stops, behind = (np.empty(len(urls), np.int64) for _ in range(3))
    needs = np.empty(len(urls), np.bool_)
    locate_hosts(offsets, data, starts, stops, behind, needs)
    return starts, stops, behind, needs


def _with_plain_hosts(
    urls: pa.LargeStringArray,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    behind: NDArray[np.int64],
    needs: NDArray[np.bool_],
) -> pa.LargeStringArray:
    """The URLs with the hosts that need it in ASCII, and nothing before these. `needs` is few."""
    offsets, data = text_buffers(urls)
    made = []
    for row in np.flatnonzero(needs).tolist():
        host = plain_host(data[starts[row] : stops[row]].tobytes().decode())
        made.append("//" + host + data[behind[row] : offsets[row + 1]].tobytes().decode())
    return pc.replace_with_mask(urls, pa.array(needs), pa.array(made, TEXT))


@lru_cache(1 << 16)
def plain_host(host: str) -> str:
    """A host in ASCII, as browsers ask for it: percent signs decoded, UTS #46 (package idna), IPv6 in its short form.
    What is no valid name becomes lower case, and its dots plain ones."""
    import idna

    if host.startswith("["):
        try:
            return f"[{IPv6Address(host.strip('[]')).compressed}]"
        except ValueError:
            return host.lower()
    host = unquote(host, errors="replace")
    try:
        return str(idna.encode(host, uts46=True).decode()).rstrip(".")
    except (idna.IDNAError, UnicodeError):
        folded = unicodedata.normalize("NFKC", host).casefold().replace("。", ".")
        return "".join("-" if char in "/\\?#@:[]%" or char.isspace() else char for char in folded).rstrip(".")


def _one(line: str) -> Plain:
    return plain(pa.array([line], TEXT))


def sites(lines: Sequence[str], keep_www: bool) -> Iterator[list[bytes]]:
    """The hosts that each line of a list of domains or hosts names."""
    return (list(_sites(line, keep_www)) for line in lines)


def _sites(line: str, keep_www: bool) -> Iterator[bytes]:
    if line[0] in "#!":
        return
    found = _HOSTS_LINE.fullmatch(line)
    if found is not None:
        names = [name for name in found[1].partition("#")[0].split() if name.lower() not in _LOCAL]
    elif (rule := _BLOCKER.fullmatch(line)) is not None:
        names = [rule[1]]
    elif _NOT_SITES.match(line):
        return
    else:
        names = [line.split(maxsplit=1)[0].removeprefix("*.").removeprefix(".")]
    for name in names:
        if _SIMPLE.fullmatch(name):
            host = name.lower()
            yield (host if keep_www else host.removeprefix("www.")).encode()
        else:
            one = _one(name)
            first = int(one.offsets[0] if keep_www else one.bare[0])
            yield one.data[first : one.hosts[0]].tobytes()


_SIMPLE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)


def pages(lines: Sequence[str]) -> Iterator[list[bytes]]:
    """The plain form of each line of a list of URLs, or of path prefixes."""
    named = plain(pa.array(["" if line[0] in "#!" else line for line in lines], TEXT)).pieces()
    return ([piece] for piece in named)


def words(lines: Sequence[str]) -> Iterator[list[bytes]]:
    """Words as they are sought in plain URLs: letters and digits, ASCII in lower case."""
    return ([_word(line)] for line in lines)


def _word(line: str) -> bytes:
    return "".join(char for char in line if char.isalnum() or ord(char) > 0x7F).encode().lower()


@lru_cache(1)
def suffixes() -> Suffixes:
    """The list of public suffixes as the package publicsuffixlist brings it, its section of registries (ICANN): shared
    hosts such as github.io are ordinary domains, which a list may name with all below them."""
    import publicsuffixlist

    path = Path(publicsuffixlist.__file__).with_name("public_suffix_list.dat")
    kinds: dict[bytes, int] = {}
    for line in path.read_text(encoding="utf-8").partition("===END ICANN DOMAINS===")[0].split("\n"):
        rule = line.strip()
        if rule and not rule.startswith("//"):
            kind = WILDCARD if rule.startswith("*.") else EXCEPTION if rule.startswith("!") else NORMAL
            name = plain_host(rule.removeprefix("*.").removeprefix("!")).encode()
            kinds[name] = kinds.get(name, 0) | kind
    return Suffixes(make_table(list(kinds), backwards=True), np.array(list(kinds.values()), np.uint8))
