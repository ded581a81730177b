"""Quadratic integrate-and-fire neuron: between rest and critical potential v falls, above it v runs away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.arrays import to_array
from spikelab.errors import UnitError
from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["QIF", "QIFCoefficients", "QIFState"]


class QIFState(NamedTuple):
    """v: membrane potential [V]."""

    v: Any


class QIFCoefficients(NamedTuple):
    """Per step: decay near rest, input gain, gain of the square [1/V], potentials [V]."""

    a_mem: Any
    gain: Any
    square: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any


@cache
def _step(comparison: str) -> Step:
    fires, resets = how.fire(comparison, "one"), how.reset("hard")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        u = s.v - c.v_leak
        v = c.v_leak + (c.a_mem + c.square * u) * u + c.gain * x
        z = fires(v, c, f)
        return z, QIFState(resets(z, v, c, f))

    return step


@dataclass(frozen=True, eq=False)
class QIF(NeuronModel):
    """`tau_mem v' = curvature (v - v_leak) (v - v_critical) + x`; a spike where v exceeds `v_threshold`.

    Order within a step: move v (from its value before the step), add input, compare, reset to `v_reset`.
    With u = v - v_leak and k = curvature (v_critical - v_leak) the equation is `tau_mem u' = -k u + curvature u^2 + x`.
    Its linear part is exact for a = exp(-k dt / tau_mem), square and input stand still for a step (exponential Euler):
    `u = a u + (1 - a) / k (curvature u^2 + x)`; `discretisation="euler"` puts a = 1 - k dt / tau_mem, which is the
    Euler step.

    With Euler steps it equals spikingjelly's `QIFNode` (`comparison=">="`).

    Args:
        tau_mem: [s] time constant; that of the membrane near rest is tau_mem / k.
        curvature: [1/V] of the parabola; the default makes k = 1.
        v_leak: [V] resting potential.
        v_critical: [V] above it v runs away without input.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range; the critical potential is not above rest.
        UnsupportedError: an unknown flag.

    Source:
        Latham et al., Journal of Neurophysiology 83, 2000; Gerstner et al., Neuronal Dynamics, 2014, section 5.3.

    Example:
        >>> QIF(v_critical="-55 mV", curvature=100.0).initial()
        QIFState(v=-0.065)
    """

    tau_mem: Value = parameter(10e-3, unit="s", doc="time constant", positive=True)
    curvature: Value = parameter(1 / 15e-3, unit="1/V", doc="curvature of the parabola", positive=True)
    v_leak: Value = parameter(-65e-3, unit="V", doc="resting potential")
    v_critical: Value = parameter(-50e-3, unit="V", doc="above it v runs away")
    v_threshold: Value = parameter(20e-3, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(-80e-3, unit="V", doc="value of v after a spike")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    reset: ClassVar[str] = "hard"
    spikes: ClassVar[str] = "one"
    State = QIFState
    Coefficients = QIFCoefficients
    state_units = ("V",)
    coefficient_units = ("1", "1", "1/V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)
        if not hasattr(self.v_critical, "detach") and not hasattr(self.v_leak, "detach"):
            self._critical_must_be_above_rest()

    def _critical_must_be_above_rest(self) -> None:
        name = type(self).__name__
        room = to_array(self.v_critical, name) - to_array(self.v_leak, name)
        if not (room > 0).all():
            raise UnitError(
                f"{name}.v_critical: found {room.min()} V above v_leak; expected more than 0 V; raise v_critical"
            )

    @property
    def step(self) -> Step:
        """Move v, add input, compare, reset."""
        return _step(self.comparison)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> QIFCoefficients:
        """Decay and gains of one step of `dt` seconds."""
        k = self.curvature * (self.v_critical - self.v_leak)
        a = decay(self.tau_mem / k, dt, discretisation, m, f"{type(self).__name__}.tau_mem / k")
        gain = (1 - a) / k
        return QIFCoefficients(a, gain, gain * self.curvature, self.v_leak, self.v_threshold, self.v_reset)

    def initial(self) -> QIFState:
        """v = v_leak."""
        return QIFState(self.v_leak)
