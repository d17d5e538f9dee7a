"""Where personal data may begin, in 64 bytes at once: see `kernels.simd.bits`."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

REACH = 66
"""Bytes from data[i] on that `anchors` reads."""
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(ir.IntType(8), 64)


def is_digit_plain(data: NDArray[np.uint8], i: int) -> bool:
    """Whether a decimal digit begins at byte i: of ASCII, Arabic, Persian, the Indic scripts from Devanagari to
    Malayalam, Thai, or of full width."""
    one, two, three = (int(byte) for byte in data[i : i + 3])
    return (
        0x30 <= one <= 0x39
        or (one == 0xD9 and 0xA0 <= two <= 0xA9)
        or (one == 0xDB and 0xB0 <= two <= 0xB9)
        or (one == 0xE0 and two % 2 == 1 and 0xA5 <= two <= 0xB5 and 0xA6 <= three <= 0xAF)
        or (one == 0xE0 and two == 0xB9 and 0x90 <= three <= 0x99)
        or (one == 0xEF and two == 0xBC and 0x90 <= three <= 0x99)
    )


def anchors_plain(data: NDArray[np.uint8], i: int) -> tuple[int, int, int, int, int]:
    """A bit for each of 64 bytes that is an at sign or 0xEF, which begins a full-width one; that begins a digit; that
    is a full stop; a colon; an ASCII letter."""
    block = bytes(data[i : i + 64])
    tests = (
        [byte in (0x40, 0xEF) for byte in block],
        [is_digit_plain(data, i + at) for at in range(64)],
        [byte == 0x2E for byte in block],
        [byte == 0x3A for byte in block],
        [chr(byte).isalpha() and byte < 0x80 for byte in block],
    )
    found = [sum(hit << at for at, hit in enumerate(each)) for each in tests]
    return found[0], found[1], found[2], found[3], found[4]


def _all(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * 64)


@intrinsic  # type: ignore[untyped-decorator]
def anchors(typing_context: Any, data: Any, i: Any) -> Any:
    """anchors(data: uint8[], i: int64) -> five uint64: marks of data[i : i + 64], as `anchors_plain` tells.

    REACH bytes from i on must lie inside the array.
    """
    if not isinstance(data, types.Array) or data.dtype != types.uint8 or data.layout != "C":
        raise TypingError(f"bytes in a row are needed, not {data}")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i = arguments
        start = context.make_array(signature.args[0])(context, builder, array).data

        def load(step: int) -> Any:
            pointer = builder.gep(start, [builder.add(i, _WORD(step))])
            return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=1)

        def equal(x: Any, byte: int) -> Any:
            return builder.icmp_unsigned("==", x, _all(byte))

        def within(x: Any, low: int, high: int) -> Any:
            return builder.icmp_unsigned("<", builder.sub(x, _all(low)), _all(high - low + 1))

        def both(*tests: Any) -> Any:
            found = tests[0]
            for test in tests[1:]:
                found = builder.and_(found, test)
            return found

        x, y, z = load(0), load(1), load(2)
        odd = equal(builder.and_(y, _all(1)), 1)
        digit = within(x, 0x30, 0x39)
        for more in (
            both(equal(x, 0xD9), within(y, 0xA0, 0xA9)),
            both(equal(x, 0xDB), within(y, 0xB0, 0xB9)),
            both(equal(x, 0xE0), odd, within(y, 0xA5, 0xB5), within(z, 0xA6, 0xAF)),
            both(equal(x, 0xE0), equal(y, 0xB9), within(z, 0x90, 0x99)),
            both(equal(x, 0xEF), equal(y, 0xBC), within(z, 0x90, 0x99)),
        ):
            digit = builder.or_(digit, more)
        at = builder.or_(equal(x, 0x40), equal(x, 0xEF))
        letter = within(builder.or_(x, _all(0x20)), 0x61, 0x7A)
        marks = [builder.bitcast(each, _WORD) for each in (at, digit, equal(x, 0x2E), equal(x, 0x3A), letter)]
        return cgutils.pack_array(builder, marks)

    return types.UniTuple(types.uint64, 5)(data, types.int64), generate


def ones_plain(word: int) -> int:
    """The number of bits that are set."""
    return word.bit_count()


@intrinsic  # type: ignore[untyped-decorator]
def ones(typing_context: Any, word: Any) -> Any:
    """ones(word: uint64) -> int64: the number of bits that are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate
