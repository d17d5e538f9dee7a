"""A finished run is looked at before it counts as finished: its files, their sizes, times and digests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from support.engine import digests, write_corpus

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import OutputError
from corpuscurate.engine.ledger.card import card_text
from corpuscurate.engine.ledger.publish import OutputFolder
from corpuscurate.engine.progress import NoProgress
from corpuscurate.stages.exact import Exact

AGAIN = "Put them back, or give --overwrite to write all of them again."
STAGES = (Exact(),)


class Console(NoProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def run(folder: Path, *, format: str = "parquet", stages=STAGES, **options) -> list[str]:
    console = Console()
    source = Source(paths="in/*.jsonl", id="id")
    settings = Settings(workers=1, runner="inprocess")
    Pipeline(source, stages, Sink(path="out", format=format), settings, folder).run(progress=console, **options)
    return [text for text in console.said if "no id" not in text]


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path / "in", shards=1)
    run(tmp_path)
    return tmp_path


def nothing_to_do(folder: Path) -> list[str]:
    return [f"{folder / 'out'} already holds this very run, finished: nothing to do."]


def refused(folder: Path, **options) -> str:
    with pytest.raises(OutputError) as error:
        run(folder, **options)
    return str(error.value).replace(str(folder / "out"), "OUT")


def test_nothing_to_do(folder):
    assert run(folder) == run(folder, verify=True) == nothing_to_do(folder)


@pytest.mark.parametrize("kind", ["data", "dropped", "quarantine"])
def test_a_file_is_cut_changed_or_gone(folder, kind):
    part = folder / "out" / kind / "part-00000.parquet"
    whole = part.read_bytes()
    before = digests(folder / "out")
    start = "the run in OUT is finished, but its files are not as they were written: "
    part.write_bytes(whole[:100])
    fault = f"{kind}/part-00000.parquet has 100 bytes and was written with {len(whole):,}. {AGAIN}"
    assert refused(folder) == start + fault
    part.write_bytes(whole[:-1] + b"x")
    assert refused(folder) == f"{start}{kind}/part-00000.parquet has other bytes than were written. {AGAIN}"
    part.unlink()
    assert refused(folder) == f"{start}{kind}/part-00000.parquet is gone. {AGAIN}"
    part.mkdir()
    assert refused(folder).startswith(f"{start}{kind}/part-00000.parquet is no file. ")
    shutil.rmtree(part.parent)
    assert refused(folder) == f"{start}{kind}/part-00000.parquet is gone. {AGAIN}"
    run(folder, overwrite=True)
    assert digests(folder / "out") == before


def test_a_file_with_another_time_is_whole_if_its_digest_is(folder):
    part = folder / "out" / "data" / "part-00000.parquet"
    os.utime(part, (1, 1))
    assert run(folder) == nothing_to_do(folder)


def test_a_changed_file_with_its_old_time_is_found_by_verify(folder):
    part = folder / "out" / "data" / "part-00000.parquet"
    state = part.stat()
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(folder) == nothing_to_do(folder)
    assert "data/part-00000.parquet has other bytes than were written" in refused(folder, verify=True)


def test_many_faults_are_counted(tmp_path):
    write_corpus(tmp_path / "in", shards=8)
    source, sink = Source(paths="in/*.jsonl"), Sink(path="out", part_bytes=1)
    pipeline = Pipeline(source, (), sink, Settings(workers=1, runner="inprocess"), tmp_path)
    parts = len([file for file in pipeline.run()["outputs"] if file["name"].startswith("data/")])
    shutil.rmtree(tmp_path / "out" / "data")
    with pytest.raises(OutputError, match=rf"data/part-00004.parquet is gone; and {parts - 5} more\. Put them"):
        pipeline.run()


def test_a_report_that_cannot_be_read(folder):
    path = folder / "out" / "report.json"
    path.write_bytes(path.read_bytes()[:50])
    assert refused(folder).startswith("the run in OUT is finished, but its report.json cannot be read (")
    run(folder, overwrite=True)
    assert run(folder) == nothing_to_do(folder)


def test_files_that_are_not_of_the_run_are_told(folder):
    for name in ("data/other.parquet", "dropped/x/y.parquet", "data/.DS_Store"):
        (folder / "out" / name).parent.mkdir(exist_ok=True)
        (folder / "out" / name).write_bytes(b"")
    warning = f"warning: data/other.parquet, dropped/x/y.parquet in {folder / 'out'}: not of this run."
    assert run(folder) == [warning, *nothing_to_do(folder)]


def test_a_run_folder_without_the_list_of_times_goes_by_sizes(folder):
    (folder / "out" / "_run" / "published.json").unlink()
    assert run(folder) == nothing_to_do(folder)


def card(folder: Path) -> dict:
    _, front, _ = (folder / "out" / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front)


def files_of(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").glob(pattern))


@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_the_card_names_the_files_of_data(tmp_path, format):
    write_corpus(tmp_path / "in", shards=1)
    run(tmp_path, format=format)
    (config,) = card(tmp_path)["configs"]
    assert config["config_name"] == "default"
    (split,) = config["data_files"]
    assert split == {"split": "train", "path": f"data/*.{format}"}
    assert files_of(tmp_path, split["path"]) == [f"data/part-00000.{format}"]
    assert str(tmp_path) not in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("partitions", "splits"),
    [
        (("train", "valid"), {"train": "data/train/*.arrow", "valid": "data/valid/*.arrow"}),
        (("a-b", "c"), {"a_b": "data/a-b/*.arrow", "c": "data/c/*.arrow"}),
        (("a-b", "a_b"), {"train": "data/**/*.arrow"}),
        (("all", "c"), {"train": "data/**/*.arrow"}),
    ],
)
def test_each_partition_is_a_split(partitions, splits):
    names = [f"data/{name}/part-{part:05d}.arrow" for name in partitions for part in range(2)]
    front = yaml.safe_load(card_text([*names, "dropped/part-00000.parquet"]).split("---\n")[1])
    found = {each["split"]: each["path"] for each in front["configs"][0]["data_files"]}
    assert found == splits


def test_a_card_of_somebody_else_is_never_touched(folder):
    path = folder / "out" / "README.md"
    ours = path.read_text()
    run(folder, stages=(), overwrite=True)
    assert path.read_text() == ours
    path.write_text("# Mine\n")
    run(folder, overwrite=True)
    assert path.read_text() == "# Mine\n"
    path.unlink()
    run(folder, stages=(), overwrite=True)
    assert path.read_text() == ours


def test_a_card_of_another_run_goes_with_it(folder):
    run(folder, format="arrow", overwrite=True)
    assert card(folder)["configs"][0]["data_files"][0]["path"] == "data/*.arrow"


def test_a_run_stopped_before_its_card_is_finished_with_it(tmp_path, monkeypatch):
    write_corpus(tmp_path / "in", shards=1)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OutputFolder, "_write_card", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert (tmp_path / "out" / "data").exists()
    assert not (tmp_path / "out" / "report.json").exists()
    run(tmp_path)
    assert card(tmp_path)["configs"]
    assert run(tmp_path) == nothing_to_do(tmp_path)
