"""What `settle()` of every registered global stage must hold to, with the EXAMPLES of its own test file.

The decision depends on the documents alone, and a settling may stop after any wave of works and be called again.
A stage with an `embedder` is tried with embeddings of a column, which is quick; what differs where embeddings are
learned from the text is tried with its first example.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.examples import examples, ours
from support.settle import (
    Decision,
    SettleCorpus,
    StoppedError,
    any_partition,
    decide,
    decision_of,
    documents,
    each_alone,
    equal_documents,
    one_split,
)

from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import GlobalStage, stage_classes

CLAIMS = {
    "much memory": {"workers": 2, "memory_bytes": 1 << 40},
    "little": {"workers": 7, "memory_bytes": 1 << 18},
    "least": {"workers": 7, "memory_bytes": 1 << 16},
}
"""What corpora of one decision claim to have; the one they are compared with: one worker, 1 GiB.

With 64 KiB a settling is cut into hundreds of works, with 256 KiB into dozens: each stage is tried with the former by
its first example alone."""
DOCUMENTS = documents(1, 120)
FEW = {
    "one": equal_documents(1),
    "two equal": equal_documents(2),
    "all equal": equal_documents(5),
    "eight": documents(2, 8),
}


def kinds() -> dict[str, type[GlobalStage]]:
    """All global stages that are known by now, from entry points and of tests too."""
    found = {word: kind for word, kind in stage_classes().items() if issubclass(kind, GlobalStage)}
    return {word: kind for word, kind in found.items() if kind.settle is not GlobalStage.settle}


def variants(word: str, kind: type[GlobalStage]) -> dict[str, dict[str, Any]]:
    """Parameters to try, by name; every other one with several clusters where the stage has clusters."""
    found = {}
    for number, each in enumerate(examples(word, kind)):
        column = {"embedder": {"kind": "column", "column": "embedding"}} if "embedder" in kind.model_fields else {}
        clusters = {"clusters": 6} if "clusters" in kind.model_fields and number % 2 else {}
        found[f"{word}-{number}"] = column | clusters | each
    return found


def first(word: str, kind: type[GlobalStage]) -> dict[str, dict[str, Any]]:
    """The first of `variants`."""
    return dict(list(variants(word, kind).items())[:1])


def learning(word: str, kind: type[GlobalStage]) -> dict[str, dict[str, Any]]:
    """The first example as it stands, where `variants` takes embeddings of a column instead."""
    return {f"{word}-learned": each for each in examples(word, kind)[:1] if "embedder" in kind.model_fields}


def made(*sources: Callable[[str, type[GlobalStage]], dict[str, dict[str, Any]]], mode: str = "drop") -> list[Any]:
    """All stages with the parameters of each source."""
    return [
        pytest.param(kind(**parameters | {"mode": mode}), id=f"{name}-{mode}")
        for word, kind in kinds().items()
        for source in sources
        for name, parameters in source(word, kind).items()
    ]


dropping = pytest.mark.parametrize("stage", made(variants))
both_modes = pytest.mark.parametrize("stage", [*made(variants), *made(variants, mode="tag")])
learned_too = pytest.mark.parametrize("stage", [*made(variants, learning), *made(variants, mode="tag")])


def decide_alone(stage: GlobalStage, batch: Batch, folder: Path) -> Decision:
    """The decision over documents that are one split and one batch."""
    return decide(SettleCorpus(stage, one_split(batch), folder / "alone"))


@pytest.mark.parametrize("word", kinds())
def test_every_global_stage_is_tried(word):
    assert variants(word, kinds()[word]), f"{word} needs EXAMPLES"


@learned_too
@pytest.mark.campaign(3)
def test_any_partition_workers_and_memory_give_the_same_decision(stage, tmp_path):
    once = decide_alone(stage, DOCUMENTS, tmp_path)
    rng = np.random.default_rng(0)
    for name in ("much memory", "little"):
        corpus = SettleCorpus(stage, any_partition(DOCUMENTS, rng), tmp_path / name, **CLAIMS[name])
        assert decide(corpus) == once


@pytest.mark.parametrize("stage", made(first))
def test_the_least_memory_gives_the_same_decision(stage, tmp_path):
    once = decide_alone(stage, DOCUMENTS, tmp_path)
    splits = any_partition(DOCUMENTS, np.random.default_rng(1))
    assert decide(SettleCorpus(stage, splits, tmp_path / "least", **CLAIMS["least"])) == once


@both_modes
@pytest.mark.parametrize("name", FEW)
@pytest.mark.campaign(5)
def test_few_documents_in_one_split_or_one_each(stage, name, tmp_path):
    batch = FEW[name]
    once = decide_alone(stage, batch, tmp_path)
    assert decide(SettleCorpus(stage, [[], *each_alone(batch), []], tmp_path / "each", workers=7)) == once


@both_modes
@pytest.mark.campaign(3)
def test_a_corpus_without_a_document_is_left_as_it_is(stage, tmp_path):
    for number, splits in enumerate(([], [[]], [[DOCUMENTS.slice(0, 0)], []])):
        decision = decide(SettleCorpus(stage, splits, tmp_path / f"{number}", workers=2))
        assert decision == Decision({}, {}, b"")


@learned_too
@pytest.mark.campaign(4)
def test_what_an_earlier_stage_dropped_takes_no_part(stage, tmp_path):
    gone = np.random.default_rng(3).random(len(DOCUMENTS)) < 0.3
    gone[:31] = True  # whole splits too
    left = decide_alone(stage, DOCUMENTS.filter(~gone), tmp_path)
    splits = [[DOCUMENTS.slice(start, start + 30)] for start in range(0, len(DOCUMENTS), 30)]
    ids = frozenset(DOCUMENTS.doc_id[gone].tolist())
    assert decide(SettleCorpus(stage, splits, tmp_path / "gone", workers=2, gone=ids)) == left
    all_gone = frozenset(DOCUMENTS.doc_id.tolist())
    assert decide(SettleCorpus(stage, splits, tmp_path / "all", gone=all_gone)) == Decision({}, {}, b"")


@dropping
def test_tags_mark_what_is_dropped(stage, tmp_path):
    drops = decide_alone(stage, DOCUMENTS, tmp_path).drops
    tagging = type(stage)(**stage.parameters() | {"mode": "tag"})
    tags = decide(SettleCorpus(tagging, one_split(DOCUMENTS), tmp_path / "tags")).tags
    assert tags
    assert 0 < len(drops) < len(DOCUMENTS)
    if "is_kept" not in stage.measures():
        assert stage.word not in ours(), "stages of this package say what they keep"
        pytest.skip("the stage has no measure `is_kept`")
    default = {name: tagging.tag_defaults().get(name) for name in stage.measures()}
    marked = {number for number in DOCUMENTS.doc_id.tolist() if not tags.get(number, default)["is_kept"]}
    assert marked == drops.keys()


@learned_too
@pytest.mark.campaign(3)
def test_a_settling_can_stop_after_each_wave(stage, tmp_path):
    splits = any_partition(DOCUMENTS, np.random.default_rng(5))
    once = SettleCorpus(stage, splits, tmp_path / "once", workers=2)
    expected = decide(once)
    corpus = SettleCorpus(stage, splits, tmp_path / "stopped", workers=2, one_wave=True)
    stops = 0
    while True:
        corpus.again()
        corpus.stage = pickle.loads(pickle.dumps(corpus.stage))  # noqa: S301
        try:
            settled = corpus.stage.settle(corpus)
            break
        except StoppedError:
            stops += 1
        assert corpus.waves == once.waves[:stops]  # what was run is asked for again, in the same order
    assert stops == len(once.waves) > 0
    found = decision_of(corpus, settled)
    assert found == expected
    if stage.word in ours():
        assert found.stats == expected.stats
