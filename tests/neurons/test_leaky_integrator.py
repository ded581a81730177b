import math
from dataclasses import replace

import numpy as np
import pytest

from spikelab.neurons import LI, CubaLI


def test_a_readout_gives_its_potential_after_the_input(walk) -> None:
    z, _, v = walk(LI("2 ms", v_leak=0.5), [1.0, 0.0, -0.25, 2.0], discretisation="euler")
    assert z.tolist() == v == [1.5, 1.0, 0.5, 2.5]


@pytest.mark.parametrize("gain", ["1-a", "dt/tau"])
def test_the_gain_scales_the_input(gain: str, walk) -> None:
    z, _, _ = walk(LI("4 ms", input_gain=gain), [1.0, 0.0, 2.0], discretisation="euler")
    assert z.tolist() == [0.25, 0.1875, 0.640625]


@pytest.mark.parametrize(
    ("synapse", "numbers"),
    [("decay_then_add", [1.0, 1.25, 1.1875, 2.015625]), ("add_then_decay", [0.5, 0.625, 0.59375, 1.0078125])],
)
def test_a_current_goes_through_both_filters(synapse: str, numbers: list[float], walk) -> None:
    z, _, _ = walk(CubaLI("2 ms", "4 ms", synapse=synapse), [1.0, 0.0, 0.0, 1.0], discretisation="euler")
    assert z.tolist() == numbers


def test_a_readout_never_spikes_nor_resets(walk) -> None:
    for model in (LI("20 ms"), CubaLI("5 ms", "20 ms")):
        assert not model.spiking and model.output_unit == "V" and model.quiet is None
        z, _, _ = walk(model, np.full(400, 50.0))
        assert np.all(np.diff(z) > 0)


def test_a_readout_is_linear(walk) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 100, 7))
    for model in (LI("20 ms", input_gain="1-a"), CubaLI("5 ms", "20 ms", input_gain="dt/tau")):
        both, one, other = (walk(model, u)[0] for u in (2 * x - 3 * y, x, y))
        np.testing.assert_allclose(both, 2 * one - 3 * other, atol=1e-12)


def test_the_potential_decays_to_the_leak(walk) -> None:
    model = LI("10 ms", v_leak=-0.07)
    v = walk(model, np.zeros(100), state=replace(model, v_leak=0.0).initial())[2]
    np.testing.assert_allclose(v, -0.07 * (1 - math.exp(-0.1) ** np.arange(1, 101)), rtol=1e-12)
