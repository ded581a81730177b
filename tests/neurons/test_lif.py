import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import UnsupportedError
from spikelab.neurons import LIF
from spikelab.neurons.lif import LIFState, UndecayedLIFState

# Euler steps with dt / tau = 1/2; every number below is exact in binary.
HALF = LIF("2 ms")
X = [0.5, 0.75, 0.5, 1.0, 2.5, 0.0]
BY_HAND = {
    # convention: (v after each step, spikes)
    ("hard", ">", "one"): ([0.5, 1.0, 1.0, 0.0, 0.0, 0.0], [0, 0, 0, 1, 1, 0]),
    ("hard", ">=", "one"): ([0.5, 0.0, 0.5, 0.0, 0.0, 0.0], [0, 1, 0, 1, 1, 0]),
    ("soft", ">", "one"): ([0.5, 1.0, 1.0, 0.5, 1.75, 0.875], [0, 0, 0, 1, 1, 0]),
    ("soft", ">=", "one"): ([0.5, 0.0, 0.5, 0.25, 1.625, 0.8125], [0, 1, 0, 1, 1, 0]),
    ("soft", ">=", "many"): ([0.5, 0.0, 0.5, 0.25, 0.625, 0.3125], [0, 1, 0, 1, 2, 0]),
    ("undecayed", ">", "one"): ([0.5, 1.0, 1.0, 1.5, 2.25, 0.125], [0, 0, 0, 1, 1, 0]),
    ("undecayed", ">=", "one"): ([0.5, 1.0, 0.0, 1.0, 2.0, 0.0], [0, 1, 0, 1, 1, 0]),
    ("undecayed", ">=", "many"): ([0.5, 1.0, 0.0, 1.0, 2.0, -1.0], [0, 1, 0, 1, 2, 0]),
    ("none", ">", "one"): ([0.5, 1.0, 1.0, 1.5, 3.25, 1.625], [0, 0, 0, 1, 1, 1]),
    ("none", ">=", "many"): ([0.5, 1.0, 1.0, 1.5, 3.25, 1.625], [0, 1, 1, 1, 3, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
@pytest.mark.parametrize("gain", ["one", "1-a", "dt/tau"])
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, gain, walk) -> None:
    reset, comparison, spikes = flags
    model = replace(HALF, reset=reset, comparison=comparison, spikes=spikes, input_gain=gain)
    scale = 1 if gain == "one" else 2  # both gains are 1/2 here
    z, _, v = walk(model, np.array(X) * scale, discretisation="euler")
    assert (v, z.tolist()) == BY_HAND[flags]


def test_leak_threshold_and_reset_are_taken_where_they_are(walk) -> None:
    model = LIF("2 ms", v_leak=0.25, v_threshold=1.125, v_reset=-0.5)
    z, _, v = walk(model, [0.5, 0.75, 0.0, 1.0], discretisation="euler")
    assert (v, z.tolist()) == ([0.75, -0.5, -0.125, 1.0625], [0, 1, 0, 0])


def test_an_undecayed_reset_is_still_due_in_the_next_chunk(walk) -> None:
    model = replace(HALF, reset="undecayed")
    x = np.random.default_rng(0).normal(0.3, 0.6, (60, 50))
    whole, end, _ = walk(model, x)
    first, state, _ = walk(model, x[:23])
    rest, last, _ = walk(model, x[23:], state=state)
    assert state.z.any()
    assert np.array_equal(whole, np.concatenate([first, rest]))
    assert np.array_equal(np.stack(end), np.stack(last))


@given(current=st.floats(0.06, 3.0), tau=st.floats(5e-3, 50e-3))
def test_the_rate_under_constant_input_is_the_closed_form(walk, current: float, tau: float) -> None:
    # After a reset to 0, v_n = I (1 - a^n) / (1 - a), which first exceeds 1 at n = floor(log_a(1 - (1 - a) / I)) + 1.
    a = math.exp(-1e-3 / tau)
    ratio = (1 - a) / current
    crossing = math.log(1 - ratio) / math.log(a) if ratio < 1 else math.inf
    if abs(crossing - round(min(crossing, 1e6))) < 1e-6:
        return  # the threshold is met to within rounding
    z, _, _ = walk(LIF(tau), np.full(400, current))
    expected = 0 if ratio >= 1 else 400 // (math.floor(crossing) + 1)
    assert z.sum() == expected


@pytest.mark.parametrize("drive", [1.2, 2.0, 5.0])
def test_the_rate_tends_to_that_of_continuous_time(drive: float, walk) -> None:
    # tau v' = drive - v from 0 to 1 takes tau ln(drive / (drive - 1)) (Gerstner et al. 2014, equation 1.12).
    interval = 20e-3 * math.log(drive / (drive - 1))
    for dt in (1e-3, 1e-4, 1e-5):
        z, _, _ = walk(LIF("20 ms", input_gain="1-a"), np.full(round(0.3 / dt), drive), dt)
        times = np.flatnonzero(z) * dt
        assert interval <= np.diff(times).mean() <= interval + 1.001 * dt


def test_without_input_the_potential_decays_by_exp_of_minus_n_dt_over_tau(walk) -> None:
    v = walk(LIF("20 ms"), np.zeros(300), state=LIFState(0.9))[2]
    np.testing.assert_allclose(v, 0.9 * np.exp(-np.arange(1, 301) * 1e-3 / 20e-3), rtol=1e-12)


def _errors(walk, model: LIF, discretisation: str) -> list[float]:
    """Error of v after 20 ms of constant input, for dt halved four times."""
    exact = 0.8 * (1 - math.exp(-1))
    steps = (20, 40, 80, 160, 320)
    return [abs(walk(model, np.full(n, 0.8), 20e-3 / n, discretisation)[1].v - exact) for n in steps]


def test_euler_converges_with_order_one_and_exponential_steps_are_exact(walk) -> None:
    euler = _errors(walk, LIF("20 ms", input_gain="dt/tau"), "euler")
    orders = np.log2(np.array(euler[:-1]) / euler[1:])
    assert np.all(np.abs(orders - 1) < 0.05)
    assert max(_errors(walk, LIF("20 ms", input_gain="1-a"), "exponential")) < 1e-14


def test_only_a_gain_of_1_minus_a_settles_at_the_input_in_exponential_steps(walk) -> None:
    settled = {
        g: walk(LIF("5 ms", v_threshold=9, input_gain=g), np.full(400, 0.5))[1].v for g in ("1-a", "dt/tau", "one")
    }
    a = math.exp(-0.2)
    assert settled == pytest.approx({"1-a": 0.5, "dt/tau": 0.1 / (1 - a), "one": 0.5 / (1 - a)}, rel=1e-12)


def test_many_spikes_take_every_whole_threshold_and_never_a_negative_one(walk) -> None:
    z, _, v = walk(LIF("2 ms", reset="soft", comparison=">=", spikes="many"), [3.75, -9.0, 1.0], discretisation="euler")
    assert (z.tolist(), v) == ([3, 0, 0], [0.75, -8.625, -3.3125])


@pytest.mark.parametrize("flags", [{}, {"comparison": ">=", "reset": "hard"}, {"reset": "soft"}])
def test_whole_thresholds_need_at_or_above_and_subtraction(flags: dict[str, str]) -> None:
    with pytest.raises(UnsupportedError, match=r"LIF\(spikes='many'\): found .*; expected comparison='>='") as caught:
        LIF(spikes="many", **flags)
    assert [v.rule for v in caught.value.violations] == ["whole_thresholds_are_counted_at_or_above_and_subtracted"]


def test_the_start_is_at_rest() -> None:
    assert LIF(v_leak="-65 mV").initial() == LIFState(-0.065)
    assert LIF(v_leak=0.2, reset="undecayed").initial() == UndecayedLIFState(0.2, 0.0)


def test_there_is_no_leap_while_a_subtraction_is_pending() -> None:
    model = LIF(reset="undecayed")
    assert model.leap is None and model.quiet is None
