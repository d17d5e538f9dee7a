"""The floor: read every Parquet file of a folder whole, and write the rows that a mask names. Nothing is decided here.

Usage: whole_pyarrow.py IN OUT MASKS WORKERS; MASKS holds a bool array a shard, <shard>.npy. Zstandard at level 3, row
groups of 32 MiB of input as in the output it is compared with, no dictionary for the text; a process a shard.
"""

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP_BYTES = 32 << 20
BATCH_ROWS = 4096


def copy(paths: tuple[Path, Path, Path]) -> None:
    """One shard."""
    source, target, mask_path = paths
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    mask = np.load(mask_path)
    with pq.ParquetFile(source) as shard:
        schema = shard.schema_arrow
        others = [name for name in schema.names if name != "text"]
        with pq.ParquetWriter(
            target, schema, compression="zstd", compression_level=3, use_dictionary=others, write_statistics=others
        ) as writer:
            held, size, row = [], 0, 0
            for batch in shard.iter_batches(BATCH_ROWS, use_threads=False):
                held.append(batch.filter(pa.array(mask[row : row + len(batch)])))
                row += len(batch)
                size += pc.sum(pc.binary_length(batch.column("text"))).as_py()
                if size >= GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(held))
                    held, size = [], 0
            if held:
                writer.write_table(pa.Table.from_batches(held))


def main() -> None:
    """All shards, the largest first."""
    source, target, masks, workers = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    target.mkdir(parents=True)
    shards = sorted(source.glob("*.parquet"), key=lambda path: -path.stat().st_size)
    work = [(path, target / path.name, masks / f"{path.stem}.npy") for path in shards]
    with multiprocessing.get_context("forkserver").Pool(workers) as pool:
        pool.map(copy, work, chunksize=1)


if __name__ == "__main__":
    main()
