import math
from typing import Any

import numpy as np
import pytest

from spikelab.errors import UnsupportedError
from spikelab.neurons import ResonateAndFire
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.resonate_and_fire import ResonateAndFireState
from spikelab.testing import check_model

FAR = 1e9  # a threshold that is never met


def run(model: ResonateAndFire, x: Any, discretisation: Any = "exponential", start: Any = None) -> Any:
    c, s = model.coefficients(1e-3, discretisation), model.initial() if start is None else start
    z, states = [], []
    for u in x:
        out, s = model.step(u, s, c, NUMPY)
        z.append(out)
        states.append(s)
    return np.array(z), np.array(states, dtype=float)


# A quarter turn a step without decay: 250 Hz at 1 ms; u, v go round as (x, 0), (0, x), (-x, 0), (0, -x).
QUARTER = {"frequency": 250.0, "tau_mem": 1e9, "v_threshold": 1.0}
BY_HAND = {
    # (fires, reset, comparison): (u, v) after each step of the input 2, 0, 0, 0, 1
    ("above", "peak", ">"): ([(2, 0), (0, 1), (-1, 0), (0, -1), (2, 0)], [0, 1, 0, 0, 0]),
    ("above", "hard", ">="): ([(2, 0), (0, 0.25), (-0.25, 0), (0, -0.25), (1.25, 0)], [0, 1, 0, 0, 0]),
    ("above", "soft", ">"): ([(2, 0), (0, 1), (-1, 0), (0, -1), (2, 0)], [0, 1, 0, 0, 0]),
    ("above", "none", ">"): ([(2, 0), (0, 2), (-2, 0), (0, -2), (3, 0)], [0, 1, 0, 0, 0]),
    ("phase", "none", ">="): ([(2, 0), (0, 2), (-2, 0), (0, -2), (3, 0)], [0, 0, 0, 0, 1]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags) -> None:
    fires, reset, comparison = flags
    model = ResonateAndFire(**QUARTER, v_reset=0.25, fires=fires, reset=reset, comparison=comparison)
    # The state is a little before the axis where a phase turns, so that rounding decides nothing.
    nudge = 1e-3 if fires == "phase" else 0.0
    z, s = run(model, [2.0, 0, 0, 0, 1.0], start=ResonateAndFireState(nudge, 0.0))
    np.testing.assert_allclose(s, BY_HAND[flags][0], atol=5e-3)
    assert z.tolist() == BY_HAND[flags][1]


def test_it_swings_at_its_frequency_in_an_envelope_of_its_time_constant() -> None:
    z, s = run(ResonateAndFire("40 Hz", "30 ms", FAR), [1.0, *np.zeros(200)])
    t = np.arange(201) * 1e-3
    turn = np.exp(-t / 30e-3 + 2j * math.pi * 40 * t)
    np.testing.assert_allclose(s[:, 0] + 1j * s[:, 1], turn, atol=1e-12)
    assert not z.any()


def test_it_answers_most_at_its_own_frequency() -> None:
    # A drive e^(i w t) settles at 1 / (1 - r e^(i (w0 - w) dt)): largest, 1 / (1 - r), for w = w0.
    r, t = math.exp(-1e-3 / 50e-3), np.arange(2000) * 1e-3
    found = {}
    for f in (10, 20, 35, 40, 45, 80):
        drive = np.cos(2 * math.pi * f * t)
        _, s = run(ResonateAndFire("40 Hz", "50 ms", FAR), drive)
        found[f] = np.hypot(*s[1000:].T).max()
        both = [1 / abs(1 - r * np.exp(2j * math.pi * (40 + sign * f) * 1e-3)) for sign in (-1, 1)]
        assert found[f] == pytest.approx(sum(both) / 2, rel=1e-3)  # a cosine turns both ways
    assert max(found, key=found.get) == 40


def test_two_inputs_a_period_apart_make_a_spike_and_half_a_period_apart_none() -> None:
    # 25 Hz: a period of 40 ms. One input swings v up to about 0.62 of it.
    model = ResonateAndFire("25 Hz", "50 ms", 1.0)
    for gap, spikes in ((40, 1), (20, 0), (60, 0)):
        x = np.zeros(120)
        x[[0, gap]] = 1.2
        assert run(model, x)[0].sum() == spikes, gap


@pytest.mark.parametrize("tau", [20e-3, 200e-3])
def test_a_phase_spike_comes_once_a_period(tau: float) -> None:
    t = np.arange(4000) * 1e-3
    x = np.cos(2 * math.pi * 12.5 * t)
    z, _ = run(ResonateAndFire("12.5 Hz", tau, 0.5, fires="phase", reset="none"), x)
    assert set(np.diff(np.flatnonzero(z))[5:]) == {80}


def test_euler_steps_turn_and_shrink_by_their_first_order() -> None:
    model = ResonateAndFire("20 Hz", "50 ms", FAR)
    _, s = run(model, [1.0, *np.zeros(50)], discretisation="euler")
    np.testing.assert_allclose(s[:, 0] + 1j * s[:, 1], (1 - 1 / 50 + 2j * math.pi * 0.02) ** np.arange(51), rtol=1e-12)


def test_leap_equals_silent_steps_and_quiet_holds() -> None:
    rng, quiet = np.random.default_rng(0), 0
    for fires, reset in (("above", "peak"), ("phase", "none")) * 150:
        model = ResonateAndFire(rng.uniform(5, 400), rng.uniform(2e-3, 0.2), fires=fires, reset=reset)
        c: Any = model.coefficients(1e-3, "exponential")
        s, x, n = ResonateAndFireState(*rng.normal(0, 0.6, 2)), rng.normal(0, 0.1), int(rng.integers(1, 200))
        z, states = run(model, np.full(n, x), start=s)
        if model.quiet(x, s, c):
            quiet += 1
            assert not z.any()
        if not z.any():
            assert model.leap(x, s, c, n) == pytest.approx(tuple(states[-1]), abs=1e-10)
    assert quiet > 60


def test_a_phase_with_a_reset_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="phase_is_not_reset"):
        ResonateAndFire(fires="phase")


def test_it_keeps_the_contract() -> None:
    check_model(ResonateAndFire(), drive=0.6)
