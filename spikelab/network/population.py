"""`Population`: a group of neurons, an input, or a junction that adds what arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from spikelab.errors import ShapeError, UnitError, UnsupportedError, unknown_name
from spikelab.neurons.model import NeuronModel, parameters
from spikelab.units import si

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
