"""Resonate-and-fire neuron: a damped oscillator that spikes where inputs come in its rhythm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.errors import UnsupportedError, Violation
from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["FIRES", "RESETS", "ResonateAndFire", "ResonateAndFireCoefficients", "ResonateAndFireState"]

FIRES = ("above", "phase")
"""Where v lies above the threshold; or where v turns positive while u lies above it."""
RESETS = ("peak", "hard", "soft", "none")
"""u = 0 and v = v_threshold; v = v_reset; v - v_threshold; nothing."""


class ResonateAndFireState(NamedTuple):
    """u: real part, which takes the input [V]; v: imaginary part, a quarter period later [V]."""

    u: Any
    v: Any


class ResonateAndFireCoefficients(NamedTuple):
    """Per step: decayed cosine and sine of the rotation, potentials [V]."""

    cosine: Any
    sine: Any
    v_threshold: Any
    v_reset: Any
    zero: Any
    one: Any


@cache
def _step(comparison: str, fires: str, reset: str) -> Step:
    compare = how.fire(comparison, "one")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        u = c.cosine * s.u - c.sine * s.v + x
        v = c.sine * s.u + c.cosine * s.v
        if fires == "phase":
            z = f.gate(c.zero - s.v) * (c.one - f.gate(c.zero - v)) * compare(u, c, f)
        else:
            z = compare(v, c, f)
        if reset == "none":
            return z, ResonateAndFireState(u, v)
        held = f.detach(z)
        if reset == "peak":
            return z, ResonateAndFireState(f.select(held, c.zero, u), f.select(held, c.v_threshold, v))
        if reset == "hard":
            return z, ResonateAndFireState(u, f.select(held, c.v_reset, v))
        return z, ResonateAndFireState(u, v - held * c.v_threshold)

    return step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    turn = complex(c.cosine, c.sine)
    rest = x / (1 - turn)
    z = rest + turn**n * (complex(s.u, s.v) - rest)
    return ResonateAndFireState(z.real, z.imag)


def _swing(x: Any, s: Any, c: Any) -> tuple[Any, Any, Any]:
    """Where the state settles (both parts), and how far it now lies from there, which only shrinks."""
    p, q = 1 - c.cosine, -c.sine
    size = p * p + q * q
    u, v = x * p / size, -x * q / size
    return u, v, math.sqrt((s.u - u) * (s.u - u) + (s.v - v) * (s.v - v))


def _quiet_above(x: Any, s: Any, c: Any) -> bool:
    u, v, far = _swing(x, s, c)
    shrinks = c.cosine * c.cosine + c.sine * c.sine < 1
    return bool(shrinks and v + far < c.v_threshold - 1e-6 * (abs(v) + far + abs(u) + abs(c.v_threshold)))


def _quiet_phase(x: Any, s: Any, c: Any) -> bool:
    u, v, far = _swing(x, s, c)
    shrinks = c.cosine * c.cosine + c.sine * c.sine < 1
    return bool(shrinks and u + far < c.v_threshold - 1e-6 * (abs(u) + far + abs(v) + abs(c.v_threshold)))


@dataclass(frozen=True, eq=False)
class ResonateAndFire(NeuronModel):
    """A complex state u + iv turns at `frequency` and decays with `tau_mem`; the input adds to u.

    Order within a step: turn and decay, add input, compare, reset. With `r = exp(-dt / tau_mem)` and
    `w = 2 pi frequency dt`:
    `u = r (cos(w) u - sin(w) v) + x`, `v = r (sin(w) u + cos(w) v)`, `z = [v > v_threshold]`, then
    `u = 0, v = v_threshold where z` (Izhikevich's reset: the state lies on the threshold and turns away).
    An input is seen by v a quarter period later. A second one a period after the first adds to it, one after half
    a period cancels it. Euler steps take `1 - dt / tau_mem` for r cos(w), and w for r sin(w).

    With `fires="phase"` and `reset="none"` a spike marks the top of an oscillation: v turns from below to at or
    above 0 while u lies above the threshold.

    spikingjelly's `RAFNode`: `comparison=">="`, `reset="hard"` (or `"soft"` for `v_reset=None`),
    tau_mem = -dt / b, frequency = omega / (2 pi); it starts at v = v_reset, this at 0. lava-dl's `rf`, but for its
    fixed point: `fires="phase"`, `reset="none"`, `comparison=">="`; its `rf_iz` likewise: `v_threshold` lower by
    one of its last places.

    Args:
        frequency: [Hz] of the oscillation.
        tau_mem: [s] time constant of its envelope.
        v_threshold: [V] spikes when v (with `fires="phase"`: u) exceeds it.
        v_reset: [V] value of v after a spike (hard reset).
        fires: `"above"` or `"phase"`.
        reset: `"peak"`, `"hard"`, `"soft"` or `"none"`.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag, or flags that do not go together.

    Source:
        Izhikevich, Resonate-and-fire neurons, Neural Networks 14, 2001; Orchard et al., Efficient neuromorphic
        signal processing with Loihi 2, SiPS 2021 (phase).

    Example:
        >>> ResonateAndFire(frequency="40 Hz").initial()
        ResonateAndFireState(u=0.0, v=0.0)
    """

    frequency: Value = parameter(20.0, unit="Hz", doc="of the oscillation", positive=True)
    tau_mem: Value = parameter(50e-3, unit="s", doc="time constant of the envelope", positive=True)
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    fires: str = choice("above", options=FIRES, doc="where on the oscillation it spikes")
    reset: str = choice("peak", options=RESETS, doc="what a spike does to u and v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    State = ResonateAndFireState
    Coefficients = ResonateAndFireCoefficients
    state_units = ("V", "V")
    coefficient_units = ("1", "1", "V", "V", "V", "1")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)
        if self.fires == "phase" and self.reset != "none":
            raise UnsupportedError(
                violations=[
                    Violation(
                        "phase_is_not_reset",
                        f"{type(self).__name__}(fires='phase')",
                        f"reset={self.reset!r}",
                        "reset='none'",
                        "set it, or fires='above'",
                    )
                ]
            )

    @property
    def step(self) -> Step:
        """Turn and decay, add input, compare, reset."""
        return _step(self.comparison, self.fires, self.reset)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> ResonateAndFireCoefficients:
        """Decayed rotation of one step of `dt` seconds."""
        r = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        turn = 2 * math.pi * dt * self.frequency
        cosine, sine = (r, turn) if discretisation == "euler" else (r * m.cos(turn), r * m.sin(turn))
        return ResonateAndFireCoefficients(cosine, sine, self.v_threshold, self.v_reset, 0.0, 1.0)

    def initial(self) -> ResonateAndFireState:
        """At rest."""
        return ResonateAndFireState(0.0, 0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if the swing under constant input stays below the threshold; False may be too careful."""
        return _quiet_above if self.fires == "above" else _quiet_phase
