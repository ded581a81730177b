"""Exponential integrate-and-fire neuron: near the rheobase an exponential current starts the spike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["EIF", "EIFCoefficients", "EIFState"]


class EIFState(NamedTuple):
    """v: membrane potential [V]."""

    v: Any


class EIFCoefficients(NamedTuple):
    """Per step: membrane decay, input gain, size of the onset [V], 1 / delta [1/V], potentials [V]."""

    a_mem: Any
    gain: Any
    onset: Any
    steepness: Any
    v_leak: Any
    v_rheobase: Any
    v_threshold: Any
    v_reset: Any


@cache
def _step(comparison: str) -> Step:
    fires, resets = how.fire(comparison, "one"), how.reset("hard")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        onset = c.onset * f.exp((f.minimum(s.v, c.v_threshold) - c.v_rheobase) * c.steepness)
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + c.gain * x + onset
        z = fires(v, c, f)
        return z, EIFState(resets(z, v, c, f))

    return step


@dataclass(frozen=True, eq=False)
class EIF(NeuronModel):
    """`tau_mem v' = v_leak - v + delta exp((v - v_rheobase) / delta) + x`; a spike where v exceeds `v_threshold`.

    Order within a step: decay, add input and onset (of the potential before the step), compare, reset to `v_reset`.
    With a = exp(-dt / tau_mem) the leak is exact and input and onset stand still for a step (exponential Euler):
    `v = v_leak + a (v - v_leak) + (1 - a) (x + delta exp((v - v_rheobase) / delta))`; `discretisation="euler"` puts
    a = 1 - dt / tau_mem, which is the Euler step. In the exponent v is at most `v_threshold`; a run that started
    below never meets this bound, but exp cannot overflow.

    With Euler steps it equals spikingjelly's `EIFNode` (`comparison=">="`) and norse's `lif_ex_current_encoder`;
    norse's `LIFEx` is the same behind a synaptic current.

    Args:
        tau_mem: [s] membrane time constant.
        delta: [V] sharpness of the onset.
        v_leak: [V] resting potential without onset.
        v_rheobase: [V] where the onset's slope equals the leak's.
        v_threshold: [V] spikes when v exceeds it; far above v_rheobase its value hardly matters.
        v_reset: [V] value of v after a spike.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Fourcaud-Trocme et al., Journal of Neuroscience 23, 2003: equations and defaults (a cut-off of ours).

    Example:
        >>> EIF(delta="2 mV").initial()
        EIFState(v=-0.065)
    """

    tau_mem: Value = parameter(10e-3, unit="s", doc="membrane time constant", positive=True)
    delta: Value = parameter(3.48e-3, unit="V", doc="sharpness of the onset", positive=True)
    v_leak: Value = parameter(-65e-3, unit="V", doc="resting potential without onset")
    v_rheobase: Value = parameter(-59.9e-3, unit="V", doc="where the onset's slope equals the leak's")
    v_threshold: Value = parameter(-30e-3, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(-68e-3, unit="V", doc="value of v after a spike")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    reset: ClassVar[str] = "hard"
    spikes: ClassVar[str] = "one"
    State = EIFState
    Coefficients = EIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "V", "1/V", "V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Decay, add input and onset, compare, reset."""
        return _step(self.comparison)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> EIFCoefficients:
        """Decay and gains of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain, potentials = 1 - a, (self.v_leak, self.v_rheobase, self.v_threshold, self.v_reset)
        return EIFCoefficients(a, gain, gain * self.delta, 1 / self.delta, *potentials)

    def initial(self) -> EIFState:
        """v = v_leak."""
        return EIFState(self.v_leak)
