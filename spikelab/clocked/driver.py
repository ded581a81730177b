"""The clocked driver: the only loop that walks a network step by step, given an arithmetic.

`Float32` is the arithmetic of the reference: NumPy float32, sums in source order with zeros skipped.
A back-end with other numbers overrides how an op becomes a map, how coefficients are made, how
values enter, and which primitives there are; the walk stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.clocked.inputs import as_inputs
from spikelab.clocked.linear_map import LinearMap
from spikelab.clocked.result import Run, RunState, begin, type_cast
from spikelab.counts import Counts, PopulationCount
from spikelab.errors import UnsupportedError, Violation, unknown_name
from spikelab.network import Network, Population, Projection, must_be_network
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.trace import operations, trace
from spikelab.ops import Op, OpCount
from spikelab.ops.op import operand_of

__all__ = ["Float32", "population_count", "run"]

Array = NDArray[Any]


class Float32:
    """The reference target: NumPy float32, every sum in source order."""

    name = "float"
    dtype: Any = np.float32
    f: SimpleNamespace = NUMPY

    def check(self, net: Network) -> list[Violation]:
        """Rules that the network breaks; the reference has none."""
        return []

    def op(self, op: Op, in_shape: tuple[int, ...]) -> LinearMap:
        """Realise an op for inputs of one shape."""
        if not op.linear:
            raise UnsupportedError(f"{self.name}: op {op.kind} is not linear, and this target knows only linear ops")
        return LinearMap(op, in_shape)

    def coefficients(self, net: Network, name: str) -> Any:
        """Coefficients of a population in this number type: numbers, or arrays that broadcast to its shape."""
        model = net.populations[name].model
        assert model is not None
        return type_cast(model.coefficients(float(net.dt), net.discretisation), self.dtype)

    def enter(self, x: Array) -> Array:
        """Bring values into this number type."""
        return np.asarray(x, self.dtype)

    def run(
        self,
        net: Network,
        x: Any,
        *,
        state: RunState | None = None,
        traces: Mapping[str, Iterable[str]] | None = None,
    ) -> Run:
        """Run a network.

        Args:
            net: the network.
            x: [T, B, *shape] input, `Events`, or a mapping of these by input name.
            state: of an earlier run, to continue it; None starts afresh.
            traces: per population, names of state variables to record after each step, where the target
                computes them; `"margin"` is what the comparison saw (v - v_threshold, before the reset; the
                nearest of several) [V].

        Returns:
            Spikes, traces, state and counts (of the updates that were really made).

        Raises:
            ShapeError: input or state do not fit the network.
            UnsupportedError: the network breaks a rule of this target, or an argument is something else.
        """
        must_be_network(net, self.name)
        if violations := self.check(net):
            raise UnsupportedError(f"{self.name}: the network breaks {len(violations)} rule(s):", violations)
        inputs = {n: self.enter(v) for n, v in as_inputs(net, x).items()}
        return self._simulate(net, inputs, state, _by_name(traces))

    def _simulate(
        self, net: Network, x: dict[str, Array], state: RunState | None, traces: dict[str, tuple[str, ...]]
    ) -> Run:
        """Run inputs that are checked and in this number type; a target with a loop of its own overrides this."""
        return _Walk(self, net, x, state, traces).run()


def _by_name(traces: Any) -> dict[str, tuple[str, ...]]:
    if traces is None:
        return {}
    if not isinstance(traces, Mapping) or not all(isinstance(v, Iterable) for v in traces.values()):
        raise UnsupportedError(
            f"traces: found {traces!r}; expected names of variables by population, as in {{'out': ['v', 'margin']}}"
        )
    return {n: (v,) if isinstance(v, str) else tuple(v) for n, v in traces.items()}


def population_count(population: Population, updates: int, active: int, z: Array) -> PopulationCount:
    """Count row of a population that gave the output z."""
    model = population.model
    kind = type(model).__name__ if model is not None else str(population.kind)
    spiking = model.spiking if model is not None else population.kind == "input" and operand_of(z) != "real"
    graded = model is not None and model.output_unit != "1"
    spikes = 0 if not spiking else int(np.count_nonzero(z)) if graded else int(np.sum(np.abs(z), dtype=np.float64))
    per_update = operations(trace(model)) if model is not None else {}
    states = len(model.State._fields) if model is not None else 0
    return PopulationCount(kind, population.size, updates, spikes, per_update, spiking, active, states)


class _Walk:
    """One run: the network in one arithmetic."""

    def __init__(
        self,
        target: Float32,
        net: Network,
        x: dict[str, Array],
        state: RunState | None,
        traces: Mapping[str, tuple[str, ...]],
    ):
        self.target, self.net, self.state = target, net, state
        self.steps, self.batch = next(iter(x.values())).shape[:2]
        self.z: dict[str, Array] = dict(x)
        self.maps = {id(p): self._maps(p) for p in net.projections}
        self.counted: dict[int, list[OpCount | None]] = {id(p): [None] * max(len(p.ops), 1) for p in net.projections}
        self.neurons, self.before = begin(net, self.batch, target.dtype, state)
        self.active = dict.fromkeys(net.populations, 0)
        self.coefficients = {name: target.coefficients(net, name) for name in self.neurons}
        self.traces = self._traces(traces)

    def _maps(self, p: Projection) -> list[tuple[int, list[LinearMap]]]:
        result = []
        for delay, ops in p.parts():
            shape, maps = self.net.populations[p.pre].shape, []
            for op in ops:
                maps.append(self.target.op(op, shape))
                shape = maps[-1].out_shape
            result.append((delay, maps))
        return result

    def _traces(self, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Array]]:
        result: dict[str, dict[str, Array]] = {}
        for name, variables in wanted.items():
            if name not in self.neurons:
                raise unknown_name("traces: population of neurons", name, self.neurons)
            model = self.net.populations[name].model
            known = (*self.neurons[name]._fields, *(["margin"] if model is not None and model.spiking else []))
            result[name] = {}
            for variable in variables:
                if variable not in known:
                    raise unknown_name(f"traces: variable of {name}", variable, known)
                shape = (self.steps, self.batch, *self.net.populations[name].shape)
                result[name][variable] = np.zeros(shape, self.target.dtype)
        return result

    def run(self) -> Run:
        for component in self.net.order():
            if self.net.is_cyclic(component):
                shapes = {n: (self.steps, self.batch, *self.net.populations[n].shape) for n in component}
                for name, shape in shapes.items():
                    self.z[name] = np.zeros(shape, self.target.dtype)
                for t in range(self.steps):
                    for name in component:
                        self._advance(name, t, t + 1)
            else:
                (name,) = component
                if name not in self.z:
                    self.z[name] = np.zeros(
                        (self.steps, self.batch, *self.net.populations[name].shape), self.target.dtype
                    )
                    self._advance(name, 0, self.steps)
        return self._result()

    def _delayed(self, name: str, delay: int, first: int, last: int) -> Array:
        """Output of a population `delay` steps before the steps [first, last): [steps, B, *shape]."""
        a, b = first - delay, last - delay
        if a >= 0:
            return self.z[name][a:b]
        old = self.before[name]
        depth = len(old)
        if b <= 0:
            return old[depth + a : depth + b]
        return np.concatenate([old[depth + a :], self.z[name][:b]])

    def _drive(self, name: str, first: int, last: int) -> dict[str, Array]:
        """Sum of what arrives at each port during the steps [first, last)."""
        total: dict[str, Array] = {}
        for p in self.net.incoming(name):
            y = self._through(p, first, last)
            total[p.port] = total[p.port] + y if p.port in total else y
        return total

    def _through(self, p: Projection, first: int, last: int) -> Array:
        parts, counted = self.maps[id(p)], self.counted[id(p)]
        rows = (last - first) * self.batch
        acc: Array | None = None
        for delay, maps in parts:
            x = self._delayed(p.pre, delay, first, last)
            x = x.reshape(rows, *x.shape[2:])
            if not maps:
                return x.reshape(last - first, self.batch, *x.shape[1:])
            count = maps[0].count(x)
            if acc is None:
                acc = maps[0].zeros(rows)
            else:  # the same projection, another delay: its steps and inputs are counted already
                count = replace(count, active=0, steps=0)
            old = counted[0]
            counted[0] = count if old is None else old + count
            maps[0].add(x, acc)
        maps = parts[-1][1]
        assert acc is not None
        y = maps[0].finish(acc)
        for k, later in enumerate(maps[1:], start=1):
            count = later.count(y)
            old = counted[k]
            counted[k] = count if old is None else old + count
            acc = later.zeros(rows)
            later.add(y, acc)
            y = later.finish(acc)
        return y.reshape(last - first, self.batch, *y.shape[1:])

    def _advance(self, name: str, first: int, last: int) -> None:
        population, out = self.net.populations[name], self.z[name]
        drive = self._drive(name, first, last)
        if population.model is None:
            out[first:last] = drive["x"]
            return
        model, c, s = population.model, self.coefficients[name], self.neurons[name]
        zero = np.zeros((last - first, self.batch, *population.shape), self.target.dtype)
        ports = [drive.get(port, zero) for port in model.ports]
        step, f = model.step, self.target.f
        wanted = self.traces.get(name, {})
        seen: list[Any] = []
        if "margin" in wanted:
            f = _watched(f, seen)
        for t in range(first, last):
            seen.clear()
            x = ports[0][t - first] if len(ports) == 1 else model.Inputs(*(p[t - first] for p in ports))  # type: ignore[attr-defined]
            live = x != 0 if len(ports) == 1 else np.any([p[t - first] != 0 for p in ports], axis=0)
            for value in s:
                live |= value != 0
            self.active[name] += int(np.count_nonzero(live))
            out[t], s = step(x, s, c, f)
            for variable, trace_ in wanted.items():
                trace_[t] = _nearest(seen) if variable == "margin" else getattr(s, variable)
        self.neurons[name] = s

    def _result(self) -> Run:
        net = self.net
        history = {}
        for name, old in self.before.items():
            history[name] = np.concatenate([old, self.z[name]])[self.steps :].copy()
        step = (self.state.step if self.state is not None else 0) + self.steps
        rows = self.steps * self.batch
        populations = {
            n: population_count(p, rows * p.size if p.model is not None else 0, self.active[n], self.z[n])
            for n, p in net.populations.items()
        }
        projections = {net.label(p): tuple(c for c in self.counted[id(p)] if c is not None) for p in net.projections}
        counts = Counts(self.target.name, self.batch, self.steps * self.batch, float(net.dt), projections, populations)
        return Run(self.z, self.traces, RunState(self.neurons, history, step), counts, net.outputs)


def _watched(f: SimpleNamespace, seen: list[Any]) -> SimpleNamespace:
    """The same primitives; what each comparison of a step saw goes into `seen`."""

    def spike(d: Any) -> Any:
        seen.append(d)
        return f.spike(d)

    def reach(d: Any) -> Any:
        seen.append(d)
        return f.reach(d)

    def count(v: Any, threshold: Any, most: Any) -> Any:
        seen.append(v - threshold * np.maximum(1, np.rint(v / threshold)))
        return f.count(v, threshold, most)

    return SimpleNamespace(**{**vars(f), "spike": spike, "reach": reach, "count": count})


def _nearest(seen: list[Any]) -> Any:
    """The distance from the nearest threshold, with its sign; 0 for a neuron that compares nothing."""
    nearest = seen[0] if seen else 0.0
    for d in seen[1:]:
        nearest = np.where(np.abs(d) < np.abs(nearest), d, nearest)
    return nearest


def run(net: Network, x: Any, **options: Any) -> Run:
    """Run a network on the float32 reference: `Float32().run(net, x)`."""
    return Float32().run(net, x, **options)
