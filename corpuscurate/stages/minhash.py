"""Near-duplicates: documents whose sets of word n-grams are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import row_arrays
from corpuscurate.core.corpus import Corpus, Done, Settled
from corpuscurate.core.earlier_runs import indexes_of, with_indexes
from corpuscurate.core.local_path import LocalPaths
from corpuscurate.core.stage import GlobalStage
from corpuscurate.kernels.hashing import HASH_VERSION
from corpuscurate.kernels.sketch.fast_similarity import MOST_VALUES
from corpuscurate.kernels.text.unicode import WORDS_DESCRIPTION, Words
from corpuscurate.methods.dedup.bands import (
    SHINGLES,
    ValueType,
    candidate_probability,
    choose_bands,
    datasketch_bands,
    enough_bits,
    find_buckets,
    s_curve,
    value_columns,
    value_type,
)
from corpuscurate.methods.dedup.candidate_rows import CandidateRows
from corpuscurate.methods.dedup.candidates import Candidates
from corpuscurate.methods.dedup.clusters import (
    CLUSTER_SIZE,
    CORPUS_MEASURE,
    DROPS_FILE,
    MEASURES,
    SIZES_FILE,
    TAG_DEFAULTS,
    TAGS_FILE,
    giant_warning,
    merge_stats,
)
from corpuscurate.methods.dedup.distinct import DistinctFile, find_distinct
from corpuscurate.methods.dedup.identical import IdenticalWords
from corpuscurate.methods.dedup.keep import Keep, columns_of
from corpuscurate.methods.dedup.key_ranges import partition
from corpuscurate.methods.dedup.large_buckets import LARGE_BUCKET
from corpuscurate.methods.dedup.prefilter import Prefilter, Wanted
from corpuscurate.methods.dedup.presets import PRESETS, Preset
from corpuscurate.methods.dedup.sketch import Recipe, ShingleHash, Signature, Unit, sign, units_of_text
from corpuscurate.methods.dedup.sketches import (
    Sources,
    first_ids,
    keep_rank_columns,
    keep_rank_schema,
    keep_warnings,
    sources_of,
)
from corpuscurate.methods.dedup.unit_files import unit_columns
from corpuscurate.methods.dedup.verify import Verify, VerifyPart, fewest_equal_values

_SET_BYTES = 8 << 10
"""Approximate bytes of the shingles of a candidate."""


class MinHash(GlobalStage):
    """Drop all but one of the documents that are near-duplicates of each other.

    Two documents are near-duplicates when the Jaccard similarity of their sets of n-grams is at least `threshold`.
    Candidates are found with MinHash signatures in bands; with `verify: exact` their true similarity is computed from
    the text before they are joined, so no document is dropped for a similarity below the threshold to a verified
    neighbour. Clusters are the connected components: a chain of neighbours is one cluster; or, greedily, only what is
    similar to a kept document is dropped. Words are runs of letters, digits and combining marks, case-folded, with
    `words: identifiers` of underscores, too; in scripts without spaces each character is one. Characters are code
    points, case-folded, each run of white space one space. Soft hyphens, joiners, marks of direction, variation
    selectors and other invisible characters are left out of both: they part no word and make none another. A document
    with fewer of them than `ngram` is one shingle; one without is never a near-duplicate. Documents with equal
    sequences of words (or characters) are taken as one before all else.

    P(candidate) by similarity; `corpuscurate tune minhash` shows what that means for a corpus:

    bands x rows            0.50   0.60   0.70   0.75   0.80   0.85   0.90
    default      21 x 6    0.282  0.633  0.928  0.984  0.998  1.000  1.000
    fineweb      14 x 8    0.053  0.211  0.565  0.772  0.924  0.988  1.000
    refinedweb  450 x 20   0.000  0.016  0.302  0.761  0.995  1.000  1.000
    nemo         20 x 13   0.002  0.026  0.177  0.382  0.677  0.924  0.997
    redpajama     9 x 13   0.001  0.012  0.084  0.195  0.399  0.686  0.929

    With `index`, documents that are near-duplicates of documents which an earlier run kept are dropped too, and none of
    those is: in dropped/ they are named by corpus and id. Texts are compared as both runs write them, so the stage
    stands after all edits of text, and these are the same in both runs; near-duplicates may be dropped before the edits
    by a stage without `index`. For `verify: exact` the texts in that run's data/ are read.

    On disk 1 byte a value (more with `value_bits`) and 28 more a document in the sketch (156 at 128 values), and 24
    in the settle step; for each candidate its signature, up to 8 bytes for each bucket that it is in, and 4 for each
    word or character: all but the sketch is deleted before the output is written. In memory 48 bytes a document of the
    band and key range at hand, and for candidates what `dedup.candidates` and `dedup.verify` say.
    """

    word: ClassVar[str] = "minhash"
    version: ClassVar[int] = 3
    source: ClassVar[str] = (
        "Broder 1997, On the resemblance and containment of documents; Dahlgaard, Knudsen, Thorup 2017, Fast "
        "similarity sketching"
    )
    shorthand: ClassVar[str] = "threshold"
    takes_rows: ClassVar[frozenset[str]] = frozenset({"candidate_units"})

    preset: Preset | None = Field(
        None, description="values of a published recipe for what is not given: " + ", ".join(PRESETS)
    )
    threshold: float = Field(0.8, description="Jaccard similarity from which documents are near-duplicates", gt=0, le=1)
    unit: Unit = Field("words", description="what shingles are made of; characters are folded, blanks are one space")
    words: Words = Field("unicode", description=WORDS_DESCRIPTION)
    ngram: int = Field(5, description="words or characters of a shingle", ge=1, le=1000)
    signature: Signature = Field(
        "fast",
        description="fast: fast similarity sketching; classic: k permutations; datasketch: equal to that package's "
        "from version 2 on",
    )
    shingle_hash: ShingleHash = Field("sha1", description="of the signatures of datasketch: its default, or xxHash32")
    values: int = Field(128, description="values of a signature", ge=1, le=MOST_VALUES)
    value_bits: Literal[8, 16, 32] | None = Field(
        None,
        description="of a value in the sketch; if not given, as many as give a band 40 bits: 8 for bands of 5 rows or "
        "more, 16 for 3 or 4, else 32; 32 for datasketch's",
    )
    bands: int | None = Field(None, description="bands of the signature, with rows; chosen by recall otherwise", ge=1)
    rows: int | None = Field(None, description="values of a band", ge=1)
    banding: Literal["recall", "datasketch"] = Field(
        "recall",
        description="how bands and rows are chosen where not given: recall; datasketch: as its MinHashLSH does, with "
        "fewer false positives and less recall at the threshold",
    )
    recall: float = Field(
        0.99, description="least P(candidate) of a pair exactly as similar as the threshold", gt=0, lt=1
    )
    verify: Verify = Field(
        "exact", description="exact: true similarity of candidates; signature: estimated; none: candidates are joined"
    )
    settling: Literal["components", "greedy"] = Field(
        "components",
        description="components: chains of near-duplicates are one cluster; greedy: only what is similar to a kept "
        "document is dropped",
    )
    cluster_size: bool = Field(
        False,
        description="in mode: drop, add the column cluster_size: the documents that a kept one stands for, itself "
        "included",
    )
    keep: Keep = Field("first", description="which copy stays: first, longest, {by: column, order: desc | asc | rank}")
    seed: int = Field(1, description="of the permutations", ge=0, lt=1 << 63)
    index: LocalPaths = Field(
        (),
        description="output folders of earlier runs, whose documents win; their texts are compared as those runs wrote "
        "them, so no stage after this one may edit text; paths relative to the recipe",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        name = given.get("preset") if isinstance(given, dict) else None
        return {**PRESETS[name], **given} if isinstance(name, str) and name in PRESETS else given

    @model_validator(mode="after")
    def _banding(self) -> Self:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows are given together or not at all")
        if self.bands is not None and self.rows is not None and self.bands * self.rows > self.values:
            raise ValueError(f"bands x rows is {self.bands * self.rows}, but a signature has {self.values} values")
        if self.unit == "characters" and self.words != "unicode":
            raise ValueError(f"words: {self.words} says what a word is, but shingles are made of characters")
        if self.signature == "datasketch" and self.seed >= 1 << 32:
            raise ValueError("datasketch takes seeds below 2^32")
        if self.signature == "datasketch" and self.value_bits in (8, 16):
            raise ValueError(
                f"value_bits: {self.value_bits} would not be datasketch's values; take 32, or signature: fast"
            )
        return self

    @property
    def bands_and_rows(self) -> tuple[int, int]:
        """Bands and rows as given or chosen."""
        if self.bands is not None and self.rows is not None:
            return self.bands, self.rows
        if self.banding == "datasketch":
            return datasketch_bands(self.threshold, self.values)
        return choose_bands(self.threshold, self.values, self.recall)

    @property
    def value_type(self) -> ValueType:
        """Of the values in the sketch."""
        whole = self.signature == "datasketch"
        return value_type(self.value_bits or (32 if whole else enough_bits(self.bands_and_rows[1])))

    def corpora(self) -> tuple[str, ...]:
        """See `GlobalStage`."""
        return self.index

    def index_header(self) -> dict[str, Any]:
        """See `GlobalStage`."""
        return {name: value for name, value in self.sketch_parameters().items() if name != "keep"}

    def for_index(self) -> Self:
        """See `GlobalStage`: documents of earlier runs are kept before all others, so they need no keep rank."""
        return self.model_copy(update={"keep": "first"})

    def identity(self) -> dict[str, Any]:
        """See `Stage`."""
        return with_indexes(self, self.parameters())

    def reads(self) -> tuple[str, ...]:
        """See `Stage`."""
        return columns_of(self.keep)

    def rules(self) -> Mapping[str, float | None]:
        """See `Stage`."""
        return {"near_duplicate": self.threshold}

    def measures(self) -> Mapping[str, pa.DataType]:
        """See `Stage`."""
        return {**MEASURES, **(CORPUS_MEASURE if self.index else {})}

    def adds(self) -> Mapping[str, pa.DataType]:
        """The size of the cluster that a kept document stands for, where it is asked for."""
        return {CLUSTER_SIZE: pa.int64()} if self.cluster_size and self.mode == "drop" else {}

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return TAG_DEFAULTS if self.mode == "tag" else dict.fromkeys(self.adds(), 1)

    def sketch_parameters(self) -> dict[str, Any]:
        """See `GlobalStage`."""
        own = self.parameters()
        names = ("unit", "words", "ngram", "signature", "shingle_hash", "values", "seed", "keep")
        bits = int(self.value_type.removeprefix("uint"))  # under the name that a recipe has for it
        return {name: own[name] for name in names} | {"value_bits": bits, "hash_version": HASH_VERSION}

    def sketch_schema(self) -> pa.Schema:
        """See `GlobalStage`."""
        kind = pa.type_for_alias(self.value_type)
        return pa.schema(
            [
                (SHINGLES, pa.uint32()),
                ("words_high", pa.uint64()),
                ("words_low", pa.uint64()),
                *keep_rank_schema(self.keep),
                *((name, kind) for name in value_columns(self.values)),
            ]
        )

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """See `GlobalStage`."""
        signed = sign(self._recipe, batch.text)
        return {
            SHINGLES: pa.array(signed.shingles),
            "words_high": pa.array(signed.words[0]),
            "words_low": pa.array(signed.words[1]),
            **keep_rank_columns(self.keep, batch),
            **dict(zip(value_columns(self.values), row_arrays(signed.values.astype(self.value_type)), strict=True)),
        }

    @property
    def _recipe(self) -> Recipe:
        return Recipe(self.signature, self.unit, self.ngram, self.values, self.seed, self.shingle_hash, self.words)

    def candidate_units(self, batch: Batch, rows: NDArray[np.int64] | None = None) -> dict[str, pa.Array]:
        """The units of each document, or of those in `rows`: what verification makes its shingles of."""
        return unit_columns(units_of_text(self.unit, batch.text, rows, self.words))

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        return _SettleStep(self, corpus, sources_of(corpus, self.keep, indexes_of(self))).run()


@dataclass(frozen=True)
class _SettleStep:
    """The settle step: identical documents, buckets, candidates, their signatures and shingles, verification."""

    stage: MinHash
    corpus: Corpus
    sources: Sources

    def run(self) -> Settled:
        partitioned, key_ranges = partition(self.corpus, self.sources, "words_high", "words_low", SHINGLES)
        copies = self.corpus.run(
            [IdenticalWords(i, len(key_ranges), each, self.sources.numbers) for i, each in enumerate(key_ranges)],
            "identical",
        )
        bands, rows = self.stage.bands_and_rows
        without = tuple(done.files["copies.npy"] for done in copies if done.result["copies"])
        names = value_columns(self.stage.values)
        distinct = find_distinct(self.corpus, self.sources, SHINGLES, names, without)
        buckets = find_buckets(self.corpus, distinct, bands, rows, self.stage.value_type)
        plan = self._plan(buckets, distinct, copies, len(buckets) // bands)
        verified = self._verify(plan, rows) if plan.result["candidates"] else []
        documents = sum(done.result["documents"] for done in partitioned)
        stats = {
            "documents": documents,
            "without_words": documents - sum(done.result["own"] for done in partitioned),
            "identical": sum(done.result["own"] for done in copies),
            "candidates": plan.result["candidates"],
            "buckets": sum(done.result["buckets"] for done in buckets),
            "largest_bucket": max(done.result["largest"] for done in buckets),
            "pairs_in_buckets": sum(done.result["pairs"] for done in buckets),
            **_counts(verified),
            **merge_stats(done.result for done in verified),
            "bands": bands,
            "rows": rows,
            "s_curve": s_curve(bands, rows),
        }
        tag = self.stage.mode == "tag"
        found = [done.files for done in verified if done.result["clusters_total"]]
        return Settled(
            drops=[] if tag else [files[DROPS_FILE] for files in found],
            tags=[files[TAGS_FILE if tag else SIZES_FILE] for files in found] if tag or self.stage.adds() else [],
            stats={**stats, "warnings": self._warnings(stats)},
        )

    def _plan(
        self, buckets: Sequence[Done], distinct: tuple[DistinctFile, ...], copies: Sequence[Done], key_ranges: int
    ) -> Done:
        stage = self.stage
        bytes_each = 4 * stage.values + (_SET_BYTES if stage.verify == "exact" else 0)
        work = Candidates(
            tuple((i // key_ranges, done.files) for i, done in enumerate(buckets)),
            distinct,
            tuple(done.files for done in copies),
            self.corpus.workers,
            self._share_bytes(),
            bytes_each,
        )
        return self.corpus.run([work], "candidates")[0]

    def _share_bytes(self) -> int:
        return self.corpus.memory_bytes // (2 * self.corpus.workers)

    def _verify(self, plan: Done, rows: int) -> list[Done]:
        stage = self.stage
        ranges = self.sources.ranges(4 * self.corpus.workers)
        values = 0 if stage.verify == "none" else stage.values
        copied = self.corpus.run(
            [
                CandidateRows(i, len(ranges), files, plan.files, values, stage.value_type)
                for i, files in enumerate(ranges)
            ],
            "signatures",
        )
        candidate_rows = tuple((done.files, done.result["candidates"], done.result["rows"]) for done in copied)
        prefiltered, units = self._units(plan, candidate_rows) if stage.verify == "exact" else ([], ())
        parts = plan.result["parts"]
        return self.corpus.run(
            [
                VerifyPart(
                    i,
                    parts,
                    plan.files,
                    candidate_rows,
                    prefiltered[i] if prefiltered else None,
                    units,
                    stage.verify,
                    stage.threshold,
                    stage.ngram,
                    stage.values,
                    stage.value_type,
                    rows,
                    stage.mode == "tag",
                    self._share_bytes(),
                    LARGE_BUCKET,
                    self.sources.numbers,
                    stage.settling == "greedy",
                )
                for i in range(parts)
            ],
            "verify",
        )

    def _units(
        self, plan: Done, candidate_rows: tuple[tuple[Artefacts, int, int], ...]
    ) -> tuple[list[Artefact], tuple[Artefact, ...]]:
        """Read the units of the candidates that pass the prefilter. Returns the files of their doc_ids, one a part, and
        the files of their units, one a sketch file."""
        stage, parts = self.stage, plan.result["parts"]
        few = fewest_equal_values(stage.threshold, stage.values)
        shape = stage.values, stage.value_type
        works = [Prefilter(i, parts, plan.files, candidate_rows, *shape, few, LARGE_BUCKET) for i in range(parts)]
        prefiltered = [done.files["prefiltered.npy"] for done in self.corpus.run(works, "prefilter")]
        wanted = self.corpus.run([Wanted(tuple(prefiltered), first_ids(self.sources))], "wanted")[0].files
        paths = [wanted[f"{i:06d}.npy"] for i in range(len(self.sources.files))]
        title, own = "units of candidates", len(self.sources.own)
        units = self.corpus.reread(paths[:own], "candidate_units", title)
        for corpus, base in enumerate(self.sources.numbers.bases):
            theirs = [
                path
                for path, file in zip(paths, self.sources.files, strict=True)
                if (file.base, file.is_own) == (base, False)
            ]
            units += self.corpus.reread_earlier(corpus, base, theirs, "candidate_units", f"{title}, index {corpus + 1}")
        return prefiltered, tuple(units)

    def _warnings(self, stats: Mapping[str, Any]) -> list[str]:
        stage = self.stage
        warnings = keep_warnings(self.sources, stage.keep)
        warnings += giant_warning(stats["clusters"], stats["documents"])
        found = candidate_probability(stage.threshold, stats["bands"], stats["rows"])
        if found < stage.recall:
            warnings.append(
                f"{stats['bands']} bands of {stats['rows']} rows find a pair exactly as similar as "
                f"the threshold {stage.threshold} with probability {found:.3f}, below recall {stage.recall}."
            )
        capped = stats["capped"]
        if capped["buckets"]:
            warnings.append(
                f"among {capped['documents']:,} documents of large buckets, "
                f"{capped['comparisons_skipped']:,} comparisons were left out, so near-duplicates may remain there."
            )
        return warnings


def _counts(verified: Sequence[Done]) -> dict[str, Any]:
    """Comparisons of all parts."""

    def total(name: str) -> int:
        return sum(done.result[name] for done in verified)

    return {
        "prefiltered": total("prefiltered"),
        "compared": total("compared"),
        "verified": total("verified"),
        "rejected": total("rejected"),
        "rejected_by_signature": total("rejected_by_signature"),
        "capped": {
            "buckets": total("capped_buckets"),
            "documents": total("capped_documents"),
            "comparisons_skipped": total("comparisons_skipped"),
        },
    }
