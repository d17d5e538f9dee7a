"""Which of 64 bytes belong to a class, as the bits of a number: see `kernels.simd.bits`.

A class is a few ranges of bytes, or a few short strings; it is a constant of the compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

Ranges = Sequence[tuple[int, int]]
LINE_BREAKS: Ranges = ((0x0A, 0x0D), (0x1C, 0x1E), (0xC2, 0xC2), (0xE2, 0xE2))
"""Bytes that end a line of `str.splitlines()`, or begin a character that may."""
SENTENCE_MARKS: Ranges = (
    (0x21, 0x21),
    (0x2E, 0x2E),
    (0x3F, 0x3F),
    (0xD6, 0xD6),
    (0xD8, 0xD8),
    (0xDB, 0xDC),
    (0xDF, 0xE3),
    (0xEA, 0xEA),
    (0xEF, 0xF0),
)
"""Bytes that end a sentence, or begin a character that may: those with TERMINAL in `kernels.text.signs`."""
NEWLINES: Ranges = ((0x0A, 0x0A),)
SYMBOLS: Ranges = ((0x23, 0x23), (0x2E, 0x2E), (0xE2, 0xE2))
"""A "#", a full stop, a byte with which an ellipsis may begin."""
HINTS = ("ipsum", "vascr", "ms of", "olicy", "ookie")
"""Five letters of which each phrase of `kernels.text.c4` has one; and the Kelvin sign, a k in lower case."""
KELVIN = b"\xe2\x84"
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(ir.IntType(8), 64)


def in_ranges_plain(data: NDArray[np.uint8], i: int, ranges: Ranges) -> int:
    """A bit for each of 64 bytes that lies in one of the ranges."""
    return sum(1 << j for j in range(64) if any(low <= data[i + j] <= high for low, high in ranges))


def _all(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * 64)


def _load(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    pointer = builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())
    return builder.load(pointer, align=1)


def _check(array: Any) -> None:
    if not isinstance(array, types.Array) or array.dtype != types.uint8 or array.layout != "C":
        raise TypingError(f"bytes in a row are needed, not {array}")


def _in_ranges(builder: Any, x: Any, ranges: Ranges) -> Any:
    found = None
    for low, high in ranges:
        one = builder.icmp_unsigned("<", builder.sub(x, _all(low)), _all(high - low + 1))
        found = one if found is None else builder.or_(found, one)
    return builder.bitcast(found, _WORD)


def _marks_of(ranges: Ranges) -> Any:
    def typed(typing_context: Any, data: Any, i: Any) -> Any:
        _check(data)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x = _load(context, builder, signature.args[0], *arguments)
            return _in_ranges(builder, x, ranges)

        return types.uint64(data, types.int64), generate

    return intrinsic(typed)


def line_breaks_plain(data: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes in LINE_BREAKS."""
    return in_ranges_plain(data, i, LINE_BREAKS)


def sentence_marks_plain(data: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes in SENTENCE_MARKS."""
    return in_ranges_plain(data, i, SENTENCE_MARKS)


def newlines_plain(data: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes that is a line feed."""
    return in_ranges_plain(data, i, NEWLINES)


def symbols_plain(data: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes in SYMBOLS."""
    return in_ranges_plain(data, i, SYMBOLS)


def equal_plain(data: NDArray[np.uint8], i: int, byte: int) -> int:
    """A bit for each of 64 bytes that is the byte."""
    return in_ranges_plain(data, i, ((byte, byte),))


line_breaks = _marks_of(LINE_BREAKS)
"""line_breaks(data: uint8[], i: int64) -> uint64: a bit for each of data[i : i + 64] in LINE_BREAKS. All 64 bytes must
lie inside the array. Likewise the next three."""
sentence_marks = _marks_of(SENTENCE_MARKS)
newlines = _marks_of(NEWLINES)
symbols = _marks_of(SYMBOLS)


@intrinsic  # type: ignore[untyped-decorator]
def equal(typing_context: Any, data: Any, i: Any, byte: Any) -> Any:
    """equal(data: uint8[], i: int64, byte: uint8) -> uint64: a bit for each of data[i : i + 64] that is the byte.
    All 64 bytes must lie inside the array."""
    _check(data)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, byte = arguments
        x = _load(context, builder, signature.args[0], array, i)
        one = builder.insert_element(_all(0), byte, ir.IntType(32)(0))
        spread = builder.shuffle_vector(one, _all(0), ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
        return builder.bitcast(builder.icmp_unsigned("==", x, spread), _WORD)

    return types.uint64(data, types.int64, types.uint8), generate


def hints_plain(data: NDArray[np.uint8], i: int) -> int:
    """A bit for each of 64 bytes at which one of HINTS begins, in any case of ASCII, or KELVIN."""
    found = 0
    for j in range(64):
        five = bytes(data[i + j : i + j + 5])
        hit = bytes(byte | 0x20 for byte in five) in [hint.encode() for hint in HINTS]
        found |= (hit or five[:2] == KELVIN) << j
    return found


@intrinsic  # type: ignore[untyped-decorator]
def hints(typing_context: Any, data: Any, i: Any) -> Any:
    """hints(data: uint8[], i: int64) -> uint64: a bit for each of data[i : i + 64] at which one of HINTS begins, bit 5
    of each byte set, or KELVIN. 68 bytes must lie inside the array."""
    _check(data)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i = arguments
        plain = [_load(context, builder, signature.args[0], array, builder.add(i, _WORD(step))) for step in range(5)]
        lower = [builder.or_(x, _all(0x20)) for x in plain]
        found = None
        for bytes_, vectors in [*((hint.encode(), lower) for hint in HINTS), (KELVIN, plain)]:
            one = None
            for byte, x in zip(bytes_, vectors, strict=False):
                same = builder.icmp_unsigned("==", x, _all(byte))
                one = same if one is None else builder.and_(one, same)
            found = one if found is None else builder.or_(found, one)
        return builder.bitcast(found, _WORD)

    return types.uint64(data, types.int64), generate
