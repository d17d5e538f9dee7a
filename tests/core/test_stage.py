"""What a stage is made of: the packages and the device that fingerprints cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core import stage as module
from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import Outcome, Resources, StreamingStage, code_value, stage_classes


class Borrowed(StreamingStage):
    """Keeps everything, with the help of a package and a card."""

    device: str = "cpu"

    @property
    def packages(self) -> tuple[str, ...]:
        return ("orjson", "no-such-package")

    @property
    def resources(self) -> Resources:
        return Resources(device=self.device, gpus=int(self.device != "cpu"))

    def apply(self, batch: Batch) -> Outcome:
        return Outcome()


def fingerprint_of(folder: Path, stage: Borrowed) -> str:
    if not folder.exists():
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(orjson.dumps({"text": "one"}) + b"\n")
    pipeline = Pipeline(Source(paths=("a.jsonl",)), (stage,), Sink(path="out"), Settings(workers=1), folder)
    report: dict[str, Any] = pipeline.run(overwrite=True)
    return str(report["fingerprint"])


def test_versions_and_device_are_in_what_a_stage_is_made_of() -> None:
    versions, *rest = code_value(Borrowed(name="b"))
    assert versions == {"orjson": orjson.__version__, "no-such-package": "not installed"}
    assert rest[0] == f"{__name__}.Borrowed" and len(rest[1]) == 16
    assert code_value(Borrowed(device="cuda"))[:2] == [versions, "cuda"]


def test_a_fingerprint_covers_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = fingerprint_of(tmp_path / "a", Borrowed(name="b"))
    assert fingerprint_of(tmp_path / "a", Borrowed(name="b")) == once
    assert fingerprint_of(tmp_path / "a", Borrowed(name="b", device="cuda")) != once
    monkeypatch.setattr(module, "version", lambda name: "0.0.1")
    assert fingerprint_of(tmp_path / "a", Borrowed(name="b")) != once


def test_stages_of_this_package_that_need_nothing_say_nothing() -> None:
    made = {
        word: kind.model_construct() for word, kind in stage_classes().items() if word in ("length", "exact", "where")
    }
    assert {word: code_value(each) for word, each in made.items()} == {"length": [], "exact": [], "where": []}
