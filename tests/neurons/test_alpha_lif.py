import math

import numpy as np
import pytest

from spikelab.neurons import AlphaLIF, CubaLIF
from spikelab.neurons.cuba_lif import CubaLIFState, UndecayedCubaLIFState
from spikelab.testing import check_model

FAR = 1e9  # a threshold that is never met


def pulse(model: AlphaLIF, walk, steps: int = 200, x: float = 1.0) -> np.ndarray:
    return np.array(walk(model, [x, *np.zeros(steps - 1)])[2])


def test_the_response_to_one_input_is_the_difference_of_two_exponentials(walk) -> None:
    t = np.arange(200)
    kernel = 20 / (20 - 5) * (np.exp(-t / 20) - np.exp(-t / 5))
    np.testing.assert_allclose(pulse(AlphaLIF("5 ms", "20 ms", v_threshold=FAR), walk), kernel, atol=1e-12)


def test_with_equal_time_constants_it_is_an_alpha_function_with_its_peak_at_tau(walk) -> None:
    v, t = pulse(AlphaLIF("10 ms", "10 ms", v_threshold=FAR), walk), np.arange(200)
    np.testing.assert_allclose(v, t / 10 * np.exp(-t / 10), atol=1e-12)
    assert int(np.argmax(v)) == 10 and v.max() == pytest.approx(1 / math.e)


def test_the_peak_lies_where_the_closed_form_has_it(walk) -> None:
    # The derivative vanishes at t = tau_mem tau_syn / (tau_mem - tau_syn) ln(tau_mem / tau_syn).
    model, t = AlphaLIF("5 ms", "20 ms", v_threshold=FAR), 20 * 5 / 15 * math.log(4)
    assert abs(int(np.argmax(pulse(model, walk))) - t) < 1


def test_the_kernel_is_that_of_cuba_one_step_later_and_of_another_height(walk) -> None:
    cuba = pulse(CubaLIF("5 ms", "20 ms", v_threshold=FAR), walk)
    alpha = pulse(AlphaLIF("5 ms", "20 ms", v_threshold=FAR), walk)
    np.testing.assert_allclose(alpha[1:] / cuba[:-1], alpha[1] / cuba[0], rtol=1e-9)


def test_nearly_equal_time_constants_give_nearly_the_same_kernel(walk) -> None:
    equal = pulse(AlphaLIF("10 ms", "10 ms", v_threshold=FAR), walk)
    for tau in (10e-3 * (1 + 1e-12), 10e-3 * (1 - 1e-7), 10.001e-3):
        np.testing.assert_allclose(pulse(AlphaLIF("10 ms", tau, v_threshold=FAR), walk), equal, atol=1e-3 * 0.2)


# Euler steps with b = 1/2 and a = 3/4, gain dt / tau_syn = 1/2; every number below is exact in binary.
X = [4.0, 2.0, 0.0, 0.0]
BY_HAND = {
    # (reset, comparison): (v after each step, spikes)
    ("hard", ">"): ([0.0, 0.0, 0.0, 0.0], [0, 1, 0, 0]),
    ("soft", ">"): ([0.0, 1.0, 1.75, 1.3125], [0, 1, 1, 1]),
    ("late", ">"): ([0.0, 2.0, 0.0, 0.0], [0, 1, 0, 0]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    reset, comparison = flags
    model = AlphaLIF("2 ms", "4 ms", reset=reset, comparison=comparison)
    z, _, v = walk(model, X, discretisation="euler")
    assert (v, z.tolist()) == BY_HAND[flags]


def test_the_late_reset_is_that_of_two_filters_cleared_with_the_next_input(walk) -> None:
    # The recurrence of two filters apart, erased where the last membrane lay above the threshold.
    x = np.random.default_rng(0).normal(0.4, 0.8, (500, 40))
    a, b = math.exp(-1 / 20), math.exp(-1 / 5)
    slow, fast, v, out = np.zeros(40), np.zeros(40), np.zeros(40), []
    for u in x:
        kept = v <= 1
        slow, fast = (a * slow + u) * kept, (b * fast + u) * kept
        v = 20 / 15 * (slow - fast)
        out.append(v > 1)
    z, _, _ = walk(AlphaLIF("5 ms", "20 ms", reset="late"), x)
    assert np.array_equal(z, np.stack(out)) and 0.05 < z.mean() < 0.9


def test_a_soft_reset_is_an_after_potential_that_decays_with_the_membrane(walk) -> None:
    # SRM0: v is the response to the input less exp(-(t - t_spike) / tau_mem) for each spike so far.
    x = np.random.default_rng(0).normal(0.15, 0.1, 400)
    z, _, v = walk(AlphaLIF("5 ms", "20 ms", reset="soft"), x)
    free = walk(AlphaLIF("5 ms", "20 ms", v_threshold=FAR), x)[2]
    after = [sum(math.exp(-(t - k) / 20) for k in np.flatnonzero(z) if k <= t) for t in range(400)]
    np.testing.assert_allclose(v, np.array(free) - after, atol=1e-9)
    assert z.sum() > 5


def test_the_start_is_at_rest_without_current() -> None:
    assert AlphaLIF(v_leak=0.5).initial() == CubaLIFState(0.0, 0.5)
    late = AlphaLIF(reset="late")
    assert late.initial() == UndecayedCubaLIFState(0.0, 0.0, 0.0) and late.leap is None and late.quiet is None


def test_it_keeps_the_contract() -> None:
    check_model(AlphaLIF("5 ms", "5 ms", reset="soft", comparison=">="), drive=2.0)
