import math

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import LIF, GradedLIF
from spikelab.testing import check_model


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(walk) -> None:
    # Euler steps with a = 1/2. v before: 0.375, 2.4375, 0.46875 (below 1/2), 9.234375 (limit 4), 4.61..., -1.69...
    z, _, v = walk(GradedLIF("2 ms"), [0.375, 2.25, 0.25, 9.0, 2.0, -2.0], discretisation="euler")
    assert z.tolist() == [0, 2, 0, 4, 4, 0]
    assert v == [0.375, 0.4375, 0.46875, 5.234375, 0.6171875, -1.69140625]


def test_it_rounds_where_a_lif_with_many_spikes_takes_whole_thresholds(walk) -> None:
    x = np.random.default_rng(0).normal(0.5, 2.0, (300, 20))
    same = LIF("5 ms", spikes="many", comparison=">=", reset="soft")
    z, s, _ = walk(GradedLIF("5 ms", most=50), x)
    # Half a threshold, charged at the start and kept up against the leak, makes the whole thresholds the rounded ones.
    a = math.exp(-1 / 5)
    x[:] += 0.5 * (1 - a)
    x[0] += 0.5 * a
    other, end, _ = walk(same, x)
    assert np.array_equal(z, other) and z.max() > 3
    np.testing.assert_allclose(s.v, end.v - 0.5, atol=1e-12)


def test_the_remainder_is_half_a_threshold_at_most_unless_the_limit_cuts(walk) -> None:
    x = np.random.default_rng(0).normal(0.0, 3.0, (300, 20))
    z, _, v = walk(GradedLIF("5 ms", v_threshold=0.7, most=6), x)
    free = (z > 0) & (z < 6)
    assert free.sum() > 1000 and set(np.unique(z)) == set(range(7))
    assert np.abs(np.stack(v)[free]).max() <= 0.35 + 1e-12


def test_without_a_leak_the_spikes_are_the_rounded_sum_of_the_input(walk) -> None:
    # Charge is conserved: sum of x = threshold * spikes + remainder, which lies within half a threshold.
    x = np.random.default_rng(0).uniform(0, 2, (200, 30))
    z, _, _ = walk(GradedLIF("1e9 s"), x)
    np.testing.assert_array_equal(np.cumsum(z, axis=0), np.floor(np.cumsum(x, axis=0) + 0.5))


@pytest.mark.parametrize("x", [0.3, 1.2, 3.7, 30.0])
def test_a_fast_leak_makes_it_a_rounding_activation(x: float, walk) -> None:
    z, _, _ = walk(GradedLIF("1 us"), np.full(20, x))
    assert (z == min(math.floor(x + 0.5), 4)).all()


def test_a_limit_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(UnitError, match=r"GradedLIF.most: found 2.5; expected a whole number, as in 4"):
        GradedLIF(most=2.5)


def test_it_keeps_the_contract() -> None:
    check_model(GradedLIF("3 ms", v_leak=0.05), drive=1.0)
