"""`pii`: personal data in the text, replaced, masked, counted, or a reason to drop the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import from_buffers, text_buffers
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Edit, Outcome
from corpuscurate.kernels.text.personal.characters import letters
from corpuscurate.kernels.text.personal.find import KINDS, Wanted
from corpuscurate.kernels.text.personal.replace import MASK, replace_spans
from corpuscurate.methods.end_marks import as_tuple
from corpuscurate.methods.personal.hits import Found, find, spelled
from corpuscurate.methods.personal.keys import fingerprint, key_from, token
from corpuscurate.methods.personal.national import check_formats
from corpuscurate.methods.personal.phones import check_regions

Action = Literal["replace", "mask", "count", "ignore"]
COUNTED = {kind: "national_numbers" if kind == "national" else f"{kind}s" for kind in KINDS}
"""The measure of each kind."""
SPANS = pa.list_(pa.struct([("kind", pa.string()), ("start", pa.int64()), ("stop", pa.int64())]))
PLACEHOLDERS = {
    "email": "email@example.com",
    "ip": "192.0.2.1",
    "phone": "<phone>",
    "card": "<card>",
    "iban": "<iban>",
    "national": "<national>",
}
Regions = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(check_regions)]
Formats = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(check_formats)]


class Pii(Filter):
    """Replaces e-mail addresses, IP addresses, telephone, card and account numbers, and national numbers.

    - `email`: RFC 5321 addresses, in other scripts too (RFC 6531); no quoted local parts, no "name at host".
    - `ip`: IPv4 and IPv6, public ones unless `public_ips` is false. Numbers behind words such as "version" and
      "section", times, hardware addresses and names such as `std::dec` are none.
    - `card`: 12 to 19 digits right by Luhn, of an issuer's first digits and length, bare or grouped as on a card.
    - `iban`: the country's length and pattern, and the check digits.
    - `phone`: what libphonenumber calls a valid number, with a plus sign of any country, without one of `regions`.
    - `national`: numbers of `national_numbers` with right check digits (package python-stdnum).
    Full-width characters and the digits of other scripts count as ASCII. `kernels/text/personal/` has the definitions.
    Of hits that overlap, the kind that comes first here wins: email, iban, card, ip, phone, national.

    Each kind has an action. `replace`: by a text of `placeholders`; with a key, by a token such as <email-abpomnlk...>
    that is the same for the same value wherever it stands (`methods/personal/keys.py`). `mask`: letters and digits
    become asterisks. `count`: the text stays, and the count is a column. `ignore`: not looked for. Whatever the action,
    `max_...` drops documents with more.
    A run keeps no value and no plain hash of one: the report counts documents and bytes by kind, `spans` tells kind and
    place, `dropped_text` is edited as kept text is, of unreadable records the shape alone is kept. Other columns than
    the text, ids among them, pass as they are.
    In `mode: tag` all kinds are counted, and nothing is edited.
    """

    word = "pii"
    source = (
        "kinds and order of FineWeb's PIIFormatter (github huggingface/datatrove, pii.py); RFC 5321, RFC 6531, "
        "RFC 4291, ISO/IEC 7812, ISO 13616, libphonenumber"
    )
    edits_text: ClassVar[bool] = True
    measured: ClassVar[Mapping[str, pa.DataType]] = {name: pa.int64() for name in (*COUNTED.values(), "hits")}

    email: Action = Field("replace", description="what becomes of e-mail addresses")
    ip: Action = Field("replace", description="what becomes of IP addresses")
    phone: Action = Field("replace", description="what becomes of telephone numbers")
    card: Action = Field("replace", description="what becomes of payment card numbers")
    iban: Action = Field("replace", description="what becomes of bank account numbers")
    national: Action = Field("replace", description="what becomes of the numbers of national_numbers")
    public_ips: bool = Field(True, description="only IP addresses that are public, not such as 192.168.0.1")
    regions: Regions = Field(
        (), description="countries (US, GB) whose telephone numbers count without a plus sign, too; the first one wins"
    )
    national_numbers: Formats = Field(
        (), description="formats of python-stdnum to look for, such as us.ssn or br.cpf (extra: national)"
    )
    placeholders: dict[str, str] = Field(
        default_factory=dict,
        description="texts that replace a kind, where there is no key; those left out: the default",
    )
    key_variable: str | None = Field(
        None, description="variable of the environment with the key of tokens; neither this nor a file: placeholders"
    )
    key_file: LocalPath | None = Field(None, description="file with the key of tokens")
    spans: bool = Field(
        False, description="add the column spans: kind, start, stop of each hit, in bytes of the text before edits"
    )
    max_emails: int | None = Field(None, description="most e-mail addresses of a document", ge=0)
    max_ips: int | None = Field(None, description="most IP addresses of a document", ge=0)
    max_phones: int | None = Field(None, description="most telephone numbers of a document", ge=0)
    max_cards: int | None = Field(None, description="most card numbers of a document", ge=0)
    max_ibans: int | None = Field(None, description="most bank account numbers of a document", ge=0)
    max_national_numbers: int | None = Field(None, description="most national numbers of a document", ge=0)
    max_hits: int | None = Field(None, description="most of all kinds together (Dolma: 5)", ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Pii:
        unknown = self.placeholders.keys() - COUNTED.keys()
        if unknown:
            raise ValueError(f"placeholders: no kind {sorted(unknown)[0]!r}; kinds are {', '.join(COUNTED)}")
        if self.key_variable is not None and self.key_file is not None:
            raise ValueError("key_variable and key_file both name a key: leave one out")
        if not self._searched:
            raise ValueError("every kind is ignored: there is nothing to do")
        return self

    @property
    def _searched(self) -> tuple[str, ...]:
        """The kinds that are looked for."""
        found = [kind for kind in KINDS if getattr(self, kind) != "ignore"]
        return tuple(kind for kind in found if kind != "national" or self.national_numbers)

    @property
    def packages(self) -> tuple[str, ...]:
        """Those that tell numbers."""
        told = {"phone": "phonenumbers", "national": "python-stdnum"}
        return tuple(package for kind, package in told.items() if kind in self._searched)

    def wants(self, measure: str) -> bool:
        """Every count is needed, but as a column it is there once."""
        return measure in self.measures()

    def adds(self) -> Mapping[str, pa.DataType]:
        """The counts of kinds with the action `count`, and the spans."""
        counts = {COUNTED[kind]: pa.int64() for kind in self._searched if getattr(self, kind) == "count"}
        return {**counts, **({"spans": SPANS} if self.spans else {})}

    def measures(self) -> Mapping[str, pa.DataType]:
        """The counts of the other kinds, and of all."""
        return {name: kind for name, kind in self.measured.items() if name not in self.adds()}

    def identity(self) -> dict[str, Any]:
        """The parameters, with the key's fingerprint in place of where it is. Raises RecipeError or InputError for a
        key that cannot be used."""
        found = self.parameters()
        key = key_from(self.key_variable, self.key_file)
        del found["key_variable"], found["key_file"]
        return found if key is None else {**found, "key": fingerprint(key)}

    def find(self, text: pa.LargeStringArray) -> Found:
        """The personal data of texts."""
        searched = self._searched
        email, iban, card, ip, phone, ids = (kind in searched for kind in KINDS)
        wanted = Wanted(email, iban, card, ip, phone, ids, self.public_ips, bool(self.regions))
        return find(text, wanted, self.regions, self.national_numbers)

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The number of hits of each kind, and of all."""
        return _counts(self.find(batch.text), len(batch))

    def apply(self, batch: Batch) -> Outcome:
        """Judge the documents, and edit those that stay."""
        found = self.find(batch.text)
        counts = _counts(found, len(batch))
        outcome = self.outcome(counts, len(batch))
        added = {name: pa.array(counts[name]) for name in self.adds() if name != "spans"}
        if self.spans:
            added["spans"] = _span_lists(found, batch.text)
        outcome = replace(outcome, columns=added)
        if self.mode == "tag" or outcome.reason is None:
            return outcome
        edited = self._edited(found) & (outcome.reason == 0)[found.rows]
        if not edited.any():
            return outcome
        text, edits = self._replaced(batch.text, found, np.flatnonzero(edited))
        return replace(outcome, text=text, edits=edits)

    @property
    def hides(self) -> bool:
        """Whether any kind is replaced or masked."""
        return self.mode == "drop" and any(getattr(self, kind) in ("replace", "mask") for kind in self._searched)

    def hidden(self, text: pa.LargeStringArray) -> pa.LargeStringArray:
        """Texts as they are kept of documents that are dropped."""
        found = self.find(text)
        chosen = np.flatnonzero(self._edited(found))
        return self._replaced(text, found, chosen)[0] if len(chosen) else text

    def _edited(self, found: Found) -> NDArray[np.bool_]:
        """Which hits are of a kind that is replaced or masked."""
        edits = np.array([getattr(self, kind) in ("replace", "mask") for kind in KINDS])
        result: NDArray[np.bool_] = edits[found.kinds]
        return result

    def _replaced(
        self, text: pa.LargeStringArray, found: Found, chosen: NDArray[np.int64]
    ) -> tuple[pa.LargeStringArray, dict[str, Edit]]:
        """The texts with some of the hits replaced, and what that was, by kind."""
        offsets, data = text_buffers(text)
        kinds = found.kinds[chosen]
        rows, starts, stops = (array[chosen] for array in (found.rows, found.starts, found.stops))
        by, new = self._texts(found, chosen, data)
        new_bytes = [each.encode() for each in new]
        new_offsets = np.cumsum([0, *map(len, new_bytes)]).astype(np.int64)
        room = int(
            np.diff(offsets).sum() + np.append(np.diff(new_offsets), 0)[by].sum()
        )  # a mask is no longer than its value
        sizes, out, ends = np.empty(len(rows), np.int64), np.empty(room, np.uint8), np.empty(len(offsets), np.int64)
        pieces = np.frombuffer(b"".join(new_bytes) or b"\0", np.uint8)
        replace_spans(offsets, data, rows, starts, stops, by, new_offsets, pieces, letters(), sizes, ends, out)
        gone = stops - starts - sizes
        edits = {
            kind: Edit(len(np.unique(rows[kinds == at])), int(gone[kinds == at].sum()))
            for at, kind in enumerate(KINDS)
            if (kinds == at).any()
        }
        return from_buffers(ends, out[: ends[-1]]), edits

    def _texts(
        self, found: Found, chosen: NDArray[np.int64], data: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], list[str]]:
        """Which new text stands for each chosen hit (or MASK), and the new texts."""
        key = key_from(self.key_variable, self.key_file)
        fixed = np.array([MASK if getattr(self, kind) == "mask" else at for at, kind in enumerate(KINDS)], np.int64)
        new = [self.placeholders.get(kind, PLACEHOLDERS[kind]) for kind in KINDS]
        by = fixed[found.kinds[chosen]]
        if key is None:
            return by, new
        for place, at in enumerate(chosen.tolist()):
            if by[place] != MASK:
                kind = int(found.kinds[at])
                raw = data[found.starts[at] : found.stops[at]].tobytes().decode()
                by[place] = len(new)
                new.append(f"<{KINDS[kind]}-{token(key, KINDS[kind], spelled(kind, raw, found.values[at]))}>")
        return by, new


def _counts(found: Found, size: int) -> dict[str, NDArray[np.int64]]:
    """The number of hits of each kind, and of all: int64[size] each."""
    counts = {
        COUNTED[kind]: np.bincount(found.rows[found.kinds == at], minlength=size).astype(np.int64)
        for at, kind in enumerate(KINDS)
    }
    return {**counts, "hits": np.bincount(found.rows, minlength=size).astype(np.int64)}


def _span_lists(found: Found, text: pa.LargeStringArray) -> pa.ListArray:
    """SPANS of each text."""
    begins = text_buffers(text)[0][:-1]
    base = begins[found.rows] if len(found.rows) else found.starts
    listed = pa.StructArray.from_arrays(
        [
            pa.array(KINDS, pa.string()).take(pa.array(found.kinds)),
            pa.array(found.starts - base),
            pa.array(found.stops - base),
        ],
        fields=list(SPANS.value_type),
    )
    first = np.concatenate([[0], np.cumsum(np.bincount(found.rows, minlength=len(text)))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(first), listed, type=SPANS)
