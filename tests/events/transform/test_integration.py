"""Pixels that integrate and fire, and that fire when they get busier: by hand, slowly, and as tonic 1.7 has them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError, UnitError
from spikelab.events import Events
from spikelab.events import transform as tf
from tests.events.transform.conftest import recordings

Tonic = Callable[..., np.ndarray[Any, Any]]


def rows(events: Any) -> list[tuple[int, ...]]:
    """Events in order of time, polarity, row and column: the order within a step is no matter."""
    array = events.array if isinstance(events, Events) else events
    return sorted(zip(*(array[name].astype(int).tolist() for name in ("t", "p", "y", "x")), strict=True))


def test_a_pixel_adds_up_on_less_off_and_starts_again_at_its_threshold() -> None:
    t = [0, 400, 999, 1_000, 1_500, 3_999, 4_000, 4_001, 4_002]
    one = Events.from_columns(t, [0] * 9, [0] * 9, [1, 1, 1, 0, 0, 0, 0, 0, 1], shape=(1, 1))
    # Steps of 1 ms: +3; -2; 0; -1; -1.
    assert rows(tf.integrate_events(one, "1 ms", 2)) == [(0, 1, 0, 0), (1_000, 0, 0, 0), (4_000, 0, 0, 0)]
    assert rows(tf.integrate_events(one, "1 ms", 3)) == [(0, 1, 0, 0), (3_000, 0, 0, 0)]
    assert len(tf.integrate_events(one, "1 ms", 4)) == 0
    shifted = tf.integrate_events(tf.shift_time(one, 10**12 + 7), "1 ms", 2, start_us=10**12 + 7)
    assert shifted.t.tolist() == [10**12 + 7, 10**12 + 1_007, 10**12 + 4_007]


def test_a_step_without_events_lies_between_what_is_compared() -> None:
    t = [0, 1, 1_000, 3_000, 3_001]
    events = Events.from_columns(t, [0] * 5, [0] * 5, [1, 1, 1, 1, 0], shape=(1, 1))
    found = tf.differentiate_events(events, "1 ms")
    assert rows(found) == [(0, 1, 0, 0), (3_000, 0, 0, 0), (3_000, 1, 0, 0)]


@given(recordings(), st.sampled_from(["1 ms", "0.7 ms", "2.5 us"]), st.integers(1, 3))
def test_they_are_what_frames_of_all_pixels_give(events: Events, dt: str, threshold: int) -> None:
    us = Fraction(dt.split()[0]) * (1_000 if "ms" in dt else 1)
    total, counts = {}, {}
    fired, risen = [], []
    for k in sorted({int(t / us) for t in events.t.tolist()}):
        start = -int(-k * us // 1)
        inside = [e for e in events.array.tolist() if int(e[0] / us) == k]
        for _, x, y, p in inside:
            total[x, y] = total.get((x, y), 0) + (1 if p else -1)
            counts[k, x, y, p] = counts.get((k, x, y, p), 0) + 1
        for x, y in {(x, y) for _, x, y, _ in inside}:
            if abs(total[x, y]) >= threshold:
                fired.append((start, int(total[x, y] > 0), y, x))
                total[x, y] = 0
        for x, y, p in {(x, y, p) for _, x, y, p in inside}:
            if counts[k, x, y, p] > counts.get((k - 1, x, y, p), 0):
                risen.append((start, int(p), y, x))
    assert rows(tf.integrate_events(events, dt, threshold)) == sorted(fired)
    assert rows(tf.differentiate_events(events, dt)) == sorted(risen)


def test_what_is_no_threshold_step_or_start_is_refused() -> None:
    events = Events.from_columns([5_000], [0], shape=(2,))
    for threshold in (0, -1, 1.5, True, None):
        with pytest.raises(ShapeError, match="integrate_events: found threshold="):
            tf.integrate_events(events, "1 ms", threshold)  # type: ignore[arg-type]
    for function in (tf.integrate_events, tf.differentiate_events):
        with pytest.raises(UnitError):
            function(events, "0 ms")
        with pytest.raises(ShapeError, match=f"{function.__name__}: found 1 of 1 events before start_us=6000"):
            function(events, "1 ms", start_us=6_000)
        with pytest.raises(ShapeError, match="use start_us=100000005000"):
            function(tf.shift_time(events, 10**11), "1 us")


def downsampled(events: np.ndarray[Any, Any], method: str, dt: float, threshold: int, **options: Any) -> Any:
    """What tonic makes of a camera of 40 x 30 pixels: 20 x 15 of them."""
    transforms = pytest.importorskip("tonic.transforms")
    return transforms.EventDownsampling((40, 30, 2), (20, 15), method, dt, threshold, **options)(events)


def whole_steps(events: Events, us: int) -> Events:
    """The events of whole steps from the first event on, which is at 0: all that tonic looks at."""
    events = tf.shift_time(events)
    return events.between(0, (int(events.t[-1]) // us) * us)


def test_integrating_is_that_of_tonic(moving: Events, tonic_events: Tonic) -> None:
    for dt, threshold in ((0.5, 1), (4.0, 2), (20.0, 3)):
        theirs = downsampled(tonic_events(moving), "integrator", dt, threshold)
        some = whole_steps(moving, int(1_000 * dt))
        ours = tf.integrate_events(tf.resize(some, (20, 15)), f"{dt} ms", threshold)
        assert len(ours) > 100
        assert rows(ours) == rows(theirs)


def test_differentiating_is_that_of_tonic_a_step_later(moving: Events, tonic_events: Tonic) -> None:
    # tonic gives what rises from step k to k + 1 the time of step k, before it happens; and of step 0 it gives nothing.
    for dt, parts, threshold in ((4.0, 2, 1), (9.0, 3, 1), (10.0, 5, 2)):
        theirs = downsampled(tonic_events(moving), "differentiator", dt, threshold, differentiator_time_bins=parts)
        part, step = f"{dt / parts} ms", int(1_000 * dt)
        fired = tf.integrate_events(tf.resize(whole_steps(moving, step // parts), (20, 15)), part, threshold)
        ours = tf.differentiate_events(fired, f"{dt} ms")
        first = ours.between(0, step)
        assert 0 < len(first) < len(ours) - 100
        assert rows(tf.shift_time(ours.between(step, 10**6), -step)) == rows(theirs)


def test_times_stay_those_of_the_recording_and_its_last_step_counts(moving: Events, tonic_events: Tonic) -> None:
    # tonic counts from the first event (here at 5 ms), and looks at no step that the recording does not fill.
    theirs = downsampled(tonic_events(moving), "integrator", 30.0, 1)
    ours = tf.integrate_events(tf.resize(moving, (20, 15)), "30 ms", start_us=int(moving.t[0]))
    assert ours.t[0] == moving.t[0] and theirs["t"].min() == 0
    assert ours.t[-1] - ours.t[0] == theirs["t"].max() + 30_000


def test_a_pixel_without_events_does_not_fire(moving: Events, tonic_events: Tonic) -> None:
    # tonic's threshold is 0 where none is given to its functions: both polarities of all silent pixels at each step.
    theirs = downsampled(tonic_events(moving), "integrator", 4.0, 0)
    assert len(theirs) > 100 * 20 * 15
    silent = Events.from_columns([0, 50_000], [0, 0], [0, 0], shape=(40, 30))
    assert len(downsampled(tonic_events(silent), "integrator", 4.0, 0)) > 100
    assert len(tf.integrate_events(silent, "4 ms")) == 2


def test_pixels_are_divided_exactly(tonic_events: Tonic) -> None:
    # tonic multiplies by the rounded quotient: 49 * (1 / 49) is below 1, and pixel 49 of 98 stays in the first half.
    transforms = pytest.importorskip("tonic.transforms")
    two = Events.from_columns([0, 2_000], [49, 49], [0, 0], shape=(98, 2))
    theirs = transforms.EventDownsampling((98, 2, 2), (2, 1), "integrator", 1.0, 1)(tonic_events(two))
    assert theirs["x"].tolist() == [0]
    assert tf.integrate_events(tf.resize(two, (2, 1)), "1 ms").x.tolist() == [1, 1]
