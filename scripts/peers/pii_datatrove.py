"""datatrove's PII formatter and URL filter over texts and URLs. Run by path with a Python that has datatrove.

Usage: pii_datatrove.py TEXTS.jsonl URLS.jsonl LISTS.json RESULT.json

TEXTS and URLS have a JSON string a line, LISTS entries of `domains`, `urls`, `words`, `soft`, `subwords`. RESULT has
the CPU seconds of each, the number of replacements by kind, and the URLs that are dropped, by row.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
from datatrove.pipeline.formatters import PIIFormatter


def read(path: str) -> list:
    with Path(path).open() as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    """Read, run, write."""
    texts, urls = read(sys.argv[1]), read(sys.argv[2])
    lists = json.loads(Path(sys.argv[3]).read_text())
    formatter = PIIFormatter(email_replacement="\0E\0", ip_replacement="\0I\0")
    begun = time.process_time()
    made = [formatter.format(text) for text in texts]
    found: dict = {"version": version("datatrove"), "pii_seconds": time.process_time() - begun}
    found["hits"] = [[text.count("\0E\0"), text.count("\0I\0")] for text in made]
    url_filter = URLFilter(
        extra_domains=lists["domains"],
        extra_urls=lists["urls"],
        banned_words=lists["words"],
        soft_banned_words=lists["soft"],
        banned_subwords=lists["subwords"],
        use_integrated_lists=False,
    )
    documents = [Document(text="", id=str(row), metadata={"url": url}) for row, url in enumerate(urls)]
    url_filter.filter(documents[0])  # loads and prepares
    begun = time.process_time()
    kept = [url_filter.filter(document) is True for document in documents]
    found["url_seconds"] = time.process_time() - begun
    found["dropped"] = [row for row, stays in enumerate(kept) if not stays]
    Path(sys.argv[4]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
