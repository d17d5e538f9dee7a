"""Daft: its `normalize` (lower case, no punctuation, white space) and `minhash` expressions over an Arrow table."""

import daft
import pyarrow as pa
from daft import col
from timing import arguments, read_texts, report

given = arguments()
texts = read_texts(given)
frame = daft.from_arrow(pa.table({"text": pa.array(texts, pa.large_string())})).collect()
clean = col("text").normalize(remove_punct=True, lowercase=True, nfd_unicode=False, white_space=True)
query = frame.select(clean.minhash(num_hashes=128, ngram_size=5).alias("signature"))
report(
    "daft",
    texts,
    given.repeats,
    query.to_arrow,
    lambda made: [made["signature"].combine_chunks().flatten().to_numpy().tobytes()],
    values=128,
)
