"""Parametric leaky integrate-and-fire neuron: a LIF whose leak per step is learnt as a share between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikelab.neurons import conventions as how
from spikelab.neurons.lif import (
    LIF,
    LIFCoefficients,
    LIFState,
    UndecayedLIFState,
    lif_step,
    silent_steps,
    stays_below,
)
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, parameter, share

__all__ = ["PLIF"]


@dataclass(frozen=True, eq=False)
class PLIF(NeuronModel):
    """A LIF that loses the share sigmoid(w) of its membrane in every step; w is any real number, made to be learnt.

    Order within a step: decay, add input, compare, reset, as in `LIF`:
    `v = v_leak + (1 - sigmoid(w)) (v - v_leak) + gain x`, `z = [v > v_threshold]`, `v = v_reset where z`.

    The leak is per step and does not know dt: sigmoid(w) is dt / tau_mem of Euler steps, and `to_lif` says which
    `LIF` this is. To start at a time constant set `w = -ln(tau_mem / dt - 1)`. The step, its speed and its closed
    forms are those of `LIF`, whose `tau_mem` can be learnt too (through its logarithm): this is the other way to
    learn the leak, in which no w is out of range.

    spikingjelly's `ParametricLIFNode`: `comparison=">="`, `v_leak=v_reset`; `decay_input=False` is
    `input_gain="one"`, `v_reset=None` is `reset="soft"`.

    Args:
        w: sigmoid(w) is the leak per step; 0 loses one half.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        reset: `"hard"`, `"soft"` or `"undecayed"`.
        comparison: `">"` or `">="`.
        spikes: `"one"` or `"many"` per step.
        input_gain: `"1-a"`, the leak, as in the paper; or `"one"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag, or flags that do not go together.

    Source:
        Fang et al., Incorporating learnable membrane time constant to enhance learning of spiking neural
        networks, ICCV 2021.

    Example:
        >>> round(PLIF(w=-2.0).to_lif(dt=1e-3, discretisation="euler").tau_mem, 6)
        0.008389
    """

    w: Value = parameter(0.0, unit="1", doc="sigmoid(w) is the leak per step")
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=how.RESETS, doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    spikes: str = choice("one", options=how.SPIKES, doc="spikes per step")
    input_gain: str = choice("1-a", options=("one", "1-a"), doc="factor on the input")

    Coefficients = LIFCoefficients
    coefficient_units = ("1", "1", "V", "V", "V", "1")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def State(self) -> type[Any]:  # type: ignore[override]
        """`LIFState`, or `UndecayedLIFState` for that reset."""
        return UndecayedLIFState if self.reset == "undecayed" else LIFState

    @property
    def state_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each state variable."""
        return ("V", "1") if self.reset == "undecayed" else ("V",)

    @property
    def step(self) -> Step:
        """Decay, add input, compare, reset."""
        return lif_step(self.comparison, self.spikes, self.reset, self.input_gain)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> LIFCoefficients:
        """Decay and gain of one step; neither depends on `dt`."""
        gain = 1.0 if self.input_gain == "one" else share(self.w, m)
        return LIFCoefficients(share(-self.w, m), gain, self.v_leak, self.v_threshold, self.v_reset, float(2**23))

    def initial(self) -> Any:
        """At rest: v = v_leak, no spike pending."""
        return self.State(self.v_leak, 0.0) if self.reset == "undecayed" else LIFState(self.v_leak)

    def to_lif(self, dt: float, discretisation: Discretisation = "exponential", m: Maths = MATHS) -> LIF:
        """The `LIF` that does the same in steps of dt, for what knows no PLIF (an export, say).

        Args:
            dt: [s] time step.
            discretisation: of the LIF.
            m: functions of the number type.
        """
        lost = share(self.w, m)
        tau = dt / lost if discretisation == "euler" else dt / m.log(1 + m.exp(self.w))
        potentials = (self.v_leak, self.v_threshold, self.v_reset)
        return LIF(tau, *potentials, **self.flags())

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """n silent steps at once; none for `"undecayed"`, whose subtraction is still pending."""
        return None if self.reset == "undecayed" else silent_steps

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """True if v stays below the threshold under constant input."""
        return None if self.reset == "undecayed" else stays_below
