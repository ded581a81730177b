"""`Run` and `RunState`: what a run gave, and where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.counts import Counts
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.network import Network

__all__ = ["Run", "RunState", "start_history", "start_state", "type_cast"]

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


def type_cast(c: Any, dtype: Any) -> Any:
    """A NamedTuple of coefficients or states in another number type."""
    return type(c)(*(np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, dtype)[()] for v in c))


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
