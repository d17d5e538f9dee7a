"""The digest of a user's code changes with all that decides what it does, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest

from corpuscurate.core.code_digest import code_digest

CODE = """
import functools, math
import numpy as np
from dataclasses import dataclass
from typing import ClassVar
from pydantic import BaseModel, Field
from corpuscurate import StreamingStage
import helper_module
from helper_module import helped

LIMIT = 3
TABLE = np.array([1, 2])
WORDS = {"a": {"b", "c"}}

@functools.lru_cache
def cached(): return 11

def deep(): return cached() + LIMIT

class Base(StreamingStage):
    threshold: int = Field(5, ge=1)
    def below(self): return deep()

class Own(Base):
    "Own."
    factor: ClassVar[int] = 2
    made: list = Field(default_factory=lambda: [7])
    @property
    def table(self): return TABLE, WORDS
    @staticmethod
    def plain(x=13): return [x for x in range(17)]
    def apply(self, batch):
        def inner(): return helper_module.far(batch), helped()
        return Work(), inner(), math.pi

@dataclass(frozen=True)
class Work:
    n: int = 19
    def run(self, folder): return self.n * 23
"""
HELPER = "def far(batch): return near()\ndef near(): return 29\ndef helped(): return 31\ndef unused(): return 37\n"


def digest(code: str = CODE, helper: str = HELPER) -> str:
    module = types.ModuleType("helper_module")
    exec(helper, module.__dict__)  # noqa: S102
    own: dict[str, Any] = {"__name__": "own_module"}
    sys.modules.update({"helper_module": module, "own_module": types.ModuleType("own_module")})
    try:
        exec(code, own)  # noqa: S102
        return code_digest(own["Own"])
    finally:
        del sys.modules["helper_module"], sys.modules["own_module"]


def test_the_same_code_has_the_same_digest_in_another_process() -> None:
    assert digest() == digest()
    assert digest(CODE.replace("    def apply", "\n\n    # a comment\n    def apply")) == digest()
    code = f"import sys; sys.path[:0] = {sys.path!r}; from core.test_code_digest import digest; print(digest())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert found == {digest()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("[1, 2]", "[1, 3]"),
        ('{"b", "c"}', '{"b", "d"}'),
        ("return 11", "return 12"),
        ("Field(5, ge=1)", "Field(6, ge=1)"),
        ("Field(5, ge=1)", "Field(5, ge=2)"),
        ("return deep()", "return deep() + 1"),
        ("ClassVar[int] = 2", "ClassVar[int] = 3"),
        ("[7]", "[8]"),
        ("x=13", "x=14"),
        ("range(17)", "range(18)"),
        ("math.pi", "math.e"),
        ("n: int = 19", "n: int = 20"),
        ("self.n * 23", "self.n * 24"),
        ("StreamingStage):", "StreamingStage):\n    version = 2"),
    ],
)
def test_it_changes_with_the_code(before: str, after: str) -> None:
    assert CODE.count(before) >= 1
    assert digest(CODE.replace(before, after)) != digest()


@pytest.mark.parametrize("number", [29, 31])
def test_it_changes_with_what_is_used_of_the_users_modules(number: int) -> None:
    assert digest(helper=HELPER.replace(str(number), "41")) != digest()


def test_what_is_not_used_does_not_count() -> None:
    assert digest(helper=HELPER.replace("37", "41")) == digest()


def test_a_method_that_is_put_in_place_of_another_counts() -> None:
    own: dict[str, Any] = {"__name__": "__main__"}
    code = "from corpuscurate import StreamingStage\nclass Own(StreamingStage):\n    def apply(self, batch): return 1"
    exec(code, own)  # noqa: S102
    before = code_digest(own["Own"])
    own["Own"].apply = lambda self, batch: 2
    assert code_digest(own["Own"]) != before
