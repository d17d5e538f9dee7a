import itertools

import numpy as np
import pyarrow as pa
import pytest
from naive import neighbours as naive
from pydantic import ValidationError
from support.dedup import drops_of, rows_of
from support.embed import sentence_folder, static_folder
from support.semantic import COLUMN, families, settle

from corpuscurate import Pipeline, Settings, Sink, Source, curate
from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.errors import InputError
from corpuscurate.core.stage import stage_class
from corpuscurate.kernels.embedding import neighbour_lists as kernels
from corpuscurate.methods.semantic import earlier, pairs
from corpuscurate.methods.semantic import keep_order as order
from corpuscurate.methods.semantic import kmeans as means
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages.semantic import Semantic

EXAMPLES = [
    {},
    {"threshold": 0.9, "rule": "paper", "keep": "longest"},
    {"threshold": 0.9, "confirm": 0.9},
    {"rule": "paper", "confirm": {"embedder": {"kind": "learned", "dimension": 64}, "similarity": 0.98}},
]


def angles(*degrees: float) -> np.ndarray:
    """Unit rows in the plane."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def semantic(**more) -> Semantic:
    return Semantic(embedder=COLUMN, **more)


def outcome(stage, rows, folder, **more):
    settled = settle(stage, rows, folder, **more)
    return drops_of(settled), settled.stats


def tags_of(stage, rows, folder, **more):
    settled = settle(stage.model_copy(update={"mode": "tag"}), rows, folder, **more)
    assert not settled.drops
    return rows_of(settled.tags)


def naive_drops(rows, tags, keep, rule, threshold, meets):
    """What should go, given the clusters and the cosines with centroids that the tags tell."""
    rank = {
        "hard": lambda i: (tags[i]["centroid_similarity"], i),
        "easy": lambda i: (-tags[i]["centroid_similarity"], i),
        "first": lambda i: i,
    }[keep]
    matrix = naive.cosines(quantised(rows)[0])
    return naive.decide(sorted(range(len(rows)), key=rank), matrix, meets, rule, threshold)


def check(drops, expected):
    found = {row["doc_id"]: (row["duplicate_of"], row["matched"], row["similarity"]) for row in drops}
    assert found == expected
    assert all(row["value"] == row["similarity"] and row["reason"] == 1 for row in drops)


def test_registered():
    assert stage_class("semantic") is Semantic
    assert Semantic().rules() == {"semantic_duplicate": 0.95}
    assert Semantic(remove_fraction=0.2).rules() == {"semantic_duplicate": None}
    with pytest.raises(ValidationError, match="threshold or remove_fraction, not both"):
        Semantic(threshold=0.9, remove_fraction=0.2)


def test_trap_13_chains_under_both_rules(tmp_path):
    """0, 20, 40, 60 degrees at cos 25: neighbours are near. The first decides for the second, the second for the third
    under the paper's rule, though it is gone; the third is near no kept one, so the independent rule keeps it."""
    rows = angles(0, 20, 40, 60)
    threshold = float(np.cos(np.radians(25)))
    paper, stats = outcome(semantic(threshold=threshold, keep="first", rule="paper"), rows, tmp_path / "p")
    assert [(r["doc_id"], r["matched"], r["duplicate_of"]) for r in paper] == [(1, 0, 0), (2, 1, 0), (3, 2, 0)]
    assert stats["rule"] == "paper" and stats["clusters"] == [{"kept": 0, "size": 4, "members": [1, 2, 3]}]
    own, stats = outcome(semantic(threshold=threshold, keep="first"), rows, tmp_path / "i")
    assert [(r["doc_id"], r["matched"], r["duplicate_of"]) for r in own] == [(1, 0, 0), (3, 2, 2)]
    assert stats["rule"] == "independent"
    assert all(r["similarity"] == pytest.approx(np.cos(np.radians(20)), abs=0.01) for r in [*paper, *own])


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("keep", ["hard", "easy", "first"])
@pytest.mark.parametrize("clusters", [1, 9])
@pytest.mark.campaign(2)
def test_decisions_within_clusters_equal_brute_force(tmp_path, rule, keep, clusters):
    rows = families(1, 700)
    stage = semantic(threshold=0.9, rule=rule, keep=keep, clusters=clusters, seed=3, probes=1)
    tags = tags_of(stage, rows, tmp_path / "t", splits=2)
    drops, stats = outcome(stage, rows, tmp_path / "d", splits=2)
    assert stats["k"] == clusters
    expected = naive_drops(rows, tags, keep, rule, 0.9, lambda a, b: tags[a]["centroid"] == tags[b]["centroid"])
    check(drops, expected)
    assert 100 < len(drops) < 690
    assert {i: tag["cluster"] for i, tag in enumerate(tags) if not tag["is_kept"]} == {
        i: kept for i, (kept, _, _) in expected.items()
    }


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("probes", [9, 50])
def test_all_probes_equal_global_brute_force(tmp_path, rule, probes):
    rows = families(2, 500)
    stage = semantic(threshold=0.85, rule=rule, clusters=9, probes=probes)
    tags = tags_of(stage, rows, tmp_path / "t")
    drops, stats = outcome(stage, rows, tmp_path / "d", splits=3)
    check(drops, naive_drops(rows, tags, "hard", rule, 0.85, lambda a, b: True))
    assert stats["borders"]["lost_ratio"] == 0.0


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("probes", [2, 4, 8])
@pytest.mark.campaign(2)
def test_probes_compare_with_those_who_live_in_the_next_clusters(tmp_path, rule, probes):
    rows = families(5, 600, dimension=5, spread=0.5)
    stage = semantic(threshold=0.97, rule=rule, keep="first", clusters=9, probes=probes)
    corpus_centroids = _centroids(stage, rows, tmp_path / "c")
    products = quantised(rows)[0].astype(np.int64) @ corpus_centroids.astype(np.int64).T
    visits = np.argsort(-products, axis=1, kind="stable")[:, :probes].tolist()
    drops, stats = outcome(stage, rows, tmp_path / "d", splits=2)

    def meets(a, b):
        return visits[a][0] in visits[b] or visits[b][0] in visits[a]

    expected = naive_drops(rows, None, "first", rule, 0.97, meets)
    check(drops, expected)
    matrix = naive.cosines(quantised(rows)[0])
    near = [(a, b) for a, b in itertools.combinations(range(600), 2) if matrix[a, b] >= 0.8]
    assert stats["pairs"] == sum(meets(a, b) for a, b in near)  # each once, though two clusters see some


@pytest.mark.parametrize("border", [0.0, 0.05, 0.2, 2.0])
def test_a_document_near_a_border_is_compared_on_the_other_side(tmp_path, border):
    """From the definition: it visits its own cluster and those of the next 7 whose centroid's cosine is at most
    `border` lower."""
    rows = families(5, 600, dimension=5, spread=0.5)
    stage = semantic(threshold=0.97, keep="first", clusters=12, border=border)
    centroids = _centroids(stage, rows, tmp_path / "c").astype(np.float64)
    whole = quantised(rows)[0].astype(np.float64)
    cosines = whole @ centroids.T / np.linalg.norm(whole, axis=1)[:, None] / np.linalg.norm(centroids, axis=1)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :8].tolist()
    visits = [[c for c in near if cosines[i, c] >= cosines[i, near[0]] - border] for i, near in enumerate(nearest)]
    drops, stats = outcome(stage, rows, tmp_path / "d", splits=2)

    def meets(a, b):
        return visits[a][0] in visits[b] or visits[b][0] in visits[a]

    check(drops, naive_drops(rows, None, "first", "independent", 0.97, meets))
    matrix = naive.cosines(quantised(rows)[0])
    near = [(a, b) for a, b in itertools.combinations(range(600), 2) if matrix[a, b] >= 0.8]
    assert stats["pairs"] == sum(meets(a, b) for a, b in near)
    assert stats["clusters_a_document"] == round(sum(map(len, visits)) / 600, 3)


def _centroids(stage, rows, folder):
    settle(stage, rows, folder)
    return np.load(Artefacts(str(folder / "centroids"))["centroids.npy"])


def test_the_border_estimate_counts_what_is_lost(tmp_path):
    rows = families(5, 600, dimension=5, spread=0.5)
    stage = semantic(threshold=0.93, clusters=25, border_sample=600, probes=1)
    tags = tags_of(stage, rows, tmp_path / "t")
    stats = settle(stage, rows, tmp_path / "d", splits=3).stats
    matrix = naive.cosines(quantised(rows)[0])
    near = [(a, b) for a, b in itertools.combinations(range(600), 2) if matrix[a, b] >= 0.93]
    met = sum(tags[a]["centroid"] == tags[b]["centroid"] for a, b in near)
    borders = stats["borders"]
    assert (borders["pairs_found"], borders["pairs_lost"]) == (2 * met, 2 * (len(near) - met))
    assert borders["lost_ratio"] == round(1 - met / len(near), 4) > 0.05
    assert any("`probes: 2` finds more" in text for text in stats["warnings"])
    for border, more in ((0.0, "0.005"), (0.001, "0.002")):
        told = settle(semantic(threshold=0.93, clusters=25, border=border), rows, tmp_path / f"b{border}").stats
        assert any(f"`border: {more}` finds more" in text for text in told["warnings"])
    assert settle(semantic(clusters=9, border_sample=0), rows, tmp_path / "n").stats["borders"]["lost_ratio"] is None
    few = settle(semantic(clusters=9, sample=60, border_sample=256), rows, tmp_path / "s").stats
    assert few["borders"]["documents"] == few["sample"] < 256  # no more than the sample holds


def test_trap_14_a_crowd_is_compared_in_blocks_and_nothing_is_truncated(tmp_path, monkeypatch):
    """More neighbours than a list holds: the decision is that of brute force all the same, by any blocks."""
    rows = families(4, 900, dimension=3, spread=0.3, topics=2)
    found = []
    for number, (x_rows, y_rows, work) in enumerate([(2048, 8192, 1 << 27), (64, 100, 5000), (7, 3, 1 << 20)]):
        monkeypatch.setattr(pairs, "X_ROWS", x_rows)
        monkeypatch.setattr(pairs, "Y_ROWS", y_rows)
        monkeypatch.setattr(pairs, "WORK_PAIRS", work)
        for rule, level in (("independent", 0.999), ("paper", 0.999), ("independent", 0.97), ("independent", 0.5)):
            stage = semantic(threshold=level, rule=rule, keep="first", pairs_from=0.5)
            drops, stats = outcome(stage, rows, tmp_path / f"{number}-{rule}-{level}")
            found.append((drops, stats["pairs"], stats["compared_again"]))
            if number == 0:
                _check_crowd(drops, rows, rule, level)
    assert found[:4] == found[4:8] == found[8:]
    assert sum(again for _, _, again in found[:4]) > 0


def _check_crowd(drops, rows, rule, level):
    matrix = naive.cosines(quantised(rows)[0])
    check(drops, naive.decide(range(len(rows)), matrix, lambda a, b: True, rule, level))


def test_full_lists_say_so(monkeypatch):
    size = kernels.LISTED + 40
    products = np.full((1, size), 100.0, np.float32)
    products[0, -3:] = [200, 300, 50]
    squares = np.full(size + 1, 1000, np.int32)
    home = np.zeros(size + 1, np.int32)
    lists = np.zeros(1, np.int32), np.zeros((1, kernels.LISTED), np.int32), np.zeros((1, kernels.LISTED)), np.zeros(1)
    unlisted = np.zeros(size + 1)
    histogram = np.zeros(kernels.BINS + 1, np.int64)
    rows = np.arange(size + 1)
    found = kernels.collect(
        products, rows[size:], rows[:size], 0, home, home[:, None], squares, 0.08, size, *lists, unlisted, histogram
    )
    counts, neighbours, cosines, beyond = lists
    assert found == size - 1 == histogram.sum() and counts[0] == kernels.LISTED
    assert beyond[0] == 0.1
    assert set(neighbours[0, : kernels.EARLIEST]) == set(range(kernels.EARLIEST))
    assert sorted(cosines[0])[-2:] == [0.2, 0.3]
    # of equal ones the earliest stay
    assert set(neighbours[0]) == set(range(kernels.LISTED - 2)) | {size - 3, size - 2}
    assert np.flatnonzero(unlisted).tolist() == list(range(kernels.LISTED - 2, size - 3))
    assert set(unlisted[unlisted > 0]) == {0.1}


def test_trap_15_sizes_of_clusters_are_told(tmp_path):
    rows = np.concatenate([families(6, 300), np.repeat(angles(10), 50, 0) @ np.eye(2, 16, dtype=np.float32)])
    stats = settle(semantic(clusters=10), rows, tmp_path).stats
    sizes = stats["cluster_sizes"]
    assert sizes["mean"] == 35.0 and sizes["max"] == sizes["largest"][0][1] and len(sizes["largest"]) == 10
    assert sum(size for _, size in sizes["largest"]) == 350
    assert stats["k"] == 10 and stats["k_reason"] == "as the recipe says"
    assert stats["notes"][0].startswith("10 clusters: as the recipe says; sizes: median ")
    assert "rule independent" in stats["notes"][1] and f"{stats['pairs']:,} pairs from 0.8 up" in stats["notes"][1]
    small = settle(semantic(), rows, tmp_path / "s").stats
    assert small["k"] == 1 and "few enough to compare all with all" in small["k_reason"]


@pytest.mark.parametrize("parameters", [{"clusters": 6, "probes": 2}, {"clusters": 6}, {"clusters": 1}])
def test_trap_15_a_cluster_larger_than_memory_is_cut(tmp_path, monkeypatch, parameters):
    """Also all documents in one cluster: its vectors take more than the whole memory."""
    rows = families(7, 400)
    stage = semantic(threshold=0.9, **parameters)
    whole = outcome(stage, rows, tmp_path / "a")
    monkeypatch.setattr(pairs, "WORK_PAIRS", 500)
    monkeypatch.setattr(order, "_BLOCK_ROWS", 10)
    monkeypatch.setattr(means, "BLOCK_ROWS", 33)
    monkeypatch.setattr(earlier, "_BLOCK_ROWS", 16)
    small = outcome(stage, rows, tmp_path / "b", splits=4, workers=3, memory_bytes=9000, batch_rows=17)
    assert len(list((tmp_path / "b").glob("order-*"))) > (3 if parameters["clusters"] > 1 else 0)
    assert len(list((tmp_path / "b").glob("pairs-*"))) > 20
    assert small == whole


def test_trap_16_zero_vectors_are_never_duplicates(tmp_path):
    rows = np.concatenate([np.zeros((3, 2), np.float32), angles(0, 0), [[np.nan, 1.0]]])
    drops, stats = outcome(semantic(), rows, tmp_path / "d")
    assert [row["doc_id"] for row in drops] == [4]
    assert stats["without_direction"] == 4 and stats["documents"] == 6
    tags = tags_of(semantic(), rows, tmp_path / "t")
    assert [tag["doc_id"] for tag in tags] == [3, 4]  # the others have the defaults


def test_trap_17_the_threshold_is_a_cosine_whatever_else_is_in_the_corpus(tmp_path):
    pair = angles(0, 10)
    far = angles(90, 120, 150, 180)
    for number, others in enumerate((far[:0], far, np.repeat(far, 50, 0))):
        drops, _ = outcome(
            semantic(threshold=0.98, keep="first"), np.concatenate([pair, others]), tmp_path / str(number)
        )
        assert drops[0]["doc_id"] == 1 and drops[0]["similarity"] == pytest.approx(np.cos(np.radians(10)), abs=0.005)


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.zeros((4, 2)), angles(5)])
def test_trap_10_nothing_to_compare(tmp_path, rows):
    drops, stats = outcome(semantic(), rows, tmp_path)
    assert drops == [] and stats["duplicates"] == 0 and stats["clusters"] == []


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_remove_fraction_finds_its_threshold(tmp_path, rule, fraction):
    rows = families(8, 500)
    stage = semantic(remove_fraction=fraction, rule=rule, pairs_from=0.6)
    drops, stats = outcome(stage, rows, tmp_path / "f")
    assert fraction * 500 - 2 <= len(drops) <= fraction * 500
    same, _ = outcome(semantic(threshold=stats["threshold"], rule=rule, pairs_from=0.6), rows, tmp_path / "t")
    assert same == drops
    assert stats["warnings"] == []


def test_remove_fraction_that_cannot_be_met_is_told(tmp_path):
    few = np.concatenate([families(9, 20, spread=2.0, topics=20), angles(0, 0) @ np.eye(2, 16, dtype=np.float32)])
    _, stats = outcome(semantic(remove_fraction=0.9, pairs_from=0.99), few, tmp_path / "few")
    assert "A lower `pairs_from:` finds more" in stats["warnings"][0]
    copies = np.repeat(angles(0, 90), 10, 0)
    drops, stats = outcome(semantic(remove_fraction=0.5), copies, tmp_path / "copies")
    assert len(drops) == 10 and "18 have the same embedding as another one: the 10 that" in stats["warnings"][0]


@pytest.mark.parametrize("rule", ["independent", "paper"])
@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.campaign(2)
def test_remove_fraction_is_never_exceeded(tmp_path, rule, fraction):
    """Of copies to the last number those that come last in keep order go, each near a document that stays or, under the
    paper's rule, comes earlier; with mode: tag the same ones are marked."""
    rows = np.repeat(np.random.default_rng(8).normal(size=(40, 16)), 5, 0).astype(np.float32)
    stage = semantic(remove_fraction=fraction, rule=rule, keep="first", pairs_from=0.99)
    drops, stats = outcome(stage, rows, tmp_path / "d", splits=2)
    gone = {row["doc_id"] for row in drops}
    assert len(gone) == min(int(fraction * 200), 160)
    assert all(row["duplicate_of"] not in gone for row in drops)
    copies = [i for i in range(200) if i % 5]
    assert sorted(gone) == copies[len(copies) - len(gone) :]
    assert ("have the same embedding" in stats["warnings"][-1]) == (fraction < 0.8)
    tagged = settle(stage.model_copy(update={"mode": "tag"}), rows, tmp_path / "t", splits=2)
    assert {row["doc_id"] for row in rows_of(tagged.tags) if not row["is_kept"]} == gone


def test_keep_by_a_column_and_longest(tmp_path):
    rows = angles(0, 1, 2)
    texts = ["a", "bbb", "cc"]
    drops, _ = outcome(semantic(keep="longest"), rows, tmp_path / "l", texts=texts)
    assert {row["duplicate_of"] for row in drops} == {1}
    column = {"score": pa.array([1.0, 2.0, 3.0])}
    drops, _ = outcome(semantic(keep={"by": "score"}), rows, tmp_path / "s", columns=column, splits=2)
    assert {row["duplicate_of"] for row in drops} == {2}
    assert semantic(keep={"by": "score"}).reads() == ("e", "score")


def test_documents_that_an_earlier_stage_dropped_take_no_part(tmp_path):
    drops, stats = outcome(semantic(keep="first"), angles(0, 0, 0, 90), tmp_path, gone=frozenset({0}), splits=2)
    assert [(row["doc_id"], row["duplicate_of"]) for row in drops] == [(2, 1)]
    assert stats["documents"] == 3


def test_lists_paged_to_a_file_decide_the_same(tmp_path):
    rows = families(1, 300)
    stage = semantic(threshold=0.9)
    large, small = outcome(stage, rows, tmp_path / "a"), outcome(stage, rows, tmp_path / "b", memory_bytes=1000)
    assert large == small
    assert not list(tmp_path.rglob("*.tmp"))


def run(folder, out, stage, **settings):
    source = Source(paths=(str(folder / "in"),), split_bytes=3000)
    return Pipeline(source, (stage,), Sink(path=str(folder / out)), Settings(memory=1 << 30, **settings)).run()


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(300)])
    texts = [" ".join(rng.choice(words, 30)) for _ in range(150)]
    texts += [" ".join(reversed(text.split())) for text in texts[:60]] + ["", " "]
    (tmp_path / "in").mkdir()
    for shard in range(2):
        rows = pa.table({"text": texts[shard::2]})
        pa.parquet.write_table(rows, tmp_path / "in" / f"{shard}.parquet")
    return tmp_path


def test_a_whole_run_with_vectors_learned_from_the_corpus(corpus):
    stage = Semantic(threshold=0.9, embedder={"dimension": 64}, clusters=4, probes=2)
    report = run(corpus, "one", stage, workers=1, runner="inprocess")
    assert report["documents"]["dropped"] == 60  # the reversed ones, and not the empty ones
    again = run(corpus, "two", stage, workers=2)
    assert again["outputs"] == report["outputs"]


def test_another_threshold_uses_embeddings_and_pairs_again(corpus, monkeypatch):
    embedder = {"dimension": 64}
    base = {"embedder": embedder, "clusters": 4}
    source = Source(paths=(str(corpus / "in"),))

    def go(**more):
        stage = Semantic(**base, **more)
        settings = Settings(workers=1, runner="inprocess", retain="all")
        return Pipeline(source, (stage,), Sink(path=str(corpus / "out")), settings).run(overwrite=True)

    first = go(threshold=0.9)
    made = {path: path.stat().st_mtime_ns for path in (corpus / "out" / "_run").rglob("*.bin") if "basis-" in str(path)}
    assert any("pairs-" in str(path) for path in made)
    monkeypatch.setattr(pairs.Pairs, "run", None)
    monkeypatch.setattr(means.Fit, "run", None)
    monkeypatch.setattr("corpuscurate.methods.embed.learned.LearnedEmbedder.embed", None)
    second = go(threshold=0.999, rule="paper")
    assert second["documents"]["dropped"] <= first["documents"]["dropped"]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    third = go(remove_fraction=0.1)
    # the order of words is not seen: 60 have the same embedding as another one
    assert third["documents"]["dropped"] == int(0.1 * third["documents"]["input"]) < 60
    assert "have the same embedding" in third["warnings"][-1]


def test_embedding_names_a_column_that_has_the_vectors():
    from corpuscurate.recipe.load import spec_from_mapping, spec_to_mapping

    recipe = {"input": {"paths": "a"}, "output": {"path": "o"}, "stages": [{"semantic": {"embedding": "v"}}]}
    (stage,) = spec_from_mapping(recipe).stages
    assert stage.reads() == ("v",)
    assert spec_from_mapping(spec_to_mapping(spec_from_mapping(recipe))).stages == (stage,)
    recipe["stages"][0]["semantic"]["embedder"] = "learned"
    with pytest.raises(ValueError, match="not both"):
        spec_from_mapping(recipe)


NAN, INF = float("nan"), float("inf")
BROKEN = {
    "nan alone": [[NAN, NAN]] * 4,
    "some nan": [[1.0, 0.0], [NAN, 1.0]] * 2,
    "infinite": [[1.0, 0.0], [-INF, 0.0]] * 2,
}


@pytest.mark.parametrize("rows", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("stage", ["semantic", "outliers", "prototypes"])
def test_embeddings_that_are_not_finite_are_told_and_decide_nothing(rows, stage):
    table = pa.table({"text": ["one text"] * 4, "v": pa.array(rows, pa.list_(pa.float32()))})
    more = {"prototypes": {"keep_fraction": 0.99}, "outliers": {"remove_fraction": 0.01}}.get(stage, {})
    result = curate(table, [{stage: {"embedding": "v", **more}}])
    broken = sum(not np.isfinite(row).all() for row in rows)
    assert any(f"{broken} of 4 documents" in text and "the column 'v'" in text for text in result.report["warnings"])
    assert pa.table(result.kept).num_rows == (3 if stage == "semantic" and broken == 2 else 4)


@pytest.mark.parametrize("rows", BROKEN.values(), ids=BROKEN)
def test_no_choice_is_made_among_embeddings_that_are_not_finite(rows):
    table = pa.table({"text": ["one text"] * 4, "v": pa.array(rows, pa.list_(pa.float32()))})
    with pytest.raises(
        InputError, match=r"diversity: . of 4 documents .* have an embedding with NaN or infinity in it"
    ):
        curate(table, [{"diversity": {"embedding": "v", "budget": 4}}])


def test_texts_of_unknown_words_are_no_duplicates(tmp_path):
    embedder = {"kind": "static", "model": str(static_folder(tmp_path / "model"))}
    table = pa.table({"text": ["Ψ Ω", "Ω Ψ", "Ψ Ω", "hello world", "hello world", ""]})
    result = curate(table, [{"semantic": {"embedder": embedder}}])
    assert pa.table(result.kept).num_rows == 5
    (told,) = [text for text in result.report["warnings"] if "unknown" in text]
    assert "3 of 6 documents (50.0 %; such as doc_id 0) have no embedding: more than 0.1 of their tokens" in told
    chosen = curate(table, [{"diversity": {"embedder": embedder, "budget": 2}}])
    reasons = pa.table(chosen.dropped).column("reason").to_pylist()
    assert sorted(reasons) == ["nothing_to_embed"] + ["unknown_to_the_model"] * 3


def test_documents_judged_by_their_heads_are_told(tmp_path):
    pytest.importorskip("sentence_transformers")
    embedder = {"kind": "sentence-transformers", "model": str(sentence_folder(tmp_path))}
    table = pa.table({"text": ["a b c " * 30 + "hello", "a b c " * 30 + "world", "x"]})
    result = curate(table, [{"semantic": {"embedder": embedder}}])
    (told,) = [text for text in result.report["warnings"] if "heads" in text]
    assert "2 of 3 documents (66.7 %; such as doc_id 0) are longer than the tokens" in told and "`window: mean`" in told
    assert not curate(table, [{"semantic": {"embedder": {**embedder, "window": "mean"}}}]).report["warnings"]
