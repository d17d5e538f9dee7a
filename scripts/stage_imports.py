"""Writes the imports that tell type checkers the stages of `corpuscurate.stages`, from the classes that are registered.

    python scripts/stage_imports.py            # `make format`
    python scripts/stage_imports.py --check    # `make lint`: exits 1 where they are not as it would write them

At run time nothing depends on them: a new stage is known by its file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from corpuscurate.core.stage import stage_classes

FILE = Path(__file__).parents[1] / "corpuscurate" / "stages" / "__init__.py"
BLOCK = re.compile(r"(?<=^if TYPE_CHECKING:\n)(?:    .*\n)+", re.MULTILINE)


def block() -> str:
    own = [kind for kind in stage_classes().values() if kind.__module__.startswith("corpuscurate.stages.")]
    lines = sorted(f"    from {kind.__module__} import {kind.__name__} as {kind.__name__}\n" for kind in own)
    return "".join(lines)


def main() -> None:
    there = FILE.read_text(encoding="utf-8")
    wanted = BLOCK.sub(block(), there, count=1)
    if wanted == there:
        return
    if "--check" in sys.argv[1:]:
        sys.exit("corpuscurate/stages/__init__.py does not import every stage for type checkers: run `make format`")
    FILE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
