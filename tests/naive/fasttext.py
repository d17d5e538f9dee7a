"""A supervised fastText model from its definition, in plain Python: a writer of model files, and a prediction."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

SPACES = b" \t\n\v\f\r\0"


@dataclass
class Model:
    """words: of the dictionary. rows: one list of floats a word and bucket (or kept n-gram). outputs: one a label."""

    words: list[str]
    labels: list[str]
    rows: list[list[float]]
    outputs: list[list[float]]
    counts: list[int] = field(default_factory=list)
    word_ngrams: int = 1
    bucket: int = 0
    minn: int = 0
    maxn: int = 0
    loss: str = "softmax"
    kind: int = 3
    pruned: dict[int, int] | None = None


LOSSES = {"hs": 1, "ns": 2, "softmax": 3, "ova": 4}


def dense(rows: list[list[float]], columns: int) -> bytes:
    return struct.pack("<2q", len(rows), columns) + b"".join(struct.pack(f"<{columns}f", *row) for row in rows)


def codes(rows: list[list[float]], columns: int) -> bytes:
    """A quantised matrix with one part of `columns`: at most 256 rows, each its own centroid, all norms 1."""
    assert len(rows) <= 256
    centroids = [*rows, *([[0.0] * columns] * (256 - len(rows)))]
    flat = b"".join(struct.pack(f"<{columns}f", *row) for row in centroids)
    quantiser = struct.pack("<4i", columns, 1, columns, columns) + flat
    return struct.pack("<?2qi", False, len(rows), columns, len(rows)) + bytes(range(len(rows))) + quantiser


def model_bytes(model: Model, *, version: int = 12, magic: int = 793712314) -> bytes:
    """The file of a model; quantised where it is pruned."""
    dim = len(model.outputs[0])
    counts = model.counts or [10 - i for i in range(len(model.labels))]
    out = struct.pack("<2i", magic, version)
    out += struct.pack(
        "<12id", dim, 5, 5, 1, 5, model.word_ngrams, LOSSES[model.loss], model.kind, model.bucket, model.minn,
        model.maxn, 100, 1e-4,
    )  # fmt: skip
    kept = -1 if model.pruned is None else len(model.pruned)
    size = len(model.words) + len(model.labels)
    out += struct.pack("<3i2q", size, len(model.words), len(model.labels), 1000, kept)
    for word in model.words:
        out += word.encode() + b"\0" + struct.pack("<qb", 5, 0)
    for label, count in zip(model.labels, counts, strict=True):
        out += label.encode() + b"\0" + struct.pack("<qb", count, 1)
    for first, second in (model.pruned or {}).items():
        out += struct.pack("<2i", first, second)
    quantised = model.pruned is not None
    out += struct.pack("<?", quantised) + (codes if quantised else dense)(model.rows, dim)
    return out + struct.pack("<?", False) + dense(model.outputs, dim)


def fnv(data: bytes) -> int:
    h = 2166136261
    for byte in data:
        h = ((h ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) % 2**32
    return h


def tokens(text: str) -> list[bytes]:
    """The words of a document as one line, `</s>` last."""
    found, word = [], b""
    for byte in text.encode():
        if byte in SPACES:
            if word:
                found.append(word)
            word = b""
        else:
            word += bytes([byte])
    found += [word] if word else []
    if b"</s>" in found:
        return found[: found.index(b"</s>") + 1]
    return [*found, b"</s>"]


def character_ngrams(word: str, minn: int, maxn: int) -> list[str]:
    chars = "<" + word + ">"
    spans = [(i, i + n) for i in range(len(chars)) for n in range(max(minn, 1), maxn + 1) if i + n <= len(chars)]
    return [chars[i:j] for i, j in spans if (i, j) not in ((0, 1), (len(chars) - 1, len(chars)))]


def is_label(model: Model, token: bytes) -> bool:
    unknown = token.decode() not in model.words
    return token.decode() in model.labels or (unknown and token.startswith(b"__label__"))


def features(model: Model, text: str) -> list[int]:
    """Rows of a document's features, in fastText's order."""
    words = {word.encode(): i for i, word in enumerate(model.words)}
    rows, hashes = [], []

    def push(bucket: int) -> None:
        if model.pruned is None:
            rows.append(len(words) + bucket)
        elif bucket in model.pruned:
            rows.append(len(words) + model.pruned[bucket])

    for token in [token for token in tokens(text) if not is_label(model, token)]:
        if token in words:
            rows.append(words[token])
        if token != b"</s>":
            for gram in character_ngrams(token.decode(), model.minn, model.maxn):
                push(fnv(gram.encode()) % model.bucket)
        hashes.append(fnv(token))
    signed = [h - 2**32 if h >= 2**31 else h for h in hashes]
    for i in range(len(signed)):
        whole = signed[i] % 2**64
        for j in range(i + 1, min(len(signed), i + model.word_ngrams)):
            whole = (whole * 116049371 + signed[j]) % 2**64
            push(whole % model.bucket)
    return rows


def leaf_path(counts: list[int], label: int) -> list[tuple[int, bool]]:
    """(output row, goes right) from root to leaf of the Huffman tree, by merging the two rarest again and again."""
    size = len(counts)
    nodes: list[tuple[int, list[int]]] = [(count, [i]) for i, count in enumerate(counts)]
    leaves = list(range(size - 1, -1, -1))
    inner: list[int] = []
    paths: dict[int, list[tuple[int, bool]]] = {i: [] for i in range(size)}
    for new in range(size - 1):
        pair = []
        for _ in range(2):
            take_leaf = leaves and (not inner or nodes[leaves[0]][0] < nodes[inner[0]][0])
            pair.append(leaves.pop(0) if take_leaf else inner.pop(0))
        for right, node in enumerate(pair):
            for leaf in nodes[node][1]:
                paths[leaf].insert(0, (new, bool(right)))
        nodes.append((nodes[pair[0]][0] + nodes[pair[1]][0], nodes[pair[0]][1] + nodes[pair[1]][1]))
        inner.append(len(nodes) - 1)
    return paths[label]


def score(model: Model, text: str, label: int) -> float | None:
    """What fastText's predict reports for a label, at most 1; None without features."""
    rows = features(model, text)
    if not rows:
        return None
    dim = len(model.outputs[0])
    hidden = [sum(model.rows[row][j] for row in rows) / len(rows) for j in range(dim)]
    return score_of_mean(model, hidden, label)


def score_of_mean(model: Model, hidden: list[float], label: int) -> float:
    """The same from the mean of a document's rows."""
    logits = [sum(a * b for a, b in zip(hidden, output, strict=True)) for output in model.outputs]
    if model.loss == "softmax":
        top = max(logits)
        powers = [math.exp(x - top) for x in logits]
        return min(1.0, powers[label] / sum(powers) + 1e-5)
    if model.loss in ("ns", "ova"):
        x = logits[label]
        if abs(x) > 8:
            return 1.0 if x > 0 else 1e-5
        cell = math.floor((x + 8) * 32)
        return min(1.0, 1 / (1 + math.exp(8 - cell / 32)) + 1e-5)
    counts = model.counts or [10 - i for i in range(len(model.labels))]
    total = 0.0
    for node, right in leaf_path(counts, label):
        p = 1 / (1 + math.exp(-logits[node]))
        total += math.log((p if right else 1 - p) + 1e-5)
        if total < math.log(1e-5):
            return 0.0
    return min(1.0, math.exp(total))
