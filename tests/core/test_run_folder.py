from __future__ import annotations

import re
from pathlib import Path

import pytest

import corpuscurate
from corpuscurate.core import run_folder

PACKAGE = Path(corpuscurate.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != Path(run_folder.__file__))
FILES = sorted(
    value
    for name, value in vars(run_folder).items()
    if name.isupper() and isinstance(value, str) and re.search(r"\.(json|arrow)$", value)
)
NAMES = "|".join(
    [
        *(rf"""["']{re.escape(name)}["']""" for name in FILES),
        r"""["']_run["'/]""",
        r"""f?["'](measure|settle|sketch|reread|earlier|basis)-["'{]""",
        r"""["']part-[^"']*\.(parquet|jsonl|\{suffix)""",
        r"""/ ["'](data|dropped|edits|quarantine|write|publish|kept|lock)["']""",
    ]
)


def test_the_names_are_found():
    assert {"docs.arrow", "report.json", "settled.json", "index.json"} <= set(FILES)
    assert re.search(NAMES, 'out / "_run"')
    assert re.search(NAMES, "folder / 'docs.arrow'")
    assert re.search(NAMES, 'f"settle-{label}"')


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_spells_a_name_of_the_run_folder(path):
    found = [line.strip() for line in path.read_text().splitlines() if re.search(NAMES, line)]
    assert found == []


def test_names_sort_in_order():
    numbers = [0, 9, 10, 99_999, 100_000, 99_999_999]
    names = [run_folder.part_name(number, "parquet") for number in numbers]
    assert sorted(names, key=str.encode) == names
    assert run_folder.published(run_folder.unpublished("data", names[3])) == f"data/{names[3]}"
    part = run_folder.unpublished("data", names[4], "train")
    assert run_folder.published(part) == f"data/train/{names[4]}"
