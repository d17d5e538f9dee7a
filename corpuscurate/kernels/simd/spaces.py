"""Where words may end, for 64 bytes at once as a vector (`kernels.simd.bits` says how intrinsics are written)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from corpuscurate.kernels.simd.bits import _WORD, _all, _check, _pointer_to


def word_ends_plain(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """A bit for each of 64 bytes at which white space may begin, and for each that is no ASCII letter or digit.

    White space may begin at the bytes up to 0x20 and at those with which the UTF-8 of other white space begins: 0xC2,
    0xE1 to 0xE3.
    """
    block = bytes(data[i : i + 64])
    ends = sum(1 << j for j, byte in enumerate(block) if byte <= 0x20 or byte in b"\xc2\xe1\xe2\xe3")
    return ends, sum(1 << j for j, byte in enumerate(block) if byte >= 0x80 or not chr(byte).isalnum())


@intrinsic  # type: ignore[untyped-decorator]
def word_ends(typing_context: Any, data: Any, i: Any) -> Any:
    """word_ends(data: uint8[], i: int64) -> (uint64, uint64): of data[i : i + 64], a bit for each byte at which white
    space may begin, and for each that is no ASCII letter or digit.

    All 64 bytes must lie inside the array.
    """
    _check(data)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = builder.load(_pointer_to(context, builder, signature.args[0], *arguments), align=1)
        low = builder.icmp_unsigned("<=", x, _all(0x20))
        lead = builder.icmp_unsigned("<", builder.sub(x, _all(0xE1)), _all(3))
        end = builder.or_(builder.or_(low, lead), builder.icmp_unsigned("==", x, _all(0xC2)))
        lower = builder.or_(x, _all(0x20))
        letter = builder.icmp_unsigned("<", builder.sub(lower, _all(97)), _all(26))
        digit = builder.icmp_unsigned("<", builder.sub(x, _all(48)), _all(10))
        plain = builder.or_(letter, digit)
        ends, plains = builder.bitcast(end, _WORD), builder.bitcast(plain, _WORD)
        return cgutils.pack_array(builder, [ends, builder.not_(plains)])

    return types.UniTuple(types.uint64, 2)(data, types.int64), generate
