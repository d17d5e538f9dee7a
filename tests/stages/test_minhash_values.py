"""How many bits of a signature value a sketch keeps, and that nothing is lost by it."""

import numpy as np
import pytest
from pydantic import ValidationError
from support.dedup import clusters_of, corpus_of, drops_of, make_batch

from corpuscurate.methods.dedup.bands import value_column
from corpuscurate.methods.dedup.sketch import Recipe, sign
from corpuscurate.stages.minhash import MinHash


def unlike(documents: int, words: int) -> list[str]:
    rng = np.random.default_rng(7)
    return [" ".join(f"w{i}" for i in rng.integers(0, 1 << 40, words)) for _ in range(documents)]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "uint8"),
        ({"signature": "classic"}, "uint8"),
        ({"preset": "fineweb"}, "uint8"),
        ({"signature": "datasketch"}, "uint32"),
        ({"bands": 20, "rows": 5}, "uint8"),
        ({"bands": 20, "rows": 4}, "uint16"),
        ({"bands": 32, "rows": 3}, "uint16"),
        ({"bands": 32, "rows": 2}, "uint32"),  # documents without a common shingle would meet by chance
        ({"threshold": 0.1}, "uint32"),
        ({"value_bits": 32}, "uint32"),
        ({"value_bits": 16}, "uint16"),
        ({"value_bits": 8, "bands": 4, "rows": 1}, "uint8"),
        ({"value_bits": 16, "bands": 4, "rows": 1}, "uint16"),
    ],
)
def test_bits_of_a_value(given, kind):
    stage = MinHash(**given)
    assert stage.value_type == kind
    assert stage.sketch_parameters()["value_bits"] == int(kind[4:])
    assert str(stage.sketch_schema().field(value_column(0)).type) == kind


@pytest.mark.parametrize("bits", [8, 16])
def test_values_of_datasketch_are_kept_whole(bits):
    with pytest.raises(ValidationError, match=f"value_bits: {bits} would not be datasketch's values"):
        MinHash(signature="datasketch", value_bits=bits)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("signature", ["fast", "classic"])
def test_a_short_value_is_the_lower_end(signature, bits):
    batch = make_batch(unlike(20, 30), range(20))
    whole = sign(Recipe(signature, "words", 5, 128, 1, "sha1"), batch.text).values
    short = MinHash(signature=signature, value_bits=bits).sketch(batch)
    for j in range(128):
        assert short[value_column(j)].to_pylist() == (whole[j] % 2**bits).tolist()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("signature", ["fast", "classic"])
@pytest.mark.parametrize("words", [8, 60, 4000, 20_000])
def test_trap_9_unlike_documents_agree_in_a_short_value_once_in_its_range(signature, words, bits):
    size = 400 if words < 1000 else 60 if words < 10_000 else 30
    stage = MinHash(signature=signature, value_bits=bits)
    sketch = stage.sketch(make_batch(unlike(size, words), range(size)))
    equal = 0
    for j in range(128):
        _, counts = np.unique(sketch[value_column(j)].to_numpy(), return_counts=True)
        equal += int((counts * (counts - 1) // 2).sum())
    expected = 128 * size * (size - 1) / 2 / 2**bits
    assert abs(equal - expected) < 6 * np.sqrt(expected) + 1  # the estimate of unlike documents is 0, not .06 or .40


def test_short_values_decide_as_whole_ones(tmp_path):
    rng = np.random.default_rng(3)
    texts = []
    for base in unlike(40, 80):
        for _ in range(5):
            copy = base.split()
            for _ in range(rng.integers(0, 5)):
                copy[rng.integers(0, len(copy))] = f"x{rng.integers(0, 3000)}"
            texts.append(" ".join(copy))
    found = []
    for bits in (8, 16, 32):
        stage = MinHash(value_bits=bits)
        found.append(drops_of(stage.settle(corpus_of(stage, texts, tmp_path / str(bits)))))
    assert found[0] == found[1] == found[2]
    assert len(clusters_of(found[0])) > 20
