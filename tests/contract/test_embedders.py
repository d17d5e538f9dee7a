"""What every registered embedder must hold to.

Each has a test file of its own, `tests/methods/embed/test_<module>.py`. Where its parameters have no defaults to embed
with, that file says how some are made: `example(folder)`, which may write a model into the folder.
"""

from __future__ import annotations

import pickle
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from corpuscurate.core.columns import TEXT
from corpuscurate.methods.embed.base import embedder_kinds
from corpuscurate.methods.embed.make import dimension_of, embedder_value, make_embedder, model_digest

TESTS = Path(__file__).parents[1] / "methods" / "embed"
NO_EMBEDDER = ("column",)
TEXTS = ["The rules of the house.", "", "𝒳𝒴😀 漢字", "a", "the rules of the house " * 200, "\0 e\u0301", "12 34", "a"]
KINDS = [
    kind
    for kind, model in embedder_kinds().items()
    if model.__module__.startswith("corpuscurate.methods.embed.") and kind not in NO_EMBEDDER
]


@pytest.fixture(scope="module", params=KINDS)
def parameters(request, tmp_path_factory):
    """Parameters of each embedder."""
    kind = embedder_kinds()[request.param]
    name = kind.__module__.rpartition(".")[2]
    spec = spec_from_file_location(f"examples_of_{name}", TESTS / f"test_{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    example = getattr(module, "example", None)
    return kind() if example is None else example(tmp_path_factory.mktemp(name))


def test_parameters_are_a_documented_frozen_value(parameters):
    kind = type(parameters)
    assert kind.__doc__
    assert [name for name, field in kind.model_fields.items() if name != "kind" and not field.description] == []
    assert pickle.loads(pickle.dumps(parameters)) == parameters  # noqa: S301
    assert kind.model_validate_json(parameters.model_dump_json()) == parameters
    assert hash(parameters) == hash(kind(**parameters.model_dump()))


def test_rows_are_units_whatever_the_batch(parameters):
    embedder = make_embedder(parameters)
    assert make_embedder(parameters) is embedder
    whole = embedder.embed(pa.array(TEXTS, TEXT)).rows
    assert (whole.dtype, whole.shape) == (np.float32, (len(TEXTS), embedder.dimension))
    assert dimension_of(parameters) == embedder.dimension
    length = np.linalg.norm(whole, axis=1)
    assert ((np.abs(length - 1) < 1e-3) | (length == 0)).all()
    assert length[1] == 0  # the empty text
    assert (length > 0).sum() > len(TEXTS) / 2
    assert whole[3].tobytes() == whole[7].tobytes()
    assert len(np.unique(whole, axis=0)) > 3
    array = pa.array(TEXTS, TEXT)
    parts = [embedder.embed(array.slice(start, stop - start)).rows for start, stop in pairwise([0, 1, 1, 4, 8])]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_identity_and_digest(parameters):
    embedder = make_embedder(parameters)
    assert embedder.identity() == parameters.make_embedder().identity()
    assert embedder.resources.memory_bytes > 0
    value = orjson.loads(orjson.dumps(embedder_value(parameters)))
    assert value["kind"] == parameters.kind
    folder = parameters.model_folder()
    assert (model_digest(parameters) is None) == (folder is None)
    if folder is not None:
        assert value["model"] == model_digest(parameters)  # not the path
