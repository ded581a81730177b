"""The clocked driver: the only loop that walks a network step by step, given an arithmetic.

`Float32` is the arithmetic of the reference: NumPy float32, sums in source order with zeros skipped.
A back-end with other numbers overrides how an op becomes a map, how coefficients are made, how
values enter, and which primitives there are; the walk stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.counts import Counts, PopulationCount
from spikelab.errors import ShapeError, UnsupportedError, Violation, unknown_name
from spikelab.network import Network, Population, Projection
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.trace import operations, trace
from spikelab.ops import Op, OpCount
from spikelab.ops.scatter import Scatter, active

__all__ = [
    "Float32",
    "LinearMap",
    "Run",
    "RunState",
    "as_inputs",
    "population_count",
    "run",
    "start_history",
    "start_state",
]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class RunState:
    """Where a run stopped: pass it to the next run to continue.

    Args:
        neurons: per population the state, each variable [B, *shape].
        history: per population its last outputs [longest delay, B, *shape], oldest first.
        step: steps run so far.
    """

    neurons: Mapping[str, Any]
    history: Mapping[str, Array]
    step: int = 0

    def select(self, rows: Any) -> RunState:
        """Keep the samples `rows` (one, several, a slice or a mask), in that order."""
        rows = [rows] if isinstance(rows, int | np.integer) else rows
        neurons = {n: type(s)(*(v[rows] for v in s)) for n, s in self.neurons.items()}
        return RunState(neurons, {n: h[:, rows] for n, h in self.history.items()}, self.step)


@dataclass(frozen=True, eq=False)
class Run:
    """What a run gave.

    Args:
        spikes: per population [T, B, *shape]; potentials where the neuron does not spike.
        traces: per population and variable [T, B, *shape], as asked for.
        state: pass it on to continue.
        counts: operations and spikes.
        outputs: names of the output populations.
    """

    spikes: Mapping[str, Array]
    traces: Mapping[str, Mapping[str, Array]]
    state: RunState
    counts: Counts
    outputs: tuple[str, ...]

    @property
    def output(self) -> Array:
        """[T, B, *shape] output of the network, where it has just one."""
        if len(self.outputs) != 1:
            raise UnsupportedError(f"Run.output: the network has the outputs {self.outputs}; take one from Run.spikes")
        return self.spikes[self.outputs[0]]


class LinearMap:
    """A linear op on one input shape, in float32: `finish(add(x, zeros))`."""

    def __init__(self, op: Op, in_shape: tuple[int, ...]):
        self.op, self.in_shape, self.out_shape = op, in_shape, op.out_shape(in_shape)
        self.scatter: Scatter = op.scatter(in_shape)
        self.fan_out = op.fan_out(in_shape)

    def zeros(self, rows: int) -> Array:
        """Accumulator [rows, n]."""
        return np.zeros((rows, self.scatter.outputs), np.float32)

    def add(self, x: Array, acc: Array) -> None:
        """Add the contributions of x [rows, *in_shape]."""
        self.scatter.add(active(x.reshape(len(x), -1)), acc)

    def finish(self, acc: Array) -> Array:
        """[rows, *out_shape] with divisor and bias."""
        return self.scatter.finish(acc).reshape(len(acc), *self.out_shape)

    def count(self, x: Array) -> OpCount:
        """Operations for x [rows, *in_shape]."""
        return self.op.count(x, self.fan_out)


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
            traces: per population, names of state variables to record after each step; `"margin"` is
                what the comparison saw (v - v_threshold, before the reset) [V].

        Returns:
            Spikes, traces, state and counts.

        Raises:
            ShapeError: input or state do not fit the network.
            UnsupportedError: the network breaks a rule of this target.
        """
        if violations := self.check(net):
            raise UnsupportedError(f"{self.name}: the network breaks {len(violations)} rule(s):", violations)
        inputs = {n: self.enter(v) for n, v in as_inputs(net, x).items()}
        return _Walk(self, net, inputs, state, traces or {}).run()


def type_cast(c: Any, dtype: Any) -> Any:
    """A NamedTuple of coefficients or states in another number type."""
    return type(c)(*(np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, dtype)[()] for v in c))


def population_count(population: Population, updates: int, active: int, z: Array) -> PopulationCount:
    """Count row of a population that gave the output z."""
    model = population.model
    kind = type(model).__name__ if model is not None else str(population.kind)
    spiking = model.spiking if model is not None else population.kind == "input"
    spikes = int(np.sum(z, dtype=np.float64)) if spiking else 0
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
        traces: Mapping[str, Iterable[str]],
    ):
        self.target, self.net, self.state = target, net, state
        self.steps, self.batch = next(iter(x.values())).shape[:2]
        self.z: dict[str, Array] = dict(x)
        self.maps = {id(p): self._maps(p) for p in net.projections}
        self.counted: dict[int, list[OpCount | None]] = {id(p): [None] * max(len(p.ops), 1) for p in net.projections}
        self.neurons: dict[str, Any] = {}
        self.active = dict.fromkeys(net.populations, 0)
        self.coefficients: dict[str, Any] = {}
        for name, population in net.populations.items():
            if population.model is not None:
                self.coefficients[name] = target.coefficients(net, name)
                self.neurons[name] = start_state(net, name, self.batch, target.dtype, state)
        self.before = start_history(net, self.batch, target.dtype, state)
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

    def _traces(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Array]]:
        result: dict[str, dict[str, Array]] = {}
        for name, variables in wanted.items():
            if name not in self.neurons:
                raise unknown_name("traces: population of neurons", name, self.neurons)
            known = (*self.neurons[name]._fields, "margin")
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
        if "margin" in wanted:
            f, seen = _watched(f)
        for t in range(first, last):
            x = ports[0][t - first] if len(ports) == 1 else model.Inputs(*(p[t - first] for p in ports))  # type: ignore[attr-defined]
            live = x != 0 if len(ports) == 1 else np.any([p[t - first] != 0 for p in ports], axis=0)
            for value in s:
                live |= value != 0
            self.active[name] += int(np.count_nonzero(live))
            out[t], s = step(x, s, c, f)
            for variable, trace_ in wanted.items():
                trace_[t] = seen[-1] if variable == "margin" else getattr(s, variable)
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


def _watched(f: SimpleNamespace) -> tuple[SimpleNamespace, list[Any]]:
    """The same primitives, keeping what the last comparison saw."""
    seen: list[Any] = [0.0]

    def spike(d: Any) -> Any:
        seen[-1] = d
        return f.spike(d)

    def count(v: Any, threshold: Any, most: Any) -> Any:
        seen[-1] = v - threshold * np.maximum(1, np.rint(v / threshold))
        return f.count(v, threshold, most)

    return SimpleNamespace(**{**vars(f), "spike": spike, "count": count}), seen


def start_state(net: Network, name: str, batch: int, dtype: Any, state: RunState | None) -> Any:
    """State [B, *shape] of a population at the start: of an earlier run, or where the population begins.

    Raises:
        ShapeError: the earlier run was of another network or batch.
    """
    population = net.populations[name]
    assert population.model is not None
    expected = (batch, *population.shape)
    initial = population.model.initial()
    if state is None:
        values = type_cast(type(initial)(**{**initial._asdict(), **population.initial}), dtype)
        return type(values)(*(np.array(np.broadcast_to(v, expected)) for v in values))
    s = state.neurons.get(name)
    if s is None or s._fields != initial._fields or any(np.shape(v) != expected for v in s):
        found = "nothing" if s is None else f"{type(s).__name__} of shape {np.shape(s[0])}"
        raise ShapeError(
            f"state of {name}: found {found}; expected {type(initial).__name__} of shape {expected}; "
            "a state belongs to one network and one batch (state.select(rows) drops samples)"
        )
    return type(initial)(*(np.array(v, dtype) for v in s))


def start_history(net: Network, batch: int, dtype: Any, state: RunState | None) -> dict[str, Array]:
    """Last outputs [longest delay, B, *shape] of each population that feeds a delayed projection.

    Raises:
        ShapeError: the earlier run was of another network or batch.
    """
    result = {}
    for name, population in net.populations.items():
        depth = net.history(name)
        if not depth:
            continue
        expected = (depth, batch, *population.shape)
        old = np.zeros(expected, dtype) if state is None else state.history.get(name)
        if old is None or old.shape != expected:
            found = "nothing" if old is None else f"shape {old.shape}"
            raise ShapeError(
                f"state: history of {name}: found {found}; expected {expected}; "
                "pass the state of a run of this network and batch"
            )
        result[name] = old
    return result


def as_inputs(net: Network, x: Any) -> dict[str, NDArray[np.float32]]:
    """Inputs by name as float32 [T, B, *shape].

    Args:
        net: the network.
        x: array or tensor [T, B, *shape], `Events` (binned by `dt`, one sample), or a mapping of these.

    Raises:
        ShapeError: an input is missing, unknown, empty, of the wrong shape or dtype, or holds NaN.
    """
    given = dict(x) if isinstance(x, Mapping) else {net.inputs[0]: x}
    if not isinstance(x, Mapping) and len(net.inputs) > 1:
        raise ShapeError(f"input: the network has the inputs {net.inputs}; pass a mapping by name")
    for name in given:
        if name not in net.inputs:
            raise unknown_name("input: population", name, net.inputs)
    result: dict[str, NDArray[np.float32]] = {}
    for name in net.inputs:
        if name not in given:
            raise ShapeError(f"input {name}: missing; pass a mapping with {net.inputs}")
        result[name] = _as_input(name, given[name], net.populations[name].shape, net.dt)
    lengths = {n: v.shape[:2] for n, v in result.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"inputs of (T, B) {lengths}; all must have the same steps and samples")
    return result


def _as_input(name: str, x: Any, shape: tuple[int, ...], dt: Any) -> NDArray[np.float32]:
    if not isinstance(x, np.ndarray) and not hasattr(x, "detach"):
        from spikelab.events import Events, bin_events

        if isinstance(x, Events):
            x = bin_events(x, dt=dt)[:, None]
    array = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"input {name}: found dtype {array.dtype}; expected real numbers")
    if array.ndim != len(shape) + 2 or array.shape[2:] != shape:
        axes = ", ".join(map(str, shape))
        hint = "; add the batch axis with x[:, None]" if array.shape[1:] == shape else ""
        raise ShapeError(f"input {name}: found shape {array.shape}; expected [T, B, {axes}]{hint}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise ShapeError(
            f"input {name}: found {array.shape[0]} steps and {array.shape[1]} samples; expected at least one of each"
        )
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.kind == "f" and not np.isfinite(result).all():
        bad = np.argwhere(~np.isfinite(result))[0].tolist()
        raise ShapeError(f"input {name}: found {result[tuple(bad)]} at {bad}; expected finite numbers")
    return result


def run(net: Network, x: Any, **options: Any) -> Run:
    """Run a network on the float32 reference: `Float32().run(net, x)`."""
    return Float32().run(net, x, **options)
