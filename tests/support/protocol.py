"""Stages that use every part of the protocol, and a corpus for them. Workers import this."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import strings
from corpuscurate.core.corpus import COPIES, DROPS, EDITS, ORDER, PARTITION, Corpus, Settled
from corpuscurate.core.run_folder import KINDS
from corpuscurate.core.stage import FAILED, GlobalStage, Outcome, Stage, StreamingStage
from corpuscurate.core.tables import read_table, write_table
from corpuscurate.stages.length import Length

WORDS = ("river", "stone", "größe", "light", "winter", "日本", "paper", "engine", "letter", "music")
LINES = tuple(" ".join(WORDS[(n * 7 + k * 3) % 10] for k in range(1 + n % 6)) + f" {n % 9}" for n in range(30))


def record(number: int) -> dict[str, Any]:
    """Document `number`: lines of which many occur in other documents too, blank ones, and columns."""
    state = zlib.crc32(str(number).encode())
    lines = [LINES[(state >> shift) % 30] for shift in range(0, 4 + number % 9, 2)] + [f"only in {number}"] * (
        number % 2
    )
    text = "\n".join(lines) + ("\n\n" if number % 4 == 0 else "")
    if number % 17 == 5:
        text = "tiny"
    return {
        "id": f"d{number}",
        "text": text,
        "lang": ("en", "de", "fr", None)[number % 4],
        "n": number,
        "kind": f"kind {number % 3}",
        "meta": {"k": [number, None], "s": str(number)},
    }


def write_input(folder: Path, kind: str = "jsonl", files: int = 4, documents: int = 30) -> list[dict[str, Any]]:
    """Files of the corpus; its records in input order. kind: jsonl, parquet, or mixed."""
    folder.mkdir(parents=True)
    records = [record(number) for number in range(files * documents)]
    for file in range(files):
        part = records[file * documents : (file + 1) * documents]
        if kind == "jsonl" or (kind == "mixed" and file % 2):
            (folder / f"in-{file}.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in part))
        else:
            table = pa.Table.from_pylist(part)
            kinds = table.column("kind").combine_chunks().dictionary_encode()
            table = table.set_column(table.schema.get_field_index("kind"), "kind", kinds)
            pq.write_table(table, folder / f"in-{file}.parquet", row_group_size=7)
    found = sorted(folder.iterdir())
    return [each for path in found for each in records[int(path.stem[3:]) * documents :][:documents]]


def pipeline(folder: Path, stages: Sequence[Stage], out: str = "out", **options: Any) -> Pipeline:
    """A pipeline over folder/in with several splits and parts. options: of source, sink and settings."""
    given = {"split_bytes": 2_500, "part_bytes": 2_000, "row_group_bytes": 700, "id": "id", "workers": 1, **options}

    def some(model: Any, *but: str) -> dict[str, Any]:
        return {name: given[name] for name in model.model_fields if name in given and name not in but}

    source = Source(paths=("in",), **some(Source, "format"))
    return Pipeline(source, tuple(stages), Sink(path=out, **some(Sink)), Settings(**some(Settings)), folder)


def files_of(out: Path) -> dict[str, str]:
    """sha256 of every result file of a run, folders within data/ included."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in KINDS
        for path in sorted((out / kind).rglob("*"))
        if path.is_file()
    }


def read_part(path: Path) -> list[dict[str, Any]]:
    """The rows of a part of any format; JSON columns as text."""
    if path.suffix == ".jsonl":
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]
    table = pa.ipc.open_file(path).read_all() if path.suffix == ".arrow" else pq.read_table(path)
    return table.to_pylist()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of all parts in a folder."""
    return [row for path in sorted(folder.iterdir()) for row in read_part(path)]


class Judge(StreamingStage):
    """Drops what has too few words, how many depends on the language, or too few characters."""

    min_words: int = 6
    by_language: tuple[tuple[str, int], ...] = (("en", 12), ("de", 3))
    min_characters: int = 30

    def reads(self) -> tuple[str, ...]:
        return ("lang",)

    def rules(self) -> Mapping[str, float | None]:
        return {"min_words": self.min_words, "min_characters": self.min_characters}

    def measures(self) -> Mapping[str, pa.DataType]:
        return {"words": pa.int64(), "characters": pa.int64(), "has_digit": pa.bool_()}

    def apply(self, batch: Batch) -> Outcome:
        languages = strings(batch.columns["lang"]).to_pylist()
        texts = batch.text.to_pylist()
        judged = [judge(self, text, language) for text, language in zip(texts, languages, strict=True)]
        words = np.array([len(text.split()) for text in texts], np.int64)
        letters = np.array([len(text) for text in texts], np.int64)
        measures: dict[str, pa.Array] = {"words": pa.array(words), "characters": pa.array(letters)}
        measures["has_digit"] = pc.match_substring_regex(batch.text, "[0-9]")
        return Outcome(
            reason=np.array([each["reason"] for each in judged], np.int16),
            value=np.array([each["value"] for each in judged]),
            threshold=np.array([each["threshold"] for each in judged]),
            failed=pa.array([each["failed"] for each in judged], FAILED),
            measures=measures,
        )


def judge(stage: Judge, text: str, language: str | None) -> dict[str, Any]:
    """What `Judge` says of a text. French documents do not tell all that failed."""
    own = dict(stage.by_language).get(language or "", None)
    words, letters = len(text.split()), len(text)
    failed = []
    if words < (stage.min_words if own is None else own):
        failed.append({"rule": 1, "value": float(words), "threshold": None if own is None else float(own)})
    if letters < stage.min_characters:
        failed.append({"rule": 2, "value": float(letters), "threshold": None})
    first: dict[str, Any] = failed[0] if failed else {"rule": 0, "value": np.nan, "threshold": None}
    return {
        "reason": first["rule"],
        "value": first["value"],
        "threshold": np.nan if first["threshold"] is None else first["threshold"],
        "failed": failed if failed and language != "fr" else None,
    }


@dataclass(frozen=True)
class Lines:
    """The lines of a split, as JSON."""

    split: int
    sketch: Artefact
    gone: tuple[int, ...]

    @property
    def key(self) -> str:
        return f"lines-{self.split}"

    def run(self, folder: Path) -> dict[str, Any]:
        table = read_table(self.sketch)
        pairs = zip(table.column("doc_id").to_pylist(), table.column("text").to_pylist(), strict=True)
        told = [[number, text] for number, text in pairs if number not in set(self.gone)]
        (folder / "lines.json").write_bytes(orjson.dumps(told))
        return {"documents": len(told)}


@dataclass(frozen=True)
class Cuts:
    """Where lines are cut that an earlier document has."""

    lines: tuple[Artefact, ...]
    fault: str

    @property
    def key(self) -> str:
        return "cuts"

    def run(self, folder: Path) -> dict[str, Any]:
        rows = []
        documents = [each for file in self.lines for each in orjson.loads(Path(file).read_bytes())]
        for number, spans in zip((d for d, _ in documents), seen_lines(documents), strict=True):
            rows += [{"doc_id": number, "start": a, "stop": b, "reason": r, "partner": p} for a, b, r, p in spans]
        if self.fault:
            size = len(documents[-1][1].encode())
            at = {
                "outside": [(0, size + 1)],
                "overlap": [(0, 2), (1, 4)],
                "backwards": [(3, 2)],
                "huge": [(0, 2**63 - 1)],
                "inside": [(documents[-1][1].encode().find("ö".encode()) + 1, size)],
            }[self.fault]
            rows = [row for row in rows if row["doc_id"] != documents[-1][0]]
            rows += [{"doc_id": documents[-1][0], "start": a, "stop": b, "reason": 1, "partner": None} for a, b in at]
        write_table(folder / "edits.arrow", pa.Table.from_pylist(rows, schema=EDITS))
        return {"spans": len(rows)}


def seen_lines(documents: Sequence[Sequence[Any]]) -> list[list[tuple[int, int, int, int | None]]]:
    """(start, stop, reason, partner) of each line of a document that stands in an earlier one (1), or is blank (2)."""
    first: dict[bytes, int] = {}
    told = []
    for number, text in documents:
        at, spans = 0, []
        for line in text.encode().splitlines(keepends=True):
            key = line.strip()
            if not key:
                spans.append((at, at + len(line), 2, None))
            elif first.get(key, number) != number:
                spans.append((at, at + len(line), 1, first[key]))
            at += len(line)
        for line in text.encode().splitlines():
            first.setdefault(line.strip(), number)
        told.append(spans)
    return told


class CutSeen(GlobalStage):
    """Cuts the lines that an earlier document has, and blank ones."""

    edits_text: ClassVar[bool] = True
    fault: str = ""
    nothing: bool = False

    def rules(self) -> Mapping[str, float | None]:
        return {"seen": None, "blank": None}

    def sketch_schema(self) -> pa.Schema:
        return pa.schema([("text", pa.large_string())])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        return {"text": batch.text}

    def settle(self, corpus: Corpus) -> Settled:
        works = [
            Lines(number, file, tuple(corpus.dropped(number).tolist())) for number, file in enumerate(corpus.sketches())
        ]
        lines = corpus.run(works, "splitting lines")
        if self.nothing:
            return Settled([])
        (done,) = corpus.run([Cuts(tuple(each.files["lines.json"] for each in lines), self.fault)], "looking for lines")
        return Settled([], edits=[done.files["edits.arrow"]], stats=dict(done.result))


def number_of(text: str) -> int:
    """What toys decide by."""
    return zlib.crc32(text.encode())


@dataclass(frozen=True)
class Decide:
    """The decisions of a toy for a split."""

    split: int
    sketch: Artefact
    gone: tuple[int, ...]
    stage: Toy

    @property
    def key(self) -> str:
        return f"decide-{self.split}"

    def run(self, folder: Path) -> dict[str, Any]:
        table = read_table(self.sketch)
        pairs = list(zip(table.column("doc_id").to_pylist(), table.column("number").to_pylist(), strict=True))
        alive = [(each, self.stage.decide(number)) for each, number in pairs if each not in set(self.gone)]
        for kind, schema in {"drops": DROPS, "copies": COPIES, "order": ORDER, "partition": PARTITION}.items():
            name = {"order": "rank", "drops": "reason"}.get(kind, kind)
            rows = [{"doc_id": each, name: told[kind]} for each, told in alive if told.get(kind) is not None]
            write_table(folder / f"{kind}.arrow", pa.Table.from_pylist(rows, schema=schema))
        edits = [{"doc_id": each, "start": 0, "stop": 0, "reason": 1, "partner": None} for each, _ in alive[:1]]
        write_table(folder / "edits.arrow", pa.Table.from_pylist(edits, schema=EDITS))
        return {"documents": len(alive)}


class Toy(GlobalStage):
    """Decides by a hash of the text. kinds: what it settles with, whatever it declares."""

    kinds: tuple[str, ...] = ()
    drop_every: int = Field(11, description="one in so many documents is dropped")

    def rules(self) -> Mapping[str, float | None]:
        return {"unlucky": None}

    def sketch_schema(self) -> pa.Schema:
        return pa.schema([("number", pa.uint64())])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        return {"number": pa.array([number_of(text) for text in batch.text.to_pylist()], pa.uint64())}

    def decide(self, number: int) -> dict[str, int | None]:
        """What it says of a document."""
        return {
            "drops": 1 if number % self.drop_every == 0 else None,
            "copies": (number >> 4) % 4 if (number >> 4) % 4 else None,
            "order": None if (number >> 8) % 5 == 0 else (number >> 8) % 13 + (1 << 63),
            "partition": (number >> 12) % 3 if (number >> 12) % 3 < 2 else None,
        }

    def settle(self, corpus: Corpus) -> Settled:
        works = [
            Decide(number, file, tuple(corpus.dropped(number).tolist()), self)
            for number, file in enumerate(corpus.sketches())
        ]
        found = corpus.run(works, "deciding")
        files: dict[str, list[Artefact]] = {
            kind: [each.files[f"{kind}.arrow"] for each in found] for kind in self.kinds
        }
        drops = [each.files["drops.arrow"] for each in found]
        return Settled(drops, **files)


class Copier(Toy):
    """Writes documents up to three times."""

    copies_documents: ClassVar[bool] = True
    kinds: tuple[str, ...] = ("copies",)


class CopiesNone(Copier):
    """Says 0 copies of one."""

    def decide(self, number: int) -> dict[str, int | None]:
        return {**super().decide(number), "copies": 0 if number % 7 == 3 else 1}


class Orderer(Toy):
    """Orders documents, with ties and documents without a rank."""

    orders_documents: ClassVar[bool] = True
    kinds: tuple[str, ...] = ("order",)


class Dealer(Toy):
    """Deals documents; the third partition gets none."""

    kinds: tuple[str, ...] = ("partition",)
    names: tuple[str, ...] = ("train", "test", "none")

    def partitions(self) -> tuple[str, ...]:
        return self.names


class DealsWrongly(Dealer):
    """Names partitions that are not there."""

    wrong: int = -1

    def decide(self, number: int) -> dict[str, int | None]:
        return {**super().decide(number), "partition": self.wrong if number % 7 == 3 else 0}


ARRANGED: tuple[Stage, ...] = (
    Copier(name="copier"),
    Copier(name="again", drop_every=1 << 40),
    Dealer(name="dealer"),
    Orderer(name="orderer"),
    Length(min_words=4),
)
"""Copies of copies, partitions and an order, and drops among and after them."""
