"""`Network`: populations joined by projections, plus `dt` and discretisation.

Simulators, chips, counters and exporters read this structure and nothing else. It is checked when it
is made, so a `Network` that exists is valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from spikelab.errors import ShapeError, SpikelabError, UnitError, UnsupportedError, unknown_name
from spikelab.network.components import strongly_connected
from spikelab.network.population import Population
from spikelab.network.projection import Projection
from spikelab.neurons.model import Discretisation
from spikelab.units import Quantity, seconds

__all__ = ["Network", "must_be_network"]


@dataclass(frozen=True, eq=False)
class Network:
    """Populations joined by projections.

    Args:
        populations: by name; a read-only view afterwards. `dataclasses.replace` makes a changed network.
        projections: in the order in which their contributions to one port are added; a tuple afterwards.
        dt: [s] time step, or a string with a unit.
        discretisation: `"exponential"` or `"euler"`.

    Raises:
        ShapeError, UnitError, UnsupportedError: what is wrong, with the place; see `validate`.

    Example:
        >>> from spikelab.neurons import LIF
        >>> from spikelab.ops import Linear
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
        object.__setattr__(self, "populations", MappingProxyType(_named(self.populations)))
        object.__setattr__(self, "projections", _distinct(self.projections))
        object.__setattr__(self, "dt", seconds(self.dt, "Network.dt"))
        self.validate()

    def __repr__(self) -> str:
        populations = ", ".join(
            f"{n} {p.shape} {type(p.model).__name__ if p.model is not None else p.kind}"
            for n, p in self.populations.items()
        )
        return f"Network({populations}; {len(self.projections)} projections, dt {self.dt} s, {self.discretisation})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self.populations), self.projections, self.dt, self.discretisation)

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
        used: set[str] = set()
        for p in self.projections:
            base = label = f"{p.pre}->{p.post}"
            k = 2
            while label in used:
                label, k = f"{base}#{k}", k + 1
            used.add(label)
            result[id(p)] = label
        return result

    def label(self, projection: Projection) -> str:
        """Label of one projection.

        Raises:
            UnsupportedError: it is none of this network.
        """
        labels = self.labels
        if id(projection) not in labels:
            raise UnsupportedError(
                f"Network.label: found {projection!r}, which is not of this network; "
                f"expected one of {', '.join(labels.values()) or 'none'}; take it from net.projections"
            )
        return labels[id(projection)]

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
        return strongly_connected(tuple(self.populations), [(p.pre, p.post) for p in self.projections])

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
            result.append(tuple(n for part in strongly_connected(component, inner) for n in part))
        return result

    def is_cyclic(self, component: tuple[str, ...]) -> bool:
        """Whether a component feeds itself."""
        return len(component) > 1 or any(p.pre == p.post == component[0] for p in self.projections)

    def validate(self) -> None:
        """Check the whole structure.

        Raises:
            ShapeError: shapes along a projection do not fit.
            UnitError: a time constant shorter than dt with Euler steps.
            UnsupportedError: unknown names or ports, an unfed population, a zero-delay cycle, nothing in it.
        """
        if not self.populations or not self.inputs:
            raise UnsupportedError("Network: no input population; add Population(shape, kind='input')")
        if not isinstance(self.discretisation, str) or self.discretisation not in ("exponential", "euler"):
            raise unknown_name("Network.discretisation", self.discretisation, ("exponential", "euler"))
        for name, population in self.populations.items():
            if not name or any(ch in name for ch in "/\0") or name != name.strip():
                raise UnsupportedError(
                    f"population {name!r}: a name must not be empty, hold '/', or start or end with spaces"
                )
            try:
                if population.model is not None:
                    population.model.coefficients(float(self.dt), self.discretisation)
            except UnitError as error:
                raise UnitError(f"population {name}: {error}") from None
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
        for component in strongly_connected(tuple(self.populations), now):
            if len(component) > 1 or (component[0], component[0]) in now:
                ring = " -> ".join((*component, component[0]))
                raise UnsupportedError(
                    f"Network: the cycle {ring} has no delay; give one of its projections delay=1 or more"
                )


def must_be_network(net: Any, where: str) -> None:
    """Refuse what is no network, a torch module above all; `where` is who asks.

    Raises:
        UnsupportedError: something else than a `Network`.
    """
    if not isinstance(net, Network):
        raise UnsupportedError(
            f"{where}: found {type(net).__name__}; expected a Network; "
            "make one of a torch module by nn.to_network(module, input_shape)"
        )


def _named(populations: Any) -> dict[str, Population]:
    if not isinstance(populations, Mapping):
        raise UnsupportedError(
            f"Network.populations: found {type(populations).__name__}; "
            "expected populations by name, as in {'in': Population(2, kind='input')}"
        )
    for name, population in populations.items():
        if not isinstance(name, str):
            raise UnsupportedError(f"Network.populations: found the name {name!r}; expected text; write {str(name)!r}")
        if not isinstance(population, Population):
            raise UnsupportedError(
                f"population {name}: found {type(population).__name__}; expected a Population, as in Population(2)"
            )
    return dict(populations)


def _distinct(projections: Any) -> tuple[Projection, ...]:
    """The projections, a copy in place of each that stands in the list again: labels and counts go by identity."""
    seen: set[int] = set()
    result = []
    for p in projections if isinstance(projections, tuple | list) else (projections,):
        if not isinstance(p, Projection):
            raise UnsupportedError(
                f"Network.projections: found {type(p).__name__}; expected a list of Projection, as in "
                "[Projection('in', 'out')]"
            )
        result.append(replace(p) if id(p) in seen else p)
        seen.add(id(p))
    return tuple(result)
