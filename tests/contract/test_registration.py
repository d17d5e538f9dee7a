"""How stages come to be known by their word."""

from __future__ import annotations

from corpuscurate.core.stage import stage_class
from corpuscurate.stages.length import Length


def test_a_subclass_without_a_word_of_its_own_does_not_take_its_parents_place() -> None:
    class Mine(Length):
        """A user's variation, used from Python only."""

    assert Mine(min_words=1).word == "length"
    assert stage_class("length") is Length
