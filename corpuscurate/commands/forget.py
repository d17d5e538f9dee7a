"""`corpuscurate forget`: take documents out of an output for good."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug, Quiet
from corpuscurate.commands.show import print_json, printable
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import FORGOTTEN

Out = Annotated[Path, typer.Argument(help="Output folder of a finished run.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of the documents, or their doc_ids.")]
Ids = Annotated[Path | None, typer.Option("--ids", metavar="FILE", help="A file with an id a line, besides.")]
ByDocId = Annotated[bool, typer.Option("--doc-id", help="The ids are doc_ids, as in the columns of dropped/.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
SkipUnknown = Annotated[bool, typer.Option("--skip-unknown", help="Go on where no document has an id.")]
Base = Annotated[
    Path | None, typer.Option("--base", metavar="FOLDER", help="Where the recipe's relative paths start from.")
]
SHOWN = 20
"""Documents that are listed of each kind; --json has all."""


@guarded
def forget(
    out: Out,
    names: Names = None,
    ids: Ids = None,
    by_doc_id: ByDocId = False,
    dry_run: DryRun = False,
    skip_unknown: SkipUnknown = False,
    base: Base = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Remove documents from a finished output, its index and its pages, so that later runs leave them out, too."""
    from corpuscurate.tools.forget.forget import forget as forgotten

    wanted = [*(names or ()), *(_lines(ids) if ids is not None else ())]
    done = forgotten(out, wanted, by_doc_id=by_doc_id, dry_run=dry_run, skip_unknown=skip_unknown, base=base)
    if as_json:
        print_json(done)
    elif not quiet:
        for line in told(done, out, dry_run):
            print(printable(line))


def _lines(path: Path) -> list[str]:
    """The ids in a file, a line each; empty lines apart."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--ids {path}: cannot be read as text ({error}).") from error
    return [line for line in lines if line]


def told(done: dict[str, Any], out: Path, dry_run: bool) -> Iterator[str]:
    """What was done, in words. done: see `tools.forget.forget`."""
    if done["finished"]:
        yield f"An earlier `forget` in {out} was interrupted; it is finished now."
    for name, date in done["already"].items():
        yield f"{name} was forgotten on {date}."
    for name in done["unknown"]:
        yield f"{name}: no document of {out}."
    documents = done["forgotten"]
    if documents:
        yield f"{'Would forget' if dry_run else 'Forgot'} {_number(len(documents), 'document')}:"
        yield from _some([_document(each) for each in documents])
        files = f"{len(done['changed']):,} files written anew, {len(done['removed']):,} removed"
        yield f"{files}. {out / FORGOTTEN} (no text, no id) keeps later runs from bringing them back: keep it."
        yield from _advice(done, out)


def _advice(done: dict[str, Any], out: Path) -> Iterator[str]:
    """What else may be of the same people."""
    copies = done["copies"]
    if copies:
        yield f"{_number(len(copies), 'document')} with the same content, more or less, by the ledger:"
        yield from _some([_copy(each) for each in copies])
        yield (
            "  Forget them too where they are of the same person: "
            + f"corpuscurate forget {shlex.quote(str(out))} --doc-id "
            + " ".join(str(each["doc_id"]) for each in copies[:SHOWN] if each["corpus"] is None)
        )
        if any(each["fate"] == "dropped" for each in copies):
            yield (
                "  Or run the recipe again with --overwrite: one of those that were dropped as copies takes the place"
                " of the forgotten one. (A copy with the very same text stays out.)"
            )
    if done["in_quarantine"]:
        numbers = " ".join(map(str, done["in_quarantine"][:SHOWN]))
        yield f"Unreadable records in quarantine/ hold such an id, too. To forget them: --doc-id {numbers}"
    if any(each["in_input"] for each in done["forgotten"]):
        yield "The input still holds them: remove them there, and from other outputs, copies and backups."
    else:
        yield "Other outputs, copies and backups are not touched: forget them there, too."


def _number(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _some(lines: list[str]) -> list[str]:
    more = [f"  and {len(lines) - SHOWN:,} more (--json has all)"] if len(lines) > SHOWN else []
    return [*(f"  {line}" for line in lines[:SHOWN]), *more]


def _document(each: dict[str, Any]) -> str:
    number = "" if each["doc_id"] is None else f"doc_id {each['doc_id']}, {each['file']} at {each['position']}"
    known = f"{each['id']} ({number})" if each["id"] is not None and number else each["id"] or number
    was = "named as a document of an earlier run" if each["was"] == "named" else each["was"]
    return f"{known}: {was}"


def _copy(each: dict[str, Any]) -> str:
    known = f"doc_id {each['doc_id']}" if each["id"] is None else f"{each['id']} (doc_id {each['doc_id']})"
    where = "" if each["corpus"] is None else f" of the earlier run {each['corpus']}"
    like = "" if each["similarity"] is None else f", similarity {each['similarity']:.4f}"
    if each["fate"] == "stands":
        return f"{known}{where}: stands for {each['of']} ({each['stage']}{like})"
    return f"{known}: {each['reason']} of {each['of']} ({each['stage']}{like})"
