"""`Population`: a group of neurons, an input, or a junction that adds what arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from spikelab.arrays import is_whole, short_repr, to_array
from spikelab.errors import ShapeError, UnsupportedError, brief, unknown_name
from spikelab.neurons.model import NeuronModel, parameters, to_value

__all__ = ["Kind", "Population"]

Kind = Literal["input", "neurons", "junction"]
"""What a population is."""


@dataclass(frozen=True, eq=False)
class Population:
    """A group of neurons, an input, or a junction that adds what arrives.

    Args:
        shape: shape of the group, without time and batch, e.g. `(128,)` or `(16, 34, 34)`.
        model: the neuron; None for inputs and junctions.
        kind: `"input"`, `"neurons"` or `"junction"`; from the model if not given.
        initial: start value of state variables by name, instead of the model's; read-only afterwards.

    Raises:
        ShapeError: an empty shape, or parameters that do not broadcast to it.
        UnitError: a start value that is no finite quantity in the unit of its state.
        UnsupportedError: model and kind do not go together, or an unknown state.
    """

    shape: tuple[int, ...]
    model: NeuronModel | None = None
    kind: Kind | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        given: Any = self.shape.tolist() if isinstance(self.shape, np.ndarray) else self.shape
        shape = tuple(given) if isinstance(given, tuple | list) else (given,)
        if not shape or not all(is_whole(n) and n > 0 for n in shape):
            raise ShapeError(
                f"Population.shape: found {brief(self.shape)}; expected whole numbers above zero, as in (128,)"
            )
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        kind: Any = ("neurons" if self.model is not None else "junction") if self.kind is None else self.kind
        if not isinstance(kind, str) or kind not in ("input", "neurons", "junction"):
            raise unknown_name("Population.kind", kind, ("input", "neurons", "junction"))
        if (kind == "neurons") != (self.model is not None):
            raise UnsupportedError(
                f"Population: kind {kind!r} with model {brief(self.model)}; "
                "neurons need a model, nothing else takes one"
            )
        if self.model is not None and not isinstance(self.model, NeuronModel):
            raise UnsupportedError(
                f"Population.model: found {type(self.model).__name__}; expected a NeuronModel, as in LIF()"
            )
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "initial", MappingProxyType(self._initial()))
        for name, about in parameters(self.model).items() if self.model is not None else ():
            self._fits(f"{type(self.model).__name__}.{name}", getattr(self.model, name), about["vector"])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.shape, self.model, self.kind, dict(self.initial))

    def _initial(self) -> dict[str, Any]:
        if not isinstance(self.initial, Mapping):
            raise UnsupportedError(
                f"Population.initial: found {type(self.initial).__name__}; "
                "expected start values by name, as in initial={'v': 0.5}"
            )
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
            if isinstance(value, list | tuple) or hasattr(value, "detach"):  # a start value is not learnt
                value = to_array(value, where)
            value = result[name] = to_value(value, units[name], where)
            self._fits(where, value)
        return result

    def _fits(self, what: str, value: Any, vector: bool = False) -> None:
        shape = np.shape(value)[1:] if vector else np.shape(value)
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
