"""`corpuscurate map`: look at a corpus, and at what was removed from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug, Quiet
from corpuscurate.commands.show import print_json, printable

Out = Annotated[Path, typer.Argument(help="Output folder of a finished run.")]
Documents = Annotated[int, typer.Option("--documents", min=1, help="Approximate number of documents on the map.")]
Base = Annotated[
    Path | None, typer.Option("--base", metavar="FOLDER", help="Where the recipe's relative paths start from.")
]
Folder = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where the map goes; OUT if left out.")
]


@guarded
def map_(
    out: Out,
    documents: Documents = 5000,
    base: Base = None,
    folder: Folder = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a sample of the input, coloured by fate, shard or cluster, as one page: map.html, and map.parquet."""
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.tools.map.build import make_map

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if quiet or as_json:
        made = make_map(out, documents=documents, base=base, folder=folder, progress=NoProgress())
    else:
        with RichProgress() as progress:
            made = make_map(out, documents=documents, base=base, folder=folder, progress=progress)
    if as_json:
        print_json(made)
    elif not quiet:
        print(printable(f"{made['documents']:,} documents: {made['page']} and {made['coordinates']}."))
