"""`corpuscurate explain`: why was this document removed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug
from corpuscurate.commands.show import print_json, printable
from corpuscurate.core.run_folder import DATA

Out = Annotated[Path, typer.Argument(help="output folder of a finished run")]
Name = Annotated[str, typer.Argument(metavar="ID", help="the document's id, or its doc_id with --doc-id")]
ByDocId = Annotated[bool, typer.Option("--doc-id", help="ID is a doc_id, as in the columns of dropped/")]


@guarded
def explain(out: Out, name: Name, by_doc_id: ByDocId = False, as_json: AsJson = False, debug: Debug = False) -> None:
    """Say why a document was removed, and which document stands for it; of all documents that have the id."""
    from corpuscurate.tools.explain import explain as explained

    found = explained(out, name, by_doc_id=by_doc_id)
    if as_json:
        print_json(found)
        return
    answers = [found, *found["others"]]
    if found["same_id"] > 1:
        print(printable(f"{found['same_id']:,} documents have the id {name}."))
    for answer in answers:
        for line in lines(answer, name, out):
            print(printable(line))
    if found["same_id"] > len(answers):
        print(f"{found['same_id'] - len(answers):,} more documents have this id.")


def lines(answer: dict[str, Any], name: str, out: Path) -> list[str]:
    """What became of one document, in words."""
    end = answer["ends_at"]
    if answer["fate"] == "forgotten":
        return [f"{name} was forgotten on {answer['date']}."]
    if answer["fate"] == "kept":
        known = name if end["doc_id"] is None else _named(name, end["doc_id"])
        return [f"{known} was kept: it is in {out / DATA}."]
    told = [sentence(row) for row in answer["chain"]]
    if end is not None:
        fate = f"forgotten on {end['forgotten']}" if "forgotten" in end else "kept"
        told.append(f"{_named(end['id'], end['doc_id'], end.get('corpus'))} was {fate}.")
    return told


def _named(name: str | int | None, doc_id: int, corpus: str | None = None) -> str:
    text = f"doc_id {doc_id}" if name is None else f"{name} (doc_id {doc_id})"
    return text if corpus is None else f"{text} of the earlier run {corpus}"


def sentence(row: dict[str, Any]) -> str:
    """A row of dropped/ in words."""
    text = f"{_named(row['id'], row['doc_id'])}, {row['shard']} at {row['position']}, was dropped by {row['stage']}"
    text += f": {row['reason']}"
    if row["value"] is not None and row["duplicate_of_doc_id"] is None:
        text += f" (measured {row['value']:.6g}"
        text += f", threshold {row['threshold']:.6g})" if row["threshold"] is not None else ")"
    if row.get("detail"):
        text += f"; {row['detail']}"
    if row["duplicate_of_doc_id"] is not None:
        text += f" of {_named(row['duplicate_of'], row['duplicate_of_doc_id'], row.get('duplicate_of_corpus'))}"
    if row["matched_doc_id"] is not None and row["similarity"] is not None:
        other = _named(row["matched"], row["matched_doc_id"], row.get("matched_corpus"))
        text += f"; similarity {row['similarity']:.4f} to {other}"
        text += f", threshold {row['threshold']:.6g}" if row["threshold"] is not None else ""
        for rule in row.get("failed") or ():
            if rule["reason"] != row["reason"]:
                text += f"; {rule['reason']} {rule['value']:.4f}, threshold {rule['threshold']:.6g}"
    return text + "."
