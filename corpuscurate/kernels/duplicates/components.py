"""Connected components by union-find (Tarjan), roots being the smallest member, and the nearest neighbours along
the edges."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

Int: TypeAlias = int | np.int64
Indices: TypeAlias = NDArray[Any]
"""uint32, or int64 where there are more documents."""


@uncounted
def find(parent: Indices, i: Int) -> Int:
    """The root of `i`, halving the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@uncounted
def union(parent: Indices, a: Int, b: Int) -> Int:
    """Join the components of `a` and `b`; returns their root, the smallest member of both."""
    a = find(parent, a)
    b = find(parent, b)
    if a < b:
        parent[b] = a
        return a
    parent[a] = b
    return b


@uncounted
def union_pairs(parent: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    """Join the components of a[i] and b[i]. Returns the number of pairs."""
    for i in range(len(a)):
        union(parent, a[i], b[i])
    return len(a)


@uncounted
def union_stars(parent: Indices, members: Indices, offsets: NDArray[np.int64]) -> int:
    """Join all members of each group offsets[g]..offsets[g+1]-1. Returns the number of groups."""
    for group in range(len(offsets) - 1):
        for i in range(offsets[group] + 1, offsets[group + 1]):
            union(parent, members[offsets[group]], members[i])
    return len(offsets) - 1


@uncounted
def star_edges(
    parent: NDArray[np.int64],
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    out_a: NDArray[np.int64],
    out_b: NDArray[np.int64],
) -> Int:
    """As `union_stars`, and write each edge (member, first of its group) that joined two components. Returns how many.

    out_a, out_b: int64[>= len(parent)].
    """
    edges = 0
    for group in range(len(offsets) - 1):
        first = members[offsets[group]]
        for i in range(offsets[group] + 1, offsets[group + 1]):
            if find(parent, members[i]) != find(parent, first):
                union(parent, first, members[i])
                out_a[edges] = members[i]
                out_b[edges] = first
                edges += 1
    return edges


@uncounted
def flatten(parent: Indices) -> int:
    """Point every member at its root. Returns the number of components."""
    roots = 0
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]  # parents are smaller, so they are done
        roots += parent[i] == i
    return roots


@uncounted
def best_neighbours(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    similarity: NDArray[np.float64],
    doc_id: NDArray[np.uint64],
    out: NDArray[np.int64],
    out_similarity: NDArray[np.float64],
) -> int:
    """For each node the neighbour with the highest similarity, then the lowest doc_id. Returns the number of edges.

    out: int64[m], -1 before the call; out_similarity: float64[m], 0 before.
    """
    for edge in range(len(a)):
        for side in range(2):
            node = a[edge] if side == 0 else b[edge]
            other = b[edge] if side == 0 else a[edge]
            better = out[node] < 0 or similarity[edge] > out_similarity[node]
            if better or (similarity[edge] == out_similarity[node] and doc_id[other] < doc_id[out[node]]):
                out[node] = other
                out_similarity[node] = similarity[edge]
    return len(a)
