"""The same numbers as tonic 1.7 where tonic is right; each of its defects is a test of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikelab.events import Events, read
from spikelab.events import transform as tf

transforms = pytest.importorskip("tonic.transforms")
functional = pytest.importorskip("tonic.functional")
SIZE = (40, 30, 2)
Tonic = Callable[..., np.ndarray[Any, Any]]


def same(ours: Events, theirs: np.ndarray[Any, Any]) -> None:
    assert len(ours) == len(theirs)
    for name in ("t", "x", "y", "p"):
        np.testing.assert_array_equal(ours.array[name], theirs[name])


def test_frames_by_time_count_and_number_are_those_of_tonic(moving: Events, tonic_events: Tonic) -> None:
    given = tonic_events(moving)
    theirs = transforms.ToFrame(SIZE, time_window=7_000, start_time=0, end_time=406_000)(given)
    np.testing.assert_array_equal(tf.bin_events(moving, "7 ms", dtype=np.int16), theirs)
    theirs = transforms.ToFrame(SIZE, time_window=7_000, overlap=2_000, start_time=0, end_time=405_000)(given)
    slices = tf.slices_by_time(moving, "7 ms", stride="5 ms")
    assert len(slices) - len(theirs) in (0, 1)  # tonic may drop the last one, which is not whole
    np.testing.assert_array_equal(tf.bin_slices(moving, slices)[: len(theirs)], theirs)
    for count, overlap in ((3_000, 0), (3_000, 1_000), (20_000, 0), (50_000, 0)):
        theirs = transforms.ToFrame(SIZE, event_count=count, overlap=overlap)(given)
        ours = tf.bin_slices(moving, tf.slices_by_count(moving, count, stride=count - overlap))
        np.testing.assert_array_equal(ours[: len(theirs)], theirs)
        assert len(ours) - len(theirs) in (0, 1)
    edges = moving.t[0] + np.arange(11) * (moving.duration_us // 10)
    theirs = transforms.ToFrame(SIZE, n_time_bins=10)(given)
    ours = tf.bin_slices(moving, tf.slices_at(moving, edges, outside="drop"))
    np.testing.assert_array_equal(ours, theirs)


def test_voxel_grids_are_those_of_tonic_to_the_bit(moving: Events, tonic_events: Tonic) -> None:
    for bins in (1, 5, 10):
        theirs = transforms.ToVoxelGrid(SIZE, bins)(tonic_events(moving, "i1"))
        assert np.array_equal(tf.voxel_grid(moving, bins), theirs)
    unix = tf.shift_time(moving, 1_600_000_000_000_000)
    theirs = transforms.ToVoxelGrid(SIZE, 10)(tonic_events(unix, "i1"))
    assert np.array_equal(tf.voxel_grid(unix, 10), theirs)


def test_time_surfaces_are_those_of_tonic(moving: Events, tonic_events: Tonic) -> None:
    for tau in (200, 30_000, 3_000_000):
        theirs = transforms.ToTimesurface(SIZE, dt=10_000, tau=tau)(tonic_events(moving))
        ours = tf.time_surfaces(moving, "10 ms", f"{tau} us", len(theirs), start_us=int(moving.t[0]), late="drop")
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("decay", ["exponential", "linear"])
def test_averaged_surfaces_are_those_of_tonic(moving: Events, tonic_events: Tonic, decay: Any) -> None:
    some = tf.cut(moving, tf.slices_by_count(moving, 4_000))[0]
    name = {"exponential": "exp", "linear": "lin"}[decay]
    for cell, size, window, tau in ((10, 5, 5_000, 1_000), (7, 7, 20_000, 20_000)):
        theirs = transforms.ToAveragedTimesurface(SIZE, size, cell, window, tau, name)(tonic_events(some))
        ours = tf.averaged_surfaces(some, cell, size // 2, f"{window} us", f"{tau} us", decay=decay)
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


def test_filters_keep_the_events_that_tonic_keeps(moving: Events, tonic_events: Tonic) -> None:
    for recording in (moving, tf.shift_time(moving, -4_999)):  # the second one starts at 1 us
        given = tonic_events(recording)
        for us in (20, 1_000, 10_000):
            same(tf.denoise(recording, f"{us} us"), transforms.Denoise(us)(given))
            same(tf.refractory(recording, f"{us} us"), transforms.RefractoryPeriod(us)(given))
        same(tf.decimate(recording, 3), transforms.Decimation(3)(given))
        hot = tf.hot_pixels(recording, "50 Hz")
        assert 0 < len(hot) < 1200
        same(tf.drop_pixels(recording, hot), transforms.DropPixel(hot_pixel_frequency=50)(given))


def test_binary_frames_are_those_of_tonic(moving: Events) -> None:
    frames = tf.bin_events(moving, "0.25 ms", 1_624)
    np.testing.assert_array_equal(tf.binary_frames(frames, 8), functional.to_bina_rep_numpy(frames, 203, 8))


def test_mirrors_are_those_of_tonic(moving: Events, tonic_events: Tonic) -> None:
    given = tonic_events(moving)
    same(tf.flip_x(moving), transforms.RandomFlipLR(SIZE, p=1.0)(given.copy()))
    same(tf.flip_y(moving), transforms.RandomFlipUD(SIZE, p=1.0)(given.copy()))
    same(tf.merge_polarities(moving), transforms.MergePolarities()(given))
    same(tf.shift_time(moving), transforms.TimeAlignment()(given))
    backwards = transforms.RandomTimeReversal(p=1.0)(given)
    same(tf.shift_time(tf.reverse_time(moving)), backwards)
    same(tf.resize(moving, (20, 15)), transforms.Downsample(spatial_factor=0.5)(given))


def test_real_recordings_give_what_tonic_gives(shared: Any, tonic_events: Tonic) -> None:
    for name in ("nmnist_bin/tonic_nmnist.bin", "aedat4/dvp_test_minimal.aedat4"):
        events = read(shared / "recordings" / name)
        some = tf.cut(events, tf.slices_by_count(events, 10_000))[0]
        size, given = (*some.shape, 2), tonic_events(some)
        start = int(some.t[0])
        theirs = transforms.ToFrame(size, time_window=5_000, include_incomplete=True)(given)
        ours = tf.bin_slices(some, tf.slices_by_time(some, "5 ms", start_us=start))
        np.testing.assert_array_equal(ours[: len(theirs)], theirs)
        assert ours.sum() == len(some)
        assert np.array_equal(tf.voxel_grid(some, 4), transforms.ToVoxelGrid(size, 4)(tonic_events(some, "i1")))
        same(tf.denoise(some, "2 ms"), transforms.Denoise(2_000)(given))
        same(tf.refractory(some, "1 ms"), transforms.RefractoryPeriod(1_000)(given))


def test_counts_do_not_wrap(tonic_events: Tonic) -> None:
    # tonic counts in int16: 40,000 events of one pixel become -25,536.
    many = Events.from_columns(np.arange(40_000), np.zeros(40_000, int), np.zeros(40_000, int), shape=(1, 1))
    assert transforms.ToFrame((1, 1, 2), event_count=40_000)(tonic_events(many)).sum() == 40_000 - 2**16
    assert tf.bin_events(many, "1 s").sum() == 40_000
    with pytest.raises(ValueError, match="more events in one pixel and step than dtype int16"):
        tf.bin_events(many, "1 s", dtype=np.int16)


def test_bins_do_not_start_at_the_first_event(tonic_events: Tonic) -> None:
    # tonic #264
    late = Events.from_columns([2_500, 2_600, 3_600], [0, 0, 0], [0, 0, 0], shape=(1, 1))
    assert transforms.ToFrame((1, 1, 2), time_window=1_000)(tonic_events(late))[:, 1, 0, 0].tolist() == [2]
    assert tf.bin_events(late, "1 ms")[:, 1, 0, 0].tolist() == [0, 0, 2, 1]


def test_a_window_longer_than_the_recording_gives_a_frame_and_no_tail_is_lost(tonic_events: Tonic) -> None:
    # tonic #181; 1.7 gives the one frame, and drops the last window of longer recordings where it is not whole.
    short = Events.from_columns([0, 100], [0, 0], [0, 0], shape=(1, 1))
    assert tf.bin_slices(short, tf.slices_by_time(short, "1 ms")).sum() == 2
    tail = Events.from_columns([0, 1_000, 1_500], [0, 0, 0], [0, 0, 0], shape=(1, 1))
    assert transforms.ToFrame((1, 1, 2), time_window=1_000)(tonic_events(tail)).sum() == 1
    assert tf.bin_slices(tail, tf.slices_by_time(tail, "1 ms")).sum() == 3


def test_a_sensor_without_polarities_does_not_change_the_callers_events(tonic_events: Tonic) -> None:
    on = Events.from_columns([0, 100], [0, 0], [0, 0], shape=(1, 1))
    given = tonic_events(on)
    transforms.ToFrame((1, 1, 1), event_count=2)(given)
    assert not given["p"].any()  # tonic wrote into what it got
    tf.bin_events(tf.merge_polarities(on), "1 ms")
    assert on.p.all()


def test_off_events_count_minus_one_in_a_voxel_grid(tonic_events: Tonic) -> None:
    # tonic writes -1 into bools, which makes them True: with its own N-MNIST events all polarities are ON.
    off = Events.from_columns([0, 50, 100], [0] * 3, [0] * 3, [0] * 3, shape=(1, 1))
    assert transforms.ToVoxelGrid((1, 1, 2), 2)(tonic_events(off)).min() >= 0
    assert tf.voxel_grid(off, 2).tolist() == [[[[-1.0]]], [[[-1.0]]]]


def test_the_first_event_of_a_pixel_is_kept_at_time_zero(tonic_events: Tonic) -> None:
    # tonic counts each pixel as having fired one period before time 0, and drops an event at 0.
    two = Events.from_columns([0, 5_000], [0, 0], [0, 0], shape=(1, 1))
    assert transforms.RefractoryPeriod(1_000)(tonic_events(two))["t"].tolist() == [5_000]
    assert tf.refractory(two, "1 ms").t.tolist() == [0, 5_000]


def test_warm_up_is_a_choice(tonic_events: Tonic) -> None:
    # tonic keeps all events of the first `filter_time` after time 0.
    lone = Events.from_columns([10, 30_000], [3, 3], [3, 3], shape=(9, 9))
    assert transforms.Denoise(10_000)(tonic_events(lone))["t"].tolist() == [10]
    assert tf.denoise(lone, "10 ms").t.tolist() == [10]
    assert len(tf.denoise(lone, "10 ms", warm_up=False)) == 0


def test_averages_keep_their_resolution_late_in_a_recording(tonic_events: Tonic) -> None:
    # tonic takes times as float32: after 2**24 us (16.8 s) they are off by whole microseconds.
    t = np.array([0, 3, 5, 9, 14]) + 2**30 + 1
    late = Events.from_columns(t, [0, 1, 0, 1, 1], [0] * 5, shape=(4, 4))
    ours = tf.averaged_surfaces(late, 4, 1, "20 us", "10 us")
    np.testing.assert_allclose(ours, tf.averaged_surfaces(tf.shift_time(late), 4, 1, "20 us", "10 us"))
    theirs = transforms.ToAveragedTimesurface((4, 4, 2), 3, 4, 20, 10)(tonic_events(late))
    assert abs(theirs - ours).max() > 1e-2
