"""From data sets to batches of tensors, time first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelab.arrays import to_array
from spikelab.errors import ShapeError

__all__ = ["ArrayFrames", "Batch", "Frames", "batches", "frames"]


class Batch(NamedTuple):
    """x: [T, B, *shape] float32 input; labels: [B] int64 class numbers."""

    x: Tensor
    labels: Tensor


@runtime_checkable
class Frames(Protocol):
    """What `fit` reads: samples of equal length, by index."""

    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def batch(self, indices: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """x [T, B, *shape] and labels [B] of some samples."""
        ...


class ArrayFrames:
    """Arrays as `Frames`.

    Args:
        x: [T, N, *shape] inputs of N samples.
        labels: [N] class numbers from 0.

    Raises:
        ShapeError: axes missing, unequal numbers of samples, no sample, or labels that are not whole numbers from 0.

    Example:
        >>> data = ArrayFrames(np.zeros((5, 3, 2)), [0, 1, 0])
        >>> data.batch([0, 2])[0].shape
        (5, 2, 2)
    """

    dt: float | None = None

    def __init__(self, x: Any, labels: Any) -> None:
        if np.iterable(labels) and isinstance(next(iter(labels), None), str):
            raise ShapeError(
                "data: found labels of text; expected class numbers from 0; "
                "number them with names, labels = np.unique(labels, return_inverse=True)"
            )
        self.x, labels = to_array(x, "data: x"), to_array(labels, "data: labels")
        if self.x.ndim < 3:
            raise ShapeError(
                f"data: found x of shape {self.x.shape}; expected [T, N, *shape]; add axes with x[:, None]"
            )
        if not self.x.size:
            raise ShapeError(
                f"data: found x of shape {self.x.shape}, which is empty; expected at least one step and one sample; "
                "look at what was selected"
            )
        most = float(np.finfo(np.float32).max)  # batches are float32
        if self.x.dtype.kind == "f" and not (-most <= self.x.min() and self.x.max() <= most):
            bad = np.argwhere(~(np.abs(self.x) <= most))[0].tolist()
            raise ShapeError(
                f"data: found {self.x[tuple(bad)]} in x at {bad}; expected finite float32 numbers; mend the data"
            )
        self.labels = _class_numbers(labels, self.x.shape)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """x [T, B, *shape] and labels [B] of some samples."""
        return self.x[:, indices].astype(np.float32), self.labels[indices]


def _class_numbers(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Labels [N] as int64, or what is wrong with them beside an x of this shape [T, N, ...]."""
    if labels.shape == shape[1:2] and labels.size and labels.dtype.kind in "iu" and labels.min() >= 0:
        return labels.astype(np.int64)
    advice = "number the classes from 0"
    if labels.ndim == 2:
        advice = "pass labels.argmax(1), if they are one-hot"
    elif labels.shape != shape[1:2]:
        advice = "time comes first: x.swapaxes(0, 1)" if labels.shape == shape[:1] else "pass a label for each sample"
    elif labels.dtype.kind in "bf":
        advice = "pass labels.astype(int), if they are class numbers"
    raise ShapeError(
        f"data: found labels of {labels.dtype} and shape {labels.shape}"
        + (f" from {labels.min()}" if labels.size and labels.dtype.kind in "iu" else "")
        + f"; expected class numbers from 0 of shape {shape[1:2]}; {advice}"
    )


def frames(data: Any) -> Frames:
    """Data as `Frames`: itself, or a pair (x [T, N, *shape], labels [N]).

    Raises:
        ShapeError: neither, or without samples.
    """
    if isinstance(data, tuple | list) and len(data) == 2:
        if all(isinstance(part, Frames) for part in data):
            raise ShapeError(
                "data: found a pair of sets, as frames(...) returns them; pass one: train, test = data.frames(...)"
            )
        data = ArrayFrames(*data)
    if not isinstance(data, Frames):
        raise ShapeError(
            f"data: found {type(data).__name__}; "
            "expected frames or a pair (x [T, N, *shape], labels [N]); make frames with "
            "sl.dataset(...).frames(dt, steps), or with Frames.of(recordings, dt, steps)"
        )
    if len(data) == 0:
        raise ShapeError("data: found no samples; expected at least one; look at what was selected")
    _class_numbers(np.asarray(data.labels), (0, len(data)))
    return data


def batches(data: Frames, size: int, order: NDArray[np.int64] | None = None) -> Iterator[Batch]:
    """Batches in order.

    Args:
        data: the samples.
        size: samples per batch; the last one may be smaller.
        order: indices to visit; all in their order if None.
    """
    indices = np.arange(len(data)) if order is None else order
    for first in range(0, len(indices), size):
        x, labels = data.batch(indices[first : first + size])
        yield Batch(
            torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), torch.from_numpy(np.asarray(labels, np.int64))
        )
