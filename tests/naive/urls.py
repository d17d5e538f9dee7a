"""URLs in their plain form and on lists, by the definition of `corpuscurate.stages.url_filter`, in plain Python."""

import re
from urllib.parse import unquote_to_bytes

from publicsuffixlist import PublicSuffixList

PSL = PublicSuffixList(only_icann=True)


def plain(url):
    """(host, rest) as bytes, of a URL with an ASCII host."""
    url = url.strip("".join(map(chr, range(33))))
    url = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:(?=[/\\])(?=.[^\0]|.$)", "", url, flags=re.DOTALL)
    url = re.sub(r"^[/\\]{1,2}", "", url)
    host, rest = re.match(r"([^/\\?#]*)(.*)", url, re.DOTALL).groups()
    host = host.rpartition("@")[2].partition(":")[0]
    while host and (host[-1] == "." or host[-1] <= " "):
        host = host[:-1]
    rest = rest.partition("#")[0]
    path, mark, query = rest.partition("?")
    path = path.replace("\\", "/")
    data = b"".join(unquote_to_bytes(part) for part in (path, mark, query)).lower()
    return host.lower().encode(), data if mark else data.rstrip(b"/")


def parents(host):
    """The host and its parents that lists of domains may meet, the longest first."""
    if re.fullmatch(r"[0-9.]*", host):
        return [host] if host else []
    labels = host.split(".")
    names = [".".join(labels[at:]) for at in range(len(labels))]
    return [host] + [name for name in names[1:] if PSL.publicsuffix(name) != name]


def without_www(host):
    return host[4:] if host.startswith("www.") and len(host) > 4 else host


def prefixes(page, host_size):
    """The beginnings of a plain URL that a list of paths may meet, the shortest first."""
    ends = [at for at in range(host_size, len(page)) if page[at : at + 1] in (b"/", b"?")]
    return [page[:end] for end in [*ends, len(page)]]


def words(page):
    return re.findall(rb"[a-z0-9\x80-\xff]+", page)
