"""Make corpuscurate/methods/language/fineweb2.json.xz from FineWeb-2's configurations by language.

    python scripts/make_fineweb2_table.py CONFIGS

CONFIGS is the folder `configs` of github.com/huggingface/fineweb-2 (Apache-2.0), a YAML file a language, or a JSONL
file (perhaps .gz) with a line a language and its name as `lang`. One array a language: name, language_score,
dup_line_frac, dup_n_grams (5 to 10), top_n_grams (2 to 4), line_punct_thr, new_line_ratio, min_avg_word_length,
max_avg_word_length, max_non_alpha_words_ratio, stopwords.
"""

from __future__ import annotations

import gzip
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[1] / "corpuscurate" / "methods" / "language" / "fineweb2.json.xz"
NGRAMS = {"dup_n_grams": range(5, 11), "top_n_grams": range(2, 5)}


def configs(source: Path) -> dict[str, dict[str, Any]]:
    if source.is_dir():
        return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(source.glob("*.yml"))}
    data = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
    return {each["lang"]: each for each in map(json.loads, data.splitlines())}


def row(name: str, config: dict[str, Any]) -> list[Any]:
    ngrams = []
    for key, sizes in NGRAMS.items():
        found = {int(n): share for n, share in config[key]}
        if sorted(found) != list(sizes):
            raise SystemExit(f"{name}: {key} has {sorted(found)}")
        ngrams.append([found[n] for n in sizes])
    plain = (
        "line_punct_thr",
        "new_line_ratio",
        "min_avg_word_length",
        "max_avg_word_length",
        "max_non_alpha_words_ratio",
    )
    numbers = [config[key] for key in plain]
    return [name, config["language_score"], config["dup_line_frac"], *ngrams, *numbers, config["stopwords"]]


def main() -> None:
    rows = [row(name, config) for name, config in sorted(configs(Path(sys.argv[1])).items())]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    PATH.write_bytes(lzma.compress(text.encode(), preset=9))
    print(f"{PATH}: {len(rows)} languages, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
