"""Graded LIF: a whole number of spikes per step, up to a limit, by rounding the membrane to thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spikelab.arrays import to_array
from spikelab.errors import UnitError
from spikelab.neurons import conventions as how
from spikelab.neurons.lif import LIFState, silent_steps, stays_below
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["GradedLIF", "GradedLIFCoefficients"]


class GradedLIFCoefficients(NamedTuple):
    """Per step: decay, input gain, potentials [V]; v_threshold brings the first spike, v_step is one spike's worth."""

    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_step: Any
    most: Any


@cache
def _step(input_gain: str) -> Step:
    scaled = how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c)
        z = f.count(v + c.v_threshold, c.v_step, c.most)
        return z, LIFState(v - f.detach(z) * c.v_step)

    return step


@dataclass(frozen=True, eq=False)
class GradedLIF(NeuronModel):
    """A LIF that gives `v / v_threshold`, rounded and limited to 0 ... `most`, and keeps the remainder.

    Order within a step: decay, add input, count, subtract:
    `v = v_leak + a (v - v_leak) + gain x`, `z = min(max(floor(v / v_threshold + 1/2), 0), most)`,
    `v = v - z v_threshold`. The first spike comes at half a threshold, and the remainder lies between minus and
    plus one half, unless the limit cuts. `LIF(spikes="many")` counts whole thresholds instead, without a limit.
    Backward the layer's surrogate acts at the nearest of the steps; the papers let the gradient through unchanged
    between 0 and `most`.

    spikingjelly's `ILIFNode` and the authors' neuron, which round halves to the even number: Euler steps; their
    decay 0.25 is tau_mem = dt / 0.75.

    Args:
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        v_threshold: [V] one spike's worth.
        most: most spikes per step, a whole number; the paper's D.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Luo et al., Integer-valued training and spike-driven inference spiking neural network, ECCV 2024
        (I-LIF); Yao et al., Scaling spike-driven transformer with efficient spike firing approximation training,
        arXiv:2411.16061, 2024.

    Example:
        >>> GradedLIF(most=8).most
        8.0
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="one spike's worth", positive=True)
    most: Value = parameter(4.0, unit="1", doc="most spikes per step", positive=True)
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")

    State = LIFState
    Coefficients = GradedLIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "V", "V", "V", "1")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.most, "detach"):
            most = to_array(self.most, "GradedLIF.most")
            if (most != np.round(most)).any():
                raise UnitError(f"{type(self).__name__}.most: found {self.most}; expected a whole number, as in 4")

    @property
    def step(self) -> Step:
        """Decay, add input, count, subtract."""
        return _step(self.input_gain)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> GradedLIFCoefficients:
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        return GradedLIFCoefficients(a, gain, self.v_leak, self.v_threshold / 2, self.v_threshold, self.most)

    def initial(self) -> LIFState:
        """At rest: v = v_leak."""
        return LIFState(self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return silent_steps

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if v stays below half a threshold under constant input."""
        return stays_below
