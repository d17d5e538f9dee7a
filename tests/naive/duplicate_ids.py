"""Which documents have the id of an earlier one, by a dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def duplicate_ids(documents: Iterable[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """(doc_id, id) of the documents whose id an earlier one has, of documents in input order; None is no id."""
    first: dict[Any, int] = {}
    found = []
    for doc_id, id in documents:
        if id is None:
            continue
        if id in first:
            found.append((doc_id, id))
        first.setdefault(id, doc_id)
    return found
