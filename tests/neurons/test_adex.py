import itertools
import math

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import EIF, AdEx
from spikelab.neurons.adex import AdExState
from spikelab.testing import check_model

# In units of 1: tau_mem = c_mem / g_leak = 2 ms.
PLAIN = AdEx(2e-3, 1.0, "4 ms", 0.5, 0.5, 0.25, v_leak=0.0, v_rheobase=0.5, v_threshold=1.0, v_reset=-0.25)


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(walk) -> None:
    # Euler steps with dt / tau = 1/2 and 1/4: v = v / 2 + (x - w + exp(2 v - 1) / 2) / 2, w = 3 w / 4 + v / 8.
    z, end, v = walk(PLAIN, [1.0, 3.0, 0.0], discretisation="euler")
    first = 0.5 + math.exp(-1) / 4
    third = -0.125 - (first / 8 + 0.25) / 2 + math.exp(-1.5) / 4
    np.testing.assert_allclose(v, [first, -0.25, third], rtol=1e-15)
    assert z.tolist() == [0, 1, 0]
    assert end.w == pytest.approx(0.75 * (first / 8 + 0.25) - 0.25 / 8, rel=1e-15)


def test_it_keeps_the_contract() -> None:
    # In units of 1: at 1e-12 F the steps of a finite difference would be larger than all currents.
    plain = AdEx(0.02, 1.0, 0.1, 0.2, 0.3, 0.2, v_leak=0.0, v_rheobase=0.6, v_threshold=1.0, v_reset=-0.1)
    check_model(plain, drive=8.0)


def test_without_adaptation_it_is_the_exponential_neuron(walk) -> None:
    x = np.random.default_rng(0).normal(0.7e-9, 0.7e-9, (2000, 20))
    adex = AdEx(g_adapt=0.0, i_jump=0.0)
    shared = {n: getattr(adex, n) for n in ("delta", "v_leak", "v_rheobase", "v_threshold", "v_reset")}
    eif = EIF(adex.c_mem / adex.g_leak, **shared)
    for how in ("exponential", "euler"):
        z, _, _ = walk(adex, x, 1e-4, how)
        assert np.array_equal(z, walk(eif, x / adex.g_leak, 1e-4, how)[0])
        assert z.any()


def test_below_the_rheobase_it_settles_where_both_equations_stand_still(walk) -> None:
    # Brette and Gerstner 2005, equations 1 and 2 with v' = w' = 0.
    m = AdEx()
    _, end, _ = walk(m, np.full(3000, 0.5e-9))
    onset = m.g_leak * m.delta * math.exp((end.v - m.v_rheobase) / m.delta)
    assert m.g_leak * (m.v_leak - end.v) + onset - end.w + 0.5e-9 == pytest.approx(0.0, abs=1e-15)
    assert end.w == pytest.approx(m.g_adapt * (end.v - m.v_leak), rel=1e-6)


def _rate(m: AdEx, current: float) -> float:
    """Rate under a constant current by quadrature of dv / v'."""
    v = np.linspace(m.v_reset, m.v_threshold, 20_001)
    slope = m.g_leak * (m.v_leak - v + m.delta * np.exp((v - m.v_rheobase) / m.delta)) + current
    return 0.0 if slope.min() <= 0 else float(1 / np.trapezoid(m.c_mem / slope, v))


def test_slow_adaptation_lowers_the_rate_to_that_of_the_current_that_is_left(walk) -> None:
    # A slow w stands at its mean, i_jump tau_adapt rate, and rate = rate_0(current - w) (Benda and Herz, Neural
    # Computation 15, 2003); a step of the current is followed with the time constant
    # tau_adapt / (1 + i_jump tau_adapt rate_0').
    m, current, dt = AdEx(tau_adapt="500 ms", g_adapt=0.0, i_jump="20 pA"), 1.5e-9, 1e-4
    low, high = 0.0, _rate(m, current)
    for _ in range(50):
        rate = (low + high) / 2
        below = rate < _rate(m, current - m.i_jump * m.tau_adapt * rate)
        low, high = (rate, high) if below else (low, rate)
    z, end, _ = walk(m, np.full(15_000, current), dt)
    times = np.flatnonzero(z) * dt
    assert 1 / np.diff(times[-6:]).mean() == pytest.approx(low, rel=0.02)
    assert end.w == pytest.approx(m.i_jump * m.tau_adapt * low, rel=0.03)
    assert 1 / np.diff(times[:2]).mean() == pytest.approx(_rate(m, current - m.i_jump), rel=0.05)
    left = current - m.i_jump * m.tau_adapt * low
    slope = (_rate(m, left + 1e-12) - _rate(m, left - 1e-12)) / 2e-12
    effective = m.tau_adapt / (1 + m.i_jump * m.tau_adapt * slope)
    rates = 1 / np.diff(times)
    window = (rates - low > 0.05 * low) & (rates - low < 0.4 * low)
    fit = np.polyfit(times[1:][window], np.log(rates[window] - low), 1)[0]
    assert -1 / fit == pytest.approx(effective, rel=0.15)


def test_the_membrane_potential_converges_with_dt_to_first_order(walk) -> None:
    def after(n: int, how: str) -> float:
        return float(walk(AdEx(), np.full(n, 0.6e-9), 20e-3 / n, how)[1].v)

    for how in ("exponential", "euler"):
        exact = after(10_000, how)
        errors = [abs(after(n, how) - exact) for n in (50, 100, 200)]
        assert all(1.7 < a / b < 2.3 for a, b in itertools.pairwise(errors))


def test_no_potential_overflows_the_exponential(walk) -> None:
    with np.errstate(over="raise", invalid="raise"):
        z, end, _ = walk(PLAIN, np.array([0.0, 1e3, 0.0], np.float32), state=AdExState(1e6, 0.0))
    assert z[0] == 1
    assert np.isfinite(end.v)


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"AdEx.c_mem: found 0.0 F; expected a value above zero"):
        AdEx(c_mem=0.0)
    with pytest.raises(UnitError, match=r"AdEx.c_mem / g_leak: found .* s, which is shorter than dt of 0.1 s"):
        AdEx().coefficients(0.1, "euler")
