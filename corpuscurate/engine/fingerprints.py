"""Fingerprints of a run: what the bytes of its output depend on, and nothing else."""

from __future__ import annotations

import zlib
from functools import cache
from importlib.metadata import version
from typing import Any

from corpuscurate import __version__
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import Stage, code_value
from corpuscurate.engine.manifest import Manifest


def run_identity(spec: Spec, manifest: Manifest) -> str:
    """The fingerprint of everything that the output depends on."""
    whole = [manifest.identity(split) for split in manifest.splits]
    sink = spec.sink.model_dump(mode="json", exclude={"path"})
    source = spec.source.model_dump(mode="json", exclude={"paths"})
    return fingerprint([versions(), source, [stage_value(s) for s in spec.stages], sink, whole])


def versions() -> dict[str, str]:
    """Versions of the libraries that output bytes depend on."""
    packages = {name: _version(name) for name in ("numpy", "pyarrow", "zstandard")}
    return {"corpuscurate": __version__, **packages, "zlib": zlib.ZLIB_RUNTIME_VERSION}


@cache
def _version(package: str) -> str:
    """The version of a package, looked up once: it is read from a folder of the installation, by a search."""
    return version(package)


def source_value(spec: Spec) -> dict[str, Any]:
    """The part of the input's parameters that artefacts depend on, the files apart. A bound on the share of bad input
    is none: with another bound nothing is measured again."""
    value = spec.source.model_dump(mode="json", exclude={"paths"})
    return {**value, "on_bad_input": "fail" if spec.source.on_bad_input == "fail" else "quarantine"}


def stage_value(stage: Stage) -> list[Any]:
    """The part of a stage that a fingerprint covers."""
    return [stage.word, stage.version, stage.label, stage.identity(), *code_value(stage)]
