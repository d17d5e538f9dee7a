"""From the text of an expression to its nodes. Nothing is ever executed: only the forms named in ALLOWED exist."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.expression.nodes import (
    Arithmetic,
    Both,
    Column,
    Compare,
    IsNull,
    Kind,
    Length,
    Lower,
    Match,
    Node,
    Not,
    Number,
    OneOf,
    String,
    Text,
    Truth,
)

MAX_LENGTH = 4096
MAX_DEPTH = 64
SHOWN = 60
"""Characters of the expression that an error shows before and after the error."""

ALLOWED = """\
  columns     name, stage.measure, col("any name"); text is the document's text
  literals    1, 2.5, "words", True, False
  compare     == != < <= > >=, chained too (0 < x <= 1); in [..], not in [..] with literals
  combine     and, or, not, brackets
  numbers     + - * /, len(column)
  strings     lower(column), startswith(column, "x"), endswith(column, "x"), contains(column, "x")
  no value    is_null(column)"""

_COMPARE = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
_ARITHMETIC = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}
_MATCH = {"startswith": "starts_with", "endswith": "ends_with", "contains": "match_substring"}
_SPELLED = {"true": "True", "false": "False", "null": "is_null(column)", "none": "is_null(column)"}
_AS = {"number": "a number", "string": "a string", "truth": "true or false", "column": "a column"}


@dataclass(frozen=True)
class Expression:
    """A parsed expression: `truth(rows)` is one bool or null a row."""

    source: str
    root: Node
    columns: tuple[str, ...]
    """The columns it names, in order of appearance."""


def parse(source: str) -> Expression:
    """The expression a text stands for. Raises RecipeError with the position and what is allowed."""
    return _Parser(source).parse()


@dataclass
class _Parser:
    source: str
    columns: dict[str, None] = field(default_factory=dict)

    def parse(self) -> Expression:
        if len(self.source) > MAX_LENGTH:
            raise RecipeError(f"the expression has {len(self.source)} characters; at most {MAX_LENGTH} are allowed")
        tree = self._tree()
        if _depth(tree) > MAX_DEPTH:
            raise RecipeError(f"the expression is nested deeper than {MAX_DEPTH} levels")
        if isinstance(tree, ast.Tuple) and not tree.elts:
            self._fail_at(0, "the expression is empty")
        root = self._condition(tree)
        if not self.columns and not any(isinstance(node, ast.Name) and node.id == "text" for node in ast.walk(tree)):
            self._fail(tree, "the expression names no column")
        return Expression(self.source, root, tuple(self.columns))

    def _tree(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes and comparisons; what is wrong is said below
                tree = ast.parse(self._bracketed, mode="eval").body
                self._check_brackets()
                return tree
        except SyntaxError as error:
            self._fail_at(
                self._offset(error.lineno or 1, (error.offset or 1) - 1), f"not an expression ({_plainly(error)})"
            )
        except (ValueError, MemoryError, RecursionError) as error:
            self._fail_at(0, f"not an expression ({str(error) or 'nested too deeply'})")

    @property
    def _bracketed(self) -> str:
        """In brackets an expression may have several lines."""
        return f"({self.source}\n)"

    def _check_brackets(self) -> None:
        """The bracket that was added must be closed by the one that was added."""
        depth = 0
        for token in tokenize.generate_tokens(io.StringIO(self._bracketed).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if depth == 0 and token.start[0] <= self._bracketed.count("\n"):
                    self._fail_at(self._offset(*token.start), "a bracket is closed that was never opened")

    def _offset(self, line: int, column: int) -> int:
        """Index into the source of a column of a line, both as `ast` counts them in the bracketed text."""
        before = sum(len(text) + 1 for text in self.source.split("\n")[: line - 1])
        return min(max(before + column - (line == 1), 0), len(self.source))

    def _fail(self, node: ast.expr, message: str) -> NoReturn:
        line = self._bracketed.split("\n")[node.lineno - 1]
        characters = len(line.encode()[: node.col_offset].decode())  # ast counts bytes
        self._fail_at(self._offset(node.lineno, characters), message)

    def _fail_at(self, at: int, message: str) -> NoReturn:
        start = max(self.source.rfind("\n", 0, at) + 1, at - SHOWN)
        line = self.source[start : at + SHOWN].split("\n")[0]
        arrow = " " * (at - start) + "^"
        raise RecipeError(f"{message}, at character {at + 1}:\n    {line}\n    {arrow}\nallowed are:\n{ALLOWED}")

    def _condition(self, node: ast.expr) -> Node:
        """A node that is true or false."""
        if isinstance(node, ast.BoolOp):
            operator = "and_kleene" if isinstance(node.op, ast.And) else "or_kleene"
            return Both(operator, tuple(self._condition(part) for part in node.values))  # type: ignore[arg-type]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self._condition(node.operand))
        return self._of_kind(node, "truth")

    def _of_kind(self, node: ast.expr, kind: Kind) -> Node:
        made = self._value(node)
        if made.kind not in (kind, "column"):
            self._fail(node, f"expected {_AS[kind]}, found {_AS[made.kind]}")
        return made

    def _value(self, node: ast.expr) -> Node:
        makers: dict[type[ast.expr], Callable[..., Node]] = {
            ast.Constant: self._literal,
            ast.Name: self._name,
            ast.Attribute: self._dotted,
            ast.Call: self._call,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.Compare: self._comparison,
            ast.BoolOp: self._condition,
        }
        maker = makers.get(type(node))
        return maker(node) if maker else self._fail(node, f"{_called(node)} cannot be used here")

    def _literal(self, node: ast.Constant) -> Node:
        value = node.value
        if isinstance(value, bool):
            return Truth(value)
        if isinstance(value, str):
            if any(0xD800 <= ord(char) < 0xE000 for char in value):
                self._fail(node, "half a surrogate pair is no text")
            return String(value)
        if isinstance(value, int | float):
            if abs(value) >= (10**38 if isinstance(value, int) else float("inf")):
                self._fail(node, "the number is too large: 38 digits at most")
            return Number(value)
        wrong = f"{value!r} is neither a number, nor a string, nor True or False"
        return self._fail(node, "None is no value to compare with: use is_null(column)" if value is None else wrong)

    def _name(self, node: ast.Name) -> Node:
        if node.id.lower() in _SPELLED:
            self._fail(node, f'{node.id} is written {_SPELLED[node.id.lower()]}; for a column write col("{node.id}")')
        return Text() if node.id == "text" else self._column(node.id)

    def _column(self, name: str) -> Column:
        self.columns[name] = None
        return Column(name)

    def _dotted(self, node: ast.Attribute) -> Node:
        names = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            self._fail(node, "a dot may only stand inside the name of a column")
        return self._column(".".join([inner.id, *reversed(names)]))

    def _unary(self, node: ast.UnaryOp) -> Node:
        if isinstance(node.op, ast.Not):
            return self._condition(node)
        if not isinstance(node.op, ast.USub | ast.UAdd):
            self._fail(node, f"{_called(node)} cannot be used here")
        inner = self._of_kind(node.operand, "number")
        if isinstance(node.op, ast.UAdd):
            return inner
        return Number(-inner.value) if isinstance(inner, Number) else Arithmetic("subtract", Number(0), inner)

    def _arithmetic(self, node: ast.BinOp) -> Node:
        operator = _ARITHMETIC.get(type(node.op))
        if operator is None:
            better = {ast.BitAnd: ": write and", ast.BitOr: ": write or"}.get(type(node.op), "")
            self._fail(node, f"the operator {type(node.op).__name__} cannot be used{better}")
        return Arithmetic(operator, self._of_kind(node.left, "number"), self._of_kind(node.right, "number"))  # type: ignore[arg-type]

    def _comparison(self, node: ast.Compare) -> Node:
        sides = [node.left, *node.comparators]
        parts = [self._pair(sides[at], operator, sides[at + 1]) for at, operator in enumerate(node.ops)]
        return parts[0] if len(parts) == 1 else Both("and_kleene", tuple(parts))

    def _pair(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Node:
        if isinstance(operator, ast.In | ast.NotIn):
            found = self._one_of(left, right)
            return Not(found) if isinstance(operator, ast.NotIn) else found
        if type(operator) not in _COMPARE:
            self._fail(right, "`is` cannot be used: write ==, or is_null(column)")
        a, b = self._value(left), self._value(right)
        kinds = {a.kind, b.kind} - {"column"}
        if len(kinds) == 2:
            self._fail(right, f"{_AS[a.kind]} is never compared with {_AS[b.kind]}")
        if kinds == {"truth"} and not isinstance(operator, ast.Eq | ast.NotEq):
            self._fail(right, "true and false have no order: use == or !=")
        return Compare(_COMPARE[type(operator)], a, b)  # type: ignore[arg-type]

    def _one_of(self, left: ast.expr, right: ast.expr) -> Node:
        of = self._value(left)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            self._fail(right, "expected a list of literals such as ['en', 'de']; for a part of a text use contains()")
        literals = []
        for element in right.elts:
            literal = self._value(element)
            if not isinstance(literal, Number | String | Truth):
                self._fail(element, "expected a literal")
            if of.kind not in (literal.kind, "column"):
                self._fail(element, f"{_AS[of.kind]} is never compared with {_AS[literal.kind]}")
            literals.append(literal)
        return OneOf(of, tuple(literals))

    def _call(self, node: ast.Call) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        takes = {"len": 1, "lower": 1, "is_null": 1, "col": 1, **dict.fromkeys(_MATCH, 2)}
        if name not in takes:
            self._fail(node, "no such function")
        if len(node.args) != takes[name] or node.keywords:
            self._fail(node, f"{name}() takes {takes[name]} argument{'s' * (takes[name] > 1)}")
        if name == "col":
            return self._column(self._plain_string(node.args[0]))
        if name == "is_null":
            column = self._value(node.args[0])
            if not isinstance(column, Column):
                self._fail(node.args[0], "expected a column")
            return IsNull(column.name)
        of = self._of_kind(node.args[0], "string")
        if name in _MATCH:
            return Match(_MATCH[name], of, self._plain_string(node.args[1]))  # type: ignore[arg-type]
        return Length(of) if name == "len" else Lower(of)

    def _plain_string(self, node: ast.expr) -> str:
        made = self._value(node)
        return made.value if isinstance(made, String) else self._fail(node, 'expected a string such as "x"')


def _plainly(error: SyntaxError) -> str:
    return "to compare write ==" if "'=='" in (error.msg or "") else error.msg


def _called(node: ast.expr) -> str:
    names = {ast.Subscript: "an index", ast.Lambda: "lambda", ast.IfExp: "if ... else", ast.JoinedStr: "an f-string"}
    return names.get(type(node), type(node).__name__)


def _depth(tree: ast.AST) -> int:
    deepest = 0
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        stack.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    return deepest
