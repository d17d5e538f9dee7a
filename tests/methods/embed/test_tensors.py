from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed.tensors import read_tensors, write_tensors

KINDS = [np.float64, np.float32, np.float16, np.int64, np.int8, np.uint64, np.uint8, np.bool_]


def raw(header, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_tensors_come_back(tmp_path):
    tensors = {np.dtype(kind).name: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    tensors["empty"] = np.zeros((0, 4), np.float32)
    write_tensors(tmp_path / "a", tensors)
    found = read_tensors(tmp_path / "a")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].tolist() == tensor.tolist()
        assert not found[name].flags.writeable or tensor.size == 0


def test_the_safetensors_package_agrees(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    tensors = {"rows": np.arange(6, dtype=np.float16).reshape(3, 2), "odd": np.ones(3, np.int8), "n": np.array(5)}
    write_tensors(tmp_path / "ours", tensors)
    theirs = numpy.load_file(tmp_path / "ours")
    assert {name: tensor.tolist() for name, tensor in theirs.items()} == {n: t.tolist() for n, t in tensors.items()}
    numpy.save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    ours = read_tensors(tmp_path / "theirs")
    assert {name: tensor.tolist() for name, tensor in ours.items()} == {n: t.tolist() for n, t in tensors.items()}


def test_bfloat16_and_data_at_odd_offsets(tmp_path):
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    stored = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    header = {"b": entry("I8", [1], [0, 1]), "a": entry("BF16", [3], [1, 7])}
    (tmp_path / "m").write_bytes(raw(header, b"\7" + stored))
    assert read_tensors(tmp_path / "m")["a"].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot read the tensors"),
        (b"1234567", "shorter than 8 bytes"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "its header claims 1152921504606846976 bytes"),
        (raw(b"{nope"), "its header is not JSON"),
        (raw([1]), "its header is no JSON object"),
        (raw({"a": 5}), "the entry of 'a' is not as it should be"),
        (raw({"a": entry(dtype="STR")}, b"x" * 8), "has the type 'STR'"),
        (raw({"a": entry(shape=[-2])}, b"x" * 8), "shape [-2]"),
        (raw({"a": entry(shape=[True, 2])}, b"x" * 8), "shape [True, 2]"),
        (raw({"a": entry(shape=[1 << 40, 1 << 40])}, b"x" * 8), "cannot lie in bytes 0..8 of 8"),
        (raw({"a": entry()}, b"x" * 7), "cannot lie in bytes 0..8 of 7"),
        (raw({"a": entry(), "b": entry()}, b"x" * 8), "overlap or leave holes"),
        (raw({"a": entry()}, b"x" * 9), "overlap or leave holes"),
        (raw({"a": entry(offsets=[1, 9])}, b"x" * 9), "overlap or leave holes"),
    ],
)
def test_unsound_files_are_told(tmp_path, content, said):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(RecipeError) as error:
        read_tensors(tmp_path / "m.safetensors")
    assert said in str(error.value)
    assert "m.safetensors" in str(error.value)


@settings(max_examples=some(200), deadline=None)
@given(data=st.data())
def test_damage_is_noticed_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("t") / "m"
    write_tensors(path, {"a": np.arange(5, dtype=np.int16), "b": np.ones((2, 2), np.float32)})
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        found = read_tensors(path)
    except RecipeError:
        return
    assert sum(tensor.size * min(tensor.itemsize, 4) for tensor in found.values()) <= 2 * len(whole)
