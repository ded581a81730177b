"""Alpha LIF: the membrane answers a spike with an alpha function (SRM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.cuba_lif import CubaLIFState, UndecayedCubaLIFState, coupled
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["RESETS", "AlphaLIF", "AlphaLIFCoefficients"]

RESETS = ("hard", "soft", "late")
"""Current and membrane erased; the threshold subtracted from the membrane; both erased in the next step."""


class AlphaLIFCoefficients(NamedTuple):
    """Per step: decays of current and membrane, gain of the current, potentials [V]."""

    a_syn: Any
    a_mem: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    zero: Any


@cache
def _step(comparison: str, reset: str) -> Step:
    fires = how.fire(comparison, "one")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + c.gain * s.i
        i = c.a_syn * s.i + x
        z = fires(v, c, f)
        if reset == "soft":
            return z, CubaLIFState(i, v - f.detach(z) * c.v_threshold)
        held = f.detach(z)
        return z, CubaLIFState(f.select(held, c.zero, i), f.select(held, c.v_reset, v))

    def late(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        held = f.detach(s.z)
        v = f.select(held, c.v_reset, c.v_leak + c.a_mem * (s.v - c.v_leak) + c.gain * s.i)
        i = f.select(held, c.zero, c.a_syn * s.i + x)
        z = fires(v, c, f)
        return z, UndecayedCubaLIFState(i, v, z)

    return late if reset == "late" else step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    i, v = coupled(s.i, s.v - c.v_leak, x, c.a_syn, c.a_mem, c.gain, 0.0, n)
    return CubaLIFState(i, c.v_leak + v)


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # The current moves monotonically from i to x / (1 - b), but for rounding (1e-6): v stays below what the larger
    # of both would reach.
    if c.a_syn < 0 or c.a_syn >= 1 or c.a_mem < 0 or c.a_mem >= 1:
        return False
    final = x / (1 - c.a_syn)
    peak = max(s.i, final) + 1e-6 * max(abs(s.i), abs(final)) / (1 - c.a_syn)
    room = (c.v_threshold - c.v_leak) * (1 - c.a_mem) - c.gain * peak
    rounding = 1e-6 * (abs(c.v_threshold) + abs(c.v_leak) + c.gain * abs(peak))
    return bool(room > rounding and s.v < c.v_threshold)


@dataclass(frozen=True, eq=False)
class AlphaLIF(NeuronModel):
    """The response to an input rises with `tau_syn` and falls with `tau_mem`; if both are equal, as an alpha function.

    Order within a step: membrane from the last current, synapse, compare, reset:
    `v = v_leak + a (v - v_leak) + gain i`, `i = b i + x`, `z = [v > v_threshold]`, `v = v_reset, i = 0 where z`.
    An input of x gives `v = x tau_mem / (tau_mem - tau_syn) (exp(-t / tau_mem) - exp(-t / tau_syn))` at the steps
    t = dt, 2 dt, ...; with equal time constants `x (t / tau) exp(-t / tau)`, with its peak x / e at t = tau.

    `CubaLIF` has the same kernel one step earlier and with another height; its spike leaves the current alone.
    Here `reset="hard"` erases both, as in the SRM that remembers its last spike only; `"soft"` subtracts the
    threshold from v, which is SRM0 with the after-potential `-v_threshold exp(-t / tau_mem)`.

    snnTorch's `Alpha` with `reset_mechanism="zero"`: `reset="late"` (both are erased in the step after the spike,
    whose input is lost), alpha = exp(-dt / tau_mem), beta = exp(-dt / tau_syn). Its `"subtract"` leaves the
    membrane and its two filters at odds and has no counterpart here.

    Args:
        tau_syn: [s] rise of the response.
        tau_mem: [s] fall of the response.
        v_leak: [V] value v decays to.
        v_threshold: [V] spikes when v exceeds it.
        v_reset: [V] value of v after a spike (not soft).
        reset: `"hard"`, `"soft"` or `"late"`.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Gerstner et al., Neuronal Dynamics, 2014, sections 6.4 (SRM) and 3.1 (time course of a synapse).

    Example:
        >>> gain = AlphaLIF("5 ms", "5 ms").coefficients(1e-3, "exponential").gain
        >>> round(float(gain), 6)  # (dt / tau) exp(-dt / tau)
        0.163746
    """

    tau_syn: Value = parameter(5e-3, unit="s", doc="rise of the response", positive=True)
    tau_mem: Value = parameter(20e-3, unit="s", doc="fall of the response", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when v exceeds it")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    reset: str = choice("hard", options=RESETS, doc="what a spike does to current and membrane")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")

    Coefficients = AlphaLIFCoefficients
    coefficient_units = ("1", "1", "1", "V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def State(self) -> type[Any]:  # type: ignore[override]
        """`CubaLIFState`; for the late reset `UndecayedCubaLIFState`, with the spikes of the last step."""
        return UndecayedCubaLIFState if self.reset == "late" else CubaLIFState

    @property
    def state_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each state variable."""
        return ("V", "V", "1") if self.reset == "late" else ("V", "V")

    @property
    def step(self) -> Step:
        """Membrane from the last current, synapse, compare, reset."""
        return _step(self.comparison, self.reset)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> AlphaLIFCoefficients:
        """Decays and gain of one step of `dt` seconds."""
        b = decay(self.tau_syn, dt, discretisation, m, f"{type(self).__name__}.tau_syn")
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        gain = dt / self.tau_syn
        if discretisation == "exponential":
            # tau_mem / (tau_mem - tau_syn) (a - b) = dt / tau_syn sqrt(a b) sinh(h) / h with h as below: no 0 / 0 for
            # equal time constants. The 1e-12 keeps h and its gradient off 0 and changes the result by less than 2e-13.
            h = m.sqrt((dt / 2 * (1 / self.tau_syn - 1 / self.tau_mem)) ** 2 + 1e-12)
            mean = m.exp(-dt / 2 * (1 / self.tau_syn + 1 / self.tau_mem))
            gain = gain * mean * (m.expm1(h) - m.expm1(-h)) / (2 * h)
        return AlphaLIFCoefficients(b, a, gain, self.v_leak, self.v_threshold, self.v_reset, 0.0)

    def initial(self) -> Any:
        """At rest: no current, v = v_leak, no spike pending."""
        return self.State(0.0, self.v_leak, 0.0) if self.reset == "late" else CubaLIFState(0.0, self.v_leak)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """n silent steps at once; none for `"late"`, whose reset is still pending."""
        return None if self.reset == "late" else _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """True if a bound on v stays below the threshold; False may be too careful."""
        return None if self.reset == "late" else _quiet
