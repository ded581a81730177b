"""Complementary LIF: a second potential remembers the spikes and deepens the reset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["CLIF", "CLIFCoefficients", "CLIFState"]


class CLIFState(NamedTuple):
    """v: membrane potential [V]; m: complementary potential, in spikes."""

    v: Any
    m: Any


class CLIFCoefficients(NamedTuple):
    """Per step: decay, input gain, leak per v_scale [1/V], potentials [V]."""

    a_mem: Any
    gain: Any
    leak: Any
    v_threshold: Any
    v_scale: Any


@cache
def _step(comparison: str, input_gain: str) -> Step:
    fires, scaled = how.fire(comparison, "one"), how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.a_mem * s.v + scaled(x, c)
        z = fires(v, c, f)
        m = s.m * f.sigmoid(c.leak * v) + z
        return z, CLIFState(v - f.detach(z) * (c.v_threshold + c.v_scale * f.sigmoid(m)), m)

    return step


@dataclass(frozen=True, eq=False)
class CLIF(NeuronModel):
    """A LIF with soft reset that subtracts more the more it has spiked: adaptation without a parameter of its own.

    Order within a step: decay, add input, compare, complementary potential, reset:
    `v = a v + gain x`, `z = [v > v_threshold]`, `m = m sigmoid((1 - a) v / v_scale) + z`,
    `v = v - z (v_threshold + v_scale sigmoid(m))`.
    m keeps one half a step at rest, more where the membrane is high; its path keeps a gradient where that of the
    membrane has decayed. The paper's 1 / tau is 1 - a.

    spikingjelly's `ComplementaryLIFNode` and the authors' neuron: `comparison=">="`, Euler steps.

    Args:
        tau_mem: [s] membrane time constant.
        v_threshold: [V] spikes when v exceeds it.
        v_scale: [V] unit of the potential in both sigmoids; the deepest reset is `v_threshold + v_scale`.
        comparison: `">"` or `">="`.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Huang et al., CLIF: Complementary leaky integrate-and-fire neuron for spiking neural networks, ICML 2024.

    Example:
        >>> CLIF(tau_mem="2 ms").initial()
        CLIFState(v=0.0, m=0.0)
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_scale: Value = parameter(1.0, unit="V", doc="unit of the potential in both sigmoids", positive=True)
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")

    State = CLIFState
    Coefficients = CLIFCoefficients
    state_units = ("V", "1")
    coefficient_units = ("1", "1", "1/V", "V", "V")

    @property
    def step(self) -> Step:
        """Decay, add input, compare, complementary potential, reset."""
        return _step(self.comparison, self.input_gain)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> CLIFCoefficients:
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        return CLIFCoefficients(a, gain, (1 - a) / self.v_scale, self.v_threshold, self.v_scale)

    def initial(self) -> CLIFState:
        """At rest: v = 0, m = 0."""
        return CLIFState(0.0, 0.0)
