"""Expressions over columns: the nodes and how each is computed on a batch, vectorised.

Every value may be missing (null): a column that has no value there, or one of another type than the expression asks
for. Truth is three-valued after Kleene: `missing and False` is False, `missing and True` is missing.
`expression_parse.parse` makes the nodes from text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.columns import EXACT, TEXT, integers, missing, numbers, strings, to_numpy, truths

Kind = Literal["number", "string", "truth", "column"]
"""What a node yields; a column's kind is decided by what it is compared with."""
Array = Any  # pa.Array or pa.Scalar, which mypy does not know

SAFE = 2**53
"""Below it float64 tells any two integers apart."""


@dataclass
class Rows:
    """A batch as expressions see it: the columns, and what was already computed from them."""

    text: Array
    columns: Mapping[str, Array]
    _known: dict[tuple[str, str], Array] = field(default_factory=dict)

    def lane(self, name: str, read: Callable[[Array], Array]) -> Array:
        """A column as numbers, strings or truth values, read once."""
        key = (name, read.__name__)
        if key not in self._known:
            self._known[key] = read(self.columns[name])
        return self._known[key]


def _real(values: Array) -> Array:
    """Without nan and the infinities, which are no numbers to compare."""
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


class Node:
    """A part of an expression; of its methods those are defined that its kind can answer."""

    kind: ClassVar[Kind]

    def number(self, rows: Rows) -> Array:
        """As float64."""
        raise TypeError(f"{self} is no number")

    def exact(self, rows: Rows) -> Array | None:
        """As decimal128(38, 0) where it is an integer, or None when that is never needed."""
        return None

    def string(self, rows: Rows) -> Array:
        """As large_string."""
        raise TypeError(f"{self} is no string")

    def truth(self, rows: Rows) -> Array:
        """As bool."""
        raise TypeError(f"{self} is no truth value")


@dataclass(frozen=True)
class Column(Node):
    """A column by name; of the kind it is asked for."""

    name: str
    kind: ClassVar[Kind] = "column"

    def number(self, rows: Rows) -> Array:
        """What is not a number is missing."""
        return _real(rows.lane(self.name, numbers))

    def exact(self, rows: Rows) -> Array | None:
        """What is not an integer is missing."""
        return rows.lane(self.name, integers)

    def string(self, rows: Rows) -> Array:
        """What is not a string is missing."""
        return rows.lane(self.name, strings)

    def truth(self, rows: Rows) -> Array:
        """What is neither true nor false is missing."""
        return rows.lane(self.name, truths)


@dataclass(frozen=True)
class Text(Node):
    """The document's text."""

    kind: ClassVar[Kind] = "string"

    def string(self, rows: Rows) -> Array:
        """The text; never missing."""
        return rows.text


@dataclass(frozen=True)
class Number(Node):
    """A literal."""

    value: int | float
    kind: ClassVar[Kind] = "number"

    def number(self, rows: Rows) -> Array:
        """The nearest float64."""
        return pa.scalar(float(self.value), pa.float64())

    def exact(self, rows: Rows) -> Array | None:
        """The integer itself."""
        return pa.scalar(self.value, EXACT) if isinstance(self.value, int) else None


@dataclass(frozen=True)
class String(Node):
    """A literal."""

    value: str
    kind: ClassVar[Kind] = "string"

    def string(self, rows: Rows) -> Array:
        """The literal."""
        return pa.scalar(self.value, TEXT)


@dataclass(frozen=True)
class Truth(Node):
    """A literal."""

    value: bool
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """The literal."""
        return pa.scalar(self.value, pa.bool_())


@dataclass(frozen=True)
class Arithmetic(Node):
    """+ - * / in float64; a division by zero and an overflow are missing."""

    operator: Literal["add", "subtract", "multiply", "divide"]
    left: Node
    right: Node
    kind: ClassVar[Kind] = "number"

    def number(self, rows: Rows) -> Array:
        """Computed in float64."""
        return _real(getattr(pc, self.operator)(self.left.number(rows), self.right.number(rows)))


@dataclass(frozen=True)
class Length(Node):
    """Code points of a string."""

    of: Node
    kind: ClassVar[Kind] = "number"

    def number(self, rows: Rows) -> Array:
        """As float64: lengths are far below 2**53."""
        return pc.utf8_length(self.of.string(rows)).cast(pa.float64())


@dataclass(frozen=True)
class Lower(Node):
    """A string in lower case."""

    of: Node
    kind: ClassVar[Kind] = "string"

    def string(self, rows: Rows) -> Array:
        """Unicode's simple mapping, a character for a character."""
        return pc.utf8_lower(self.of.string(rows))


@dataclass(frozen=True)
class Match(Node):
    """Whether a string begins with, ends with or contains a literal."""

    function: Literal["starts_with", "ends_with", "match_substring"]
    of: Node
    literal: str
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """Compared code point by code point."""
        return getattr(pc, self.function)(self.of.string(rows), self.literal)


@dataclass(frozen=True)
class IsNull(Node):
    """Whether a column has no value; never missing."""

    name: str
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """True where the field is absent or null."""
        return rows.lane(self.name, missing)


@dataclass(frozen=True)
class Compare(Node):
    """One comparison. Two columns are compared as numbers where both are, as strings where both are, and so on."""

    operator: Literal["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
    left: Node
    right: Node
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """Missing where the sides are not of one kind."""
        kinds = {self.left.kind, self.right.kind} - {"column"}
        if kinds:
            return self._as(kinds.pop(), rows)
        lanes = ["number", "string", *(["truth"] if self.operator in ("equal", "not_equal") else [])]
        return pc.coalesce(*(self._as(lane, rows) for lane in lanes))

    def _as(self, lane: str, rows: Rows) -> Array:
        compare = getattr(pc, self.operator)
        left, right = getattr(self.left, lane)(rows), getattr(self.right, lane)(rows)
        rounded = compare(left, right)
        if lane != "number" or not (_beyond_safe(left) and _beyond_safe(right)):
            return rounded
        left, right = self.left.exact(rows), self.right.exact(rows)
        return rounded if left is None or right is None else pc.coalesce(compare(left, right), rounded)


def _beyond_safe(values: Array) -> bool:
    if isinstance(values, pa.Scalar):
        return bool(values.is_valid and abs(values.as_py()) >= SAFE)
    return bool(np.nanmax(np.abs(to_numpy(values)), initial=0) >= SAFE)


@dataclass(frozen=True)
class OneOf(Node):
    """Whether a value is in a list of literals; missing where it is of a kind that no literal has."""

    of: Node
    literals: tuple[Node, ...]
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """Each kind of literal is looked for among the values of its kind."""
        found = []
        if texts := [node.value for node in self.literals if isinstance(node, String)]:
            values = self.of.string(rows)
            found.append(_known_only(values, pc.is_in(values, pa.array(texts, TEXT))))
        if truths := [node.value for node in self.literals if isinstance(node, Truth)]:
            values = self.of.truth(rows)
            found.append(_known_only(values, pc.is_in(values, pa.array(truths, pa.bool_()))))
        counts = [node for node in self.literals if isinstance(node, Number)]
        if counts:
            found.append(self._numbers(counts, rows))
        return pc.coalesce(*found)

    def _numbers(self, literals: list[Number], rows: Rows) -> Array:
        small = [float(node.value) for node in literals if abs(node.value) < SAFE]
        values = self.of.number(rows)
        found = [_known_only(values, pc.is_in(values, pa.array(small, pa.float64())))]
        found += [Compare("equal", self.of, node).truth(rows) for node in literals if abs(node.value) >= SAFE]
        return reduce(pc.or_kleene, found)


def _known_only(values: Array, found: Array) -> Array:
    return pc.if_else(pc.is_valid(values), found, pa.scalar(None, pa.bool_()))


@dataclass(frozen=True)
class Not(Node):
    """The opposite; missing stays missing."""

    of: Node
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """After Kleene."""
        return pc.invert(self.of.truth(rows))


@dataclass(frozen=True)
class Both(Node):
    """All of several (`and`) or any of several (`or`), after Kleene."""

    operator: Literal["and_kleene", "or_kleene"]
    parts: tuple[Node, ...]
    kind: ClassVar[Kind] = "truth"

    def truth(self, rows: Rows) -> Array:
        """Every part is computed; the order makes no difference."""
        return reduce(getattr(pc, self.operator), (part.truth(rows) for part in self.parts))
