"""The text that every Python installation carries: docstrings, descriptions of packages, licences.

Nothing is imported and nothing is downloaded: modules are parsed. Licences of packages, and docstrings that a class
took over from another, are natural near-duplicates. The same installation gives the same documents in the same order.
"""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

import orjson
import zstandard

SHARD_BYTES = 2 << 20
"""Text in a shard."""
PACKAGE_BYTES = 1 << 20
PACKAGES_BYTES = 12 << 20
"""Source that is parsed of a package, and of all packages, in the order of names and paths. The standard library is
parsed whole. So a large installation takes no longer than a small one."""
FILE_BYTES = 1 << 20
"""Longer files hold tables, not text."""

_LICENCE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_LICENCE_SUFFIXES = ("", ".txt", ".md", ".rst", ".apache", ".apache2", ".bsd", ".mit")
_SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "config"}


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its path: `docstring/json/decoder.py::JSONDecoder`."""

    id: str
    kind: str
    package: str
    text: str


def collect() -> list[Document]:
    """All documents, sorted by id, each id once."""
    found: dict[str, Document] = {}
    for document in [*_standard_library(), *_packages()]:
        if document.text.strip() and _is_unicode(document.text) and _is_unicode(document.id):
            found.setdefault(document.id, document)
    return [found[key] for key in sorted(found)]


def write_shards(documents: Sequence[Document], folder: Path) -> list[Path]:
    """Write documents as `docs-00000.jsonl.zst`, ..., cut by SHARD_BYTES of text."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    lines: list[bytes] = []
    size = 0
    for document in documents:
        record = {"id": document.id, "text": document.text, "kind": document.kind, "package": document.package}
        lines.append(orjson.dumps(record) + b"\n")
        size += len(lines[-1])
        if size >= SHARD_BYTES:
            paths.append(_write(folder, len(paths), lines))
            lines, size = [], 0
    if lines:
        paths.append(_write(folder, len(paths), lines))
    return paths


def _write(folder: Path, number: int, lines: Iterable[bytes]) -> Path:
    path = folder / f"docs-{number:05d}.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor(level=3).compress(b"".join(lines)))
    return path


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _standard_library() -> Iterator[Document]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not any(part in _SKIPPED or part.startswith("config-") for part in inside.parts[:-1]):
            yield from _docstrings(path, inside.as_posix(), "python")
    topics = root / "pydoc_data" / "topics.py"
    yield from _topics(topics)
    licence = root / "LICENSE.txt"
    if licence.is_file():
        yield Document("licence/python/LICENSE.txt", "licence", "python", _read(licence))


def _packages() -> Iterator[Document]:
    left = PACKAGES_BYTES
    for package in sorted(distributions(), key=lambda found: (str(found.metadata["Name"]).lower(), found.version)):
        name = str(package.metadata["Name"]).lower()
        if name == "corpuscurate":  # it would change its own demo
            continue
        if "Description" in package.metadata:
            yield Document(f"readme/{name}", "readme", name, package.metadata["Description"])
        files = sorted(file.as_posix() for file in package.files or ())
        yield from _licences(package, files, name)
        for path, inside in _sources(package, files, min(PACKAGE_BYTES, left)):
            left -= path.stat().st_size
            yield from _docstrings(path, inside, name)


def _licences(package: Distribution, files: Sequence[str], name: str) -> Iterator[Document]:
    for file in files:
        last = file.rpartition("/")[2]
        if _LICENCE.search(last) and PurePosixPath(last).suffix.lower() in _LICENCE_SUFFIXES:
            path = Path(str(package.locate_file(file)))
            if path.is_file():
                yield Document(f"licence/{name}/{file}", "licence", name, _read(path))


def _sources(package: Distribution, files: Sequence[str], limit: int) -> Iterator[tuple[Path, str]]:
    """The first modules of a package, of at most `limit` bytes together, with their names inside it."""
    for file in files:
        if file.endswith(".py") and _SKIPPED.isdisjoint(file.split("/")[:-1]):
            path = Path(str(package.locate_file(file)))
            if path.is_file():
                limit -= path.stat().st_size
                if limit < 0:
                    return
                yield path, file


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(FILE_BYTES).decode("utf-8", "replace")


def _parse(path: Path) -> ast.Module | None:
    if path.stat().st_size > FILE_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # a template, or source for another Python


def _docstrings(path: Path, name: str, package: str) -> Iterator[Document]:
    """Docstrings of a module, its classes and functions."""
    tree = _parse(path)
    nodes: list[tuple[ast.AST, str]] = [(tree, "")] if tree else []
    while nodes:
        node, qualname = nodes.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Document(f"docstring/{name}{qualname and f'::{qualname}'}", "docstring", package, text)
        for child in getattr(node, "body", []):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                nodes.append((child, f"{qualname}.{child.name}" if qualname else child.name))
            elif isinstance(child, ast.If | ast.Try):
                nodes.append((child, qualname))


def _topics(path: Path) -> Iterator[Document]:
    """The chapters of the language reference that `help()` shows."""
    tree = ast.parse(path.read_bytes()) if path.is_file() else None
    for node in tree.body if tree else []:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            chapters: dict[str, object] = ast.literal_eval(node.value)
            for name, text in chapters.items():
                if isinstance(text, str):
                    yield Document(f"topic/{name}", "topic", "python", text)
