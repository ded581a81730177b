import math

import numpy as np
import pytest

from spikelab.errors import UnitError, UnsupportedError
from spikelab.neurons import ALIF
from spikelab.neurons.alif import ALIFState, UndecayedALIFState
from spikelab.testing import check_model

# Euler steps with dt / tau = 1/2 for both time constants; every number below is exact in binary.
X = [1.5, 1.0, 2.0, 0.0]
BY_HAND = [
    # flags, v after each step, w at the end, spikes
    ({}, [0.5, 1.25, 1.375, 0.6875], 0.3125, [1, 0, 1, 0]),
    ({"reset": "hard"}, [-0.5, 0.75, -0.5, -0.25], 0.3125, [1, 0, 1, 0]),
    ({"reset": "undecayed"}, [1.5, 0.75, 2.375, -0.0625], 0.3125, [1, 0, 1, 0]),
    (
        {"adaptation": "decay_then_compare", "comparison": ">=", "subtraction": "base"},
        [0.5, 0.25, 1.125, 0.5625],
        0.4375,
        [1, 1, 1, 0],
    ),
    ({"adaptation": "decay_then_compare", "subtraction": "base"}, [0.5, 1.25, 1.625, 0.8125], 0.3125, [1, 0, 1, 0]),
]


@pytest.mark.parametrize(("flags", "v", "w", "spikes"), BY_HAND, ids=lambda v: str(v) if isinstance(v, dict) else "")
@pytest.mark.parametrize("jump_gain", ["1-a", "one"])
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, v, w, spikes, jump_gain, walk) -> None:
    jump = 1.0 if jump_gain == "1-a" else 0.5  # 1 - a is 1/2 here
    model = ALIF("2 ms", "2 ms", v_reset=-0.5, jump=jump, jump_gain=jump_gain, **flags)
    z, end, found = walk(model, X, discretisation="euler")
    assert (found, end.w, z.tolist()) == (v, w, spikes)


@pytest.mark.parametrize(
    ("model", "drive"),
    [(ALIF(v_leak=0.05), 0.4), (ALIF(reset="undecayed", comparison=">=", input_gain="1-a"), 8.0)],
    ids=["soft", "undecayed"],
)
def test_it_keeps_the_contract(model: ALIF, drive: float) -> None:
    check_model(model, drive=drive)


def _intervals(r: float, tau_mem: float, tau_adapt: float, jump: float, spikes: int) -> list[float]:
    """Inter-spike intervals in continuous time: from spike to spike w decays and v rises from 0 until they meet."""
    w, found = 0.0, []
    for _ in range(spikes):
        low, high = 0.0, 1.0
        for _ in range(60):
            t = (low + high) / 2
            below = r * (1 - math.exp(-t / tau_mem)) < 1 + w * math.exp(-t / tau_adapt)
            low, high = (t, high) if below else (low, t)
        found.append(low)
        w = w * math.exp(-low / tau_adapt) + jump
    return found


def test_the_intervals_lengthen_as_in_continuous_time(walk) -> None:
    model, dt = ALIF("10 ms", "100 ms", reset="hard", jump=0.2, jump_gain="one", input_gain="1-a"), 5e-5
    z, end, _ = walk(model, np.full(14_000, 3.0), dt)
    found = np.diff(np.flatnonzero(z) * dt, prepend=-dt)
    expected = np.array(_intervals(3.0, 10e-3, 100e-3, 0.2, len(found)))
    np.testing.assert_allclose(found, expected, atol=2 * dt)
    assert expected[-1] > 2 * expected[0]  # it adapts
    # in the steady state the jump makes up for the decay between two spikes
    last = found[-5:].mean()
    raised = end.w * math.exp((14_000 - 1 - np.flatnonzero(z)[-1]) * dt / 100e-3)
    assert raised == pytest.approx(0.2 / (1 - math.exp(-last / 100e-3)), rel=0.01)


def test_without_spikes_both_states_decay_by_their_own_time_constants(walk) -> None:
    _, end, _ = walk(ALIF("20 ms", "200 ms"), np.zeros(100), state=ALIFState(0.8, 0.5))
    assert end.v == pytest.approx(0.8 * math.exp(-5), rel=1e-12)
    assert end.w == pytest.approx(0.5 * math.exp(-0.5), rel=1e-12)


def test_a_neuron_that_spikes_in_every_step_has_its_threshold_raised_by_the_jump(walk) -> None:
    z, end, _ = walk(ALIF(jump=0.7, tau_adapt="20 ms"), np.full(1000, 50.0))
    assert z.all()
    assert end.w == pytest.approx(0.7, rel=1e-9)


def test_when_the_threshold_decays_is_a_matter_of_how_large_the_jump_is(walk) -> None:
    x, b = np.random.default_rng(0).normal(0.3, 0.5, (500, 20)), math.exp(-1e-3 / 50e-3)
    first = ALIF(tau_adapt="50 ms", jump=0.4, jump_gain="one")
    second = ALIF(tau_adapt="50 ms", jump=0.4 / b, jump_gain="one", adaptation="decay_then_compare")
    z, _, _ = walk(first, x)
    assert np.array_equal(z, walk(second, x)[0])
    assert z.any()


def test_an_undecayed_reset_is_still_due_in_the_next_chunk(walk) -> None:
    model = ALIF(reset="undecayed")
    x = np.random.default_rng(0).normal(0.3, 0.6, (60, 50))
    whole, end, _ = walk(model, x)
    first, state, _ = walk(model, x[:24])
    rest, last, _ = walk(model, x[24:], state=state)
    assert isinstance(state, UndecayedALIFState)
    assert state.due.any()
    assert np.array_equal(whole, np.concatenate([first, rest]))
    assert np.array_equal(np.stack(end), np.stack(last))
    assert (model.leap, model.quiet) == (None, None)


def test_flags_and_ranges_are_checked() -> None:
    with pytest.raises(UnsupportedError, match=r"ALIF.adaptation 'later': unknown; known are compare_then_decay"):
        ALIF(adaptation="later")
    with pytest.raises(UnitError, match=r"ALIF.v_reset: found 2.0 V with v_threshold of 1.0 V"):
        ALIF(reset="hard", v_reset=2.0)
