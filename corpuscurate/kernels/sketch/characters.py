"""Text to shingles of n characters, a chunk at a time: as `kernels.sketch.shingles`, for `unit: characters`.

The characters are the code points of the text without invisible ones (`kernels.text.unicode.INVISIBLE`), after
`str.casefold()` of each and with every run of white space (`str.isspace()`) as one space, none at the ends. A document
of 1..n-1 characters has one shingle, of all of them; one without any has none.

The hash of a character c is mix64(c ^ WORD_SEED); that of a shingle is made from them as from the hashes of words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.sketch.shingles import WORD_SEED, Walk, next_shingles, roll, shingle_of_few
from corpuscurate.kernels.text.folding import CHUNK, Int
from corpuscurate.kernels.text.unicode import INVISIBLE, SEVERAL, SPACE, Tables, decode, entry, fold

WORDS = 0
CHARACTERS = 1
"""What a shingle is made of."""
_BLANK = np.uint64(32)


@uncounted
def fold_characters(data: NDArray[np.uint8], walk: Walk, t: Tables, at: Int) -> Int:
    """Write the code points of about CHUNK bytes to `walk.words` from `at` on. Returns the index after them.

    cursor[2]: 0 before the first character, 1 after one, 2 after one and white space.
    """
    cursor = walk.cursor
    words = walk.words
    byte_flags = t.byte_flags  # taken out of the tables once: Numba counts references at each taking
    byte_fold = t.byte_fold
    flag_pages = t.flag_pages
    flag_data = t.flag_data
    fold_pages = t.fold_pages
    fold_data = t.fold_data
    i = cursor[0]
    state = cursor[2]
    limit = min(cursor[1], i + CHUNK)
    while i < limit:
        byte = data[np.uint64(i)]
        if byte < 0x80:
            i += 1
            if byte_flags[byte] & SPACE:
                state = min(2, 2 * state)
                continue
            if state == 2:
                words[np.uint64(at)] = _BLANK
                at += 1
            words[np.uint64(at)] = np.uint64(byte_fold[byte])
            at += 1
            state = 1
            continue
        code_point, i = decode(data, i)
        flags = flag_data[entry(flag_pages, code_point)] & (SPACE | INVISIBLE)
        if flags:
            if flags & SPACE:
                state = min(2, 2 * state)
            continue
        if state == 2:
            words[np.uint64(at)] = _BLANK
            at += 1
        step = np.int64(fold_data[entry(fold_pages, code_point)])
        if step < SEVERAL:
            words[np.uint64(at)] = np.uint64(code_point + step)
            at += 1
        else:
            count, a, b, c = fold(t, code_point)
            words[np.uint64(at)] = np.uint64(a)
            words[np.uint64(at + 1)] = np.uint64(b)
            words[np.uint64(at + 2)] = np.uint64(c)
            at += count
        state = 1
    cursor[0] = i
    cursor[2] = state
    return at


@inlined
def next_characters(data: NDArray[np.uint8], t: Tables, n: Int, power: np.uint64, walk: Walk) -> Int:
    """Hashes of the next character n-grams of the document, in `walk.shingles`. Returns how many, -1 after the last.

    0 is possible before the end.
    """
    cursor = walk.cursor
    if cursor[0] >= cursor[1]:
        return -1
    end = fold_characters(data, walk, t, 0)
    words = walk.words
    for j in range(np.uint64(end)):
        words[j] = mix64(words[j] ^ WORD_SEED)
    made = roll(end, n, power, walk)
    if cursor[0] >= cursor[1] and 0 < cursor[4] < n:
        shingle_of_few(n, walk)
        made = 1
    return made


@inlined
def next_ngrams(unit: Int, data: NDArray[np.uint8], t: Tables, n: Int, power: np.uint64, walk: Walk) -> Int:
    """`next_shingles` or `next_characters`, as `unit` says."""
    if unit == CHARACTERS:
        return next_characters(data, t, n, power, walk)
    return next_shingles(data, t, n, power, walk)
