"""Documents whose text equals another's, byte by byte, after the edits of the stages before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import text_buffers
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.earlier_runs import Numbers, indexes_of, with_indexes
from corpuscurate.core.local_path import LocalPaths
from corpuscurate.core.stage import GlobalStage
from corpuscurate.kernels.hashing import HASH_VERSION, KEY, siphash128
from corpuscurate.methods.dedup.clusters import (
    CORPUS_MEASURE,
    DROPS_FILE,
    MEASURES,
    TAG_DEFAULTS,
    TAGS_FILE,
    cluster_stats,
    giant_warning,
    merge_stats,
    own_clusters,
    write_clusters,
)
from corpuscurate.methods.dedup.keep import Keep, columns_of
from corpuscurate.methods.dedup.key_ranges import KeyRange, equal_groups, partition
from corpuscurate.methods.dedup.sketches import keep_rank_columns, keep_rank_schema, keep_warnings, sources_of


class Exact(GlobalStage):
    """Drop all but one of the documents with the same text.

    Texts are compared by a 128-bit SipHash. Empty texts are equal to each other.

    With `index`, documents whose text an earlier run wrote are dropped too: in dropped/ the earlier ones are named by
    corpus and id. Texts are compared as both runs write them, so the stage stands after all edits of text, and these
    are the same in both runs. Duplicates may be dropped before the edits by a stage without `index`.

    On disk 24 bytes a document in the
    sketch and 24 more in the settle step, 32 where the keep rule has ranks; in memory 160 bytes a document of the key
    range at hand.
    """

    word: ClassVar[str] = "exact"
    version: ClassVar[int] = 3
    source: ClassVar[str] = "SipHash-2-4-128: Aumasson and Bernstein, 2012"

    keep: Keep = Field("first", description="which copy stays: first, longest, {by: column, order: desc | asc | rank}")

    index: LocalPaths = Field(
        (),
        description="output folders of earlier runs, whose documents win; their texts are compared as those runs wrote "
        "them, so no stage after this one may edit text; paths relative to the recipe",
    )

    def corpora(self) -> tuple[str, ...]:
        """See `GlobalStage`."""
        return self.index

    def index_header(self) -> dict[str, Any]:
        """See `GlobalStage`."""
        return {"hash": "siphash128", "hash_version": HASH_VERSION}

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
        return {"exact_duplicate": None}

    def measures(self) -> Mapping[str, pa.DataType]:
        """See `Stage`."""
        return {**MEASURES, **(CORPUS_MEASURE if self.index else {})}

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return TAG_DEFAULTS

    def sketch_parameters(self) -> dict[str, Any]:
        """See `GlobalStage`."""
        return {"keep": self.parameters()["keep"]}

    def sketch_schema(self) -> pa.Schema:
        """See `GlobalStage`."""
        return pa.schema([("hash_high", pa.uint64()), ("hash_low", pa.uint64()), *keep_rank_schema(self.keep)])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """See `GlobalStage`."""
        offsets, data = text_buffers(batch.text)
        high, low = np.empty((2, len(batch)), np.uint64)
        siphash128(offsets, data, *KEY, high, low)
        return {"hash_high": pa.array(high), "hash_low": pa.array(low), **keep_rank_columns(self.keep, batch)}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        sources = sources_of(corpus, self.keep, indexes_of(self))
        done, key_ranges = partition(corpus, sources, "hash_high", "hash_low")
        tag = self.mode == "tag"
        works = [
            EqualTexts(i, len(key_ranges), key_range, tag, sources.numbers) for i, key_range in enumerate(key_ranges)
        ]
        reduced = corpus.run(works, "match")
        documents = sum(each.result["documents"] for each in done)
        stats = {"documents": documents, **merge_stats(each.result for each in reduced)}
        warnings = keep_warnings(sources, self.keep) + giant_warning(stats["clusters"], documents)
        name = TAGS_FILE if tag else DROPS_FILE
        files = [each.files[name] for each in reduced if each.result["clusters_total"]]
        return Settled([] if tag else files, files if tag else [], {**stats, "warnings": warnings})


@dataclass(frozen=True, slots=True)
class EqualTexts:
    """Find the groups of equal hashes in one key range."""

    number: int
    of: int
    key_range: KeyRange
    tag: bool
    numbers: Numbers

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"match-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops or tags of the key range. The result has the counts of its clusters."""
        ids, offsets = equal_groups(self.key_range, self.numbers)
        stays, offsets = own_clusters(ids, offsets, self.numbers)
        ids = ids[stays]
        kept = np.repeat(ids[offsets[:-1]], np.diff(offsets))
        write_clusters(folder, self.tag, ids, offsets, kept, np.ones(len(ids)), is_value=False, numbers=self.numbers)
        return cluster_stats(ids, offsets, self.numbers)
