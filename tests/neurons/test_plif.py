import math

import numpy as np
import pytest

from spikelab import nn
from spikelab.errors import UnsupportedError
from spikelab.neurons import LIF, PLIF
from spikelab.neurons.lif import LIFState, UndecayedLIFState
from spikelab.testing import check_model

# w = ln 3: sigmoid(w) = 3/4 leaks, 1/4 is left; exact in binary but for the last places of the logarithm.
W = math.log(3.0)
X = [2.0, 0.0, 1.0, 2.0]
BY_HAND = {
    # (input_gain, reset, comparison): v after each step, spikes
    ("1-a", "hard", ">"): ([0.0, 0.0, 0.75, 0.0], [1, 0, 0, 1]),
    ("1-a", "soft", ">"): ([0.5, 0.125, 0.78125, 0.6953125], [1, 0, 0, 1]),
    ("one", "hard", ">"): ([0.0, 0.0, 1.0, 0.0], [1, 0, 0, 1]),
    ("one", "undecayed", ">="): ([2.0, -0.5, 0.875, 2.21875], [1, 0, 0, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    gain, reset, comparison = flags
    z, _, v = walk(PLIF(W, input_gain=gain, reset=reset, comparison=comparison), X)
    assert v == pytest.approx(BY_HAND[flags][0], abs=1e-15)
    assert z.tolist() == BY_HAND[flags][1]


@pytest.mark.parametrize("w", [-3.0, 0.0, 2.0])
def test_it_is_the_lif_that_to_lif_names(w: float, walk) -> None:
    x = np.random.default_rng(0).normal(0.5, 1.5, (400, 20))
    model = PLIF(w, v_leak=0.1, v_reset=-0.2)
    z, s, _ = walk(model, x)
    for discretisation in ("exponential", "euler"):
        same, end, _ = walk(model.to_lif(1e-3, discretisation), x, discretisation=discretisation)
        assert np.array_equal(z, same) and z.any()
        np.testing.assert_allclose(s.v, end.v, atol=1e-12)


def test_a_start_at_a_time_constant() -> None:
    w = -math.log(20e-3 / 1e-3 - 1)
    assert PLIF(w).to_lif(1e-3, "euler").tau_mem == pytest.approx(20e-3)
    assert PLIF(w).coefficients(1e-3, "exponential").a_mem == pytest.approx(0.95)
    assert isinstance(PLIF().to_lif(1e-3), LIF)


def test_the_rate_under_constant_current_is_that_of_the_closed_form(walk) -> None:
    # From 0 with drive I: v_n = I (1 - a^n) with gain 1 - a; a spike after the n at which that passes 1.
    x = np.linspace(1.05, 4.0, 60)
    a = 1 - 1 / (1 + math.exp(2.0))
    z, _, _ = walk(PLIF(-2.0), np.tile(x, (2000, 1)))
    period = np.floor(np.log(1 - 1 / x) / math.log(a)) + 1
    np.testing.assert_allclose(z.mean(axis=0), np.floor(2000 / period) / 2000, atol=1e-12)


def test_the_layer_learns_w_unless_told_otherwise() -> None:
    assert [n for n, _ in nn.PLIF(dt="1 ms").named_parameters()] == ["w"]
    assert not list(nn.PLIF(dt="1 ms", learn=()).parameters())
    assert nn.PLIF(dt="1 ms", shape=5).w.shape == (5,)
    assert PLIF().initial() == LIFState(0.0) and PLIF(reset="undecayed").initial() == UndecayedLIFState(0.0, 0.0)


def test_flags_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="spikes='many'"):
        PLIF(spikes="many")


def test_it_keeps_the_contract() -> None:
    check_model(PLIF(-1.5, v_leak=0.05, v_reset=-0.1), drive=3.0)
