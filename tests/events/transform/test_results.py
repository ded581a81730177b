"""Dense results lie in memory that was used before: nothing of that shows, and no result changes after it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikelab import memory
from spikelab.errors import ShapeError
from spikelab.events import Events
from spikelab.events import transform as tf
from spikelab.events.transform import results
from spikelab.events.transform.bins_kernel import count
from spikelab.events.transform.records import records
from spikelab.memory import Memory

Dense = Callable[[Events], np.ndarray[Any, Any]]
FEW_EVENTS_A_ROW: dict[str, Dense] = {
    "bin_events": lambda e: tf.bin_events(e, "1 ms"),
    "bin_slices": lambda e: tf.bin_slices(e, tf.slices_by_count(e, 50), dtype=np.int16),
    "voxel_grid": lambda e: tf.voxel_grid(e, 600),
    "time_surfaces": lambda e: tf.time_surfaces(e, "1 ms", "30 ms"),
}
MANY_EVENTS_A_ROW: dict[str, Dense] = {
    "bin_events": lambda e: tf.bin_events(e, "50 ms"),
    "bin_slices": lambda e: tf.bin_slices(e, tf.slices_by_count(e, 2_000), dtype=np.float16),
    "voxel_grid": lambda e: tf.voxel_grid(e, 5),
}


@pytest.mark.parametrize("make", [*FEW_EVENTS_A_ROW.values(), *MANY_EVENTS_A_ROW.values()])
def test_nothing_of_what_was_in_the_memory_shows(make: Dense, moving: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    def dirty(size: int, *, huge: bool = False) -> Memory:
        used = Memory(np.full(size, 0xA5, np.uint8))
        used.touched = size
        return used

    expected = make(moving).copy()
    monkeypatch.setattr(results, "take", dirty)
    assert np.array_equal(make(moving), expected)


@pytest.mark.parametrize("make", FEW_EVENTS_A_ROW.values())
def test_a_part_of_a_result_stays_as_it_is_when_others_are_made(make: Dense, moving: Events) -> None:
    whole = make(moving)
    assert whole.nbytes >= 2**20  # memory of this size is kept
    expected, part = whole[100].copy(), whole[100]
    del whole
    for _ in range(2):
        make(tf.flip_polarity(tf.flip_x(moving))).fill(9)
    assert np.array_equal(part, expected)


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


def test_memory_is_cleared_also_behind_what_was_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_idle", {})
    kept = memory.take(2**21)
    kept.content.fill(7)
    place = kept.lend(2**20).ctypes.data
    del kept
    again = memory.take(2**21)
    again.clear(2**21)
    assert again.content.ctypes.data == place and not again.content.any()
    fresh = memory.take(2**22)
    fresh.clear(2**22)
    assert not fresh.content.any()
