"""The Python face: a `Pipeline` is the same value as a recipe, and `curate` runs one over data in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from corpuscurate.core.errors import RecipeError
from corpuscurate.core.run_folder import DATA, DROPPED, QUARANTINE
from corpuscurate.core.spec import Settings, Sink, Source, Spec
from corpuscurate.core.stage import Stage
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import run_spec
from corpuscurate.io.in_memory import open_given
from corpuscurate.recipe.load import Overrides, StageLike, dump_recipe, load_recipe, make_stages


@dataclass(frozen=True, init=False)
class Pipeline(Spec):
    """Where documents come from, what happens to them, where they go.

    >>> Pipeline(Source(paths="shards/*.jsonl.zst"), ["normalize", Length(min_words=50)], Sink(path="out")).run()
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[StageLike],
        sink: Sink,
        settings: Settings | None = None,
        base: Path = Path(),
        off: Sequence[str] = (),
    ) -> None:
        """stages: stages, or their recipe form (`"exact"`, `{"length": {"min_words": 50}}`). base, off: see `Spec`.
        Raises RecipeError for a stage that is none."""
        super().__init__(source, make_stages(stages), sink, settings or Settings(), base, tuple(off))

    @classmethod
    def from_recipe(cls, path: str | Path, overrides: Overrides | None = None, *, allow_code: bool = False) -> Self:
        """The pipeline of a recipe file; its relative paths start from the recipe's folder.

        allow_code: run the Python files that the recipe names. Raises RecipeError with file, line and key path.
        """
        spec = load_recipe(path, overrides, allow_code=allow_code)
        return cls(spec.source, spec.stages, spec.sink, spec.settings, spec.base, spec.off)

    def to_recipe(self, path: str | Path | None = None) -> str:
        """The recipe as YAML; written to `path` where one is given."""
        text = dump_recipe(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def run(
        self,
        *,
        workers: int | None = None,
        runner: Literal["local", "inprocess"] | None = None,
        overwrite: bool = False,
        verify: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Run it and return the report, which is also written to the output folder.

        workers, runner: instead of the settings'. overwrite: replace an earlier run's output. verify: of a run that is
        finished, compare the digests of all files. Raises the errors of `corpuscurate.core.errors`.
        """
        changes = {"workers": workers, "runner": runner}
        chosen = {**self.settings.model_dump(), **{key: value for key, value in changes.items() if value is not None}}
        try:
            spec = replace(self, settings=Settings(**chosen))
        except ValidationError as error:
            raise RecipeError(f"run: {error}") from error
        return run_spec(spec, overwrite=overwrite, verify=verify, progress=progress)


@dataclass(frozen=True)
class Curated:
    """What `curate` returns.

    kept: the input's columns plus those the stages added, as the type that came in (see `curate`); dropped: a row for
    each dropped document, the columns of dropped/; quarantined: records without usable text; report: as report.json.
    """

    kept: Any
    dropped: pa.Table
    quarantined: pa.Table
    report: dict[str, Any]


def curate(
    data: Any,
    stages: Sequence[StageLike],
    *,
    text: str = "text",
    id: str | None = None,
    workers: int = 1,
    returns: Literal["same", "arrow"] = "same",
    progress: Progress | None = None,
) -> Curated:
    """Run stages over data in memory.

    data: anything that speaks the Arrow PyCapsule stream interface (pyarrow, polars, DuckDB, pandas, Hugging Face
    datasets), a polars LazyFrame, a Hugging Face IterableDataset or DatasetDict (its splits follow one another), a list
    of dicts, a dict of columns, an iterable of batches (of any of these types) or of dicts. stages: stages, or their
    recipe form (`"exact"`, `{"length": {"min_words": 50}}`). text, id: columns. returns: `same` gives `kept` as the
    type that came in, or a pyarrow Table where that cannot be made again (a generator, a reader); `arrow` a Table.

    The data passes through a temporary folder once, so that this run is like any other. In `dropped`, `position`
    is the row of `data`. Where a stage deals the documents, `kept` holds one partition after the other,
    by name. Raises the errors of `corpuscurate.core.errors`; InputError when `data` cannot be read.
    """
    if returns not in ("same", "arrow"):
        raise RecipeError(f"curate(): returns is {returns!r}, and must be 'same' or 'arrow'")
    chosen = make_stages(stages)
    given = open_given(data, [name for name in (text, id) if name is not None])
    with tempfile.TemporaryDirectory(prefix="corpuscurate-") as folder:
        place = Path(folder)
        _write_stream(given.stream, place / "memory.arrow")
        source = Source(paths=("memory.arrow",), text=text, id=id)
        pipeline = Pipeline(source, chosen, Sink(path="out", format="arrow"), base=place)
        report = pipeline.run(workers=workers, progress=progress)
        out = place / "out"
        parts = sorted(path for path in (out / DATA).rglob("*") if path.is_file())
        kept = pa.concat_tables([_in_memory(path) for path in parts])
        return Curated(
            given.same(kept) if returns == "same" else given.table(kept),
            pq.read_table(out / DROPPED),
            pq.read_table(out / QUARANTINE),
            report,
        )


def _in_memory(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as file:  # not mapped: the folder goes away
        return pa.ipc.open_file(file).read_all()


def _write_stream(reader: pa.RecordBatchReader, path: Path) -> None:
    """Write an Arrow stream to an IPC file, batch by batch; to an IPC stream where batches may have dictionaries of
    their own, which a file cannot hold."""
    make = pa.ipc.new_stream if any(_has_dictionary(kind) for kind in reader.schema.types) else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, make(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _has_dictionary(kind: pa.DataType) -> bool:
    inner = (kind.field(at).type for at in range(kind.num_fields))
    return bool(pa.types.is_dictionary(kind)) or any(_has_dictionary(each) for each in inner)


__all__ = ["Curated", "Pipeline", "Settings", "Sink", "Source", "Stage", "curate"]
