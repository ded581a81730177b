"""From a network to a NIR graph.

NIR has no node that only adds: a sum is two edges into one node. So a junction vanishes where its
incoming chains can be tied to its outgoing ones; it becomes the Output node if it is an output, and a
Scale node of ones if it stands in a loop. A population or projection keeps its place in the metadata.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.hardware.nir import maps, neurons
from spikelab.hardware.nir.graph import Edge, Graph, late_edges
from spikelab.hardware.nir.neurons import Convention
from spikelab.hardware.nir.node import Node
from spikelab.network import Network, Population, Projection

__all__ = ["FORMAT", "Built", "build"]

FORMAT = 1
"""Version of our metadata."""
_WORDS = {"Linear": "fc", "Sparse": "fc", "Conv2d": "conv", "SumPool2d": "pool", "AvgPool2d": "pool"}


@dataclass(frozen=True, eq=False)
class Built:
    """A graph, and how it came about.

    Args:
        graph: the graph with all metadata.
        changes: per population (by name) and projection (by label), what stands there in another form.
        unsaid: labels of the projections whose delay the graph cannot say.
    """

    graph: Graph
    changes: dict[str, list[str]]
    unsaid: dict[str, str]


def build(net: Network, if_convention: Convention) -> Built:
    """Make the graph of a network.

    Args:
        net: a network of known neurons and ops.
        if_convention: r of an IF node is 1 / dt (`"nir"`) or 1 (`"step"`).

    Raises:
        UnsupportedError: a number leaves the range of float32.
    """
    plain = _Builder(net, if_convention, {})
    plain.run()
    late = late_edges(plain.graph())
    wait: dict[int, int] = {}
    unsaid: dict[str, str] = {}
    labels = net.labels
    for p in net.projections:
        closes = sum(plain.edges[edge] in late for edge in plain.path[id(p)])
        if not isinstance(p.delay, int):
            unsaid[labels[id(p)]] = "per_synapse"
        elif p.delay < closes:
            unsaid[labels[id(p)]] = "closes_a_loop"
        elif p.delay > closes:
            wait[id(p)] = p.delay - closes
    if not wait:
        return Built(plain.graph(), plain.changes, unsaid)
    final = _Builder(net, if_convention, wait)
    final.run()
    return Built(final.graph(), final.changes, unsaid)


def _written(name: str) -> str:
    """A population's name as other programs can take it."""
    return re.sub(r"[^0-9A-Za-z_]", "_", name.removesuffix(".lif"))


@dataclass(eq=False)
class _Builder:
    """One pass over a network: `wait` holds the Delay nodes to put in, in steps by `id` of projection."""

    net: Network
    if_convention: Convention
    wait: dict[int, int]
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[Edge, int] = field(default_factory=dict)
    path: dict[int, list[Edge]] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=dict)
    entries: dict[int, dict[str, Any]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    node: dict[str, str | None] = field(default_factory=dict)
    tails: dict[str, list[str]] = field(default_factory=dict)
    factor: dict[str, NDArray[Any] | None] = field(default_factory=dict)
    cyclic: set[str] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)

    def run(self) -> None:
        """Make all nodes and edges."""
        self.labels = self.net.labels
        self.cyclic = {name for c in self.net.order() if self.net.is_cyclic(c) for name in c}
        order = [name for component in self.net.order() for name in component]
        for name, population in self.net.populations.items():
            self.node[name] = self._reserve(name, population)
        for name in reversed(order):
            self.factor[name] = self._factor_of(name)
        for name in order:
            node = self.node[name]
            self.tails[name] = [] if node is None else [node]
        for name in order:
            for p in self.net.incoming(name):
                self._chain(p)
            self._population(name)
        for name in self.net.outputs:
            node = self.node[name]
            if node is not None and self.nodes[node].type != "Output":
                self._output(name, node)

    def graph(self) -> Graph:
        """The graph with its metadata."""
        net = self.net
        edges = list(self.edges)
        bare = Graph(self.nodes, edges, {})
        digests = {name: node.digest() for name, node in self.nodes.items()}
        structure = {
            "format": FORMAT,
            "populations": [self._entry(n, p) for n, p in net.populations.items()],
            "projections": [self.entries[id(p)] for p in net.projections],
            "digests": {"edges": bare.digest(), "nodes": digests},
        }
        metadata = {
            "dt": np.float64(net.dt),
            "discretisation": net.discretisation,
            "if_convention": self.if_convention,
            "spikelab": json.dumps(structure, allow_nan=False),
        }
        return Graph(self.nodes, edges, metadata)

    def _entry(self, name: str, p: Population) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": name, "kind": p.kind, "shape": list(p.shape), "node": self.node[name]}
        if p.model is not None:
            entry |= {"model": type(p.model).__name__, "flags": p.model.flags()}
        return entry

    def _name(self, wish: str) -> str:
        name, k = wish, 1
        while name.replace(".", "_") in self.taken:
            k += 1
            name = f"{wish}_{k}"
        self.taken.add(name.replace(".", "_"))
        return name

    def _reserve(self, name: str, population: Population) -> str | None:
        """Node name of a population; None for a junction that vanishes."""
        if population.kind == "junction" and name not in self.cyclic and name not in self.net.outputs:
            return None
        itself = population.model is not None and any(p.pre == name for p in self.net.incoming(name))
        return self._name(_written(name) + (".lif" if itself else ""))

    def _factor_of(self, name: str) -> NDArray[Any] | None:
        """[*shape] factor that what arrives at a population must carry; None for 1."""
        population = self.net.populations[name]
        if population.model is not None:
            written = neurons.to_node(
                population.model, population.shape, float(self.net.dt), self.net.discretisation, self.if_convention
            )
            return written.factor
        outgoing = self.net.outgoing(name)
        if population.kind == "input" or self.node[name] is not None or len(outgoing) != 1:
            return None
        at, k = maps.pull(outgoing[0].ops, self.net.shapes(outgoing[0]), self.factor[outgoing[0].post])
        return k if at is None else None

    def _chain(self, p: Projection) -> None:
        """Add the nodes of a projection and tie them to what it starts from and feeds."""
        net, label = self.net, self.labels[id(p)]
        shapes, changed = net.shapes(p), self.changes.setdefault(label, [])
        at, k = maps.pull(p.ops, shapes, self.factor[p.post])
        vanished = self.node[p.pre] is None and len(net.outgoing(p.pre)) == 1
        chain: list[str] = []
        base = _written(p.post)
        if id(p) in self.wait:
            changed.append(f"Delay of {self.wait[id(p)]} dt")
            seconds = np.full(shapes[0], self.wait[id(p)] * float(net.dt), np.float32)
            chain.append(self._add(f"{base}_delay", "Delay", {"delay": seconds}))
        entries = []
        for i, op in enumerate(p.ops):
            mapped = maps.to_node(op, shapes[i], k if i == at else None)
            if op.kind == "Sparse":
                changed.append("Sparse as full matrix")
            word = f"{base}_{_WORDS.get(op.kind, op.kind.lower())}"
            if p.pre == p.post and op.weighted:
                word = f"{base}.w_rec"
            if not isinstance(p.delay, int):
                mapped.metadata["delay"] = p.delay
            chain.append(self._add(word, mapped.type, mapped.fields, mapped.metadata))
            entries.append(mapped.entry | {"node": chain[-1]})
        if k is not None and at is not None:
            text = f"{k.flat[0]:.6g}" if not np.ptp(k) else f"{k.min():.6g} to {k.max():.6g}"
            changed.append(f"weights times {text} for r = 1 of {p.post}")
        if k is not None and (at == len(p.ops) or (at is None and not vanished)):
            # No op takes the factor: a node of its own does, at the end, or at the start if it came that far.
            changed.append("a Scale node carries the factor for r = 1")
            gain = maps.scaled(k)
            extra = self._add(f"{base}_gain", gain.type, gain.fields)
            chain.insert(len(chain) if at is not None else int(id(p) in self.wait), extra)
        self._tie(p, chain, shapes)
        delay = p.delay if isinstance(p.delay, int) else None
        self.entries[id(p)] = {"pre": p.pre, "post": p.post, "port": p.port, "delay": delay, "ops": entries}

    def _tie(self, p: Projection, chain: list[str], shapes: list[tuple[int, ...]]) -> None:
        path = self.path.setdefault(id(p), [])
        goal = self.node[p.post]
        whole = [*chain, *([] if goal is None else [goal])]
        sources = self.tails[p.pre]
        if whole:
            first = [self._edge(s, whole[0], shapes[0]) for s in sources]
            path += first[0]
            for a, b in itertools.pairwise(whole):
                path += self._edge(a, b, shapes[-1])
        if goal is None:
            self.tails[p.post] += chain[-1:] or sources

    def _edge(self, a: str, b: str, shape: tuple[int, ...]) -> list[Edge]:
        """Add an edge; where there is one already, a Scale node of ones keeps the two apart."""
        path = [(a, b)]
        if (a, b) in self.edges:
            extra = self._add(f"{b.removesuffix('.lif')}_copy", "Scale", {"scale": np.ones(shape, np.float32)})
            path = [(a, extra), (extra, b)]
        for edge in path:
            self.edges[edge] = len(self.edges)
        return path

    def _add(self, wish: str, kind: str, fields: dict[str, Any], metadata: dict[str, Any] | None = None) -> str:
        name = self._name(wish)
        self.nodes[name] = Node(name, kind, fields, metadata or {})
        return name

    def _population(self, name: str) -> None:
        net, population, node = self.net, self.net.populations[name], self.node[name]
        changed = self.changes.setdefault(name, [])
        if node is None:
            changed.append("adds up at the next nodes")
            return
        shape = np.array(population.shape)
        if population.kind == "input":
            self.nodes[node] = Node(node, "Input", {"shape": shape})
        elif population.model is None and name in net.outputs and name not in self.cyclic:
            self.nodes[node] = Node(node, "Output", {"shape": shape})
        elif population.model is None:
            changed.append("a Scale node of ones")
            self.nodes[node] = Node(node, "Scale", {"scale": np.ones(population.shape, np.float32)})
        else:
            model = population.model
            written = neurons.to_node(model, population.shape, float(net.dt), net.discretisation, self.if_convention)
            if net.discretisation == "exponential" and any(f.startswith("tau") for f in written.fields):
                changed.append("time constants as dt / (1 - a)")
            metadata: dict[str, Any] = {
                "parameters": {k: np.asarray(v, np.float64) for k, v in neurons.numbers(model).items()}
            }
            if population.initial:
                metadata["initial"] = {k: np.asarray(v, np.float64) for k, v in population.initial.items()}
            self.nodes[node] = Node(node, written.type, written.fields, metadata)

    def _output(self, name: str, node: str) -> None:
        wish = "output" if len(self.net.outputs) == 1 else f"output_{_written(name)}"
        shape = np.array(self.net.populations[name].shape)
        end = self._add(wish, "Output", {"shape": shape})
        self._edge(node, end, self.net.populations[name].shape)
