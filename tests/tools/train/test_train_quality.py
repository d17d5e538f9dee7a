from __future__ import annotations

import os
import random
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import CorpusCurateError, InputError, OutputError, RecipeError
from corpuscurate.stages.fasttext_quality import FasttextQuality
from corpuscurate.tools.train import fasttext as fasttext_trainer
from corpuscurate.tools.train.data import gather, names_of, renames
from corpuscurate.tools.train.evaluate import calibration, keep_fractions, precision_recall, roc_auc
from corpuscurate.tools.train.fasttext import write_lines
from corpuscurate.tools.train.issues import likely_wrong, not_judged, out_of_fold
from corpuscurate.tools.train.job import train_quality
from corpuscurate.tools.train.near_copies import joined
from corpuscurate.tools.train.recipe import FasttextParameters, load_train_recipe
from corpuscurate.tools.train.split import folds, split

pytestmark = [
    pytest.mark.skipif(find_spec("fasttext") is None, reason="fasttext-community is not installed"),
    pytest.mark.skipif(find_spec("cleanlab") is None, reason="cleanlab is not installed"),
]

PROSE = "river stone winter garden letter summer music glass road evening mountain harbour silence".split()  # noqa: SIM905
SPAM = "click free winner offer bonus cheap deal casino prize discount urgent limited subscribe cash".split()  # noqa: SIM905
PARAMETERS = {"dim": 8, "bucket": 2000, "epoch": 20, "lr": 0.5}


def sentence(draw, words, noise):
    return " ".join(draw.choice(words if draw.random() > noise else PROSE + SPAM) for _ in range(14))


def documents(count=240, seed=1):
    """Two kinds of text that a classifier can tell apart, with a few near-copies."""
    draw = random.Random(seed)  # noqa: S311
    rows = []
    for number in range(count):
        good = number % 2 == 0
        text = sentence(draw, PROSE if good else SPAM, 0.2)
        rows.append({"id": f"d{number}", "text": text, "label": "hq" if good else "cc", "src": f"s{number % 3}"})
    return rows


def write(folder: Path, rows, **recipe):
    (folder / "data.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    value = {
        "input": [{"paths": "data.jsonl", "label_columns": "label", "id": "id"}],
        "positive": "hq",
        "parameters": PARAMETERS,
        "output": "model",
        **recipe,
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


def run(path: Path, **more):
    recipe, base = load_train_recipe(path)
    return train_quality(recipe, base, **more)


def test_a_model_with_its_card(tmp_path):
    rows = documents()
    card = run(write(tmp_path, rows))
    model = tmp_path / "model"
    assert sorted(path.name for path in model.iterdir()) == ["card.json", "card.md", "label_issues.jsonl", "model.bin"]
    assert card["test"]["f1"] > 0.9
    assert card["test"]["roc_auc"] > 0.95
    assert card["own_evaluation"]["precision_at_1"] == pytest.approx(card["test"]["accuracy"], abs=0.01)
    assert {word for word, _ in card["words"]["for"][:5]} <= set(PROSE)
    assert {word for word, _ in card["words"]["against"][:5]} <= set(SPAM)
    assert sum(sum(part.values()) for part in card["data"]["counts"].values()) == len(rows)
    assert orjson.loads((model / "card.json").read_bytes())["test"] == orjson.loads(orjson.dumps(card["test"]))
    text = (model / "card.md").read_text()
    assert "none of them a near-copy of a training document" in text
    assert "data.jsonl" in text
    stage = FasttextQuality(**card["use"]["fasttext_quality"])
    scores = stage.measure(_batch(["river stone garden", "free casino bonus"]))["score"]
    assert scores[0] > 0.8
    assert scores[1] < 0.2


def _batch(texts):
    from corpuscurate.core.batch import Batch

    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def test_training_repeats_to_the_byte(tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(write(tmp_path / name, documents(), labels={"find_issues": False}))
        found.append((tmp_path / name / "model" / "model.bin").read_bytes())
    assert found[0] == found[1]


def test_near_copies_and_groups_never_straddle_training_and_test(tmp_path):
    draw = random.Random(2)  # noqa: S311
    rows = []
    for number in range(120):
        base = [draw.choice(PROSE if number % 2 else SPAM) for _ in range(60)]
        for copy in range(3):
            words = [*base[:-1], f"unique{number}x{copy}"]
            rows.append({"id": f"{number}-{copy}", "text": " ".join(words), "label": "hq" if number % 2 else "cc"})
    recipe, base = load_train_recipe(write(tmp_path, rows))
    from corpuscurate.tools.train.near_copies import cluster_hashes, clusters, exact_and_near

    found = gather(recipe, base, tmp_path)
    exact, near = exact_and_near(found, tmp_path, 0.8, 1)
    cluster = cluster_hashes(found, clusters(found, exact, near))
    parts = split(found.labels, exact, cluster, 0.3, 0)
    sides = {}
    for side, part in (("train", parts.train), ("test", parts.test)):
        for row in part.tolist():
            assert sides.setdefault(rows[row]["id"].split("-")[0], side) == side
    assert len(set(sides.values())) == 2


def test_planted_wrong_labels_are_listed_and_dropped(tmp_path):
    rows = documents(400)
    wrong = set(range(0, 400, 20)) | set(range(7, 400, 40))
    for number in wrong:
        rows[number]["label"] = "cc" if rows[number]["label"] == "hq" else "hq"
    path = write(tmp_path, rows)
    card = run(path, drop_label_issues=True)
    listed = [orjson.loads(line) for line in (tmp_path / "model" / "label_issues.jsonl").read_bytes().splitlines()]
    assert card["label_issues"] == {"looked_for": True, "found": len(listed), "dropped": True, "not_judged": {}}
    hits = {int(row["id"][1:]) for row in listed} & wrong
    assert len(hits) >= 0.7 * len(wrong) * 0.8  # of those in the training part, most
    assert len(hits) >= 0.6 * len(listed)
    assert all(row["likely"] != row["label"] for row in listed[:5])


def test_annotators_are_weighed(tmp_path):
    rows = documents(300)
    draw = random.Random(4)  # noqa: S311
    for row in rows:
        truth = row["label"]
        other = "cc" if truth == "hq" else "hq"
        row["a1"], row["a2"] = truth, truth if draw.random() < 0.95 else other
        row["a3"] = draw.choice([truth, other])
    recipe = {"input": [{"paths": "data.jsonl", "label_columns": ["a1", "a2", "a3"], "id": "id"}]}
    card = run(write(tmp_path, rows, **recipe))
    quality = [each["quality"] for each in card["annotators"]["annotators"]]
    assert quality[2] < min(quality[0], quality[1])
    assert card["annotators"]["with_disagreement"] > 100
    assert card["test"]["f1"] > 0.9


@dataclass(frozen=True)
class Given:
    """Documents for `out_of_fold`, whose texts do not matter."""

    names: tuple[str, ...]

    def texts(self, rows):
        yield [""] * len(rows)


def test_a_label_of_one_group_is_learned_from_the_others_and_not_judged(tmp_path):
    """Where the one group with a label is left out, the model learns the other labels, and judges their documents."""
    names = ("cc", "hq", "other")
    labels = np.array([0, 1] * 30 + [2] * 60)
    learned = []

    class Told:
        def __init__(self, names):
            self.names = names

        def probabilities(self, texts):
            shares = {"cc": 0.7, "hq": 0.2, "other": 0.1} if len(self.names) == 3 else {"cc": 0.6, "hq": 0.4}
            return np.tile([shares[name] for name in self.names], (len(texts), 1))

    def train(documents, labels, rows, folder):
        learned.append({documents.names[i] for i in labels[rows]})
        return Told(documents.names)

    cluster = np.where(labels == 2, 5, np.arange(len(labels))).astype(np.uint64)
    found = out_of_fold(train, Given(names), labels, np.arange(len(labels)), cluster, 3, tmp_path)
    assert sorted(map(len, learned)) == [2, 3, 3]
    assert {"cc", "hq"} in learned
    assert (found.judged == (labels != 2)).all()
    assert np.allclose(found.probabilities[labels == 2], 1 / 3)
    assert {tuple(row) for row in found.probabilities[labels != 2].tolist()} == {(0.7, 0.2, 0.1), (0.6, 0.4, 0.0)}
    assert not_judged(labels, found, names) == {"other": 60}


def test_nothing_is_judged_where_one_label_alone_is_left(tmp_path):
    labels = np.array([0] * 5 + [1] * 5)
    cluster = np.repeat([1, 2], 5).astype(np.uint64)
    two = next(seed for seed in range(50) if len({*folds(cluster + np.uint64(seed), 2)}) == 2)
    found = out_of_fold(None, Given(("a", "b")), labels, np.arange(10), cluster + np.uint64(two), 2, tmp_path)
    assert not found.judged.any()
    assert likely_wrong(labels, found).tolist() == []


def test_wrong_labels_are_found_beside_a_label_in_one_fold(tmp_path):
    rows = documents(400)
    wrong = set(range(0, 400, 20))
    for number in wrong:
        rows[number]["label"] = "cc"
    for number in range(120):  # two sites: one is held out, and one fold has the other
        draw = random.Random(number)  # noqa: S311
        text = sentence(draw, [word + "en" for word in PROSE], 0.1)
        rows.append({"id": f"o{number}", "text": text, "label": "other", "site": "one" if number % 2 else "two"})
    given = [{"paths": "data.jsonl", "label_columns": "label", "id": "id", "group": "site"}]
    for seed in range(20):
        recipe = {"input": given, "split": {"seed": seed}, "output": f"model-{seed}"}
        try:
            card = run(write(tmp_path, rows, **recipe))
            break
        except InputError as error:
            assert "part has no document with the label 'other'" in str(error)
    lines = (tmp_path / f"model-{seed}" / "label_issues.jsonl").read_bytes().splitlines()
    listed = [orjson.loads(line) for line in lines]
    assert len({int(row["id"][1:]) for row in listed if row["id"][0] == "d"} & wrong) >= 0.6 * 0.8 * len(wrong)
    assert not [row for row in listed if row["label"] == "other"]
    assert card["label_issues"]["not_judged"] == {"other": 60}
    assert "was not looked at for 60 documents with the label 'other'" in card["notes"][-1]
    assert card["notes"][-1] in (tmp_path / f"model-{seed}" / "card.md").read_text()


def test_a_rare_label_of_annotators_is_told(tmp_path):
    rows = [{**row, "a1": row["label"], "a2": row["label"]} for row in documents()]
    rows[5] |= {"a1": "rare", "a2": "rare"}
    recipe = {"input": [{"paths": "data.jsonl", "label_columns": ["a1", "a2"]}]}
    with pytest.raises(InputError, match="too few different documents to train on: 'rare' has 1;"):
        run(write(tmp_path, rows, **recipe))


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        ({"labels": {"find_issues": False}}, {"drop_label_issues": True}, "find_issues: false finds no labels to drop"),
        ({}, {"workers": 0}, "workers: 0 is not allowed: must be >= 1"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, recipe, more, message):
    with pytest.raises(RecipeError, match=message):
        run(write(tmp_path, documents(4), **recipe), **more)


def test_words_of_a_tree_of_labels(tmp_path):
    """With loss hs the rows of the output matrix are nodes, not labels."""
    rows = documents(450)
    for row in rows[::3]:
        row |= {"text": " ".join(word + "en" for word in row["text"].split()), "label": "other"}
    parameters = {**PARAMETERS, "loss": "hs", "word_ngrams": 1}
    for label, words in (("hq", PROSE), ("cc", SPAM), ("other", [word + "en" for word in PROSE + SPAM])):
        rule = {"find_issues": False}
        card = run(write(tmp_path, rows, positive=label, parameters=parameters, labels=rule, output=f"model-{label}"))
        assert {word for word, _ in card["words"]["for"][:5]} <= set(words)


def test_a_model_too_small_to_quantize(tmp_path):
    parameters = {**PARAMETERS, "bucket": 1, "quantize": True}
    with pytest.raises(CorpusCurateError, match=r"fastText cannot make the smaller model: .*256 rows"):
        run(write(tmp_path, documents(), parameters=parameters, labels={"find_issues": False}))


def test_a_small_model_beside_the_large_one(tmp_path, monkeypatch):
    parameters = {**PARAMETERS, "bucket": 20_000, "quantize": True, "cutoff": 300}
    card = run(write(tmp_path, documents(), parameters=parameters, labels={"find_issues": False}))
    model = tmp_path / "model"
    assert card["files"] == ["model.bin", "model.ftz"]
    assert card["file_bytes"] == {name: (model / name).stat().st_size for name in card["files"]}
    assert card["file_bytes"]["model.ftz"] < card["file_bytes"]["model.bin"] / 10
    small = card["small"]
    assert small["test"]["f1"] > 0.85
    stage = FasttextQuality(**small["use"]["fasttext_quality"])
    assert stage.model == str(model / "model.ftz")
    assert len(stage.measure(_batch(["river stone garden"]))["score"]) == 1
    assert "| model.ftz | " in (model / "card.md").read_text()
    assert card["notes"] == []


def test_the_smaller_model_repeats_to_the_byte(tmp_path):
    parameters = {**PARAMETERS, "quantize": True, "cutoff": 300}
    rule = {"find_issues": False}
    for name in ("one", "two"):
        run(write(tmp_path, documents(), parameters=parameters, labels=rule, output=name))
    assert (tmp_path / "one" / "model.ftz").read_bytes() == (tmp_path / "two" / "model.ftz").read_bytes()


def test_a_large_model_says_how_to_get_a_small_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fasttext_trainer, "LARGE", 50_000)
    path = write(tmp_path, documents(), labels={"find_issues": False})
    result = CliRunner().invoke(app, ["train", "quality", str(path)], catch_exceptions=False)
    assert "2,000 buckets of n-grams. `parameters: {quantize: true}` also writes a small model.ftz" in result.output
    assert f"model.bin {(tmp_path / 'model' / 'model.bin').stat().st_size / 1e3:.1f} kB" in result.output
    assert "quantize: true" in (tmp_path / "model" / "card.md").read_text()


def test_shortest_above_longest_character_ngram(tmp_path):
    with pytest.raises(RecipeError, match=r"min_n \(6\) is above max_n \(4\)"):
        run(write(tmp_path, documents(4), parameters={"min_n": 6, "max_n": 4}))
    assert FasttextParameters(min_n=6).max_n == 0  # no character n-grams, whatever the shortest


def test_equal_texts_count_once_and_contradictions_not_at_all(tmp_path):
    rows = documents()
    rows += [{**rows[0], "id": "copy"}, {**rows[1], "id": "contrary", "label": "hq"}]
    card = run(write(tmp_path, rows, labels={"find_issues": False}))
    assert card["data"]["duplicates"] == 1
    assert card["data"]["contradictory"] == 2
    assert sum(sum(part.values()) for part in card["data"]["counts"].values()) == len(rows) - 3


def relabelled(labels):
    return [{**row, "label": labels[number % len(labels)]} for number, row in enumerate(documents())]


@pytest.mark.parametrize(
    ("rows", "recipe", "message"),
    [
        (relabelled(["hq"]), {}, "all 240 documents have the label 'hq': a classifier needs documents of at least two"),
        (
            relabelled(["hq", "Good", "good ", "GOOD", "good", " Good"]),
            {"positive": "good"},
            r"several spellings, .*' Good' \(40\), 'GOOD' \(40\), 'Good' \(40\), 'good' \(40\), 'good ' \(40\)",
        ),
        (documents(20), {}, r"too few different documents to train on: 'cc' has 10, 'hq' has 10; .* at least 50"),
        (documents(), {"positive": "qh"}, "no document has the label 'qh'. The labels are: cc, hq"),
        (
            documents(),
            {"input": [{"paths": "data.jsonl", "label_columns": "lable"}]},
            r"input\[0\]: the input has no column 'lable'. The columns there are: id, text, label, src",
        ),
        (
            [{"content": row["text"], "label": row["label"]} for row in documents()],
            {},
            r"input\[0\]: the input has no column 'text'. The columns there are: content, label",
        ),
        (documents(), {"input": [{"paths": "none.jsonl", "label": "hq"}]}, "none.jsonl"),
        (
            documents(),
            {"input": [{"paths": "data.jsonl", "label_columns": "label", "group": "label"}]},
            "part has no document with the label",
        ),
    ],
)
def test_data_that_cannot_be_learned_from(tmp_path, rows, recipe, message):
    with pytest.raises(InputError, match=message):
        run(write(tmp_path, rows, **recipe))
    assert not (tmp_path / "model").exists()


def test_spellings_can_be_renamed(tmp_path):
    rows = [{**row, "label": {"hq": "Good", "cc": "bad"}[row["label"]]} for row in documents()]
    rows[0]["label"] = "GOOD"
    rule = {"rename": {"GOOD": "Good"}, "find_issues": False}
    assert run(write(tmp_path, rows, positive="Good", labels=rule))["labels"] == ["Good", "bad"]


@pytest.mark.parametrize(
    ("good", "bad", "more", "positive", "names"),
    [
        ([1, 1.0, "1", "1.0"], [0, 0.0, -0.0], [None, "", " "], "1", ["0", "1"]),
        ([1.0], [0.0], [None], "1.0", ["0", "1"]),
        (["hq", "__label__hq"], ["lq"], ["__label__"], "__label__hq", ["hq", "lq"]),
        ([True, "true"], [False], [], "true", ["false", "true"]),
        ([2.5], [-3.0, -3], [], "2.5", ["-3", "2.5"]),
        (["007"], ["7b"], [], "007", ["007", "7b"]),
    ],
)
def test_one_label_in_several_spellings(tmp_path, good, bad, more, positive, names):
    rows = documents(160)
    for number, row in enumerate(rows):
        kind = good if row["label"] == "hq" else bad
        row["label"] = kind[number // 2 % len(kind)]
    rows += [{**row, "label": label, "text": f"{row['text']} x"} for label in more for row in rows[:9]]
    rule = {"find_issues": False}
    card = run(write(tmp_path, rows, positive=positive, labels=rule))
    assert card["labels"] == names
    assert card["positive"] in names
    assert card["data"]["unlabelled"] == 9 * len(more)
    stage = FasttextQuality(**{**card["use"]["fasttext_quality"], "target": positive})
    assert stage.measure(_batch(["river stone garden"]))["score"][0] > 0.5


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, "1e0"], r"several spellings.*'1' \(\d+\), '1e0' \(\d+\)"),
        (["7", "007"], r"several spellings.*'007' \(\d+\), '7' \(\d+\)"),
        ([True, "True"], "several spellings.*'True'.*'true'"),
        (["a", "nan"], "the label 'nan', as programs write a missing number"),
    ],
)
def test_spellings_that_only_a_person_can_decide(tmp_path, labels, message):
    with pytest.raises(InputError, match=message):
        run(write(tmp_path, relabelled([*labels, "x"]), positive="x"))


def test_missing_numbers_in_a_column_of_floats_are_no_labels_and_no_groups(tmp_path):
    rows = documents(160)
    labels = [1.0 if row["label"] == "hq" else 0.0 for row in rows] + [float("nan")] * 10 + [None]
    texts = [row["text"] for row in rows] + [f"text {i}" for i in range(11)]
    groups = [float("nan")] * 80 + [None] * 89 + [7.0, 7.0]
    for kind in (pa.float64(), pa.float32()):
        table = pa.table({"text": texts, "label": pa.array(labels, kind), "site": pa.array(groups, kind)})
        pq.write_table(table, tmp_path / "data.parquet")
        given = [{"paths": "data.parquet", "label_columns": "label", "group": "site"}]
        recipe, base = load_train_recipe(write(tmp_path, [], input=given, positive="1"))
        found = gather(recipe, base, tmp_path)
        assert (found.names, found.positive, found.unlabelled) == (("0", "1"), "1", 11)
        assert found.table.column("group").null_count == 160
    names = names_of(pa.chunked_array([pa.array([1.0, None]).dictionary_encode()])).to_pylist()
    assert names == ["1", None]


def test_renaming_to_no_label_and_from_any_spelling(tmp_path):
    rows = relabelled([1.0, 0, "skip", 3])
    rule = {"find_issues": False, "rename": {"1.0": "hq", "__label__0": "cc", "skip": "", "3": "cc"}}
    recipe, base = load_train_recipe(write(tmp_path, rows, labels=rule))
    found = gather(recipe, base, tmp_path)
    assert (found.names, found.unlabelled) == (("cc", "hq"), 60)
    with pytest.raises(InputError, match=r"'1\.0' is another spelling of a label that has another name there"):
        renames({"1": "a", "1.0": "b"})


def test_a_label_without_anything_in_it(tmp_path):
    with pytest.raises(RecipeError, match="'  ' is no label"):
        run(write(tmp_path, documents(4), input=[{"paths": "data.jsonl", "label": "  "}]))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"trainer": "fastext"}, "unknown trainer 'fastext'. The nearest names are: fasttext"),
        ({"parameters": {"dimm": 3}}, "parameters.dimm: unknown key. The nearest names are: dim"),
        ({"split": {"test": 1.5}}, "split.test: 1.5 is not allowed: must be > 0 and < 1"),
        (
            {"input": [{"paths": "data.jsonl"}]},
            "give either `label`, the same for all its docu",
        ),
    ],
)
def test_wrong_recipes(tmp_path, recipe, message):
    with pytest.raises(RecipeError, match=message):
        run(write(tmp_path, documents(4), **recipe))


def test_an_output_that_is_there(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "x").write_text("mine")
    with pytest.raises(OutputError, match="is there already and not empty"):
        run(write(tmp_path, documents(4)))


def test_two_inputs_with_a_label_each(tmp_path):
    for kind in ("hq", "cc"):
        rows = [{"text": row["text"]} for row in documents() if row["label"] == kind]
        (tmp_path / f"{kind}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    inputs = [{"paths": f"{kind}.jsonl", "label": kind, "source": f"from {kind}"} for kind in ("hq", "cc")]
    card = run(write(tmp_path, [], input=inputs, labels={"find_issues": False}))
    assert [row["source"] for row in card["test"]["sources"]] == ["from cc", "from hq"]


def test_lines_for_fasttext_hold_no_labels_of_the_text(tmp_path):
    class Three:
        def texts(self, rows):
            yield pa.array(["a __label__hq b\nc", "__label__x", "x__label__y\r\0z"], TEXT)

    write_lines(Three(), np.array([0, 1, 0]), np.arange(3), ("hq", "cc"), tmp_path / "t.txt")
    assert (tmp_path / "t.txt").read_bytes() == b"__label__hq a   b c\n__label__cc  \n__label__hq x__label__y\r z\n"


def test_the_order_of_the_input_changes_nothing(tmp_path):
    rows = documents(160)
    orders = {"mixed": rows, "sorted": sorted(rows, key=lambda row: row["label"])}
    models = []
    for name, order in orders.items():
        folder = tmp_path / name
        folder.mkdir()
        run(write(folder, order, labels={"find_issues": False}))
        models.append((folder / "model" / "model.bin").read_bytes())
    assert models[0] == models[1]


@pytest.mark.parametrize(
    ("documents", "given", "epoch", "lr"),
    [
        (100, {}, 50, 1.0),
        (461, {}, 44, 20_000 / (461 * 44)),
        (2000, {}, 10, 1.0),
        (20_000, {}, 5, 0.2),
        (40_000, {}, 5, 0.1),
        (1_000_000, {}, 5, 0.1),
        (461, {"lr": 0.2}, 44, 0.2),
        (461, {"epoch": 100}, 100, 20_000 / 46_100),
        (461, {"epoch": 3, "lr": 0.05}, 3, 0.05),
    ],
)
def test_few_documents_are_learned_from_longer(documents, given, epoch, lr):
    assert FasttextParameters(**given).schedule(documents) == {"epoch": epoch, "lr": pytest.approx(lr)}


def test_the_card_tells_what_was_left_to_the_trainer(tmp_path):
    given = {"dim": 8, "bucket": 2000}
    card = run(write(tmp_path, documents(), parameters=given, labels={"find_issues": False}))
    assert (card["parameters"]["epoch"], card["parameters"]["lr"]) == (50, 1.0)
    assert card["test"]["f1"] > 0.9


def test_roc_auc_by_counting_pairs():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.8, 0.9]), np.array([False, True, False, True, False])
    pairs = [(a, b) for a, yes in zip(scores, positive, strict=True) if yes for b in scores[~positive]]
    wanted = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    assert roc_auc(scores, positive) == pytest.approx(wanted)
    assert np.isnan(roc_auc(scores, np.zeros(5, bool)))


def test_figures_worked_by_hand():
    predicted, positive = np.array([True, True, True, False]), np.array([True, False, True, True])
    assert precision_recall(predicted, positive) == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})
    scores = np.array([0.95, 0.85, 0.15, 0.05])
    found = calibration(scores, np.array([True, False, False, False]))
    assert found["expected_calibration_error"] == pytest.approx((0.05 + 0.85 + 0.15 + 0.05) / 4)
    assert found["brier_score"] == pytest.approx((0.05**2 + 0.85**2 + 0.15**2 + 0.05**2) / 4)
    half = next(row for row in keep_fractions(scores, np.array([True, False, False, False])) if row["fraction"] == 0.5)
    assert (half["documents"], half["min_score"], half["precision"], half["recall"]) == (2, 0.85, 0.5, 1.0)


def test_partitions_are_joined():
    assert joined(np.array([0, 0, 2, 3, 4]), np.array([0, 1, 1, 3, 4])).tolist() == [0, 0, 0, 3, 4]


@pytest.mark.skipif("CORPUSCURATE_DATA" not in os.environ, reason="CORPUSCURATE_DATA is not set")
def test_reading_levels_of_real_articles_stay_together(tmp_path):
    data = Path(os.environ["CORPUSCURATE_DATA"]) / "quality" / "onestop_english.jsonl.gz"
    inputs = [{"paths": str(data), "label_columns": "label", "id": "id", "group": "parallel_id"}]
    parameters = {"bucket": 20_000}
    rule = {"find_issues": False}
    card = run(write(tmp_path, [], input=inputs, positive="ele", parameters=parameters, labels=rule))
    assert card["own_evaluation"]["precision_at_1"] == pytest.approx(card["test"]["accuracy"], abs=0.01)
    assert card["test"]["accuracy"] > 0.6  # a third by guessing
    assert card["test"]["documents"] % 3 == 0  # whole articles, each of three levels
