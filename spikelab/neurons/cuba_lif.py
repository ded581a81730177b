"""Current-based leaky integrate-and-fire neuron: the input feeds a synaptic current, the current the membrane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = [
    "SYNAPSES",
    "CubaLIF",
    "CubaLIFCoefficients",
    "CubaLIFState",
    "UndecayedCubaLIFState",
    "coupled",
    "synapse",
]

SYNAPSES = ("decay_then_add", "add_then_decay")
"""Order of decay and input in the synaptic current."""


class CubaLIFState(NamedTuple):
    """i: synaptic current, as the potential that it adds per step [V]; v: membrane potential [V]."""

    i: Any
    v: Any


class UndecayedCubaLIFState(NamedTuple):
    """i: synaptic current [V]; v: potential before the reset [V]; z: spikes of the last step."""

    i: Any
    v: Any
    z: Any


class CubaLIFCoefficients(NamedTuple):
    """Per step: decays of current and membrane, input gain, potentials [V], constants of the conventions."""

    a_syn: Any
    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    most: Any


def _decay_then_add(x: Any, s: Any, c: Any) -> Any:
    return c.a_syn * s.i + x


def _add_then_decay(x: Any, s: Any, c: Any) -> Any:
    return c.a_syn * (s.i + x)


def synapse(kind: str) -> Callable[[Any, Any, Any], Any]:
    """Pure function `(x, s, c) -> i` of a synaptic current."""
    return _decay_then_add if kind == "decay_then_add" else _add_then_decay


@cache
def _step(comparison: str, spikes: str, reset: str, input_gain: str, kind: str) -> Step:
    fires, resets, scaled, current = (
        how.fire(comparison, spikes),
        how.reset(reset),
        how.scaled(input_gain),
        synapse(kind),
    )

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        i = current(x, s, c)
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(i, c)
        z = fires(v, c, f)
        return z, CubaLIFState(i, resets(z, v, c, f))

    def undecayed(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        i = current(x, s, c)
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(i, c) - f.detach(s.z) * c.v_threshold
        z = fires(v, c, f)
        return z, UndecayedCubaLIFState(i, v, z)

    return undecayed if reset == "undecayed" else step


def coupled(i: Any, v: Any, x: Any, b: Any, a: Any, e: Any, f: Any, n: int) -> tuple[Any, Any]:
    """n steps of `v = a v + e i + f x; i = b i + x`, by doubling: O(log n), no cancellation."""
    # One step maps (i, v, x) to (b i + x, a v + e i + f x); its powers keep the shape
    # (B i + D x, A v + E i + F x), so squaring and multiplying these five numbers gives the n-th power.
    d = 1.0
    while n > 0:
        if n % 2 == 1:
            i, v = b * i + d * x, a * v + e * i + f * x
        b, d, a, e, f = b * b, b * d + d, a * a, a * e + e * b, a * f + e * d + f
        n //= 2
    return i, v


def _leap_decay_then_add(x: Any, s: Any, c: Any, n: int) -> Any:
    i, v = coupled(s.i, s.v - c.v_leak, x, c.a_syn, c.a_mem, c.gain * c.a_syn, c.gain, n)
    return CubaLIFState(i, c.v_leak + v)


def _leap_add_then_decay(x: Any, s: Any, c: Any, n: int) -> Any:
    i, v = coupled(s.i, s.v - c.v_leak, c.a_syn * x, c.a_syn, c.a_mem, c.gain * c.a_syn, c.gain, n)
    return CubaLIFState(i, c.v_leak + v)


def _bounded(i: Any, v: Any, x: Any, c: Any) -> bool:
    # The current moves monotonically from i to x / (1 - b), but for rounding (1e-6): v stays below what the
    # larger of both would reach.
    if c.a_syn < 0 or c.a_syn >= 1 or c.a_mem < 0 or c.a_mem >= 1 or c.gain < 0:
        return False
    final = x / (1 - c.a_syn)
    peak = max(c.a_syn * i + x, final) + 1e-6 * max(abs(i), abs(final)) / (1 - c.a_syn)
    room = (c.v_threshold - c.v_leak) * (1 - c.a_mem) - c.gain * peak
    rounding = 1e-6 * (abs(c.v_threshold) + abs(c.v_leak) + c.gain * abs(peak))
    return bool(room > rounding and v < c.v_threshold)


def _quiet_decay_then_add(x: Any, s: Any, c: Any) -> bool:
    return _bounded(s.i, s.v, x, c)


def _quiet_add_then_decay(x: Any, s: Any, c: Any) -> bool:
    return _bounded(s.i, s.v, c.a_syn * x, c)


@dataclass(frozen=True, eq=False)
class CubaLIF(NeuronModel):
    """The input jumps a synaptic current that decays and drives a leaky membrane.

    Order within a step: synapse, decay of the membrane, add current, compare, reset:
    `i = b i + x`, `v = v_leak + a (v - v_leak) + gain i`, `z = [v > v_threshold]`, `v = v_reset where z`.
    With `synapse="add_then_decay"` the current is `i = b (i + x)`.

    Args:
        tau_syn: [s] time constant of the synaptic current.
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        reset: `"hard"`, `"soft"`, `"undecayed"` or `"none"`.
        comparison: `">"` or `">="`.
        spikes: `"one"` or `"many"` per step.
        input_gain: factor on the current: `"one"`, `"1-a"` or `"dt/tau"` (of the membrane).
        synapse: `"decay_then_add"` or `"add_then_decay"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag, or flags that do not go together.

    Source:
        Brette et al., Journal of Computational Neuroscience 23, 2007, benchmark 2 (CUBA).

    Example:
        >>> CubaLIF(tau_syn="5 ms", tau_mem="20 ms").initial()
        CubaLIFState(i=0.0, v=0.0)
    """

    tau_syn: Value = parameter(5e-3, unit="s", doc="time constant of the synaptic current", positive=True)
    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=how.RESETS_OR_NONE, doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    spikes: str = choice("one", options=how.SPIKES, doc="spikes per step")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the current")
    synapse: str = choice("decay_then_add", options=SYNAPSES, doc="order of decay and input in the current")

    Coefficients = CubaLIFCoefficients
    coefficient_units = ("1", "1", "1", "V", "V", "V", "1")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def State(self) -> type[Any]:  # type: ignore[override]
        """`CubaLIFState`, or `UndecayedCubaLIFState` for that reset."""
        return UndecayedCubaLIFState if self.reset == "undecayed" else CubaLIFState

    @property
    def state_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each state variable."""
        return ("V", "V", "1") if self.reset == "undecayed" else ("V", "V")

    @property
    def step(self) -> Step:
        """Synapse, decay, add current, compare, reset."""
        return _step(self.comparison, self.spikes, self.reset, self.input_gain, self.synapse)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> CubaLIFCoefficients:
        """Decays and gain of one step of `dt` seconds."""
        b = decay(self.tau_syn, dt, discretisation, m, f"{type(self).__name__}.tau_syn")
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        return CubaLIFCoefficients(b, a, gain, self.v_leak, self.v_threshold, self.v_reset, float(2**23))

    def initial(self) -> Any:
        """At rest: no current, v = v_leak, no spike pending."""
        return self.State(0.0, self.v_leak, 0.0) if self.reset == "undecayed" else CubaLIFState(0.0, self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """n silent steps at once; none for `"undecayed"`, whose subtraction is still pending."""
        if self.reset == "undecayed":
            return None
        return _leap_decay_then_add if self.synapse == "decay_then_add" else _leap_add_then_decay

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """True if a bound on v stays below the threshold; False may be too careful."""
        if self.reset == "undecayed":
            return None
        return _quiet_decay_then_add if self.synapse == "decay_then_add" else _quiet_add_then_decay
