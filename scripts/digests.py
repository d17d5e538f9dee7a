"""What every recipe in configs/ writes, as digests: the proof that a change of the code changed no output.

    python scripts/digests.py record FILE [--data DATA] [--corpora FOLDER]    # with the old code
    python scripts/digests.py compare FILE [--data DATA] [--corpora FOLDER]   # with the new code; 1 where they differ

Each recipe runs over the demo corpus and, with --data, over neardup/, books/, multilingual/ and bench/ there. Models
that a recipe asks for are trained once, on DATA/quality, and kept in FOLDER beside the demo shards, so that both sides
read the same. Recorded: xxh3-64 of every file of data/, dropped/ and quarantine/, by corpus and recipe.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import xxhash
import yaml

CONFIGS = Path(__file__).parent.parent / "configs"
FOLDERS = ("neardup", "books", "multilingual", "bench")
KINDS = ("data", "dropped", "quarantine")
TRAINING: dict[str, dict[str, object]] = {
    "dclm": {
        "labels": {"rename": {"ele": "hq"}},
        "positive": "hq",
        "parameters": {"dim": 16, "word_ngrams": 2, "bucket": 20_000},
    },
    "fineweb-edu": {
        "labels": {"rename": {"ele": "2", "int": "3", "adv": "4"}},
        "positive": "3",
        "trainer": "ridge",
        "parameters": {"embedder": {"kind": "learned"}},
    },
}


def command(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "corpuscurate", *arguments], cwd=cwd, check=True)


def prepare(folder: Path, data: Path | None) -> dict[str, list[str]]:
    """Name of each corpus -> its input paths; what is not there yet is made in `folder`."""
    shards = folder / "demo" / "shards"
    if not shards.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command("demo", "--output", str(folder / "demo"), "--quiet", cwd=folder)
    corpora = {"demo": [str(shards)]}
    if data is not None:
        corpora |= {name: [str(data / name)] for name in FOLDERS}
        for name, how in TRAINING.items():
            train(folder / f"train-{name}", data / "quality", how)
    return corpora


def train(folder: Path, labelled: Path, how: dict[str, object]) -> None:
    """Train the model `quality` of a recipe from articles at three reading levels."""
    if (folder / "quality").is_dir():
        return
    folder.mkdir(exist_ok=True)
    recipe = {"input": [{"paths": [str(labelled / "onestop_english.jsonl.gz")], "label_columns": "label"}], **how}
    (folder / "train.yaml").write_text(yaml.safe_dump({**recipe, "output": "quality"}))
    command("train", "quality", "train.yaml", "--quiet", cwd=folder)


def digests(output: Path) -> dict[str, str]:
    files = [path for kind in KINDS for path in sorted((output / kind).iterdir())]
    return {f"{path.parent.name}/{path.name}": xxhash.xxh3_64(path.read_bytes()).hexdigest() for path in files}


def run_all(folder: Path, data: Path | None) -> dict[str, dict[str, str]]:
    found = {}
    for corpus, paths in prepare(folder, data).items():
        for recipe in sorted(CONFIGS.glob("*.yaml")):
            if recipe.stem in TRAINING and data is None:
                print(f"{corpus}/{recipe.stem}: left out, its model is trained from --data")
                continue
            started = time.perf_counter()
            found[f"{corpus}/{recipe.stem}"] = run_one(folder, recipe, paths)
            print(f"{corpus}/{recipe.stem}: {time.perf_counter() - started:.1f} s", flush=True)
    return found


def run_one(folder: Path, recipe: Path, paths: list[str]) -> dict[str, str]:
    home = folder / f"train-{recipe.stem}"
    home = home if home.is_dir() else folder
    copy = home / recipe.name
    copy.write_text(recipe.read_text())
    with tempfile.TemporaryDirectory(dir=folder) as output:
        inputs = [argument for path in paths for argument in ("--input", path)]
        command("run", str(copy), *inputs, "--output", output, "--quiet", cwd=folder)
        return digests(Path(output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--corpora", type=Path, default=Path("build/digests"))
    given = parser.parse_args()
    found = run_all(given.corpora.absolute(), given.data and given.data.absolute())
    if given.verb == "record":
        given.file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"{len(found)} runs, {sum(map(len, found.values()))} files")
        return
    before = json.loads(given.file.read_text())
    differing = [name for name in sorted(before.keys() | found.keys()) if before.get(name) != found.get(name)]
    print(f"{len(found)} runs, {sum(map(len, found.values()))} files; differing runs: {', '.join(differing) or 'none'}")
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
