"""The model of py3langid against the package's own answers, and files that are no model."""

from __future__ import annotations

import io
import lzma

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from support.forms import some

from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.methods.language.identify import identify
from corpuscurate.methods.language.models import language_model
from corpuscurate.methods.language.py3langid_model import load_model, model_path

TEXTS = [
    "The quick brown fox jumps over the lazy dog.", "Der schnelle braune Fuchs springt über den faulen Hund.",
    "ДОБРЫЙ ДЕНЬ, КАК ДЕЛА", "日本語のテキストです。", "中文文本在这里",
    "e\u0301te\u0301 en France", "ภาษาไทยไม่มีการเว้นวรรค",
    "STRASSE UND STRAẞE", "ΟΔΟΣ ΟΔΥΣΣΕΩΣ", "\u1112\u1161\u11ab글 문장", "x = 3; return x",
    "https://a.b/c?d=e", "ÅNGSTRÖM A\u030a",
]  # fmt: skip


@pytest.fixture(scope="module")
def package():
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def answers(texts):
    model = language_model(None)
    numbers = np.arange(len(model.labels))
    found = identify(pa.array(texts, TEXT), model, numbers, numbers, max_bytes=0, parts=0).found
    return [model.labels[each] if each >= 0 else None for each in found.labels[:, 0]], found.scores[:, 0]


def check(package, texts):
    for text, label, score in zip(texts, *answers(texts), strict=True):
        wanted, p = package.classify(text)
        if label is None:  # nothing to go by: the package answers with the classes' order
            assert p < 0.02
        else:
            assert score == pytest.approx(p, abs=1e-4)
            assert label == wanted or dict(package.rank(text))[label] == pytest.approx(p, abs=1e-5)


def test_equal_to_the_package(package):
    check(package, [*TEXTS, " ".join(TEXTS), *(" ".join(TEXTS[:2] * n) for n in (3, 5, 40))])
    labels, _ = answers(TEXTS[:5])
    assert labels == ["en", "de", "ru", "ja", "zh"]


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=300)
MIXED = st.lists(st.sampled_from([*TEXTS, "\x00", "\u0301" * 9, "🦊", "A" * 700]), max_size=12).map("".join)


@settings(max_examples=some(60), deadline=None)
@given(st.lists(HOSTILE | MIXED, max_size=3))
def test_equal_to_the_package_on_any_text(package, texts):
    check(package, texts)


def test_second_ratio_of_parts():
    model = language_model(None)
    numbers = np.arange(len(model.labels))
    english, german = TEXTS[0] + " ", "Die Regierung des Landes sagte am Montag, dass sie es tun werde. "
    texts = pa.array([english * 40, english * 30 + german * 8, german * 3, ""], TEXT)
    made = identify(texts, model, numbers, numbers, max_bytes=0, parts=8)
    first, second = (
        [model.labels[each] if each >= 0 else None for each in few] for few in (made.found.labels[:, 0], made.second)
    )
    assert second[::2] == [None, None]
    assert second[3] is None
    assert {first[1], second[1]} == {"en", "de"}
    share = made.second_ratio[1]
    assert 0.1 <= (share if second[1] == "de" else 1 - share) <= 0.5


def packed(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return lzma.compress(buffer.getvalue(), preset=0)


def small(**changed):
    arrays = {
        "ptc": np.array([[-3.0, -4.0]], np.float16),
        "pc": np.zeros(2, np.float32),
        "classes": np.array(["en", "de"]),
        "nextmove": np.array([1] + [0] * 255, np.uint32),
        "nextmove_row": np.zeros(2, np.uint16),
        "out_feat": np.array([-1, 0], np.int32),
    }
    return {name: value for name, value in {**arrays, **changed}.items() if value is not None}


def test_a_small_model(tmp_path):
    (tmp_path / "m.xz").write_bytes(packed(**small()))
    model, classes = load_model(tmp_path / "m.xz")
    assert classes == ("en", "de")
    assert (model.depth, model.width, model.scale) == (1, 16, 1024)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no zip|not a zip|zip file|empty|No data"),
        (b"no model", "format"),
        (lzma.compress(b"no zip"), "zip|pickled"),
        (packed(**small(out_feat=None)), "out_feat is missing"),
        (packed(**small(classes=np.array([{}, {}], object))), "pickle|Object"),
        (packed(**small(ptc=np.array([[-3, -4]], np.int16))), "ptc is missing or of another type"),
        (packed(**small(pc=np.zeros(3, np.float32))), "other shapes"),
        (packed(**small(nextmove=np.full(256, 2, np.uint32))), "leads out of its tables"),
        (packed(**small(nextmove_row=np.ones(2, np.uint16))), "leads out of its tables"),
        (packed(**small(out_feat=np.array([-1, 1], np.int32))), "leads out of its tables"),
        (packed(**small(out_feat=np.array([-2, 0], np.int32))), "leads out of its tables"),
        (packed(**small(ptc=np.array([[-3.0, np.inf]], np.float16))), "no numbers"),
        (packed(**small(ptc=np.array([[-3.0, -0.0003]], np.float16))), "no multiples"),
        (packed(**small())[:-40], "zip|end|truncated|Truncated|corrupt"),
    ],
)  # fmt: skip
def test_files_that_are_no_model(tmp_path, data, message):
    path = tmp_path / "model.npz.xz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_a_file_that_unpacks_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("corpuscurate.methods.language.py3langid_model.MAX_BYTES", 1 << 20)
    for name, data in (("zeros", lzma.compress(bytes(1 << 22))), ("zip", packed(**small(pc=np.zeros(1 << 20))))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=r"unpacks to more than 1,048,576 bytes|Memory usage limit"):
            load_model(tmp_path / name)


def test_a_package_that_is_not_there(monkeypatch):
    monkeypatch.setattr("corpuscurate.methods.language.py3langid_model.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install py3langid"):
        model_path()


def test_a_model_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "none")
