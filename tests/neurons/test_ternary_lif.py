import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import UnitError
from spikelab.neurons import LIF, TernaryLIF
from spikelab.neurons.lif import LIFState
from spikelab.neurons.primitives import NUMPY
from spikelab.testing import check_model

# Euler steps with a = 1/2; every number below is exact in binary.
HALF = TernaryLIF("2 ms")
X = [0.5, -1.25, -1.0, 2.5, 0.75]
BY_HAND = {
    # (reset, comparison): v after each step, spikes
    ("hard", ">"): ([0.5, -1.0, 0.0, 0.0, 0.75], [0, 0, -1, 1, 0]),
    ("hard", ">="): ([0.5, 0.0, 0.0, 0.0, 0.75], [0, -1, -1, 1, 0]),
    ("soft", ">"): ([0.5, -1.0, -0.5, 1.25, 0.375], [0, 0, -1, 1, 1]),
    ("soft", ">="): ([0.5, 0.0, 0.0, 1.5, 0.5], [0, -1, -1, 1, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    reset, comparison = flags
    z, _, v = walk(replace(HALF, reset=reset, comparison=comparison), X, discretisation="euler")
    assert (v, z.tolist()) == BY_HAND[flags]


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_the_opposite_input_gives_the_opposite_spikes(reset: str, walk) -> None:
    x = np.random.default_rng(0).normal(0, 1, (300, 30))
    model = TernaryLIF(reset=reset)
    z, _, _ = walk(model, x)
    assert np.array_equal(walk(model, -x)[0], -z) and set(np.unique(z)) == {-1.0, 0.0, 1.0}


def test_under_constant_drive_its_rate_is_that_of_a_lif_with_the_sign_of_the_drive(walk) -> None:
    x = np.concatenate([-np.linspace(0.06, 3, 40), np.linspace(0.06, 3, 40)])
    a = math.exp(-1 / 20)
    z, _, _ = walk(TernaryLIF(), np.tile(x, (2000, 1)))
    period = np.floor(np.log(1 - (1 - a) / np.abs(x)) / math.log(a)) + 1
    np.testing.assert_allclose(z.mean(axis=0), np.sign(x) * np.floor(2000 / period) / 2000, atol=1e-12)


def test_where_v_stays_above_the_lower_threshold_it_is_a_lif(walk) -> None:
    x = np.random.default_rng(0).uniform(0, 0.5, (300, 30))
    assert np.array_equal(walk(TernaryLIF(v_leak=0.1), x)[0], walk(LIF(v_leak=0.1), x)[0])


@given(
    st.floats(2e-3, 0.1),
    st.floats(-0.9, 0.9),
    st.floats(0.95, 2),
    st.floats(-0.3, 0.3),
    st.floats(-2, 2),
    st.integers(),
)
def test_what_is_called_quiet_stays_silent(tau: float, leak: float, threshold: float, x: float, v: float, seed: int):
    model = TernaryLIF(tau, leak, threshold)
    c: Any = model.coefficients(1e-3, "exponential")
    s = LIFState(v)
    if model.quiet(x, s, c):
        for _ in range(300):
            z, s = model.step(x, s, c, NUMPY)
            assert z == 0


@pytest.mark.parametrize("v_reset", [1.5, -1.5])
def test_a_reset_beyond_a_threshold_is_refused(v_reset: float) -> None:
    with pytest.raises(UnitError, match=r"TernaryLIF.v_reset: found -?1.5 V"):
        TernaryLIF(v_reset=v_reset)
    with pytest.raises(UnitError, match=r"TernaryLIF.v_threshold: found -1.0 V; expected a value above zero"):
        TernaryLIF(v_threshold=-1.0)


def test_it_keeps_the_contract() -> None:
    check_model(TernaryLIF(v_leak=0.05, v_reset=0.1), drive=0.6)
