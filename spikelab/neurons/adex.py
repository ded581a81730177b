"""Adaptive exponential integrate-and-fire neuron: exponential onset of the spike and a slow current against it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import (
    MATHS,
    Discretisation,
    Maths,
    NeuronModel,
    Port,
    Step,
    Value,
    choice,
    decay,
    parameter,
)

__all__ = ["AdEx", "AdExCoefficients", "AdExState"]


class AdExState(NamedTuple):
    """v: membrane potential [V]; w: adaptation current [A]."""

    v: Any
    w: Any


class AdExCoefficients(NamedTuple):
    """Per step: decays, gains of input [ohm], onset [V] and coupling [S], 1 / delta [1/V], potentials [V], jump [A]."""

    a_mem: Any
    a_adapt: Any
    gain: Any
    onset: Any
    coupling: Any
    steepness: Any
    v_leak: Any
    v_rheobase: Any
    v_threshold: Any
    v_reset: Any
    i_jump: Any


@cache
def _step(comparison: str) -> Step:
    fires, resets = how.fire(comparison, "one"), how.reset("hard")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        u = s.v - c.v_leak
        onset = c.onset * f.exp((f.minimum(s.v, c.v_threshold) - c.v_rheobase) * c.steepness)
        v = c.v_leak + c.a_mem * u + c.gain * (x - s.w) + onset
        z = fires(v, c, f)
        w = c.a_adapt * s.w + c.coupling * u + z * c.i_jump
        return z, AdExState(resets(z, v, c, f), w)

    return step


@dataclass(frozen=True, eq=False)
class AdEx(NeuronModel):
    """Exponential onset as in `EIF`, and an adaptation current w that follows v and rises with each spike.

    `c_mem v' = g_leak (v_leak - v + delta exp((v - v_rheobase) / delta)) - w + x`,
    `tau_adapt w' = g_adapt (v - v_leak) - w`; a spike where v exceeds `v_threshold`.

    Order within a step: v and w move, both from the values before the step; compare; v = `v_reset` and
    w = w + `i_jump` where it spikes. With a = exp(-dt g_leak / c_mem) and b = exp(-dt / tau_adapt) both leaks are
    exact, while input, onset and coupling stand still for a step (exponential Euler):
    `v = v_leak + a (v - v_leak) + (1 - a) ((x - w) / g_leak + delta exp(...))`,
    `w = b w + (1 - b) g_adapt (v - v_leak)`;
    `discretisation="euler"` puts the decays of Euler, which makes it the Euler step. In the exponent v is at most
    `v_threshold`; a run that started below never meets this bound, but exp cannot overflow.

    With Euler steps, c_mem = tau_mem in F and g_leak = 1 S it equals norse's `lif_adex_feed_forward_step` behind the
    synaptic current that norse puts in front.

    Args:
        c_mem: [F] membrane capacitance.
        g_leak: [S] leak conductance.
        tau_adapt: [s] time constant of the adaptation.
        delta: [V] sharpness of the onset.
        g_adapt: [S] adaptation by the potential.
        i_jump: [A] adaptation by each spike.
        v_leak: [V] resting potential.
        v_rheobase: [V] where the onset's slope equals the leak's.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike.
        comparison: `">"` or `">="`.

    Steps are of first order in dt: at high rates the times of spikes drift from those of the equations by many steps.
    Make dt shorter until they stay where they are.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Brette and Gerstner, Journal of Neurophysiology 94, 2005: equations 1 to 3 and defaults.

    Example:
        >>> AdEx(g_adapt="4 nS").initial()
        AdExState(v=-0.0706, w=0.0)
    """

    c_mem: Value = parameter(281e-12, unit="F", doc="membrane capacitance", positive=True)
    g_leak: Value = parameter(30e-9, unit="S", doc="leak conductance", positive=True)
    tau_adapt: Value = parameter(144e-3, unit="s", doc="time constant of the adaptation", positive=True)
    delta: Value = parameter(2e-3, unit="V", doc="sharpness of the onset", positive=True)
    g_adapt: Value = parameter(4e-9, unit="S", doc="adaptation by the potential")
    i_jump: Value = parameter(80.5e-12, unit="A", doc="adaptation by each spike")
    v_leak: Value = parameter(-70.6e-3, unit="V", doc="resting potential")
    v_rheobase: Value = parameter(-50.4e-3, unit="V", doc="where the onset's slope equals the leak's")
    v_threshold: Value = parameter(20e-3, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(-70.6e-3, unit="V", doc="value of v after a spike")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    reset: ClassVar[str] = "hard"
    spikes: ClassVar[str] = "one"
    State = AdExState
    Coefficients = AdExCoefficients
    ports = {"x": Port("A")}  # noqa: RUF012
    state_units = ("V", "A")
    coefficient_units = ("1", "1", "ohm", "V", "S", "1/V", "V", "V", "V", "V", "A")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Move v and w, compare, reset v and raise w."""
        return _step(self.comparison)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> AdExCoefficients:
        """Decays and gains of one step of `dt` seconds."""
        name = type(self).__name__
        a = decay(self.c_mem / self.g_leak, dt, discretisation, m, f"{name}.c_mem / g_leak")
        b = decay(self.tau_adapt, dt, discretisation, m, f"{name}.tau_adapt")
        gains = ((1 - a) / self.g_leak, (1 - a) * self.delta, (1 - b) * self.g_adapt)
        potentials = (self.v_leak, self.v_rheobase, self.v_threshold, self.v_reset)
        return AdExCoefficients(a, b, *gains, 1 / self.delta, *potentials, self.i_jump)

    def initial(self) -> AdExState:
        """At rest: v = v_leak, no adaptation."""
        return AdExState(self.v_leak, 0.0)
