"""`Run` and `RunState`: what a run gave, and where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import short_repr, to_array
from spikelab.counts import Counts
from spikelab.errors import ShapeError, UnsupportedError, brief
from spikelab.network import Network, Population
from spikelab.neurons.model import NeuronModel

__all__ = ["Run", "RunState", "begin", "type_cast"]

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

    __repr__ = short_repr

    def select(self, rows: Any) -> RunState:
        """Keep the samples `rows` (one, several, a slice or a mask), in that order.

        Raises:
            ShapeError: no samples of this state.
        """
        if not isinstance(rows, slice):
            rows = np.atleast_1d(to_array(rows, "RunState.select: rows"))
            if rows.ndim != 1 or rows.dtype.kind not in "iub" or not rows.size:
                raise ShapeError(
                    f"RunState.select: found rows of {rows.dtype} and shape {rows.shape}; "
                    "expected indices of samples, a slice or a mask"
                )
        try:
            neurons = {n: type(s)(*(v[rows] for v in s)) for n, s in self.neurons.items()}
            return RunState(neurons, {n: h[:, rows] for n, h in self.history.items()}, self.step)
        except (IndexError, TypeError):
            raise ShapeError(
                f"RunState.select: found rows {brief(rows)} that this state does not have; "
                "expected samples of its batch"
            ) from None


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

    def __repr__(self) -> str:
        return f"Run(spikes={brief(self.spikes)}, traces={brief(self.traces)}, outputs={self.outputs})"

    @property
    def output(self) -> Array:
        """[T, B, *shape] output of the network, where it has just one."""
        if len(self.outputs) != 1:
            raise UnsupportedError(f"Run.output: the network has the outputs {self.outputs}; take one from Run.spikes")
        return self.spikes[self.outputs[0]]


def type_cast(c: Any, dtype: Any) -> Any:
    """A NamedTuple of coefficients or states in another number type."""
    return type(c)(*(np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, dtype)[()] for v in c))


def begin(net: Network, batch: int, dtype: Any, state: RunState | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Where a run begins: at an earlier run's end, or where the populations say.

    Args:
        net: the network.
        batch: number of samples B.
        dtype: number type of states and outputs.
        state: of an earlier run, or None.

    Returns:
        State of each population of neurons, its variables [B, *shape]; and of each population that feeds a
        delayed projection its last outputs [longest delay, B, *shape].

    Raises:
        UnsupportedError: `state` is no `RunState`.
        ShapeError: the earlier run was of another network or batch.
    """
    if state is not None and not isinstance(state, RunState):
        raise UnsupportedError(f"state: found {type(state).__name__}; expected the state of a run; pass run.state")
    neurons = {
        n: _neurons(p, n, p.model, batch, dtype, state) for n, p in net.populations.items() if p.model is not None
    }
    history = _history(net, batch, dtype, state)
    if state is not None:
        for what, given, known in (("neurons", state.neurons, neurons), ("history", state.history, history)):
            if extra := sorted(set(given) - set(known)):
                raise ShapeError(
                    f"state: found {what} of {', '.join(extra)}; expected those of {', '.join(known) or 'none'}; "
                    "pass the state of a run of this network"
                )
    return neurons, history


def _neurons(
    population: Population, name: str, model: NeuronModel, batch: int, dtype: Any, state: RunState | None
) -> Any:
    expected = (batch, *population.shape)
    initial = model.initial()
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


def _history(net: Network, batch: int, dtype: Any, state: RunState | None) -> dict[str, Array]:
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
