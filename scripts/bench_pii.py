"""Speed of `pii`, `url_filter`, `blocklist` and `markup`, and what they find, beside datatrove's PII and URL steps.

    CORPUSCURATE_DATA=... python scripts/bench_pii.py [--mb MB] [--peer PYTHON] [--urls N] [--seekers]

MB or URLs for each second of CPU time of this process, one core, the best of three. Precision, recall and F1 are of
labelled spans (data/pii): a hit counts where its text is the labelled one. False hits: what stands in data/bench,
books and multilingual, told for each MB; of these some are true. `--seekers`: packages for many strings at once.
Writes scripts/results/pii.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import phonenumbers
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.stages import Blocklist, Markup, Pii, UrlFilter  # noqa: E402

FOLDERS = ("bench", "books", "multilingual")
TYPES = {
    "EMAIL_ADDRESS": "email",
    "IP_ADDRESS": "ip",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "PHONE_NUMBER": "phone",
}
REGIONS = ("US", "GB", "DE", "FR", "IT", "PT", "CZ", "JP")
BATCH_BYTES = 16_000_000


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def texts_of(folder: Path) -> list[str]:
    return [row["text"] for path in sorted(folder.glob("*.jsonl.gz")) for row in lines(path)]


def batch_of(texts: list[str], urls: list[str] | None = None) -> Batch:
    columns = {} if urls is None else {"url": pa.array(urls, TEXT)}
    rows = np.arange(len(texts), dtype=np.uint64)
    return Batch(rows, pa.array(texts, TEXT), np.zeros(len(texts), np.int64), columns=columns)


def batches(texts: list[str]) -> list[Batch]:
    made, held, size = [], [], 0
    for text in texts:
        held.append(text)
        size += len(text.encode())
        if size >= BATCH_BYTES:
            made.append(batch_of(held))
            held, size = [], 0
    return [*made, batch_of(held)]


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def labelled(data: Path) -> dict[str, Any]:
    """Precision, recall and F1 by kind; of IP addresses those that are public and all."""
    rows = lines(data / "pii" / "presidio.jsonl.gz")
    texts = [row["text"] for row in rows]
    found: dict[str, Any] = {}
    for public in (True, False):
        stage = Pii(public_ips=public, regions=REGIONS, spans=True, mode="tag")
        spans = stage.apply(batch_of(texts)).columns["spans"].to_pylist()
        hits = Counter(
            (hit["kind"], row, text.encode()[hit["start"] : hit["stop"]].decode())
            for row, (text, each) in enumerate(zip(texts, spans, strict=True))
            for hit in each
        )
        for name, kind in TYPES.items():
            wanted = Counter(
                (kind, row, span["value"])
                for row, each in enumerate(rows)
                for span in each["spans"]
                if span["type"] == name and (not public or span.get("is_global", True))
            )
            own = Counter({key: count for key, count in hits.items() if key[0] == kind})
            true = sum((own & wanted).values())
            precision, recall = true / max(own.total(), 1), true / wanted.total()
            told = {"precision": precision, "recall": recall, "f1": 2 * true / (own.total() + wanted.total())}
            found[f"{kind} all" if kind == "ip" and not public else kind] = {**told, "labelled": wanted.total()}
            if kind == "phone":
                valid = Counter({key: count for key, count in wanted.items() if is_valid_phone(key[2])})
                found["phones valid in a region"] = {"labelled": valid.total(), "found": (own & valid).total()}
    found["microseconds_a_hit"] = {name: cost(stage, texts) for name, stage in COSTS.items()}
    return found


def is_valid_phone(text: str) -> bool:
    """Whether libphonenumber calls it valid in any of the regions."""
    for region in REGIONS:
        with suppress(phonenumbers.NumberParseException):
            if phonenumbers.is_valid_number(phonenumbers.parse(text, region)):
                return True
    return False


COSTS = {
    "without phones": Pii(phone="ignore"),
    "phones with a plus sign": Pii(email="ignore", ip="ignore", card="ignore", iban="ignore"),
    "phones of eight regions": Pii(email="ignore", ip="ignore", card="ignore", iban="ignore", regions=REGIONS),
}


def cost(stage: Pii, texts: list[str]) -> float:
    """CPU microseconds for each hit in texts that are full of them, the text's own time included."""
    batch = batch_of(texts)
    hits = sum(Pii(**{**stage.parameters(), "mode": "tag"}).apply(batch).measures["hits"].to_pylist())
    return seconds(lambda: stage.apply(batch)) * 1e6 / max(hits, 1)


def speeds(folder: str, texts: list[str]) -> dict[str, Any]:
    """MB/s of each stage, and hits for each MB."""
    made = batches(texts)
    size = sum(batch.text_bytes for batch in made) / 1e6
    with tempfile.TemporaryDirectory() as where:
        (Path(where) / "words").write_text("\n".join(f"badword{number}" for number in range(1000)))
        (Path(where) / "many").write_text("\n".join(f"badword{number}" for number in range(1_000_000)))
        stages = {
            "pii": Pii(),
            "pii, phones of US and GB": Pii(regions=("US", "GB")),
            "pii, e-mail and IP as FineWeb": Pii(phone="ignore", card="ignore", iban="ignore"),
            "markup": Markup(),
            "blocklist, 1,000 entries": Blocklist(words=f"{where}/words"),
            "blocklist, 1,000,000 entries": Blocklist(words=f"{where}/many"),
        }
        found: dict[str, Any] = {"mb": size}
        for name, stage in stages.items():
            stage.apply(batch_of(["x"]))

            def work(stage: Any = stage) -> None:
                for batch in made:
                    stage.apply(batch.slice(0, len(batch)))

            found[name] = size / seconds(work)
            print(f"{folder}: {name} {found[name]:.0f} MB/s", flush=True)
    counted = [Pii(regions=("US", "GB"), mode="tag").apply(batch).measures for batch in made]
    names = ("emails", "ips", "phones", "cards", "ibans")
    found["hits_a_mb"] = {name: sum(sum(each[name].to_pylist()) for each in counted) / size for name in names}
    return found


def made_urls(count: int) -> list[str]:
    """URLs as a crawl has them: most of ASCII, one in fifty with a host in another script."""
    rng = np.random.default_rng(7)
    names, parts = rng.integers(0, 3_000_000, count).tolist(), rng.integers(0, 50_000, (count, 2)).tolist()
    ends = ("com", "org", "co.uk", "de", "github.io", "com.au", "net")
    urls = []
    for at in range(count):
        host = f"bücher{names[at] % 5000}.de" if at % 50 == 0 else f"www.site{names[at]}.{ends[names[at] % 7]}"
        urls.append(f"https://{host}/section{parts[at][0]}/an-article-about-{parts[at][1]}?page={at % 9}")
    return urls


def url_lists(count: int) -> dict[str, list[str]]:
    return {
        "domains": [f"site{number * 3}.com" for number in range(count)],
        "urls": [f"site{number}.org/section{number % 50_000}" for number in range(count)],
        "words": [f"hard{number}" for number in range(count)],
        "soft": [f"soft{number}" for number in range(1000)],
        "subwords": [f"strict{number}" for number in range(134)],
    }


def url_speed(urls: list[str], lists: dict[str, list[str]]) -> dict[str, Any]:
    """URLs a second, and the rows that are dropped."""
    names = {
        "domains": "domains",
        "urls": "urls",
        "words": "hard_words",
        "soft": "soft_words",
        "subwords": "strict_words",
    }
    with tempfile.TemporaryDirectory() as where:
        for name, entries in lists.items():
            (Path(where) / name).write_text("\n".join(entries))
        stage = UrlFilter(**{rule: f"{where}/{name}" for name, rule in names.items()}, convention="datatrove")
        begun = time.process_time()
        stage.apply(batch_of([""], urls[:1]))
        loading = time.process_time() - begun
        made = [
            batch_of([""] * len(urls[at : at + 20_000]), urls[at : at + 20_000]) for at in range(0, len(urls), 20_000)
        ]
        reasons: list[Any] = []
        taken = seconds(lambda: reasons.append([stage.apply(batch).reason for batch in made]))
        dropped = np.flatnonzero(np.concatenate(reasons[-1])).tolist()
    return {"urls": len(urls), "urls_a_second": len(urls) / taken, "loading_seconds": loading, "dropped": dropped}


def peer(python: str, texts: list[str], urls: list[str], lists: dict[str, list[str]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as where:
        files = [Path(where) / name for name in ("texts", "urls", "lists", "result")]
        files[0].write_text("".join(json.dumps(text) + "\n" for text in texts))
        files[1].write_text("".join(json.dumps(url) + "\n" for url in urls))
        files[2].write_text(json.dumps(lists))
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        script = str(ROOT / "scripts" / "peers" / "pii_datatrove.py")
        subprocess.run([python, script, *map(str, files)], check=True, env=environment)
        result: dict[str, Any] = json.loads(files[3].read_text())
        return result


def seekers(texts: list[str], count: int) -> dict[str, Any]:
    """Seconds to build, and MB/s, of packages that seek `count` strings at once."""
    import ahocorasick
    import ahocorasick_rs
    import daachorse

    entries = [f"badword{number}" for number in range(count)]
    whole = "\n".join(texts)
    raw = whole.encode()
    found: dict[str, Any] = {}

    def tell(name: str, build: Callable[[], Any], seek: Callable[[Any], object]) -> None:
        begun = time.process_time()
        made = build()
        building = time.process_time() - begun
        found[name] = {"build_seconds": building, "mb_a_second": len(raw) / 1e6 / seconds(lambda: seek(made), 2)}
        print(f"{count:,} entries, {name}: {found[name]}", flush=True)

    def plain() -> Any:
        made = ahocorasick.Automaton()
        for number, entry in enumerate(entries):
            made.add_word(entry, number)
        made.make_automaton()
        return made

    encoded = [entry.encode() for entry in entries]
    tell(
        "ahocorasick_rs",
        lambda: ahocorasick_rs.BytesAhoCorasick(encoded),
        lambda a: a.find_matches_as_indexes(raw, overlapping=True),
    )
    tell("pyahocorasick", plain, lambda a: list(a.iter(whole)))
    tell("daachorse", lambda: daachorse.DoubleArrayAhoCorasick(encoded), lambda a: a.find_overlapping(raw))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="the Python of an environment with datatrove")
    parser.add_argument("--peer-mb", type=float, default=2)
    parser.add_argument("--urls", type=int, default=500_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seekers", action="store_true")
    parser.add_argument("--mb", type=float, default=1e9, help="MB of each folder")
    options = parser.parse_args()
    data = Path(os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora"))
    found: dict[str, Any] = {"labelled": labelled(data)}
    print(json.dumps(found["labelled"], indent=1), flush=True)
    urls, lists = made_urls(options.urls), url_lists(options.entries)
    ours = url_speed(urls, lists)
    print(f"{ours['urls_a_second']:,.0f} URLs/s, {options.entries:,} entries, {ours['loading_seconds']:.1f} s to load")
    for folder in FOLDERS:
        texts, size = [], 0
        for text in texts_of(data / folder):
            if size < options.mb * 1e6:
                texts.append(text)
                size += len(text.encode())
        found[folder] = speeds(folder, texts)
        if options.seekers and folder == "bench":
            found["seekers"] = {count: seekers(texts[:8000], count) for count in (1000, 1_000_000)}
        if options.peer:
            part, taken = [], 0
            while taken < options.peer_mb * 1e6 and len(part) < len(texts):
                taken += len(texts[len(part)].encode())
                part.append(texts[len(part)])
            told = peer(options.peer, part, urls[:20_000], lists)
            found[folder]["datatrove_pii"] = taken / 1e6 / told["pii_seconds"]
            found[folder]["datatrove_hits"] = np.sum(told["hits"], axis=0).tolist()
            ours["datatrove_urls_a_second"] = 20_000 / told["url_seconds"]
            ours["decided_alike"] = told["dropped"] == [row for row in ours["dropped"] if row < 20_000]
            print(
                f"datatrove: {found[folder]['datatrove_pii']:.1f} MB/s, {ours['datatrove_urls_a_second']:,.0f} URLs/s"
            )
    found["urls"] = {**ours, "dropped": len(ours["dropped"])}
    (ROOT / "scripts" / "results" / "pii.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: found[name].get("hits_a_mb") for name in FOLDERS}, indent=1), found["urls"])


if __name__ == "__main__":
    main()
