"""Labelled documents from folders: what is read, and what is not."""

from __future__ import annotations

import orjson

from corpuscurate.tools.train.data import gather
from corpuscurate.tools.train.recipe import TrainRecipe


def test_labels_in_names_of_folders_and_files_that_are_not_read(tmp_path):
    for label in ("hq", "lq"):
        folder = tmp_path / "in" / f"label={label}"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_bytes(b"".join(orjson.dumps({"text": f"{label} {n}"}) + b"\n" for n in range(3)))
    (tmp_path / "in" / "more.csv").write_text("x")
    given = {"input": [{"paths": ["in"], "label_columns": ["label"]}], "positive": "hq", "output": "out"}
    recipe = TrainRecipe.model_validate_json(orjson.dumps(given))
    (tmp_path / "work").mkdir()
    documents = gather(recipe, tmp_path, tmp_path / "work")
    assert documents.names == ("hq", "lq")
    assert documents.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert documents.notes == (
        "input[0]: input.paths: 1 file of the input's folders is not read, since their suffixes tell no format:"
        " more.csv. Name them in `paths` to have them read, with `format:` where the suffix tells none.",
    )
