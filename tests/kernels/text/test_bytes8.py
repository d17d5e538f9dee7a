"""Eight bytes as a number against plain Python."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.bytes8 import HIGH, digits_in, head_of, letters_in, tails_in


@uncounted
def of_string(data, start, size):
    part = head_of(data, start, size)
    return part, letters_in(part & ~HIGH), digits_in(part & ~HIGH), tails_in(part)


def high_bits(flags):
    return sum(0x80 << 8 * at for at, flag in enumerate(flags) if flag)


@given(st.binary(max_size=12), st.binary(max_size=12), st.integers(0, 9))
@example(b"", b"@AZ[`az{", 0)
@example(b"x", bytes([0x2F, 0x30, 0x39, 0x3A, 0x80, 0xBF, 0xC0, 0xFF]), 1)
def test_equal_to_the_definition(before, string, behind):
    data = np.frombuffer(before + string + b"z" * behind, np.uint8)
    head = string[:8]
    ascii = [chr(byte & 0x7F) for byte in head]
    part, letters, digits, tails = of_string(data, len(before), len(string))
    assert part == int.from_bytes(head, "little")
    assert letters == high_bits(char.isalpha() for char in ascii)
    assert digits == high_bits(char.isdigit() for char in ascii)
    assert tails == sum(0x80 <= byte < 0xC0 for byte in head)
