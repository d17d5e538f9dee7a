"""The model's card: the same facts as JSON for programs and as Markdown for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpuscurate.core.durable import write_json


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write card.json and card.md."""
    write_json(folder / "card.json", dict(card))
    (folder / "card.md").write_text(markdown(card), encoding="utf-8")


def markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    test = card["test"]
    lines = [
        f"# Quality classifier: {card['positive']} ({card['trainer']})",
        "",
        _score(card),
        "",
        *_notes(card["notes"]),
        *_files(card),
        "## Held-out documents",
        "",
        f"{test['documents']:,} documents, none of them a near-copy of a training document.",
        "",
        *_table(
            ("precision", "recall", "F1", "accuracy", "macro F1", "ROC-AUC", "calibration error"),
            [
                [
                    *(test[name] for name in ("precision", "recall", "f1", "accuracy", "macro_f1", "roc_auc")),
                    test["calibration"]["expected_calibration_error"],
                ]
            ],
        ),
        "",
        "### What a cut keeps",
        "",
        *_table(
            ("fraction", "min_score", "precision", "recall"),
            [
                [row[name] for name in ("fraction", "min_score", "precision", "recall")]
                for row in test["keep_fractions"]
            ],
        ),
        "",
        "The fractions are of the held-out documents; on your corpus cut with `keep_best`.",
        "",
        "### By source",
        "",
        *_table(
            ("source", "documents", "share positive", "mean score", "accuracy"),
            [
                [row[name] for name in ("source", "documents", "share_positive", "mean_score", "accuracy")]
                for row in test["sources"]
            ],
        ),
        "",
        *_words(card["words"]),
        *_documents(card["documents"]),
        *_data(card),
    ]
    return "\n".join(lines) + "\n"


def _score(card: Mapping[str, Any]) -> str:
    labels = ", ".join(map(_code, card["labels"]))
    if card["score"] == "probability":
        return f"Score: the probability of the label {_code(card['positive'])}. Labels: {labels}."
    counted = ", ".join(map(_code, card["counted_as_positive"]))
    return f"Score: a grade, in the unit of the labels {labels}. Counted as positive below: {counted}."


def _notes(notes: Sequence[str]) -> list[str]:
    """What the user has to know, as a list; names of labels in it are no markup."""
    lines = [f"- {note.replace('<', '&lt;').replace('[', chr(92) + '[')}" for note in notes]
    return [*lines, ""] if lines else []


def _files(card: Mapping[str, Any]) -> list[str]:
    """The model's files with their sizes; the figures of both where there is a smaller form of the model."""
    sizes = [[name, _size(count)] for name, count in card["file_bytes"].items()]
    small = card.get("small")
    if small is None:
        return [*_table(("file", "size"), sizes), ""]
    measures = ("precision", "recall", "f1", "accuracy", "roc_auc")
    rows = [
        [*row, *(judged["test"][name] for name in measures)] for row, judged in zip(sizes, (card, small), strict=True)
    ]
    return [*_table(("file", "size", "precision", "recall", "F1", "accuracy", "ROC-AUC"), rows), ""]


def _size(count: float) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _words(words: Mapping[str, Sequence[tuple[str, float]]]) -> list[str]:
    if not words:
        return []
    shown = {kind: ", ".join(f"{_code(word)} {weight:+.3g}" for word, weight in found) for kind, found in words.items()}
    return ["## Words that drive the score", "", f"For: {shown['for']}", "", f"Against: {shown['against']}", ""]


def _documents(documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    lines = ["## Documents", ""]
    for kind, found in documents.items():
        lines += [f"### {kind.replace('_', ' ').capitalize()}", ""]
        lines += [f"- {row['score']:.4f} {_code(row['label'])} {_code(row['text'])}" for row in found]
        lines.append("")
    return lines


def _data(card: Mapping[str, Any]) -> list[str]:
    data = card["data"]
    lines = ["## Data", ""]
    lines += _table(("label", "training", "test"), [[n, *data["counts"][n].values()] for n in card["labels"]])
    lines += [
        "",
        f"Left out: {data['duplicates']:,} with the text and label of another, {data['contradictory']:,} whose text"
        f" occurs with several labels, {data['unlabelled']:,} without a label,"
        f" {sum(data['quarantined'].values()):,} records that could not be read.",
        "",
        f"Labels that are likely wrong: {card['label_issues']['found']:,} of the training documents"
        f" ({'dropped' if card['label_issues']['dropped'] else 'listed in label_issues.jsonl, and used as they are'})."
        if card["label_issues"]["looked_for"]
        else "Labels that are likely wrong were not looked for.",
        "",
        *_table(("file", "digest"), sorted(data["files"].items())),
        "",
        "## Parameters",
        "",
        *_table(("parameter", "value"), sorted(card["parameters"].items())),
    ]
    return lines


def _code(text: str) -> str:
    """Text of others in Markdown: as code, so that nothing in it is markup."""
    return "`" + text.replace("`", "'") + "`"


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    shown = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    cells = [[value.replace("|", "\\|").replace("\n", " ") for value in row] for row in shown]
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in cells)]
