import math
from dataclasses import replace

import numpy as np
import pytest

from spikelab.neurons import CubaLIF
from spikelab.neurons.cuba_lif import CubaLIFState, UndecayedCubaLIFState

# Euler steps with b = 1/2 and a = 3/4; every number below is exact in binary.
MODEL = CubaLIF("2 ms", "4 ms")
X = [1.0, 0.0, 0.0, 1.0]
BY_HAND = {
    # convention: (v after each step, spikes)
    ("decay_then_add", "hard", ">"): ([1.0, 0.0, 0.25, 0.0], [0, 1, 0, 1]),
    ("decay_then_add", "hard", ">="): ([0.0, 0.5, 0.625, 0.0], [1, 0, 0, 1]),
    ("decay_then_add", "soft", ">"): ([1.0, 0.25, 0.4375, 0.453125], [0, 1, 0, 1]),
    ("decay_then_add", "undecayed", ">"): ([1.0, 1.25, 0.1875, 1.265625], [0, 1, 0, 1]),
    ("add_then_decay", "hard", ">"): ([0.5, 0.625, 0.59375, 0.0], [0, 0, 0, 1]),
    ("add_then_decay", "soft", ">"): ([0.5, 0.625, 0.59375, 0.0078125], [0, 0, 0, 1]),
    ("add_then_decay", "undecayed", ">"): ([0.5, 0.625, 0.59375, 1.0078125], [0, 0, 0, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    synapse, reset, comparison = flags
    z, _, v = walk(replace(MODEL, synapse=synapse, reset=reset, comparison=comparison), X, discretisation="euler")
    assert (v, z.tolist()) == BY_HAND[flags]


@pytest.mark.parametrize("gain", ["1-a", "dt/tau"])
def test_the_gain_scales_the_current_not_the_input(gain: str, walk) -> None:
    _, s, v = walk(replace(MODEL, input_gain=gain), [4.0, 0.0, 0.0], discretisation="euler")
    assert (s.i, v) == (1.0, [1.0, 0.0, 0.25])  # 1/4 of the currents 4, 2, 1


@pytest.mark.parametrize(("synapse", "factor"), [("decay_then_add", 1.0), ("add_then_decay", math.exp(-1 / 5))])
def test_the_response_to_one_spike_is_the_difference_of_two_exponentials(synapse, factor, walk) -> None:
    a, b, n = math.exp(-1 / 20), math.exp(-1 / 5), np.arange(200)
    x = np.zeros(200)
    x[0] = 0.1
    v = walk(CubaLIF("5 ms", "20 ms", synapse=synapse), x)[2]
    np.testing.assert_allclose(v, 0.1 * factor * (a ** (n + 1) - b ** (n + 1)) / (a - b), rtol=1e-12, atol=1e-17)


def test_with_equal_time_constants_the_response_is_an_alpha_function(walk) -> None:
    a, n = math.exp(-1 / 10), np.arange(200)
    x = np.zeros(200)
    x[0] = 0.1
    v = walk(CubaLIF("10 ms", "10 ms"), x)[2]
    np.testing.assert_allclose(v, 0.1 * (n + 1) * a**n, rtol=1e-12)
    assert int(np.argmax(v)) == 9  # the peak lies at tau - dt


def test_many_spikes_are_whole_thresholds(walk) -> None:
    model = replace(MODEL, comparison=">=", spikes="many", reset="soft")
    z, _, v = walk(model, [2.0, 3.0, 0.0], discretisation="euler")
    assert (z.tolist(), v) == ([2, 4, 2], [0.0, 0.0, 0.0])


def test_the_start_is_at_rest_without_current() -> None:
    assert CubaLIF(v_leak=0.5).initial() == CubaLIFState(0.0, 0.5)
    assert CubaLIF(reset="undecayed").initial() == UndecayedCubaLIFState(0.0, 0.0, 0.0)
    assert CubaLIF(reset="undecayed").leap is None and CubaLIF(reset="undecayed").quiet is None
