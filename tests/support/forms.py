"""The two forms of the tests: the short one, which `make test` runs, and the full one of `make full`.

In the short form a property is tried on fewer examples, and of a campaign (a test over a grid of cases that differ
little) every n-th case is run, and at least the first. Tests that are named one by one are run whatever the form.
"""

from __future__ import annotations

import os
from math import ceil

VARIABLE = "CORPUSCURATE_TESTS"
FULL = os.environ.get(VARIABLE, "") == "full"


def some(count: int) -> int:
    """How many of `count` random examples to try."""
    return count if FULL else ceil(count / 4)


def sparse(step: int) -> int:
    """How many documents of a corpus to go on by from one that is tried to the next."""
    return step if FULL else step * 4
