"""Single instructions that Python has no operator for."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """trailing_zeros(word: uint64) -> int64: the number of zero bits below the lowest one; word must not be 0.

    `llvm.cttz`, for kernels only. It took a sixth off the time from text to shingles, against a table.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        return builder.cttz(value, context.get_constant(types.boolean, True))

    return types.int64(types.uint64), generate
