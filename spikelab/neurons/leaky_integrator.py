"""Leaky integrators: read-outs that give a potential and never spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.cuba_lif import SYNAPSES, coupled, synapse
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["LI", "CubaLI", "CubaLICoefficients", "CubaLIState", "LICoefficients", "LIState"]


class LIState(NamedTuple):
    """v: membrane potential [V]."""

    v: Any


class LICoefficients(NamedTuple):
    """Per step: membrane decay, input gain, resting potential [V]."""

    a_mem: Any
    gain: Any
    v_leak: Any


@cache
def _step(input_gain: str) -> Step:
    scaled = how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c)
        return v, LIState(v)

    return step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    if c.a_mem == 1:
        return LIState(s.v + n * (c.gain * x))
    rest = c.v_leak + c.gain * x / (1 - c.a_mem)
    return LIState(rest + c.a_mem**n * (s.v - rest))


@dataclass(frozen=True, eq=False)
class LI(NeuronModel):
    """Low-pass filter of the input; the output is the membrane potential.

    Order within a step: decay, add input, output: `v = v_leak + a (v - v_leak) + gain x`.

    Args:
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Gerstner et al., Neuronal Dynamics, 2014, section 1.3 (without threshold).

    Example:
        >>> LI(tau_mem="50 ms").output_unit
        'V'
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")

    State = LIState
    Coefficients = LICoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "V")
    output_unit = "V"
    spiking = False

    @property
    def step(self) -> Step:
        """Decay, add input, output."""
        return _step(self.input_gain)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> LICoefficients:
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        return LICoefficients(a, how.gain(self.input_gain, a, dt, self.tau_mem), self.v_leak)

    def initial(self) -> LIState:
        """At rest."""
        return LIState(self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n steps under constant input at once."""
        return _leap


class CubaLIState(NamedTuple):
    """i: synaptic current, as the potential that it adds per step [V]; v: membrane potential [V]."""

    i: Any
    v: Any


class CubaLICoefficients(NamedTuple):
    """Per step: decays of current and membrane, input gain, resting potential [V]."""

    a_syn: Any
    a_mem: Any
    gain: Any
    v_leak: Any


@cache
def _cuba_step(input_gain: str, kind: str) -> Step:
    scaled, current = how.scaled(input_gain), synapse(kind)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        i = current(x, s, c)
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(i, c)
        return v, CubaLIState(i, v)

    return step


@dataclass(frozen=True, eq=False)
class CubaLI(NeuronModel):
    """A synaptic current drives a leaky membrane; the output is the membrane potential.

    Order within a step: synapse, decay of the membrane, add current, output.

    Args:
        tau_syn: [s] time constant of the synaptic current.
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        input_gain: factor on the current: `"one"`, `"1-a"` or `"dt/tau"`.
        synapse: `"decay_then_add"` or `"add_then_decay"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Brette et al., Journal of Computational Neuroscience 23, 2007, benchmark 2 (without threshold).
    """

    tau_syn: Value = parameter(5e-3, unit="s", doc="time constant of the synaptic current", positive=True)
    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the current")
    synapse: str = choice("decay_then_add", options=SYNAPSES, doc="order of decay and input in the current")

    State = CubaLIState
    Coefficients = CubaLICoefficients
    state_units = ("V", "V")
    coefficient_units = ("1", "1", "1", "V")
    output_unit = "V"
    spiking = False

    @property
    def step(self) -> Step:
        """Synapse, decay, add current, output."""
        return _cuba_step(self.input_gain, self.synapse)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> CubaLICoefficients:
        """Decays and gain of one step of `dt` seconds."""
        b = decay(self.tau_syn, dt, discretisation, m, f"{type(self).__name__}.tau_syn")
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        return CubaLICoefficients(b, a, how.gain(self.input_gain, a, dt, self.tau_mem), self.v_leak)

    def initial(self) -> CubaLIState:
        """At rest: no current."""
        return CubaLIState(0.0, self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n steps under constant input at once."""
        return _cuba_leap_decay_then_add if self.synapse == "decay_then_add" else _cuba_leap_add_then_decay


def _cuba_leap_decay_then_add(x: Any, s: Any, c: Any, n: int) -> Any:
    i, v = coupled(s.i, s.v - c.v_leak, x, c.a_syn, c.a_mem, c.gain * c.a_syn, c.gain, n)
    return CubaLIState(i, c.v_leak + v)


def _cuba_leap_add_then_decay(x: Any, s: Any, c: Any, n: int) -> Any:
    i, v = coupled(s.i, s.v - c.v_leak, c.a_syn * x, c.a_syn, c.a_mem, c.gain * c.a_syn, c.gain, n)
    return CubaLIState(i, c.v_leak + v)
