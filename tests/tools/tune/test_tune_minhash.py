import json

import numpy as np
import pytest
from naive import neardup
from support.dedup import make_batch
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.errors import RecipeError
from corpuscurate.recipe.load import load_recipe
from corpuscurate.tools.tune import minhash_sample as trial
from corpuscurate.tools.tune.minhash import LEVELS, summary, tune


def families(seed: int, size: int) -> list[str]:
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    while len(texts) < size:
        words = [f"w{i}" for i in rng.integers(0, 3000, 40)]
        for _ in range(rng.integers(1, 7)):
            copy = list(words)
            for _ in range(rng.integers(0, 4)):
                copy[rng.integers(0, len(copy))] = f"x{rng.integers(0, 3000)}"
            texts.append(" ".join(copy))
    return [texts[i] for i in rng.permutation(len(texts))][:size]


def recipe(folder, texts, **stage):
    for number in range(2):
        with (folder / f"shard-{number}.jsonl").open("w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts[number::2])
    path = folder / "recipe.yaml"
    steps = [{"minhash": {"ngram": 2, "threshold": 0.6, "values": 64, **stage}}]
    value = {"input": {"paths": ["shard-*.jsonl"]}, "stages": steps, "output": {"path": "out"}}
    path.write_text(json.dumps({**value, "run": {"workers": 1, "runner": "inprocess"}}))
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    texts = [*families(1, 150), "", "\u001b[31mred \u202e alert"]
    texts += [texts[-1] + " x"]
    return recipe(folder, texts), [*texts[0::2], *texts[1::2]]


def test_equals_all_pairs_where_every_document_is_a_query(corpus):
    path, texts = corpus
    spec = load_recipe(path)
    found = tune(spec, documents=len(texts), examples=2)
    edges = neardup.edges(texts, 2, LEVELS[0])
    assert found["documents"] == found["queries"] == len(texts) - 1
    for level in found["levels"]:
        similar = {pair for pair, j in edges.items() if j >= level["threshold"]}
        assert level["pairs_per_document"] * found["queries"] == pytest.approx(2 * len(similar))
        removed = {later for _, later in similar}
        assert level["removed_ratio"] == pytest.approx(len(removed) / found["queries"])
        for banding in level["bandings"]:
            assert banding["recall"] is None or 0 <= banding["recall"] <= 1
            assert banding["removed_ratio"] <= level["removed_ratio"]
        loosest = max(level["bandings"], key=lambda banding: banding["probability_at_threshold"])
        assert loosest["recall"] is None or loosest["recall"] > 0.97
        strictest = max(level["bandings"], key=lambda banding: banding["rows"])
        assert strictest["precision"] is None or strictest["precision"] >= loosest["precision"]
    assert sum(bool(level["pairs_per_document"]) for level in found["levels"]) > 5
    for pair in found["examples"]:
        a, b = (text for _, text in pair["documents"])
        both, either = neardup.jaccard(set(neardup.shingles(a, 2)), set(neardup.shingles(b, 2)))
        assert pair["similarity"] == both / either


def test_candidates_are_those_that_share_a_band_of_the_recipe(corpus):
    path, texts = corpus
    spec = load_recipe(path)
    found = tune(spec, documents=len(texts))
    stage = spec.stages[0]
    bands, rows = stage.bands_and_rows
    assert next(banding for banding in found["bandings"] if "recipe" in banding["names"])["bands"] == bands
    sketch = stage.sketch(make_batch(texts, range(len(texts))))
    values = np.stack([sketch[f"value_{j:04d}"].to_numpy() for j in range(64)], axis=1)
    met = similar = 0
    for (i, j), similarity in neardup.edges(texts, 2, 0.6).items():
        similar += similarity >= 0.6
        equal = values[i, : bands * rows] == values[j, : bands * rows]
        met += bool(equal.reshape(bands, rows).all(axis=1).any())
    level = next(level for level in found["levels"] if level["threshold"] == 0.6)
    own = next(row for row in level["bandings"] if (row["bands"], row["rows"]) == (bands, rows))
    assert own["recall"] == pytest.approx(met / similar)


def test_more_matches_than_are_compared_are_sampled_and_weighted(tmp_path, monkeypatch):
    monkeypatch.setattr("corpuscurate.tools.tune.minhash.MATCHES", 10)
    texts = [
        "the same words in each " + "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2 + str(i)
        for i in range(60)
    ]
    spec = load_recipe(recipe(tmp_path, texts))
    found = tune(spec, documents=20, examples=0)
    assert found["matches"] == 20 * 59 and found["pairs"] == 200 and found["sampled_matches"] == 20
    assert found["levels"][0]["pairs_per_document"] == pytest.approx(59)


def test_nothing_depends_on_how_many_rows_are_matched_at_once(corpus, monkeypatch):
    path, _ = corpus
    spec = load_recipe(path)
    first = tune(spec, documents=40)
    monkeypatch.setattr(trial, "_ROWS", 7)
    assert tune(spec, documents=40) == first
    assert first["queries"] == 40


def test_no_duplicates_and_no_documents(tmp_path):
    for number, texts in enumerate([["", " "], ["a b c", "d e f"]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        spec = load_recipe(recipe(folder, texts))
        found = tune(spec)
        assert found["matches"] == 0 and found["examples"] == []
        assert all(level["removed_ratio"] == 0 for level in found["levels"])


def test_the_command_prints_json_or_escaped_text(corpus):
    path, _ = corpus
    result = CliRunner().invoke(app, ["tune", "minhash", str(path), "--json", "--documents", "200"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["levels"]) == len(LEVELS)
    result = CliRunner().invoke(app, ["tune", "minhash", str(path), "--documents", "200", "--examples", "50"])
    assert result.exit_code == 0, result.output
    assert "the recipe's" in result.stdout and "P(candidate) by similarity" in result.stdout
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
    assert "\\x1b[31mred \\u202e alert" in result.stdout


def test_a_recipe_without_the_stage(tmp_path):
    path = tmp_path / "r.yaml"
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    path.write_text("input: {paths: [a.jsonl]}\nstages: [{length: {min_words: 1}}]\noutput: {path: out}\n")
    spec = load_recipe(path)
    with pytest.raises(RecipeError, match="no stage 'minhash' to tune; its stages: length"):
        tune(spec)


def test_an_index_is_named_as_not_looked_at(tmp_path):
    spec = load_recipe(recipe(tmp_path, families(2, 20), index="earlier"))
    found = tune(spec, documents=20, examples=0)
    assert found["index"] == [str(tmp_path / "earlier")]
    assert summary(found).endswith(f"The documents of index {tmp_path / 'earlier'} were not looked at.")
