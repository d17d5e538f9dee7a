"""Steps of sketches over eight numbers of 64 bits at once, as LLVM's vectors: see `kernels.bits`.

Where the processor has an instruction that only AVX-512 knows, it is used; elsewhere the same is done number by number.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
FEW = 128
"""The most bins that `next_hits` knows of."""
_BIT, _WORD = ir.IntType(1), ir.IntType(64)
_EIGHT = ir.VectorType(_WORD, LANES)
_MARKS = ir.VectorType(_BIT, LANES)
_C = 0xD1342543DE82EF95
"""That of `kernels.fast_similarity`."""


def _each(number: int) -> Any:
    return ir.Constant(_EIGHT, [number] * LANES)


def _spread(builder: Any, number: Any) -> Any:
    """The number in all lanes."""
    one = builder.insert_element(_each(0), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, _each(0), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def has(context: Any, feature: str) -> bool:
    """Whether code is made for a processor that has it."""
    return f"+{feature}" in context.codegen().magic_tuple()[2].split(",")


def _store_marked(context: Any, builder: Any, numbers: Any, marks: Any, place: Any) -> Any:
    """Write the marked numbers one after the other, and something behind them. Returns how many."""
    if has(context, "avx512f"):
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_EIGHT, [_EIGHT, _EIGHT, _MARKS]),
            "llvm.x86.avx512.mask.compress.v8i64",
        )
        packed = builder.call(compress, [numbers, _each(0), marks])
        builder.store(packed, builder.bitcast(place, _EIGHT.as_pointer()), align=8)
        return builder.zext(builder.ctpop(builder.bitcast(marks, ir.IntType(8))), _WORD)
    count = _WORD(0)
    for lane in range(LANES):
        builder.store(builder.extract_element(numbers, ir.IntType(32)(lane)), builder.gep(place, [count]))
        mark = builder.extract_element(marks, ir.IntType(32)(lane))
        count = builder.add(count, builder.zext(mark, _WORD))
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
        x, i, k, lower, upper, hits, count = arguments

        def data(array: int) -> Any:
            return context.make_array(signature.args[array])(context, builder, arguments[array]).data

        place = builder.bitcast(builder.gep(data(0), [i]), _EIGHT.as_pointer())
        g = builder.mul(builder.load(place, align=8), _each(_C))
        builder.store(g, place, align=8)
        bins = _spread(builder, builder.and_(k, _WORD(0xFFFFFFFF)))
        at = builder.lshr(builder.mul(builder.lshr(g, _each(32)), bins), _each(32))
        above = builder.icmp_unsigned("!=", builder.and_(at, _each(64)), _each(0))
        words = builder.select(above, _spread(builder, upper), _spread(builder, lower))
        rotate = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_EIGHT, [_EIGHT] * 3), "llvm.fshr.v8i64"
        )
        found = builder.and_(builder.call(rotate, [words, words, at]), _each(1))
        marks = builder.icmp_unsigned("!=", found, _each(0))
        return builder.add(count, _store_marked(context, builder, g, marks, builder.gep(data(5), [count])))

    numbers = [types.uint64] * 4
    return types.uint64(x, *numbers, hits, types.uint64), generate
