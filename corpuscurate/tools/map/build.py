"""A map of a finished run: some of its documents in the plane, near where their embeddings are near.

A sample of the input (by hash of doc_id) is read and embedded again, laid out by UMAP, and coloured by what the run did
with each document, its shard and its cluster. UMAP's layout is for looking: distances between far groups mean little.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from corpuscurate.core.artefact import Artefact, read_sealed
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import heads, to_numpy
from corpuscurate.core.corpus import Corpus, Done, Settled, Work
from corpuscurate.core.doc_ids import POSITION_BITS, is_in_sorted, sampled
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import InputError, MissingExtraError, OutputError
from corpuscurate.core.run_folder import DROPPED, MANIFEST, REPORT, STATE
from corpuscurate.core.spec import Settings, Sink, Source, Spec
from corpuscurate.core.tables import read_table
from corpuscurate.core.texts import Texts
from corpuscurate.engine.manifest import Manifest, build_manifest
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import settle_only
from corpuscurate.methods.embed.base import EmbedderParameters, Parameters, embedder_kinds
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.learned import Learned
from corpuscurate.methods.semantic.clusters import Assigned, ClustersCorpus, cluster_corpus, joined
from corpuscurate.methods.semantic.vectors import Vectors
from corpuscurate.tools.map.names import COORDINATES, PAGE
from corpuscurate.tools.map.page import write_map

TEXT_BYTES = 400
LABEL = "map"
KEPT = "kept"


@dataclass(frozen=True)
class _Some:
    """A corpus of which only some documents are there."""

    whole: Corpus
    without: tuple[NDArray[np.uint64], ...]
    basis: Any

    @property
    def memory_bytes(self) -> int:
        return self.whole.memory_bytes

    @property
    def workers(self) -> int:
        return self.whole.workers

    def sketches(self) -> Sequence[Artefact]:
        return self.whole.sketches()

    def dropped(self, split: int) -> NDArray[np.uint64]:
        return self.without[split]

    def ledger(self, split: int) -> pa.Table:
        return self.whole.ledger(split)

    def text(self) -> Texts:
        return self.whole.text()

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        return self.whole.run(works, title, basis=None if basis is None else [self.basis, basis])

    def reread(
        self,
        wanted: Sequence[Artefact],
        sketch: str,
        title: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        basis: Any = None,
    ) -> list[Artefact]:
        own = None if basis is None else [self.basis, basis]
        return self.whole.reread(wanted, sketch, title, arguments=arguments, basis=own)

    def reread_earlier(
        self, corpus: int, base: int, wanted: Sequence[Artefact], sketch: str, title: str
    ) -> list[Artefact]:
        return self.whole.reread_earlier(corpus, base, wanted, sketch, title)


class MapTrial(ClustersCorpus):
    """Embeds, clusters and lays out a sample; nothing is dropped."""

    word: ClassVar[str] = ""

    documents: int = Field(5000, description="approximate number of documents on the map", ge=1)

    def sample_heads(self, batch: Batch) -> dict[str, pa.Array]:
        """The beginning of each text (called by the engine, see `Corpus.reread`)."""
        return {"text": heads(batch.text, TEXT_BYTES)}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        every = [to_numpy(read_table(path).column("doc_id")).astype(np.uint64) for path in corpus.sketches()]
        total = sum(len(ids) for ids in every)
        without = tuple(ids[~sampled(ids, self.seed + 9, self.documents, total)] for ids in every)
        some = _Some(corpus, without, ["map", self.documents])
        clustered = cluster_corpus(some, self, small=0)
        files = tuple(zip(clustered.files, clustered.assigned, strict=True))
        layout = corpus.run([Layout(files, self.seed)], "laying out")[0]
        wanted = [layout.files[f"{number:05d}.npy"] for number in range(len(files))]
        texts = corpus.reread(wanted, "sample_heads", "reading texts")
        where = {"layout": layout.files.folder, "texts": [path.uri for path in texts]}
        return Settled([], [], {**clustered.stats, **where, "corpus": total})


@dataclass(frozen=True, slots=True)
class Layout:
    """Lay out all vectors in the plane."""

    files: tuple[tuple[Vectors, Assigned], ...]
    seed: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "layout"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write positions.npy (float32[n, 2]), clusters.npy, and the doc_ids of each split."""
        vectors = np.concatenate([file.vectors()[:] for file, _ in self.files])
        np.save(folder / "positions.npy", lay_out(vectors, self.seed))
        np.save(folder / "clusters.npy", joined([each.clusters()[:, 0] for _, each in self.files], np.int32))
        for number, (file, _) in enumerate(self.files):
            np.save(folder / f"{number:05d}.npy", file.ids())
        return {"documents": len(vectors)}


def lay_out(vectors: NDArray[np.int16], seed: int) -> NDArray[np.float32]:
    """Positions in the plane, float32[n, 2]: UMAP of stored vectors by cosine.

    The same for the same versions and kind of CPU. Raises MissingExtraError without UMAP.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import umap
    except ImportError as error:
        raise MissingExtraError("umap-learn", "map", "the map") from error
    rows = vectors.astype(np.float32)
    if len(rows) < 5:  # too few for a graph of neighbours
        angle = 2 * np.pi * np.arange(len(rows)) / max(1, len(rows))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    few = len(rows) < 100
    layout = umap.UMAP(
        n_neighbors=min(15, len(rows) - 1),
        metric="cosine",
        init="random" if few else "spectral",
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: NDArray[np.float32] = layout.fit_transform(rows)
    return found.astype(np.float32)


def make_map(
    out: Path,
    *,
    documents: int = 5000,
    base: Path | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write map.html and map.parquet into `folder` (the run's output folder where None); stats.

    map.parquet: doc_id, shard, x, y, cluster, fate (kept, or `<stage>: <reason>`). base: the folder that the recipe's
    relative paths start from; the current one, then the parent of `out`, where None. Raises OutputError where `out`
    holds no finished run, InputError where the input is not what the run read.
    """
    report = _report(out)
    source = Source(**report["recipe"]["input"])
    base, manifest = _input(source, out, [base] if base is not None else [Path.cwd(), out.absolute().parent])
    trial = MapTrial(name=LABEL, embedder=_embedder(report), documents=documents)
    settings = Settings(workers=report["recipe"]["run"]["workers"])
    with tempfile.TemporaryDirectory(prefix="corpuscurate-map-") as name:
        sink = Sink(path=str(Path(name) / "out"))
        spec = Spec(source, (trial,), sink, settings, base)
        stats = settle_only(spec, folder=Path(name) / "run", progress=progress)[LABEL]
        table, texts = _rows(stats, manifest, _fates(out))
    target = folder or out
    pq.write_table(table, target / COORDINATES)
    where = np.stack([to_numpy(table.column("x")), to_numpy(table.column("y"))], axis=1)
    columns = {
        "fate": table.column("fate").to_pylist(),
        "shard": table.column("shard").to_pylist(),
        "cluster": [f"cluster {number}" for number in table.column("cluster").to_pylist()],
    }
    note = (
        f"{table.num_rows:,} of {stats['corpus']:,} documents, {stats['k']:,} clusters. Near points are alike; "
        "distances between far groups mean little."
    )
    write_map(target / PAGE, f"Map of {out.name}", note, where, columns, texts)
    return {"documents": table.num_rows, "page": str(target / PAGE), "coordinates": str(target / COORDINATES)}


def _report(out: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = read_json(out / REPORT)
    except (OSError, ValueError) as error:
        raise OutputError(f"{out} holds no finished run: report.json cannot be read ({error}).") from error
    return report


def _input(source: Source, out: Path, bases: Sequence[Path]) -> tuple[Path, Manifest]:
    """The folder from which the source's paths lead to what the run read."""
    value = read_sealed(out / STATE / MANIFEST)
    known = None if value is None else value["splits"]
    failed: InputError | None = None
    for base in bases:
        try:
            manifest = build_manifest(source, base)
        except InputError as error:
            failed = failed or error
            continue
        if known is None or [manifest.identity(split) for split in manifest.splits] == known:
            return base, manifest
    raise failed or InputError(
        f"the input of {out} has changed since the run, so its documents cannot be told. Run the recipe again, or name "
        "the folder that its relative paths start from: --base FOLDER."
    )


def _embedder(report: Mapping[str, Any]) -> Parameters:
    """That of the first stage with one; a column that a stage made is not in the input."""
    adapter: TypeAdapter[Parameters] = TypeAdapter(EmbedderParameters)
    for stage in report["recipe"]["stages"]:
        if (stage.get("embedder") or {}).get("kind") in embedder_kinds():
            found = adapter.validate_python(stage["embedder"])
            if not (isinstance(found, Column) and "." in found.column):
                return found
    return Learned()


def _fates(out: Path) -> tuple[NDArray[np.uint64], list[str]]:
    """doc_ids of dropped documents, ascending, and why each was dropped."""
    tables = [pq.read_table(path, columns=["doc_id", "stage", "reason"]) for path in sorted((out / DROPPED).iterdir())]
    table = pa.concat_tables(tables).sort_by("doc_id")
    ids = to_numpy(table.column("doc_id")).astype(np.uint64)
    rows = zip(table.column("stage").to_pylist(), table.column("reason").to_pylist(), strict=True)
    return ids, [f"{stage}: {reason}" for stage, reason in rows]


def _rows(
    stats: Mapping[str, Any], manifest: Manifest, fates: tuple[NDArray[np.uint64], list[str]]
) -> tuple[pa.Table, list[str]]:
    layout = Path(stats["layout"])
    where: NDArray[np.float32] = np.load(layout / "positions.npy")
    ids = joined([np.load(path) for path in sorted(layout.glob("[0-9]*.npy"))], np.uint64)
    texts = pa.concat_tables([read_table(Path(path)) for path in stats["texts"]]).sort_by("doc_id")
    order = np.argsort(ids)
    ids, where = ids[order], where[order]
    gone, reasons = fates
    dropped = is_in_sorted(ids, gone)
    at = np.searchsorted(gone, ids)
    files = (ids >> np.uint64(POSITION_BITS)).astype(np.int64).tolist()
    table = pa.table(
        {
            "doc_id": ids,
            "shard": pa.array([manifest.files[number].name for number in files], pa.large_string()),
            "x": where[:, 0],
            "y": where[:, 1],
            "cluster": np.load(layout / "clusters.npy")[order],
            "fate": pa.array(
                [reasons[i] if is_gone else KEPT for i, is_gone in zip(at.tolist(), dropped.tolist(), strict=True)],
                pa.large_string(),
            ),
        }
    )
    return table, texts.column("text").to_pylist()
