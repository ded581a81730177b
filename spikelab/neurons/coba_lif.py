"""Conductance-based leaky integrate-and-fire neuron: inputs open channels that pull v to their reversal potentials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.cuba_lif import SYNAPSES
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

__all__ = ["MEMBRANES", "CobaLIF", "CobaLIFCoefficients", "CobaLIFInputs", "CobaLIFState"]

MEMBRANES = ("exact", "euler")
"""How v moves during a step in which the conductances stand still."""


class CobaLIFInputs(NamedTuple):
    """excitatory, inhibitory: what is added to the conductances in this step [S]."""

    excitatory: Any
    inhibitory: Any


class CobaLIFState(NamedTuple):
    """v: membrane potential [V]; g_exc, g_inh: excitatory and inhibitory conductance [S]."""

    v: Any
    g_exc: Any
    g_inh: Any


class CobaLIFCoefficients(NamedTuple):
    """Per step: decays, -dt / c_mem [ohm], leak conductance [S] and current [A], potentials [V], no conductance [S]."""

    a_exc: Any
    a_inh: Any
    rate: Any
    g_leak: Any
    i_leak: Any
    e_exc: Any
    e_inh: Any
    v_threshold: Any
    v_reset: Any
    closed: Any


def _exact(v: Any, total: Any, drive: Any, c: Any, f: Any) -> Any:
    settled = f.divide(drive, total)
    return settled + f.exp(c.rate * total) * (v - settled)


def _euler(v: Any, total: Any, drive: Any, c: Any, f: Any) -> Any:
    return v + c.rate * (total * v - drive)


@cache
def _step(comparison: str, synapse: str, membrane: str) -> Step:
    fires, resets = how.fire(comparison, "one"), how.reset("hard")
    moves = _exact if membrane == "exact" else _euler

    def decay_then_add(a: Any, g: Any, x: Any) -> Any:
        return a * g + x

    def add_then_decay(a: Any, g: Any, x: Any) -> Any:
        return a * (g + x)

    opened = decay_then_add if synapse == "decay_then_add" else add_then_decay

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        g_exc = opened(c.a_exc, s.g_exc, f.maximum(x.excitatory, c.closed))
        g_inh = opened(c.a_inh, s.g_inh, f.maximum(x.inhibitory, c.closed))
        total = c.g_leak + g_exc + g_inh
        v = moves(s.v, total, c.i_leak + g_exc * c.e_exc + g_inh * c.e_inh, c, f)
        z = fires(v, c, f)
        return z, CobaLIFState(resets(z, v, c, f), g_exc, g_inh)

    return step


@dataclass(frozen=True, eq=False)
class CobaLIF(NeuronModel):
    """Inputs raise two conductances, which decay and pull v to their reversal potentials.

    `c_mem v' = g_leak (v_leak - v) + g_exc (e_exc - v) + g_inh (e_inh - v)`; a spike where v exceeds `v_threshold`.

    Two ports, `excitatory` and `inhibitory`, in S: `layer(layer.model.Inputs(a, b))` for a layer,
    `Projection(..., port="excitatory")` for a network. What arrives at a port adds up; below 0 it counts as 0, for
    conductances are not negative.

    Order within a step: conductances (decay, add input), v under the new conductances, compare, reset to `v_reset`.
    While the conductances stand still, v tends to their mean of the reversal potentials with the time constant
    c_mem / (g_leak + g_exc + g_inh): `membrane="exact"` takes that step exactly at any dt; `"euler"` takes an Euler
    step, which overshoots where dt is longer than this time constant. The conductances decay by exp(-dt / tau), or
    with `discretisation="euler"` by 1 - dt / tau. With `synapse="add_then_decay"` the input decays in the step it
    comes.

    norse's `coba_lif_feed_forward_step` is `membrane="euler"`, `synapse="add_then_decay"` in Euler steps, with its
    signed input x as `Inputs(x, -x)`.

    Args:
        c_mem: [F] membrane capacitance.
        g_leak: [S] leak conductance.
        tau_exc: [s] time constant of the excitatory conductance.
        tau_inh: [s] time constant of the inhibitory conductance.
        v_leak: [V] value v decays to without input.
        e_exc: [V] excitatory reversal potential.
        e_inh: [V] inhibitory reversal potential.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike.
        comparison: `">"` or `">="`.
        synapse: `"decay_then_add"` or `"add_then_decay"`.
        membrane: `"exact"` or `"euler"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Brette et al., Journal of Computational Neuroscience 23, 2007, benchmark 1 (COBA): equations and defaults.

    Example:
        >>> CobaLIF(tau_exc="5 ms").initial()
        CobaLIFState(v=-0.06, g_exc=0.0, g_inh=0.0)
    """

    c_mem: Value = parameter(200e-12, unit="F", doc="membrane capacitance", positive=True)
    g_leak: Value = parameter(10e-9, unit="S", doc="leak conductance", positive=True)
    tau_exc: Value = parameter(5e-3, unit="s", doc="time constant of the excitatory conductance", positive=True)
    tau_inh: Value = parameter(10e-3, unit="s", doc="time constant of the inhibitory conductance", positive=True)
    v_leak: Value = parameter(-60e-3, unit="V", doc="value v decays to without input")
    e_exc: Value = parameter(0.0, unit="V", doc="excitatory reversal potential")
    e_inh: Value = parameter(-80e-3, unit="V", doc="inhibitory reversal potential")
    v_threshold: Value = parameter(-50e-3, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(-60e-3, unit="V", doc="value of v after a spike")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    synapse: str = choice("decay_then_add", options=SYNAPSES, doc="order of decay and input in the conductances")
    membrane: str = choice("exact", options=MEMBRANES, doc="how v moves under fixed conductances")

    reset: ClassVar[str] = "hard"
    spikes: ClassVar[str] = "one"
    Inputs = CobaLIFInputs
    State = CobaLIFState
    Coefficients = CobaLIFCoefficients
    ports = {"excitatory": Port("S", 1), "inhibitory": Port("S", 1)}  # noqa: RUF012
    state_units = ("V", "S", "S")
    coefficient_units = ("1", "1", "ohm", "S", "A", "V", "V", "V", "V", "S")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Conductances, membrane, compare, reset."""
        return _step(self.comparison, self.synapse, self.membrane)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> CobaLIFCoefficients:
        """Decays and rates of one step of `dt` seconds."""
        name = type(self).__name__
        a_exc = decay(self.tau_exc, dt, discretisation, m, f"{name}.tau_exc")
        a_inh = decay(self.tau_inh, dt, discretisation, m, f"{name}.tau_inh")
        leak, potentials = (self.g_leak, self.g_leak * self.v_leak), (self.v_threshold, self.v_reset)
        return CobaLIFCoefficients(a_exc, a_inh, -dt / self.c_mem, *leak, self.e_exc, self.e_inh, *potentials, 0.0)

    def initial(self) -> CobaLIFState:
        """At rest: v = v_leak, channels closed."""
        return CobaLIFState(self.v_leak, 0.0, 0.0)
