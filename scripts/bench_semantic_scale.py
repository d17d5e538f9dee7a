"""Semantic deduplication at scale: seconds, memory and disk of each step, pairs lost between clusters, and correctness
against brute force.

    python scripts/bench_semantic_scale.py correct [documents]
    python scripts/bench_semantic_scale.py scale [documents] [dimensions] [workers] [GiB of memory:]
    python scripts/bench_semantic_scale.py phases [documents] [dimensions]     CPU seconds of each step in one process
    python scripts/bench_semantic_scale.py lost [documents] [dimensions] [clusters]    brute force on sampled rows
    python scripts/bench_semantic_scale.py kmeans [documents] [dimensions] [clusters] [threads]    beside faiss.Kmeans
    python scripts/bench_semantic_scale.py faiss [documents] [dimensions]      plain range search, all with all
    python scripts/bench_semantic_scale.py semhash [documents] [dimensions]    needs semhash in the environment

Rows lie as real embeddings do (`semantic_rows.py`; ANCHORS names a folder with anchors of your own), and a fifth are
planted near copies at cosines of .9 to 1. BENCH_FOLDER names where files go, and what is there from a run before is
used again.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from semantic_rows import BLOCK, Rows

MOST_IN_16_BITS = 2_000_000


def rows_of(dimension: int) -> Rows:
    """The rows of this benchmark."""
    folder = os.environ.get("ANCHORS")
    return Rows(dimension, Path(folder) if folder else None)


def blocks(documents: int, dimension: int) -> Iterator[np.ndarray]:
    """Unit rows float32, block by block."""
    made = rows_of(dimension)
    for number, start in enumerate(range(0, documents, BLOCK)):
        yield made.block(number, min(BLOCK, documents - start))[0]


class Peak:
    """What this process and its children take, sampled twice a second: the greatest sum of memory, where pages of
    files count too (PSS) and where they do not (anonymous: it cannot be given back); CPU seconds; bytes from and to
    disk."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self.pss = self.anonymous = 0
        self._spent: dict[int, tuple[float, int, int]] = {}
        self._stop = threading.Event()

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = self._psutil.Process()
        while not self._stop.wait(0.5):
            pss = anonymous = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    folder = Path("/proc") / str(process.pid)
                    lines = (line.split() for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
                    sizes = {line[0]: int(line[1]) << 10 for line in lines}
                    times, disk = process.cpu_times(), process.io_counters()
                except (self._psutil.Error, OSError):
                    continue
                pss += sizes["Pss:"]
                anonymous += sizes["Pss_Anon:"] + sizes["Pss_Shmem:"]
                self._spent[process.pid] = (times.user + times.system, disk.read_bytes, disk.write_bytes)
            self.pss, self.anonymous = max(self.pss, pss), max(self.anonymous, anonymous)

    def told(self) -> dict[str, float]:
        """For the line of results."""
        seconds, read, written = np.sum(list(self._spent.values()), axis=0).tolist()
        return {
            "cpu_seconds": round(seconds, 1),
            "peak_pss_gib": round(self.pss / 2**30, 2),
            "peak_anonymous_gib": round(self.anonymous / 2**30, 2),
            "read_gib": round(read / 2**30, 2),
            "written_gib": round(written / 2**30, 2),
        }


@contextmanager
def working_folder() -> Iterator[Path]:
    """A folder for files; a temporary one unless BENCH_FOLDER names one."""
    named = os.environ.get("BENCH_FOLDER")
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
        yield Path(named)
    else:
        with tempfile.TemporaryDirectory(prefix="semantic-") as name:
            yield Path(name)


def write_input(folder: Path, documents: int, dimension: int) -> None:
    """Arrow files with a text and an embedding, a file a block: floats of 16 bits, or whole numbers of 8 bits where
    there are so many that the disk is short."""
    import pyarrow as pa

    if folder.exists():
        return
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for number, rows in enumerate(blocks(documents, dimension)):
        ids = np.arange(number * BLOCK, number * BLOCK + len(rows))
        column = pa.FixedSizeListArray.from_arrays(pa.array(stored(rows, documents).reshape(-1)), dimension)
        table = pa.table({"text": [f"document {i}" for i in ids.tolist()], "e": column})
        with pa.OSFile(str(part / f"{number:04d}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
            out.write_table(table, max_chunksize=10_000)
    part.rename(folder)


def stored(rows: np.ndarray, documents: int) -> np.ndarray:
    """Rows as they are in the input."""
    if documents <= MOST_IN_16_BITS:
        return rows.astype(np.float16)
    return np.clip(np.rint(rows * 400), -127, 127).astype(np.int8)


def run(
    folder: Path, name: str, workers: int, memory: int = 4, runner: str = "local", **parameters: Any
) -> dict[str, Any]:
    """A whole run over the input; the report. memory: GiB."""
    from corpuscurate import Pipeline, Settings, Sink, Source
    from corpuscurate.methods.embed.column import Column
    from corpuscurate.stages.semantic import Semantic

    stage = Semantic(embedder=Column(column="e"), **parameters)
    settings = Settings(workers=workers, memory=memory << 30, retain="all", batch_bytes=1 << 20, runner=runner)
    source = Source(paths=(str(folder / "in"),))
    return Pipeline(source, (stage,), Sink(path=str(folder / name)), settings).run(overwrite=True)


def scale(documents: int = 1_000_000, dimension: int = 384, workers: int = 2, memory: int = 8) -> None:
    """A whole run, and another threshold over the same pairs."""
    with working_folder() as folder:
        write_input(folder / "in", documents, dimension)
        with Peak() as peak:
            started = time.perf_counter()
            report = run(folder, "out", workers, memory)
            seconds = time.perf_counter() - started
        started = time.perf_counter()
        again = run(folder, "out", workers, memory, threshold=0.9)
        other = time.perf_counter() - started
        stats = report["stages"][0]["stats"]
        keys = (
            "k", "clusters_a_document", "compared", "pairs", "duplicates", "compared_again", "borders", "cluster_sizes",
            "sample",
        )  # fmt: skip
        show(
            documents=documents,
            dimension=dimension,
            workers=workers,
            memory_gib=memory,
            seconds=round(seconds, 1),
            steps=report["seconds"],
            **peak.told(),
            other_threshold_seconds=round(other, 1),
            other_threshold_steps=again["seconds"],
            **{key: stats[key] for key in keys if key in stats},
        )


def phases(documents: int = 300_000, dimension: int = 384, memory: int = 4) -> None:
    """CPU seconds of each step of a run in one process, which hold on a machine with other work beside."""
    from corpuscurate.engine.session import Session

    spent: dict[str, float] = {}
    timed = Session.timed

    @contextmanager
    def in_cpu_seconds(session: Session, title: str) -> Iterator[None]:
        started = time.process_time()
        with timed(session, title):
            yield
        spent[title] = round(time.process_time() - started, 1)

    Session.timed = in_cpu_seconds  # type: ignore[method-assign]
    with working_folder() as folder:
        write_input(folder / "in", documents, dimension)
        with Peak() as peak:
            report = run(folder, "phases", 1, memory, "inprocess")
        stats = report["stages"][0]["stats"]
        keys = ("k", "clusters_a_document", "compared", "pairs", "duplicates", "borders", "sample")
        show(documents=documents, dimension=dimension, cpu_seconds_by_step=spent, **peak.told(),
             **{key: stats[key] for key in keys if key in stats})  # fmt: skip


def lost(documents: int = 1_000_000, dimension: int = 384, clusters: int = 0, asked: int = 3_000) -> None:
    """Share of pairs that no cluster compares, by how clusters are visited: planted pairs, and all pairs of `asked`
    documents with a cosine of at least the threshold, by brute force."""
    from corpuscurate.methods.semantic.visits import Visits

    made = rows_of(dimension)
    vectors, squares, pairs, cosines = _stored(made, documents)
    near = _near_pairs(vectors, squares, asked)
    centroids = _centroids(vectors, squares, clusters or round(documents**0.5))
    visits = [Visits(probes) for probes in (1, 2, 3, 4, 8)]
    visits += [Visits(8, border) for border in (0.01, 0.02, 0.03, 0.04, 0.06, 0.08)]
    numbers, cosines_with = _clusters_near(vectors, squares, centroids)
    for each in visits:
        found = numbers.copy()
        found[:, each.probes :] = -1
        if each.border is not None:
            found[cosines_with < cosines_with[:, :1] - each.border] = -1
        sizes = np.bincount(found[:, 0], minlength=len(centroids)).astype(float)
        guests = np.bincount(found[:, 1:][found[:, 1:] >= 0], minlength=len(centroids))
        show(
            probes=each.probes,
            border=each.border,
            clusters_a_document=round(float((found >= 0).sum() / documents), 2),
            comparisons_a_document=round(float((sizes * sizes / 2 + guests * sizes).sum() / documents)),
            **{
                f"lost_percent_{name}": [round(100 * float(_lost(found, some).mean()), 3), len(some)]
                for name, some in (
                    ("planted_from_.95", pairs[cosines >= 0.95]),
                    ("planted_.95_to_.96", pairs[(cosines >= 0.95) & (cosines < 0.96)]),
                    ("planted_.90_to_.92", pairs[cosines < 0.92]),
                    ("all_from_.95", near[0.95]),
                    ("all_from_.90", near[0.9]),
                    ("all_from_.80", near[0.8]),
                )
                if len(some)
            },
        )


def _stored(made: Rows, documents: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stored vectors and their squares; planted pairs int64[m, 2] and their cosines."""
    from corpuscurate.methods.semantic.vectors import quantised

    vectors = np.empty((documents, made.anchors.shape[1]), np.int16)
    squares = np.empty(documents, np.int32)
    pairs, cosines = [], []
    for number, start in enumerate(range(0, documents, BLOCK)):
        rows, copies, of, planted = made.block(number, min(BLOCK, documents - start))
        vectors[start : start + BLOCK], squares[start : start + BLOCK] = quantised(rows)
        pairs.append(np.stack([copies, of], axis=1) + start)
        cosines.append(planted)
    return vectors, squares, np.concatenate(pairs), np.concatenate(cosines)


def _near_pairs(vectors: np.ndarray, squares: np.ndarray, asked: int) -> dict[float, np.ndarray]:
    """The pairs of `asked` documents with all others from each threshold up, by brute force."""
    chosen = np.sort(np.random.default_rng(2).permutation(len(vectors))[:asked])
    mine = vectors[chosen].astype(np.float32) / np.sqrt(squares[chosen])[:, None].astype(np.float32)
    parts: dict[float, list[np.ndarray]] = {0.95: [], 0.9: [], 0.8: []}
    for start in range(0, len(vectors), BLOCK // 5):
        block = slice(start, start + BLOCK // 5)
        products = vectors[block].astype(np.float32) @ mine.T
        products /= np.sqrt(squares[block])[:, None].astype(np.float32)
        y, x = np.nonzero(products >= min(parts))
        y, x, cosine = y[start + y != chosen[x]], x[start + y != chosen[x]], products[y, x][start + y != chosen[x]]
        for threshold, found in parts.items():
            found.append(np.stack([chosen[x], start + y], axis=1)[cosine >= threshold])
    return {threshold: np.concatenate(found) for threshold, found in parts.items()}


def _centroids(vectors: np.ndarray, squares: np.ndarray, clusters: int) -> np.ndarray:
    from corpuscurate.methods.semantic.kmeans import Clustering, fit, sample_size

    ids = np.sort(np.random.default_rng(1).permutation(len(vectors))[: sample_size(clusters, None)])
    return fit(vectors[ids], squares[ids], ids.astype(np.uint64), Clustering(clusters, 0, 10, 0))[0]


def _clusters_near(vectors: np.ndarray, squares: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 8 nearest clusters int32[n, 8] of all rows and the cosines with their centroids, float32."""
    from corpuscurate.methods.semantic.kmeans import Nearest, centroid_squares

    nearest, lengths = Nearest(centroids.astype(np.float32)), np.sqrt(centroid_squares(centroids))
    numbers, cosines = np.empty((len(vectors), 8), np.int32), np.empty((len(vectors), 8), np.float32)
    for start in range(0, len(vectors), 1 << 13):
        block = slice(start, start + (1 << 13))
        numbers[block], products = nearest.search(vectors[block], 8)
        cosines[block] = products / (np.sqrt(squares[block])[:, None] * lengths[numbers[block]])
    return numbers, cosines


def _lost(found: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """bool[m]: pairs of which neither visits the cluster in which the other lives."""
    a, b = found[pairs[:, 0]], found[pairs[:, 1]]
    return ~((a == b[:, :1]).any(axis=1) | (b == a[:, :1]).any(axis=1))


def kmeans(documents: int = 200_000, dimension: int = 384, clusters: int = 3_162, threads: int = 1) -> None:
    """Our k-means beside FAISS's: the same rows, number of clusters, iterations and threads; the mean cosine of the
    rows with their nearest centroid, for both by the same search."""
    import faiss as library

    from corpuscurate.methods.semantic.kmeans import Clustering, Nearest, centroid_squares, fit
    from corpuscurate.methods.semantic.threads import one_pool

    vectors, squares, _, _ = _stored(rows_of(dimension), documents)
    units = vectors / np.sqrt(squares.astype(np.float64))[:, None]
    floats = units.astype(np.float32)

    def ours() -> np.ndarray:
        return fit(vectors, squares, np.arange(documents, dtype=np.uint64), Clustering(clusters, 0, 10, 0))[0]

    def theirs() -> np.ndarray:
        made = library.Kmeans(dimension, clusters, niter=10, spherical=True, max_points_per_centroid=documents, seed=1)
        made.train(floats)
        return np.rint(made.centroids * 4000)

    with one_pool(threads):
        for name, learn in (("corpuscurate", ours), ("faiss.Kmeans", theirs), ("corpuscurate", ours)):
            started, cpu = time.perf_counter(), time.process_time()
            centroids = learn()
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            nearest, lengths = Nearest(centroids.astype(np.float32)), np.sqrt(centroid_squares(centroids))
            total = 0.0
            for start in range(0, documents, BLOCK):
                numbers, products = nearest.search(vectors[start : start + BLOCK], 1)
                total += float(
                    (products[:, 0] / lengths[numbers[:, 0]] / np.sqrt(squares[start : start + BLOCK])).sum()
                )
            show(
                tool=name, documents=documents, clusters=clusters, iterations=10, threads=threads,
                seconds=round(seconds, 1), cpu_seconds=round(cpu, 1), mean_cosine=round(total / documents, 5),
            )  # fmt: skip


def correct(documents: int = 20_000, dimension: int = 64) -> None:
    """Decisions of both rules against brute force: within clusters, and with all probes over the whole corpus."""
    import pyarrow.parquet as pq

    from corpuscurate.methods.embed.base import noted_rows
    from corpuscurate.methods.semantic.vectors import quantised

    with tempfile.TemporaryDirectory(prefix="semantic-") as name:
        folder = Path(name)
        write_input(folder / "in", documents, dimension)
        read = np.concatenate(list(blocks(documents, dimension))).astype(np.float16).astype(np.float32)
        whole = quantised(noted_rows(read).rows)[0]
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
         pairs=pairs, **peak.told())  # fmt: skip


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
         **peak.told(), resident_gib=round(resident(), 2))  # fmt: skip


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def show(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    {f.__name__: f for f in (scale, phases, lost, kmeans, correct, faiss, semhash)}[sys.argv[1]](
        *map(int, sys.argv[2:])
    )
