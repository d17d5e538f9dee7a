"""Self-contained HTML pages: no external resources, and all text of strangers escaped."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}.bar{background:#4a7ab5;height:.8rem;display:inline-block}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;margin:.6rem 0 1.4rem}
.pair pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f5;padding:.6rem;margin:0;font-size:13px}
.note{color:#666}
"""


def escaped(text: str) -> str:
    """Text that is safe within an element or a quoted attribute; control characters are shown as escapes."""
    shown = "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in text)
    return html.escape(shown, quote=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{escaped(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def embedded(value: Any) -> str:
    """A value as JSON that is safe within a script element."""
    return orjson.dumps(value).decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def is_our_page(path: Path) -> bool:
    """Whether `write_page` wrote a file: by its first bytes, the policy among them."""
    with path.open("rb") as file:
        head = file.read(1 << 16).decode("utf-8", "replace")
    return head.startswith(_HEAD) and _POLICY in head and _STYLE in head


def write_page(path: Path, title: str, body: str, *, style: str = "", script: str = "") -> None:
    """Write a page. The policy in it forbids everything that is not in the file."""
    text = (
        f"{_HEAD}{escaped(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{_STYLE}{style}</style></head><body><h1>{escaped(title)}</h1>{body}"
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )
    path.write_text(text, encoding="utf-8")
