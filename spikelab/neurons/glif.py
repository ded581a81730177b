"""Gated LIF: three learnt gates mix two leaks, two inputs and two resets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.lif import LIFState
from spikelab.neurons.model import (
    MATHS,
    Discretisation,
    Maths,
    NeuronModel,
    Step,
    Value,
    choice,
    decay,
    parameter,
    share,
)

__all__ = ["GLIF", "GLIFCoefficients"]


class GLIFCoefficients(NamedTuple):
    """Per step: decay, linear leak [V], input gain, share of the hard reset, soft reset [V], threshold [V]."""

    a_mem: Any
    leak: Any
    gain: Any
    hard: Any
    soft: Any
    v_threshold: Any


@cache
def _step(comparison: str) -> Step:
    fires = how.fire(comparison, "one")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = s.v - c.leak + c.gain * x
        z = fires(v, c, f)
        left = c.a_mem * v
        return z, LIFState(left - f.detach(z) * (c.hard * left + c.soft))

    return step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    d = c.a_mem * (c.gain * x - c.leak)
    if c.a_mem == 1:
        return LIFState(s.v + n * d)
    rest = d / (1 - c.a_mem)
    return LIFState(rest + c.a_mem**n * (s.v - rest))


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # What is compared moves monotonically from v + d to d / (1 - a), but for rounding (1e-6).
    d = c.gain * x - c.leak
    room = c.v_threshold * (1 - c.a_mem) - d
    rounding = 1e-6 * (abs(c.v_threshold) + abs(d))
    return bool(c.a_mem >= 0 and room > rounding and s.v + d < c.v_threshold - rounding)


@dataclass(frozen=True, eq=False)
class GLIF(NeuronModel):
    """A LIF in which each of leak, input and reset is a mixture of two, and the shares are learnt.

    Order within a step: linear leak, add input, compare, decay, reset. With g = sigmoid of a gate:
    `v = v - (1 - g_leak) leak_rate dt + (1 - g_input (1 - conductance)) x`, `z = [v > v_threshold]`,
    `v = A v (1 - g_reset z) - (1 - g_reset) v_subtract z`, `A = 1 - g_leak (1 - a)`, `a` the decay of `tau_mem`.
    v is kept after decay and reset, ready for the next input: the paper decays and resets at the start of the next
    step, which is the same. The linear leak pulls v down without end, as in the paper.

    A gate far above 0 chooses exponential leak, input times the conductance, hard reset to 0; far below 0 linear
    leak, plain input, soft reset.

    spikingjelly's `GatedLIFNode` with a conductance that is the same in all steps: `comparison=">="`; the authors'
    neuron: `">"`. Their decay factor `tau` is exp(-dt / tau_mem), their `linear_decay` is leak_rate dt.

    Args:
        gate_leak: exponential against linear leak; the paper's alpha.
        gate_input: conductance against plain input; the paper's beta.
        gate_reset: hard against soft reset; the paper's gamma.
        tau_mem: [s] time constant of the exponential leak.
        leak_rate: [V/s] linear leak.
        conductance: factor on the gated input.
        v_threshold: [V] spikes when v exceeds it.
        v_subtract: [V] what the soft reset takes off.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Yao et al., GLIF: A unified gated leaky integrate-and-fire neuron, NeurIPS 2022.

    Example:
        >>> c = GLIF(gate_input=0.0, conductance=0.5).coefficients(1e-3, "exponential")
        >>> float(c.gain)  # half way between 1 and 1/2
        0.75
    """

    gate_leak: Value = parameter(0.0, unit="1", doc="exponential against linear leak")
    gate_input: Value = parameter(0.0, unit="1", doc="conductance against plain input")
    gate_reset: Value = parameter(0.0, unit="1", doc="hard against soft reset")
    tau_mem: Value = parameter(20e-3, unit="s", doc="time constant of the exponential leak", positive=True)
    leak_rate: Value = parameter(10.0, unit="V/s", doc="linear leak", positive=True)
    conductance: Value = parameter(0.5, unit="1", doc="factor on the gated input", positive=True)
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_subtract: Value = parameter(1.0, unit="V", doc="what the soft reset takes off")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    State = LIFState
    Coefficients = GLIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "V", "1", "1", "V", "V")

    @property
    def step(self) -> Step:
        """Linear leak, add input, compare, decay, reset."""
        return _step(self.comparison)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> GLIFCoefficients:
        """The gates, once per call: nothing of them is left in the step."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        a_mem = 1 - share(self.gate_leak, m) * (1 - a)
        leak = share(-self.gate_leak, m) * (self.leak_rate * dt)
        gain = 1 - share(self.gate_input, m) * (1 - self.conductance)
        soft = share(-self.gate_reset, m) * self.v_subtract
        return GLIFCoefficients(a_mem, leak, gain, share(self.gate_reset, m), soft, self.v_threshold)

    def initial(self) -> LIFState:
        """v = 0."""
        return LIFState(0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if v stays below the threshold under constant input."""
        return _quiet
