"""A NIR graph in memory, laid flat, and the order in which readers step through it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spikelab.hardware.nir.node import Node

__all__ = ["Edge", "Graph", "late_edges", "reading_order"]

Edge = tuple[str, str]  # names of source and target


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name in the order of the file, and edges."""

    nodes: dict[str, Node]
    edges: list[Edge]
    metadata: dict[str, Any]
    path: str = ""

    def into(self, name: str) -> list[tuple[int, str]]:
        """(index of the edge, source) of each edge into a node, in order."""
        return [(k, p) for k, (p, q) in enumerate(self.edges) if q == name]

    def digest(self) -> str:
        """Hash of the edges, whatever their order."""
        return hashlib.sha256(repr(sorted(self.edges)).encode()).hexdigest()[:16]


def reading_order(names: Iterable[str], edges: Sequence[Edge], outputs: Iterable[str]) -> dict[str, int]:
    """Place of each node in the order in which readers compute one step.

    Walk back from the outputs, then from all nodes, along the edges in their order; a node comes after
    all that feed it, save those that are still being walked (there a loop is closed).
    """
    into: dict[str, list[str]] = {n: [] for n in names}
    for p, q in edges:
        into[q].append(p)
    place: dict[str, int] = {}
    active: set[str] = set()
    for start in (*outputs, *into):
        if start in place:
            continue
        active.add(start)
        work = [(start, iter(into[start]))]
        while work:
            name, rest = work[-1]
            source = next((p for p in rest if p not in place and p not in active), None)
            if source is None:
                work.pop()
                active.discard(name)
                place[name] = len(place)
            else:
                active.add(source)
                work.append((source, iter(into[source])))
    return place


def late_edges(graph: Graph) -> set[int]:
    """Indices of the edges that close a loop: readers take them one step late."""
    place = reading_order(graph.nodes, graph.edges, [n for n, d in graph.nodes.items() if d.type == "Output"])
    return {k for k, (p, q) in enumerate(graph.edges) if place[p] >= place[q]}
