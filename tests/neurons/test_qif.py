import math

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import QIF
from spikelab.testing import check_model


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(walk) -> None:
    # Euler steps with dt / tau = 1/2: v = v + (v (v - 1) + x) / 2; every number is exact in binary.
    model = QIF("2 ms", curvature=1.0, v_leak=0.0, v_critical=1.0, v_threshold=1.5, v_reset=-0.5)
    z, _, v = walk(model, [1.0, 1.5, 2.0, 0.5], discretisation="euler")
    assert v == [0.5, 1.125, -0.5, 0.125]
    assert z.tolist() == [0, 0, 1, 0]


def test_it_keeps_the_contract() -> None:
    check_model(QIF(curvature=1.0, v_leak=0.0, v_critical=0.8, v_threshold=1.0, v_reset=-0.1), drive=8.0)


def _interval(model: QIF, x: float) -> float:
    """Time from v_reset to v_threshold: tau v' = a ((v - middle)^2 + k^2) has a tangent as its solution.

    Gerstner et al. 2014, section 5.3; Ermentrout, Neural Computation 8, 1996.
    """
    middle, half = (model.v_leak + model.v_critical) / 2, (model.v_critical - model.v_leak) / 2
    k = math.sqrt(x / model.curvature - half**2)
    angle = math.atan((model.v_threshold - middle) / k) - math.atan((model.v_reset - middle) / k)
    return float(model.tau_mem / (model.curvature * k) * angle)


@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_the_rate_is_the_closed_form_to_first_order_in_dt(walk, discretisation: str) -> None:
    x = np.array([5e-3, 10e-3, 30e-3])
    exact = np.array([_interval(QIF(), u) for u in x])
    for dt in (1e-4, 2e-5):
        z, _, _ = walk(QIF(), np.tile(x, (round(0.2 / dt), 1)), dt, discretisation)
        found = np.array([np.diff(np.flatnonzero(column)).mean() * dt for column in z.T])
        assert (np.abs(found - exact) < 8 * dt).all()


def test_it_fires_above_the_rheobase_only(walk) -> None:
    # The parabola's lowest point is at -curvature (v_critical - v_leak)^2 / 4.
    rheobase = QIF().curvature * (QIF().v_critical - QIF().v_leak) ** 2 / 4
    z, end, _ = walk(QIF(), np.tile([rheobase * 0.99, rheobase * 1.01], (3000, 1)))
    assert not z[:, 0].any()
    assert z[:, 1].any()
    expected = -57.5e-3 - 7.5e-3 * math.sqrt(0.01)  # the lower root, at any dt
    assert end.v[0] == pytest.approx(expected, rel=1e-9)


def test_between_rest_and_the_critical_potential_v_falls_and_above_it_runs_away(walk) -> None:
    start = QIF().initial()._replace(v=np.array([-50.1e-3, -49.9e-3]))
    z, end, _ = walk(QIF(), np.zeros((200, 2)), state=start)
    assert not z[:, 0].any()
    assert z[:, 1].sum() == 1
    np.testing.assert_allclose(end.v, -65e-3, atol=0.1e-3)


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"QIF.v_critical: found .* V above v_leak; expected more than 0 V"):
        QIF(v_critical="-70 mV")
    with pytest.raises(UnitError, match=r"QIF.tau_mem / k: found 0.001.* s, which is shorter than dt of 0.002 s"):
        QIF("1 ms").coefficients(2e-3, "euler")
