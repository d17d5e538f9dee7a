"""Tombstones: what an output folder keeps of documents that were forgotten, so that no later run brings them back.

FORGOTTEN holds no text, no id and no sketch. A tombstone has up to three marks of its document, by which a run knows
it: its address (doc_id, with a digest that names the state of the file), a digest of its id, digests of its text. The
digests are BLAKE2b-128 under a random key of this folder, so that no table of digests made elsewhere names an id, and
tombstones of two folders cannot be joined. Who has the file and a guess can test the guess: that is what a run does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.errors import OutputError
from corpuscurate.core.run_folder import FORGOTTEN

FORM = 1
"""Format number of FORGOTTEN. A file of another form is refused: what it forgets would come back."""
KEY_BYTES, DIGEST_BYTES = 32, 16


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One document. doc_id: None where the run folder did not tell it. file: digest of the state of its input file.
    id: digest of its id. texts: [size in bytes, digest] of its text, as it was read and as it was written; none for a
    text of white space, which others share by chance. was: kept, dropped or quarantined. date: of forgetting, UTC."""

    doc_id: int | None
    file: str | None
    id: str | None
    texts: tuple[tuple[int, str], ...]
    was: str
    date: str

    @property
    def position(self) -> int | None:
        """The position in the file."""
        return None if self.doc_id is None else self.doc_id & ((1 << POSITION_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Tombstones:
    """All of an output folder. key: of the digests. integers: ids are integers, which number the documents of one
    corpus and mean nothing in another. manifest: fingerprint of the input that the doc_ids number."""

    key: bytes
    integers: bool = False
    manifest: str | None = None
    documents: tuple[Tombstone, ...] = ()

    @property
    def identity(self) -> str:
        """A fingerprint of all marks."""
        return fingerprint([self.key.hex(), sorted(map(_value, self.documents), key=orjson.dumps)])

    def digest(self, data: bytes | memoryview) -> str:
        """The digest of an id or a text, 32 hex digits."""
        return keyed_digest(self.key, data).hex()

    def with_id(self, id: str) -> list[Tombstone]:
        """The documents that had an id, spelled as in dropped/."""
        wanted = self.digest(id.encode())
        return [each for each in self.documents if each.id == wanted]

    def with_doc_id(self, doc_id: int, manifest: str | None) -> list[Tombstone]:
        """The documents of a number; none where the input is not the one that was numbered."""
        if manifest is None or manifest != self.manifest:
            return []
        return [each for each in self.documents if each.doc_id == doc_id]

    def added(self, more: Iterable[Tombstone], *, integers: bool, manifest: str | None) -> Tombstones:
        """These and more documents. Where the input is another one, the doc_ids so far keep their marks of files."""
        known = self.documents if manifest == self.manifest else tuple(map(_unnumbered, self.documents))
        return replace(self, integers=integers, manifest=manifest, documents=(*known, *more))


def _unnumbered(each: Tombstone) -> Tombstone:
    return replace(each, doc_id=None if each.doc_id is None else each.position)


def _value(each: Tombstone) -> dict[str, Any]:
    return asdict(each)


def keyed_digest(key: bytes, data: bytes | memoryview) -> bytes:
    """BLAKE2b-128 under a key, 16 bytes."""
    return hashlib.blake2b(data, key=key, digest_size=DIGEST_BYTES).digest()


def file_value(key: bytes, name: str, state: Mapping[str, Any]) -> str:
    """The digest that names the state of an input file: its name, size and time of change (or version)."""
    return keyed_digest(key, fingerprint([name, dict(state)]).encode()).hex()


def no_tombstones() -> Tombstones:
    """None so far, under a new key."""
    return Tombstones(secrets.token_bytes(KEY_BYTES))


def read_tombstones(out: Path) -> Tombstones | None:
    """Those of an output folder; None where nothing was forgotten there.

    Raises OutputError for a file that is damaged or of another form: without it, what was forgotten would come back.
    """
    path = out / FORGOTTEN
    if not path.exists():
        return None
    value = read_sealed(path)
    if not isinstance(value, dict) or value.get("form") != FORM:
        what = "is damaged" if not isinstance(value, dict) else f"is of form {value.get('form')}, not {FORM}"
        raise OutputError(
            f"{path} {what}, and it says which documents were forgotten: without it they would come back. Put back a "
            "copy of it; or delete it, and remove these documents from the input."
        )
    rows = (
        Tombstone(**{**each, "texts": tuple((int(size), str(digest)) for size, digest in each["texts"])})
        for each in value["documents"]
    )
    return Tombstones(bytes.fromhex(value["key"]), value["integers"], value["manifest"], tuple(rows))


def write_tombstones(path: Path, tombstones: Tombstones) -> None:
    """Write FORGOTTEN, whole or not at all."""
    value = {
        "form": FORM,
        "key": tombstones.key.hex(),
        "integers": tombstones.integers,
        "manifest": tombstones.manifest,
        "documents": [_value(each) for each in tombstones.documents],
    }
    write_sealed(path, value)
