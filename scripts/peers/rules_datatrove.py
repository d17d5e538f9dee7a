"""datatrove's filters over texts: reason of each document, and seconds. Run by path with a Python that has datatrove.

Usage: rules_datatrove.py TEXTS.jsonl RESULT.json [WORDS.jsonl]

TEXTS has a JSON string a line. WORDS, a list of words a line, replaces datatrove's own words, so that the rules are
compared and not the tokenizers. RESULT has `{family: {"reasons": [null or a word], "seconds": ...}}`, datatrove's words
under "words" with their seconds, and its version. Seconds are of this process's CPU.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import datatrove.pipeline.filters.gopher_quality_filter as quality
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.utils.text import split_into_words

FAMILIES = {"gopher_quality": quality.GopherQualityFilter, "gopher_repetition": repetition.GopherRepetitionFilter}


def optional_families() -> dict[str, Callable]:
    """The filters whose tokenizers may need data that is not there."""
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter

    return {
        "c4_quality": lambda: C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb_quality": FineWebQualityFilter,
    }


def read(path: str) -> list:
    with Path(path).open() as lines:
        return [json.loads(line) for line in lines]


def swap(words_of: dict[str, list[str]]) -> None:
    """Let the filters have these words."""
    for module in (quality, repetition):
        module.split_into_words = lambda text, language=None: words_of[text]


def apply(made: object, texts: list[str]) -> dict:
    """The reason of each document, null where it is kept, and CPU seconds; an exception is a reason, too."""
    reasons = []
    begun = time.process_time()
    for number, text in enumerate(texts):
        try:
            result = made.filter(Document(text=text, id=str(number)))
        except ZeroDivisionError:
            result = (False, "ZeroDivisionError")
        reasons.append(None if result is True else result[1] if isinstance(result, tuple) else "dropped")
    return {"reasons": reasons, "seconds": time.process_time() - begun}


def main() -> None:
    """Read, run, write."""
    texts = read(sys.argv[1])
    found: dict = {"version": version("datatrove"), "spacy": version("spacy")}
    families: dict[str, Callable] = dict(FAMILIES)
    if len(sys.argv) > 3:
        swap(dict(zip(texts, read(sys.argv[3]), strict=True)))
    else:
        families |= optional_families()
        split_into_words("load the tokenizer", "eng")
        begun = time.process_time()
        found["words"] = [split_into_words(text, "eng") for text in texts]
        found["words_seconds"] = time.process_time() - begun
    for name, family in families.items():
        found[name] = apply(family(), texts)
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
