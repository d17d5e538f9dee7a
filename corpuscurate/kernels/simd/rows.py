"""Instructions for sums of rows from tables larger than the caches. `x_plain` is the intrinsic `x` in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray


def prefetch_plain(array: NDArray[Any], at: int) -> None:
    """Nothing: only time changes."""


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, array: Any, at: Any) -> Any:
    """prefetch(array, at): ask the processor to bring the contiguous array[at] near, and go on; nothing else changes.

    `llvm.prefetch`, for kernels only. at may lie outside the array.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte = ir.IntType(8).as_pointer()
        address = builder.bitcast(builder.gep(view.data, [arguments[1]]), byte)
        number = ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0i8")
        builder.call(function, [address, number(0), number(3), number(1)])  # to read, into all caches, as data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def add_eight_plain(
    rows: NDArray[np.float32], a: int, b: int, c: int, d: int, out: NDArray[np.float32], at: int
) -> None:
    """Add four runs of eight to eight sums, in float32 and in this order."""
    for j in range(8):
        out[at + j] += (rows[a + j] + rows[b + j]) + (rows[c + j] + rows[d + j])


@intrinsic  # type: ignore[untyped-decorator]
def add_eight(typing_context: Any, rows: Any, a: Any, b: Any, c: Any, d: Any, out: Any, at: Any) -> Any:
    """add_eight(rows, a, b, c, d, out, at): out[at:at + 8] += (rows[a:a + 8] + rows[b:b + 8]) + (rows[c:c + 8] +
    rows[d:d + 8]), elementwise, over contiguous float32; nothing is checked.

    As vectors of eight, for kernels only: LLVM does not join the additions of such a loop, since `out` might be a part
    of `rows`, and Numba leaves its joining of straight code out.
    """
    eight = ir.VectorType(ir.FloatType(), 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer_to(which: int, at: Any) -> Any:
            view = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(view.data, [at]), eight.as_pointer())

        one, two, three, four = (builder.load(pointer_to(0, arguments[k]), align=1) for k in (1, 2, 3, 4))
        total = builder.fadd(builder.fadd(one, two), builder.fadd(three, four))
        target = pointer_to(5, arguments[6])
        builder.store(builder.fadd(builder.load(target, align=1), total), target, align=1)
        return context.get_dummy_value()

    index = types.int64
    return types.void(rows, index, index, index, index, out, index), generate


def high_product_plain(a: int, b: int) -> int:
    """The upper 64 of the 128 bits of the product."""
    return a * b >> 64


@intrinsic  # type: ignore[untyped-decorator]
def high_product(typing_context: Any, a: Any, b: Any) -> Any:
    """high_product(a: uint64, b: uint64) -> uint64: the upper 64 bits of the product, for kernels only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(each, wide) for each in arguments))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


def add_sixteen_plain(rows: NDArray[np.int16], a: int, b: int, c: int, d: int, out: NDArray[np.int32], at: int) -> None:
    """Add four runs of sixteen to sixteen sums; the sum of four must be an int16."""
    for j in range(16):
        out[at + j] += int(rows[a + j]) + int(rows[b + j]) + int(rows[c + j]) + int(rows[d + j])


@intrinsic  # type: ignore[untyped-decorator]
def add_sixteen(typing_context: Any, rows: Any, a: Any, b: Any, c: Any, d: Any, out: Any, at: Any) -> Any:
    """add_sixteen(rows, a, b, c, d, out, at): out[at:at + 16] += rows[a:a + 16] + rows[b:b + 16] + rows[c:c + 16] +
    rows[d:d + 16], of contiguous int16 into contiguous int32; nothing is checked.

    As vectors of sixteen, for kernels only: the four are added as int16, which their sum must be, and Numba has no
    addition of two int16 that is one.
    """
    narrow, wide = ir.VectorType(ir.IntType(16), 16), ir.VectorType(ir.IntType(32), 16)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer_to(which: int, at: Any, kind: Any) -> Any:
            view = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(view.data, [at]), kind.as_pointer())

        one, two, three, four = (builder.load(pointer_to(0, arguments[k], narrow), align=2) for k in (1, 2, 3, 4))
        total = builder.sext(builder.add(builder.add(one, two), builder.add(three, four)), wide)
        target = pointer_to(5, arguments[6], wide)
        builder.store(builder.add(builder.load(target, align=4), total), target, align=4)
        return context.get_dummy_value()

    index = types.int64
    return types.void(rows, index, index, index, index, out, index), generate
