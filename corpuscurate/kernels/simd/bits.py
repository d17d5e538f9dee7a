"""Single instructions that Python has no operator for, and 64 bytes at once as a vector.

The vectors are LLVM's own, which it makes into what the processor has (one register or several); they are of integers
alone, so every processor gets the same results.

Beside each intrinsic `x` stands `x_plain`, the same in plain Python: what it computes is said there, the rest is how.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(ir.IntType(8), 64)
_MARKS = ir.VectorType(ir.IntType(1), 64)
_SHORTS = ir.VectorType(ir.IntType(16), 32)
_INDEX = ir.IntType(32)


def trailing_zeros_plain(word: int) -> int:
    """The number of zero bits below the lowest one."""
    return (word & -word).bit_length() - 1


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """trailing_zeros(word: uint64) -> int64: the number of zero bits below the lowest one; word must not be 0.

    `llvm.cttz`, for kernels only. It took a sixth off the time from text to shingles, against a table.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        return builder.cttz(value, context.get_constant(types.boolean, True))

    return types.int64(types.uint64), generate


def leading_zeros_plain(word: int) -> int:
    """The number of zero bits above the highest one, of 64."""
    return 64 - word.bit_length()


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """leading_zeros(word: uint64) -> int64: the number of zero bits above the highest one; word must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        return builder.ctlz(value, context.get_constant(types.boolean, True))

    return types.int64(types.uint64), generate


def _check(array: Any) -> None:
    """Refuse, while a kernel is compiled, what is no contiguous array of bytes."""
    if not isinstance(array, types.Array) or array.dtype != types.uint8 or array.layout != "C":
        raise TypingError(f"bytes in a row are needed, not {array}")


def _all(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * 64)


def _pointer_to(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """A pointer to the 64 bytes from data[index]."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    """The lowest byte of a number of 64 bits, 64 times."""
    one = builder.insert_element(_all(0), builder.trunc(number, ir.IntType(8)), _INDEX(0))
    return builder.shuffle_vector(one, _all(0), ir.Constant(ir.VectorType(_INDEX, 64), [0] * 64))


def inside_words_plain(folded: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes that is not 0."""
    return sum(1 << j for j in range(64) if folded[i + j])


@intrinsic  # type: ignore[untyped-decorator]
def inside_words(typing_context: Any, folded: Any, i: Any) -> Any:
    """inside_words(folded: uint8[], i: int64) -> uint64: a bit for each of folded[i : i + 64] that is not 0.

    All 64 bytes must lie inside the array.
    """
    _check(folded)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer_to(context, builder, signature.args[0], *arguments)
        marks = builder.icmp_unsigned("!=", builder.load(pointer, align=1), _all(0))
        return builder.bitcast(marks, _WORD)

    return types.uint64(folded, types.int64), generate


def fold_ascii_plain(
    data: NDArray[np.uint8], i: int, size: int, joiner: int, out: NDArray[np.uint8], at: int
) -> tuple[int, int]:
    """Fold the ASCII of 64 bytes; a bit for each byte outside ASCII, and for each that begins a character there."""
    others = leads = 0
    block = bytes(data[i : i + 64])  # before `out`, which may be the same
    for j, byte in enumerate(block):
        kept = j < size and (byte >= 0x80 or byte == joiner or chr(byte).isalnum())
        out[at + j] = bytes([byte]).lower()[0] if kept else 0
        others |= (j < size and byte >= 0x80) << j
        leads |= (j < size and byte >= 0xC0) << j
    return others, leads


@intrinsic  # type: ignore[untyped-decorator]
def fold_ascii(typing_context: Any, data: Any, i: Any, size: Any, joiner: Any, out: Any, at: Any) -> Any:
    """fold_ascii(data: uint8[], i, size, joiner, out: uint8[], at) -> (uint64, uint64): data[i : i + 64] folded to
    out[at:].

    Of the first `size` bytes (1 to 64) ASCII letters in lower case; ASCII digits, bytes outside ASCII and the byte
    `joiner` as they are; all else 0. Returns a bit for each of the `size` that is outside ASCII, and for each that
    begins a character there.
    All 64 bytes must lie inside both arrays.
    """
    _check(data)
    _check(out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, i, size, joiner, out, at = arguments
        x = builder.load(_pointer_to(context, builder, signature.args[0], data, i), align=1)
        upper = builder.icmp_unsigned("<", builder.sub(x, _all(65)), _all(26))
        lower = builder.add(x, builder.select(upper, _all(32), _all(0)))
        letter = builder.icmp_unsigned("<", builder.sub(lower, _all(97)), _all(26))
        digit = builder.icmp_unsigned("<", builder.sub(x, _all(48)), _all(10))
        other = builder.icmp_unsigned(">=", x, _all(0x80))
        lead = builder.icmp_unsigned(">=", x, _all(0xC0))
        joins = builder.icmp_unsigned("==", x, _spread(builder, joiner))
        within = builder.icmp_unsigned("<", ir.Constant(_VECTOR, list(range(64))), _spread(builder, size))
        kept = builder.and_(builder.or_(builder.or_(letter, digit), builder.or_(other, joins)), within)
        folded = builder.select(kept, lower, _all(0))
        builder.store(folded, _pointer_to(context, builder, signature.args[4], out, at), align=1)
        marks = [builder.bitcast(builder.and_(each, within), _WORD) for each in (other, lead)]
        return cgutils.pack_array(builder, marks)

    numbers = types.int64, types.int64, types.int64, out, types.int64
    return types.UniTuple(types.uint64, 2)(data, *numbers), generate


def has(context: Any, feature: str) -> bool:
    """Whether code is made for a processor that has it."""
    return f"+{feature}" in context.codegen().magic_tuple()[2].split(",")


def packs_bytes_plain() -> bool:
    """No: of two ways with equal results, Python has the one that every processor has."""
    return False


@intrinsic  # type: ignore[untyped-decorator]
def packs_bytes(typing_context: Any) -> Any:
    """packs_bytes() -> bool: whether an instruction brings marked bytes together (AVX-512 VBMI2), which `pack_offsets`
    is made of. Known while compiling, so the other branch is no code."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.boolean, has(context, "avx512vbmi2"))

    return types.boolean(), generate


def packs_numbers_plain() -> bool:
    """No, as `packs_bytes_plain`."""
    return False


@intrinsic  # type: ignore[untyped-decorator]
def packs_numbers(typing_context: Any) -> Any:
    """packs_numbers() -> bool: whether an instruction brings marked numbers of 64 bits together (AVX-512)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.boolean, has(context, "avx512f"))

    return types.boolean(), generate


def pack_offsets_plain(word: int, base: int, out: NDArray[np.uint16], at: int) -> None:
    """Write base + the index of each bit, ascending."""
    for index in range(64):
        if word >> index & 1:
            out[at] = base + index
            at += 1


@intrinsic  # type: ignore[untyped-decorator]
def pack_offsets(typing_context: Any, word: Any, base: Any, out: Any, at: Any) -> Any:
    """pack_offsets(word: uint64, base: int64, out: uint16[], at: uint64): base + the index of each bit, to out[at:].

    Of no two neighbours both may be set. Something is written behind these offsets up to out[at + 32].
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, base, out, at = arguments
        marks = builder.bitcast(word, _MARKS)
        indices = ir.Constant(_VECTOR, list(range(64)))
        if has(context, "avx512vbmi2"):
            kind = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR, _MARKS])
            name = "llvm.x86.avx512.mask.compress.v64i8"
            packed = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [indices, _all(0), marks])
        else:
            packed = _all(0)
            count = _INDEX(0)
            for index in range(64):
                packed = builder.insert_element(packed, ir.IntType(8)(index), count)
                mark = builder.extract_element(marks, _INDEX(index))
                count = builder.add(count, builder.zext(mark, _INDEX))
        half = builder.shuffle_vector(packed, packed, ir.Constant(ir.VectorType(_INDEX, 32), list(range(32))))
        wide = builder.zext(half, _SHORTS)
        one = builder.insert_element(ir.Constant(_SHORTS, [0] * 32), builder.trunc(base, ir.IntType(16)), _INDEX(0))
        bases = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INDEX, 32), [0] * 32))
        data = context.make_array(signature.args[2])(context, builder, out).data
        pointer = builder.bitcast(builder.gep(data, [at]), _SHORTS.as_pointer())
        builder.store(builder.add(wide, bases), pointer, align=2)
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64, out, types.uint64), generate
