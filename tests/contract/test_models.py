"""The public contract of neurons, on ours and on one that somebody else wrote."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest

from spikelab.errors import UnitError, UnsupportedError
from spikelab.neurons import IF, LI, LIF, CubaLI, CubaLIF, NeuronModel
from spikelab.neurons.lif import LIFState
from spikelab.neurons.model import MATHS, Maths, decay, parameter
from spikelab.testing import check_model


class AdaptiveState(NamedTuple):
    """v: membrane [V]; w: what is added to the threshold [V]."""

    v: Any
    w: Any


class AdaptiveCoefficients(NamedTuple):
    """What the step of `Adaptive` needs."""

    a_mem: Any
    a_ada: Any
    v_threshold: Any
    jump: Any
    zero: Any
    sharpness: Any
    kick: Any


@dataclass(frozen=True, eq=False)
class Adaptive(NeuronModel):
    """A third party's neuron: exponential onset, and a threshold that jumps with each spike and decays."""

    tau_mem: Any = parameter(20e-3, unit="s", doc="membrane time constant", positive=True)
    tau_ada: Any = parameter("50 ms", unit="s", doc="time constant of the threshold", positive=True)
    v_threshold: Any = parameter(1.0, unit="V", doc="threshold at rest")
    jump: Any = parameter(0.3, unit="V", doc="rise of the threshold with a spike")

    State, Coefficients = AdaptiveState, AdaptiveCoefficients
    state_units = ("V", "V")
    coefficient_units = ("1", "1", "V", "V", "V", "V", "V")

    @property
    def step(self) -> Any:
        """Decay, add input and onset, compare with the raised threshold, reset to 0."""
        return adaptive_step

    def coefficients(self, dt: float, discretisation: Any, m: Maths = MATHS) -> AdaptiveCoefficients:
        """Decays; the onset's gain is the same for any dt here."""
        a, b = (decay(tau, dt, discretisation, m) for tau in (self.tau_mem, self.tau_ada))
        return AdaptiveCoefficients(a, b, self.v_threshold, self.jump, 0.0, 0.5, 0.02)

    def initial(self) -> AdaptiveState:
        """At rest."""
        return AdaptiveState(0.0, 0.0)


def adaptive_step(x: Any, s: Any, c: Any, f: Any) -> Any:
    onset = f.exp(f.divide(f.minimum(s.v, c.v_threshold) - c.v_threshold, c.sharpness))
    v = c.a_mem * s.v + x + c.kick * onset
    z = f.spike(v - c.v_threshold - f.maximum(s.w, c.zero))
    held = f.detach(z)
    return z, AdaptiveState(f.select(held, c.zero, v), c.a_ada * s.w + held * c.jump)


MODELS = [
    LIF(v_leak=0.05, v_reset=-0.1),
    LIF(reset="soft", comparison=">=", spikes="many"),
    CubaLIF(reset="undecayed", comparison=">=", synapse="add_then_decay", input_gain="dt/tau"),
    IF(v_threshold=0.8, v_reset=0.1),
    LI(v_leak=0.05),
    CubaLI(input_gain="dt/tau"),
    Adaptive(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: " ".join((type(m).__name__, *m.flags().values())))
def test_a_model_keeps_the_contract(model: NeuronModel) -> None:
    gain = model.flags().get("input_gain", "one")
    check_model(model, drive=0.4 if gain == "one" else 8.0)


def _wrong_beyond_float32(x: Any, s: Any, c: Any, n: int) -> Any:
    """Right for the coefficients in float64 that `leap` is tested with, wrong for those of the float32 simulator."""
    a = c.a_mem if c.v_threshold == 0.7 else 0.0
    return LIFState(c.v_leak + a**n * (s.v - c.v_leak) + x * (1 - a**n) / (1 - a))


@dataclass(frozen=True, eq=False)
class Wrong(LIF):
    """A LIF with one mistake, which the contract must find."""

    mistake: str = ""

    @property
    def step(self) -> Any:
        """As LIF, but for the mistake."""
        step = LIF().step
        if self.mistake == "unit":
            return lambda x, s, c, f: (f.spike(s.v), LIFState(s.v * s.v + x))
        if self.mistake == "literal":
            return lambda x, s, c, f: (f.spike(s.v), LIFState(2 * s.v + x))
        return step

    @property
    def leap(self) -> Any:
        """As LIF, but for the mistake."""
        right = LIF().leap
        if self.mistake == "leap":
            return lambda x, s, c, n: right(x, s, c, n - 1)  # type: ignore[misc]
        return _wrong_beyond_float32 if self.mistake == "fast" else right

    @property
    def quiet(self) -> Any:
        """As LIF, but for the mistake."""
        return (lambda x, s, c: True) if self.mistake == "quiet" else LIF().quiet

    def coefficients(self, dt: float, discretisation: Any, m: Maths = MATHS) -> Any:
        """As LIF, but for the mistake."""
        right = super().coefficients(dt, discretisation, m)
        if self.mistake == "detached" and hasattr(self.tau_mem, "detach"):
            return right._replace(a_mem=float(right.a_mem))
        return right


Wrong.__name__ = "LIF"  # its kernels are those of LIF, and compiled already


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        ("unit", UnitError, r"step: V\^2|step: .* \+ V; both sides must have one unit"),
        ("literal", UnsupportedError, "make the literal a coefficient"),
        ("leap", AssertionError, r"LIF, exponential: leap over \d+ steps is off by"),
        ("quiet", AssertionError, r"LIF, exponential: quiet\(.*\) holds, yet it spikes within \d+ steps"),
        ("fast", AssertionError, r"LIF, exponential: the fast event-driven run differs beyond threshold ties"),
    ],
)
def test_the_contract_finds_a_mistake(mistake: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_model(Wrong(mistake=mistake, v_threshold=0.7))


def test_a_drive_too_small_to_spike_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="the output is 0 throughout, which proves nothing; use a larger drive"):
        check_model(replace(LIF(), v_threshold=1e6))


class FirstState(NamedTuple):
    """v: membrane [V]."""

    v: Any


class FirstCoefficients(NamedTuple):
    """a: decay; v_threshold [V]."""

    a: Any
    v_threshold: Any


def first_step(x: Any, s: Any, c: Any, f: Any) -> Any:
    v = c.a * s.v + x
    z = f.spike(v - c.v_threshold)
    return z, FirstState(v - z * c.v_threshold)


def first(**changes: Any) -> NeuronModel:
    """A user's first neuron; a part that is None is forgotten."""
    parts: dict[str, Any] = {
        "__annotations__": {"tau": Any},
        "tau": parameter(20e-3, unit="s", doc="time constant"),
        "State": FirstState,
        "Coefficients": FirstCoefficients,
        "state_units": ("V",),
        "coefficient_units": ("1", "V"),
        "step": staticmethod(first_step),
        "coefficients": lambda self, dt, how, m=MATHS: FirstCoefficients(decay(self.tau, dt, how, m), 1.0),
        "initial": lambda self: FirstState(0.0),
    }
    parts = {k: v for k, v in (parts | changes).items() if v is not None}
    made: Any = dataclass(frozen=True, eq=False)(type("First", (NeuronModel,), parts))
    return made()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"State": None}, r"First.State: found none; expected a NamedTuple .*write class FirstState\(NamedTuple\)"),
        ({"Coefficients": None}, r"First.Coefficients: found none; expected a NamedTuple"),
        ({"State": tuple}, r"First.State: found <class 'tuple'>; expected a NamedTuple"),
        ({"step": None}, r"First.step: found none; expected a function; add def step\(x, s, c, f\)"),
        ({"initial": None}, r"First.initial: found none; expected a function; add def initial\(self\)"),
        ({"coefficients": None}, r"First.coefficients: found none; expected a function; add def coefficients\("),
        ({"initial": lambda self: (0.0,)}, r"First.initial: found a tuple; expected a FirstState\(v\); return one"),
        (
            {"coefficients": lambda self, dt, how, m=MATHS: FirstCoefficients(0.5)},  # type: ignore[call-arg]
            r"First.coefficients: .*missing 1 required .*'v_threshold'; expected a FirstCoefficients\(a, v_threshold\)",
        ),
        ({"initial": lambda self: FirstState()}, r"First.initial: .*missing.*'v'; expected a FirstState\(v\)"),  # type: ignore[call-arg]
    ],
)
def test_what_a_first_neuron_lacks_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_model(first(**changes))


def test_parameters_without_a_dataclass_are_refused() -> None:
    class Forgotten(NeuronModel):
        tau: Any = parameter(20e-3, unit="s", doc="time constant")

    with pytest.raises(UnsupportedError, match=r"Forgotten: found tau in a class .*add @dataclass\(frozen"):
        Forgotten()


@pytest.mark.parametrize("unit", ["sec", "ms", "", 3, None, "V/sec"])
def test_a_parameter_has_a_known_unit_without_prefix(unit: Any) -> None:
    with pytest.raises(UnitError, match=r"parameter\(doc='time'\): found .*; expected (one of s|one without|a unit)"):
        parameter(20e-3, unit=unit, doc="time")
