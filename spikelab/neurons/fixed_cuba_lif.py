"""Current-based LIF neuron in whole numbers: the arithmetic of Loihi and of its training library.

Decays are counted in 4096ths, and a product with one is cut towards zero to a whole number again. Such a product of a
24-bit state has 36 bits, more than float32 holds. Here it is made in two halves, high and low 12 bits, each of which
fits: rtz(n k / 4096) = h k + rtz((n - 4096 h) k / 4096) with h = rtz(n / 4096), because all terms have the sign of n.
So float32 gives the right bits for every state below 2^24, in kernels as on arrays; float64 does so below 2^52.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spikelab.arrays import to_array
from spikelab.errors import UnitError, brief
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, parameter

__all__ = ["OVERFLOWS", "FixedCubaLIF", "FixedCubaLIFCoefficients", "FixedCubaLIFState"]

OVERFLOWS = ("unbounded", "24 bit")
"""What a state does at the end of its range."""
DECAYS = 4096
"""Parts in which decays are counted."""
UNITS_PER_VOLT = 4096
"""6 fraction bits of the weights and 6 more of the state."""
STATE_BITS = 24


class FixedCubaLIFState(NamedTuple):
    """u: synaptic current, v: membrane potential; whole numbers of 1 / 4096 V."""

    u: Any
    v: Any


class FixedCubaLIFCoefficients(NamedTuple):
    """Units per volt, what is kept per step in 4096ths, potentials in units of the state, and constants."""

    scale: Any
    keep_syn: Any
    keep_mem: Any
    radix: Any
    fraction: Any
    bias: Any
    threshold: Any
    zero: Any
    one: Any
    top: Any
    modulus: Any


def _kept(n: Any, keep: Any, c: Any, f: Any) -> Any:
    high = f.truncate(c.fraction * n)
    return high * keep + f.truncate(c.fraction * ((n - c.radix * high) * keep))


def _unbounded(n: Any, c: Any, f: Any) -> Any:
    return n


def _wrapped(n: Any, c: Any, f: Any) -> Any:
    # Above 2^23 or at -2^23 and below: once around.
    above, below = f.gate(n - c.top), c.one - f.gate(n + c.top)
    return n - c.modulus * above + c.modulus * below


def _saturated(n: Any, c: Any, f: Any) -> Any:
    last = c.top - c.one
    return f.minimum(f.maximum(n, c.zero - last), last)


@cache
def _step(overflow: str) -> Step:
    wrap, saturate = (_unbounded, _unbounded) if overflow == "unbounded" else (_wrapped, _saturated)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        u = wrap(_kept(s.u, c.keep_syn, c, f) + f.truncate(c.scale * x), c, f)
        v = saturate(_kept(s.v, c.keep_mem, c, f) + u + c.bias, c, f)
        z = f.spike(v - c.threshold)
        return z, FixedCubaLIFState(u, f.select(f.detach(z), c.zero, v))

    return step


@dataclass(frozen=True, eq=False)
class FixedCubaLIF(NeuronModel):
    """The input jumps a synaptic current that decays and drives a leaky membrane, all in whole numbers.

    In units of 1 / 4096 V, with rtz rounding towards zero: `u = rtz(u (4096 - i_decay) / 4096) + rtz(x)`,
    `v = rtz(v (4096 - v_decay) / 4096) + u + bias`, `z = [v > v_threshold]`, `v = 0 where z`.
    `dt` and the discretisation change nothing: decays are per step.

    Args:
        i_decay: share of the current lost per step, a whole number of 4096ths from 0 to 4096.
        v_decay: share of the potential lost per step, likewise.
        v_threshold: [V] spikes when v exceeds it; a whole number of 1 / 4096 V.
        bias: [V] added to v in each step; likewise.
        overflow: `"unbounded"`, as in lava-dl, or `"24 bit"`, as on the chip: u wraps around at 2^23, v stays within
            2^23 - 1. Unbounded states of 2^24 and more lose their last bits in float32.

    Raises:
        UnitError: a parameter has the wrong unit or range, or is no whole number where one is needed.
        UnsupportedError: an unknown flag.

    Source:
        Davies et al., IEEE Micro 38, 2018 (the neuron of Loihi); Shrestha and Orchard, NeurIPS 2018 (SLAYER), whose
        library lava-dl has this arithmetic.

    Example:
        >>> FixedCubaLIF(i_decay=1024, v_decay=410).initial()
        FixedCubaLIFState(u=0.0, v=0.0)
    """

    i_decay: Value = parameter(1024.0, unit="1", doc="share of the current lost per step, in 4096ths")
    v_decay: Value = parameter(128.0, unit="1", doc="share of the potential lost per step, in 4096ths")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    bias: Value = parameter(0.0, unit="V", doc="added to v in each step")
    overflow: str = choice("unbounded", options=OVERFLOWS, doc="what a state does at the end of its range")

    State = FixedCubaLIFState
    Coefficients = FixedCubaLIFCoefficients
    state_units = ("1", "1")
    coefficient_units = ("1/V", *("1",) * 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, factor in (("i_decay", 1), ("v_decay", 1), ("v_threshold", UNITS_PER_VOLT), ("bias", UNITS_PER_VOLT)):
            where, value = f"FixedCubaLIF.{name}", getattr(self, name)
            if hasattr(value, "detach"):
                continue  # being learnt
            number = to_array(value, where) * factor
            unit = "1" if factor == 1 else f"1 / {factor} V"
            if (number != np.rint(number)).any():
                odd = number[number != np.rint(number)].flat[0] if number.ndim else number[()]
                raise UnitError(
                    f"{where}: found {odd / factor}; expected a whole number of {unit}; "
                    f"the nearest is {np.rint(odd) / factor}"
                )
            if factor == 1 and ((number < 0) | (number > DECAYS)).any():
                raise UnitError(f"{where}: found {brief(value)}; expected 4096ths from 0 to {DECAYS}")

    @property
    def step(self) -> Step:
        """Synapse, decay, add current, compare, reset."""
        return _step(self.overflow)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> FixedCubaLIFCoefficients:
        """What is kept per step; nothing depends on `dt`."""
        full, scale = float(DECAYS), float(UNITS_PER_VOLT)
        return FixedCubaLIFCoefficients(
            scale=scale,
            keep_syn=full - self.i_decay,
            keep_mem=full - self.v_decay,
            radix=full,
            fraction=1 / full,
            bias=scale * self.bias,
            threshold=scale * self.v_threshold,
            zero=0.0,
            one=1.0,
            top=float(2 ** (STATE_BITS - 1)),
            modulus=float(2**STATE_BITS),
        )

    def initial(self) -> FixedCubaLIFState:
        """No current, v = 0."""
        return FixedCubaLIFState(0.0, 0.0)
