"""Arrays as data sets: every sample once, in order, as float32 tensors with time first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spikelab.errors import ShapeError
from spikelab.nn.data import ArrayFrames, Frames, batches, frames

X, LABELS = np.arange(4 * 7 * 3).reshape(4, 7, 3), np.arange(7) % 3


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_batches_hold_every_sample_once_in_the_order_asked_for(size: int) -> None:
    order = np.array([6, 0, 3, 1, 5, 2, 4])
    parts = list(batches(frames((X, LABELS)), size, order))
    assert [len(p.labels) for p in parts[:-1]] == [size] * (len(parts) - 1)
    x, labels = torch.cat([p.x for p in parts], dim=1), torch.cat([p.labels for p in parts])
    assert x.dtype == torch.float32 and labels.dtype == torch.int64
    np.testing.assert_array_equal(x, X[:, order])
    np.testing.assert_array_equal(labels, LABELS[order])


def test_all_samples_come_in_order_where_none_is_given() -> None:
    np.testing.assert_array_equal(torch.cat([p.labels for p in batches(frames((X, LABELS)), 2)]), LABELS)


def test_tensors_are_taken_and_frames_pass_as_they_are() -> None:
    data = frames((torch.tensor(X), torch.tensor(LABELS)))
    assert isinstance(data, Frames) and len(data) == 7
    assert frames(data) is data


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (X[0], LABELS, r"expected \[T, N, \*shape\]"),
        (X, LABELS[:-1], "found labels of int64 and shape .6,."),
        (X, LABELS.astype(float), "float64"),
        (X, LABELS - 1, "class numbers from 0"),
        (X, np.eye(7, dtype=int), r"shape \(7, 7\)"),
        (X[:, :0], LABELS[:0], "which is empty"),
    ],
)
def test_data_that_do_not_fit_are_refused(x: Any, labels: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ArrayFrames(x, labels)


@pytest.mark.parametrize("bad", [X, None, [X], "fsdd", (X, LABELS, LABELS)])
def test_something_else_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(ShapeError, match=r"data: found .*; expected frames or a pair"):
        frames(bad)


def test_a_data_set_without_samples_is_refused() -> None:
    class Empty:
        labels = np.zeros(0, np.int64)

        def __len__(self) -> int:
            return 0

        def batch(self, indices: Any) -> Any:
            raise AssertionError

    with pytest.raises(ShapeError, match="no samples"):
        frames(Empty())


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.eye(7)[LABELS % 7], r"labels.argmax\(1\)"),
        (LABELS.astype(float), r"labels.astype\(int\)"),
        (LABELS - 1, "from -1; .*number the classes from 0"),
        (np.zeros(len(X), int), r"x.swapaxes\(0, 1\)"),
        (LABELS[:-1], "a label for each sample"),
        ([[0], [0, 1]], "pad or cut them"),
    ],
)
def test_labels_that_do_not_fit_come_with_advice(labels: Any, advice: str) -> None:
    with pytest.raises(ShapeError, match=advice):
        ArrayFrames(X, labels)


def test_labels_of_frames_of_ones_own_are_checked_too() -> None:
    own = ArrayFrames(X, LABELS)
    own.labels = LABELS - 1
    with pytest.raises(ShapeError, match="from -1"):
        frames(own)


@pytest.mark.parametrize("value", [1e39, -1e300, np.nan, np.inf])
def test_numbers_that_float32_does_not_hold_are_refused(value: float) -> None:
    x = X.astype(np.float64)
    x[2, 1, 0] = value
    with pytest.raises(ShapeError, match=r"data: found .* in x at \[2, 1, 0\]; expected finite float32 numbers"):
        ArrayFrames(x, LABELS)
    assert np.isfinite(ArrayFrames(np.full((2, 1, 1), 3.4e38), [0]).batch([0])[0]).all()


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.zeros((4, 0, 3)), [], r"found x of shape \(4, 0, 3\), which is empty; .*look at what was selected"),
        (np.zeros((0, 2, 3)), [0, 1], r"found x of shape \(0, 2, 3\), which is empty"),
        (np.zeros((4, 2, 3)), ["cat", "dog"], r"found labels of text; .*np\.unique\(labels, return_inverse=True\)"),
    ],
)
def test_empty_data_and_labels_of_text_are_refused_with_advice(x: Any, labels: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ArrayFrames(x, labels)
