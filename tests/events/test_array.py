from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError
from spikelab.events import EVENT, Events


def test_columns_come_back_as_they_went_in() -> None:
    events = Events.from_columns(t=[-5, 0, 0, 7], x=[0, 3, 2, 1], y=[1, 0, 1, 0], p=[1, 0, 1, 1], shape=(4, 2))
    assert events.t.tolist() == [-5, 0, 0, 7]
    assert events.x.tolist() == [0, 3, 2, 1]
    assert events.y.tolist() == [1, 0, 1, 0]
    assert events.p.tolist() == [True, False, True, True]
    assert (len(events), events.duration_us, events.shape) == (4, 12, (4, 2))


def test_a_sensor_with_one_axis_has_rows_of_zero_and_polarity_one() -> None:
    events = Events.from_columns(t=[1], x=[127], shape=(128,))
    assert (events.y.tolist(), events.p.tolist()) == ([0], [True])


def test_a_structured_array_of_other_integer_types_is_taken() -> None:
    array = np.array([(3, 1, 0, 1)], [("x", "i2"), ("t", "u4"), ("p", "i1"), ("y", "i8")])
    events = Events(array, (34, 34))
    assert (events.array.dtype, events.t[0], events.x[0], events.y[0], events.p[0]) == (EVENT, 1, 3, 1, False)


def test_events_cannot_be_changed() -> None:
    array = np.zeros(3, EVENT)
    events = Events(array, (4, 4))
    array["x"] = 3
    assert events.x.tolist() == [0, 0, 0]
    for column in (events.t, events.x, events.y, events.p, events.array):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_a_read_only_view_of_a_writable_array_is_copied() -> None:
    array = np.zeros(3, EVENT)
    view = array[:]
    view.flags.writeable = False
    events = Events(view, (4, 4))
    array["x"] = 3
    assert events.x.tolist() == [0, 0, 0]


def test_a_frozen_array_is_not_copied() -> None:
    array = np.zeros(3, EVENT)
    array.flags.writeable = False
    assert Events(array, (4, 4)).array is array
    assert Events(array, (4, 4)).between(0, 1).array.base is array


def test_empty_events_are_allowed_but_last_no_time() -> None:
    empty = Events.from_columns([], [], [], [], shape=(4, 4))
    assert len(empty) == 0
    assert repr(empty) == "Events(0 events, 4 x 4)"
    assert len(empty.between(0, 10)) == 0
    with pytest.raises(ShapeError, match="no events"):
        _ = empty.duration_us


@given(st.lists(st.integers(-1000, 1000), max_size=50).map(sorted), st.integers(-1100, 1100), st.integers(0, 500))
def test_between_takes_the_start_and_leaves_the_stop(t: list[int], start: int, length: int) -> None:
    events = Events.from_columns(t, np.arange(len(t)), shape=(64,))
    part = events.between(start, start + length)
    assert part.t.tolist() == [k for k in t if start <= k < start + length]
    assert len(events.between(-2000, start)) + len(events.between(start, 2000)) == len(t)


def test_equals_sees_every_field() -> None:
    events = Events.from_columns([1, 2], [3, 4], [5, 6], [0, 1], shape=(8, 8))
    assert events.equals(Events.from_columns([1, 2], [3, 4], [5, 6], [0, 1], shape=(8, 8)))
    assert not events.equals(Events.from_columns([1, 2], [3, 4], [5, 6], [0, 1], shape=(8, 9)))
    assert not events.equals(Events.from_columns([1, 3], [3, 4], [5, 6], [0, 1], shape=(8, 8)))
    assert not events.equals(Events.from_columns([1, 2], [3, 4], [5, 6], [1, 1], shape=(8, 8)))
    assert not events.equals(events.between(0, 2))


@pytest.mark.parametrize(
    ("t", "x", "y", "p", "message"),
    [
        ([2, 1], [0, 0], [0, 0], [0, 0], r"found t\[1\] = 1 us after t\[0\] = 2 us; expected sorted"),
        ([1, 2], [0, 4], [0, 0], [0, 0], r"found x\[1\] = 4; expected 0 to 3"),
        ([1, 2], [0, -1], [0, 0], [0, 0], r"found x\[1\] = -1; expected 0 to 3"),
        ([1, 2], [0, 65536], [0, 0], [0, 0], r"found x\[1\] = 65536"),
        ([1, 2], [0, 0], [3, 0], [0, 0], r"found y\[0\] = 3; expected 0 to 2"),
        ([1, 2], [0, 0], [0, 0], [1, -1], r"found p\[1\] = -1; expected 0 to 1; map polarities"),
        ([1, 2], [0, 0], [0, 0], [2, 1], r"found p\[0\] = 2"),
        ([1, 2], [0], [0, 0], [0, 0], r"found x of shape \(1,\)"),
        ([[1, 2]], [0, 0], [0, 0], [0, 0], r"expected one axis"),
        ([1.5, 2], [0, 0], [0, 0], [0, 0], r"found t of dtype float64; expected integers"),
        ([np.nan, 2], [0, 0], [0, 0], [0, 0], r"expected integers"),
        (["a", "b"], [0, 0], [0, 0], [0, 0], r"expected integers"),
        (np.array([1, 2**64 - 1], np.uint64), [0, 0], [0, 0], [0, 0], r"expected at most 2\*\*63"),
    ],
)
def test_bad_columns_are_refused(t: list, x: list, y: list, p: list, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Events.from_columns(t, x, y, p, shape=(4, 3))


@pytest.mark.parametrize("shape", [(), (0, 4), (4, 4, 2), (4.5, "a"), (70_000,), None, 3])
def test_a_bad_sensor_is_refused(shape: object) -> None:
    with pytest.raises(ShapeError, match="found sensor shape"):
        Events.from_columns([1], [0], shape=shape)  # type: ignore[arg-type]


def test_an_array_without_the_fields_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected a structured array"):
        Events(np.zeros((3, 4)), (4, 4))
    with pytest.raises(ShapeError, match="found fields x, y, time"):
        Events(np.zeros(3, [("x", "i2"), ("y", "i2"), ("time", "i8")]), (4, 4))
    with pytest.raises(ShapeError, match="one axis"):
        Events(np.zeros((3, 2), EVENT), (4, 4))


def test_a_bool_of_other_bits_is_refused() -> None:
    array = np.zeros(2, EVENT)
    array["p"].view(np.uint8)[1] = 7
    with pytest.raises(ShapeError, match=r"found p\[1\] = 7"):
        Events(array, (4, 4))


def test_a_camera_needs_rows() -> None:
    with pytest.raises(ShapeError, match=r"found no y for a sensor of shape \(4, 3\).*pass y, or shape=\(4,\)"):
        Events.from_columns([0], [1], shape=(4, 3))
    with pytest.raises(ShapeError, match="found no y"):
        Events(np.array([(0, 1)], [("t", "i8"), ("x", "i4")]), (4, 3))


def test_columns_shapes_and_times_of_another_kind_are_refused() -> None:
    for t in (None, 3, [[0], [1, 2]]):
        with pytest.raises(ShapeError, match="Events: found"):
            Events.from_columns(t, [1, 2], shape=(4,))  # type: ignore[arg-type]
    for shape in ((4.7,), 4, "4", (True, 2.0)):
        with pytest.raises(ShapeError, match="found sensor shape"):
            Events.from_columns([0], [1], shape=shape)  # type: ignore[arg-type]
    events = Events.from_columns([0, 5], [1, 2], shape=(4,))
    assert len(events.between(0, 1e6)) == 2  # type: ignore[arg-type]
    for bad in ("0", 0.5, float("nan"), float("inf"), None, True):
        with pytest.raises(ShapeError, match=r"between: start_us: found .* expected whole microseconds"):
            events.between(bad, 10)  # type: ignore[arg-type]
