"""Expressions over one record, walked one value at a time. None stands for undecided."""

from __future__ import annotations

import ast
import math
import operator
from typing import Any

COMPARE = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number" if math.isfinite(value) else None
    return "string" if isinstance(value, str) else None


def holds(expression: str, record: dict[str, Any], text: str) -> bool | None:
    """Whether the expression is true of the record; None where it is undecided."""
    return truth(ast.parse(expression, mode="eval").body, record, text)


def truth(node: ast.expr, record: dict[str, Any], text: str) -> bool | None:
    if isinstance(node, ast.BoolOp):
        parts = [truth(part, record, text) for part in node.values]
        deciding = isinstance(node.op, ast.Or)
        if deciding in parts:
            return deciding
        return None if None in parts else not deciding
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = truth(node.operand, record, text)
        return None if inner is None else not inner
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        found = [compare(sides[i], op, sides[i + 1], record, text) for i, op in enumerate(node.ops)]
        return False if False in found else None if None in found else True
    answer = value(node, record, text)
    return answer if isinstance(answer, bool) else None


def compare(left: ast.expr, op: ast.cmpop, right: ast.expr, record: dict[str, Any], text: str) -> bool | None:
    a = value(left, record, text)
    if isinstance(op, ast.In | ast.NotIn):
        members = [member for member in ast.literal_eval(right) if kind(member) == kind(a)]
        return None if not members or kind(a) is None else (a in members) == isinstance(op, ast.In)
    b = value(right, record, text)
    if kind(a) is None or kind(a) != kind(b):
        return None
    if kind(a) == "truth" and not isinstance(op, ast.Eq | ast.NotEq):
        return None  # true and false have no order
    if kind(a) == "number" and not (isinstance(a, int) and isinstance(b, int)):
        a, b = float(a), float(b)
    return COMPARE[type(op)](a, b)


def value(node: ast.expr, record: dict[str, Any], text: str) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return text if node.id == "text" else record.get(node.id)
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return arithmetic(node, record, text)
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return call(node.func.id, node.args, record, text)


def arithmetic(node: ast.BinOp | ast.UnaryOp, record: dict[str, Any], text: str) -> float | None:
    if isinstance(node, ast.UnaryOp):
        inner = value(node.operand, record, text)
        literal = isinstance(node.operand, ast.Constant)
        return None if kind(inner) != "number" else -inner if literal else -float(inner)
    a, b = value(node.left, record, text), value(node.right, record, text)
    if kind(a) != "number" or kind(b) != "number":
        return None
    if isinstance(node.op, ast.Div):
        return float(a) / float(b) if b else None
    return ARITHMETIC[type(node.op)](float(a), float(b))


def call(name: str, args: list[ast.expr], record: dict[str, Any], text: str) -> Any:
    if name == "col":
        return record.get(ast.literal_eval(args[0]))
    of = value(args[0], record, text)
    if name == "is_null":
        return of is None
    if not isinstance(of, str):
        return None
    if name == "len":
        return len(of)
    if name == "lower":
        return of.lower()
    literal = ast.literal_eval(args[1])
    return {"startswith": of.startswith, "endswith": of.endswith, "contains": of.__contains__}[name](literal)
