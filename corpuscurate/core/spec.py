"""The value that a recipe or Python code describes: where documents come from, what happens to them, where they go.

The engine works on a `Spec` and on nothing else. Field descriptions and bounds are what recipes are checked against.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import with_info_after_validator_function

from corpuscurate.core.errors import did_you_mean
from corpuscurate.core.local_path import RecipePath
from corpuscurate.core.machine import memory_bytes, processors
from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage

_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{unit}": base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for unit, base in (("b", 1000), ("ib", 1024))
}


def parse_bytes(value: Any) -> Any:
    """A size such as 8GiB, 512 MB or 1000 as a number of bytes."""
    if isinstance(value, bool) or not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", value)
    if not match or match[2].lower() not in _UNITS:
        raise ValueError("expected a size such as 8GiB, 512MiB, 100MB or a number of bytes")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def format_bytes(value: int) -> int | str:
    """The shortest exact spelling of a size: 8GiB for 8589934592."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return value


Bytes = Annotated[int, BeforeValidator(parse_bytes), PlainSerializer(format_bytes)]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), RecipePath()]


@dataclass(frozen=True, slots=True)
class Named:
    """Marks text that must be one of the known names of a kind. The caller of the validation gives the known names as
    context (kind -> names), since this layer is below readers and writers. Without context any name is accepted here,
    and `engine.check` rejects an unknown one."""

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), NAMES: self.kind}

    def _checked(self, value: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(self.kind)
        if known is not None and value not in known:
            raise ValueError(f"must be one of {', '.join(known)}. {did_you_mean(value, known)}")
        return value


NAMES = "x-names"
"""Key in the JSON schema of a `Named` text; its value is the kind."""
INPUT_FORMATS, OUTPUT_FORMATS = "input formats", "output formats"
InputFormatName = Annotated[str, Named(INPUT_FORMATS)]
OutputFormatName = Annotated[str, Named(OUTPUT_FORMATS)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("must be a share from 0 to 1, such as 0.01")
    return value


class BadShare(_Section):
    """A bound on what may be lost: records are quarantined, and a run in which more was lost fails."""

    max_share: Annotated[float, AfterValidator(_share)] = Field(
        description="greatest share of records in quarantine, and of bytes in files not read to their end"
    )


class Source(_Section):
    """`input:` which shards to read and which of their columns matter."""

    paths: Paths = Field(
        description="files, folders or globs; local, or any fsspec URL; read in this order, those of one by name",
        min_length=1,
    )
    format: InputFormatName | None = Field(None, description="instead of the suffix")
    text: str = Field("text", description="column with the text")
    id: str | None = Field(None, description="column with your own id, carried into dropped/ and every report")
    folder_columns: bool = Field(True, description="folders named key=value below the paths give a column each")
    on_bad_input: Literal["quarantine", "fail"] | BadShare = Field(
        "quarantine", description="what an unreadable record does; {max_share: 0.01}: quarantine, and fail beyond that"
    )
    max_record_bytes: Bytes = Field(256 << 20, description="longer records are quarantined", ge=1, le=1 << 30)
    split_bytes: Bytes = Field(64 << 20, description="size of a task; part of the fingerprint", ge=1)


def _from_home(value: str) -> str:
    return os.path.expanduser(value)  # noqa: PTH111  (`Path` fails for a user that is not there)


class Sink(_Section):
    """`output:` where the dataset and its ledger go."""

    path: Annotated[str, AfterValidator(_from_home), RecipePath()] = Field(
        description="folder; must be new, empty, or hold this same run", min_length=1
    )
    format: OutputFormatName = Field("parquet", description="of data/")
    dropped_text: bool = Field(False, description="write the text of dropped documents too")
    part_bytes: Bytes = Field(128 << 20, description="uncompressed size at which a part is closed", ge=1)
    row_group_bytes: Bytes = Field(32 << 20, description="uncompressed size of a Parquet row group", ge=1)


MIN_MEMORY = 384 << 20
"""What a run in one process takes, however small its input: see `engine.memory`."""


def default_workers() -> int:
    """Number of processors that this process may use."""
    return processors()


def default_memory() -> int:
    """Half of the memory that this process may use, in bytes."""
    return max(memory_bytes() // 2, MIN_MEMORY)


class Settings(_Section):
    """`run:` how to run; nothing here changes the output."""

    workers: int = Field(default_factory=default_workers, description="processes", ge=1, le=4096)
    runner: Literal["local", "inprocess"] = Field("local", description="local: processes; inprocess: for a debugger")
    memory: Bytes = Field(default_factory=default_memory, description="of all processes of a run", ge=MIN_MEMORY)
    cards: int | None = Field(None, description="cards that stages with `device: cuda` use; all that are visible", ge=1)
    batch_bytes: Bytes = Field(16 << 20, description="text handled at once by a worker", ge=1)
    retries: int = Field(
        2, description="of a task whose worker died or had no memory left, the second with half the batch", ge=0, le=100
    )
    on_task_failure: Literal["fail", "isolate"] = Field(
        "fail",
        description="isolate: documents on which a stage fails or a worker dies are found and quarantined, where"
        " otherwise the run would end with an error",
    )
    retain: Literal["all", "index", "none"] = Field(
        "index", description="what stays in _run/ after success: everything; what later runs can use; the markers"
    )


@dataclass(frozen=True)
class Spec:
    """Source, stages in order, sink, and settings that never change the output.

    base: the folder that relative paths start from: the recipe's own, or the current one. off: a sentence for each
    stage of the recipe that is left out, since a file it needs is not there.
    """

    source: Source
    stages: tuple[Stage, ...]
    sink: Sink
    settings: Settings = field(default_factory=Settings)
    base: Path = field(default=Path(), compare=False)
    off: tuple[str, ...] = field(default=(), compare=False)

    @property
    def output(self) -> Path:
        """The output folder."""
        return self.base.absolute() / self.sink.path


def planned(spec: Spec) -> Spec:
    """The spec with each stage as a run performs it (`Stage.planned`)."""
    return replace(spec, stages=tuple(stage.planned() for stage in spec.stages))


def is_global(stage: Stage) -> bool:
    """Whether the stage needs the whole corpus once."""
    return isinstance(stage, GlobalStage)


def is_streaming(stage: Stage) -> bool:
    """Whether the stage maps batch to outcome."""
    return isinstance(stage, StreamingStage)


def spec_value(spec: Spec) -> dict[str, Any]:
    """All parameters, defaults included, as plain values: the `recipe` of the report."""
    return {
        "input": spec.source.model_dump(mode="json"),
        "stages": [{"word": s.word, "version": s.version, "label": s.label, **s.parameters()} for s in spec.stages],
        "output": spec.sink.model_dump(mode="json"),
        "run": spec.settings.model_dump(mode="json"),
    }
