"""Leaky integrate-and-fire neuron with an absolute refractory time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.arrays import to_array
from spikelab.errors import UnitError
from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["REFRACTORY", "RefractoryLIF", "RefractoryLIFCoefficients", "RefractoryLIFState"]

REFRACTORY = ("hold", "decay")
"""What v does in the refractory time."""


class RefractoryLIFState(NamedTuple):
    """v: membrane potential [V]; left: steps that remain of the refractory time."""

    v: Any
    left: Any


class RefractoryLIFCoefficients(NamedTuple):
    """Per step: decay, gain, potentials [V], refractory time in steps, and the numbers 1/2, 1, 0 and 0 V."""

    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    refractory: Any
    half: Any
    one: Any
    zero: Any
    silence: Any


@cache
def _step(comparison: str, reset: str, input_gain: str, refractory: str) -> Step:
    fires, resets, scaled = how.fire(comparison, "one"), how.reset(reset), how.scaled(input_gain)

    def hold(x: Any, s: Any, busy: Any, c: Any, f: Any) -> Any:
        return f.select(busy, s.v, c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c))

    def decays(x: Any, s: Any, busy: Any, c: Any, f: Any) -> Any:
        return c.v_leak + c.a_mem * (s.v - c.v_leak) + f.select(busy, c.silence, scaled(x, c))

    moves = hold if refractory == "hold" else decays

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        busy = f.gate(s.left - c.half)
        v = moves(x, s, busy, c, f)
        z = f.select(busy, c.zero, fires(v, c, f))
        left = f.select(f.detach(z), c.refractory, f.maximum(s.left - c.one, c.zero))
        return z, RefractoryLIFState(resets(z, v, c, f), left)

    return step


def _free(x: Any, v: Any, c: Any, n: Any) -> Any:
    if c.a_mem == 1:
        return v + n * (c.gain * x)
    rest = c.v_leak + c.gain * x / (1 - c.a_mem)
    return rest + c.a_mem**n * (v - rest)


def _leap_hold(x: Any, s: Any, c: Any, n: int) -> Any:
    busy = min(max(math.ceil(s.left - 0.5), 0), n)
    return RefractoryLIFState(_free(x, s.v, c, n - busy), max(s.left - n, 0.0))


def _leap_decay(x: Any, s: Any, c: Any, n: int) -> Any:
    busy = min(max(math.ceil(s.left - 0.5), 0), n)
    v = c.v_leak + c.a_mem**busy * (s.v - c.v_leak)
    return RefractoryLIFState(_free(x, v, c, n - busy), max(s.left - n, 0.0))


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # v moves monotonically towards v_leak or v_leak + drive / (1 - a), or stands, but for rounding (1e-6).
    drive = max(c.gain * x, 0.0)
    room = (c.v_threshold - c.v_leak) * (1 - c.a_mem) - drive
    rounding = 1e-6 * (abs(c.v_threshold) + abs(c.v_leak) + abs(drive))
    return bool(c.a_mem >= 0 and room > rounding and s.v < c.v_threshold)


@dataclass(frozen=True, eq=False)
class RefractoryLIF(NeuronModel):
    """LIF that for `t_refractory` after a spike neither listens nor spikes.

    Order within a step: if refractory, v stands still and no spike comes; else decay, add input, compare, reset:
    `v = v_leak + a (v - v_leak) + gain x`, `z = [v > v_threshold]`. A spike starts the count of t_refractory / dt
    further steps, rounded to whole ones. With `refractory="decay"` v decays in that time, and only the input is lost.

    norse's `LIFRefrac` holds v and decides with `">"` (Euler, `input_gain="dt/tau"`, behind its synaptic current);
    bindsnet's `LIFNodes` decays, with `">="`.

    Args:
        tau_mem: [s] membrane time constant.
        t_refractory: [s] absolute refractory time; 0 or more.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        reset: `"hard"` or `"soft"`.
        comparison: `">"` or `">="`.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.
        refractory: `"hold"` or `"decay"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Gerstner et al., Neuronal Dynamics, 2014, section 1.3.

    Example:
        >>> RefractoryLIF(t_refractory="5 ms").t_refractory
        0.005
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    t_refractory: Value = parameter(2e-3, unit="s", doc="absolute refractory time")
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=("hard", "soft"), doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")
    refractory: str = choice("hold", options=REFRACTORY, doc="what v does in the refractory time")

    spikes: ClassVar[str] = "one"
    State = RefractoryLIFState
    Coefficients = RefractoryLIFCoefficients
    state_units = ("V", "1")
    coefficient_units = ("1", "1", "V", "V", "V", "1", "1", "1", "1", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)
        if (to_array(self.t_refractory, "t_refractory") < 0).any():
            raise UnitError(
                f"{type(self).__name__}.t_refractory: found {self.t_refractory} s; expected 0 s or more; "
                "use 0 for no refractory time"
            )

    @property
    def step(self) -> Step:
        """Decay, add input and compare, unless refractory; reset; count."""
        return _step(self.comparison, self.reset, self.input_gain, self.refractory)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> RefractoryLIFCoefficients:
        """Decay and gain of one step of `dt` seconds, and the refractory time in steps."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain, potentials = how.gain(self.input_gain, a, dt, self.tau_mem), (self.v_leak, self.v_threshold, self.v_reset)
        return RefractoryLIFCoefficients(a, gain, *potentials, self.t_refractory / dt, 0.5, 1.0, 0.0, 0.0)

    def initial(self) -> RefractoryLIFState:
        """At rest: v = v_leak, not refractory."""
        return RefractoryLIFState(self.v_leak, 0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once: first what is left of the refractory time."""
        return _leap_hold if self.refractory == "hold" else _leap_decay

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if v stays below the threshold under constant input; False may be too careful."""
        return _quiet
