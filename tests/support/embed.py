"""Small models made on the spot: a WordPiece vocabulary with a table of rows, and a tiny transformer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpuscurate.methods.embed.tensors import write_tensors

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCEIS0123456789'.,!?-[]éèüßñçøåΣσςдЖя漢字豈仮名ガがกิ한글ᄒ"
ALPHABET += "\u0301\u0327\u0345ǅİıﬁ½،؟कि𝒳😀"
ADDED = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}


def array(texts: Sequence[str]) -> pa.LargeStringArray:
    """Texts as a slice, so that offsets do not begin at 0."""
    return pa.array(["before", *texts], pa.large_string()).slice(1)


def vocabulary() -> dict[str, int]:
    """Every letter that the alphabet can become, alone and within words, and some longer pieces."""
    import unicodedata

    letters = set(ALPHABET) | {c for a in ALPHABET for c in unicodedata.normalize("NFD", a)}
    letters |= {c for letter in letters for c in letter.lower()}
    tokens = [*ADDED]
    tokens += sorted(letters) + [f"##{letter}" for letter in sorted(letters)]
    tokens += [
        "the",
        "hello",
        "##ing",
        "##llo",
        "he",
        "##a\u0301",
        "world",
        "##xyz",
        "un",
        "##able",
        "##ab",
        "é",
        "##ß",
    ]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def tokenizer_json(setting: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The content of a tokenizer.json."""
    normaliser = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    added = [
        {
            "id": n,
            "content": t,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for t, n in ADDED.items()
    ]
    value = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", **normaliser, **(setting or {})},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20,
            "vocab": vocabulary(),
        },
    }
    return {**value, **changes}


def static_folder(
    folder: Path, *, dimension: int = 8, dtype: Any = np.float32, name: str = "embeddings", **changes: Any
) -> Path:
    """A static model. Rows are small whole numbers. name: of the tensor: `embedding.weight` for StaticEmbedding."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(**changes)))
    rows = np.random.default_rng(3).integers(-9, 9, (len(vocabulary()), dimension)).astype(dtype)
    write_tensors(folder / "model.safetensors", {name: rows})
    return folder


def data_folder() -> Path:
    """The folder of real text, or skip."""
    folder = os.environ.get("CORPUSCURATE_DATA")
    if not folder:
        pytest.skip("CORPUSCURATE_DATA names no folder with real text")
    return Path(folder)


def bert_folder(folder: Path, kind: str, **config: Any) -> Path:
    """A BERT of transformers with random weights and a tokenizer: one layer, 16 dimensions, 48 positions.

    kind: name of the class, such as BertModel. Saved as safetensors.
    """
    import torch
    import transformers

    value = tokenizer_json()
    marks = {name: {"id": name, "ids": [n], "tokens": [name]} for name, n in (("[CLS]", 2), ("[SEP]", 3))}
    value["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": marks,
    }
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(value))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
    torch.manual_seed(0)
    settings = transformers.BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
        initializer_range=0.5,
        **config,
    )
    getattr(transformers, kind)(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sentence_folder(target: Path) -> Path:
    """A transformer with random weights, one layer, 16 dimensions, at most 24 tokens."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bert_folder(target / "plain", "BertModel")
    first = Transformer(str(target / "plain"))
    first.max_seq_length = 24
    model = SentenceTransformer(modules=[first, Pooling(16, "mean")], device="cpu")
    model.save(str(target / "whole"))
    return target / "whole"
