"""datatrove's C4 and FineWeb filters over texts: reasons, texts left, seconds. Run by path with a Python that has
datatrove.

Usage: lines_datatrove.py TEXTS.jsonl RESULT.json [own|ours]

TEXTS has a JSON string a line. ours: words and sentences are those of the twins in tests/naive instead of datatrove's,
so that rules are compared and not tokenizers. RESULT has, for each family, "reasons" (null or a word), "texts" (what is
left of kept documents), and "seconds" of this process's CPU; with own ones also "sentences", datatrove's count for each
document.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
from datatrove.data import Document
from datatrove.utils.text import split_into_sentences, split_into_words

FAMILIES = {
    "c4_quality": c4.C4QualityFilter,
    "c4_quality as in FineWeb": lambda: c4.C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb_quality": fineweb.FineWebQualityFilter,
}


def swap() -> None:
    """Let the filters have our words and sentences."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from naive.lines import sentences_of_line
    from naive.tokens import tokens

    c4.split_into_sentences = lambda text, language=None: sentences_of_line(text)
    fineweb.split_into_words = lambda text, language=None: tokens(text) or [""]


def apply(made: object, texts: list[str]) -> dict:
    """What a filter does to each document; an exception is a reason, too."""
    reasons: list = []
    left: list = []
    begun = time.process_time()
    for number, text in enumerate(texts):
        document = Document(text=text, id=str(number))
        try:
            result = made.filter(document)
        except ZeroDivisionError:
            result = (False, "ZeroDivisionError")
        kept = result is True
        reasons.append(None if kept else result[1] if isinstance(result, tuple) else "dropped")
        left.append(document.text if kept else None)
    return {"reasons": reasons, "texts": left, "seconds": time.process_time() - begun}


def main() -> None:
    """Read, run, write."""
    with Path(sys.argv[1]).open() as lines:
        texts = [json.loads(line) for line in lines]
    found: dict = {"version": version("datatrove"), "spacy": version("spacy")}
    if sys.argv[3:] == ["ours"]:
        swap()
    else:
        split_into_words("load the tokenizer", "eng")
    for name, family in FAMILIES.items():
        found[name] = apply(family(), texts)
    if sys.argv[3:] != ["ours"]:
        lines = [[line.strip() for line in text.splitlines()] for text in texts]
        found["sentences"] = [sum(len(split_into_sentences(line, "eng")) for line in each if line) for each in lines]
        found["words"] = [len(split_into_words(text, "eng")) for text in texts]
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
