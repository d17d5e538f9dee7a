"""`corpuscurate demo`: the main job on the text of this Python installation, and a look at what it did."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import Debug, Quiet
from corpuscurate.commands.show import console, printable

if TYPE_CHECKING:
    from rich.text import Text

    from corpuscurate.tools.demo.demo import Made, Pair

LINES = 9
"""Lines of each document that are shown."""
LINE_CHARACTERS = 160

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the demo goes.")]


@guarded
def demo(output: Folder = Path("demo-out"), quiet: Quiet = False, debug: Debug = False) -> None:
    """Curate the text that this Python installation carries; nothing is downloaded."""
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.commands.summary import print_summary
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.tools.demo.demo import make_demo, pairs

    if quiet:
        made = make_demo(output, NoProgress())
        return
    with RichProgress() as progress:
        made = make_demo(output, progress)
    print_summary(made.report, made.output)
    shown = list(pairs(made.output))
    for number, pair in enumerate(shown, 1):
        print_pair(number, pair)
    _print_places(made, shown)


def _print_places(made: Made, pairs: Sequence[Pair]) -> None:
    example = shlex.quote(pairs[0].dropped_id) if pairs else "ID"
    shown = [
        "",
        f"{made.documents:,} documents were collected into {len(made.shards)} shards: {made.shards[0].parent}/",
        f"The recipe is {made.recipe}: change it, then `corpuscurate run {made.recipe} --overwrite`.",
        "Why was a document removed? For instance the first one above:",
        f"  {sys.executable} -m corpuscurate explain {shlex.quote(str(made.output))} {example}",
    ]
    print(printable("\n".join(shown)))


def print_pair(number: int, pair: Pair) -> None:
    """A removed document beside the one that was kept, from where they begin to differ."""
    from rich.table import Table
    from rich.text import Text

    alike = "" if pair.similarity is None else f", similarity {pair.similarity:.3f}"
    title = f"Removed {number}: {pair.dropped_id}  ({pair.stage}{alike})"
    left, right = excerpts(pair.dropped_text, pair.kept_text)
    shown = Table(title=Text(printable(title, "")), title_justify="left", expand=True, show_lines=False)
    shown.add_column(Text("removed"), ratio=1, overflow="fold")
    shown.add_column(Text(printable(f"kept: {pair.kept_id}", "")), ratio=1, overflow="fold")
    shown.add_row(left, right)
    out = console()
    out.print()
    out.print(shown)


def excerpts(dropped: str, kept: str) -> tuple[Text, Text]:
    """LINES lines of each, around their first difference; lines that only one of them has are bold."""
    from rich.text import Text

    first, second = dropped.splitlines(), kept.splitlines()
    matcher = difflib.SequenceMatcher(None, first[:2000], second[:2000], autojunk=False)
    changed = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    starts = (max(0, changed[0][1] - 2), max(0, changed[0][3] - 2)) if changed else (0, 0)
    shown = []
    own = [(i, j) for _, i, j, _, _ in changed], [(i, j) for _, _, _, i, j in changed]
    for lines, start, ranges in zip((first, second), starts, own, strict=True):
        differing = {at for low, high in ranges for at in range(low, high)}
        text = Text("... \n" if start else "")
        for at, line in enumerate(lines[start : start + LINES], start):
            cut = line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} ..."
            text.append(printable(cut, "") + "\n", style="bold" if at in differing else "")
        if len(lines) > start + LINES:
            text.append(f"... {len(lines) - start - LINES} more lines")
        shown.append(text)
    return shown[0], shown[1]
