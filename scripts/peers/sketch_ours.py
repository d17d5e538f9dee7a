"""corpuscurate: the sketch of the stage `minhash` (word 5-grams, 128 values) over batches of Arrow text."""

import numpy as np
import pyarrow as pa
from timing import arguments, read_texts, report

from corpuscurate.core.batch import Batch
from corpuscurate.stages.minhash import MinHash

BATCH_BYTES = 16 << 20
given = arguments()
texts = read_texts(given)
stage = MinHash(signature=given.signature) if given.signature else MinHash()
batches, held, size = [], [], 0
for text in texts:
    held.append(text)
    size += len(text.encode())
    if size >= BATCH_BYTES or len(held) + sum(map(len, batches)) == len(texts):
        rows = len(held)
        column = pa.array(held, pa.large_string())
        batches.append(Batch(np.arange(rows, dtype=np.uint64), column, np.zeros(rows, np.int64)))
        held, size = [], 0
report(
    "corpuscurate",
    texts,
    given.repeats,
    lambda: [stage.sketch(batch) for batch in batches],
    lambda made: (column.to_numpy().tobytes() for columns in made for column in columns.values()),
    values=stage.values,
    signature=stage.signature,
)
