"""Files of any program: the graph itself, read as forward Euler of NIR's equations.

A node of neurons becomes a population; what lies between two of them becomes the ops of a projection;
`wiring.py` says where a junction must stand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.errors import FormatError, UnsupportedError, Violation
from spikelab.hardware.nir import neurons
from spikelab.hardware.nir.foreign_ops import foreign_op
from spikelab.hardware.nir.graph import Graph
from spikelab.hardware.nir.neurons import Convention
from spikelab.hardware.nir.node import NEURONS, WIRE, Node
from spikelab.hardware.nir.wiring import Wiring
from spikelab.network import Network, Population, Projection
from spikelab.ops import Conv2d, Linear, Op, Scale

__all__ = ["network"]

_SLACK = 1e-3  # of a step, by which a delay may miss a whole number
_MOST_STEPS = 1_000_000


def network(graph: Graph, dt: float, if_convention: Convention) -> Network:
    """Read a graph.

    Args:
        graph: the flat graph.
        dt: [s] time step.
        if_convention: what r of an IF node means.

    Raises:
        FormatError: fields or shapes that contradict each other.
        UnsupportedError: a node without counterpart, unreached, or without way to an Output.
        UnitError: a time constant shorter than dt.
    """
    return _Interpreter(graph, dt, if_convention).network()


class _Interpreter:
    def __init__(self, graph: Graph, dt: float, if_convention: Convention):
        self.graph, self.dt, self.if_convention = graph, dt, if_convention
        self.nodes = graph.nodes
        self.populations: dict[str, Population] = {}
        self.neurons: dict[str, neurons.Foreign] = {}
        self.shape: dict[str, tuple[int, ...]] = {}
        self.found: list[tuple[int, int, Projection]] = []  # with the edge that it ends with: their order
        wiring = Wiring(graph)
        self.into, self.late, self.order = wiring.into, wiring.late, wiring.order
        self.signal, self.sum, self.fresh = wiring.signal, wiring.sum, wiring.fresh

    def network(self) -> Network:
        self._shapes()
        for name in self.order:
            self._add(name)
        projections = [p for _, _, p in sorted(self.found, key=lambda f: f[:2])]
        return Network(self.populations, projections, self.dt, "euler")

    def _violation(self, rule: str, name: str, found: str, expected: str, advice: str) -> UnsupportedError:
        place = f"{self.graph.path}, node {name}"
        return UnsupportedError(violations=[Violation(rule, place, found, expected, advice)])

    def _shapes(self) -> None:
        """Shape of every node's output, as far as it can be told before the projections are made."""
        for name in self.order:
            node = self.nodes[name]
            if node.type in ("Input", "Output", WIRE):
                self.shape[name] = node.shape("shape")
            elif node.type in NEURONS:
                self.shape[name] = self._neuron_shape(node)
                self.neurons[name] = neurons.from_node(node, self.dt, self.if_convention)
        missing = [n for n in self.order if n not in self.shape]
        while missing:
            rest = []
            for name in missing:
                known = [self.shape[p] for _, p in self.into[name] if p in self.shape]
                if known:
                    shape = known[0]
                    for op in self._ops(name, shape):
                        shape = op.out_shape(shape)
                    self.shape[name] = shape
                else:
                    rest.append(name)
            if len(rest) == len(missing):
                raise FormatError(
                    self.graph.path, f"node {rest[0]}: found no shape for what arrives; expected one from an Input"
                )
            missing = rest

    def _neuron_shape(self, node: Node) -> tuple[int, ...]:
        shapes = {np.shape(node.numbers(name)) for name in node.fields}
        if len(shapes) != 1:
            raise FormatError(
                self.graph.path,
                f"node {node.name} ({node.type}): found fields of shapes {sorted(shapes)}; expected one shape",
            )
        shape = shapes.pop()
        if not shape:
            raise FormatError(
                self.graph.path,
                f"node {node.name} ({node.type}): found single numbers; expected arrays of the neurons' shape",
            )
        return shape

    def _ops(self, name: str, shape: tuple[int, ...]) -> tuple[Op, ...]:
        node = self.nodes[name]
        return () if node.type in ("Delay", WIRE) else foreign_op(node, shape)

    def _add(self, name: str) -> None:
        """Add the populations of a node and the projections into them."""
        node = self.nodes[name]
        if name in self.sum:
            junction = self.sum[name]
            self.populations[junction] = Population(self.shape[self.into[name][0][1]])
            self._feed(junction, name, ())
        if name not in self.signal or self.signal[name] in self.populations:
            return
        if node.type == "Input":
            self.populations[name] = Population(self.shape[name], kind="input")
            return
        if node.type in NEURONS:
            self._add_neurons(name)
            return
        self.populations[name] = Population(self.shape[name])
        if node.type == "Output":
            self._feed(name, name, ())
            return
        pre, ops, delay = self._through(name)  # an op whose result stands by itself
        self.found.append((self.into[name][0][0], 1, self._projection(pre, name, ops, delay)))

    def _add_neurons(self, name: str) -> None:
        foreign, shape = self.neurons[name], self.shape[name]
        tail = () if foreign.scale is None else (Scale(foreign.scale),)
        last = max((edge for edge, _ in self.into[name]), default=0)
        self._feed(name, name, tail)
        self.populations[name] = Population(shape, foreign.model, initial=foreign.initial)
        if foreign.model is None:
            self.found.append((last, 1, Projection(name, name, delay=1)))

    def _feed(self, post: str, name: str, tail: tuple[Op, ...]) -> None:
        """One projection per edge into a node."""
        for edge, source in self.into[name]:
            pre, ops, delay = self._source(edge, source)
            self.found.append((edge, 0, self._projection(pre, post, _joined(ops, tail), delay)))

    def _source(self, edge: int, source: str) -> tuple[str, tuple[Op, ...], Any]:
        """Population, ops and delay of what comes along an edge."""
        late = int(edge in self.late)
        if source in self.signal:
            return self.signal[source], (), late
        pre, ops, delay = self._through(source)
        return pre, ops, delay + late

    def _through(self, name: str) -> tuple[str, tuple[Op, ...], Any]:
        """Population, ops and delay of the output of an op, a wire or a Delay."""
        steps: list[str] = []
        delay: Any = 0
        here = name
        while True:
            steps.append(here)
            if here in self.sum:
                pre = self.sum[here]
                break
            edge, source = self.into[here][0]
            delay = delay + int(edge in self.late)
            if source in self.signal:
                pre = self.signal[source]
                break
            here = source
        shape = self.populations[pre].shape if pre in self.populations else self._held(pre)
        ops: list[Op] = []
        for step in reversed(steps):
            if self.nodes[step].type == "Delay":
                delay = delay + self._delay(step, shape, ops, steps)
            for op in self._ops(step, shape):
                ops.append(op)
                shape = op.out_shape(shape)
        return pre, tuple(ops), delay

    def _held(self, population: str) -> tuple[int, ...]:
        for name, junction in self.sum.items():
            if junction == population:
                return self.shape[self.into[name][0][1]]
        return self.shape[population]

    def _delay(self, name: str, shape: tuple[int, ...], before: list[Op], steps: list[str]) -> Any:
        """Steps of a Delay node: one number, or [out, in] per synapse of the only op."""
        node = self.nodes[name]
        seconds = node.numbers("delay")
        exact = seconds / self.dt
        count = np.rint(exact)
        if (count < 0).any() or (count > _MOST_STEPS).any():
            raise node.bad(
                "delay", f"{seconds.min():g} to {seconds.max():g} s", f"0 to {_MOST_STEPS} steps of {self.dt:g} s"
            )
        if (np.abs(exact - count) > _SLACK + 1e-6 * count).any():
            found = f"{seconds.flat[np.argmax(np.abs(exact - count))]:g} s"
            raise self._violation(
                "delay_is_whole_steps", name, found, f"a multiple of dt = {self.dt:g} s", "choose another dt"
            )
        whole = count.astype(np.int64)
        if (whole == whole.flat[0]).all():
            return int(whole.flat[0])
        matrices = [s for s in steps if self.nodes[s].type in ("Affine", "Linear")]
        others = [s for s in steps if self.nodes[s].type not in ("Affine", "Linear", "Delay", WIRE)]
        if len(matrices) != 1 or others or whole.shape != shape:
            raise self._violation(
                "unequal_delays_have_one_matrix",
                name,
                f"{len(matrices)} matrices, {len(others)} other ops",
                "one Affine or Linear",
                "use equal delays",
            )
        weight = np.shape(self.nodes[matrices[0]].fields["weight"])
        return np.broadcast_to(whole[:, None] if before else whole[None, :], weight).copy()

    def _projection(self, pre: str, post: str, ops: tuple[Op, ...], delay: Any) -> Projection:
        if isinstance(delay, np.ndarray) and len(ops) > 1:
            found = f"ops {[op.kind for op in ops]}"
            raise self._violation(
                "unequal_delays_have_one_matrix", post, found, "one Affine or Linear", "use equal delays"
            )
        return Projection(pre, post, ops, delay=delay)


def _joined(ops: tuple[Op, ...], tail: tuple[Op, ...]) -> tuple[Op, ...]:
    """Ops with a Scale behind them, multiplied into the last weights where that is exact in float32."""
    if not tail or not ops:
        return (*ops, *tail)
    op, k = ops[-1], np.asarray(tail[0].scale, np.float64)  # type: ignore[attr-defined]
    if not isinstance(op, Linear | Conv2d) or (isinstance(op, Conv2d) and k.ndim > 0):
        return (*ops, *tail)
    rows = k.reshape(-1, *[1] * (op.weight.ndim - 1)) if k.ndim else k
    weight: Any = op.weight * rows
    bias: Any = None if op.bias is None else op.bias * k
    with np.errstate(over="ignore"):
        exact = (weight.astype(np.float32) == weight).all() and (
            bias is None or (bias.astype(np.float32) == bias).all()
        )
    if not exact:
        return (*ops, *tail)
    if isinstance(op, Conv2d):
        return (*ops[:-1], Conv2d(weight, bias, op.stride, op.padding, op.dilation, op.groups))
    return (*ops[:-1], Linear(weight, bias))
