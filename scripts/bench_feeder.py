"""From Parquet to a column of vectors on a card, beside the bare model. Prints a JSON line a measurement, at once.

Usage: bench_feeder.py [--device cuda] [--only NAME,...] [--documents N] [--seconds S] [--folder DIR] [--text FILE]

Models are made here: random weights, real shapes, 256 tokens, a WordPiece vocabulary of 30,522 from the text, which is
that of --text, or of the Python and Markdown files of this installation; documents are pieces of 2 kB of it, in Parquet
shards. Steps (--only): host, bare, warm, feed, minilm, bert, equal, cosine, standin, cpu, encode, minilm-free,
bert-free, minilm-fp16, minilm-fp32. A step that would begin after --seconds is left out, and says so.

- bare: the forward pass alone in bfloat16, 1,024 x 256 tokens, nothing fed and nothing fetched.
- encode: `SentenceTransformer.encode` of strings, for reference.
- feed: tokens in memory through the feeder, by batch size and kind of batches: windows a second of the card alone.
- standin: the whole run with a model that computes nothing, on 2 cores and on all; with one worker, also CPU seconds
  (user + system) of all its processes, so that wall times of a busy machine need not be trusted.
- cpu: CPU seconds a document of tokenising, and of the feeder with the model that computes nothing.
- minilm, bert: `corpuscurate run` with `embed` in bfloat16; -free: batches that rows depend on to the last bits.
  documents_per_second is over the whole process, from its start to its end; steady leaves out what does not grow with
  the documents (start, loading the model), as the difference to the small run `warm`.
- equal: bytes of data/ of two runs with other workers and batch_bytes.
- cosine: least cosine of rows to those of a CPU in float32.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.core.stage import Resources
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.tokens import Facts
from corpuscurate.methods.embed.windows import Shapes, cut_windows

DOCUMENT_BYTES = 2000
SHARD = 32_000
TOKENS = 256
VOCABULARY = 30_522
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MODELS = {"minilm": (6, 384, 12), "bert": (12, 768, 12), "tiny": (1, 384, 12)}
"""Layers, width, heads."""
STARTED = time.time()


def say(step: str, **values: Any) -> None:
    print(json.dumps({"step": step, "at_seconds": round(time.time() - STARTED, 1), **values}), flush=True)


# --- text, shards, models


def texts_of_installation(most: int) -> str:
    """Python and Markdown files of the installation, sorted, up to so many bytes."""
    found, size = [], 0
    for root in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(root).rglob("*")):
            if path.suffix in (".py", ".md", ".rst", ".txt") and path.is_file():
                text = path.read_text(encoding="utf-8", errors="ignore")
                found.append(text)
                size += len(text)
                if size > most:
                    return "\n".join(found)
    return "\n".join(found)


def vocabulary_of(text: str, size: int) -> dict[str, int]:
    """A WordPiece vocabulary: special tokens, characters, ends of words, and the most frequent words."""
    words = Counter(re.findall(r"[^\W_]+|[^\w\s]|_", text.lower()))
    characters = [c for c, _ in Counter("".join(list(words)[:200_000])).most_common(1500)]
    ends: Counter[str] = Counter()
    for word, count in words.most_common(100_000):
        for cut in range(1, min(len(word), 6)):
            ends[f"##{word[-cut:]}"] += count
    tokens = [*SPECIAL, *characters, *(f"##{c}" for c in characters), *(end for end, _ in ends.most_common(size // 5))]
    tokens = list(dict.fromkeys(tokens))
    more = [word for word, _ in words.most_common(2 * size)]
    tokens = list(dict.fromkeys([*tokens, *more]))[:size]
    tokens += [f"[unused{i}]" for i in range(size - len(tokens))]
    return {token: number for number, token in enumerate(tokens)}


def tokenizer_value(vocabulary: dict[str, int]) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    marks = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    special = [{"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]")]
    single = [special[0], {"Sequence": {"id": "A", "type_id": 0}}, special[1]]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[t], "content": t, **flags, "special": True} for t in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": marks},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def make_model(folder: Path, vocabulary: dict[str, int], shape: tuple[int, int, int]) -> None:
    """A sentence-transformers folder: a BERT with random weights, and mean pooling."""
    import torch
    import transformers

    layers, width, heads = shape
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_value(vocabulary)))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), model_max_length=512, **names
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=512,
        initializer_range=0.05,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": TOKENS, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def documents_of(text: str, first: int, count: int) -> list[str]:
    """Pieces of the text at places drawn by the number of the document."""
    rng = random.Random(first)
    starts = (rng.randrange(max(len(text) - DOCUMENT_BYTES, 1)) for _ in range(count))
    return [text[start : start + DOCUMENT_BYTES] for start in starts]


def make_shard(text_file: Path, path: Path, first: int, count: int) -> int:
    text = text_file.read_text(encoding="utf-8")
    table = pa.table({"id": pa.array(range(first, first + count)), "text": documents_of(text, first, count)})
    pq.write_table(table, path, row_group_size=8_000)
    return int(pa.compute.sum(pa.compute.binary_length(table.column("text"))).as_py())


def make_shards(text_file: Path, folder: Path, documents: int) -> int:
    """Parquet shards of so many documents; bytes of text."""
    folder.mkdir(parents=True)
    starts = range(0, documents, SHARD)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        sizes = [
            pool.submit(make_shard, text_file, folder / f"{n:05d}.parquet", start, min(SHARD, documents - start))
            for n, start in enumerate(starts)
        ]
        return sum(each.result() for each in sizes)


def some_texts(shards: Path, count: int) -> list[str]:
    found: list[str] = []
    for path in sorted(shards.iterdir()):
        found += pq.read_table(path, columns=["text"]).column("text").to_pylist()
        if len(found) >= count:
            break
    return found[:count]


# --- a model that computes nothing


class StandInModel:
    """See `feeder.Model`: a row is its window's first tokens as numbers."""

    def __init__(self, device: str, facts: Facts, width: int) -> None:
        self.device, self.name, self.facts, self.width = device, "stand-in", facts, width
        self.shapes = Shapes(TOKENS, 2, 512, True, device == "cuda")

    def run(self, features: dict[str, Any]) -> Any:
        ids = features["input_ids"]
        return ids.float().repeat(1, -(-self.width // ids.shape[1]))[:, : self.width]


class StandIn(SentenceTransformers):
    """`sentence-transformers` without the forward pass, in the process of a card."""

    kind: Literal["stand-in"] = "stand-in"

    @property
    def resources(self) -> Resources:
        return Resources(gpus=1, device=self.device)

    def load(self) -> Any:
        return StandInModel(self.device, self.tokeniser().facts, self.row_length())


def stand_in(args: argparse.Namespace, shards: str, model: str, folder: str, workers: int) -> None:
    """The whole run with the stand-in."""
    from corpuscurate.pipeline import Pipeline
    from corpuscurate.stages.embed import Embed

    begun, used = time.time(), cpu_seconds()
    report = Pipeline(
        Source(paths=(shards,)),
        [Embed(embedder=StandIn(model=model, device=args.device))],
        Sink(path=folder),
        settings=Settings(workers=workers),
    ).run()
    wall = time.time() - begun
    cpu = {"cpu_seconds": round(cpu_seconds() - used, 2)} if workers == 1 else {}  # others are not this one's children
    told("standin", report, wall, workers=workers, cores=len(os.sched_getaffinity(0)), **cpu)


def cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def cpu(folder: Path, texts: list[str]) -> None:
    """CPU seconds of the host's part, in this process."""
    from corpuscurate.methods.embed.feeder import Feed

    embedder = StandIn(model=str(folder))
    model, tokeniser = embedder.load(), embedder.tokeniser()
    column = pa.array(texts, pa.large_string())
    model.shapes = Shapes(TOKENS, 2, 512, True, True)  # the shapes of a card
    for _ in range(2):  # the second time is told
        begun = time.process_time()
        tokens = tokeniser.tokens(column)
        tokenised = time.process_time()
        windows = cut_windows(tokens, model.facts.room(TOKENS))
        one = Feed(model, tokens, windows)
        one.launch()
        one.fetch()
        fed = time.process_time()
        columns = embedder.columns(one.rows, windows, tokens.notes)
        ended = time.process_time()
    seconds = {"tokenising": tokenised - begun, "feeding": fed - tokenised, "rows_of_texts": ended - fed}
    say(
        "cpu",
        documents=len(texts),
        tokens=int(windows.sizes.sum()),
        columns=list(columns),
        microseconds_per_document={name: round(1e6 * value / len(texts), 2) for name, value in seconds.items()},
        documents_per_second_on_2_cores=round(2 * len(texts) / (ended - begun)),
    )


def told(step: str, report: dict[str, Any], wall: float, **more: Any) -> None:
    documents, seconds = report["documents"]["input"], report["seconds"]
    tokenise = seconds.get("reading and measuring", 0.0)
    card = sum(value for title, value in seconds.items() if "computing on" in title)
    say(
        step,
        documents=documents,
        wall_seconds=round(wall, 2),
        documents_per_second=round(documents / wall),
        tokenising_documents_per_second=round(documents / tokenise) if tokenise else None,
        card_documents_per_second=round(documents / card) if card else None,
        feeder_documents_per_second=round(documents / (card + tokenise)) if card else None,
        seconds=seconds,
        stats=report["stages"][0].get("stats"),
        **more,
    )


# --- steps


def bare(device: str, name: str, folder: Path, batch: int) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").to(device).eval()
    ids = torch.randint(5, VOCABULARY, (batch, TOKENS), device=device)
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        for _ in range(3):
            model(input_ids=ids, attention_mask=mask)
        _wait(device)
        begun, rounds = time.time(), 0
        while time.time() - begun < 3 or rounds < 2:
            for _ in range(4 if device == "cuda" else 1):
                model(input_ids=ids, attention_mask=mask)
                rounds += 1
            _wait(device)
        seconds = time.time() - begun
    say(
        "bare",
        model=name,
        precision="bfloat16",
        batch=[batch, TOKENS],
        documents_per_second=round(rounds * batch / seconds),
    )


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def encode(device: str, name: str, folder: Path, texts: list[str]) -> None:
    from sentence_transformers import SentenceTransformer

    for half in (False, True) if device == "cuda" else (False,):
        model = SentenceTransformer(str(folder), device=device)
        model = model.half() if half else model
        model.encode(texts[:64], batch_size=32)
        begun = time.time()
        model.encode(texts, batch_size=256)
        rate = round(len(texts) / (time.time() - begun))
        say(
            "encode",
            model=name,
            precision="float16" if half else "float32",
            documents=len(texts),
            documents_per_second=rate,
        )


def parameters(folder: Path, device: str, **more: Any) -> dict[str, Any]:
    return {"kind": "sentence-transformers", "model": str(folder), "device": device, **more}


def feed(device: str, name: str, folder: Path, texts: list[str]) -> None:
    """Windows a second of the feeder with the real model, tokens in memory."""
    from corpuscurate.methods.embed.feeder import Feed

    precision = "bfloat16" if device == "cuda" else "float32"
    rng = random.Random(3)
    mixed = [text[: rng.randrange(50, DOCUMENT_BYTES)] for text in texts]
    sizes = (256, 512, 1024) if device == "cuda" else (4,)
    plan = [("full", texts, size, "fixed") for size in sizes]
    plan += [("mixed", mixed, sizes[len(sizes) // 2], batches) for batches in ("fixed", "free")]
    known: dict[str, Any] = {}
    for what, some, size, batches in plan:
        embedder = SentenceTransformers(
            **parameters(folder, device, precision=precision, batch_size=size, batches=batches)
        )
        model = embedder.load()
        if what not in known:
            known[what] = embedder.tokeniser().tokens(pa.array(some, pa.large_string()))
        windows = cut_windows(known[what], model.facts.room(model.shapes.longest))
        for _ in range(2):  # the second time is told
            begun = time.time()
            one = Feed(model, known[what], windows)
            one.launch()
            one.fetch()
            seconds = time.time() - begun
        own = int(windows.sizes.sum()) + 2 * len(windows.sizes)
        say(
            "feed",
            model=name,
            lengths=what,
            precision=precision,
            batch_size=size,
            batches=batches,
            windows=len(windows.texts),
            windows_per_second=round(len(windows.texts) / seconds),
            tokens_per_second=round(own / seconds),
            padding_share=round(1 - own / one.padded, 4),
        )


def run(
    place: Path, shards: str, embedder: dict[str, Any], workers: int, **settings: Any
) -> tuple[dict[str, Any], float]:
    """`corpuscurate run` in a process of its own: its report, and its wall time."""
    shutil.rmtree(place, ignore_errors=True)
    recipe = {
        "input": {"paths": [shards], "id": "id"},
        "stages": [{"embed": {"embedder": embedder}}],
        "output": {"path": str(place)},
        "run": {"workers": workers, **settings},
    }
    file = place.with_suffix(".yaml")
    file.write_text(json.dumps(recipe))
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "corpuscurate", "run", str(file)], capture_output=True, text=True, check=False
    )
    wall = time.time() - begun
    if done.returncode:
        raise RuntimeError(
            f"corpuscurate run: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
    report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report, wall


def rows_of(place: Path, count: int) -> NDArray[np.float32]:
    """The first rows of the column."""
    found = []
    for path in sorted((place / "data").iterdir()):
        column = pq.read_table(path, columns=["embed.embedding"]).column("embed.embedding").combine_chunks()
        found.append(column.flatten().to_numpy().reshape(len(column), -1))
        if sum(map(len, found)) >= count:
            break
    return np.concatenate(found)[:count]


def digest(place: Path) -> str:
    total = hashlib.sha256()
    for path in sorted((place / "data").iterdir()):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def rows_on_cpu(folder: Path, texts: list[str]) -> NDArray[np.float64]:
    """Unit rows by transformers on the CPU, in float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).float().eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(texts), 16):
            some = tokenizer(
                texts[start : start + 16], padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
            )
            mask = some["attention_mask"][:, :, None].float()
            states = model(**some).last_hidden_state.float()
            rows.append(((states * mask).sum(1) / mask.sum(1)).double().numpy())
    found: NDArray[np.float64] = np.concatenate(rows)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Bench:
    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder, self.device = args, folder, args.device
        self.precision = "bfloat16" if args.device == "cuda" else "float32"
        self.workers = args.workers or len(os.sched_getaffinity(0))
        self.small = min(args.documents, 20_000 if args.device == "cuda" else 40)
        self.warm_wall = 0.0

    def prepare(self) -> None:
        begun = time.time()
        text = Path(self.args.text).read_text() if self.args.text else texts_of_installation(self.args.text_bytes)
        text_file = self.folder / "text.txt"
        text_file.write_text(text, encoding="utf-8")
        vocabulary = vocabulary_of(text, VOCABULARY)
        names = ("tiny",) if self.args.tiny else ("minilm", "bert")
        sizes = {"large": self.args.documents, "middle": self.args.bert_documents, "small": self.small}
        held = {name: make_shards(text_file, self.folder / name, count) for name, count in sizes.items()}
        for name in names:
            make_model(self.folder / f"model-{name}", vocabulary, MODELS[name])
        self.minilm, self.bert = (self.folder / f"model-{name}" for name in (names[0], names[-1]))
        seconds = round(time.time() - begun, 1)
        say("prepare", seconds=seconds, text_bytes=len(text), documents=sizes, bytes=held)

    def shards(self, name: str) -> str:
        return str(self.folder / name / "*.parquet")

    def host(self) -> None:
        import torch

        card = torch.cuda.get_device_name(0) if self.device == "cuda" else "none: cpu"
        names = ("torch", "transformers", "sentence-transformers", "tokenizers", "numba", "numpy", "pyarrow")
        say(
            "host",
            card=card,
            cores=len(os.sched_getaffinity(0)),
            workers=self.workers,
            python=platform.python_version(),
            cuda=torch.version.cuda,
            **{name: version(name) for name in names},
        )

    def bare(self) -> None:
        batch = 1024 if self.device == "cuda" else 4
        bare(self.device, "minilm", self.minilm, batch)
        bare(self.device, "bert", self.bert, batch)

    def encode(self) -> None:
        count = 2_000 if self.device == "cuda" else 8
        encode(self.device, "minilm", self.minilm, some_texts(self.folder / "small", count))

    def feed(self) -> None:
        count = 64_000 if self.device == "cuda" else 16
        feed(self.device, "minilm", self.minilm, some_texts(self.folder / "large", count))

    def standin(self) -> None:
        several = ((self.workers, self.workers),) if self.workers > 2 else ()
        for cores, workers in ((1, 1), (2, 2), *several):
            out = self.folder / f"out-standin-{cores}"
            command = [sys.executable, __file__, "--device", self.device, "--stand-in", self.shards("large")]
            command += [str(self.minilm), str(out), str(workers), str(cores)]
            subprocess.run(command, check=True)
            shutil.rmtree(out, ignore_errors=True)

    def cpu(self) -> None:
        cpu(self.minilm, some_texts(self.folder / "large", 16_000))

    def _run(self, step: str, model: Path, documents: str, **more: Any) -> Path:
        place = self.folder / f"out-{step}"
        more = {"precision": self.precision, **more}
        report, wall = run(place, self.shards(documents), parameters(model, self.device, **more), self.workers)
        grown = report["documents"]["input"] - self.small
        if self.warm_wall and grown > 0 and wall > self.warm_wall:
            more["steady_documents_per_second"] = round(grown / (wall - self.warm_wall))
        told(step, report, wall, model=model.name, workers=self.workers, **more)
        return place

    def warm(self) -> None:
        """Twice: the first run compiles kernels and looks at the model's tokenizer, the second is measured."""
        for step in ("warm-first", "warm"):
            begun = time.time()
            self._run(step, self.minilm, "small")
            wall = time.time() - begun
        self.warm_wall = wall

    def equal(self) -> None:
        found = []
        for workers, size in ((self.workers, "16MiB"), (2, "1MiB"), (5, "3MiB")):
            place = self.folder / f"out-equal-{workers}"
            options = parameters(self.minilm, self.device, precision=self.precision)
            run(place, self.shards("small"), options, workers, batch_bytes=size)
            found.append([workers, size, digest(place)])
        say("equal", runs=found, equal=len({each[-1] for each in found}) == 1)

    def cosine(self) -> None:
        texts = some_texts(self.folder / "small", 256 if self.device == "cuda" else 8)
        expected = rows_on_cpu(self.minilm, texts)
        for precision in ("float32", "float16", "bfloat16") if self.device == "cuda" else ("float32",):
            place = self.folder / "out-cosine"
            run(place, self.shards("small"), parameters(self.minilm, self.device, precision=precision), self.workers)
            rows = rows_of(place, len(texts)).astype(np.float64)
            cosines = (rows * expected).sum(axis=1)
            say("cosine", precision=precision, rows=len(texts), least=float(cosines.min()), mean=float(cosines.mean()))

    def run(self, names: list[str]) -> None:
        halves = {"float16": "minilm-fp16", "float32": "minilm-fp32"} if self.device == "cuda" else {}
        steps: dict[str, Any] = {
            "host": self.host,
            "bare": self.bare,
            "warm": self.warm,
            "feed": self.feed,
            "minilm": lambda: self._run("minilm", self.minilm, "large"),
            "bert": lambda: self._run("bert", self.bert, "middle"),
            "equal": self.equal,
            "cosine": self.cosine,
            "standin": self.standin,
            "cpu": self.cpu,
            "encode": self.encode,
            "minilm-free": lambda: self._run("minilm-free", self.minilm, "large", batches="free"),
            "bert-free": lambda: self._run("bert-free", self.bert, "middle", batches="free"),
            **{
                step: lambda step=step, precision=precision: self._run(step, self.minilm, "middle", precision=precision)
                for precision, step in halves.items()
            },
        }
        for name, step in steps.items():
            if names and name not in names:
                continue
            if time.time() - STARTED > self.args.seconds:
                say(name, left_out=f"after {self.args.seconds} seconds")
                continue
            try:
                step()
            except Exception as error:
                say(name, error=f"{type(error).__name__}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", default="")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--bert-documents", type=int, default=150_000)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--folder")
    parser.add_argument("--text")
    parser.add_argument("--text-bytes", type=int, default=20_000_000)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to try the script on a CPU")
    parser.add_argument("--stand-in", nargs=5, metavar=("SHARDS", "MODEL", "OUT", "WORKERS", "CORES"), help="internal")
    args = parser.parse_args()
    if args.stand_in:
        import bench_feeder  # as a module: worker processes import it by name

        shards, model, out, workers, cores = args.stand_in
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
        bench_feeder.stand_in(args, shards, model, out, int(workers))
        return
    place = Path(args.folder or tempfile.mkdtemp(prefix="bench-feeder-"))
    place.mkdir(parents=True, exist_ok=True)
    bench = Bench(args, place)
    try:
        bench.prepare()
        bench.run([name for name in args.only.split(",") if name])
    finally:
        if not args.folder:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
