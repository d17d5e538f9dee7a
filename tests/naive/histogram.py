"""Bins of a histogram from their definition: 16 equal steps between two powers of two."""

import math
from fractions import Fraction

LARGEST = (2 - 2**-52) * 2.0**1023
LEAST = 2.0**-1022
"""Of normal numbers; what is smaller is in 16 equal bins from 0."""


def bin_edges(value: float) -> tuple[float, float]:
    """The edges of the bin of a finite value: the one nearer to 0 is in it."""
    size = abs(value)
    if size < LEAST:
        step, start = Fraction(LEAST) / 16, Fraction(0)
    else:
        power = Fraction(2) ** (math.frexp(size)[1] - 1)
        step, start = power / 16, power
    below = start + (Fraction(size) - start) // step * step
    above = below + step
    low, high = float(below), LARGEST if above > Fraction(LARGEST) else float(above)
    return (-high, -low) if value < 0 else (low, high)
