import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import neardup
from support.later import Later

from corpuscurate.kernels.duplicates.bands import absorb, sieve_add, sieve_passes
from corpuscurate.methods.dedup.bands import candidate_probability, choose_bands, datasketch_bands, s_curve
from corpuscurate.methods.dedup.presets import PRESETS
from corpuscurate.stages.minhash import MinHash

datasketch = Later("datasketch")


@given(st.floats(0.01, 1), st.integers(1, 200), st.integers(1, 40))
def test_candidate_probability_is_the_formula(j, bands, rows):
    assert candidate_probability(j, bands, rows) == pytest.approx(neardup.candidate_probability(j, bands, rows))


def test_published_bandings():
    # FineWeb 14 x 8, as published: .56 .77 .92 .988
    assert [round(candidate_probability(j, 14, 8), 2) for j in (0.7, 0.75, 0.8)] == [0.56, 0.77, 0.92]
    assert round(candidate_probability(0.85, 14, 8), 3) == 0.988


def test_default_banding():
    # by hand: 18 x 7 has P = 1 - (1 - .8^7)^18 = .985, 21 x 6 has 1 - (1 - .8^6)^21 = .998
    assert choose_bands(0.8, 128, 0.99) == (21, 6)


@given(st.floats(0.05, 1), st.integers(1, 300), st.floats(0.5, 0.999))
def test_chosen_rows_are_the_most_that_reach_the_recall(threshold, values, recall):
    bands, rows = choose_bands(threshold, values, recall)
    assert bands * rows <= values
    assert bands == values // rows
    assert rows == 1 or candidate_probability(threshold, bands, rows) >= recall
    for more in range(rows + 1, values + 1):
        assert candidate_probability(threshold, values // more, more) < recall


def test_trap_12_the_s_curve_tells_bands_from_rows():
    assert s_curve(20, 5)["0.80"] > 0.99
    assert s_curve(5, 20)["0.80"] < 0.5
    assert list(s_curve(20, 5)) == ["0.50", "0.55", "0.60", "0.65", "0.70", "0.75", "0.80", "0.85", "0.90", "0.95"]


@pytest.mark.parametrize("j", [0.5, 0.7, 0.8, 0.9])
def test_s_curve_of_signatures(j):
    """Signatures whose values agree independently with probability j share a band as often as the formula says."""
    bands, rows, trials = 8, 4, 20_000
    rng = np.random.default_rng(5)
    a = rng.integers(0, 2**32, (trials, bands * rows), dtype=np.uint32)
    b = np.where(rng.random(a.shape) < j, a, a + 1).astype(np.uint32)
    met = np.zeros(trials, np.bool_)
    for band in range(bands):
        keys = np.zeros((2, trials), np.uint64)
        for r in range(band * rows, (band + 1) * rows):
            absorb(np.ascontiguousarray(a[:, r]), keys[0])
            absorb(np.ascontiguousarray(b[:, r]), keys[1])
        met |= keys[0] == keys[1]
    p = candidate_probability(j, bands, rows)
    assert abs(met.mean() - p) < 5 * np.sqrt(p * (1 - p) / trials)


@given(st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=200), st.sampled_from([64, 128]))
def test_the_sieve_loses_no_key_that_occurs_twice(values, size):
    keys = np.array(values, np.uint64)
    table = np.zeros(size, np.uint8)
    sieve_add(keys[: len(keys) // 2], table)
    sieve_add(keys[len(keys) // 2 :], table)
    passes = np.empty(len(keys), np.bool_)
    assert sieve_passes(keys, table, passes) == passes.sum()
    slots = keys % np.uint64(4 * size)
    assert passes.tolist() == [(slots == slot).sum() > 1 for slot in slots]


@pytest.mark.parametrize("values", [16, 100, 128])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99])
def test_trap_12_bands_and_rows_as_datasketch_chooses_them(threshold, values):
    found = datasketch_bands(threshold, values)
    assert found == datasketch.lsh._optimal_param(threshold, values, 0.5, 0.5)
    if found[0] > 1:  # it refuses a single band
        theirs = datasketch.MinHashLSH(threshold=threshold, num_perm=values)
        assert found == (theirs.b, theirs.r)


def test_trap_12_presets_are_those_of_the_papers():
    """Bands x rows, and P(candidate) at .75 and .8 as the FineWeb paper gives them for its own and RefinedWeb's."""
    by_name = {name: MinHash.model_validate({"preset": name}) for name in PRESETS}
    assert {name: stage.bands_and_rows for name, stage in by_name.items()} == {
        "fineweb": (14, 8),
        "refinedweb": (450, 20),
        "nemo": (20, 13),
        "redpajama": (9, 13),
    }
    fineweb = s_curve(14, 8)
    assert [round(fineweb[j], 3) for j in ("0.70", "0.75", "0.80", "0.85")] == [0.565, 0.772, 0.924, 0.988]
    refined = s_curve(450, 20)
    assert [round(refined[j], 3) for j in ("0.70", "0.75", "0.80", "0.85")] == [0.302, 0.761, 0.995, 1.0]
    assert (by_name["nemo"].unit, by_name["nemo"].ngram, by_name["nemo"].values) == ("characters", 24, 260)


def test_what_is_given_stands_over_the_preset():
    stage = MinHash.model_validate({"preset": "fineweb", "threshold": 0.9, "signature": "classic"})
    assert (stage.threshold, stage.values, stage.bands, stage.signature) == (0.9, 112, 14, "classic")
    assert MinHash.model_validate(stage.parameters()) == stage


def test_trap_12_the_curves_in_the_help_are_the_formula():
    lines = [line.split() for line in (MinHash.__doc__ or "").splitlines() if " x " in line and "0." in line]
    head, rows = lines[0], lines[1:]
    assert [row[0] for row in rows] == ["default", *PRESETS]
    for name, bands, _, size, *curve in rows:
        stage = MinHash() if name == "default" else MinHash.model_validate({"preset": name})
        assert (int(bands), int(size)) == stage.bands_and_rows
        exact = s_curve(int(bands), int(size))
        assert curve == [f"{exact[j]:.3f}" for j in head[3:]]
