"""`Frames`: a labelled set binned in time, kept sparse in memory, handed out as dense arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.arrays import is_whole, selected
from spikelab.errors import ShapeError, unknown_name
from spikelab.events.array import whole_us
from spikelab.events.recordings import Recordings, must_be_number, must_be_recordings
from spikelab.events.transform import Late, cell_shape, locate, steps_from
from spikelab.units import Quantity, seconds

__all__ = ["Frames"]


@dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """R samples of T steps with their labels.

    Make them with `Frames.of(recordings, dt, steps)` or `dataset(...).frames(dt, steps)`.

    Args:
        first: [R + 1] place of each sample in the three arrays below.
        step: [K] step of each cell and step that holds events.
        cell: [K] flat cell.
        count: [K] number of events there.
        labels: [R] int64.
        steps: number of steps T.
        dt: [s] length of a step.
        shape: shape of one frame, (2, H, W) or (N,).
        classes: name of each class.
        metadata: [R] arrays by name, such as `"speaker"`.
        late: [R] events after the last step, left out.

    Example:
        >>> from spikelab.events import Events, Recordings
        >>> one = Events.from_columns(t=[0, 5000], x=[1, 2], shape=(4,))
        >>> frames = Frames.of(Recordings.of([one, one], [0, 1], ("a", "b")), dt="5 ms", steps=2)
        >>> frames
        Frames(2 samples of 2 steps of 0.005 s, shape (4,), 2 classes)
        >>> x, labels = frames.batch([1, 0])
        >>> x.shape, labels
        ((2, 2, 4), array([1, 0]))
    """

    first: NDArray[np.int64]
    step: NDArray[np.integer]
    cell: NDArray[np.integer]
    count: NDArray[np.integer]
    labels: NDArray[np.int64]
    steps: int
    dt: float
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    metadata: Mapping[str, NDArray[np.generic]]
    late: NDArray[np.int64]

    @classmethod
    def of(
        cls, recordings: Recordings, dt: Quantity, steps: int | None = None, *, start_us: int = 0, late: Late = "error"
    ) -> Frames:
        """Bin recordings, as `bin_events` does.

        Args:
            recordings: R recordings.
            dt: [s] length of a step, or a string with a unit.
            steps: number of steps T; None takes as many as the longest recording needs.
            start_us: [us] start of step 0, the same for all.
            late: `"error"` refuses events after the last step; `"drop"` leaves them out, `dropped` says how many.

        Raises:
            ShapeError: as `bin_events`; no recordings; or one that starts a million steps after `start_us`.
            UnitError: dt is not a duration above zero.
        """
        if late not in ("error", "drop"):
            raise unknown_name("Frames.of: late", late, ["drop", "error"])
        dt = seconds(dt)
        must_be_recordings(recordings, "Frames.of")
        if not len(recordings):
            raise ShapeError("Frames.of: found no recordings; expected at least one; look at what was selected")
        start_us = whole_us(start_us, "Frames.of: start_us")
        shape = cell_shape(recordings.shape)
        cells = int(np.prod(shape))
        needed, keys, counts, dropped = [1], [], [], []
        for k, events in enumerate(recordings):
            where = f"Frames.of: recording {k}"
            needed.append(max(1, steps_from(events, dt, start_us, where)))
            step, cell, rest = locate(events, dt, needed[-1] if steps is None else steps, start_us, where)
            key, count = np.unique(step * cells + cell, return_counts=True)
            keys.append(key)
            counts.append(count)
            dropped.append(rest)
        if steps is None:
            steps = max(needed)
        lost = np.array(dropped, np.int64)
        if late == "error" and lost.any():
            raise ShapeError(
                f"Frames.of: found {lost.sum()} events after the last step (steps={steps}) in "
                f"{np.count_nonzero(lost)} of {len(lost)} "
                f'recordings; expected all inside; use steps={max(needed)}, or late="drop"'
            )
        key, count = np.concatenate(keys), np.concatenate(counts)
        return cls(
            first=np.cumsum([0, *map(len, keys)]),
            step=_narrow(key // cells),
            cell=_narrow(key % cells),
            count=_narrow(count),
            labels=recordings.labels,
            steps=int(steps),
            dt=dt,
            shape=shape,
            classes=recordings.classes,
            metadata=dict(recordings.metadata),
            late=lost,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return (
            f"Frames({len(self)} samples of {self.steps} steps of {self.dt:g} s, shape {self.shape}, "
            f"{len(self.classes)} classes" + (f", {self.dropped} late events dropped)" if self.dropped else ")")
        )

    @overload
    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]: ...
    @overload
    def __getitem__(self, index: slice) -> Frames: ...
    def __getitem__(self, index: int | slice) -> tuple[NDArray[np.float32], int] | Frames:
        """Counts [T, *shape] of one sample, and its label; of a slice, frames."""
        if isinstance(index, slice):
            return self.subset(index)
        must_be_number(index, "Frames", "subset([0, 2]), or batch([0, 2]) for arrays")
        x, labels = self.batch([range(len(self))[index]])
        return x[:, 0], int(labels[0])

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        return (self[k] for k in range(len(self)))

    @property
    def dropped(self) -> int:
        """Number of events after the last step that were left out, over all samples."""
        return int(self.late.sum())

    def batch(self, indices: ArrayLike | slice) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Make dense arrays of some samples.

        Args:
            indices: [B] numbers of samples, a slice, or a mask [R].

        Returns:
            [T, B, *shape] counts, and [B] labels.

        Raises:
            ShapeError: something else, or a mask of another length.
            IndexError: a number is outside.
        """
        chosen = selected(indices, len(self), "Frames.batch: indices")
        cells = int(np.prod(self.shape))
        x = np.zeros((self.steps, len(chosen), *self.shape), np.float32)
        source, length = self._source(chosen)
        row = self.step[source].astype(np.int64) * len(chosen) + np.repeat(np.arange(len(chosen)), length)
        x.reshape(-1)[row * cells + self.cell[source]] = self.count[source]
        return x, self.labels[chosen]

    def subset(self, indices: ArrayLike | slice) -> Frames:
        """Take some samples, by number, slice or mask, in this order. Raises as `batch`.

        `frames.subset(frames.metadata["speaker"] != 3)` leaves one speaker out.
        """
        chosen = selected(indices, len(self), "Frames.subset: indices")
        source, length = self._source(chosen)
        return replace(
            self,
            first=np.concatenate([[0], np.cumsum(length)]),
            step=self.step[source],
            cell=self.cell[source],
            count=self.count[source],
            labels=self.labels[chosen],
            metadata={name: values[chosen] for name, values in self.metadata.items()},
            late=self.late[chosen],
        )

    def folds(self, k: int, by: str = "index") -> Iterator[tuple[Frames, Frames]]:
        """Split into training and test sets for cross-validation: fold n tests the samples with index % k == n.

        Args:
            k: number of folds, at least 2.
            by: integer metadata to use as index; where no metadata has that name, `"index"` is the place in the set.

        Yields:
            Training and test frames, k times.

        Raises:
            ShapeError: a fold would train or test on nothing.
            UnsupportedError: unknown metadata.
        """
        if by not in self.metadata and by != "index":
            raise unknown_name("Frames.folds: metadata", by, self.metadata)
        if not is_whole(k):
            raise ShapeError(f"Frames.folds: found k={k!r}; expected a whole number from 2; pass 5, say")
        fold = np.asarray(self.metadata.get(by, np.arange(len(self)))).astype(np.int64) % max(k, 1)
        sizes = np.bincount(fold, minlength=max(k, 1))
        if k < 2 or not sizes.all():
            raise ShapeError(
                f"Frames.folds: found k={k} with folds of {sizes.tolist()} samples; expected 2 or more, none empty; "
                "take another k"
            )
        return ((self.subset(fold != n), self.subset(fold == n)) for n in range(k))

    def _source(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of all cells of some samples, and how many each has."""
        length = np.diff(self.first)[chosen]
        shift = self.first[chosen] - (np.cumsum(length) - length)
        return np.repeat(shift, length) + np.arange(length.sum()), length


def _narrow(values: NDArray[np.int64]) -> NDArray[np.integer]:
    """The smallest unsigned type that holds the values."""
    return values.astype(np.min_scalar_type(int(values.max()) if len(values) else 0))
