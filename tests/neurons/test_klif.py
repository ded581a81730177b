import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikelab import nn
from spikelab.neurons import KLIF, LIF
from spikelab.neurons.lif import LIFState
from spikelab.neurons.primitives import NUMPY
from spikelab.testing import check_model

# Euler steps with a = 1/2 and k = 2; every number below is exact in binary.
MODEL = KLIF("2 ms", 2.0, input_gain="one")
X = [0.25, 0.0, 0.25, -3.0, 0.75]
BY_HAND = {
    # (kept, reset, comparison): v after each step, spikes
    ("scaled", "hard", ">"): ([0.5, 0.5, 1.0, 0.0, 0.0], [0, 0, 0, 0, 1]),
    ("scaled", "hard", ">="): ([0.5, 0.5, 0.0, 0.0, 0.0], [0, 0, 1, 0, 1]),
    ("scaled", "soft", ">"): ([0.5, 0.5, 1.0, 0.0, 0.5], [0, 0, 0, 0, 1]),
    ("unscaled", "hard", ">"): ([0.25, 0.125, 0.3125, 0.0, 0.0], [0, 0, 0, 0, 1]),
    ("unscaled", "soft", ">"): ([0.25, 0.125, 0.3125, 0.0, 0.25], [0, 0, 0, 0, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    kept, reset, comparison = flags
    z, _, v = walk(replace(MODEL, kept=kept, reset=reset, comparison=comparison), X, discretisation="euler")
    assert (v, z.tolist()) == BY_HAND[flags]


def test_with_k_of_one_and_a_membrane_above_zero_it_is_a_lif(walk) -> None:
    x = np.random.default_rng(0).uniform(0, 3, (400, 20))
    z, s, _ = walk(KLIF("20 ms", v_reset=0.1), x)
    same, end, _ = walk(LIF("20 ms", v_reset=0.1, input_gain="1-a"), x)
    assert np.array_equal(z, same) and z.any() and np.array_equal(s.v, end.v)


def test_the_rate_under_constant_current_is_that_of_the_closed_form(walk) -> None:
    # Unscaled, v_n = I (1 - a^n), and k v passes the threshold where v passes 1 / k.
    k, a, x = 1.6, math.exp(-1 / 20), np.linspace(0.7, 3.0, 60)
    z, _, _ = walk(KLIF("20 ms", k, kept="unscaled"), np.tile(x, (2000, 1)))
    period = np.floor(np.log(1 - 1 / (k * x)) / math.log(a)) + 1
    np.testing.assert_allclose(z.mean(axis=0), np.floor(2000 / period) / 2000, atol=1e-12)


def test_a_scaled_membrane_grows_by_k_a(walk) -> None:
    model = KLIF("20 ms", 1.02, v_threshold=1e9)
    v = walk(model, np.zeros(50), state=LIFState(0.3))[2]
    np.testing.assert_allclose(v, 0.3 * (1.02 * math.exp(-1 / 20)) ** np.arange(1, 51), rtol=1e-12)


@pytest.mark.parametrize("kept", ["scaled", "unscaled"])
def test_leap_equals_silent_steps_also_where_it_rectifies(kept: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        k, x, v, n = rng.uniform(0.5, 1.1), rng.normal(), rng.normal(), int(rng.integers(0, 200))
        model = KLIF("20 ms", k, v_leak=rng.normal(0, 0.2), v_threshold=1e9, kept=kept)
        c: Any = model.coefficients(1e-3, "exponential")
        s = LIFState(v)
        for _ in range(n):
            s = model.step(x, s, c, NUMPY)[1]
        assert model.leap(x, LIFState(v), c, n).v == pytest.approx(float(s.v), rel=1e-9, abs=1e-9)


def test_the_layer_learns_k_which_stays_positive() -> None:
    layer = nn.KLIF(k=1.5, dt="1 ms")
    assert [n for n, _ in layer.named_parameters()] == ["log_k"]
    assert layer.frozen_model().k == pytest.approx(1.5)


def test_it_keeps_the_contract() -> None:
    check_model(KLIF(k=1.03, v_reset=0.1), drive=8.0)
