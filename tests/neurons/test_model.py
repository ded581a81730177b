import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spikelab import neurons, nn
from spikelab.errors import UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF, QIF, CubaLI, CubaLIF, FixedCubaLIF, NeuronModel, Port, SlidingPSN
from spikelab.neurons.model import MATHS, decay, parameter, parameters

ALL = [m for m in vars(neurons).values() if isinstance(m, type) and issubclass(m, NeuronModel) and m is not NeuronModel]


@pytest.mark.parametrize("model", ALL)
def test_every_parameter_has_a_unit_and_a_meaning(model: type[NeuronModel]) -> None:
    for name, meta in parameters(model).items():
        assert meta["unit"] and meta["doc"], name
    assert set(parameters(model)) | set(model().flags()) == {f.name for f in dataclasses.fields(model)}


# FixedCubaLIF takes whole numbers only, SlidingPSN a vector; what QIF takes for one depends on the other.
@pytest.mark.parametrize("model", [m for m in ALL if m not in (FixedCubaLIF, QIF, SlidingPSN)])
def test_parameters_take_quantities_and_arrays(model: type[NeuronModel]) -> None:
    for name, meta in parameters(model).items():
        unit, above = meta["unit"], {"v_threshold": 3.0} if name == "v_reset" else {}
        text, number = ("7", 7.0) if unit == "1" else (f"7 m{unit}", 7e-3)
        assert getattr(model(**{name: text, **above}), name) == number
        mine = np.array([1, 2])
        theirs = getattr(model(**{name: mine, **above}), name)
        mine[:] = 0
        assert theirs.tolist() == [1.0, 2.0] and not theirs.flags.writeable


WRONG = {
    "another unit": ("tau_mem", "10 mV", r"LIF\.tau_mem: found '10 mV', which is in V; expected a quantity in s"),
    "no unit": ("v_threshold", "1", r"LIF\.v_threshold: found '1' without a unit; expected .* '10 mV'"),
    "zero": ("tau_mem", 0, r"LIF\.tau_mem: found 0\.0 s; expected a value above zero"),
    "negative in an array": ("tau_mem", np.array([1.0, -2.0]), r"found -2\.0 s; expected a value above zero"),
    "NaN": ("v_leak", math.nan, r"LIF\.v_leak: found nan; expected a finite number"),
    "NaN in an array": ("v_leak", np.array([0.0, math.nan]), r"LIF\.v_leak: found NaN or infinity in float64 array"),
    "NaN in a tensor": ("v_leak", torch.tensor(math.nan), r"LIF\.v_leak: found NaN or infinity in tensor\(nan\)"),
    "text in an array": ("v_leak", np.array(["1 V"]), r"LIF\.v_leak: found dtype <U3; expected real numbers"),
    "a list": ("v_leak", [0.1, 0.2], r"LIF\.v_leak: found \[0\.1, 0\.2\] of type list; expected a float in V"),
    "nothing": ("v_leak", None, r"LIF\.v_leak: found None of type NoneType"),
    "complex numbers": ("v_leak", torch.tensor(1j), r"LIF\.v_leak: found dtype complex64"),
    "truth": ("v_leak", torch.tensor(True), r"LIF\.v_leak: found dtype bool"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_parameter_is_refused_with_its_name(case: str) -> None:
    name, value, message = WRONG[case]
    with pytest.raises(UnitError, match=message):
        LIF(**{name: value})


@pytest.mark.parametrize("model", ALL)
def test_an_unknown_flag_names_the_known_ones_and_the_nearest(model: type[NeuronModel]) -> None:
    for name, value in model().flags().items():
        with pytest.raises(
            UnsupportedError, match=rf"{model.__name__}\.{name} '{value}x': unknown; known are .*{value}.*"
        ):
            model(**{name: value + "x"})
    with pytest.raises(UnsupportedError, match="did you mean 'soft'"):
        LIF(reset="sofd")


@pytest.mark.parametrize("model", ALL)
def test_a_model_cannot_be_changed(model: type[NeuronModel]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        model().v_leak = 1.0  # type: ignore[attr-defined]


def test_an_unknown_discretisation_is_refused() -> None:
    for model in (LIF(), CubaLIF(), LI(), CubaLI()):
        with pytest.raises(UnsupportedError, match=r"discretisation 'exp': unknown; known are euler, exponential"):
            model.coefficients(1e-3, "exp")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "sqrt", "sin", "cos"])
def test_functions_for_coefficients_serve_floats_arrays_and_tensors(name: str) -> None:
    function, exact = getattr(MATHS, name), getattr(math, name)(0.3)
    assert function(0.3) == pytest.approx(exact, rel=1e-15)
    np.testing.assert_allclose(function(np.array([0.3])), [exact], rtol=1e-15)
    tensor = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert float(function(tensor).detach()) == pytest.approx(exact, rel=1e-15)
    assert torch.autograd.gradcheck(function, tensor)


def test_the_decay_keeps_the_gradient_of_a_learnable_time_constant() -> None:
    tau = torch.tensor(10e-3, dtype=torch.float64, requires_grad=True)
    for discretisation, exact in (("exponential", math.exp(-0.1) * 10), ("euler", 10.0)):
        (gradient,) = torch.autograd.grad(decay(tau, 1e-3, discretisation), tau)  # type: ignore[arg-type]
        assert float(gradient) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("model", ALL)
def test_units_close(model: type[NeuronModel]) -> None:
    model().check_units()


class Pair(NamedTuple):
    v: Any
    w: Any


class Rates(NamedTuple):
    a: Any


@dataclass(frozen=True, eq=False)
class Leaky(NeuronModel):
    """Two coupled states and two ports; what it returns is given by `mix`."""

    tau: Any = parameter(1e-2, unit="s", doc="time constant")
    mix: Any = None

    State, Coefficients, Inputs = Pair, Rates, Pair
    ports = {"v": Port("V"), "w": Port("A")}  # noqa: RUF012
    state_units = ("V", "A")
    coefficient_units = ("1",)

    @property
    def step(self) -> Any:
        """Whatever the test gives."""
        return lambda x, s, c, f: (f.spike(s.v), self.mix(x, s, c))

    def initial(self) -> Pair:
        """Zero."""
        return Pair(0.0, 0.0)


def test_units_of_every_port_and_state_are_checked() -> None:
    Leaky(mix=lambda x, s, c: Pair(c.a * s.v + x.v, c.a * s.w + x.w)).check_units()


BROKEN = {
    "a sum": (lambda x, s, c: Pair(s.v + s.w, s.w), r"step: V \+ A; both sides must have one unit"),
    "a difference": (lambda x, s, c: Pair(s.v, x.w - x.v), r"step: A - V; both sides"),
    "a state": (lambda x, s, c: Pair(s.v * s.v, s.w), r"Leaky\.step: v is in s\^-6 m\^4 kg\^2 A\^-2; declared is V"),
    "swapped states": (lambda x, s, c: Pair(s.w, s.v), r"Leaky\.step: v is in A; declared is V"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_units_that_do_not_close_are_refused_with_both_named(case: str) -> None:
    mix, message = BROKEN[case]
    with pytest.raises(UnitError, match=message):
        Leaky(mix=mix).check_units()


def test_a_missing_unit_of_a_state_is_named() -> None:
    @dataclass(frozen=True, eq=False)
    class Short(Leaky):
        state_units = ("V",)

    with pytest.raises(UnitError, match=r"Short\.state_units: found 1 units; expected 2, one each for v, w"):
        Short(mix=lambda x, s, c: s).check_units()


def test_every_neuron_is_listed_and_has_a_layer() -> None:
    names = {m.__name__ for m in ALL}
    assert names <= set(neurons.__all__) and names <= set(nn.__all__)
    assert all(getattr(nn, name)(dt="1 ms").model.__class__ is getattr(neurons, name) for name in names)


def test_tensors_of_whole_numbers_are_taken() -> None:
    assert LIF(torch.tensor(1), v_threshold=torch.tensor([1, 2])).coefficients(0.5, "euler").a_mem == 0.5
    with pytest.raises(UnitError, match=r"LIF\.tau_mem: found 0\.0 s; expected a value above zero"):
        LIF(torch.tensor([1, 0]))


def test_a_flag_must_be_text() -> None:
    for flag in (np.array(["hard", "soft"]), ["hard"], None, {}):
        with pytest.raises(UnsupportedError, match=r"LIF\.reset .*: unknown; known are hard"):
            LIF(reset=flag)  # type: ignore[arg-type]


def test_euler_steps_longer_than_a_time_constant_are_refused_wherever_coefficients_are_made() -> None:
    sentence = r"LIF\.tau_mem: found 0\.0005 s, which is shorter than dt of 0\.001 s, where Euler steps overshoot; use"
    for tau in (5e-4, np.array([1e-2, 5e-4]), torch.tensor([5e-4], dtype=torch.float64, requires_grad=True)):
        with pytest.raises(UnitError, match=sentence):
            LIF(tau).coefficients(1e-3, "euler")
        LIF(tau).coefficients(1e-3, "exponential")
    for found in (CubaLIF(tau_syn=5e-4), LI(5e-4), CubaLI(tau_mem=5e-4)):
        with pytest.raises(UnitError, match=r"tau_\w+: found 0\.0005 s, which is shorter than dt"):
            found.coefficients(1e-3, "euler")
    assert LIF(1e-3).coefficients(1e-3, "euler").a_mem == 0


def test_a_layer_refuses_long_euler_steps_with_the_sentence_of_the_network() -> None:
    population = {"in": Population((2,), kind="input"), "out": Population((2,), LIF("0.5 ms"))}
    with pytest.raises(UnitError) as network:
        Network(population, [Projection("in", "out")], "1 ms", "euler")
    with pytest.raises(UnitError) as layer:
        nn.LIF(tau_mem="0.5 ms", dt="1 ms", discretisation="euler")(torch.ones(3, 1, 2))
    assert str(layer.value) in str(network.value)
