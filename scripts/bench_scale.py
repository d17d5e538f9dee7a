"""Memory and time of settling near-duplicates at scale, from sketches that are made up.

One document in five is in a family of about five; two of a family agree in each value of the signature, and share their
shingles, with the same probability: about .9 in every second family, about .72 in the others. Shingles are made on
demand, as a second reading of the text would. Everything runs in this process, one work after the other, so the memory
is that of one worker; the times are those of one core.

`--documents 10000000 --verify exact` is the whole job. `--documents 100000000 --values 4 --bands 2 --verify none` is a
hundred million documents with simulated band keys.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts, attempt, commit
from corpuscurate.core.corpus import Done, Work
from corpuscurate.core.digests import digest_file
from corpuscurate.core.tables import table_writer
from corpuscurate.methods.dedup.unit_files import unit_columns
from corpuscurate.stages.minhash import MinHash

ROWS = 1 << 19
SET = 100
SPLIT = 1 << 21
"""Documents of a sketch file."""
Ids = NDArray[np.uint64]


def mixed(x: Ids) -> Ids:
    """SplitMix64's finaliser."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def sources(ids: Ids, documents: int) -> tuple[Ids, NDArray[np.float64]]:
    """The family of each document (its own number where it has none), and how likely it has a part of it."""
    chance = mixed(ids + np.uint64(1 << 50))
    family = mixed(chance) % np.uint64(max(1, documents // 25)) + np.uint64(1 << 60)
    alone = chance % np.uint64(5) != 0
    near = np.where(family % np.uint64(2) == 0, 0.95, 0.85)
    return np.where(alone, ids, family), near


def column(ids: Ids, family: Ids, near: NDArray[np.float64], j: int) -> Ids:
    """Part j of each document: the family's, or one of its own."""
    place = np.uint64(j) << np.uint64(40)
    own = mixed(ids * np.uint64(0x9E3779B97F4A7C15) + place)
    is_shared = (own >> np.uint64(11)).astype(np.float64) / (1 << 53) < near
    return np.where(is_shared, mixed(family * np.uint64(0xD1342543DE82EF95) + place), mixed(own))


@dataclass
class MadeUp:
    """A corpus of sketches without texts."""

    stage: MinHash
    documents: int
    folder: Path
    memory_bytes: int
    workers: int
    seconds: dict[str, float] = field(default_factory=dict)
    paths: list[Artefact] = field(default_factory=list)

    def __post_init__(self) -> None:
        schema = pa.schema([("doc_id", pa.uint64()), *self.stage.sketch_schema()])
        for split, start in enumerate(range(0, self.documents, SPLIT)):
            path = self.folder / f"sketch-{split}.arrow"
            with table_writer(path, schema) as writer:
                for first in range(start, min(start + SPLIT, self.documents), ROWS):
                    ids = np.arange(first, min(first + ROWS, start + SPLIT, self.documents), dtype=np.uint64)
                    writer.write(pa.record_batch(self.rows(ids), schema=schema))
            self.paths.append(handle(path))

    def rows(self, ids: Ids) -> dict[str, Any]:
        """Sketch rows."""
        family, near = sources(ids, self.documents)
        kind = self.stage.value_type
        values = {f"value_{j:04d}": column(ids, family, near, j).astype(kind) for j in range(self.stage.values)}
        words = {"words_high": mixed(ids), "words_low": mixed(mixed(ids))}
        return {
            "doc_id": ids,
            "shingles": np.full(len(ids), SET, np.uint32),
            **words,
            **values,
        }

    def sketches(self) -> Sequence[Artefact]:
        """See `corpus.Corpus`."""
        return self.paths

    def dropped(self, split: int) -> Ids:
        """See `corpus.Corpus`."""
        return np.empty(0, np.uint64)

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        """See `corpus.Corpus`."""
        started = time.perf_counter()
        done = []
        for work in works:
            home = self.folder / f"{len(self.seconds)}-{work.key}"
            with attempt(home) as folder:
                result = work.run(folder)
                commit(home, folder, {}, durable=False)
            done.append(Done(Artefacts(str(home)), result))
        self.took(title, started, len(works))
        return done

    def took(self, title: str, started: float, works: int) -> None:
        """Note the time of a step."""
        self.seconds[title] = time.perf_counter() - started
        print(f"  {self.seconds[title]:8.1f} s  {title} ({works} works), {peak():.2f} GB so far", flush=True)

    def reread(self, wanted: Sequence[Artefact], sketch: str, title: str, **_: Any) -> list[Artefact]:
        """See `corpus.Corpus`."""
        started = time.perf_counter()
        paths = []
        for number, path in enumerate(wanted):
            out = self.folder / f"units-{number}.arrow"
            every = np.load(path)
            none = unit_columns(pa.array([], pa.large_list(pa.uint32())))
            schema = pa.schema([("doc_id", pa.uint64()), *((name, column.type) for name, column in none.items())])
            with table_writer(out, schema) as writer:
                for start in range(0, len(every), 1 << 16):
                    ids = every[start : start + (1 << 16)]
                    family, near = sources(ids, self.documents)
                    parts = [column(ids, family, near, j).astype(np.uint32) for j in range(SET)]
                    units = np.stack(parts, axis=1).ravel()
                    offsets = np.arange(0, units.size + 1, SET)
                    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(units))
                    writer.write(pa.record_batch({"doc_id": ids, **unit_columns(lists)}, schema=schema))
            paths.append(handle(out))
        self.took(title, started, len(wanted))
        return paths

    def reread_earlier(
        self, corpus: int, base: int, wanted: Sequence[Artefact], sketch: str, title: str
    ) -> list[Artefact]:
        """See `corpus.Corpus`; there is no earlier run."""
        raise LookupError(f"the benchmark has no earlier run, and number {corpus} was asked for")


def handle(path: Path) -> Artefact:
    """A file that stands for one that the engine made."""
    return Artefact(str(path), path.stat().st_size, digest_file(path))


def peak() -> float:
    """Greatest resident memory of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Make sketches, settle them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--verify", choices=["exact", "signature", "none"], default="exact")
    parser.add_argument("--values", type=int, default=128)
    parser.add_argument("--bands", type=int)
    parser.add_argument("--memory", type=int, default=8 << 30)
    parser.add_argument("--workers", type=int, default=2, help="the memory is shared by so many")
    given = parser.parse_args()
    banding = {"bands": given.bands, "rows": given.values // given.bands} if given.bands else {}
    stage = MinHash(ngram=1, values=given.values, verify=given.verify, **banding)
    with tempfile.TemporaryDirectory(prefix="corpuscurate-scale-") as name:
        folder = Path(name)
        print(f"{given.documents:,} documents, {given.values} values, verify: {given.verify}", flush=True)
        started = time.perf_counter()
        corpus = MadeUp(stage, given.documents, folder, given.memory, given.workers)
        size = sum(path.stat().st_size for path in corpus.paths)
        print(
            f"  {time.perf_counter() - started:8.1f} s  making sketches, {size / given.documents:.0f} bytes a document"
        )
        started = time.perf_counter()
        settled = stage.settle(corpus)
        took = time.perf_counter() - started
        whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    stats = settled.stats
    each = whole / given.documents
    print(f"settled in {took:.1f} s, {peak():.2f} GB at most, {each:.0f} bytes a document on disk in all")
    names = ("candidates", "prefiltered", "buckets", "compared", "verified", "duplicates", "clusters_total")
    print("  " + ", ".join(f"{name}: {stats[name]:,}" for name in names))


if __name__ == "__main__":
    main()
