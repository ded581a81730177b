"""Our own files: the network that the metadata describe, with the weights of the nodes.

The metadata are believed only while the graph is what was written: a digest per node and one of the
edges cover types, fields and shapes, but not the values of weights, which anyone may edit.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikelab.errors import FormatError, UnitError, UnsupportedError, Violation
from spikelab.hardware.nir import maps, neurons
from spikelab.hardware.nir.builder import FORMAT
from spikelab.hardware.nir.graph import Graph
from spikelab.hardware.nir.own_ops import own_op
from spikelab.network import Network, Population, Projection
from spikelab.neurons.model import NeuronModel, parameters
from spikelab.ops import Op

__all__ = ["has_structure", "network"]


def has_structure(graph: Graph) -> bool:
    """Whether spikelab wrote this graph."""
    return isinstance(graph.metadata.get("spikelab"), str)


def network(graph: Graph) -> Network:
    """The network that was written.

    Raises:
        FormatError: metadata that are damaged or contradict the nodes.
        UnsupportedError: a newer format, or a graph that was changed after it was written.
    """
    return _Restored(graph).network()


class _Entry:
    """A JSON object whose values are checked as they are taken."""

    def __init__(self, value: Any, path: str, where: str):
        self.path, self.where = path, where
        if not isinstance(value, dict):
            raise self.bad("no object")
        self.value: Mapping[str, Any] = value

    def bad(self, found: str) -> FormatError:
        return FormatError(self.path, f"metadata of spikelab, {self.where}: found {found}; the file is damaged")

    def take(self, name: str, kind: type | tuple[type, ...]) -> Any:
        value = self.value.get(name)
        if name not in self.value or not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.bad(f"no proper {name!r}")
        return value

    def entries(self, name: str) -> list[_Entry]:
        return [_Entry(v, self.path, f"{name}[{k}]") for k, v in enumerate(self.take(name, list))]

    def numbers(self, name: str) -> tuple[int, ...]:
        value = self.take(name, list)
        if not all(isinstance(v, int) and not isinstance(v, bool) and 0 < v < 2**48 for v in value) or len(value) > 32:
            raise self.bad(f"no proper {name!r}")
        return tuple(value)


class _Restored:
    def __init__(self, graph: Graph):
        self.graph, self.path = graph, graph.path
        try:
            value = json.loads(graph.metadata["spikelab"])
        except (ValueError, RecursionError):
            raise FormatError(self.path, "metadata of spikelab: found no JSON; the file is damaged") from None
        self.top = _Entry(value, self.path, "top")
        version = self.top.take("format", int)
        if version != FORMAT:
            advice = "update spikelab, or read the graph itself with foreign=True"
            violation = Violation(
                "format_is_known", self.path, f"metadata of format {version}", f"format {FORMAT}", advice
            )
            raise UnsupportedError(violations=[violation])

    def network(self) -> Network:
        self._check_digests()
        populations: dict[str, Population] = {}
        for entry in self.top.entries("populations"):
            name = entry.take("name", str)
            if name in populations:
                raise entry.bad(f"population {name!r} twice")
            populations[name] = self._population(entry)
        projections = [self._projection(entry) for entry in self.top.entries("projections")]
        dt, discretisation = self.graph.metadata.get("dt"), self.graph.metadata.get("discretisation")
        if (
            not isinstance(dt, np.ndarray)
            or dt.shape != ()
            or dt.dtype.kind != "f"
            or not isinstance(discretisation, str)
        ):
            raise self.top.bad("no proper 'dt' or 'discretisation'")
        return Network(populations, projections, float(dt), discretisation)  # type: ignore[arg-type]

    def _check_digests(self) -> None:
        digests = _Entry(self.top.take("digests", dict), self.path, "digests")
        nodes, edges = digests.take("nodes", dict), digests.take("edges", str)
        found = [f"node {n}" for n, node in self.graph.nodes.items() if nodes.get(n) != node.digest()]
        found += [f"node {n} (gone)" for n in nodes if n not in self.graph.nodes]
        if edges != self.graph.digest():
            found.append("the edges")
        if found:
            advice = "read the graph as it stands with foreign=True"
            place = f"{self.path}: {', '.join(found[:5])}" + (f" and {len(found) - 5} more" if len(found) > 5 else "")
            violation = Violation(
                "file_is_as_written",
                place,
                "something else than spikelab wrote",
                "the graph that its metadata describe",
                advice,
            )
            raise UnsupportedError(violations=[violation])

    def _node(self, entry: _Entry, kinds: tuple[str, ...]) -> Any:
        name = entry.take("node", str)
        node = self.graph.nodes.get(name)
        if node is None or node.type not in kinds:
            raise entry.bad(f"node {name!r} of type {node.type if node else None}")
        return node

    def _population(self, entry: _Entry) -> Population:
        shape, kind = entry.numbers("shape"), entry.take("kind", str)
        if kind != "neurons":
            if entry.value.get("node") is not None or kind == "input":
                node = self._node(entry, ("Input",) if kind == "input" else ("Output", "Scale"))
                found = node.numbers("scale").shape if node.type == "Scale" else node.shape("shape")
                if found != shape:
                    raise entry.bad(f"shape {shape} for a node of {found}")
            return Population(shape, kind=kind)
        name = entry.take("model", str)
        if name not in neurons.MODELS:
            raise entry.bad(f"model {name!r}")
        cls, node = neurons.MODELS[name], self._node(entry, (name,))
        if node.numbers("r").shape != shape:
            raise entry.bad(f"shape {shape} for a node of {node.numbers('r').shape}")
        try:
            model = self._model(entry, cls, node.metadata.get("parameters"))
        except UnitError as error:
            raise FormatError(self.path, f"node {node.name}: {error}") from None
        initial = node.metadata.get("initial", {})
        if not isinstance(initial, dict):
            raise entry.bad("no proper 'initial'")
        start = {k: self._value(entry, v) for k, v in initial.items()}
        return Population(shape, model, initial=start)

    def _model(self, entry: _Entry, cls: type[NeuronModel], values: Any) -> NeuronModel:
        flags = entry.take("flags", dict)
        known = {f.name for f in dataclasses.fields(cls) if "options" in f.metadata}
        if not isinstance(values, dict) or set(values) != set(parameters(cls)) or set(flags) != known:
            raise entry.bad("other parameters or flags than those of the model")
        if not all(isinstance(v, str) for v in flags.values()):
            raise entry.bad("a flag that is no text")
        return cls(**{k: self._value(entry, v) for k, v in values.items()}, **flags)

    def _value(self, entry: _Entry, value: Any) -> Any:
        if (
            not isinstance(value, np.ndarray)
            or value.dtype.kind != "f"
            or value.size == 0
            or not np.isfinite(value).all()
        ):
            raise entry.bad("a parameter that is no finite number")
        return value if value.ndim else float(value)

    def _projection(self, entry: _Entry) -> Projection:
        delay: Any = entry.value.get("delay")
        ops: list[Op] = []
        for op in entry.entries("ops"):
            kind = op.take("op", str)
            if kind not in {cls.__name__ for cls in maps.OPS}:
                raise op.bad(f"op {kind!r}")
            node = self._node(op, ("Affine" if kind in ("Linear", "Sparse") else kind,))
            for name, what in _NEEDS.get(kind, ()):
                op.take(name, what)
            if kind == "Scale":
                op.numbers("shape")
            ops.append(own_op(dict(op.value), node))
            if delay is None and len(ops) == 1:
                delay = node.metadata.get("delay")
                if not isinstance(delay, np.ndarray) or delay.dtype.kind != "i" or delay.shape != _per_synapse(ops[0]):
                    raise entry.bad("no proper delays")
        if (
            not isinstance(delay, int | np.ndarray)
            or isinstance(delay, bool)
            or (isinstance(delay, int) and delay >= 2**31)
        ):
            raise entry.bad("no proper 'delay'")
        return Projection(entry.take("pre", str), entry.take("post", str), tuple(ops), entry.take("port", str), delay)


_NEEDS: dict[str, tuple[tuple[str, type], ...]] = {
    "Linear": (("bias", bool),),
    "Sparse": (("bias", bool),),
    "Conv2d": (("bias", bool),),
    "Flatten": (("start", int), ("end", int)),
}


def _per_synapse(op: Op) -> tuple[int, ...] | None:
    weight = getattr(op, "weight", None)
    return None if weight is None else weight.shape
