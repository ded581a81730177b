import math

import numpy as np
import pytest

from spikelab.neurons import CLIF, LIF
from spikelab.neurons.clif import CLIFState
from spikelab.testing import check_model


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("comparison", [">", ">="])
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(comparison: str, walk) -> None:
    # Euler steps with a = 1/2: v = 1 is a tie, then 2.
    z, s, v = walk(CLIF("2 ms", comparison=comparison), [1.0, 1.5], discretisation="euler")
    if comparison == ">":
        assert z.tolist() == [0, 1] and v == [1.0, pytest.approx(2 - 1 - sigmoid(1))] and s.m == 1.0
        return
    first = 1 - 1 - sigmoid(1)
    assert z.tolist() == [1, 1] and v[0] == pytest.approx(first)
    m = sigmoid(0.5 * (0.5 * first + 1.5)) + 1
    assert float(s.m) == pytest.approx(m) and v[1] == pytest.approx(0.5 * first + 1.5 - 1 - sigmoid(m))


def test_the_first_spike_is_that_of_a_lif(walk) -> None:
    x = np.random.default_rng(0).normal(0.2, 0.3, (300, 50))
    first = [np.argmax(walk(m, x)[0] > 0, axis=0) for m in (CLIF("20 ms"), LIF("20 ms", reset="soft"))]
    assert np.array_equal(*first) and (first[0] > 0).any()


def test_at_rest_the_complementary_potential_halves_in_every_step(walk) -> None:
    _, s, _ = walk(CLIF("20 ms"), np.zeros(30), state=CLIFState(0.0, 3.0))
    assert float(s.m) == pytest.approx(3.0 * 2.0**-30, rel=1e-12)


def test_under_constant_drive_it_settles_at_the_closed_form(walk) -> None:
    # One spike per step: v = a v + I - 1 - sigmoid(m) and m = m sigmoid((1 - a) (a v + I)) + 1 are a fixed point.
    a, drive = math.exp(-1 / 2), 1.8
    z, s, v = walk(CLIF("2 ms"), np.full(200, drive))
    assert z[-50:].all()
    before = a * v[-1] + drive
    assert float(s.m) == pytest.approx(1 / (1 - sigmoid((1 - a) * before)), rel=1e-12)
    assert v[-1] == pytest.approx((drive - 1 - sigmoid(float(s.m))) / (1 - a), rel=1e-9)


def test_it_fires_less_than_a_lif_with_soft_reset(walk) -> None:
    x = np.tile(np.linspace(0.1, 2.0, 40), (500, 1))
    z, full = (walk(m, x)[0].mean(axis=0) for m in (CLIF("20 ms"), LIF("20 ms", reset="soft")))
    assert (z <= full).all() and (z < full).mean() > 0.8


def test_scaling_all_potentials_changes_no_spike(walk) -> None:
    x = np.random.default_rng(1).normal(0.3, 0.5, (200, 20))
    z, _, _ = walk(CLIF("20 ms"), x)
    assert np.array_equal(z, walk(CLIF("20 ms", v_threshold=0.5, v_scale=0.5), x / 2)[0]) and z.any()


def test_it_keeps_the_contract() -> None:
    check_model(CLIF(comparison=">="), drive=0.4)
