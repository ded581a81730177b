"""Ternary LIF: spikes of both signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spikelab.arrays import to_array
from spikelab.errors import UnitError
from spikelab.neurons import conventions as how
from spikelab.neurons.lif import LIFState, silent_steps
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["TernaryLIF", "TernaryLIFCoefficients"]


class TernaryLIFCoefficients(NamedTuple):
    """Per step: membrane decay, input gain, potentials [V]."""

    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    zero: Any


@cache
def _step(comparison: str, reset: str, input_gain: str) -> Step:
    fires, scaled = how.fire(comparison, "one"), how.scaled(input_gain)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c)
        up, down = fires(v, c, f), fires(c.zero - v, c, f)
        z = up - down
        if reset == "hard":
            return z, LIFState(f.select(f.detach(up + down), c.v_reset, v))
        return z, LIFState(v - f.detach(z) * c.v_threshold)

    return step


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # v moves monotonically to v_leak + drive / (1 - a), which lies between both thresholds, but for rounding (1e-6).
    drive = c.gain * x
    rounding = 1e-6 * (c.v_threshold + abs(c.v_leak) + abs(drive))
    above = (c.v_threshold - c.v_leak) * (1 - c.a_mem) - drive
    below = (c.v_threshold + c.v_leak) * (1 - c.a_mem) + drive
    return bool(c.a_mem >= 0 and above > rounding and below > rounding and abs(s.v) < c.v_threshold)


@dataclass(frozen=True, eq=False)
class TernaryLIF(NeuronModel):
    """A LIF that gives 1 above `v_threshold`, -1 below `-v_threshold`, and 0 between.

    Order within a step: decay, add input, compare with both thresholds, reset:
    `v = v_leak + a (v - v_leak) + gain x`, `z = [v > v_threshold] - [-v > v_threshold]`, then
    `v = v_reset where z` (hard), or `v = v - z v_threshold` (soft).

    spikingjelly's `TernaryLIFNode`: `comparison=">="`, Euler steps, `v_leak=v_reset`; `decay_input=True` is
    `input_gain="1-a"`, `v_reset=None` is `reset="soft"`. The authors' forward pass is that with `v_reset=0`, decay
    0.25 and a threshold of one half; their learnt spike height is a factor on the weights that follow.

    Args:
        tau_mem: [s] membrane time constant.
        v_leak: [V] value v decays to.
        v_threshold: [V] height of both thresholds.
        v_reset: [V] value of v after a spike of either sign (hard reset).
        reset: `"hard"` or `"soft"`.
        comparison: `">"` or `">="`.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Guo et al., Ternary spike: Learning ternary spikes for spiking neural networks, AAAI 2024,
        equations 7 and 8.

    Example:
        >>> TernaryLIF(reset="soft").v_threshold
        1.0
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="height of both thresholds", positive=True)
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=("hard", "soft"), doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="|v| against the threshold")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")

    State = LIFState
    Coefficients = TernaryLIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)
        if self.reset != "hard" or any(hasattr(v, "detach") for v in (self.v_threshold, self.v_reset)):
            return
        start, threshold = (to_array(v, type(self).__name__) for v in (self.v_reset, self.v_threshold))
        low = -start > threshold if self.comparison == ">" else -start >= threshold
        if low.any():
            raise UnitError(
                f"{type(self).__name__}.v_reset: found {np.broadcast_to(start, low.shape)[low][0]} V; expected a value "
                "between the thresholds, or every spike brings the next; raise v_reset, or use reset='soft'"
            )

    @property
    def step(self) -> Step:
        """Decay, add input, compare with both thresholds, reset."""
        return _step(self.comparison, self.reset, self.input_gain)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> TernaryLIFCoefficients:
        """Decay and gain of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        return TernaryLIFCoefficients(a, gain, self.v_leak, self.v_threshold, self.v_reset, 0.0)

    def initial(self) -> LIFState:
        """At rest: v = v_leak."""
        return LIFState(self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return silent_steps

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if v stays between the thresholds under constant input."""
        return _quiet
