"""The conventions: what has no meaning is refused, what has one is not."""

from typing import Any

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.errors import ShapeError, UnitError
from spikelab.neurons import IF, LIF, CubaLIF

MODELS: tuple[Any, ...] = (LIF, CubaLIF, IF)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("threshold", "start", "comparison"),
    [
        (1.0, 2.0, ">"),
        (1.0, 1.0, ">="),
        (0.0, 0.0, ">="),
        (-1.0, 0.0, ">"),
        (np.array([[1.0], [0.2]]), np.array([0.0, 0.5]), ">"),
    ],
)
def test_a_hard_reset_to_a_value_that_spikes_is_refused(
    model: Any, threshold: Any, start: Any, comparison: str
) -> None:
    message = rf"{model.__name__}\.v_reset: found .* V with v_threshold of .* V; expected a value (at or )?below"
    with pytest.raises(UnitError, match=message):
        model(v_threshold=threshold, v_reset=start, comparison=comparison)
    model(v_threshold=threshold, v_reset=start, comparison=comparison, reset="soft")


@pytest.mark.parametrize("model", MODELS)
def test_a_hard_reset_to_the_threshold_is_no_spike_where_only_more_is_one(model: Any) -> None:
    model(v_threshold=0.0)
    model(v_threshold=np.array([1.0, 0.5]), v_reset=np.array([[1.0, 0.5], [-3.0, 0.0]]))


def test_potentials_that_fit_no_common_population_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"LIF\.v_reset: found shape \(2,\) beside v_threshold of \(3,\)"):
        LIF(v_threshold=np.ones(3), v_reset=np.zeros(2))


def test_a_threshold_may_be_learnt_through_the_reset_value_but_not_written() -> None:
    layer = nn.LIF(v_threshold=0.5, learn=("v_threshold",), dt="1 ms")
    with torch.no_grad():
        layer.v_threshold.fill_(-0.25)  # type: ignore[operator]
    y, _ = layer(torch.zeros(3, 1, 2))
    assert y.sum() == 6
    with pytest.raises(UnitError, match=r"LIF\.v_reset: found 0\.0 V with v_threshold of -0\.25 V"):
        layer.frozen_model()


@pytest.mark.parametrize(("spiking", "reading"), [(nn.LIF, nn.LI), (nn.CubaLIF, nn.CubaLI)])
def test_without_a_reset_a_neuron_is_a_filter_and_a_comparison(spiking: Any, reading: Any) -> None:
    x = torch.tensor(np.random.default_rng(0).normal(0.05, 0.4, (60, 2, 50)), dtype=torch.float32)
    z, state = spiking(reset="none", dt="1 ms")(x)
    v, same = reading(dt="1 ms")(x)
    assert torch.equal(z, (v > 1.0).float()) and 0.05 < z.mean() < 0.95
    assert torch.equal(state.neuron.v, same.neuron.v)
