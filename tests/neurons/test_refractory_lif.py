import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import UnitError
from spikelab.neurons import LIF, RefractoryLIF
from spikelab.testing import check_model

# Euler steps with dt / tau = 1/2 and two refractory steps; every number is exact in binary.
X = [1.5, 2.0, 2.0, 0.5, 1.0, 1.0]
BY_HAND = [
    ({}, [-0.5, -0.5, -0.5, 0.25, -0.5, -0.5], [1, 0, 0, 0, 1, 0]),
    ({"refractory": "decay"}, [-0.5, -0.25, -0.125, 0.4375, -0.5, -0.25], [1, 0, 0, 0, 1, 0]),
    ({"reset": "soft"}, [0.5, 0.5, 0.5, 0.75, 0.375, 0.375], [1, 0, 0, 0, 1, 0]),
]


@pytest.mark.parametrize(("flags", "v", "spikes"), BY_HAND, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, v, spikes, walk) -> None:
    model = RefractoryLIF("2 ms", "2 ms", v_reset=-0.5, **flags)
    x = [1.5, 2.0, 2.0, 0.5, 1.0, 1.0]
    z, end, found = walk(model, x, discretisation="euler")
    assert (found, z.tolist(), end.left) == (v, spikes, 1.0)


@pytest.mark.parametrize(
    ("model", "drive"),
    [
        (RefractoryLIF(t_refractory=3e-3, v_leak=0.05), 0.6),
        (RefractoryLIF(t_refractory=3e-3, v_leak=0.05, reset="soft", refractory="decay", input_gain="1-a"), 8.0),
    ],
    ids=["hold", "decay"],
)
def test_it_keeps_the_contract(model: RefractoryLIF, drive: float) -> None:
    check_model(model, drive=drive)


@given(current=st.floats(0.06, 3.0), steps=st.integers(0, 12), decays=st.booleans())
def test_an_interval_is_the_refractory_time_and_the_time_to_the_threshold(walk, current, steps, decays) -> None:
    # After the refractory time v rises from 0 as a LIF does (see test_lif.py): rate = 1 / (t_refractory + t_reach).
    a = math.exp(-1e-3 / 20e-3)
    ratio = (1 - a) / current
    crossing = math.log(1 - ratio) / math.log(a) if ratio < 1 else math.inf
    if abs(crossing - round(min(crossing, 1e6))) < 1e-6:
        return  # the threshold is met to within rounding
    model = RefractoryLIF("20 ms", steps * 1e-3, refractory="decay" if decays else "hold")
    z, _, _ = walk(model, np.full(400, current))
    reach = math.floor(crossing) + 1 if ratio < 1 else 10_000
    assert np.array_equal(np.flatnonzero(z), np.arange(reach - 1, 400, steps + reach))


@pytest.mark.parametrize("dt", [1e-3, 3e-4, 1e-4])
def test_the_refractory_time_is_rounded_to_whole_steps(walk, dt: float) -> None:
    for time in (2.1e-3, 3e-3, 0.7e-3):
        z, _, _ = walk(RefractoryLIF(t_refractory=time), np.full(100, 5.0), dt)
        assert np.unique(np.diff(np.flatnonzero(z))).tolist() == [round(time / dt) + 1]


def test_without_a_refractory_time_it_is_the_lif(walk) -> None:
    x = np.random.default_rng(0).normal(0.3, 0.6, (300, 50))
    z, _, _ = walk(RefractoryLIF(t_refractory=0.0), x)
    assert np.array_equal(z, walk(LIF(), x)[0])
    assert z.any()


def test_a_refractory_time_goes_on_in_the_next_chunk(walk) -> None:
    x = np.random.default_rng(0).normal(0.3, 0.6, (60, 50))
    model = RefractoryLIF(t_refractory="7 ms")
    whole, end, _ = walk(model, x)
    first, state, _ = walk(model, x[:23])
    rest, last, _ = walk(model, x[23:], state=state)
    assert state.left.any()
    assert np.array_equal(whole, np.concatenate([first, rest]))
    assert np.array_equal(np.stack(end), np.stack(last))


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"RefractoryLIF.t_refractory: found -0.001 s; expected 0 s or more"):
        RefractoryLIF(t_refractory="-1 ms")
