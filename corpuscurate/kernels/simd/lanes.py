"""Steps of sketches over eight numbers of 64 bits at once, as LLVM's vectors: see `kernels.simd.bits`.

Where the processor has an instruction that only AVX-512 knows, it is used; elsewhere the same is done number by number.
`x_plain` is the intrinsic `x` in plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from corpuscurate.kernels.simd.bits import has

LANES = 8
FEW = 128
"""The most bins that `next_hits` knows of."""
_BIT, _WORD = ir.IntType(1), ir.IntType(64)
_EIGHT = ir.VectorType(_WORD, LANES)
_MARKS = ir.VectorType(_BIT, LANES)
_C = 0xD1342543DE82EF95
"""That of `kernels.sketch.fast_similarity`."""
_WORD_SEED = 0x9E3779B97F4A7C15
"""That of `kernels.sketch.shingles`."""


def _each(number: int) -> Any:
    return ir.Constant(_EIGHT, [number] * LANES)


def _spread(builder: Any, number: Any) -> Any:
    """The number in all lanes."""
    one = builder.insert_element(_each(0), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, _each(0), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _store_marked(context: Any, builder: Any, numbers: Any, marks: Any, pointer: Any) -> Any:
    """Write the marked numbers one after the other, and something behind them. Returns how many."""
    if has(context, "avx512f"):
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_EIGHT, [_EIGHT, _EIGHT, _MARKS]),
            "llvm.x86.avx512.mask.compress.v8i64",
        )
        packed = builder.call(compress, [numbers, _each(0), marks])
        builder.store(packed, builder.bitcast(pointer, _EIGHT.as_pointer()), align=8)
        return builder.zext(builder.ctpop(builder.bitcast(marks, ir.IntType(8))), _WORD)
    count = _WORD(0)
    for lane in range(LANES):
        builder.store(builder.extract_element(numbers, ir.IntType(32)(lane)), builder.gep(pointer, [count]))
        mark = builder.extract_element(marks, ir.IntType(32)(lane))
        count = builder.add(count, builder.zext(mark, _WORD))
    return count


def next_hits_plain(
    x: NDArray[np.uint64], i: int, k: int, lower: int, upper: int, hits: NDArray[np.uint64], count: int
) -> int:
    """Multiply eight numbers, and write those whose bin is open: the upper 32 bits say which of k bins."""
    for lane in range(LANES):
        number = int(x[i + lane]) * _C % 2**64
        x[i + lane] = number
        place = (number >> 32) * k >> 32
        if (upper << 64 | lower) >> place & 1:
            hits[count] = number
            count += 1
    return count


@intrinsic  # type: ignore[untyped-decorator]
def next_hits(typing_context: Any, x: Any, i: Any, k: Any, lower: Any, upper: Any, hits: Any, count: Any) -> Any:
    """next_hits(x: uint64[], i, k, lower, upper, hits: uint64[], count) -> uint64: what a round hits next. All numbers
    are uint64.

    x[i : i + LANES] go on to this round, and those whose bin, of k <= FEW, is open are written to hits[count:], with
    something behind them up to hits[count + LANES]. lower, upper: a bit for each of 64 bins. Returns the count with
    them.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, i, k, lower, upper, _, count = arguments

        def pointer_to(array: int, index: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.gep(data, [index])

        pointer = builder.bitcast(pointer_to(0, i), _EIGHT.as_pointer())
        g = builder.mul(builder.load(pointer, align=8), _each(_C))
        builder.store(g, pointer, align=8)
        bins = _spread(builder, builder.and_(k, _WORD(0xFFFFFFFF)))
        at = builder.lshr(builder.mul(builder.lshr(g, _each(32)), bins), _each(32))
        above = builder.icmp_unsigned("!=", builder.and_(at, _each(64)), _each(0))
        words = builder.select(above, _spread(builder, upper), _spread(builder, lower))
        rotate = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_EIGHT, [_EIGHT] * 3), "llvm.fshr.v8i64"
        )
        found = builder.and_(builder.call(rotate, [words, words, at]), _each(1))
        marks = builder.icmp_unsigned("!=", found, _each(0))
        return builder.add(count, _store_marked(context, builder, g, marks, pointer_to(5, count)))

    numbers = [types.uint64] * 4
    return types.uint64(x, *numbers, hits, types.uint64), generate


def _mix(builder: Any, x: Any) -> Any:
    """`hashing.mix64` of eight numbers."""
    x = builder.mul(builder.xor(x, builder.lshr(x, _each(30))), _each(0xBF58476D1CE4E5B9))
    x = builder.mul(builder.xor(x, builder.lshr(x, _each(27))), _each(0x94D049BB133111EB))
    return builder.xor(x, builder.lshr(x, _each(31)))


def _mix_plain(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def _lanes_of(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def _join(builder: Any, pieces: list[Any]) -> Any:
    """Vectors one behind the other."""
    while len(pieces) > 1:
        both = _lanes_of(list(range(2 * pieces[0].type.count)))
        pieces = [builder.shuffle_vector(a, b, both) for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
    return pieces[0]


def hash_words_plain(
    folded: NDArray[np.uint8],
    starts: NDArray[np.uint16],
    ends: NDArray[np.uint16],
    k: int,
    words: NDArray[np.uint64],
    long_words: NDArray[np.uint64],
    longer: int,
) -> int:
    """Hash eight words of at most 15 bytes: in pieces of 8 bytes, the last one with the length in its highest byte."""
    for number in range(k, k + LANES):
        word = bytes(folded[int(starts[number]) : int(ends[number])])
        if len(word) >= 16:
            long_words[longer] = number
            longer += 1
            continue
        h = _WORD_SEED
        if len(word) >= 8:
            h = _mix_plain(h ^ int.from_bytes(word[:8], "little"))
        rest = int.from_bytes(word[len(word) // 8 * 8 :], "little")
        words[number] = _mix_plain(h ^ rest ^ len(word) << 56)
    return longer


@intrinsic  # type: ignore[untyped-decorator]
def hash_words(
    typing_context: Any, folded: Any, starts: Any, ends: Any, k: Any, words: Any, long_words: Any, longer: Any
) -> Any:
    """hash_words(folded: uint8[], starts: uint16[], ends, k, words: uint64[], long_words: uint64[], longer) -> uint64:
    LANES words from k. k, longer: uint64.

    The hashes of those of at most 15 bytes, as `kernels.sketch.shingles` says, are written to words[k:]. The numbers of
    the others are written to long_words[longer:], with something behind them up to long_words[longer + LANES]. Returns
    `longer` with them. 16 bytes from each start must lie inside `folded`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        k = arguments[3]

        def pointer_to(array: int, index: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.gep(data, [index])

        def borders(array: int) -> Any:
            kind = ir.VectorType(ir.IntType(16), LANES)
            return builder.zext(builder.load(builder.bitcast(pointer_to(array, k), kind.as_pointer()), align=2), _EIGHT)

        pieces = []
        for lane in range(LANES):  # no branch on lengths: 16 bytes of each word
            start = builder.zext(builder.load(pointer_to(1, builder.add(k, _WORD(lane)))), _WORD)
            pair = builder.bitcast(pointer_to(0, start), ir.VectorType(_WORD, 2).as_pointer())
            pieces.append(builder.load(pair, align=1))
        even, odd = _join(builder, pieces[::2]), _join(builder, pieces[1::2])
        first = builder.shuffle_vector(even, odd, _lanes_of([0, 8, 2, 10, 4, 12, 6, 14]))
        second = builder.shuffle_vector(even, odd, _lanes_of([1, 9, 3, 11, 5, 13, 7, 15]))
        length = builder.sub(borders(2), borders(1))
        whole = builder.icmp_unsigned("!=", builder.and_(length, _each(8)), _each(0))
        bits = builder.shl(builder.and_(length, _each(7)), _each(3))
        rest = builder.and_(builder.select(whole, second, first), builder.sub(builder.shl(_each(1), bits), _each(1)))
        tail = builder.xor(rest, builder.shl(length, _each(56)))
        absorbed = _mix(builder, builder.xor(first, _each(_WORD_SEED)))
        mixed = _mix(builder, builder.xor(builder.select(whole, absorbed, _each(_WORD_SEED)), tail))
        builder.store(mixed, builder.bitcast(pointer_to(4, k), _EIGHT.as_pointer()), align=8)
        numbers = builder.add(_spread(builder, k), ir.Constant(_EIGHT, list(range(LANES))))
        marks = builder.icmp_unsigned(">=", length, _each(16))
        return builder.add(arguments[6], _store_marked(context, builder, numbers, marks, pointer_to(5, arguments[6])))

    return types.uint64(folded, starts, ends, types.uint64, words, long_words, types.uint64), generate
