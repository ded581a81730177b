"""Leaky integrate-and-fire neuron: one state variable, the input adds to it directly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = [
    "LIF",
    "LIFCoefficients",
    "LIFState",
    "UndecayedLIFState",
    "lif_step",
    "silent_steps",
    "stays_below",
]


class LIFState(NamedTuple):
    """v: membrane potential [V]."""

    v: Any


class UndecayedLIFState(NamedTuple):
    """v: membrane potential before the reset [V]; z: spikes of the last step, subtracted in the next."""

    v: Any
    z: Any


class LIFCoefficients(NamedTuple):
    """Per step: membrane decay, input gain, potentials [V], and the constants of the conventions."""

    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    most: Any


@cache
def lif_step(comparison: str, spikes: str, reset: str, input_gain: str) -> Step:
    """Pure `step` of a LIF with these flags."""
    fires, resets, scaled = how.fire(comparison, spikes), how.reset(reset), how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c)
        z = fires(v, c, f)
        return z, LIFState(resets(z, v, c, f))

    def undecayed(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c) - f.detach(s.z) * c.v_threshold
        z = fires(v, c, f)
        return z, UndecayedLIFState(v, z)

    return undecayed if reset == "undecayed" else step


def silent_steps(x: Any, s: Any, c: Any, n: int) -> Any:
    """`leap` of a LIF: n steps of its membrane under constant input x."""
    if c.a_mem == 1:
        return LIFState(s.v + n * (c.gain * x))
    rest = c.v_leak + c.gain * x / (1 - c.a_mem)
    return LIFState(rest + c.a_mem**n * (s.v - rest))


def stays_below(x: Any, s: Any, c: Any) -> bool:
    """`quiet` of a LIF: its membrane stays below the threshold under constant input x."""
    # For a >= 0 the potential moves monotonically from v to v_leak + drive / (1 - a), but for rounding (1e-6).
    drive = c.gain * x
    room = (c.v_threshold - c.v_leak) * (1 - c.a_mem) - drive
    rounding = 1e-6 * (abs(c.v_threshold) + abs(c.v_leak) + abs(drive))
    return bool(c.a_mem >= 0 and room > rounding and s.v < c.v_threshold)


@dataclass(frozen=True, eq=False)
class LIF(NeuronModel):
    """Membrane decays to `v_leak`, jumps by the input, spikes above `v_threshold`.

    Order within a step: decay, add input, compare, reset:
    `v = v_leak + a (v - v_leak) + gain x`, `z = [v > v_threshold]`, `v = v_reset where z`.
    With `reset="undecayed"` the threshold is subtracted in the next step, after the decay.

    Args:
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        reset: `"hard"`, `"soft"`, `"undecayed"` or `"none"`.
        comparison: `">"` or `">="`.
        spikes: `"one"` or `"many"` per step.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag, or flags that do not go together.

    Source:
        Gerstner et al., Neuronal Dynamics, 2014, section 1.3.

    Example:
        >>> neuron = LIF(tau_mem="20 ms", reset="soft")
        >>> neuron.tau_mem
        0.02
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=how.RESETS_OR_NONE, doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    spikes: str = choice("one", options=how.SPIKES, doc="spikes per step")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")

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
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        return LIFCoefficients(a, gain, self.v_leak, self.v_threshold, self.v_reset, float(2**23))

    def initial(self) -> Any:
        """At rest: v = v_leak, no spike pending."""
        return self.State(self.v_leak, 0.0) if self.reset == "undecayed" else LIFState(self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """n silent steps at once; none for `"undecayed"`, whose subtraction is still pending."""
        return None if self.reset == "undecayed" else silent_steps

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """True if v stays below the threshold under constant input."""
        return None if self.reset == "undecayed" else stays_below
