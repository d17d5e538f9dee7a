"""Texts of a language that few documents are in: different ones are told apart, rewordings are found."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest
from support.embed import array, data_folder

from corpuscurate.methods.embed.learned import Learned, fit, load

SENTENCES = 5


def records(name):
    with gzip.open(data_folder() / f"{name}.jsonl.gz") as lines:
        yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def english():
    texts = (" ".join(record["text"].split()[:120]) for record in records("books/classic_books"))
    return [text for text in texts if len(text.split()) > 60]


@pytest.fixture(scope="module")
def sentences():
    found = {}
    for record in records("langid/lingua_half"):
        if record["kind"] == "sentence":
            found.setdefault(record["lang"], []).append(record["text"])
    return found


@pytest.mark.parametrize("language", ["is", "ru", "hi", "ko", "th"])
@pytest.mark.parametrize("count", [4, 20, 90])
@pytest.mark.campaign(3)
def test_different_texts_are_told_apart_and_rewordings_found(tmp_path, english, sentences, language, count):
    own = sentences[language]
    texts = [" ".join(own[i : i + SENTENCES]) for i in range(0, SENTENCES * count, SENTENCES)]
    rng = random.Random(3)  # noqa: S311
    reworded = [_reworded(text.split(), rng) for text in texts]
    fit([array([*english, *texts])], Learned(), tmp_path, threads=2)
    rows, again = (load(tmp_path).embed(array(each)).rows for each in (texts, reworded))
    assert (rows @ rows.T - 2 * np.eye(len(rows))).max() < 0.95  # unrelated sentences: word Jaccard under .3
    assert (np.einsum("ij,ij->i", rows, again) >= 0.95).mean() >= 0.95


def _reworded(words, rng):
    """A tenth of the words lost (white space parts them), runs of twelve in another order."""
    runs = [words[i : i + 12] for i in range(0, len(words), 12)]
    rng.shuffle(runs)
    return " ".join(word for run in runs for word in run if rng.random() >= 0.1)
