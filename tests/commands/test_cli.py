"""The command line from outside: exit codes, what is on stdout, what is on stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import orjson
import pytest
from support import forked
from support.forms import some
from typer.testing import CliRunner

from corpuscurate.commands import check as check_verb
from corpuscurate.commands.app import app

ROOT = Path(__file__).parents[2]
RECIPE = """\
input: {paths: [shards/*.jsonl], id: id}
stages:
  - normalize
  - length: {min_words: 5}
  - where: "lang == 'en'"
output: {path: out}
run: {workers: 1, runner: inprocess}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    shards = tmp_path / "shards"
    shards.mkdir()
    for shard in range(2):
        records = [
            {"id": f"{shard}-{n}", "text": "a few words more or less " * (n % 3), "lang": "en" if n % 2 else "de"}
            for n in range(30)
        ]
        lines = [orjson.dumps(record) for record in records]
        (shards / f"s{shard}.jsonl").write_bytes(b"\n".join([*lines, b'{"broken']) + b"\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CORPUSCURATE_DEBUG", raising=False)
    return path


def call(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def outside(*arguments: str, **streams: str | None) -> forked.Done:
    """The command line as a process of its own. streams: see `forked.start`, by name."""
    numbers = {("stdin", "stdout", "stderr").index(name): path for name, path in streams.items()}
    return forked.start(forked.command, *arguments, streams=numbers).wait()


def started(*arguments: str, **options):
    """The same from a Python that is started for it."""
    command = [sys.executable, "-m", "corpuscurate", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **options
    )


def test_version():
    done = started("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"corpuscurate {version('corpuscurate')}\n", "")


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys\nfrom corpuscurate.commands.app import app\n"
        "print(sorted({'numba', 'pyarrow', 'numpy', 'pydantic', 'yaml', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_run_from_outside(recipe):
    done = started("run", str(recipe))
    assert done.returncode == 0, done.stderr
    assert "62 documents in = 20 kept + 40 dropped + 2 quarantined" in done.stdout
    assert "quarantined: broken_json 2" in done.stdout
    assert "min_words 20" in done.stdout
    assert "false 20" in done.stdout
    assert "peak memory" in done.stdout
    for name in ("data", "dropped", "quarantine", "report.json"):
        assert str(recipe.parent / "out" / name) in done.stdout
    assert done.stderr.startswith("  0% reading and measuring (1 of 2), ")
    again = outside("run", str(recipe))
    assert again.returncode == 0
    assert "already holds this very run, finished: nothing to do." in again.stderr


def test_run_for_scripts(recipe):
    done = outside("run", str(recipe), "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["documents"] == {"input": 62, "kept": 20, "dropped": 40, "quarantined": 2}
    assert report == json.loads(Path("out/report.json").read_text())
    done = outside("run", str(recipe), "--quiet", "--output", "other")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Path("other/report.json").is_file()


def test_overrides_reach_the_run(recipe):
    changes = [
        "--set",
        "stages.length.min_words=1",
        "--set",
        "stages.where.mode=tag",
        "-w",
        "1",
        "--runner",
        "inprocess",
    ]
    done = call("run", recipe, "--json", "-q", "-i", "shards/s0.jsonl", "-o", "elsewhere", *changes)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["documents"] == {"input": 31, "kept": 20, "dropped": 10, "quarantined": 1}
    assert report["bytes"]["files"] == 1


def test_another_run_in_the_folder_is_refused_and_overwritten_on_demand(recipe):
    assert call("run", recipe, "-q").exit_code == 0
    other = ("run", recipe, "-q", "--set", "stages.length.min_words=1")
    done = call(*other)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: the output folder {recipe.parent / 'out'} holds a finished run of another")
    assert call(*other, "--overwrite").exit_code == 0


WRONG = [
    (["run", "none.yaml"], "error: there is no recipe at none.yaml\n"),
    (
        ["run", "recipe.yaml", "--set", "stages.length.min_words=-1"],
        "error: --set stages.length.min_words=-1: -1 is not allowed: must be a whole number >= 0 or null\n",
    ),
    (
        ["run", "recipe.yaml", "--set", "input.text=txt"],
        "error: input.text: the input has no column 'txt'. The columns there are: id, text, lang."
        " The nearest names are: text, lang, id.\n",
    ),
    (["check", "recipe.yaml", "-i", "no/*.jsonl"], "error: No input file matches "),
    (["plan", "recipe.yaml", "-i", "no/*.jsonl"], "error: No input file matches "),
    (["run", "recipe.yaml", "-o", "shards"], "error: output.path: "),
    (["stages", "lenght"], "error: unknown stage 'lenght'. The nearest names are: length, "),
    (["run"], "Usage: "),
    (["run", "recipe.yaml", "--workers", "many"], "Usage: "),
    (["runn"], "Usage: "),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_ends_with_2(recipe, arguments, message):
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert not Path("out").exists()


def test_check(recipe):
    done = call("check", recipe)
    bad = (f"shards/s{n}.jsonl: 1 of the first 31 records will be quarantined (broken_json 1)" for n in range(2))
    warnings = "".join(f"warning: {text}\n" for text in bad)
    assert (done.exit_code, done.stdout) == (0, f"{warnings}{recipe} can run. Stages: normalize, length, where.\n")
    recipe.write_text(RECIPE.replace("id: id", "text: body"))
    done = call("check", recipe)
    assert done.exit_code == 2
    assert not Path("out").exists()


def test_check_tells_warnings(recipe):
    Path("shards/s2.jsonl").write_bytes(b'{"id": 5, "body": "x", "lang": 6}\n')
    warning = "input.text: shards/s2.jsonl lacks the column 'text': records without it are quarantined"
    assert call("check", recipe).stdout.startswith(f"warning: {warning}\n")
    told = json.loads(call("check", recipe, "--json").stdout)["warnings"]
    assert told[0] == warning
    assert told[-1] == "shards/s2.jsonl: 1 of the first 1 records will be quarantined (missing_text 1)"
    planned = json.loads(call("plan", recipe, "--json").stdout)
    assert planned["warnings"] == told
    assert f"warning: {warning}\n" in call("plan", recipe).stdout


REFUSED = {
    "the input has no column 'body'": ("id: id", "text: body"),
    "on_bad_input: fail": ("id: id", "id: id, on_bad_input: fail"),
    "is a file": ("path: out", "path: recipe.yaml"),
    "holds no corpuscurate run: notes.txt": ("path: out", "path: full"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_plan_refuses_what_check_refuses(recipe, why):
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    recipe.write_text(RECIPE.replace(*REFUSED[why]))
    check, plan = call("check", recipe), call("plan", recipe)
    assert why in check.stderr
    assert (plan.exit_code, plan.stdout, plan.stderr) == (check.exit_code, check.stdout, check.stderr)
    assert plan.exit_code


def test_plan(recipe):
    done = call("plan", recipe)
    assert done.exit_code == 0, done.stderr
    assert "normalize, length, where" in done.stdout
    assert f"Output: {recipe.parent / 'out'}" in done.stdout
    planned = json.loads(call("plan", recipe, "--json").stdout)
    assert planned["files"] == 2
    assert [one["kind"] for one in planned["passes"]] == ["measure", "write"]
    assert not Path("out").exists()


def test_stages():
    from corpuscurate.core.stage import stage_classes

    done = call("stages")
    assert done.exit_code == 0
    for word in stage_classes():
        assert f" {word} " in done.stdout
        card = call("stages", word)
        assert card.exit_code == 0, card.stderr
        for field in stage_classes()[word].model_fields:
            assert f" {field} " in card.stdout
    cards = json.loads(call("stages", "--json").stdout)
    assert [card["stage"] for card in cards] == list(stage_classes())


def test_every_stage_is_documented_and_its_line_for_a_recipe_works():
    from corpuscurate.recipe.load import spec_from_mapping
    from corpuscurate.recipe.yaml_tree import parse_yaml

    own = {path.stem for path in (ROOT / "corpuscurate" / "stages").glob("[!_]*.py")}  # other tests make stages too
    cards = [card for card in json.loads(call("stages", "--json").stdout) if card["stage"] in own]
    assert len(cards) == len(own)
    for card in cards:
        assert card["summary"], card["stage"]
        assert not [p["name"] for p in card["parameters"] if not p["description"]], card["stage"]
        stages = parse_yaml(card["recipe"], "card").plain()
        spec_from_mapping({"input": {"paths": "a"}, "output": {"path": "o"}, "stages": stages})


def test_one_stage():
    card = json.loads(call("stages", "length", "--json").stdout)
    assert (card["stage"], card["kind"], card["recipe"]) == ("length", "filter", "- length:\n    min_words: 50")
    assert card["reasons"] == {"min_words": 50}
    assert card["adds_in_mode_tag"]["length.words"] == "int64"
    assert next(each for each in card["parameters"] if each["name"] == "min_words") == {
        "name": "min_words",
        "allowed": "a whole number >= 0 or null",
        "default": "null",
        "description": "fewest words that are kept",
    }


def break_check(monkeypatch, error: BaseException) -> None:
    from corpuscurate.engine import check

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(check, "check_run", broken)
    assert check_verb


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            KeyboardInterrupt(),
            130,
            "interrupted. What was finished is kept: run the same command again, and it goes on from there.\n",
        ),
        (
            ZeroDivisionError("\x1b[31m"),
            1,
            "error: a defect of corpuscurate: ZeroDivisionError: \\x1b[31m\n"
            "Run it again with --debug for the traceback, and please report it.\n",
        ),
        (OSError(28, "No space left on device", "/x"), 1, "error: /x: No space left on device\n"),
        (MemoryError(), 1, "error: out of memory. Give `run: {memory: ...}` or `--workers` a smaller value.\n"),
    ],
)
def test_failures_are_plain_messages(recipe, monkeypatch, error, code, message):
    break_check(monkeypatch, error)
    done = call("check", recipe)
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", message)


def test_debug_shows_the_traceback(recipe, monkeypatch):
    break_check(monkeypatch, ZeroDivisionError("zero"))
    monkeypatch.setenv("CORPUSCURATE_DEBUG", "0")
    assert "Traceback" not in call("check", recipe).stderr
    assert "Traceback" in call("check", recipe, "--debug").stderr
    monkeypatch.setenv("CORPUSCURATE_DEBUG", "1")
    assert "Traceback" in call("check", recipe).stderr


@pytest.mark.parametrize("runner", ["inprocess", "local"])
def test_ctrl_c(recipe, runner):
    """The signal comes in the middle: a task is finished, most are not. The same command again goes on from there."""
    documents = some(40_000)
    record = orjson.dumps({"id": "x", "text": "some words and more of them " * 50, "lang": "en"}) + b"\n"
    Path("shards/big.jsonl").write_bytes(record * documents)
    command = ["run", str(recipe), "--runner", runner, "-w", "2", "--set", "input.split_bytes=256KiB"]
    process = forked.start(forked.command, *command)
    deadline = time.monotonic() + 60
    while not list(Path().glob("out/_run/measure-0/0*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    told = process.wait(60)
    assert told.returncode == 130, told.stderr
    assert told.stderr.endswith("run the same command again, and it goes on from there.\n")
    assert "Traceback" not in told.stderr
    assert not Path("out/report.json").exists()
    done = outside(*command, "--json", "-q")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["documents"]["input"] == 62 + documents


FULL = "/dev/full"
STREAMS = {
    "stderr closed": {"stderr": None},
    "stderr full": {"stderr": FULL},
    "stdout closed": {"stdout": None},
    "stdout full": {"stdout": FULL},
    "stdout as JSON, full": {"stdout": FULL},
    "both full": {"stdout": FULL, "stderr": FULL},
}
STARTED = {
    "stderr without reader": "2> >(true)",
    "stdout without reader": "> >(true)",
    "all closed": "<&- >&- 2>&-",
}
"""Streams as a shell gives them, to a Python that is started."""


@pytest.mark.skipif(not Path(FULL).exists(), reason="no /dev/full")
@pytest.mark.parametrize("name", [*STREAMS, *STARTED])
@pytest.mark.campaign(2)
def test_a_stream_that_takes_nothing_ends_no_run(recipe, name):
    if name in STARTED:
        command = f"{sys.executable} -m corpuscurate run {recipe} {STARTED[name]}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    else:
        done = outside("run", str(recipe), *(["--json"] if "JSON" in name else []), **STREAMS[name])
    assert done.returncode == 0, done.stderr
    report = orjson.loads((recipe.parent / "out" / "report.json").read_bytes())
    assert report["documents"]["input"] == 62
    if name in ("stdout full", "stdout as JSON, full"):
        assert "warning: the result could not be printed (No space left on device)" in done.stderr
        assert "out/report.json" in done.stderr
    if name == "stderr full":
        assert any("progress could not be shown any more" in text for text in report["warnings"])
        assert "progress could not be shown any more" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_failure_keeps_its_exit_code_where_nobody_reads_the_message(recipe):
    recipe.write_text(RECIPE + "nonsense: 1\n")
    assert outside("run", str(recipe)).returncode == 2
    assert outside("run", str(recipe), stderr=FULL).returncode == 2
    assert outside("run", str(recipe), stderr=None).returncode == 2
    command = f"{sys.executable} -m corpuscurate run {recipe} >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 2


def test_a_closed_stream_is_no_number_for_other_files(recipe):
    """Else a library's message on stderr would be written into the file that got its number."""
    code = (
        "import os\nfrom corpuscurate.commands.guard import standard_streams\n"
        "with standard_streams(), open('data', 'wb') as file:\n"
        "    os.write(2, b'a message of a library')\n    print(file.fileno(), file=open('number', 'w'))\n"
    )
    command = f'{sys.executable} -c "{code}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 0
    assert (recipe.parent / "data").read_bytes() == b""
    assert int((recipe.parent / "number").read_text()) > 2


def test_a_user_that_is_not_there(recipe):
    for arguments, told in (
        (["--input", "~nosuchuser/a.jsonl"], "No input file matches"),  # the shell would have replaced it
        (
            ["--set", "input.paths=['~nosuchuser/a.jsonl']"],
            "there is no home folder for ~nosuchuser. Write ./~nosuchuser",
        ),
    ):
        done = call("run", recipe, *arguments)
        assert done.exit_code == 2
        assert told in done.output
        assert "~nosuchuser/a.jsonl" in done.output
    assert call("run", recipe, "--output", "~nosuchuser/out").exit_code == 0
    assert (recipe.parent / "~nosuchuser" / "out" / "report.json").exists()
