"""The table of primitives: each row's NumPy function, Numba expression, adjoint, unit and accuracy agree."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spikelab.errors import ShapeError, UnitError
from spikelab.neurons import NeuronModel, Port
from spikelab.neurons.kernel import kernel
from spikelab.neurons.primitives import LN2_HIGH, LN2_LOW, NUMPY, PRIMITIVES, UNITS, exp_polynomial
from spikelab.neurons.trace import LEAVES, OUTPUT, adjoint, trace
from spikelab.nn.primitives import TorchPrimitives
from spikelab.nn.surrogate import surrogate
from spikelab.units import Dimensioned, dimension

EVERY = tuple(sorted(PRIMITIVES))
Values = NamedTuple("Values", [(n, Any) for n in EVERY])  # type: ignore[misc]


class Operands(NamedTuple):
    """Second and third operand."""

    b: Any
    c: Any


@dataclass(frozen=True, eq=False)
class Everything(NeuronModel):
    """Applies every primitive to the input, or only one; a state is named as its primitive."""

    only: str = ""

    State, Coefficients = Values, Operands
    ports = {"x": Port("1")}  # noqa: RUF012

    @property
    def step(self) -> Any:
        """Every primitive at the input and two coefficients."""

        def apply(name: str, x: Any, c: Any, f: Any) -> Any:
            return getattr(f, name)(*(x, c.b, c.c)[: PRIMITIVES[name].arity])

        def step(x: Any, s: Any, c: Any, f: Any) -> Any:
            if self.only:
                return apply(self.only, x, c, f), s
            new = Values(*(apply(n, x, c, f) for n in EVERY))
            return new.exp, new

        return step


def operands(n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values small and large, ties, and signs."""
    rng = np.random.default_rng(0)
    x, b, c = rng.normal(size=(3, n)) * 10.0 ** rng.integers(-6, 3, (3, n))
    x[:400] = rng.uniform(-120, 120, 400)
    x[400:800] = rng.uniform(-2e-3, 2e-3, 400)
    b[800:1200] = x[800:1200]
    x[1200:1600] = rng.integers(-3, 4, 400)
    b[1200:1600] = 0.5
    x[1600:1700] = 0
    x[1700:1800] = 1e30  # more thresholds than an integer holds
    x[1800:2200] = rng.uniform(-0.5, 0.5, 400)  # where exprel changes its formula
    x[2200:2300], b[2250:2400], x[2400:2500] = np.nan, np.nan, np.inf
    b, c = np.abs(b), np.abs(np.rint(c))
    return tuple(v.astype(np.float32) for v in (x, b, c))  # type: ignore[return-value]


def test_every_primitive_gives_the_bits_in_a_kernel_that_it_gives_on_arrays() -> None:
    x, b, c = operands()
    k = kernel(Everything(), arrays=("b", "c"))
    start = np.zeros((len(EVERY), len(x)), np.float32)
    end, z = np.empty_like(start), np.empty((1, len(x)), np.float32)
    with pytest.raises(ShapeError, match="found nan in x"):  # after the fact: the results are there
        k.forward([x[None]], [], np.stack([b, c]), start, z, end, np.zeros((0, *start.shape), np.float32), 0)
    for name, found in zip(EVERY, end, strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            expected = getattr(NUMPY, name)(*(x, b, c)[: PRIMITIVES[name].arity])
        assert expected.dtype == np.float32 and np.array_equal(found, expected, equal_nan=True), name
    assert np.array_equal(z[0], end[EVERY.index("exp")], equal_nan=True)


@pytest.mark.parametrize(
    "name", ["count", "exp", "exprel", "maximum", "minimum", "reach", "select", "spike", "truncate"]
)
def test_tensors_give_the_bits_of_arrays_with_nan_and_infinity_too(name: str) -> None:
    f = TorchPrimitives(surrogate("atan"), torch.float32)
    arrays = operands()[: PRIMITIVES[name].arity]
    with np.errstate(invalid="ignore", over="ignore"):
        expected = getattr(NUMPY, name)(*arrays)
    found = getattr(f, name)(*map(torch.tensor, arrays)).numpy()
    assert np.isnan(arrays[0]).any() and np.array_equal(found, expected, equal_nan=True)


def test_a_nan_is_passed_over_by_a_comparison_and_passed_on_by_a_count() -> None:
    nan, one = np.float32(np.nan), np.float32(1)
    for name in ("maximum", "minimum"):
        f = getattr(NUMPY, name)
        assert f(nan, one) == 1 and np.isnan(f(one, nan))
    assert np.isnan(NUMPY.count(nan, one, one)) and NUMPY.spike(nan) == NUMPY.reach(nan) == NUMPY.gate(nan) == 0


def test_float32_exprel_is_accurate_to_1e_6_and_float64_to_1e_12() -> None:
    x = np.concatenate([s * np.geomspace(1e-8, 10, 200_001) for s in (-1, 1)]).astype(np.float32)
    exact = np.expm1(x.astype(np.float64)) / x.astype(np.float64)
    assert np.max(np.abs(NUMPY.exprel(x) / exact - 1)) < 3e-7
    assert np.max(np.abs(NUMPY.exprel(x.astype(np.float64)) / exact - 1)) < 1e-12


def test_the_gradient_of_exprel_does_not_cancel() -> None:
    x = np.concatenate([s * np.geomspace(1e-5, 3, 60) for s in (-1, 1)])
    exact = (np.exp(x) * x - np.expm1(x)) / x**2
    found = np.array([gradients("exprel", v, 1.0, 1.0)["x"] for v in x])
    far = np.abs(x) > 0.1  # where the closed form itself is exact enough
    np.testing.assert_allclose(found[far], exact[far], rtol=1e-11)
    np.testing.assert_allclose(found[~far], (0.5 + x / 3 + x**2 / 8 + x**3 / 30 + x**4 / 144)[~far], rtol=1e-7)


def test_float32_exp_is_within_2_last_places_of_the_exact_value() -> None:
    bits = np.arange(0, np.float32(87.0).view(np.uint32), 1009, dtype=np.uint32)
    positive = bits.view(np.float32)
    x = np.concatenate([-positive[::-1], positive, np.linspace(-87, 88, 300_000, dtype=np.float32)])
    exact = np.exp(x.astype(np.float64))
    places = np.abs(exp_polynomial(x).astype(np.float64) - exact) / np.spacing(exact.astype(np.float32)).astype(
        np.float64
    )
    assert x.size > 2_000_000 and places.max() <= 2
    assert exp_polynomial(np.float32(0)) == 1


def test_exp_stays_finite_and_positive_far_outside() -> None:
    y = exp_polynomial(np.array([-1e30, -200, 200, 1e30], np.float32))
    assert np.array_equal(y, exp_polynomial(np.array([-87, -87, 88, 88], np.float32)))
    assert np.all(np.isfinite(y)) and np.all(y > 0)


def test_exp_of_nan_is_nan_without_a_warning() -> None:
    assert np.isnan(exp_polynomial(np.array([np.nan], np.float32))).all()
    assert np.isnan(exp_polynomial(np.float32(np.nan)))


EXACT = {
    "exprel": lambda x: np.expm1(x) / np.where(x == 0, 1, x) + (x == 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", EXACT)
def test_float64_functions_are_what_they_are_called(name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 4001), [1e-4, -1e-4, 0.0]])
    np.testing.assert_allclose(getattr(NUMPY, name)(x), EXACT[name](x), rtol=2e-10, atol=1e-15)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_float32_functions_are_accurate_to_1e_6(name: str) -> None:
    x = np.linspace(-20, 20, 4001, dtype=np.float32)
    assert np.max(np.abs(getattr(NUMPY, name)(x) - EXACT[name](x.astype(np.float64)))) < 2.5e-7


def test_logic_and_counting_give_numbers_worked_out_by_hand() -> None:
    x = np.array([-1.0, 0.0, 0.25, 1.0, 2.5])
    assert NUMPY.spike(x).tolist() == NUMPY.gate(x).tolist() == [0, 0, 1, 1, 1]
    assert NUMPY.select(NUMPY.gate(x), x, 7.0).tolist() == [7, 7, 0.25, 1, 2.5]
    assert NUMPY.reach(x).tolist() == [0, 1, 1, 1, 1]
    assert NUMPY.truncate(np.array([-1.9, -0.5, 0.5, 1.9])).tolist() == [-1, 0, 0, 1]
    assert NUMPY.count(x, 0.5, 3.0).tolist() == [0, 0, 0, 2, 3]
    assert NUMPY.maximum(x, 0.25).tolist() == [0.25, 0.25, 0.25, 1, 2.5]
    assert NUMPY.minimum(x, 0.25).tolist() == [-1, 0, 0.25, 0.25, 0.25]
    assert NUMPY.divide(x, 0.5).tolist() == [-2, 0, 0.5, 2, 5]
    assert NUMPY.detach(x) is x


def slope(d: Any, f: Any) -> Any:
    return f.constant(3.0) + d


def gradients(name: str, x: float, b: float, c: float) -> dict[str, float]:
    """Evaluate the adjoint's tape at one point; the gradient of the output is 1."""
    traced = trace(Everything(only=name))
    found = adjoint(traced, slope)
    leaves = {"x": x, "b": b, "c": c, OUTPUT: 1.0}
    values: list[Any] = []
    for node in traced.tape.nodes:
        if node.op in LEAVES:
            value = node.args[0] if node.op == "constant" else leaves.get(node.args[0], 0.0)
            values.append(np.float64(value))
        else:
            args = [values[a] for a in node.args]
            simple = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
            values.append(simple[node.op](*args) if node.op in simple else getattr(NUMPY, node.op)(*args))
    return {n: float(values[i]) for n, i in {**found.ports, **found.coefficients}.items()}


SMOOTH = ("divide", "exp", "exprel", "maximum", "minimum", "sigmoid", "tanh")


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("point", [(0.7, 1.3), (-1.2, 0.4), (2.0, 0.6), (3e-4, 1.1), (0.0, 0.9), (-0.3, -0.2)])
def test_the_adjoint_of_a_smooth_primitive_equals_finite_differences(name: str, point: tuple[float, float]) -> None:
    x, b = point
    arity, h = PRIMITIVES[name].arity, 1e-6
    f = lambda *v: float(getattr(NUMPY, name)(*map(np.float64, v[:arity])))  # noqa: E731
    expected = {"x": (f(x + h, b) - f(x - h, b)) / (2 * h)}
    if arity == 2:
        expected["b"] = (f(x, b + h) - f(x, b - h)) / (2 * h)
    found = gradients(name, x, b, 0.0)
    assert {n: found.get(n, 0.0) for n in expected} == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_the_adjoints_of_decisions_are_those_of_the_surrogate_or_none() -> None:
    assert gradients("spike", 0.25, 1.0, 1.0)["x"] == 3.25  # 3 + d
    assert gradients("reach", 0.25, 1.0, 1.0)["x"] == 3.25  # and not 3 - d: an asymmetric surrogate is not mirrored
    assert gradients("truncate", 2.75, 1.0, 1.0)["x"] == 1.0
    assert "x" not in gradients("gate", 0.25, 1.0, 1.0)
    assert "x" not in gradients("detach", 0.25, 1.0, 1.0)
    assert gradients("select", 1.0, 5.0, 2.0) == {"x": 3.0, "b": 1.0, "c": 0.0}
    assert gradients("select", 0.0, 5.0, 2.0) == {"x": 3.0, "b": 0.0, "c": 1.0}


@pytest.mark.parametrize(("v", "nearest"), [(0.1, 1), (0.9, 1), (1.4, 1), (1.6, 2), (3.4, 3), (9.0, 4), (-2.0, 1)])
def test_the_adjoint_of_count_is_the_slope_at_the_nearest_threshold(v: float, nearest: int) -> None:
    through = 3 + v * 0.5 - nearest * 0.5
    found = gradients("count", v * 0.5, 0.5, 4.0)
    assert found["x"] == pytest.approx(through) and found["b"] == pytest.approx(-nearest * through)
    assert "c" not in found


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_gives_its_gradient_to_the_second_operand_only(name: str) -> None:
    assert gradients(name, 0.5, 0.5, 0.0) == {"x": 0.0, "b": 1.0}


V, A, PLAIN = (Dimensioned(dimension(u)) for u in ("V", "A", "1"))


@pytest.mark.parametrize("name", EVERY)
def test_a_primitive_refuses_units_that_do_not_fit(name: str) -> None:
    f = getattr(UNITS, name)
    if name in ("exp", "exprel", "sigmoid", "tanh"):
        with pytest.raises(UnitError, match="operand in V; expected a plain number"):
            f(V)
        assert f(PLAIN) == PLAIN
    elif name in ("maximum", "minimum"):
        with pytest.raises(UnitError, match="operands in V, A; they must have one unit"):
            f(V, A)
        assert f(V, V) == V
    elif name == "divide":
        assert f(V, A) == Dimensioned(dimension("ohm"))
    elif name == "select":
        with pytest.raises(UnitError, match="operands in V, A"):
            f(PLAIN, V, A)
        with pytest.raises(UnitError, match="expected a plain number"):
            f(V, A, A)
        assert f(PLAIN, A, A) == A
    elif name == "count":
        with pytest.raises(UnitError, match="operands in V, A"):
            f(V, A, PLAIN)
        assert f(V, V, PLAIN) == PLAIN
    else:
        assert f(V) == (V if name in ("detach", "truncate") else PLAIN)


def test_ln_2_is_split_so_that_the_first_product_is_exact() -> None:
    n, high = np.arange(-126, 128, dtype=np.float32), np.float32(LN2_HIGH)
    assert np.array_equal((n * high).astype(np.float64), n.astype(np.float64) * LN2_HIGH)
    assert abs(LN2_HIGH + LN2_LOW - math.log(2)) < 1e-12
