"""Surrogates: the slope that is written is the slope that training uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.errors import UnitError, UnsupportedError
from spikelab.nn.fused import named_kernel
from spikelab.nn.surrogate import SURROGATES, surrogate

# Written again from the papers, and the area under each (SuperSpike: 2 / k).
FORMULAS: list[tuple[nn.Surrogate, Callable[[Any], Any], float]] = [
    (nn.SuperSpike(10.0), lambda d: 1 / (10 * abs(d) + 1) ** 2, 0.2),
    (nn.ATan(2.0), lambda d: 1 / (1 + (math.pi * d) ** 2), 1.0),
    (nn.Triangle(0.5), lambda d: 0.5 * np.maximum(0, 1 - abs(0.5 * d)), 1.0),
    (nn.Sigmoid(4.0), lambda d: 4 * np.exp(-4 * abs(d)) / (1 + np.exp(-4 * abs(d))) ** 2, 1.0),
]
DISTANCES = torch.tensor([-3.0, -0.7, -0.1, -1e-4, 0.0, 1e-4, 0.1, 0.7, 3.0])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("made", "formula", "area"), FORMULAS, ids=lambda v: type(v).__name__)
def test_the_gradient_of_a_spike_is_the_formula(made: nn.Surrogate, formula: Any, area: float, fused: bool) -> None:
    x = (DISTANCES + 1).reshape(1, 1, -1).requires_grad_(True)
    y, _ = nn.IF(surrogate=made, dt="1 ms", fused=fused)(x)
    assert y.flatten().tolist() == (DISTANCES > 0).float().tolist()
    y.sum().backward()
    d = x.detach().flatten().double().numpy() - 1
    np.testing.assert_allclose(x.grad.flatten().numpy(), formula(d), rtol=2e-5, atol=3e-7)  # type: ignore[union-attr]
    far = np.linspace(-400, 400, 4_000_001)
    assert np.trapezoid(formula(far), far) == pytest.approx(area, rel=1e-2)


@pytest.mark.parametrize("kind", SURROGATES.values())
@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), "2", None])
def test_a_steepness_that_is_not_above_zero_is_refused(kind: type[nn.Surrogate], bad: Any) -> None:
    with pytest.raises(UnitError, match="steepness"):
        kind(bad)


def test_names_stand_for_the_defaults_and_unknown_ones_are_refused() -> None:
    assert {n: surrogate(n) for n in SURROGATES} == {n: kind() for n, kind in SURROGATES.items()}
    with pytest.raises(UnsupportedError, match="known are atan, sigmoid, superspike, triangle; did you mean 'sigmoid'"):
        surrogate("sigmoids")


def test_a_class_defined_anew_under_an_old_name_gets_a_kernel_of_its_own() -> None:
    # In a notebook a cell is run again with another slope.
    def define(value: float) -> nn.Surrogate:
        class Flat(nn.Surrogate):
            def slope(self, d: Any, f: Any) -> Any:
                return f.constant(value)

        return Flat()

    model = nn.IF().model
    keys = [named_kernel(model, define(v), torch.float32, (), (), False) for v in (1.0, 2.0)]
    assert keys[0] != keys[1]
    assert named_kernel(model, nn.ATan(), torch.float32, (), (), False) == named_kernel(
        nn.IF(v_threshold=2.0).model, nn.ATan(), torch.float32, (), (), False
    )


def test_whole_thresholds_take_the_slope_at_the_nearest_one() -> None:
    x = torch.tensor([0.2, 1.1, 1.9, 3.6]).reshape(1, 1, -1).requires_grad_(True)
    layer = nn.IF(spikes="many", reset="soft", comparison=">=", surrogate=nn.Triangle(1.0), dt="1 ms", fused=False)
    y, _ = layer(x)
    assert y.flatten().tolist() == [0, 1, 1, 3]
    y.sum().backward()
    np.testing.assert_allclose(x.grad.flatten().numpy(), [1 - 0.8, 1 - 0.1, 1 - 0.1, 1 - 0.4], rtol=1e-5)  # type: ignore[union-attr]
