"""Many phrases sought at once, a table lookup a byte (Aho and Corasick 1975), whatever their number and the text."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Automaton(NamedTuple):
    """following: int32[states, 256], the state after a byte; 0 is the first. found: uint8[states], bit k where a phrase
    of group k ends there. Letters A to Z are taken for a to z."""

    following: NDArray[np.int32]
    found: NDArray[np.uint8]


def automaton(*groups: Sequence[str]) -> Automaton:
    """The automaton of up to 8 groups of phrases; their own letters A to Z are taken for a to z, too."""
    children: list[dict[int, int]] = [{}]
    ends = [0]
    for group, phrase in ((group, phrase) for group, phrases in enumerate(groups) for phrase in phrases):
        state = 0
        for byte in phrase.encode().lower():  # of bytes: ASCII alone
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                ends.append(0)
            state = children[state][byte]
        ends[state] |= 1 << group
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
    return Automaton(following, np.array(ends, np.uint8))
