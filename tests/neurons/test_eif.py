import math

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import EIF
from spikelab.neurons.eif import EIFState
from spikelab.testing import check_model

PLAIN = EIF("2 ms", delta=0.5, v_leak=0.0, v_rheobase=0.5, v_threshold=1.0, v_reset=-0.25)


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(walk) -> None:
    # Euler steps with dt / tau = 1/2: v = v / 2 + (x + exp(2 v - 1) / 2) / 2.
    z, _, v = walk(PLAIN, [1.0, 0.5, 1.5, 0.0], discretisation="euler")
    first = 0.5 + math.exp(-1) / 4
    second = first / 2 + 0.25 + math.exp(2 * first - 1) / 4
    assert second / 2 + 0.75 + math.exp(2 * second - 1) / 4 > 1
    np.testing.assert_allclose(v, [first, second, -0.25, -0.125 + math.exp(-1.5) / 4], rtol=1e-15)
    assert z.tolist() == [0, 0, 1, 0]


def test_it_keeps_the_contract() -> None:
    check_model(EIF(delta=0.2, v_leak=0.0, v_rheobase=0.6, v_threshold=1.0, v_reset=-0.1), drive=8.0)


def _interval(model: EIF, x: float) -> float:
    """Time from v_reset to v_threshold by quadrature of dv / v' (Fourcaud-Trocme et al. 2003, equation 8)."""
    v = np.linspace(model.v_reset, model.v_threshold, 200_001)
    rate = (model.v_leak - v + model.delta * np.exp((v - model.v_rheobase) / model.delta) + x) / model.tau_mem
    return float(np.trapezoid(1 / rate, v))


@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_the_rate_is_that_of_the_quadrature_to_first_order_in_dt(walk, discretisation: str) -> None:
    x = np.array([4e-3, 8e-3, 20e-3])
    exact = np.array([_interval(EIF(), u) for u in x])
    for dt in (1e-4, 2e-5):
        z, _, _ = walk(EIF(), np.tile(x, (round(0.15 / dt), 1)), dt, discretisation)
        found = np.array([np.diff(np.flatnonzero(column)).mean() * dt for column in z.T])
        assert (np.abs(found - exact) < 8 * dt).all()


def test_it_fires_above_the_rheobase_only(walk) -> None:
    # v' = 0 has no solution where x > v_rheobase - v_leak - delta (Gerstner et al. 2014, section 5.2).
    rheobase = EIF().v_rheobase - EIF().v_leak - EIF().delta
    z, end, _ = walk(EIF(), np.tile([rheobase - 5e-5, rheobase + 5e-5], (4000, 1)), 5e-4)
    assert not z[:, 0].any()
    assert z[:, 1].any()
    v = end.v[0]
    assert v < EIF().v_rheobase
    rest = v - EIF().v_leak - EIF().delta * math.exp((v - EIF().v_rheobase) / EIF().delta)
    assert rest == pytest.approx(rheobase - 5e-5, rel=1e-6)  # at a fixed point of the equation, at any dt


def test_no_potential_overflows_the_exponential(walk) -> None:
    with np.errstate(over="raise", invalid="raise"):
        z, end, _ = walk(EIF(), np.array([0.0, 1e3, 0.0], np.float32), state=EIFState(1e6))
    assert z.tolist() == [1, 1, 0]
    assert np.isfinite(end.v)


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"EIF.delta: found 0.0 V; expected a value above zero"):
        EIF(delta=0.0)
    with pytest.raises(UnitError, match=r"EIF.v_reset: found -0.02 V with v_threshold of -0.03 V"):
        EIF(v_reset="-20 mV")
    with pytest.raises(UnitError, match=r"EIF.tau_mem: found 0.001 s, which is shorter than dt"):
        EIF("1 ms").coefficients(2e-3, "euler")
