"""`confirm` of the stage `semantic`: a pair that the second opinion does not confirm is no pair."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import neighbours as naive
from naive.neardup import shingles
from naive.sketches import character_shingles
from pydantic import ValidationError
from support.dedup import drops_of, rows_of
from support.forms import some
from support.semantic import COLUMN, families, lists_of, settle
from typer.testing import CliRunner

from corpuscurate import Pipeline, Settings, Sink, Source, curate
from corpuscurate.commands.app import app
from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.semantic import confirm as confirming
from corpuscurate.methods.semantic import decide, earlier, pairs
from corpuscurate.methods.semantic.confirm import Confirm
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages.semantic import Semantic

SECOND = {"kind": "column", "column": "second"}


def texts_of(rng, size, vocabulary=40, length=12, sources=6):
    """Texts that share much with some others and little with most; some are short, some have no word."""
    words = [f"w{i}" for i in range(vocabulary)]
    base = [rng.choice(words, length) for _ in range(sources)]
    found = []
    for _ in range(size):
        own = rng.choice(words, length)
        share = rng.choice([0, 0.3, 0.8, 1])
        mixed = np.where(rng.random(length) < share, base[rng.integers(sources)], own)
        found.append(" ".join(mixed[: rng.choice([1, 2, length, length, length])]))
    return ["..." if rng.random() < 0.05 else text for text in found]


def values_of(texts, second, confirm):
    """value(later, earlier) from the definition."""
    if confirm.embedder is not None:
        whole = quantised(second)[0].tolist()
        return lambda a, b: naive.cosine(whole[a], whole[b]) if any(whole[a]) and any(whole[b]) else math.nan
    grams = shingles if confirm.unit == "words" else character_shingles
    sets = [set(grams(text, confirm.ngram)) for text in texts]
    return lambda a, b: naive.containment(sets[a], sets[b])


def decisions(stage, rows, texts, second, folder, **more):
    settled = settle(stage, rows, folder, texts=texts, columns={"second": lists_of(second)}, **more)
    return settled, drops_of(settled)


def told(drops):
    for row in drops:
        first, other = row["failed"]
        assert (first["rule"], first["value"], other["rule"]) == (1, row["similarity"], 2)
        assert first["threshold"] is None and other["threshold"] is None
    return {
        row["doc_id"]: (row["duplicate_of"], row["matched"], row["similarity"], row["failed"][1]["value"])
        for row in drops
    }


def naive_told(rows, texts, second, stage, order, meets=lambda a, b: True):
    value = values_of(texts, second, stage.confirm)
    agrees = lambda a, b: value(a, b) >= stage.confirm.threshold  # noqa: E731
    matrix = naive.cosines(quantised(rows)[0])
    gone = naive.decide(order, matrix, meets, stage.rule, stage.cosine, agrees)
    return {x: (kept, by, cosine, value(x, by)) for x, (kept, by, cosine) in gone.items()}


CONFIRMS = {
    "words": 0.3,
    "single words": {"containment": 0.5, "ngram": 1},
    "characters": {"containment": 0.4, "unit": "characters", "ngram": 5},
    "all": 1.0,
    "embedder": {"embedder": SECOND, "similarity": 0.8},
}


@pytest.mark.parametrize("confirm", CONFIRMS.values(), ids=CONFIRMS)
@pytest.mark.parametrize("rule", ["independent", "paper"])
def test_decisions_equal_brute_force(tmp_path, rule, confirm):
    rng = np.random.default_rng(5)
    rows, second = families(1, 300), families(2, 300, dimension=4, spread=0.5)
    second[::31] = 0
    texts = texts_of(rng, 300)
    stage = Semantic(embedder=COLUMN, threshold=0.9, rule=rule, keep="first", confirm=confirm)
    settled, drops = decisions(stage, rows, texts, second, tmp_path / "d", splits=3)
    expected = naive_told(rows, texts, second, stage, range(300))
    assert told(drops) == expected
    without = naive.decide(range(300), naive.cosines(quantised(rows)[0]), lambda a, b: True, rule, 0.9)
    assert 5 < len(drops) < len(without)
    assert {row["matched"] for row in drops} - {matched for _, matched, _ in without.values()}
    stats = settled.stats["confirm"]
    assert 0 < stats["confirmed"] < stats["pairs"] <= settled.stats["pairs"]
    assert any(
        "confirm: " in note and f"{stats['confirmed']:,} of {stats['pairs']:,}" in note
        for note in settled.stats["notes"]
    )
    tagged = settle(
        stage.model_copy(update={"mode": "tag"}),
        rows,
        tmp_path / "t",
        texts=texts,
        columns={"second": lists_of(second)},
    )
    assert not tagged.drops
    tags = {row["doc_id"]: row for row in rows_of(tagged.tags)}
    name = stage.confirm.measure
    marked = {i: (row["cluster"], row["similarity"], row[name]) for i, row in tags.items() if not row["is_kept"]}
    assert marked == {i: (kept, cosine, value) for i, (kept, _, cosine, value) in expected.items()}
    assert all(row[name] is None for row in tags.values() if row["is_kept"])


@pytest.mark.parametrize("rule", ["independent", "paper"])
def test_a_crowd_of_near_documents_is_decided_by_the_few_that_agree(tmp_path, rule, monkeypatch):
    """More near ones than a list holds, most of which are unlike: who has no room in a list is found all the same."""
    rng = np.random.default_rng(7)
    size = 260
    rows = families(4, size, dimension=3, spread=0.05, topics=1)
    texts = [f"{rng.integers(900)} {rng.integers(900)} {rng.integers(900)}" for _ in range(size)]
    second = families(3, size, dimension=3, spread=2.0)
    for confirm in ({"containment": 0.3, "ngram": 1}, {"embedder": SECOND, "similarity": 0.98}):
        stage = Semantic(embedder=COLUMN, threshold=0.9, rule=rule, keep="first", confirm=confirm)
        expected = naive_told(rows, texts, second, stage, range(size))
        found = []
        for number, (block, asked, memory) in enumerate([(1 << 11, 64, 1 << 30), (16, 1, 9000)]):
            monkeypatch.setattr(decide, "_BLOCK", block)
            monkeypatch.setattr(earlier, "_BLOCK_ROWS", block)
            monkeypatch.setattr(decide, "_FIRST_ASKED", asked)
            monkeypatch.setattr(confirming, "_PAIRS", 3 * asked)
            folder = tmp_path / f"{stage.confirm.measure}-{number}"
            settled, drops = decisions(stage, rows, texts, second, folder, memory_bytes=memory, splits=number + 1)
            assert told(drops) == expected
            found.append(settled.stats)
            assert not list(folder.rglob("*.tmp"))
        assert found[0] == found[1]
        assert 20 < len(expected) < size - 20
        assert found[0]["compared_again"] > 0


@settings(deadline=None, max_examples=some(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_corpus_clusters_and_thresholds(tmp_path_factory, data):
    seed = data.draw(st.integers(0, 1 << 20))
    size = data.draw(st.sampled_from([1, 2, 9, 60, 130]))
    rng = np.random.default_rng(seed)
    rows = families(seed, size, dimension=data.draw(st.integers(2, 6)), spread=data.draw(st.sampled_from([0.02, 0.3])))
    second = families(seed + 1, size, dimension=3, spread=0.6)
    texts = texts_of(rng, size, vocabulary=data.draw(st.sampled_from([5, 60])))
    bound = data.draw(st.sampled_from([0.1, 0.3, 0.5, 1.0]))
    confirm = data.draw(
        st.sampled_from([bound, {"containment": bound, "ngram": 3}, {"embedder": SECOND, "similarity": bound}])
    )
    clusters = data.draw(st.sampled_from([1, 3]))
    stage = Semantic(
        embedder=COLUMN, threshold=data.draw(st.sampled_from([0.5, 0.9, 0.99])), confirm=confirm, clusters=clusters,
        rule=data.draw(st.sampled_from(["independent", "paper"])), keep=data.draw(st.sampled_from(["first", "hard"])),
        probes=1 if clusters > 1 else data.draw(st.sampled_from([1, 2])),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("any")
    columns = {"second": lists_of(second)}
    tagging = stage.model_copy(update={"mode": "tag"})
    tags = {
        row["doc_id"]: row for row in rows_of(settle(tagging, rows, folder / "t", texts=texts, columns=columns).tags)
    }
    order = range(size)
    if stage.keep == "hard":
        order = sorted(order, key=lambda i: (tags[i]["centroid_similarity"], i))
    meets = lambda a, b: tags[a]["centroid"] == tags[b]["centroid"]  # noqa: E731
    more = {"splits": data.draw(st.integers(1, 4)), "memory_bytes": data.draw(st.sampled_from([9000, 1 << 30]))}
    _, drops = decisions(stage, rows, texts, second, folder / "d", **more)
    assert told(drops) == naive_told(rows, texts, second, stage, order, meets)


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("probes", [2, 9])
def test_documents_that_are_compared_in_further_clusters(tmp_path, rule, probes):
    rng = np.random.default_rng(9)
    rows, texts = families(5, 400, dimension=3, spread=0.6, topics=5), texts_of(rng, 400, vocabulary=30)
    stage = Semantic(
        embedder=COLUMN, threshold=0.97, rule=rule, keep="first", clusters=9, probes=probes, confirm=0.3, pairs_from=0.9
    )
    settle(stage, rows, tmp_path / "c", texts=texts, columns={"second": lists_of(rows)})
    centroids = np.load(Artefacts(str(tmp_path / "c" / "centroids"))["centroids.npy"]).astype(np.int64)
    products = quantised(rows)[0].astype(np.int64) @ centroids.T
    visits = np.argsort(-products, axis=1, kind="stable")[:, :probes].tolist()
    meets = lambda a, b: visits[a][0] in visits[b] or visits[b][0] in visits[a]  # noqa: E731
    _, drops = decisions(stage, rows, texts, rows, tmp_path / "d", splits=2)
    expected = naive_told(rows, texts, rows, stage, range(400), meets)
    assert told(drops) == expected and len(expected) > 30


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("border", [0.0, 2.0])
def test_crowds_in_several_cluster_ranges(tmp_path, rule, border, monkeypatch):
    """Full lists in clusters, cluster ranges and works of which none begins at the first row; with border 2 each
    document visits all clusters."""
    rng = np.random.default_rng(3)
    size = 300
    rows = families(4, size, dimension=3, spread=0.3, topics=1)
    texts = [f"{rng.integers(300)} {rng.integers(300)} {rng.integers(300)}" for _ in range(size)]
    stage = Semantic(
        embedder=COLUMN, threshold=0.9, rule=rule, keep="first", clusters=4, border=border,
        confirm={"containment": 0.3, "ngram": 1},
    )  # fmt: skip
    monkeypatch.setattr(pairs, "WORK_PAIRS", 2000)
    monkeypatch.setattr(decide, "_ASKED", 100)
    monkeypatch.setattr(earlier, "_BLOCK_ROWS", 16)
    monkeypatch.setattr(earlier, "_OPEN_RANGES", 1)
    more = {"splits": 2, "memory_bytes": 9000}
    tagging = stage.model_copy(update={"mode": "tag"})
    settled = settle(tagging, rows, tmp_path / "t", texts=texts, columns={"second": lists_of(rows)}, **more)
    home = {row["doc_id"]: row["centroid"] for row in rows_of(settled.tags)}
    settled, drops = decisions(stage, rows, texts, rows, tmp_path / "d", **more)
    assert len(list((tmp_path / "d").glob("order-*"))) > 2 and len(list((tmp_path / "d").glob("pairs-*"))) > 6
    expected = naive_told(rows, texts, rows, stage, range(size), lambda a, b: border > 0 or home[a] == home[b])
    assert told(drops) == expected and 20 < len(expected) < size - 20
    assert settled.stats["compared_again"] > 0


@pytest.mark.parametrize("rule", ["independent", "paper"])
def test_who_has_no_room_in_a_list_and_no_list(tmp_path, rule):
    """Two hubs, each near sixty documents that are not near one another; the one that agrees with the hub is the least
    near of them, so it stands in no list."""
    count, agreeing = 60, 20
    size, axes = count + 1, np.eye(count)
    near = np.where(np.arange(count) == agreeing, 0.72, 0.8)
    rows = np.zeros((2 * size, count + 2))
    for hub in range(2):
        star = rows[hub * size : (hub + 1) * size]
        star[:, hub] = [*near, 1]
        star[:count, 2:] = np.sqrt(1 - near**2)[:, None] * axes
    texts = [f"word{i} and word{i} more{i}" for i in range(2 * size)]
    for hub in range(2):
        texts[hub * size + agreeing] = texts[hub * size + count]
    plain = {"threshold": 0.7, "rule": rule, "keep": "first", "clusters": 2, "probes": 1, "seed": 1}
    settled, drops = decisions(Semantic(embedder=COLUMN, confirm=0.3, **plain), rows, texts, rows, tmp_path)
    assert dict(settled.stats["cluster_sizes"]["largest"]) == {0: size, 1: size}
    assert {row["doc_id"]: row["matched"] for row in drops} == {count: agreeing, size + count: size + agreeing}


def test_the_nearest_may_be_unlike_and_the_second_decides(tmp_path):
    degrees = np.radians([0, 10, 9])
    rows = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)
    texts = ["the cat sat on a mat", "stocks fell on monday again", "a cat sat on a mat"]
    stage = Semantic(embedder=COLUMN, keep="first", confirm=0.3)
    _, drops = decisions(stage, rows, texts, rows, tmp_path)
    assert [(row["doc_id"], row["matched"], row["duplicate_of"]) for row in drops] == [(2, 0, 0)]
    assert drops[0]["failed"][1]["value"] == 4 / 5


def test_what_goes_must_be_in_what_stays(tmp_path):
    """Containment has a direction: a long text is not dropped for a short one that stands in it."""
    short, long = "one two three four", "one two three four " + " ".join(f"w{i}" for i in range(40))
    rows = np.ones((2, 2), np.float32)
    for number, (texts, gone) in enumerate([((short, long), []), ((long, short), [1])]):
        stage = Semantic(embedder=COLUMN, keep="first", confirm=0.5)
        _, drops = decisions(stage, rows, texts, rows, tmp_path / str(number))
        assert [row["doc_id"] for row in drops] == gone


SCRIPTS = {
    "Greek": ("η γάτα κοιμάται στον ήλιο", "οι μετοχές έπεσαν πάλι σήμερα"),
    "Cherokee": ("ᎠᏂᎩᏚᏩᎩ ᎠᏂᏴᏫᏯ ᎤᏂᏬᏂᎯᏍᏗ", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᎠᏰᎵ"),
    "Chinese": ("猫在阳光下睡觉很舒服", "今天股票又下跌了不少"),
    "Thai": ("แมวนอนกลางแดด", "หุ้นตกอีกแล้ววันนี้"),
    "no words": ("... !!!", "??? ---"),
    "emoji": ("🐈🌞", "📉📈"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_that_the_embedder_cannot_tell_apart(name):
    """Equal vectors for all: copies go, other texts of the script stay; texts without a word are never confirmed."""
    one, other = SCRIPTS[name]
    table = pa.table({"text": [one, other, one, "plain english words here", other], "v": lists_of(np.ones((5, 2)))})
    plain = curate(table, [{"semantic": {"embedding": "v", "keep": "first"}}])
    assert pa.table(plain.kept).num_rows == 1
    kept = pa.table(curate(table, [{"semantic": {"embedding": "v", "keep": "first", "confirm": 0.3}}]).kept)
    words = name not in ("no words", "emoji")
    assert kept["text"].to_pylist() == [
        one,
        other,
        *([] if words else [one]),
        "plain english words here",
        *([] if words else [other]),
    ]


TEXTS = [
    "the cat sat on the mat and slept",
    "the cat sat on the mat and slept well",
    "prices rose again on the market today",
    "the cat sat on the mat",
]


def table_of(texts):
    return pa.table(
        {"id": [f"d{i}" for i in range(len(texts))], "text": texts, "v": lists_of(np.ones((len(texts), 2)))}
    )


def test_the_ledger_and_explain_tell_both_values(tmp_path):
    (tmp_path / "in").mkdir()
    pa.parquet.write_table(table_of(TEXTS), tmp_path / "in" / "a.parquet")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "input: {paths: [in], id: id}\nstages:\n  - semantic: {embedding: v, keep: first, confirm: 0.3}\n"
        "output: {path: out}\nrun: {workers: 1, runner: inprocess}\n"
    )
    assert CliRunner().invoke(app, ["run", str(recipe), "-q"]).exit_code == 0
    rows = pa.parquet.read_table(tmp_path / "out" / "dropped").to_pylist()
    assert {row["id"]: row["failed"] for row in rows} == {
        name: [
            {"reason": "semantic_duplicate", "value": 1.0, "threshold": 0.95},
            {"reason": "containment", "value": value, "threshold": 0.3},
        ]
        for name, value in (("d1", 7 / 8), ("d3", 1.0))
    }
    assert [row["value"] for row in rows] == [row["similarity"] for row in rows] == [1.0, 1.0]
    said = CliRunner().invoke(app, ["explain", str(tmp_path / "out"), "d1"]).output
    assert "similarity 1.0000 to d0" in said and "threshold 0.95; containment 0.8750, threshold 0.3." in " ".join(
        said.split()
    )


def test_columns_in_mode_tag():
    stage = {"semantic": {"embedding": "v", "keep": "first", "confirm": 0.3, "mode": "tag"}}
    kept = pa.table(curate(table_of(TEXTS), [stage]).kept)
    assert kept["semantic.similarity"].to_pylist() == [None, 1.0, None, 1.0]
    assert kept["semantic.containment"].to_pylist() == [None, 7 / 8, None, 1.0]
    other = {"embedder": {"kind": "learned", "dimension": 64}, "similarity": 0.1}
    kept = pa.table(curate(table_of(TEXTS), [{"semantic": {**stage["semantic"], "confirm": other}}]).kept)
    found = kept["semantic.second_similarity"].to_pylist()
    gone = [not each for each in kept["semantic.is_kept"].to_pylist()]
    assert gone[3] and [value is not None for value in found] == gone
    assert all(0.1 <= value <= 1 for value in found if value is not None)


def run(folder, stage, **settings):
    source = Source(paths=(str(folder / "in"),), split_bytes=2000)
    settings = Settings(**{"workers": 1, "runner": "inprocess", "retain": "all", **settings})
    return Pipeline(source, (stage,), Sink(path=str(folder / "out")), settings).run(overwrite=True)


@pytest.mark.parametrize("confirm", [0.3, {"embedder": {"kind": "learned", "dimension": 64}, "similarity": 0.9}])
def test_another_bound_reads_no_text_again_and_workers_change_nothing(tmp_path, monkeypatch, confirm):
    rng = np.random.default_rng(1)
    texts = texts_of(rng, 120)
    (tmp_path / "in").mkdir()
    rows = pa.table({"text": texts, "v": lists_of(families(6, 120, dimension=3))})
    for shard in range(2):
        pa.parquet.write_table(rows.slice(shard * 60, 60), tmp_path / "in" / f"{shard}.parquet", row_group_size=20)
    plain = {"embedder": {"kind": "column", "column": "v"}, "keep": "first", "threshold": 0.9}
    first = run(tmp_path, Semantic(**plain, confirm=confirm))
    two = run(tmp_path, Semantic(**plain, confirm=confirm), workers=2, runner="local")
    assert two["outputs"] == first["outputs"] and first["documents"]["dropped"] > 0
    monkeypatch.setattr(Semantic, "confirming_units", None)
    monkeypatch.setattr(Semantic, "embed_text", None)
    monkeypatch.setattr(pairs.Pairs, "run", None)
    key = "containment" if confirm == 0.3 else "similarity"
    stricter = {"containment": 0.9} if confirm == 0.3 else {**confirm, key: 1.0}
    second = run(tmp_path, Semantic(**plain, confirm=stricter, rule="paper"))
    assert second["documents"]["dropped"] < first["documents"]["dropped"]


def test_remove_fraction_with_confirm(tmp_path):
    rng = np.random.default_rng(2)
    rows, texts = families(8, 200), texts_of(rng, 200)
    stage = Semantic(embedder=COLUMN, remove_fraction=0.05, confirm=0.3, pairs_from=0.5, keep="first")
    settled, drops = decisions(stage, rows, texts, rows, tmp_path / "f")
    assert 8 <= len(drops) <= 10
    same = Semantic(embedder=COLUMN, threshold=settled.stats["threshold"], confirm=0.3, pairs_from=0.5, keep="first")
    assert told(drops) == naive_told(rows, texts, rows, same, range(200))
    assert same.rules() == {"semantic_duplicate": same.threshold, "containment": 0.3}


def test_values():
    assert Confirm(containment=0.3).model_dump() == {"containment": 0.3}
    stage = Semantic(confirm=0.3)
    assert stage.confirm == Confirm(containment=0.3, ngram=2) and stage.parameters()["confirm"] == {"containment": 0.3}
    second = Semantic(embedder=COLUMN, confirm={"embedder": SECOND, "similarity": 0.9})
    assert second.reads() == ("e", "second") and second.rules() == {
        "semantic_duplicate": 0.95,
        "second_similarity": 0.9,
    }
    with pytest.raises(ValidationError, match="always agrees with itself"):
        Semantic(confirm={"embedder": {}, "similarity": 0.9})


WRONG = {
    "1.5": "confirm: 1.5 is not allowed: must be a number > 0 and <= 1 or",
    "yes": "confirm: true is not allowed: must be a number > 0 and <= 1 or a mapping or null (YAML reads",
    "{contain: 0.3}": "confirm.contain: unknown key. The nearest names are: containment",
    "{containment: 2}": "confirm.containment: 2 is not allowed: must be a number > 0 and <= 1",
    "{}": "confirm: {} is not allowed: give `containment`, or `embedder` with `similarity`, and not both",
    "{embedder: {dimension: 64}}": "`similarity`, the least cosine of its embeddings, are given together",
    "{embedder: {kind: learnt}, similarity: 0.9}": "confirm.embedder: {kind: learnt} is not allowed",
    "{embedder: {dimension: 64}, similarity: 0.9, ngram: 3}": "leave them out beside `embedder`",
    "{containment: 0.3, ngram: 0}": "confirm.ngram: 0 is not allowed: must be >= 1 and <= 1000",
    "{containment: 0.3, unit: characters, words: identifiers}": "n-grams are made of characters",
}


@pytest.mark.parametrize("given", WRONG)
def test_errors_have_file_line_and_key(tmp_path, given):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"input: {{paths: [in]}}\nstages:\n  - semantic:\n      confirm: {given}\noutput: {{path: out}}\n"
    )
    with pytest.raises(RecipeError) as error:
        load_recipe(recipe)
    assert f"{recipe}:4: stages[0].semantic.confirm" in str(error.value) and WRONG[given] in str(error.value)


def test_a_model_of_the_second_embedder_is_relative_to_the_recipe(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "input: {paths: [in]}\nstages:\n"
        "  - semantic: {confirm: {embedder: {kind: static, model: m}, similarity: 0.9}}\noutput: {path: out}\n"
    )
    (stage,) = load_recipe(recipe).stages
    assert stage.confirm.embedder.model == str(tmp_path / "m")
