"""Semantic deduplication at scale: seconds and memory of each step, and correctness against brute force.

    python scripts/bench_semantic_scale.py correct [documents]
    python scripts/bench_semantic_scale.py scale [documents] [dimensions] [workers] [probes]
    python scripts/bench_semantic_scale.py faiss [documents] [dimensions]      plain range search, all with all
    python scripts/bench_semantic_scale.py semhash [documents] [dimensions]    needs semhash in the environment

Embeddings are synthetic and the same each time: topics of very different sizes around random directions, and a fifth of
the documents is a near copy (cosine about .97) of another one.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 50_000
COPIES = 0.2
NOISE = 0.25


def blocks(documents: int, dimension: int) -> Iterator[np.ndarray]:
    """Unit rows float32, block by block."""
    rng = np.random.default_rng(7)
    topics = max(10, int(documents**0.5))
    centres = rng.normal(size=(topics, dimension)).astype(np.float32)
    weights = 1 / np.arange(1, topics + 1) ** 0.7
    weights /= weights.sum()
    for start in range(0, documents, BLOCK):
        rng = np.random.default_rng([7, start])
        size = min(BLOCK, documents - start)
        rows = centres[rng.choice(topics, size, p=weights)]
        rows += 0.9 * rng.standard_normal((size, dimension), np.float32)
        copies = rng.permutation(size)[: int(COPIES * size)]
        sources = np.setdiff1d(np.arange(size), copies)
        picked = rows[rng.choice(sources, len(copies))]
        length = np.linalg.norm(picked, axis=1)[:, None] / np.sqrt(dimension)
        rows[copies] = picked + NOISE * length * rng.standard_normal((len(copies), dimension), np.float32)
        yield rows / np.linalg.norm(rows, axis=1)[:, None]


class Peak:
    """The greatest sum of private memory of this process and its children, sampled."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self.bytes = 0
        self._stop = threading.Event()

    def __enter__(self) -> Peak:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _watch(self) -> None:
        me = self._psutil.Process()
        while not self._stop.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    state = process.memory_full_info()
                    total += state.uss
                except self._psutil.Error:
                    continue
            self.bytes = max(self.bytes, total)


def write_input(folder: Path, documents: int, dimension: int) -> None:
    """Arrow files with a text and an embedding, a file a block."""
    import pyarrow as pa

    folder.mkdir()
    for number, rows in enumerate(blocks(documents, dimension)):
        ids = np.arange(number * BLOCK, number * BLOCK + len(rows))
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), dimension)
        table = pa.table({"text": [f"document {i}" for i in ids.tolist()], "e": column})
        with pa.OSFile(str(folder / f"{number:04d}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
            out.write_table(table, max_chunksize=10_000)


def run(folder: Path, name: str, workers: int, **parameters: Any) -> dict[str, Any]:
    """A whole run over the input; the report."""
    from corpuscurate import Pipeline, Settings, Sink, Source
    from corpuscurate.methods.embed.column import Column
    from corpuscurate.stages.semantic import Semantic

    stage = Semantic(embedder=Column(column="e"), **parameters)
    settings = Settings(workers=workers, memory=4 << 30, retain="all", batch_bytes=1 << 20)
    source = Source(paths=(str(folder / "in"),))
    return Pipeline(source, (stage,), Sink(path=str(folder / name)), settings).run(overwrite=True)


def scale(documents: int = 1_000_000, dimension: int = 384, workers: int = 2, probes: int = 1) -> None:
    with tempfile.TemporaryDirectory(prefix="semantic-") as name:
        folder = Path(name)
        write_input(folder / "in", documents, dimension)
        with Peak() as peak:
            started = time.perf_counter()
            report = run(folder, "out", workers, probes=probes)
            seconds = time.perf_counter() - started
            started = time.perf_counter()
            again = run(folder, "out", workers, probes=probes, threshold=0.9)
            other = time.perf_counter() - started
        stats = report["stages"][0]["stats"]
        keys = ("k", "compared", "pairs", "duplicates", "compared_again", "borders", "cluster_sizes", "sample")
        show(
            documents=documents,
            dimension=dimension,
            workers=workers,
            probes=probes,
            seconds=round(seconds, 1),
            steps=report["seconds"],
            peak_private_gib=round(peak.bytes / 2**30, 2),
            peak_resident_gib=round(report["peak_memory_bytes"] / 2**30, 2),
            other_threshold_seconds=round(other, 1),
            other_threshold_steps=again["seconds"],
            **{key: stats[key] for key in keys},
        )


def correct(documents: int = 20_000, dimension: int = 64) -> None:
    """Decisions of both rules against brute force: within clusters, and with all probes over the whole corpus."""
    import pyarrow.parquet as pq

    from corpuscurate.methods.semantic.vectors import quantised

    with tempfile.TemporaryDirectory(prefix="semantic-") as name:
        folder = Path(name)
        write_input(folder / "in", documents, dimension)
        whole = quantised(np.concatenate(list(blocks(documents, dimension))))[0]
        for rule in ("independent", "paper"):
            for clusters, probes in ((100, 1), (100, 100)):
                parameters = {"rule": rule, "clusters": clusters, "probes": probes, "threshold": 0.93}
                tagged = run(folder, "tags", 2, mode="tag", **parameters)
                columns = ["semantic.centroid", "semantic.centroid_similarity"]
                tags = pq.read_table(folder / "tags" / "data", columns=columns)
                run(folder, "drops", 2, **parameters)
                rows = pq.read_table(folder / "drops" / "dropped").to_pylist()
                found = {number_of(row): row for row in rows}
                centroid = tags.column(0).to_numpy() if probes == 1 else np.zeros(documents, np.int32)
                order = np.lexsort((np.arange(documents), tags.column(1).to_numpy()))
                expected = brute(whole, centroid, order, rule, 0.93)
                same = set(found) == set(expected)
                near = same and all(abs(found[i]["similarity"] - expected[i]) == 0 for i in expected)
                show(
                    documents=documents, rule=rule, clusters=clusters, probes=probes, dropped=len(found),
                    brute_force=len(expected), same_documents=same, same_cosines=near,
                    pairs=tagged["stages"][0]["stats"]["pairs"],
                )  # fmt: skip
                if not near:
                    sys.exit("decisions differ from brute force")


def number_of(row: dict[str, Any]) -> int:
    """Which document of the input a row of dropped/ is."""
    return int(Path(row["shard"]).stem) * BLOCK + int(row["position"])


def brute(whole: np.ndarray, centroid: np.ndarray, order: np.ndarray, rule: str, threshold: float) -> dict[int, float]:
    """What goes, and the cosine with the nearest (kept) earlier one: all with all within a cluster, one by one."""
    gone: dict[int, float] = {}
    for number in np.unique(centroid).tolist():
        mine = order[centroid[order] == number]
        vectors = whole[mine].astype(np.float64)
        squares = (vectors * vectors).sum(axis=1)
        kept = np.ones(len(mine), bool)
        for position in range(1, len(mine)):
            cosines = (vectors[:position] @ vectors[position]) / np.sqrt(squares[:position] * squares[position])
            if rule == "independent":
                cosines = np.where(kept[:position], cosines, -1.0)
            if cosines.max() >= threshold:
                kept[position] = False
                gone[int(mine[position])] = float(cosines.max())
    return gone


def faiss(documents: int = 100_000, dimension: int = 384) -> None:
    """Plain FAISS range search over all documents, then the same greedy rule."""
    import faiss as library

    rows = np.concatenate(list(blocks(documents, dimension)))
    with Peak() as peak:
        started = time.perf_counter()
        index = library.IndexFlatIP(dimension)
        index.add(rows)
        gone = np.zeros(documents, bool)
        pairs = 0
        for start in range(0, documents, 10_000):
            limits, _, others = index.range_search(rows[start : start + 10_000], 0.95)
            pairs += len(others)
            for x in range(start, min(start + 10_000, documents)):
                near = others[limits[x - start] : limits[x - start + 1]]
                near = near[near < x]
                gone[x] = bool((~gone[near]).any())
        seconds = time.perf_counter() - started
    show(tool="faiss range search", documents=documents, seconds=round(seconds, 1), dropped=int(gone.sum()),
         pairs=pairs, peak_private_gib=round(peak.bytes / 2**30, 2))  # fmt: skip


def semhash(documents: int = 1_000_000, dimension: int = 384) -> None:
    """semhash's own deduplication over the same vectors (its encoder is replaced by a lookup)."""
    from semhash import SemHash

    rows = np.concatenate(list(blocks(documents, dimension)))
    texts = [str(i) for i in range(documents)]

    class Lookup:
        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return rows[[int(text) for text in inputs]]

    with Peak() as peak:
        started = time.perf_counter()
        hashed = SemHash.from_records(records=texts, model=Lookup())
        result = hashed.self_deduplicate(threshold=0.95)
        seconds = time.perf_counter() - started
    show(tool="semhash", documents=documents, seconds=round(seconds, 1), kept=len(result.selected),
         peak_private_gib=round(peak.bytes / 2**30, 2), resident_gib=round(resident(), 2))  # fmt: skip


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def show(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    {"scale": scale, "correct": correct, "faiss": faiss, "semhash": semhash}[sys.argv[1]](*map(int, sys.argv[2:]))
