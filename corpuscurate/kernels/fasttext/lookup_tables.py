"""Tables formed once for a fastText model: words with their n-grams folded in, rows times the wanted output rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.fasttext.words import BLOCK, Vocabulary, bracketed, subwords
from corpuscurate.kernels.text.unicode import Int


@kernel
def fold_subwords(
    v: Vocabulary, table: NDArray[np.float32], width: Int, out_rows: NDArray[np.float32], out_counts: NDArray[np.int64]
) -> Int:
    """For each word of the dictionary its row plus those of its character n-grams, and how many these are.

    out_rows: float32[words * width]. out_counts: int64[words]. Returns words.
    """
    ids = np.empty(max(BLOCK, v.maxn + 1), np.int32)
    longest = 0
    for word in range(v.words):
        longest = max(longest, v.stops[word] - v.starts[word])
    token = np.empty(longest + 3, np.uint8)
    total = np.empty(width, np.float64)
    for word in range(v.words):
        for c in range(width):
            total[c] = table[word * width + c]
        count = np.int64(1)
        size = bracketed(v.data, v.starts[word], v.stops[word], token)
        at: Int = size if word == v.eos else 0
        while at < size:
            at, n = subwords(v, token, size, at, ids, 0, len(ids))
            count += n
            for k in range(n):
                for c in range(width):
                    total[c] += table[np.int64(ids[k]) * width + c]
        for c in range(width):
            out_rows[word * width + c] = total[c]
        out_counts[word] = count
    return v.words


@kernel
def project_dense(
    rows: NDArray[np.float32], outputs: NDArray[np.float64], width: Int, out_table: NDArray[np.float32]
) -> bool:
    """Products of each input row with each output row, added in a fixed order, so that they repeat to the byte.

    rows: float32[m, dim]. outputs: float64[columns, dim]. out_table: float32[m * width], zeros, width >= columns.
    Returns whether all products are finite.
    """
    finite = True
    for i in range(len(rows)):
        for c in range(len(outputs)):
            one = two = three = four = 0.0
            j = 0
            while j + 4 <= rows.shape[1]:
                one += rows[i, j] * outputs[c, j]
                two += rows[i, j + 1] * outputs[c, j + 1]
                three += rows[i, j + 2] * outputs[c, j + 2]
                four += rows[i, j + 3] * outputs[c, j + 3]
                j += 4
            while j < rows.shape[1]:
                one += rows[i, j] * outputs[c, j]
                j += 1
            product = (one + two) + (three + four)
            finite = finite and np.isfinite(product)
            out_table[i * width + c] = product
    return finite


@kernel
def project_codes(
    codes: NDArray[np.uint8],
    norms: NDArray[np.float32],
    products: NDArray[np.float64],
    width: Int,
    out_table: NDArray[np.float32],
) -> bool:
    """`project_dense` for a quantised matrix. codes: uint8[m, parts]. norms: float32[m], or empty for all 1.
    products: float64[columns, parts, 256], of each centroid with the output row's part."""
    finite = True
    for i in range(len(codes)):
        norm = norms[i] if len(norms) else np.float32(1.0)
        for c in range(len(products)):
            total = np.float64(0.0)
            for part in range(codes.shape[1]):
                total += products[c, part, codes[i, part]]
            total *= norm
            finite = finite and np.isfinite(total)
            out_table[i * width + c] = total
    return finite
