"""The plan of the house, counted: entries at the root, layers, floors, import circles, tests beside what they test.

    python scripts/check_house.py

Prints the figures; exits 1 where one is above its limit. `lint-imports` holds who may import whom; this holds how many
rooms there are. Floors are the longest chain of imports from room to room.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "corpuscurate"
MOST = {"entries at the package root": 10, "layers": 8, "floors of imports": 8, "import circles": 0, "loose tests": 0}
LONG_FILE = 500
"""Lines from which a file is named. It is a warning: files are cut where ideas part, not where a counter stops."""


def root_entries() -> list[str]:
    names = (path.name for path in PACKAGE.iterdir() if not path.name.startswith((".", "__")))
    return sorted(name for name in names if name != "py.typed")


def layers() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layered,) = [each["layers"] for each in contracts if each["type"] == "layers"]
    return layered


def imports() -> dict[str, set[str]]:
    """Module -> the modules that it imports when it runs."""
    graph = grimp.build_graph("corpuscurate", exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def rooms(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same between the entries of the root."""
    found: dict[str, set[str]] = {}
    for module, wanted in graph.items():
        here = room(module)
        found.setdefault(here, set()).update(room(each) for each in wanted if room(each) != here)
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected sets of more than one module (Tarjan)."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            cut = stack.index(node)
            members = sorted(stack[cut:])
            del stack[cut:]
            if len(members) > 1:
                found.append(members)

    sys.setrecursionlimit(10_000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def tallest_tower(graph: dict[str, set[str]]) -> list[str]:
    """The longest chain of imports, lowest room last. A circle is passed once."""
    known: dict[str, list[str]] = {}

    def tower(node: str) -> list[str]:
        if node not in known:
            known[node] = []
            known[node] = [node, *max((tower(each) for each in sorted(graph.get(node, ()))), key=len, default=[])]
        return known[node]

    return max((tower(node) for node in sorted(graph)), key=len)


def loose_tests() -> list[str]:
    return sorted(path.name for path in (ROOT / "tests").glob("test_*.py"))


def main() -> None:
    graph = imports()
    between = rooms({module: wanted for module, wanted in graph.items() if module != "corpuscurate"})
    found: dict[str, list[str]] = {
        "entries at the package root": root_entries(),
        "layers": layers(),
        "floors of imports": tallest_tower(between),
        "import circles": [" <-> ".join(each) for each in [*circles(graph), *circles(between)]],
        "loose tests": loose_tests(),
    }
    wrong = False
    for name, most in MOST.items():
        count = len(found[name])
        print(f"{name}: {count} (at most {most})")
        if count > most:
            wrong = True
            print("\n".join(f"  {each}" for each in found[name]))
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = path.read_text().count("\n")
        if lines > LONG_FILE:
            print(f"warning: {path.relative_to(ROOT)} has {lines} lines: are there two ideas in it?")
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()
