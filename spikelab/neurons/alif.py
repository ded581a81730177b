"""Adaptive leaky integrate-and-fire neuron: each spike raises the threshold, which decays back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, decay, parameter

__all__ = ["ADAPTATIONS", "ALIF", "JUMP_GAINS", "SUBTRACTIONS", "ALIFCoefficients", "ALIFState", "UndecayedALIFState"]

ADAPTATIONS = ("compare_then_decay", "decay_then_compare")
"""When the rise of the threshold decays."""
JUMP_GAINS = ("1-a", "one")
"""Factor on the jump of the threshold."""
SUBTRACTIONS = ("raised", "base")
"""Which threshold a soft or undecayed reset subtracts."""


class ALIFState(NamedTuple):
    """v: membrane potential [V]; w: rise of the threshold [V]."""

    v: Any
    w: Any


class UndecayedALIFState(NamedTuple):
    """v: membrane potential before the reset [V]; w: rise of the threshold [V]; due: still to be subtracted [V]."""

    v: Any
    w: Any
    due: Any


class ALIFCoefficients(NamedTuple):
    """Per step: decays of membrane and threshold, input gain, potentials [V], rise per spike [V]."""

    a_mem: Any
    a_adapt: Any
    gain: Any
    v_leak: Any
    v_threshold: Any
    v_reset: Any
    jump: Any


@cache
def _step(comparison: str, reset: str, input_gain: str, adaptation: str, subtraction: str) -> Step:
    fires, scaled = how.fire(comparison, "one"), how.scaled(input_gain)
    before: Callable[[Any, Any], Any] = (
        (lambda s, c: s.w) if adaptation == "compare_then_decay" else (lambda s, c: c.a_adapt * s.w)
    )
    after: Callable[[Any, Any], Any] = (
        (lambda w, c: c.a_adapt * w) if adaptation == "compare_then_decay" else (lambda w, c: w)
    )
    height: Callable[[Any, Any], Any] = (
        (lambda w, c: c.v_threshold + w) if subtraction == "raised" else (lambda w, c: c.v_threshold)
    )

    def hard(z: Any, v: Any, w: Any, c: Any, f: Any) -> Any:
        return f.select(f.detach(z), c.v_reset, v)

    def soft(z: Any, v: Any, w: Any, c: Any, f: Any) -> Any:
        return v - f.detach(z) * height(w, c)

    resets = hard if reset == "hard" else soft

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c)
        w = before(s, c)
        z = fires(v - w, c, f)
        return z, ALIFState(resets(z, v, w, c, f), after(w, c) + z * c.jump)

    def undecayed(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        v = c.v_leak + c.a_mem * (s.v - c.v_leak) + scaled(x, c) - s.due
        w = before(s, c)
        z = fires(v - w, c, f)
        return z, UndecayedALIFState(v, after(w, c) + z * c.jump, f.detach(z) * height(w, c))

    return undecayed if reset == "undecayed" else step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    w = c.a_adapt**n * s.w
    if c.a_mem == 1:
        return ALIFState(s.v + n * (c.gain * x), w)
    rest = c.v_leak + c.gain * x / (1 - c.a_mem)
    return ALIFState(rest + c.a_mem**n * (s.v - rest), w)


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # v moves monotonically towards its rest, w towards 0, but for rounding (1e-6): v stays below the lowest threshold.
    lowest = c.v_threshold + min(s.w, 0.0)
    drive = c.gain * x
    room = (lowest - c.v_leak) * (1 - c.a_mem) - drive
    rounding = 1e-6 * (abs(lowest) + abs(c.v_leak) + abs(drive))
    return bool(c.a_mem >= 0 and c.a_adapt >= 0 and room > rounding and s.v < lowest)


@dataclass(frozen=True, eq=False)
class ALIF(NeuronModel):
    """LIF whose threshold `v_threshold + w` rises with each spike; w decays to 0.

    Order within a step: decay, add input, compare with the threshold as it stands, reset, then decay and raise the
    threshold: `v = v_leak + a (v - v_leak) + gain x`, `z = [v > v_threshold + w]`, `v = v - z (v_threshold + w)`,
    `w = b w + (1 - b) jump z`. With `adaptation="decay_then_compare"` w decays before the comparison, so a jump has
    decayed once when it is first seen. With `reset="undecayed"` the subtraction comes after the decay of the next step.

    | library | its form |
    |---|---|
    | Bellec et al. 2018, sinabs `ALIF` | the defaults; sinabs compares with `">="` and scales with `input_gain="1-a"` |
    | spyx `ALIF` | `reset="undecayed"`, jump = 1; its output comes one step later |
    | norse `LSNN` | Euler, `reset="hard"`, `jump_gain="one"`, `"decay_then_compare"`, `"dt/tau"` of its current |
    | bindsnet `AdaptiveLIFNodes` | `reset="hard"`, `">="`, `jump_gain="one"`, `"decay_then_compare"` |

    Args:
        tau_mem: [s] membrane time constant.
        tau_adapt: [s] time constant of the threshold.
        v_leak: [V] value v decays to.
        v_threshold: [V] threshold at rest.
        v_reset: [V] value of v after a spike (hard reset).
        jump: [V] rise of the threshold per spike, before `jump_gain`.
        reset: `"soft"`, `"hard"` or `"undecayed"`.
        comparison: `">"` or `">="`.
        input_gain: `"one"`, `"1-a"` or `"dt/tau"`.
        adaptation: `"compare_then_decay"` or `"decay_then_compare"`.
        jump_gain: `"1-a"` (of tau_adapt; a neuron that spikes in every step has w = jump) or `"one"`.
        subtraction: a soft reset subtracts the `"raised"` threshold or the one at rest, `"base"`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        Bellec et al., Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS 2018.

    Example:
        >>> ALIF(tau_adapt="200 ms").initial()
        ALIFState(v=0.0, w=0.0)
    """

    tau_mem: Value = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    tau_adapt: Value = parameter(200e-3, unit="s", doc="time constant of the threshold", positive=True)
    v_leak: Value = parameter(0.0, unit="V", doc="value v decays to")
    v_threshold: Value = parameter(1.0, unit="V", doc="threshold at rest")
    v_reset: Value = parameter(0.0, unit="V", doc="value of v after a spike")
    jump: Value = parameter(1.8, unit="V", doc="rise of the threshold per spike")
    reset: str = choice("soft", options=how.RESETS, doc="what a spike does to v")
    comparison: str = choice(">", options=how.COMPARISONS, doc="v against the threshold")
    input_gain: str = choice("one", options=how.GAINS, doc="factor on the input")
    adaptation: str = choice("compare_then_decay", options=ADAPTATIONS, doc="when the threshold decays")
    jump_gain: str = choice("1-a", options=JUMP_GAINS, doc="factor on the jump of the threshold")
    subtraction: str = choice("raised", options=SUBTRACTIONS, doc="threshold that a soft reset subtracts")

    spikes: ClassVar[str] = "one"
    Coefficients = ALIFCoefficients
    coefficient_units = ("1", "1", "1", "V", "V", "V", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        how.check(self)

    @property
    def State(self) -> type[Any]:  # type: ignore[override]
        """`ALIFState`, or `UndecayedALIFState` for that reset."""
        return UndecayedALIFState if self.reset == "undecayed" else ALIFState

    @property
    def state_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each state variable."""
        return ("V", "V", "V") if self.reset == "undecayed" else ("V", "V")

    @property
    def step(self) -> Step:
        """Decay, add input, compare, reset, raise the threshold."""
        return _step(self.comparison, self.reset, self.input_gain, self.adaptation, self.subtraction)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> ALIFCoefficients:
        """Decays and gains of one step of `dt` seconds."""
        a = decay(self.tau_mem, dt, discretisation, m, f"{type(self).__name__}.tau_mem")
        b = decay(self.tau_adapt, dt, discretisation, m, f"{type(self).__name__}.tau_adapt")
        gain = how.gain(self.input_gain, a, dt, self.tau_mem)
        jump = self.jump if self.jump_gain == "one" else (1 - b) * self.jump
        return ALIFCoefficients(a, b, gain, self.v_leak, self.v_threshold, self.v_reset, jump)

    def initial(self) -> Any:
        """At rest: v = v_leak, threshold not raised, nothing due."""
        return self.State(self.v_leak, 0.0, 0.0) if self.reset == "undecayed" else ALIFState(self.v_leak, 0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """n silent steps at once; none for `"undecayed"`, whose subtraction is still pending."""
        return None if self.reset == "undecayed" else _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """True if v stays below the lowest threshold to come; False may be too careful."""
        return None if self.reset == "undecayed" else _quiet
