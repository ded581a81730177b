"""Memory of dense results, and the limits of their counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikelab.errors import ShapeError
from spikelab.events import Events
from spikelab.events import transform as tf
from spikelab.events.transform import results
from spikelab.events.transform.bins_kernel import count
from spikelab.events.transform.records import records


def test_a_row_that_is_cleared_late_is_chosen_by_events_and_size() -> None:
    assert [results.blank((4, 64), np.int16, events)[1] for events in (0, 4, 5)] == [False, False, True]
    assert results.blank((0, 7), np.float32, 0)[0].shape == (0, 7)


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 2**24), (np.int16, 2**15 - 1), (np.uint8, 255)])
def test_a_count_beyond_the_last_one_is_noticed(dtype: Any, most: int) -> None:
    one = records(Events.from_columns([0], [0], shape=(1,)))
    first, stop = np.array([0]), np.array([1])
    for before, fits in ((most - 1, True), (most, False)):
        counts = np.full((1, 1), before, dtype)
        assert count(one, first, stop, 0, 0, counts, dtype(1), dtype(most), False) == fits


def test_counts_come_in_the_order_of_bytes_that_is_asked_for(moving: Events) -> None:
    swapped = tf.bin_events(moving, "50 ms", dtype=">i2")
    assert swapped.dtype == np.dtype(">i2")
    assert np.array_equal(swapped, tf.bin_events(moving, "50 ms"))
    many = Events.from_columns(np.zeros(2**15, int), np.zeros(2**15, int), shape=(1,))
    with pytest.raises(ShapeError, match="more events in one pixel and step"):
        tf.bin_events(many, "1 ms", dtype=">i2")
