from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError
from spikelab.events import EVENT, Events, Frames, Recordings, bin_events, count_late, pool_events, step_edges


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    """Events of a camera or a cochlea, perhaps none."""
    shape = draw(st.sampled_from([(5, 3), (7,), (1, 1), (16, 16)]))
    t = sorted(draw(st.lists(st.integers(0, 20_000), max_size=60)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    y = rng.integers(0, shape[1], len(t)) if len(shape) == 2 else None
    return Events.from_columns(t, rng.integers(0, shape[0], len(t)), y, rng.integers(0, 2, len(t)), shape=shape)


def slow_bins(events: Events, dt_us: int, steps: int, start: int) -> np.ndarray:
    """One event after the other."""
    one_axis = len(events.shape) == 1
    counts = np.zeros((steps, *(events.shape if one_axis else (2, *events.shape[::-1]))), np.float32)
    for t, x, y, p in events.array.tolist():
        k = (t - start) // dt_us
        if k < steps:
            counts[(k, x) if one_axis else (k, int(p), y, x)] += 1
    return counts


@given(recordings(), st.integers(1, 5000), st.integers(1, 30), st.integers(-5000, 0))
def test_bins_equal_a_slow_count(events: Events, dt_us: int, steps: int, start: int) -> None:
    frames = bin_events(events, f"{dt_us} us", steps, start_us=start, late="drop")
    np.testing.assert_array_equal(frames, slow_bins(events, dt_us, steps, start))
    late = count_late(events, f"{dt_us} us", steps, start_us=start)
    assert frames.sum() + late == len(events)


@given(recordings(), st.integers(100, 5000))
def test_every_event_is_counted_once(events: Events, dt_us: int) -> None:
    if len(events):
        assert bin_events(events, f"{dt_us} us").sum() == len(events)
        assert bin_events(events, f"{dt_us} us", dtype=np.uint8).sum() == len(events)


@given(recordings(), st.integers(1, 20))
def test_binning_joins_shorter_steps(events: Events, factor: int) -> None:
    fine = bin_events(events, "100 us", 200 * factor + factor, late="drop")
    coarse = bin_events(events, f"{100 * factor} us", 201, late="drop")
    np.testing.assert_array_equal(fine.reshape(201, factor, *fine.shape[1:]).sum(axis=1), coarse)


def test_step_zero_starts_at_zero_and_not_at_the_first_event() -> None:
    # tonic #264: bins that start with the first event of a sample are not aligned between samples.
    late_starter = Events.from_columns([2500], [0], shape=(1,))
    assert bin_events(late_starter, "1 ms").ravel().tolist() == [0, 0, 1]


def test_an_event_on_an_edge_belongs_to_the_later_step() -> None:
    events = Events.from_columns([999, 1000], [0, 0], shape=(1,))
    assert bin_events(events, "1 ms").ravel().tolist() == [1, 1]


def test_late_events_are_an_error_that_says_how_many_steps_are_enough() -> None:
    events = Events.from_columns([0, 1500, 7000], [0, 0, 0], shape=(1,))
    with pytest.raises(ShapeError, match=r"found 2 of 3 events after the last step.*use steps=8"):
        bin_events(events, "1 ms", 1)
    assert bin_events(events, "1 ms", 8).sum() == 3
    assert bin_events(events, "1 ms", 1, late="drop").sum() == 1
    assert count_late(events, "1 ms", 1) == 2


def test_absolute_times_are_refused_with_the_start_to_use() -> None:
    events = Events.from_columns([1_600_000_000_000_000], [0], shape=(1,))
    for steps in (None, 100):
        with pytest.raises(ShapeError, match="use start_us=1600000000000000"):
            bin_events(events, "1 ms", steps)
    assert bin_events(events, "1 ms", start_us=1_600_000_000_000_000).shape == (1, 1)


def test_early_events_are_an_error() -> None:
    events = Events.from_columns([5, 20], [0, 0], shape=(1,))
    with pytest.raises(ShapeError, match="found 1 of 2 events before start_us=10"):
        bin_events(events, "1 ms", 5, start_us=10)


def test_no_events_give_zeros_where_the_length_is_known() -> None:
    empty = Events.from_columns([], [], [], shape=(4, 3))
    assert bin_events(empty, "1 ms", 5).shape == (5, 2, 3, 4)
    with pytest.raises(ShapeError, match="found no events and steps=None"):
        bin_events(empty, "1 ms")


def test_counts_that_do_not_fit_the_type_are_refused() -> None:
    many = Events(np.zeros(300, EVENT), (1, 1))
    for dtype in (np.uint8, np.int8, np.bool_):
        with pytest.raises(ShapeError, match="more events in one pixel and step"):
            bin_events(many, "1 ms", dtype=dtype)
    assert bin_events(many, "1 ms", dtype=np.uint16).max() == 300
    with pytest.raises(ShapeError, match="more events"):
        bin_events(Events(np.zeros(3000, EVENT), (1, 1)), "1 ms", dtype=np.float16)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3"])
def test_a_bad_number_of_steps_is_refused(steps: object) -> None:
    with pytest.raises(ShapeError, match="found steps="):
        bin_events(Events.from_columns([0], [0], shape=(1,)), "1 ms", steps)  # type: ignore[arg-type]


def test_an_absurd_result_is_refused() -> None:
    events = Events.from_columns([0, 10**7], [0, 0], [0, 0], shape=(1280, 720))
    with pytest.raises(ShapeError, match="GiB"):
        bin_events(events, "10 us")


def test_late_is_one_of_two_words() -> None:
    with pytest.raises(ShapeError, match="late='skip'"):
        bin_events(Events.from_columns([0], [0], shape=(1,)), "1 ms", late="skip")  # type: ignore[arg-type]


@given(recordings(), st.integers(1, 40))
def test_pooling_adds_pixels_up(events: Events, factor: int) -> None:
    before = events.array.copy()
    pooled = pool_events(events, factor)
    assert pooled.shape == tuple(-(-size // factor) for size in events.shape)
    assert len(pooled) == len(events)
    assert np.array_equal(before, events.array)
    fine, coarse = (bin_events(e, "1 s", 1)[0] for e in (events, pooled))
    axes = range(fine.ndim - len(events.shape), fine.ndim)
    for axis in axes:
        fine = np.add.reduceat(fine, range(0, fine.shape[axis], factor), axis=axis)
    np.testing.assert_array_equal(fine, coarse)


@pytest.mark.parametrize("factor", [0, -1, 1.5, True, 65536])
def test_a_bad_factor_is_refused(factor: object) -> None:
    with pytest.raises(ShapeError, match="found factor="):
        pool_events(Events.from_columns([0], [0], shape=(1,)), factor)  # type: ignore[arg-type]


def test_frames_equal_those_of_tonic(camera: Events) -> None:
    transforms = pytest.importorskip("tonic.transforms")
    tonic_events = np.zeros(len(camera), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    for name in ("x", "y", "t", "p"):
        tonic_events[name] = camera.array[name]
    # tonic drops what lies after the last full window; 25 ms divide the 100 ms.
    to_frame = transforms.ToFrame(sensor_size=(34, 34, 2), time_window=25_000, start_time=0, end_time=100_000)
    theirs = to_frame(tonic_events)
    ours = bin_events(camera, "25 ms", 4)
    assert theirs.shape == ours.shape
    np.testing.assert_array_equal(ours, theirs)


def test_edges_and_bins_agree(camera: Events) -> None:
    counts = bin_events(camera, "3.7 ms").sum(axis=(1, 2, 3))
    edges = step_edges("3.7 ms", len(counts))
    np.testing.assert_array_equal(counts, np.histogram(camera.t, edges)[0])


@pytest.mark.parametrize(
    "call", [lambda e: bin_events(e, "1 ms"), lambda e: count_late(e, "1 ms", 3), lambda e: pool_events(e, 2)]
)
def test_what_are_no_events_is_refused_by_name(call: Any) -> None:
    for bad in (np.zeros((3, 4)), Recordings.of([Events.from_columns([0], [0], shape=(1,))], [0], ("a",)), None):
        with pytest.raises(ShapeError, match=rf"found {type(bad).__name__}; expected Events"):
            call(bad)


def test_an_absurd_number_of_steps_is_refused_before_it_is_laid_out() -> None:
    one = Events.from_columns([0], [0], shape=(1,))
    with pytest.raises(ShapeError, match="GiB"):
        bin_events(one, "1 ms", 10**12)
    assert count_late(one, "1 ms", 10**12) == 0


@pytest.mark.parametrize("start_us", ["0", 0.5, None])
def test_a_start_that_is_no_whole_time_is_refused(start_us: Any) -> None:
    one = Events.from_columns([3], [0], shape=(1,))
    calls = (
        lambda: bin_events(one, "1 ms", start_us=start_us),
        lambda: count_late(one, "1 ms", 3, start_us=start_us),
        lambda: Frames.of(Recordings.of([one], [0], ("a",)), "1 ms", start_us=start_us),
    )
    for call in calls:
        with pytest.raises(ShapeError, match=r"start_us: found .* expected whole microseconds"):
            call()


@pytest.mark.parametrize("steps", [0, -1, 1.5, None, "3", True])
def test_count_late_takes_steps_as_bin_events_does(steps: Any) -> None:
    two = Events.from_columns(t=[0, 1500], x=[3, 4], shape=(8,))
    with pytest.raises(ShapeError, match=r"count_late: found steps=.*; expected an integer of at least 1"):
        count_late(two, dt="1 ms", steps=steps)
