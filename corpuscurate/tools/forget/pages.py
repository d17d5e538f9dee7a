"""Pages in an output folder that show samples of its documents."""

from __future__ import annotations

from pathlib import Path

from corpuscurate.core.run_folder import KINDS, STATE
from corpuscurate.tools.html import is_our_page
from corpuscurate.tools.map.names import COORDINATES, PAGE


def pages_in(out: Path) -> list[Path]:
    """The pages that a tool of corpuscurate wrote into an output folder, and what stands beside them."""
    found = []
    for path in sorted(out.rglob("*.html")):
        if path.relative_to(out).parts[0] not in (*KINDS, STATE) and is_our_page(path):
            found.append(path)
            beside = path.with_name(COORDINATES)
            found += [beside] if path.name == PAGE and beside.is_file() else []
    return found
