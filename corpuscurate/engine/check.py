"""Checks of a spec against its input, before a run: labels, columns, the order of stages, the output folder."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from corpuscurate.core.errors import InputError, OutputError, RecipeError, did_you_mean
from corpuscurate.core.labels import check_labels, stage_name
from corpuscurate.core.run_folder import DATA, DOCS, DROPPED, REPORT, RUN, STATE, measure_folder, part_name, task_folder
from corpuscurate.core.spec import Sink, Source, Spec, is_global, is_streaming, planned
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.engine.check_index import check_indexes, check_last_edits
from corpuscurate.engine.estimate import disk_estimate, free_bytes
from corpuscurate.engine.fingerprints import run_identity
from corpuscurate.engine.input_columns import Columns, folder_columns, folder_warnings, read_columns
from corpuscurate.engine.ledger.publish import OutputFolder
from corpuscurate.engine.manifest import build_manifest
from corpuscurate.engine.plan import added_columns
from corpuscurate.engine.prefix import check_writable_columns, prefix_warnings
from corpuscurate.io.base import SourceFile, input_format, output_format
from corpuscurate.io.column_types import check_width
from corpuscurate.io.file_names import folder_values, kind_of
from corpuscurate.io.files import PassedOver, list_input

_TEXT_TYPE = re.compile(r"(dictionary<values=|run_end_encoded<run_ends: \w+, values: )*(large_)?string(_view)?\b|null$")
"""Matches the names of the Arrow types that a text column may have, in dictionaries and runs too."""

UNREADABLE = " cannot be read and will be quarantined: "


def check_spec(spec: Spec) -> list[str]:
    """Check everything that can be checked before a run. Returns warnings.

    Raises RecipeError (labels, parameters, order) and InputError (no file, a missing column, the output in the input).
    """
    check_formats(spec)
    files, passed = list_input(spec.source.paths, spec.base, spec.source.format)
    check_labels(spec.stages)
    check_decisions(spec.stages)
    check_last_edits(spec.stages)
    check_no_run(spec.source, spec.base)
    check_output(spec.source, spec.sink, spec.base, files)
    for stage in spec.stages:
        stage.identity()  # a model that cannot be used is told here
    check_indexes(spec)
    own = read_columns(files)
    columns = own.adding(folder_columns(spec.source, files, own))
    about_columns = check_columns(spec.source, columns)
    if output_format(spec.sink.format).columnar:
        of_records = (names for file, names in own.of.items() if file not in own.columnar)
        check_width(list(dict.fromkeys(name for names in of_records for name in names)))
    check_writable_columns(spec, files, own)
    return [
        *spec.off,
        *about_columns,
        *passed_over(passed, spec.source.format),
        *folder_warnings(spec.source, files, own),
        *named_folders(spec.source, files),
        *check_reads(spec.stages, columns),
        *check_added(spec.stages, columns),
        *order_warnings(spec.stages),
    ]


def check_run(spec: Spec) -> list[str]:
    """Check all that a run would meet before its first pass and in the first records. Returns warnings.

    It is `check_spec`, and a look at the first records, at the output folder and at the free disk. Raises what
    `check_spec` raises, BadInputError under `on_bad_input: fail`, and OutputError.
    """
    warnings = check_spec(spec)
    manifest = build_manifest(spec.source, spec.base)
    known = {text.partition(UNREADABLE)[0] for text in warnings if UNREADABLE in text}
    warnings += prefix_warnings(spec, [file for file in manifest.files if file.name not in known])
    output, identity = OutputFolder(spec.output), run_identity(planned(spec), manifest)
    try:
        if output.claim(identity, overwrite=False) is not None:
            warnings.append(f"{output.path} already holds this very run, finished: a run has nothing to do")
    except OutputError as error:
        output.claim(identity, overwrite=True)
        warnings.append(str(error))
    needed, free = disk_estimate(spec, manifest), free_bytes(spec.output)
    if needed > free:
        warnings.append(f"the disk of {spec.output} has {free:,} bytes free, and the run may need {needed:,}")
    return warnings


def check_formats(spec: Spec) -> None:
    """Check that the formats that the spec names exist: the recipe's loader does it too, Python code does not. Raises
    RecipeError."""
    wanted = {"input.format": (spec.source.format, input_format), "output.format": (spec.sink.format, output_format)}
    for key, (name, known) in wanted.items():
        try:
            if name is not None:
                known(name)
        except RecipeError as error:
            raise RecipeError(f"{key}: {error}") from None


_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_decisions(stages: Sequence[Stage]) -> None:
    """At most one stage orders the documents, and at most one deals them among partitions, whose names can be folders.
    Raises RecipeError."""
    ordering, dealing = [], []
    for place, stage in enumerate(stages):
        if not isinstance(stage, GlobalStage) or stage.mode == "tag":
            continue
        names = stage.partitions()
        ordering += [stage_name(stages, place)] if stage.orders_documents else []
        dealing += [stage_name(stages, place)] if names else []
        lower = [name.lower() for name in names]  # some file systems ignore case
        bad = [name for name in names if not _FOLDER.fullmatch(name) or lower.count(name.lower()) > 1]
        if bad:
            raise RecipeError(
                f"{stage_name(stages, place)}: the partition {bad[0]!r} cannot be a folder of data/. Each needs a name"
                " of its own, of letters, digits, - and _, that begins with a letter or a digit."
            )
    for what, found in (("decide the order of documents", ordering), ("deal documents among partitions", dealing)):
        if len(found) > 1:
            raise RecipeError(
                f"{' and '.join(found)} all {what}, and only one stage may. Keep one of them, or give the others"
                " `mode: tag`, which leaves the documents where they are."
            )


SHOWN_NAMES = 3
"""Files of a suffix that are named in a warning."""


def passed_over(files: Sequence[PassedOver], format: str | None) -> list[str]:
    """Warnings for files that lie where the input is and are not read: counts and names by suffix."""
    told = []
    for hidden, why in (
        (False, "their suffixes tell no format" if format is None else f"their suffixes are not of format {format}"),
        (True, 'names of files or folders that begin with "." or "_" are left out'),
    ):
        groups: dict[str, list[str]] = {}
        for each in files:
            if each.hidden == hidden:
                name = PurePosixPath(each.path).name
                groups.setdefault("".join(PurePosixPath(name.lower()).suffixes[-2:]), []).append(name)
        count = sum(map(len, groups.values()))
        if count:
            ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
            kinds = ", ".join(f"{_names_of(group)}" for _, group in ordered[:10])
            more = f" and {len(ordered) - 10} more suffixes" if len(ordered) > 10 else ""
            what = "1 file of the input's folders is" if count == 1 else f"{count:,} files of the input's folders are"
            told.append(
                f"input.paths: {what} not read, since {why}: {kinds}{more}. Name them in `paths` to have them read,"
                " with `format:` where the suffix tells none."
            )
    return told


def _names_of(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES:,} more like it" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def named_folders(source: Source, files: Sequence[SourceFile]) -> list[str]:
    """Warnings for folders `key=value` in the paths themselves: only those below what a path names give a column."""
    carried = {name for file in files for name, _ in file.folders}
    found: dict[str, str] = {}
    for pattern in source.paths:
        ends_in_file = kind_of(PurePosixPath(pattern).name)[0] is not None
        for name, value in folder_values(pattern if ends_in_file else f"{pattern}/x"):
            if name not in carried and source.folder_columns:
                found.setdefault(name, f"{name}={value}")
    if not found:
        return []
    return [
        f"input.paths: what the folders {', '.join(found.values())} say is in no column, since they are part of a path"
        " itself. Name the folder above them to have it as a column."
    ]


def check_columns(source: Source, columns: Columns) -> list[str]:
    """Check that the input has the text and the id column. Raises InputError where no file has one, or a columnar
    file has no text column; returns warnings where some files lack one."""
    for file in sorted(columns.columnar & columns.of.keys()):
        kind = columns.of[file].get(source.text, "null")
        if not _TEXT_TYPE.match(kind):
            raise InputError(f"input.text: in {file} the column {source.text!r} is of type {kind}, not a string.")
    warnings = [f"{name}{UNREADABLE}{said}" for name, said in columns.unreadable.items()]
    if not columns.of:
        return [*warnings, "no file of the input has a record that can be read: the columns were not checked"]
    for key, name in (("text", source.text), ("id", source.id)):
        lacking = columns.lacking(name) if name is not None else []
        if name is None or not lacking:
            continue
        if len(lacking) == len(columns.of):
            raise InputError(f"input.{key}: the input has no column {name!r}.{_there_are(name, columns.names)}")
        without = [file for file in lacking if file in columns.columnar]
        if key == "text" and without:
            there = _there_are(name, list(columns.of[without[0]]))
            raise InputError(f"input.text: {_some(without)} {_lack(without)} the column {name!r}.{there}")
        effect = "records without it are quarantined" if key == "text" else "their id will be null"
        warnings.append(f"input.{key}: {_some(lacking)} {_lack(lacking)} the column {name!r}: {effect}")
    return warnings


def check_reads(stages: Sequence[Stage], columns: Columns) -> list[str]:
    """Check that every column that a stage reads exists before it and fits. Raises InputError or RecipeError."""
    made: dict[str, int] = {}
    warnings = []
    for place, stage in enumerate(stages):
        for name in stage.reads():
            if name in made or not columns.of:
                continue
            lacking = columns.lacking(name)
            if len(lacking) == len(columns.of):
                raise _missing(stages, place, name, [*columns.names, *made])
            if lacking:
                warnings.append(f"{stage_name(stages, place)}: {_some(lacking)} {_lack(lacking)} the column {name!r}")
        _check_origins(stages, place, made)
        made |= dict.fromkeys(added_columns([stage]), place)
    return warnings


def _check_origins(stages: Sequence[Stage], place: int, made: Mapping[str, int]) -> None:
    """Check that the origins of the columns that a stage reads fit it. Raises RecipeError."""
    makers = {name: stages[made[name]] for name in stages[place].reads() if name in made}
    origins = {name: maker.origin(name.removeprefix(f"{maker.label}.")) for name, maker in makers.items()}
    try:
        stages[place].check_origins(origins)
    except RecipeError as error:
        raise RecipeError(f"{stage_name(stages, place)}: {error}") from error


def _missing(stages: Sequence[Stage], place: int, name: str, there: list[str]) -> RecipeError | InputError:
    here = f"{stage_name(stages, place)} reads the column {name!r}"
    for other, stage in enumerate(stages):
        if name in added_columns([stage]):
            which = "itself" if other == place else f"only later, by {stage_name(stages, other)}"
            return RecipeError(f"{here}, which is made {which}. Move that stage before this one.")
        if name in (f"{stage.label}.{measure}" for measure in stage.measures()):
            return RecipeError(
                f"{here}, which {stage_name(stages, other)} makes only with `mode: tag`. Add a use of {stage.word}"
                " with `mode: tag` and a name before this stage."
            )
    return InputError(f"{here}, which neither the input nor an earlier stage has.{_there_are(name, there)}")


def check_added(stages: Sequence[Stage], columns: Columns) -> list[str]:
    """Check that no stage adds a column that the input has. Raises RecipeError."""
    users = set(columns.names)
    for place, stage in enumerate(stages):
        for name in added_columns([stage]):
            if name in users:
                raise RecipeError(
                    f"{stage_name(stages, place)} adds the column {name!r}, which the input has already."
                    f" Give the stage a name, such as {{{stage.word}: ..., name: {stage.label}_2}}."
                )
    return []


def order_warnings(stages: Sequence[Stage]) -> list[str]:
    """Warnings for filters after a deduplication: one may drop the kept document of a cluster, so that none is left."""
    warnings = []
    dedup: int | None = None
    for place, stage in enumerate(stages):
        drops = bool(stage.rules()) and stage.mode == "drop"
        if is_global(stage) and drops:
            dedup = place if dedup is None else dedup
        elif is_streaming(stage) and drops and dedup is not None:
            warnings.append(
                f"{stage_name(stages, place)} filters after {stage_name(stages, dedup)} has removed duplicates: where"
                " it drops a document that was kept for its copies, they are lost with it. Put filters first."
            )
    return warnings


def check_no_run(source: Source, base: Path) -> None:
    """Check that no path is the output folder of a run, whose card, dropped/ and quarantine/ are no documents. Raises
    InputError."""
    for pattern in source.paths:
        folder = Path(base, os.path.expanduser(pattern.removeprefix("file://")))  # noqa: PTH111
        if _is_local(pattern) and (folder / STATE / RUN).is_file():
            raise InputError(
                f"input.paths: {pattern} is the output folder of a run: beside the documents it holds those that were"
                f" dropped. Name {PurePosixPath(pattern) / DATA}."
            )


def check_output(source: Source, sink: Sink, base: Path, files: Sequence[SourceFile]) -> None:
    """Check that the output is a local folder, holds no input file and is not matched by the input's patterns.

    Raises RecipeError, InputError or OutputError.
    """
    if "://" in sink.path:
        raise RecipeError(
            f"output.path: {sink.path} is a URL, and the output must be a folder of this machine. Name one, and copy it"
            " when the run is done."
        )
    out = Path(os.path.realpath(base / sink.path))
    if out.exists() and not out.is_dir():
        raise OutputError(f"output.path: {out} is a file; it must be a folder")
    _check_writable(out)
    for file in files:
        if _is_local(file.path) and out in Path(os.path.realpath(file.path)).parents:
            raise InputError(
                f"output.path: {out} holds the input file {file.name}. Choose a folder that holds no input."
            )
    written = [
        out / DATA / part_name(0, sink.format),
        out / DROPPED / part_name(0, "parquet"),
        out / REPORT,
        out / STATE / measure_folder(0) / task_folder(0) / DOCS,
    ]
    for pattern in source.paths:
        if _is_local(pattern) and any(_finds(_absolute(base, pattern), path) for path in written):
            raise InputError(
                f"output.path: {out} lies where input.paths looks ({pattern}): the output would be read as input."
                " Choose a folder outside it."
            )


def _check_writable(out: Path) -> None:
    """Check that the output folder, or the first folder above it that exists, can be written to. Raises OutputError."""
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    if not there.is_dir():
        raise OutputError(f"output.path: {out} lies below {there}, which is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"output.path: {out} cannot be written: nothing may be created in {there}")


def _absolute(base: Path, pattern: str) -> str:
    """A pattern with the symbolic links of its fixed part resolved."""
    whole = str(base.absolute() / os.path.expanduser(pattern.removeprefix("file://")))  # noqa: PTH111  (`Path` fails for an unknown user)
    parts = PurePosixPath(Path(whole).as_posix()).parts
    fixed = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return str(Path(os.path.realpath(Path(*parts[:fixed])), *parts[fixed:]))


def _finds(pattern: str, path: Path) -> bool:
    """Whether a pattern matches the path or a folder above it."""
    parts = Path(pattern).parts
    return any(_matches(parts, candidate.parts) for candidate in (path, *path.parents))


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if not pattern or not path:
        return not path and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _matches(pattern[1:], path) or _matches(pattern, path[1:])
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _is_local(path: str) -> bool:
    return path.startswith("file://") or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[a-z0-9]+::", path)


def _there_are(name: str, names: Sequence[str]) -> str:
    if not names:
        return " It has no columns."
    shown = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
    return f" The columns there are: {shown}. {did_you_mean(name, names)}"


def _some(files: Sequence[str]) -> str:
    shown = ", ".join(files[:3])
    return f"{shown} and {len(files) - 3} more files" if len(files) > 3 else shown


def _lack(files: Sequence[str]) -> str:
    return "lacks" if len(files) == 1 else "lack"
