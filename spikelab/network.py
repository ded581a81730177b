"""`Network`: populations joined by projections, plus `dt` and discretisation.

Simulators, chips, counters and exporters read this structure and nothing else. It is checked when it
is made, so a `Network` that exists is valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from spikelab.errors import ShapeError, SpikelabError, UnitError, UnsupportedError, unknown_name
from spikelab.neurons.model import Discretisation, NeuronModel, parameters
from spikelab.ops import Linear, Op, Sparse
from spikelab.units import Quantity, seconds, si

__all__ = ["Kind", "Network", "Population", "Projection"]

Kind = Literal["input", "neurons", "junction"]
_MOST_STEPS = 1_000_000


@dataclass(frozen=True, eq=False)
class Population:
    """A group of neurons, an input, or a junction that adds what arrives.

    Args:
        shape: shape of the group, without time and batch, e.g. `(128,)` or `(16, 34, 34)`.
        model: the neuron; None for inputs and junctions.
        kind: `"input"`, `"neurons"` or `"junction"`; from the model if not given.
        initial: start value of state variables by name, instead of the model's.

    Raises:
        ShapeError: an empty shape, or parameters that do not broadcast to it.
        UnsupportedError: model and kind do not go together, or an unknown state.
    """

    shape: tuple[int, ...]
    model: NeuronModel | None = None
    kind: Kind | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (self.shape,) if isinstance(self.shape, int | np.integer) else tuple(self.shape)
        if not shape or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ShapeError(f"Population.shape: found {self.shape!r}; expected whole numbers above zero, as in (128,)")
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        kind = self.kind or ("neurons" if self.model is not None else "junction")
        if kind not in ("input", "neurons", "junction"):
            raise unknown_name("Population.kind", kind, ("input", "neurons", "junction"))
        if (kind == "neurons") != (self.model is not None):
            raise UnsupportedError(
                f"Population: kind {kind!r} with model {self.model!r}; neurons need a model, nothing else takes one"
            )
        if self.model is not None and not isinstance(self.model, NeuronModel):
            raise UnsupportedError(
                f"Population.model: found {type(self.model).__name__}; expected a NeuronModel, as in LIF()"
            )
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "initial", self._initial())
        for name in parameters(self.model) if self.model is not None else ():
            self._fits(f"{type(self.model).__name__}.{name}", getattr(self.model, name))

    def _initial(self) -> dict[str, Any]:
        if not self.initial:
            return {}
        if self.model is None:
            raise UnsupportedError("Population.initial: only neurons have a state; leave it out")
        units = dict(zip(self.model.State._fields, self.model.state_units, strict=True))
        result = {}
        for name, value in self.initial.items():
            if name not in units:
                raise unknown_name(f"Population.initial of {type(self.model).__name__}, state", name, units)
            where = f"Population.initial[{name!r}]"
            value = np.array(value, np.float64) if np.ndim(value) else si(value, units[name], where)
            if not np.isfinite(value).all():
                raise UnitError(f"{where}: found NaN or infinity; expected finite numbers in {units[name]}")
            result[name] = value
            self._fits(where, value)
        return result

    def _fits(self, what: str, value: Any) -> None:
        shape = np.shape(value.detach() if hasattr(value, "detach") else value)
        try:
            fits = np.broadcast_shapes(shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{what}: shape {shape} does not broadcast to the population {self.shape}; "
                "use [C, 1, 1] for one value per channel"
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Projection:
    """Spikes of `pre` go through ops, in turn, to a port of `post`.

    Args:
        pre: name of the population it starts from.
        post: name of the population it feeds.
        ops: maps applied in turn.
        port: input of the post model.
        delay: steps; one number, or per synapse if the only op is `Linear` ([out, in]) or `Sparse` ([S]).

    Raises:
        UnsupportedError: a delay below zero, or per synapse with other ops.
        ShapeError: a delay array of the wrong shape.
    """

    pre: str
    post: str
    ops: tuple[Op, ...] = ()
    port: str = "x"
    delay: Any = 0

    def __post_init__(self) -> None:
        ops = (self.ops,) if isinstance(self.ops, Op) else tuple(self.ops)
        for op in ops:
            if not isinstance(op, Op):
                raise UnsupportedError(
                    f"projection {self.pre}->{self.post}: found {type(op).__name__} among ops; "
                    "expected ops of spikelab.ops"
                )
        object.__setattr__(self, "ops", ops)
        delay = np.asarray(self.delay)
        where = f"projection {self.pre}->{self.post}: delay"
        if delay.dtype.kind not in "iu":
            raise UnsupportedError(f"{where} of type {delay.dtype}; expected whole steps, as in delay=2")
        if delay.size == 0 or delay.min() < 0 or delay.max() > _MOST_STEPS:
            raise UnsupportedError(f"{where} of {self.delay!r} steps; expected 0 to {_MOST_STEPS}")
        if delay.ndim == 0:
            object.__setattr__(self, "delay", int(delay))
            return
        if len(ops) != 1 or not isinstance(ops[0], Linear | Sparse):
            raise UnsupportedError(
                f"{where} per synapse with ops {[o.kind for o in ops]}; it needs Linear or Sparse as only op"
            )
        delay = delay.astype(np.int32)
        expected = ops[0].weight.shape
        if delay.shape != expected:
            raise ShapeError(f"{where} of shape {delay.shape}; expected {expected}, as the weights")
        if isinstance(ops[0], Sparse):
            delay = delay[ops[0].order]  # type: ignore[attr-defined]
            object.__setattr__(self, "ops", (replace(ops[0]),))
        delay.setflags(write=False)
        object.__setattr__(self, "delay", delay)

    @property
    def longest(self) -> int:
        """Largest delay in steps."""
        return int(np.max(self.delay))

    def parts(self) -> list[tuple[int, tuple[Op, ...]]]:
        """(delay, ops) of each single delay, longest first; biases go with the last part.

        Longest first is the order in which a simulator that sends spikes at once adds them up.
        """
        if isinstance(self.delay, int):
            return [(self.delay, self.ops)]
        op: Any = self.ops[0]
        steps = sorted(np.unique(self.delay).tolist(), reverse=True)
        result: list[tuple[int, tuple[Op, ...]]] = []
        for d in steps:
            bias = op.bias if d == steps[-1] else None
            mask = self.delay == d
            if isinstance(op, Linear):
                target, source = (k.astype(np.int32) for k in np.nonzero(mask))
                part = Sparse(source, target, op.weight[mask], op.weight.shape, bias)
            else:
                part = Sparse(op.source[mask], op.target[mask], op.weight[mask], op.shape, bias)
            result.append((d, (part,)))
        return result


@dataclass(frozen=True, eq=False)
class Network:
    """Populations joined by projections.

    Args:
        populations: by name.
        projections: in the order in which their contributions to one port are added.
        dt: [s] time step, or a string with a unit.
        discretisation: `"exponential"` or `"euler"`.

    Raises:
        ShapeError, UnitError, UnsupportedError: what is wrong, with the place; see `validate`.

    Example:
        >>> from spikelab.neurons import LIF
        >>> net = Network(
        ...     {"in": Population((2,), kind="input"), "out": Population((1,), LIF())},
        ...     [Projection("in", "out", (Linear([[1.0, 2.0]]),))],
        ...     dt="1 ms",
        ... )
        >>> net.outputs
        ('out',)
    """

    populations: Mapping[str, Population]
    projections: Sequence[Projection]
    dt: Quantity
    discretisation: Discretisation = "exponential"

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", dict(self.populations))
        object.__setattr__(self, "projections", _distinct(self.projections))
        object.__setattr__(self, "dt", seconds(self.dt, "Network.dt"))
        self.validate()

    def incoming(self, name: str) -> list[Projection]:
        """Projections that feed a population, in their order."""
        return [p for p in self.projections if p.post == name]

    def outgoing(self, name: str) -> list[Projection]:
        """Projections that start from a population."""
        return [p for p in self.projections if p.pre == name]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input populations."""
        return tuple(n for n, p in self.populations.items() if p.kind == "input")

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the populations that feed no other."""
        return tuple(
            n for n, p in self.populations.items() if p.kind != "input" and all(q.post == n for q in self.outgoing(n))
        )

    @property
    def labels(self) -> dict[int, str]:
        """Label `pre->post` of each projection by `id`; repeated pairs get `#2`, `#3`."""
        result: dict[int, str] = {}
        for p in self.projections:
            base = label = f"{p.pre}->{p.post}"
            k = 2
            while label in result.values():
                label, k = f"{base}#{k}", k + 1
            result[id(p)] = label
        return result

    def label(self, projection: Projection) -> str:
        """Label of one projection."""
        return self.labels[id(projection)]

    def shapes(self, projection: Projection) -> list[tuple[int, ...]]:
        """Shape before the first op, between the ops, and after the last."""
        shapes = [self.populations[projection.pre].shape]
        for op in projection.ops:
            shapes.append(op.out_shape(shapes[-1]))
        return shapes

    def history(self, name: str) -> int:
        """Steps of its output that a population must remember: its longest outgoing delay."""
        return max((p.longest for p in self.outgoing(name)), default=0)

    @cached_property
    def _components(self) -> list[tuple[str, ...]]:
        return _strongly_connected(tuple(self.populations), [(p.pre, p.post) for p in self.projections])

    def order(self) -> list[tuple[str, ...]]:
        """Strongly connected components, sources first; only one with a cycle must loop in time.

        Within a component the names stand in the order in which one step must compute them.
        """
        result = []
        for component in self._components:
            inner = [
                (p.pre, p.post)
                for p in self.projections
                if p.pre in component and p.post in component and np.min(p.delay) == 0
            ]
            result.append(tuple(n for part in _strongly_connected(component, inner) for n in part))
        return result

    def is_cyclic(self, component: tuple[str, ...]) -> bool:
        """Whether a component feeds itself."""
        return len(component) > 1 or any(p.pre == p.post == component[0] for p in self.projections)

    def validate(self) -> None:
        """Check the whole structure.

        Raises:
            ShapeError: shapes along a projection do not fit.
            UnitError: a time constant too short for Euler steps.
            UnsupportedError: unknown names or ports, an unfed population, a zero-delay cycle, nothing in it.
        """
        if not self.populations or not self.inputs:
            raise UnsupportedError("Network: no input population; add Population(shape, kind='input')")
        if self.discretisation not in ("exponential", "euler"):
            raise unknown_name("Network.discretisation", self.discretisation, ("exponential", "euler"))
        for name, population in self.populations.items():
            if not name or any(ch in name for ch in "/\0") or name != name.strip():
                raise UnsupportedError(
                    f"population {name!r}: a name must not be empty, hold '/', or start or end with spaces"
                )
            self._check_times(name, population)
        for p in self.projections:
            for end in (p.pre, p.post):
                if end not in self.populations:
                    raise unknown_name(f"projection {p.pre}->{p.post}: population", end, self.populations)
            self._check_projection(p)
        for name, population in self.populations.items():
            fed = bool(self.incoming(name))
            if population.kind == "input" and fed:
                raise UnsupportedError(f"population {name}: an input takes no projection; use a junction")
            if population.kind != "input" and not fed:
                raise UnsupportedError(f"population {name}: nothing feeds it; add a projection or make it an input")
        self._check_cycles()

    def _check_times(self, name: str, population: Population) -> None:
        if self.discretisation != "euler" or population.model is None:
            return
        for parameter, meta in parameters(population.model).items():
            if meta["unit"] != "s":
                continue
            value: Any = getattr(population.model, parameter)
            shortest = float(np.min(np.asarray(value.detach() if hasattr(value, "detach") else value)))
            if shortest < float(self.dt):
                raise UnitError(
                    f"population {name}: {parameter} of {shortest} s is shorter than dt of {self.dt} s, where Euler "
                    "steps overshoot; use discretisation='exponential' or a smaller dt"
                )

    def _check_projection(self, p: Projection) -> None:
        where = f"projection {p.pre}->{p.post}"
        post = self.populations[p.post]
        ports = post.model.ports if post.model is not None else {"x": None}
        if p.port not in ports:
            raise unknown_name(f"{where}: port", p.port, ports)
        try:
            shape = self.shapes(p)[-1]
        except SpikelabError as error:
            raise ShapeError(f"{where}: {error}") from None
        if shape != post.shape:
            raise ShapeError(f"{where}: the ops give {shape}, but {p.post} has {post.shape}; change one of them")

    def _check_cycles(self) -> None:
        now = [(p.pre, p.post) for p in self.projections if np.min(p.delay) == 0]
        for component in _strongly_connected(tuple(self.populations), now):
            if len(component) > 1 or (component[0], component[0]) in now:
                ring = " -> ".join((*component, component[0]))
                raise UnsupportedError(
                    f"Network: the cycle {ring} has no delay; give one of its projections delay=1 or more"
                )


def _distinct(projections: Sequence[Projection]) -> tuple[Projection, ...]:
    """The projections, a copy in place of each that stands in the list again: labels and counts go by identity."""
    seen: set[int] = set()
    result = []
    for p in projections:
        result.append(replace(p) if id(p) in seen else p)
        seen.add(id(p))
    return tuple(result)


def _strongly_connected(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
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
