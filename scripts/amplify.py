"""A corpus of any size made from a small real one by edits of known depth, as Parquet shards; the same bytes each time.

Usage: amplify.py FILE.jsonl[.gz] ... --out DIR --bytes 500MB [--seed 1]

The corpus is emitted in rounds; each has every document once. Rounds come in families of three. The first of a family
is its generation: the real texts in family 0, in the others the real texts with 40 % of the words changed (word 5-grams
have a Jaccard similarity of about .04 to the text they come from). In the other two every document is, by a draw of its
own, once more a new text (50 %), an exact copy of the generation (10 %), or an edit of it whose similarity is well
above .8 (15 %), just above (10 %), or just under it (15 %). One document in fifty is instead always a light edit of the
*real* text, in any family: clusters that grow with the corpus. With a share p of the words changed, J of 5-grams is
about s / (2 - s) with s = (1 - p)^5.

A changed word is replaced by one drawn from the corpus, or dropped (one in four). Streaming: one round in memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

TOKEN = re.compile(r"\w+\W*|\W+")
FAMILY = 3
GROUP_BYTES = 32 << 20
FILE_BYTES = 128 << 20
NEW, EXACT, LIGHT, ABOVE, UNDER, VIRAL = range(6)
KINDS = ("new", "exact", "light", "above", "under", "viral")
SHARE = (0.50, 0.10, 0.15, 0.10, 0.15)
"""Of NEW .. UNDER in an edited round."""
CHANGED = {NEW: (0.4, 0.4), EXACT: (0.0, 0.0), LIGHT: (0.001, 0.01), ABOVE: (0.013, 0.021), UNDER: (0.025, 0.03)}
"""Least and greatest share of words changed; VIRAL is like LIGHT."""
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("kind", pa.string())])


@dataclass(frozen=True)
class Corpus:
    """tokens: each word with what follows it, document after document, then one empty token. ends: int64[n + 1]."""

    tokens: pa.LargeStringArray
    ends: NDArray[np.int64]

    @property
    def words(self) -> int:
        """Tokens without the empty one."""
        return int(self.ends[-1])

    def __len__(self) -> int:
        return len(self.ends) - 1


def load(paths: list[Path]) -> Corpus:
    """The `text` of JSON lines as tokens."""
    tokens: list[str] = []
    ends = [0]
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for line in lines:
                tokens += TOKEN.findall(json.loads(line)["text"])
                ends.append(len(tokens))
    return Corpus(pa.array([*tokens, ""], pa.large_string()), np.array(ends, np.int64))


def edited(base: NDArray[np.int64], corpus: Corpus, share: NDArray[np.float64], seed: list[int]) -> NDArray[np.int64]:
    """Token numbers of a round: in each document its `share` of the tokens of `base` is changed."""
    random = np.random.Generator(np.random.PCG64(seed))
    changed = np.flatnonzero(random.random(corpus.words) < np.repeat(share, np.diff(corpus.ends)))
    out = base.copy()
    new = random.integers(0, corpus.words, len(changed))
    new[random.random(len(changed)) < 0.25] = corpus.words
    out[changed] = new
    return out


def rounds(corpus: Corpus, seed: int) -> Iterator[tuple[pa.LargeStringArray, NDArray[np.int64]]]:
    """Texts and kinds, round after round, without end."""
    real = np.arange(corpus.words)
    base = real
    number = 0
    while True:
        kinds = np.zeros(len(corpus), np.int64)
        if number % FAMILY == 0:
            if number:
                base = edited(real, corpus, np.full(len(corpus), CHANGED[NEW][0]), [seed, number, 0])
            chosen = base
        else:
            random = np.random.Generator(np.random.PCG64([seed, number, 1]))
            kinds = random.choice(len(SHARE), len(corpus), p=SHARE)
            viral = random.random(len(corpus)) < 0.02
            kinds[viral] = VIRAL
            low, high = np.array([CHANGED[LIGHT if kind == VIRAL else kind] for kind in range(len(KINDS))])[kinds].T
            from_real = np.repeat(viral, np.diff(corpus.ends))
            share = low + (high - low) * random.random(len(corpus))
            chosen = edited(np.where(from_real, real, base), corpus, share, [seed, number, 2])
        texts = corpus.tokens.take(pa.array(chosen))
        ends = np.frombuffer(texts.buffers()[1], np.int64)[corpus.ends]
        yield pa.LargeStringArray.from_buffers(len(corpus), pa.py_buffer(ends), texts.buffers()[2]), kinds
        number += 1


def tables(corpus: Corpus, seed: int, limit: int) -> Iterator[pa.Table]:
    """Rounds as tables, until `limit` bytes of text; the last is cut at the document that reaches it."""
    done = 0
    for number, (texts, kinds) in enumerate(rounds(corpus, seed)):
        ends = np.frombuffer(texts.buffers()[1], np.int64)[1:]
        rows = min(len(texts), int(np.searchsorted(ends, limit - done)) + 1)
        done += int(ends[rows - 1])
        ids = pa.array([f"{number:05d}-{row:06d}" for row in range(rows)])
        names = pa.array(KINDS).take(pa.array(kinds[:rows]))
        yield pa.table([ids, texts.slice(0, rows).cast(pa.string()), names], schema=SCHEMA)
        if done >= limit:
            return


def amplify(paths: list[Path], out: Path, limit: int, seed: int = 1, file_bytes: int = FILE_BYTES) -> int:
    """Write `shard-*.parquet` of together `limit` bytes of text into the new folder `out`; a shard is closed by the row
    group that fills it. Returns the documents."""
    out.mkdir(parents=True)
    writer, size, files, documents = None, 0, 0, 0
    for table in tables(load(paths), seed, limit):
        lengths = pc.binary_length(table["text"]).to_numpy()
        start = 0
        while start < len(table):
            stop = start + int(np.searchsorted(np.cumsum(lengths[start:]), min(GROUP_BYTES, file_bytes))) + 1
            if writer is None:
                writer = pq.ParquetWriter(
                    out / f"shard-{files:04d}.parquet",
                    SCHEMA,
                    compression="zstd",
                    compression_level=3,
                    use_dictionary=["kind"],
                )
                files += 1
            rows = table.slice(start, stop - start)
            writer.write_table(rows, row_group_size=len(rows))
            size += int(lengths[start:stop].sum())
            documents += len(rows)
            start = stop
            if size >= file_bytes:
                writer.close()
                writer, size = None, 0
    if writer is not None:
        writer.close()
    return documents


def parse_size(text: str) -> int:
    """2GB -> 2 * 10^9."""
    found = re.fullmatch(r"([0-9.]+)\s*(|K|M|G)B?", text.strip().upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB or 2GB")
    return int(float(found[1]) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[found[2]])


def main() -> None:
    """Amplify the files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist")
    parser.add_argument("--bytes", type=parse_size, required=True, help="of text")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.out.exists():
        sys.exit(f"{given.out} exists")
    documents = amplify(given.inputs, given.out, given.bytes, given.seed)
    print(f"{documents:,} documents in {given.out}")


if __name__ == "__main__":
    main()
