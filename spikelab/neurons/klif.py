"""KLIF: a leaky neuron whose membrane is scaled by a learnt factor k and rectified before it is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.lif import LIFState
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["KEPT", "KLIF", "KLIFCoefficients"]

KEPT = ("scaled", "unscaled")
"""Potential that goes on to the next step: k v, or v."""


class KLIFCoefficients(NamedTuple):
    """Per step: decay, gain, k, potentials [V]; v_step is a threshold before the factor k."""

    a_mem: Any
    gain: Any
    k: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    v_step: Any
    zero: Any


@cache
def _step(comparison: str, reset: str, input_gain: str, kept: str) -> Step:
    fires, resets, scaled = how.fire(comparison, "one"), how.reset(reset), how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.k * f.maximum(c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c), c.zero)
        z = fires(v, c, f)
        return z, LIFState(resets(z, v, c, f))

    def unscaled(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = f.maximum(c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c), c.zero)
        z = fires(c.k * v, c, f)
        if reset == "hard":
            return z, LIFState(resets(z, v, c, f))
        return z, LIFState(v - f.detach(z) * c.v_step)

    return step if kept == "scaled" else unscaled


def _rectified(v: Any, a: Any, d: Any, n: int) -> Any:
    """n steps of v = max(a v + d, 0) with a >= 0, by doubling."""
    # After the first step v >= 0, and a v + d falls below 0 at most once, for good (then d < 0): rectify at the end.
    if n > 0:
        v = max(a * v + d, 0.0)
        n -= 1
    while n > 0:
        if n % 2 == 1:
            v = a * v + d
        d = a * d + d
        a = a * a
        n //= 2
    return v


def _leap_scaled(x: Any, s: Any, c: Any, n: int) -> Any:
    if n == 0:
        return LIFState(s.v)
    return LIFState(max(_rectified(s.v, c.k * c.a_mem, c.k * (c.v_leak * (1 - c.a_mem) + c.gain * x), n), 0.0))


def _leap_unscaled(x: Any, s: Any, c: Any, n: int) -> Any:
    if n == 0:
        return LIFState(s.v)
    return LIFState(max(_rectified(s.v, c.a_mem, c.v_leak * (1 - c.a_mem) + c.gain * x, n), 0.0))


def _below(v: Any, a: Any, d: Any, v_threshold: Any) -> bool:
    # v moves monotonically to d / (1 - a), or to 0 where that is below 0, but for rounding (1e-6).
    room = v_threshold * (1 - a) - d
    return bool(0 <= a < 1 and v_threshold > 0 and room > 1e-6 * (v_threshold + abs(d)) and v < v_threshold)


def _quiet_scaled(x: Any, s: Any, c: Any) -> bool:
    return _below(s.v, c.k * c.a_mem, c.k * (c.v_leak * (1 - c.a_mem) + c.gain * x), c.v_threshold)


def _quiet_unscaled(x: Any, s: Any, c: Any) -> bool:
    return _below(s.v, c.a_mem, c.v_leak * (1 - c.a_mem) + c.gain * x, c.v_step)


@dataclass(frozen=True, eq=False)
class KLIF(NeuronModel):
    """A LIF that compares k max(v, 0) with its threshold: k sets the slope of the surrogate and the membrane's scale.

    Order within a step: decay, add input, rectify, scale, compare, reset:
    `v = max(v_leak + a (v - v_leak) + gain x, 0)`, `u = k v`, `z = [u > v_threshold]`, then
    `v = u`, or `v_reset where z` (hard), or `u - z v_threshold` (soft). With `kept="unscaled"` v goes on in place
    of u, and a soft reset subtracts `v_threshold / k`.

    With `"scaled"` the membrane grows by the factor k a per step: for k > 1 / a any charge runs up to a spike.

    spikingjelly's `KLIFNode`: `comparison=">="`, `v_leak=v_reset`, Euler steps; `scale_reset=True` is
    `kept="unscaled"`, `decay_input=False` is `input_gain="one"`, `v_reset=None` is `reset="soft"`.

    Args:
        tau_mem: [s] membrane time constant.
        k: factor on the rectified membrane.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when k v exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        reset: `"hard"` or `"soft"`.
        comparison: `">"` or `">="`.
        input_gain: `"1-a"`, `"dt/tau"` or `"one"`.
        kept: `"scaled"` or `"unscaled"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Jiang and Zhang, KLIF: An optimized spiking neuron unit for tuning surrogate gradient slope and membrane
        potential, arXiv:2302.09238, 2023.

    Example:
        >>> KLIF(tau_mem="20 ms", k=1.2).k
        1.2
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    k: Value = parameter(1.0, unit="1", doc="factor on the rectified membrane", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when k v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=("hard", "soft"), doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="k v against the threshold")
    input_gain: str = choice("1-a", options=how.GAINS, doc="factor on the input")
    kept: str = choice("scaled", options=KEPT, doc="potential that goes on to the next step")

    State = LIFState
    Coefficients = KLIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "1", "V", "V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Decay, add input, rectify, scale, compare, reset."""
        return _step(self.comparison, self.reset, self.input_gain, self.kept)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> KLIFCoefficients:
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        potentials = (self.v_leak, self.v_threshold, self.v_reset, self.v_threshold / self.k)
        return KLIFCoefficients(a, gain, self.k, *potentials, 0.0)

    def initial(self) -> LIFState:
        """At rest: v = v_leak."""
        return LIFState(self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return _leap_scaled if self.kept == "scaled" else _leap_unscaled

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if k v stays below the threshold under constant input."""
        return _quiet_scaled if self.kept == "scaled" else _quiet_unscaled
