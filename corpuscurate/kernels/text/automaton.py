"""Many phrases sought at once, a table lookup a byte (Aho and Corasick 1975), whatever their number and the text."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Automaton(NamedTuple):
    """following: int32[states, 256], the state after a byte; 0 is the first. found: bool[states], whether a phrase ends
    there. Letters A to Z are taken for a to z."""

    following: NDArray[np.int32]
    found: NDArray[np.bool_]


def automaton(phrases: Sequence[str]) -> Automaton:
    """The automaton of the phrases; their own letters A to Z are taken for a to z, too."""
    children: list[dict[int, int]] = [{}]
    ends = [False]
    for phrase in phrases:
        state = 0
        for byte in phrase.encode().lower():  # of bytes: ASCII alone
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                ends.append(False)
            state = children[state][byte]
        ends[state] = True
    following = np.zeros((len(children), 256), np.int32)
    shorter = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        if state:
            following[state] = following[shorter[state]]
            ends[state] |= ends[shorter[state]]
        for byte, child in children[state].items():
            shorter[child] = int(following[shorter[state], byte]) if state else 0
            following[state, byte] = child
            waiting.append(child)
    following[:, ord("A") : ord("Z") + 1] = following[:, ord("a") : ord("z") + 1]
    return Automaton(following, np.array(ends, np.bool_))
