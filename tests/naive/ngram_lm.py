"""Back-off language models in plain Python: a tiny trainer, ARPA, scores, CCNet's normalisation and perplexity."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

Gram = tuple[str, ...]
Model = Mapping[Gram, tuple[float, float]]
"""Log10 probability and back-off weight of each n-gram."""

SIGNS = {
    **dict.fromkeys("，、", ","),
    **dict.fromkeys("„”“«»「」《》", '"'),
    **dict.fromkeys("´’", "'"),
    **dict.fromkeys("∶：", ":"),
    **dict.fromkeys("–━►", "-"),
    **{"。": ".", "？": "?", "！": "!", "（": "(", "）": ")", "；": ";", "—": " - ", "．": ". ", "～": "~", "…": "..."},
    **{"〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%"},
}


def train(sentences: list[str], order: int) -> Model:
    """Absolute discounting by a half; weights are written with four decimals, as files have them."""
    counts: Counter[Gram] = Counter()
    for sentence in sentences:
        words = ["<s>", *sentence.split(), "</s>"]
        for n in range(1, order + 1):
            counts.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    total = sum(count for gram, count in counts.items() if len(gram) == 1 and gram != ("<s>",))
    model = {("<unk>",): (-2.0, 0.0)}
    follows = Counter(gram[:-1] for gram in counts)
    for gram, count in counts.items():
        whole = counts[gram[:-1]] if len(gram) > 1 else total
        follow = follows[gram]
        backoff = math.log10(0.5 * follow / count) if follow and len(gram) < order else 0.0
        probability = 0.0 if gram == ("<s>",) else math.log10((count - 0.5) / whole)
        model[gram] = (round(probability, 4), round(backoff, 4))
    return model


def arpa(model: Model) -> str:
    order = max(map(len, model))
    lengths = [[gram for gram in model if len(gram) == n] for n in range(1, order + 1)]
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(lengths, 1)), ""]
    for n, grams in enumerate(lengths, 1):
        lines.append(f"\\{n}-grams:")
        for gram in grams:
            probability, backoff = model[gram]
            tail = f"\t{backoff}" if n < order else ""
            lines.append(f"{probability}\t{' '.join(gram)}{tail}")
        lines.append("")
    return "\n".join([*lines, "\\end\\", ""])


def word_score(model: Model, context: Gram, word: str) -> float:
    """Log10 P(word | context), by the definition of back-off."""
    if (*context, word) in model:
        return model[(*context, word)][0]
    if not context:
        return model[("<unk>",)][0]
    return model.get(context, (0.0, 0.0))[1] + word_score(model, context[1:], word)


def sentence_score(model: Model, words: list[str]) -> float:
    order = max(map(len, model))
    known = [word if (word,) in model else "<unk>" for word in words]
    whole = ["<s>", *known, "</s>"]
    return sum(word_score(model, tuple(whole[max(0, i - order + 1) : i]), whole[i]) for i in range(1, len(whole)))


def normalised(line: str) -> str:
    lower = unicodedata.normalize("NFD", line.strip().lower())
    bare = "".join(char for char in lower if unicodedata.category(char) != "Mn")
    ascii = "".join(SIGNS.get(char, char) for char in re.sub(r"\d", "0", bare))
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", ascii)


def perplexity(model: Model, text: str, normalize: bool) -> float | None:
    lines = [normalised(line) if normalize else line for line in text.split("\n")]
    if not "\n".join(lines):
        return None
    tokens = [re.findall(r"[^ \t\n\r\v\f]+", line) for line in lines]
    score = sum(sentence_score(model, words) for words in tokens)
    return float(10 ** (-score / sum(len(words) + 1 for words in tokens)))
