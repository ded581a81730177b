from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from spikelab.errors import ShapeError
from spikelab.events import Events, Recordings


def make(count: int = 5) -> Recordings:
    trains = [Events.from_columns([k, k + 1], [k, 0], shape=(8,)) for k in range(count)]
    return Recordings.of(trains, np.arange(count) % 2, ("a", "b"), {"speaker": np.arange(count) * 10})


def test_recordings_are_a_sequence() -> None:
    recordings = make()
    assert len(recordings) == 5
    assert [int(events.t[0]) for events in recordings] == [0, 1, 2, 3, 4]
    assert recordings[-1].t[0] == 4
    assert [int(events.t[0]) for events in recordings[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        recordings[5]


def test_select_by_number_and_by_mask_keeps_labels_and_metadata() -> None:
    recordings = make()
    for chosen in ([3, 1], np.array([3, 1])):
        part = recordings.select(chosen)
        assert [int(events.t[0]) for events in part] == [3, 1]
        assert part.labels.tolist() == [1, 1]
        assert part.metadata["speaker"].tolist() == [30, 10]
    assert recordings.select(recordings.metadata["speaker"] > 20).labels.tolist() == [1, 0]
    assert len(recordings.select([])) == 0
    assert recordings.select([3, 1]).select([1])[0].t[0] == 1


def test_join_puts_sets_one_after_the_other() -> None:
    joined = Recordings.join([make(2), make(3).select([2])])
    assert [int(events.t[0]) for events in joined] == [0, 1, 2]
    assert joined[2].t[0] == 2
    assert joined.metadata["speaker"].tolist() == [0, 10, 20]


def test_join_of_unlike_sets_is_refused() -> None:
    other = Recordings.of([Events.from_columns([0], [0], shape=(9,))], [0], ("a", "b"))
    for parts in ([make(), other], []):
        with pytest.raises(ShapeError, match=r"Recordings\.join"):
            Recordings.join(parts)


def test_what_does_not_fit_is_refused() -> None:
    one = Events.from_columns([0], [0], shape=(9,))
    two = Events.from_columns([0], [0], shape=(8,))
    for events, labels, classes, metadata, message in (
        ([one, two], [0, 0], ("a",), {}, "one sensor"),
        ([], [], ("a",), {}, "one sensor"),
        ([one], [0, 0], ("a",), {}, "a label for each"),
        ([one], [1], ("a",), {}, r"labels\[0\] = 1"),
        ([one], [-1], ("a",), {}, r"labels\[0\] = -1"),
        ([one], [0], ("a",), {"speaker": np.zeros(2)}, "metadata 'speaker'"),
    ):
        with pytest.raises(ShapeError, match=message):
            Recordings.of(events, labels, classes, metadata)


def test_recordings_travel_to_other_processes() -> None:
    # What a spawned data-loading worker does; the test's own functions cannot be imported there.
    again = pickle.loads(pickle.dumps(Recordings.join([make().select([2]), make()])))
    assert [int(events.t[0]) for events in again] == [2, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("events", "labels", "classes", "message"),
    [
        ([np.zeros((9, 1))], [0], ("a",), "recording 0: found ndarray; expected Events"),
        (["a.bin"], [0], ("a",), "recording 0: found str"),
        (Events.from_columns([0], [0], shape=(9,)), [0], ("a",), "a list of recordings"),
        ([Events.from_columns([0], [0], shape=(9,))], 0, ("a",), "a label for each"),
        ([Events.from_columns([0], [0], shape=(9,))], [0.5], ("a",), "labels of float64"),
        ([Events.from_columns([0], [0], shape=(9,))], ["a"], ("a",), "labels of <U1"),
        ([Events.from_columns([0], [0], shape=(9,))], [0], "left", "found classes 'left'"),
        ([Events.from_columns([0], [0], shape=(9,))], [0], 1, "found classes 1"),
    ],
)
def test_what_are_no_recordings_is_refused_by_name(events: Any, labels: Any, classes: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Recordings.of(events, labels, classes)


def test_what_is_no_list_of_recordings_is_refused() -> None:
    one = make()
    for parts in (None, one, 3, [one, None], [one, [one]], list(one)):
        with pytest.raises(ShapeError, match=r"Recordings\.join.*found .*; expected (a list of )?Recordings"):
            Recordings.join(parts)  # type: ignore[arg-type]
    for events in (None, 3):
        with pytest.raises(ShapeError, match=r"Recordings\.of: found \w+; expected a list of recordings"):
            Recordings.of(events, [], ())  # type: ignore[arg-type]
    for index in ([0, 1], 0.5, None):
        with pytest.raises(ShapeError, match=r"found .*; expected a whole number or a slice; use select"):
            one[index]  # type: ignore[call-overload]
