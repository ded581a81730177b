"""Where the signals of a graph stand: which nodes need a population of their own.

What one step computes is that of a plain interpreter: every node once, in `reading_order`, an edge that
closes a loop one step late (0 at the first). Inputs and neurons are populations. A junction stands where
another signal must exist by itself:

- where an op, a wire or a Delay gets several edges (named `<node>.sum`),
- where one of them feeds several nodes (named as it: it is computed once),
- where a biased result is delayed (the first steps carry 0 there, not the bias),
- at an Output, unless it is the only goal of one neuron.
"""

from __future__ import annotations

import numpy as np

from spikelab.errors import FormatError, UnsupportedError, Violation
from spikelab.hardware.nir.graph import Graph, late_edges, reading_order
from spikelab.hardware.nir.node import NEURONS, WIRE

__all__ = ["Wiring"]


class Wiring:
    """The edges of a graph by node, and the populations that hold its signals.

    Args:
        graph: the flat graph.

    Attributes:
        into: per node, (index of the edge, source) in order.
        out: per node, (index of the edge, target) in order.
        late: indices of the edges that close a loop.
        order: nodes, inputs first, then in reading order.
        signal: population that holds a node's output.
        sum: junction that holds the sum of what arrives at a node.

    Raises:
        FormatError: no Input or no Output.
        UnsupportedError: a node that no Input reaches, or that reaches no Output.
    """

    def __init__(self, graph: Graph):
        self.graph, self.nodes = graph, graph.nodes
        self.into: dict[str, list[tuple[int, str]]] = {n: [] for n in self.nodes}
        self.out: dict[str, list[tuple[int, str]]] = {n: [] for n in self.nodes}
        for k, (a, b) in enumerate(graph.edges):
            self.into[b].append((k, a))
            self.out[a].append((k, b))
        self._check_reach()
        self.late = late_edges(graph)
        place = reading_order(self.nodes, graph.edges, [n for n, d in self.nodes.items() if d.type == "Output"])
        inputs = [n for n, d in self.nodes.items() if d.type == "Input"]
        self.order = inputs + [n for n in sorted(place, key=place.__getitem__) if n not in inputs]
        self.signal: dict[str, str] = {}
        self.sum: dict[str, str] = {}
        self.taken = set(self.nodes)
        self._choose()

    def fresh(self, wish: str) -> str:
        """A name that no node or population has yet."""
        name = wish
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _check_reach(self) -> None:
        for kind, ways, rule, what in (
            ("Input", self.out, "input_reaches_node", "no way from an Input"),
            ("Output", self.into, "node_reaches_output", "no way to an Output"),
        ):
            work = [n for n, d in self.nodes.items() if d.type == kind]
            if not work:
                raise FormatError(self.graph.path, f"graph: found no {kind} node; expected at least one")
            seen = set(work)
            while work:
                for _, other in ways[work.pop()]:
                    if other not in seen:
                        seen.add(other)
                        work.append(other)
            for name, node in self.nodes.items():
                if name not in seen and not (node.type == "Input" and kind == "Output"):
                    place = f"{self.graph.path}, node {name} ({node.type})"
                    fault = Violation(rule, place, what, "ways from Input to Output", "connect it or take it out")
                    raise UnsupportedError(violations=[fault])

    def _biased(self, name: str) -> bool:
        node = self.nodes[name]
        return node.type in ("Affine", "Conv2d") and bool(np.any(node.numbers("bias")))

    def _choose(self) -> None:
        carries: set[str] = set()  # whose value may hold a bias without a population in between
        for name in self.order:
            node = self.nodes[name]
            if node.type == "Input" or node.type in NEURONS:
                self.signal[name] = name
                continue
            if node.type == "Output":
                if not self._is_goal(name):
                    self.signal[name] = name
                continue
            several = len(self.into[name]) > 1
            if several:
                self.sum[name] = name if node.type == WIRE else self.fresh(f"{name}.sum")
            if node.type == WIRE and several:
                self.signal[name] = name
                continue
            if self._biased(name) or (not several and self.into[name][0][1] in carries):
                carries.add(name)
            waits = any(k in self.late or self.nodes[q].type == "Delay" for k, q in self.out[name])
            if len(self.out[name]) > 1 or (name in carries and waits):
                self.signal[name] = name
                carries.discard(name)

    def _is_goal(self, name: str) -> bool:
        """Whether an Output is the only goal of one neuron, which then is the output itself."""
        if len(self.into[name]) != 1:
            return False
        edge, source = self.into[name][0]
        others = [q for _, q in self.out[source] if q != name]
        return self.nodes[source].type in NEURONS and edge not in self.late and not self._leads_on(source, others)

    def _leads_on(self, source: str, goals: list[str]) -> bool:
        """Whether a neuron's signal reaches any population but itself."""
        work, seen = list(goals), set()
        while work:
            name = work.pop()
            if name == source or name in seen:
                continue
            node = self.nodes[name]
            if node.type in NEURONS or node.type == "Output" or len(self.into[name]) > 1 or len(self.out[name]) > 1:
                return True
            seen.add(name)
            work += [q for _, q in self.out[name]]
        return False
