"""Izhikevich's neuron: a quadratic membrane and a recovery variable, twenty firing patterns from four numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import (
    MATHS,
    Discretisation,
    Maths,
    NeuronModel,
    Port,
    Step,
    Value,
    choice,
    decay,
    parameter,
)

__all__ = ["RECOVERIES", "SUBSTEPS", "Izhikevich", "IzhikevichCoefficients", "IzhikevichState"]

SUBSTEPS = ("two", "one")
"""Euler steps of v per time step."""
RECOVERIES = ("after", "before")
"""Whether u follows v after or before the step."""


class IzhikevichState(NamedTuple):
    """v: membrane potential [V]; u: recovery [V/s]."""

    v: Any
    u: Any


class IzhikevichCoefficients(NamedTuple):
    """Per step: substep [s], parabola [Hz/V, Hz, V/s], decay and gain [Hz] of u, potentials [V], jump [V/s]."""

    h: Any
    square: Any
    slope: Any
    bias: Any
    a_u: Any
    follow: Any
    v_threshold: Any
    v_reset: Any
    d: Any


def _substep(v: Any, drive: Any, c: Any) -> Any:
    return v + c.h * ((c.square * v + c.slope) * v + drive)


@cache
def _step(comparison: str, substeps: str, recovery: str) -> Step:
    fires, resets = how.fire(comparison, "one"), how.reset("hard")
    again = _substep if substeps == "two" else (lambda v, drive, c: v)
    followed: Callable[[Any, Any], Any] = (lambda s, v: v) if recovery == "after" else (lambda s, v: s.v)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        drive = c.bias - s.u + x
        v = again(_substep(s.v, drive, c), drive, c)
        z = fires(v, c, f)
        u = c.a_u * s.u + c.follow * followed(s, v) + z * c.d
        return z, IzhikevichState(resets(z, v, c, f), u)

    return step


@dataclass(frozen=True, eq=False)
class Izhikevich(NeuronModel):
    """A quadratic membrane with a recovery variable u.

    `v' = square v^2 + slope v + bias - u + x`, `u' = a (b v - u)`; a spike, where v reaches `v_threshold`, sets
    v = `v_reset` (the paper's c) and u = u + d.

    The paper counts in mV and ms. In SI its v is in V; u and x are in V/s, which are its mV/ms, so they keep its
    numbers; a = 0.02 / ms is 20 Hz, b = 0.2 / ms is 200 Hz.

    Order within a step: v moves by two Euler steps of dt / 2 under the u before the step; compare; u moves towards b v
    with the v just found; reset. This is the program in the paper. `substeps="one"` takes one Euler step of dt,
    `recovery="before"` lets u follow the v before the step. v moves by Euler in both discretisations, for its linear
    part grows; u decays exactly by exp(-a dt), or with `discretisation="euler"` by 1 - a dt.

    With Euler steps it equals bindsnet's `IzhikevichNodes`; norse's `Izhikevich` (dt 0.25 ms for its 1 ms, for its
    tau_inv is 250) with `substeps="one"`, `recovery="before"`, `comparison=">"`; spikingjelly's `IzhikevichNode` with
    `substeps="one"` and the parabola multiplied out.

    | pattern of the paper | a | b | v_reset | d |
    |---|---|---|---|---|
    | regular spiking (default) | 20 Hz | 200 Hz | -65 mV | 8 V/s |
    | intrinsically bursting | 20 Hz | 200 Hz | -55 mV | 4 V/s |
    | chattering | 20 Hz | 200 Hz | -50 mV | 2 V/s |
    | fast spiking | 100 Hz | 200 Hz | -65 mV | 2 V/s |
    | low-threshold spiking | 20 Hz | 250 Hz | -65 mV | 2 V/s |

    Args:
        a: [Hz] rate of the recovery.
        b: [Hz] how strongly the recovery follows v.
        v_reset: [V] value of v after a spike.
        d: [V/s] rise of the recovery with a spike.
        v_threshold: [V] peak of a spike.
        square: [Hz/V] of the parabola.
        slope: [Hz] of the parabola.
        bias: [V/s] of the parabola.
        comparison: `">="` or `">"`.
        substeps: `"two"` or `"one"`.
        recovery: `"after"` or `"before"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Izhikevich, IEEE Transactions on Neural Networks 14, 2003: equations 1 to 3, figure 2 and its program.

    Example:
        >>> Izhikevich(a="100 Hz", d="2 V/s").initial()
        IzhikevichState(v=-0.065, u=-13.0)
    """

    a: Value = parameter(20.0, unit="Hz", doc="rate of the recovery", positive=True)
    b: Value = parameter(200.0, unit="Hz", doc="how strongly the recovery follows v")
    v_reset: Value = parameter(-65e-3, unit="V", doc="value of v after a spike")
    d: Value = parameter(8.0, unit="V/s", doc="rise of the recovery with a spike")
    v_threshold: Value = parameter(30e-3, unit="V", doc="peak of a spike")
    square: Value = parameter(4e4, unit="Hz/V", doc="square term of the parabola", positive=True)
    slope: Value = parameter(5e3, unit="Hz", doc="linear term of the parabola")
    bias: Value = parameter(140.0, unit="V/s", doc="constant term of the parabola")
    comparison: str = choice(">=", options=how.COMPARISONS, doc="v against the threshold")
    substeps: str = choice("two", options=SUBSTEPS, doc="Euler steps of v per time step")
    recovery: str = choice("after", options=RECOVERIES, doc="which v the recovery follows")

    reset: ClassVar[str] = "hard"
    spikes: ClassVar[str] = "one"
    State = IzhikevichState
    Coefficients = IzhikevichCoefficients
    ports = {"x": Port("V/s")}  # noqa: RUF012
    state_units = ("V", "V/s")
    coefficient_units = ("s", "Hz/V", "Hz", "V/s", "1", "Hz", "V", "V", "V/s")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def step(self) -> Step:
        """Move v, compare, move u, reset."""
        return _step(self.comparison, self.substeps, self.recovery)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> IzhikevichCoefficients:
        """Length of a substep, and the decay of u in `dt` seconds."""
        h = dt / 2 if self.substeps == "two" else dt
        a_u = decay(1 / self.a, dt, discretisation, m, f"1 / {type(self).__name__}.a")
        parabola, potentials = (self.square, self.slope, self.bias), (self.v_threshold, self.v_reset)
        return IzhikevichCoefficients(h, *parabola, a_u, (1 - a_u) * self.b, *potentials, self.d)

    def initial(self) -> IzhikevichState:
        """v = v_reset, u = b v: the start in the paper's program."""
        return IzhikevichState(self.v_reset, self.b * self.v_reset)
