"""Strongly connected components of a directed graph."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["strongly_connected"]


def strongly_connected(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Tarjan's components without recursion, sources first, names in their given order within one."""
    after: dict[str, list[str]] = {n: [] for n in names}
    for a, b in edges:
        after[a].append(b)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on: set[str] = set()
    path: list[str] = []
    found: list[tuple[str, ...]] = []
    rank = {n: k for k, n in enumerate(names)}
    for root in reversed(names):
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            step = next(rest, None)
            if step is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        name = path.pop()
                        on.discard(name)
                        component.append(name)
                        if name == node:
                            break
                    found.append(tuple(sorted(component, key=rank.__getitem__)))
            elif step not in index:
                index[step] = low[step] = len(index)
                path.append(step)
                on.add(step)
                work.append((step, iter(after[step])))
            elif step in on:
                low[node] = min(low[node], index[step])
    return found[::-1]
