"""What holds for every transform: its input stays, what comes out is sorted and in range, none needs events."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError, UnitError
from spikelab.events import Events
from spikelab.events import transform as tf

CAMERA, COCHLEA = (16, 12), (16,)
TO_EVENTS: dict[str, Callable[[Events, int], Events]] = {
    "add_noise": lambda e, seed: tf.add_noise(e, 7, seed),
    "crop": lambda e, seed: tf.crop(e, (5, 4)[: len(e.shape)], (3, 2)[: len(e.shape)]),
    "crop_centre": lambda e, seed: tf.crop_centre(e, (5, 4)[: len(e.shape)]),
    "crop_random": lambda e, seed: tf.crop_random(e, (5, 4)[: len(e.shape)], seed),
    "crop_random_time": lambda e, seed: tf.crop_random_time(e, "3 ms", seed),
    "decimate": lambda e, seed: tf.decimate(e, 2),
    "denoise": lambda e, seed: tf.denoise(e, "1 ms"),
    "differentiate_events": lambda e, seed: tf.differentiate_events(e, "1 ms"),
    "drop_area": lambda e, seed: tf.drop_area(e, 0.5, seed),
    "drop_events": lambda e, seed: tf.drop_events(e, 0.5, seed),
    "drop_part": lambda e, seed: tf.drop_part(e, seed),
    "drop_pixels": lambda e, seed: tf.drop_pixels(e, tf.hot_pixels(e, "100 Hz")),
    "drop_random_pixels": lambda e, seed: tf.drop_random_pixels(e, 0.5, seed),
    "drop_time": lambda e, seed: tf.drop_time(e, 0.5, seed),
    "flip_polarity": lambda e, seed: tf.flip_polarity(e),
    "flip_x": lambda e, seed: tf.flip_x(e),
    "flip_y": lambda e, seed: tf.flip_y(e) if len(e.shape) == 2 else e,
    "integrate_events": lambda e, seed: tf.integrate_events(e, "1 ms", 2),
    "jitter_space": lambda e, seed: tf.jitter_space(e, 2.0, seed),
    "jitter_time": lambda e, seed: tf.jitter_time(e, "1 ms", seed),
    "merge": lambda e, seed: tf.merge(e, e),
    "merge_polarities": lambda e, seed: tf.merge_polarities(e),
    "mix": lambda e, seed: tf.mix(e, tf.flip_x(e), 0.5, seed)[0],
    "pool_events": lambda e, seed: tf.pool_events(e, 3),
    "refractory": lambda e, seed: tf.refractory(e, "1 ms"),
    "resize": lambda e, seed: tf.resize(e, (5, 31)[: len(e.shape)]),
    "reverse_time": lambda e, seed: tf.reverse_time(e),
    "shift_time": lambda e, seed: tf.shift_time(e, -500),
    "skew_time": lambda e, seed: tf.skew_time(e, 0.5, 10),
    "sometimes": lambda e, seed: tf.sometimes(e, tf.flip_x, 0.5, seed),
}
TO_ARRAYS: dict[str, Callable[[Events], Any]] = {
    "averaged_surfaces": lambda e: tf.averaged_surfaces(e, 5, 1, "1 ms", "1 ms") if len(e.shape) == 2 else 0,
    "bin_events": lambda e: tf.bin_events(e, "1 ms", 30),
    "bin_slices": lambda e: tf.bin_slices(e, tf.slices_by_count(e, 4)),
    "cut": lambda e: [part.array for part in tf.cut(e, tf.slices_by_time(e, "1 ms"))],
    "hot_pixels": lambda e: tf.hot_pixels(e, "100 Hz"),
    "slices_at": lambda e: tf.slices_at(e, [0, 10_000, 30_000]),
    "sparse_bins": lambda e: tf.sparse_bins(e, "1 ms", 30).dense(),
    "time_surfaces": lambda e: tf.time_surfaces(e, "1 ms", "3 ms", 30),
    "voxel_grid": lambda e: tf.voxel_grid(e, 4),
}
LOSSLESS = {
    *("flip_polarity", "flip_x", "flip_y", "jitter_time", "merge_polarities", "pool_events", "resize"),
    *("reverse_time", "shift_time", "skew_time"),
}


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    """Up to 60 events within 20 ms of a camera or a cochlea."""
    shape = draw(st.sampled_from([CAMERA, COCHLEA]))
    t = sorted(draw(st.lists(st.integers(0, 20_000), max_size=60)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    y = rng.integers(0, 12, len(t)) if shape == CAMERA else None
    return Events.from_columns(t, rng.integers(0, 16, len(t)), y, rng.integers(0, 2, len(t)), shape=shape)


def none(shape: tuple[int, ...]) -> Events:
    return Events.from_columns([], [], [] if len(shape) == 2 else None, shape=shape)


@given(recordings(), st.integers(0, 2**32))
def test_events_stay_sorted_and_in_range_and_the_input_as_it_was(events: Events, seed: int) -> None:
    before = events.array.copy()
    for name, transform in TO_EVENTS.items():
        after = transform(events, seed)
        assert np.array_equal(before, events.array), name
        assert not after.array.flags.writeable, name
        Events(after.array.copy(), after.shape)  # checks order and range
        assert transform(events, seed).equals(after), name
        assert transform(events, np.random.default_rng(seed)).equals(after), name  # type: ignore[arg-type]
        if name in LOSSLESS:
            assert len(after) == len(events), name
    for name, transform in TO_ARRAYS.items():
        transform(events)
        assert np.array_equal(before, events.array), name


@pytest.mark.parametrize("shape", [CAMERA, COCHLEA])
def test_no_events_pass_every_transform(shape: tuple[int, ...]) -> None:
    for name, transform in TO_EVENTS.items():
        assert len(transform(none(shape), 0)) == 0, name
    for name, transform in TO_ARRAYS.items():
        assert not np.any(transform(none(shape))), name


def test_every_transform_is_in_this_test() -> None:
    functions = {n for n in tf.__all__ if inspect.isfunction(getattr(tf, n))}
    inner = {"binary_frames", "cell_shape", "count_late", "locate", "slices_by_count", "slices_by_time", "steps_from"}
    assert functions - inner == set(TO_EVENTS) | set(TO_ARRAYS)


def test_what_are_no_events_is_refused_by_name() -> None:
    class Camera:
        shape = CAMERA

    for transform in [*(lambda e, f=f: f(e, 0) for f in TO_EVENTS.values()), *TO_ARRAYS.values()]:
        with pytest.raises(ShapeError, match="found Camera; expected Events"):
            transform(Camera())  # type: ignore[arg-type]


@given(recordings(), st.integers(1, 70), st.integers(1, 3_000))
def test_slices_hold_every_event_once(events: Events, count: int, us: int) -> None:
    last = int(events.t[-1]) + 1 if len(events) else 1
    edges = np.unique([0, *np.arange(0, last, us), last])
    for slices in (
        tf.slices_by_count(events, count),
        tf.slices_by_time(events, f"{us} us"),
        tf.slices_by_time(events, f"{us + 0.25} us"),
        tf.slices_at(events, edges),
    ):
        held = [k for first, stop in slices.tolist() for k in range(first, stop)]
        assert held == list(range(len(events)))
        assert tf.bin_slices(events, slices).sum() == len(events)
        assert sum(map(len, tf.cut(events, slices))) == len(events)
    stride = max(1, count // 2)
    held = {k for first, stop in tf.slices_by_count(events, count, stride=stride).tolist() for k in range(first, stop)}
    assert held == set(range(len(events)))
    if len(events):
        frames = tf.bin_events(events, f"{us} us")
        np.testing.assert_array_equal(frames, tf.bin_slices(events, tf.slices_by_time(events, f"{us} us")))
        np.testing.assert_array_equal(frames, tf.sparse_bins(events, f"{us} us").dense())


@given(recordings(), st.integers(1, 6))
def test_a_closed_voxel_grid_loses_nothing(events: Events, bins: int) -> None:
    on = tf.flip_polarity(tf.merge_polarities(events))
    assert tf.voxel_grid(on, bins, ends="closed").sum() == pytest.approx(len(events), abs=1e-9)
    assert tf.voxel_grid(on, bins, start_us=0, stop_us=30_000).sum() <= len(events) + 1e-9


def test_time_surfaces_are_their_closed_form_after_a_thousand_steps() -> None:
    events = Events.from_columns([250, 900_500], [0, 1], shape=(3,))
    for tau in (1e-6, 1e-4, 0.01, 1.0, 30.0):
        surfaces = tf.time_surfaces(events, "1 ms", tau, 1_000)
        end = 1_000.0 * np.arange(1, 1_001)
        expected = np.zeros((1_000, 3))
        for k, t in enumerate(events.t):
            expected[:, k] = np.where(end > t, np.exp(-np.maximum(end - t, 0.0) / (1e6 * tau)), 0.0)
        np.testing.assert_allclose(surfaces, expected, rtol=0, atol=2e-7)


def test_mirrors_undo_themselves() -> None:
    rng = np.random.default_rng(0)
    events = Events.from_columns(range(50), *rng.integers(0, 12, (2, 50)), rng.integers(0, 2, 50), shape=CAMERA)
    for mirror in (tf.flip_x, tf.flip_y, tf.flip_polarity, tf.reverse_time):
        assert not mirror(events).equals(events)
        assert mirror(mirror(events)).equals(events)


def test_shares_and_boxes_are_as_large_as_is_said() -> None:
    events = Events.from_columns(range(192), np.arange(192) % 16, np.arange(192) // 16, shape=CAMERA)
    assert len(tf.drop_events(events, 0.25, 1)) == 144
    assert len(tf.drop_random_pixels(events, 0.25, 1)) == 144
    assert len(tf.drop_area(events, 0.5, 1)) == 192 - 8 * 6
    assert len(tf.drop_time(events, 0.25, 1)) == 144
    assert len(tf.crop_random(events, (4, 3), 1)) == 12
    assert len(tf.crop_random_time(events, "48 us", 1)) == 48
    assert len(tf.decimate(tf.merge(events, events), 2)) == 192
    other = tf.flip_polarity(events)
    mixed, weight = tf.mix(events, other, 0.3, 1)
    assert len(mixed) and weight == mixed.p.mean()
    assert tf.mix(events, other, 0.0, 1)[0].equals(events) and tf.mix(events, other, 1.0, 1)[0].equals(other)


def test_jitter_has_the_width_that_is_asked_for() -> None:
    many = Events.from_columns(np.full(20_000, 5_000), np.full(20_000, 500), shape=(1_000,))
    assert tf.jitter_space(many, 5.0, 0).x.std() == pytest.approx(5.0, rel=0.03)
    assert tf.jitter_time(many, "100 us", 0).t.std() == pytest.approx(100.0, rel=0.03)
    edge = Events.from_columns(range(1_000), [0] * 1_000, shape=(9,))
    assert len(tf.jitter_space(edge, 2.0, 0)) < 800
    assert len(tf.jitter_space(edge, 2.0, 0, border="clip")) == 1_000


def test_noise_is_even() -> None:
    noise = tf.add_noise(none(CAMERA), 19_200, 3, start_us=100, stop_us=200)
    counts = tf.bin_events(noise, "10 us", 10, start_us=100)
    assert len(noise) == 19_200
    assert counts.sum(axis=(1, 2, 3)) == pytest.approx(np.full(10, 1_920), rel=0.12)
    assert counts.sum(axis=(0, 2, 3)) == pytest.approx(np.full(2, 9_600), rel=0.05)
    assert counts.sum(axis=(0, 1)) == pytest.approx(np.full((12, 16), 100), abs=45)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: tf.crop(e, (9, 9), (10, 0)), "expected it within the sensor"),
        (lambda e: tf.crop_centre(e, (17, 3)), "expected a part of it"),
        (lambda e: tf.slices_by_count(e, 3, stride=4), "lose events"),
        (lambda e: tf.slices_by_time(e, "1 ms", stride="2 ms"), "lose events"),
        (lambda e: tf.slices_by_time(e, "1 ms", start_us=9), "use start_us=5"),
        (lambda e: tf.slices_at(e, [6, 20]), "found 1 of 2 events outside"),
        (lambda e: tf.slices_at(e, [6, 2]), "sorted integers"),
        (lambda e: tf.bin_slices(e, [[0, 3]]), "within the 2 events"),
        (lambda e: tf.voxel_grid(e, 0), "found bins=0"),
        (lambda e: tf.voxel_grid(e, 2, start_us=6), "found 1 of 2 events outside"),
        (lambda e: tf.voxel_grid(e, 2, dtype=int), "expected float32 or float64"),
        (lambda e: tf.time_surfaces(e, "4 us", "1 us", 2), "use steps=3"),
        (lambda e: tf.averaged_surfaces(e, 0, 1, 1.0, 1.0), "found cell=0"),
        (lambda e: tf.drop_events(e, 1.5, 0), "found share=1.5"),
        (lambda e: tf.drop_events(e, 0.5, None), "found rng=None"),  # type: ignore[arg-type]
        (lambda e: tf.drop_pixels(e, [(16, 0)]), r"found pixel \(16, 0\)"),
        (lambda e: tf.jitter_space(e, -1.0, 0), "found sigma=-1.0"),
        (lambda e: tf.skew_time(e, 0.0), "found factor=0.0"),
        (lambda e: tf.shift_time(e, 2**63), "within 2\\*\\*62"),
        (lambda e: tf.merge(e, tf.pool_events(e, 2)), "found sensors of shape"),
        (lambda e: tf.add_noise(e, -1, 0), "found count=-1"),
        (lambda e: tf.resize(e, (4,)), "expected as many axes"),
        (lambda e: tf.binary_frames(np.zeros((3, 2)), 2), "multiple of 2 steps"),
        (lambda e: tf.denoise(e, "-1 ms"), "denoise: window"),
    ],
)
def test_what_cannot_be_done_is_refused_with_place_and_advice(call: Callable[[Events], Any], words: str) -> None:
    with pytest.raises((ShapeError, UnitError), match=words):
        call(Events.from_columns([5, 10], [1, 2], [3, 4], shape=CAMERA))


def test_times_at_the_end_of_their_range_are_refused_or_right() -> None:
    far = Events.from_columns([-(2**63), 2**63 - 1], [0, 1], [0, 1], shape=CAMERA)
    for transform in (tf.reverse_time, lambda e: tf.denoise(e, "1 ms"), lambda e: tf.voxel_grid(e, 2)):
        with pytest.raises(ShapeError, match=r"within 2\*\*61 us"):
            transform(far)
    late = Events.from_columns([2**63 - 2, 2**63 - 1], [0, 1], shape=COCHLEA)
    assert tf.slices_by_time(late, "1 s", start_us=2**63 - 2).tolist() == [[0, 2]]
    assert tf.shift_time(late).t.tolist() == [0, 1]


HUGE = Events.from_columns(t=[5], x=[9], y=[9], shape=(65536, 65536))
EMPTY = Events.from_columns(t=[], x=[], y=[], shape=CAMERA)
FAR = Events.from_columns(t=[-(2**63), 2**63 - 1], x=[0, 0], y=[0, 0], shape=CAMERA)
ONE = Events.from_columns(t=[5], x=[9], y=[9], shape=CAMERA)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: tf.denoise(HUGE, "1 ms"), "denoise: .* absurdly large"),
        (lambda: tf.refractory(HUGE, "1 ms"), "refractory: .* absurdly large"),
        (lambda: tf.hot_pixels(HUGE, "1 Hz"), "hot_pixels: .* absurdly large"),
        (lambda: tf.drop_random_pixels(HUGE, 0.1, 0), "drop_random_pixels: .* absurdly large"),
        (lambda: tf.decimate(HUGE, 2), "decimate: .* absurdly large"),
        (lambda: tf.integrate_events(HUGE, "1 ms"), "integrate_events: .* absurdly large"),
        (lambda: tf.differentiate_events(HUGE, "1 ms"), "differentiate_events: .* absurdly large"),
        (lambda: tf.averaged_surfaces(HUGE, 1, 1, "1 ms", "1 ms"), "averaged_surfaces: .* larger cells"),
        (lambda: tf.crop_random_time(FAR, "1 ms", 0), "crop_random_time: .* use shift_time"),
        (lambda: tf.add_noise(ONE, 10**30, 0), "add_noise: .* from 0 to 1073741824"),
        (lambda: tf.bin_events(ONE, "1 ms", dtype="nonsense"), "bin_events: found dtype 'nonsense'"),
        (lambda: tf.voxel_grid(ONE, 3, dtype="nonsense"), "voxel_grid: found dtype 'nonsense'"),
        (lambda: tf.sometimes(ONE, None, 1.0, 0), "sometimes: found transform=None"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_done_is_one_error(work: Callable[[], Any], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        work()


def test_what_asks_for_nothing_or_for_more_than_there_is_does_it() -> None:
    assert tf.crop_random_time(EMPTY, "1 ns", 0).equals(EMPTY)
    assert tf.drop_random_pixels(HUGE, 0, 0).equals(HUGE)
    assert tf.slices_by_count(ONE, 10**30).tolist() == tf.slices_by_count(ONE, 2).tolist() == [[0, 1]]
    assert tf.slices_by_count(ONE, 10**30, rest="drop").tolist() == []
    assert tf.slices_by_count(EMPTY, 10**30).tolist() == []
