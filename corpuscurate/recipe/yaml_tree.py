"""YAML as a tree that knows where each value stands, and YAML from plain values.

Differences from YAML 1.1, each of which would read something else than is written: a time of day (`1:30`), a number
with a leading zero (`010`), a date, `.inf` and `.nan` are text, and `1e-3` is a number. `yes`, `no`, `on` and `off`
remain truth values; where text is expected they are refused with a word on quotes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from corpuscurate.core.errors import RecipeError

MAX_BYTES = 4 << 20
MAX_NODES = 200_000
"""Values in a recipe, counted again for every alias: what bounds `&a [*b, *b, ...]` of `&b [*c, *c, ...]`."""
MAX_DEPTH = 64

_TAG = "tag:yaml.org,2002:"
_TRUE = {"true", "yes", "on"}
_RESOLVERS = (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF)$", list("tTyYoOfFnN")),
    ("int", r"(?:[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+)$",
        list("-+.0123456789"),
    ),
    ("merge", r"<<$", ["<"]),
)


@dataclass(slots=True)
class Node:
    """A value of a recipe. place: `recipe.yaml:7`, `--set x=1`, or "" for values from Python. path: `input.text`.

    value: a dict or list of Nodes, or a plain scalar.
    """

    value: Any
    place: str
    path: str

    def error(self, text: str) -> str:
        """The line of a message about this value."""
        return ": ".join(part for part in (self.place, self.path, text) if part)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def holds(self, step: str | int) -> Node | None:
        """The value under a key or at a place of a list, or None."""
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(step)
            return found
        inside = isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value)
        return self.value[step] if inside else None

    def find(self, steps: tuple[str | int, ...]) -> Node:
        """The deepest value along `steps` that there is."""
        node = self
        for step in steps:
            inside = node.holds(step)
            if inside is None:
                break
            node = inside
        return node


def child_path(path: str, step: str | int) -> str:
    """The key path one step further down."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def node_from(value: Any, place: str = "", path: str = "") -> Node:
    """Plain values as a tree, all with one place. Raises RecipeError for keys that are not text."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise RecipeError(Node(None, place, path).error(f"the key {key!r} is not text"))
        return Node({k: node_from(v, place, child_path(path, k)) for k, v in value.items()}, place, path)
    if isinstance(value, list | tuple):
        return Node([node_from(v, place, child_path(path, i)) for i, v in enumerate(value)], place, path)
    return Node(value, place, path)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML fills it by class)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever either YAML 1.1 or this reader would not read as the same text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text that is no plain printable line goes in double quotes: PyYAML's other styles lose U+0085 and its like."""
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _write_text)
for _name, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^{_pattern}"), _first)
    if _name == "float":
        _Dumper.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^{_pattern}"), _first)


class _Reader:
    """Turns composed YAML nodes into `Node`s."""

    def __init__(self, origin: str, lines: bool) -> None:
        self.origin = origin
        self.lines = lines
        self.count = 0

    def place(self, node: yaml.Node) -> str:
        return f"{self.origin}:{node.start_mark.line + 1}" if self.lines else self.origin

    def read(self, node: yaml.Node, place: str, path: str, depth: int = 0) -> Node:
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            limit = f"more than {MAX_NODES} values" if self.count > MAX_NODES else f"nested deeper than {MAX_DEPTH}"
            raise RecipeError(Node(None, place, path).error(f"the recipe is too large: {limit} (aliases count)"))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return Node(self._mapping(node, path, depth), place, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items = [self.read(n, self.place(n), child_path(path, i), depth + 1) for i, n in enumerate(node.value)]
            return Node(items, place, path)
        if isinstance(node, yaml.ScalarNode):
            return Node(_scalar(node, place, path), place, path)
        raise RecipeError(Node(None, place, path).error(f"the YAML tag {node.tag} is not allowed in a recipe"))

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node)
            key = self._key(key_node, place, path)
            if key in found:
                text = f"the key is there twice; the first is at {found[key].place}"
                raise RecipeError(Node(None, place, child_path(path, key)).error(text))
            found[key] = self.read(value_node, place, child_path(path, key), depth + 1)
        return found

    def _key(self, node: yaml.Node, place: str, path: str) -> str:
        where = Node(None, place, path)
        if not isinstance(node, yaml.ScalarNode):
            raise RecipeError(where.error("a key must be text, not a list or a mapping"))
        if node.tag == f"{_TAG}merge":
            raise RecipeError(where.error("merge keys (<<) are not allowed in a recipe; write the keys out"))
        if node.tag != f"{_TAG}str":
            raise RecipeError(
                where.error(f"YAML does not read the key {node.value} as text; put it in quotes: '{node.value}'")
            )
        return str(node.value)


def _scalar(node: yaml.ScalarNode, place: str, path: str) -> Any:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    try:
        if kind in ("str", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in _TRUE
        if kind == "int":
            return int(text.replace("_", ""), 16 if text.lower().startswith("0x") else 10)
        if kind == "float":
            return _finite(float(text.replace("_", "")))
    except ValueError:
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        raise RecipeError(Node(None, place, path).error(f"{shown} cannot be read as a number")) from None
    raise RecipeError(Node(None, place, path).error(f"the YAML tag {node.tag} is not allowed in a recipe"))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def parse_yaml(text: str, origin: str, path: str = "", *, lines: bool = True) -> Node:
    """One YAML document as a tree. origin: what stands before the line in messages.

    Raises RecipeError: a syntax error, a second document, a key twice, a tag, a recipe too large.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{origin}:{mark.line + 1}" if mark and lines else origin
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(f"{place}: this is not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        raise RecipeError(
            f"{origin}: this is not valid YAML: the character {error.character!r} at position {error.position}"
            " is not allowed; write it as an escape in double quotes"
        ) from None
    except RecursionError:
        raise RecipeError(f"{origin}: the recipe is too large: nested deeper than {MAX_DEPTH}") from None
    reader = _Reader(origin, lines)
    if root is None:
        return Node(None, f"{origin}:1" if lines else origin, path)
    return reader.read(root, reader.place(root), path)


def read_yaml(path: Path) -> Node:
    """The tree of a recipe file. Raises RecipeError: unreadable, not UTF-8, over MAX_BYTES, see `parse_yaml`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe at {path}") from None
    except OSError as error:
        raise RecipeError(f"the recipe {path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{path}: the recipe is too large: over {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{path}:{line}: the recipe is not valid UTF-8: byte 0x{data[error.start]:02x}") from None
    return parse_yaml(text, str(path))


def dump_yaml(value: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads back as the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
