import itertools

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import Izhikevich
from spikelab.neurons.izhikevich import IzhikevichState
from spikelab.testing import check_model

# The types of figure 2 in the paper; a, b, c, d in its units (1/ms, 1/ms, mV, mV/ms).
TYPES = {
    "regular": (0.02, 0.2, -65, 8),
    "intrinsically bursting": (0.02, 0.2, -55, 4),
    "chattering": (0.02, 0.2, -50, 2),
    "fast": (0.1, 0.2, -65, 2),
    "low-threshold": (0.02, 0.25, -65, 2),
}


def _model(kind: str, **flags: str) -> Izhikevich:
    a, b, c, d = TYPES[kind]
    return Izhikevich(a * 1e3, b * 1e3, c * 1e-3, d, **flags)


def _program(kind: str, x: np.ndarray, dt: float) -> np.ndarray:
    """The program in the paper, in mV and ms: spikes [T, N]."""
    a, b, c, d = TYPES[kind]
    v = np.full(x.shape[1], float(c))
    u = b * v
    spikes = np.zeros(x.shape, bool)
    for t, current in enumerate(x):
        for _ in range(2):
            v = v + dt / 2 * (0.04 * v**2 + 5 * v + 140 - u + current)
        u = u + dt * a * (b * v - u)
        spikes[t] = v >= 30
        v[spikes[t]] = c
        u[spikes[t]] += d
    return spikes


@pytest.mark.parametrize("kind", TYPES)
def test_it_spikes_as_the_program_in_the_paper(walk, kind: str) -> None:
    x = np.random.default_rng(0).normal(5, 5, (250, 400))  # rounding grows; after 300 steps it moves spikes
    z, _, _ = walk(_model(kind), x, discretisation="euler")
    assert np.array_equal(z, _program(kind, x, 1.0))
    assert z.any()


@pytest.mark.parametrize("recovery", ["after", "before"])
def test_one_step_gives_the_numbers_worked_out_by_hand(walk, recovery: str) -> None:
    # dt 0.5 ms: v = -65 + 0.5 (169 - 325 + 140 + 13 + 10) = -61.5 mV; u = -13 + 0.01 (0.2 v + 13).
    _, end, v = walk(_model("regular", substeps="one", recovery=recovery), [10.0], 0.5e-3, "euler")
    assert v[0] == pytest.approx(-61.5e-3, rel=1e-12)
    assert end.u == pytest.approx(-13 + (0.01 * 0.7 if recovery == "after" else 0.0), rel=1e-12)


def test_it_keeps_the_contract() -> None:
    check_model(Izhikevich(), drive=20.0)


def test_it_rests_at_the_lower_root_of_its_parabola(walk) -> None:
    # 0.04 v^2 + (5 - b) v + 140 = 0 at -70 and -50 mV for b = 0.2; u = b v.
    for how in ("exponential", "euler"):
        _, end, _ = walk(Izhikevich(), np.zeros(3000), discretisation=how)
        assert end.v == pytest.approx(-70e-3, rel=1e-6)
        assert end.u == pytest.approx(-14, rel=1e-6)


def _intervals(walk, kind: str, current: float = 10.0, how: str = "exponential") -> np.ndarray:
    """[ms] between spikes in 1 s under a constant current."""
    z, _, _ = walk(_model(kind), np.full(4000, current), 0.25e-3, how)
    return np.diff(np.flatnonzero(z)) * 0.25


def test_regular_spiking_adapts_and_fast_spiking_does_not(walk) -> None:
    regular, fast = _intervals(walk, "regular"), _intervals(walk, "fast")
    assert regular[0] < 0.75 * regular[-1]
    assert np.ptp(regular[-5:]) <= 1
    assert np.ptp(fast[2:]) <= 2
    assert fast.mean() < regular.mean() / 2


def test_chattering_comes_in_bursts_and_intrinsic_bursting_starts_with_one(walk) -> None:
    chattering = _intervals(walk, "chattering")
    long = chattering > 3 * np.median(chattering)
    assert chattering[~long].max() < 12 < 25 < chattering[long].min()  # nothing between
    bursts = np.diff(np.flatnonzero(long))  # spikes per burst
    assert len(bursts) >= 5
    assert bursts.min() >= 3
    assert np.ptp(bursts) <= 1
    intrinsic = _intervals(walk, "intrinsically bursting")
    assert intrinsic[0] < 8
    assert intrinsic[5:].min() > 15


def test_low_threshold_spiking_starts_at_currents_that_leave_regular_spiking_silent(walk) -> None:
    assert len(_intervals(walk, "low-threshold", 2.0)) > 3
    assert len(_intervals(walk, "regular", 2.0)) == 0


def test_the_potential_converges_with_dt_to_first_order(walk) -> None:
    def after(n: int, how: str) -> float:
        return float(walk(Izhikevich(), np.full(n, 2.0), 10e-3 / n, how)[1].v)

    for how in ("exponential", "euler"):
        exact = after(20_000, how)
        errors = [abs(after(n, how) - exact) for n in (50, 100, 200)]
        assert all(1.7 < a / b < 2.3 for a, b in itertools.pairwise(errors))


def test_a_large_inhibition_stays_finite(walk) -> None:
    z, end, _ = walk(Izhikevich(), np.array([-1e4, 0.0, 0.0, 0.0]), state=IzhikevichState(-65e-3, -13.0))
    assert np.isfinite(end).all()
    assert z.any()


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"Izhikevich.a: found 0.0 Hz; expected a value above zero"):
        Izhikevich(a=0.0)
    with pytest.raises(UnitError, match=r"1 / Izhikevich.a: found 0.01 s, which is shorter than dt of 0.02 s"):
        Izhikevich(a=100.0).coefficients(0.02, "euler")
