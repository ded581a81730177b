from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import Events, Frames, Recordings, bin_events


def make(seed: int, count: int, shape: tuple[int, ...] = (6, 5)) -> Recordings:
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        n = int(rng.integers(0, 80))
        y = rng.integers(0, shape[1], n) if len(shape) == 2 else None
        t = np.sort(rng.integers(0, 20_000, n))
        samples.append(Events.from_columns(t, rng.integers(0, shape[0], n), y, rng.integers(0, 2, n), shape=shape))
    metadata = {"index": np.arange(count), "speaker": np.arange(count) % 3}
    return Recordings.of(samples, np.arange(count) % 4, tuple("abcd"), metadata)


@given(st.integers(0, 999), st.integers(1, 8), st.integers(1, 20), st.sampled_from([(6, 5), (9,)]))
def test_each_sample_equals_bin_events(seed: int, count: int, steps: int, shape: tuple[int, ...]) -> None:
    recordings = make(seed, count, shape)
    frames = Frames.of(recordings, "1 ms", steps, late="drop")
    assert len(frames) == count
    for k, events in enumerate(recordings):
        x, label = frames[k]
        expected = bin_events(events, "1 ms", steps, late="drop")
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, expected)
        assert label == recordings.labels[k]
        assert frames.late[k] == len(events) - expected.sum()
    assert frames.dropped == frames.late.sum()


@given(st.integers(0, 999), st.lists(st.integers(-6, 5), max_size=9))
def test_a_batch_is_its_samples_in_their_order(seed: int, indices: list[int]) -> None:
    frames = Frames.of(make(seed, 6), "1 ms", 20)
    x, labels = frames.batch(indices)
    assert x.shape == (20, len(indices), 2, 5, 6)
    assert labels.dtype == np.int64
    for b, k in enumerate(indices):
        np.testing.assert_array_equal(x[:, b], frames[k % 6][0])
        assert labels[b] == frames.labels[k]
    np.testing.assert_array_equal(frames.subset(indices).batch(range(len(indices)))[0], x)


def test_a_batch_can_be_changed_without_harm() -> None:
    frames = Frames.of(make(0, 3), "1 ms", 20)
    x, labels = frames.batch([0, 1])
    x += 1
    labels += 1
    assert frames.batch([0])[0].sum() == len(make(0, 3)[0])
    assert frames.labels.tolist() == [0, 1, 2]


def test_a_mask_a_range_and_an_array_choose_samples() -> None:
    frames = Frames.of(make(1, 7), "1 ms", 20)
    assert frames.batch(range(2, 5))[1].tolist() == [2, 3, 0]
    assert frames.batch(np.array([2, 3, 4]))[1].tolist() == [2, 3, 0]
    without = frames.subset(frames.metadata["speaker"] != 1)
    assert without.metadata["index"].tolist() == [0, 2, 3, 5, 6]
    with pytest.raises(IndexError):
        frames.batch([7])


def test_folds_split_by_index_and_test_each_sample_once() -> None:
    frames = Frames.of(make(2, 11), "1 ms", 20).subset([10, 3, 4, 5, 0, 1])
    tested = []
    for n, (train, test) in enumerate(frames.folds(2)):
        assert (test.metadata["index"] % 2 == n).all()
        assert len(train) + len(test) == 6
        assert not set(train.metadata["index"]) & set(test.metadata["index"])
        tested += test.metadata["index"].tolist()
    assert sorted(tested) == [0, 1, 3, 4, 5, 10]
    assert [len(test) for _, test in frames.folds(3, by="speaker")] == [2, 3, 1]


def test_folds_without_samples_are_refused() -> None:
    frames = Frames.of(make(2, 4), "1 ms", 20)
    for k in (0, 1, 5):
        with pytest.raises(ShapeError, match=r"Frames\.folds"):
            frames.folds(k)
    with pytest.raises(UnsupportedError, match="did you mean 'speaker'"):
        frames.folds(2, by="speakr")


def test_late_events_are_an_error_that_names_the_steps_of_the_longest() -> None:
    recordings = make(3, 5)
    longest = max(int(events.t[-1]) for events in recordings if len(events)) // 1000 + 1
    with pytest.raises(ShapeError, match=rf"use steps={longest}, or late=\"drop\""):
        Frames.of(recordings, "1 ms", 2)
    assert Frames.of(recordings, "1 ms").steps == longest
    assert Frames.of(recordings, "1 ms", longest).dropped == 0
    with pytest.raises(UnsupportedError, match="drop, error"):
        Frames.of(recordings, "1 ms", 2, late="keep")  # type: ignore[arg-type]


def test_samples_without_events_are_silent() -> None:
    silent = Recordings.of([Events.from_columns([], [], shape=(4,))] * 2, [0, 1], ("a", "b"))
    frames = Frames.of(silent, "1 ms", 3)
    assert frames.batch([0, 1])[0].sum() == 0
    assert Frames.of(silent, "1 ms").steps == 1


def test_many_events_in_one_cell_are_counted() -> None:
    crowd = Events.from_columns(np.zeros(70_000, np.int64), np.zeros(70_000, np.int64), shape=(1,))
    frames = Frames.of(Recordings.of([crowd], [0], ("a",)), "1 ms", 1)
    assert frames[0][0].item() == 70_000


def test_what_cannot_be_binned_is_refused() -> None:
    recordings = make(0, 3)
    with pytest.raises(ShapeError, match="found no recordings"):
        Frames.of(recordings.select([]), "1 ms")
    for bad in (list(recordings), recordings[0], None):
        with pytest.raises(ShapeError, match=r"expected Recordings; make them with Recordings.of"):
            Frames.of(bad, "1 ms")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"recording 0: found 1000000000000 steps of 60 cells, above 16 GiB"):
        Frames.of(recordings, "1 ms", 10**12)


@pytest.mark.parametrize("steps", [None, 10])
@pytest.mark.parametrize("late", ["error", "drop"])
def test_absolute_times_are_refused_with_advice(steps: int | None, late: str) -> None:
    camera = Events.from_columns([1_600_000_000_000_000], [1], [1], shape=(4, 3))
    one = Recordings.of([camera], [0], ("a",))
    with pytest.raises(ShapeError, match=r"recording 0: found the first event at 16.*subtract it from the times"):
        Frames.of(one, "1 ms", steps, late=late)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [1.5, "5", None])
def test_a_number_of_folds_is_whole(k: object) -> None:
    with pytest.raises(ShapeError, match="expected a whole number from 2"):
        list(Frames.of(make(0, 6), "1 ms").folds(k))  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [None, 20])
def test_each_recording_is_read_once(steps: int | None) -> None:
    recordings, read = make(3, 5), []

    @contextmanager
    def counting() -> Iterator[Callable[[int], Events]]:
        with recordings.open() as get:
            yield lambda k: (read.append(k), get(k))[1]  # type: ignore[func-returns-value]

    counted = Frames.of(replace(recordings, open=counting), "1 ms", steps)
    assert read == [0, 1, 2, 3, 4]
    assert counted.steps == (steps or max(int(e.t[-1]) // 1000 + 1 for e in recordings if len(e)))


def test_a_slice_of_frames_is_frames() -> None:
    frames = Frames.of(make(1, 7), "1 ms", 20)
    for part in (slice(0, 3), slice(-2, None), slice(None, None, -2), slice(5, 5)):
        numbers = list(range(7))[part]
        assert isinstance(frames[part], Frames) and frames[part].labels.tolist() == frames.labels[numbers].tolist()
        assert frames.batch(part)[1].tolist() == frames.subset(part).labels.tolist() == frames.labels[numbers].tolist()
    for k in (-1, np.int64(6)):
        np.testing.assert_array_equal(frames[k][0], frames.batch([6])[0][:, 0])
    with pytest.raises(IndexError):
        frames[7]


@pytest.mark.parametrize("index", [[0, 1], np.array([0, 1]), (0, 1), 1.0, True, None, "0"])
def test_frames_are_indexed_by_whole_numbers_and_slices(index: Any) -> None:
    with pytest.raises(ShapeError, match=r"Frames\[\.\.\.\]: found .*; expected a whole number or a slice; use subset"):
        Frames.of(make(1, 3), "1 ms", 20)[index]


@pytest.mark.parametrize("indices", [[True, False], [0.5], [[0, 1]], "01", None])
def test_what_chooses_no_samples_is_refused(indices: Any) -> None:
    frames = Frames.of(make(1, 3), "1 ms", 20)
    for use in (frames.batch, frames.subset, make(1, 3).select):
        with pytest.raises(ShapeError, match=r"(batch|subset|select): indices: found .*; expected"):
            use(indices)
