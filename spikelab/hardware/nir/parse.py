"""From the tree of a file to a flat graph.

Nested graphs are laid flat: their nodes get dotted names, their Input and Output nodes become wires.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from spikelab.errors import FormatError, UnsupportedError, Violation, unknown_name
from spikelab.hardware.nir.graph import Edge, Graph
from spikelab.hardware.nir.node import FIELDS, WIRE, Node

__all__ = ["parse"]

_REFUSED = {
    "Conv1d": "spikelab has no one-dimensional convolution; write it as a Conv2d with a height of 1",
}


def parse(tree: dict[str, Any], path: str) -> Graph:
    """Turn the tree of a file into a flat graph.

    Args:
        tree: what the file holds under `/node`.
        path: the file, for errors.

    Raises:
        FormatError: fields missing, edges to nowhere or twice, no graph at all.
        UnsupportedError: an unknown node type or field.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    _lay_flat(tree, "", nodes, edges, path)
    _check_edges(nodes, edges, path)
    metadata = tree.get("metadata", {})
    return Graph(nodes, edges, metadata if isinstance(metadata, dict) else {}, path)


def _type(tree: Any, name: str, path: str) -> str:
    kind = tree.get("type") if isinstance(tree, dict) else None
    if not isinstance(kind, str):
        raise FormatError(path, f"node {name}: found no type; expected a group with the string 'type'")
    return kind


def _lay_flat(
    tree: Any, prefix: str, nodes: dict[str, Node], edges: list[Edge], path: str
) -> tuple[list[str], list[str]]:
    """Add a graph's nodes and edges under `prefix`; return its Input and Output nodes."""
    what = prefix.rstrip(".") or "graph"
    if _type(tree, what, path) != "NIRGraph":
        raise FormatError(path, f"node {what}: found type {tree['type']}; expected NIRGraph")
    inner = tree.get("nodes")
    if not isinstance(inner, dict):
        raise FormatError(path, f"{what}: found no group 'nodes'; expected the nodes of the graph")
    ends: dict[str, tuple[list[str], list[str]]] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for key, sub in inner.items():
        name, kind = prefix + key, _type(sub, prefix + key, path)
        if kind == "NIRGraph":
            ends[key] = _lay_flat(sub, f"{name}.", nodes, edges, path)
            continue
        if name in nodes:
            raise FormatError(
                path, f"node {name}: found it in the graph and in a nested one; expected one of each name"
            )
        node = _node(sub, name, kind, path)
        (inputs if kind == "Input" else outputs if kind == "Output" else []).append(name)
        if prefix and kind in ("Input", "Output"):
            node = Node(name, WIRE, node.fields, node.metadata, path)
        nodes[name] = node
    for a, b in _pairs(tree.get("edges"), what, path):
        for end in (a, b):
            if end not in inner:
                raise FormatError(
                    path,
                    f"edge {a}->{b} of {what}: found no node {end!r}; expected one of {', '.join(sorted(inner)[:20])}",
                )
        source = _single(ends[a][1], "Output", prefix + a, path) if a in ends else prefix + a
        target = _single(ends[b][0], "Input", prefix + b, path) if b in ends else prefix + b
        edges.append((source, target))
    return inputs, outputs


def _single(names: Sequence[str], kind: str, graph: str, path: str) -> str:
    if len(names) != 1:
        found = f"{len(names)} {kind} nodes"
        raise UnsupportedError(
            violations=[
                Violation(
                    "nested_graph_has_one_input_and_output",
                    f"{path}, graph {graph}",
                    found,
                    "one of each",
                    "lay the graph flat",
                )
            ]
        )
    return names[0]


def _pairs(value: Any, what: str, path: str) -> Iterable[Edge]:
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    if not isinstance(value, np.ndarray) or value.dtype != object or value.ndim != 2 or value.shape[1] != 2:
        raise FormatError(path, f"edges of {what}: found no [E, 2] strings; expected source and target of each edge")
    return [(str(a), str(b)) for a, b in value]


def _node(tree: dict[str, Any], name: str, kind: str, path: str) -> Node:
    if kind in _REFUSED:
        raise UnsupportedError(
            violations=[
                Violation(
                    "node_type_has_a_counterpart", f"{path}, node {name}", kind, ", ".join(FIELDS), _REFUSED[kind]
                )
            ]
        )
    if kind not in FIELDS:
        raise unknown_name(f"{path}, node {name}: type", kind, FIELDS)
    required, optional = FIELDS[kind]
    fields = {k: v for k, v in tree.items() if k not in ("type", "metadata")}
    for key in required:
        if key not in fields:
            raise FormatError(path, f"node {name} ({kind}): found no {key}; expected {', '.join(required)}")
    for key, value in fields.items():
        if key not in required and key not in optional:
            raise unknown_name(f"{path}, node {name} ({kind}): field", key, (*required, *optional))
        if isinstance(value, dict):
            raise FormatError(path, f"node {name} ({kind}).{key}: found a group; expected a value")
    metadata = tree.get("metadata", {})
    return Node(name, kind, fields, metadata if isinstance(metadata, dict) else {}, path)


def _check_edges(nodes: dict[str, Node], edges: list[Edge], path: str) -> None:
    seen: set[Edge] = set()
    for a, b in edges:
        if (a, b) in seen:
            raise FormatError(
                path, f"edge {a}->{b}: found twice; expected it once (to add a signal twice, scale it by 2)"
            )
        seen.add((a, b))
        if nodes[a].type == "Output" or nodes[b].type == "Input":
            raise FormatError(
                path,
                f"edge {a}->{b}: found a way into an Input or out of an Output; expected ways from Input to Output",
            )
