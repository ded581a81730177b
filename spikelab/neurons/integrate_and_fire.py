"""Integrate-and-fire neuron without leak: v is the sum of the inputs since the last spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, parameter

__all__ = ["IF", "IFCoefficients", "IFState"]


class IFState(NamedTuple):
    """v: membrane potential [V]."""

    v: Any


class IFCoefficients(NamedTuple):
    """Potentials [V] and the constants of the conventions."""

    v_threshold: Any
    v_reset: Any
    most: Any


@cache
def _step(comparison: str, spikes: str, reset: str) -> Step:
    fires, resets = how.fire(comparison, spikes), how.reset(reset)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = s.v + x
        z = fires(v, c, f)
        return z, IFState(resets(z, v, c, f))

    return step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    return IFState(s.v + n * x)


def _quiet(x: Any, s: Any, c: Any) -> bool:
    return bool(x <= 0 and s.v < c.v_threshold)


@dataclass(frozen=True, eq=False)
class IF(NeuronModel):
    """The membrane adds up the input and spikes above `v_threshold`.

    Order within a step: add input, compare, reset. Without leak a soft reset before or after the next
    step is one and the same, so there is no `"undecayed"`.

    Args:
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (hard reset), and at the start.
        reset: `"hard"` or `"soft"`.
        comparison: `">"` or `">="`.
        spikes: `"one"` or `"many"` per step.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag, or flags that do not go together.

    Source:
        Gerstner et al., Neuronal Dynamics, 2014, section 1.3 (limit of large tau).

    Example:
        >>> IF(v_threshold=2.0, reset="soft").v_threshold
        2.0
    """

    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=("hard", "soft"), doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    spikes: str = choice("one", options=how.SPIKES, doc="spikes per step")

    State = IFState
    Coefficients = IFCoefficients
    state_units = ("V",)
    coefficient_units = ("V", "V", "1")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Add input, compare, reset."""
        return _step(self.comparison, self.spikes, self.reset)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> IFCoefficients:
        """Potentials; nothing depends on `dt`."""
        return IFCoefficients(self.v_threshold, self.v_reset, float(2**23))

    def initial(self) -> IFState:
        """v = 0 for a soft reset, v_reset for a hard one."""
        return IFState(self.v_reset if self.reset == "hard" else 0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if the input does not push v up."""
        return _quiet
