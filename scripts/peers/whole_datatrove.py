"""datatrove's four MinHash stages as in its example, with Parquet in and out and its default 14 x 8 banding.

Usage: whole_datatrove.py IN OUT WORK WORKERS
"""

import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter


def main() -> None:
    """The four stages, one after the other."""
    source, target, work, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    config = MinhashConfig()
    files = len(list(Path(source).glob("*.parquet")))
    signatures, buckets, removed = f"{work}/signatures", f"{work}/buckets", f"{work}/removed"
    stages = [
        ([ParquetReader(source), MinhashDedupSignature(signatures, config)], files),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, removed, config=config)], 1),
        ([ParquetReader(source), MinhashDedupFilter(removed), ParquetWriter(target, compression="zstd")], files),
    ]
    for number, (steps, tasks) in enumerate(stages):
        LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=f"{work}/logs-{number}").run()


if __name__ == "__main__":
    main()
