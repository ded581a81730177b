"""From data sets to batches of tensors, time first: of equal length (`Frames`), or padded with a mask (`Samples`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from spikelab.arrays import is_whole, to_array
from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events
from spikelab.events.cache import Cache
from spikelab.events.identity import fingerprint, said
from spikelab.events.recordings import Recordings, must_be_recordings
from spikelab.units import Quantity, seconds

__all__ = ["ArrayFrames", "Batch", "Frames", "Loader", "Padded", "Samples", "batches", "collate", "frames"]


class Batch(NamedTuple):
    """x: [T, B, *shape] float32 input; labels: [B] int64 class numbers; lengths: [B] steps of each, None for T."""

    x: Tensor
    labels: Tensor
    lengths: Tensor | None = None


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
        if isinstance(data, Samples):
            padded = data.padded(indices[first : first + size])
            yield Batch(padded.x, padded.labels, padded.lengths)
            continue
        x, labels = data.batch(indices[first : first + size])
        yield Batch(
            torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), torch.from_numpy(np.asarray(labels, np.int64))
        )


class Padded(NamedTuple):
    """A batch of samples of unequal length.

    x: [T, B, *shape] float32, T steps of the longest, 0 behind the end of each; labels: [B] int64; lengths: [B] int64
    steps of each; mask: [T, B] bool, true up to the end of each.
    """

    x: Tensor
    labels: Tensor
    lengths: Tensor
    mask: Tensor


def collate(samples: Sequence[tuple[Any, int]]) -> Padded:
    """Put samples of unequal length into one batch; `collate_fn` of torch's DataLoader.

    Args:
        samples: B pairs of an array [T, *shape] and a class number.

    Raises:
        ShapeError: no samples, no pairs, or shapes that differ in more than the number of steps.

    Example:
        >>> batch = collate([(np.ones((2, 3)), 0), (np.ones((1, 3)), 4)])
        >>> batch.x.shape, batch.lengths.tolist(), batch.mask.tolist()
        (torch.Size([2, 2, 3]), [2, 1], [[True, True], [True, False]])
    """
    try:
        labels = [int(label) for _, label in samples]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ShapeError(
            f"collate: found {brief(samples)}; expected pairs of an array [T, *shape] and a class number; "
            "pass [(array, 0), (other, 1)], say"
        ) from None
    arrays = [to_array(x, f"collate: sample {k}") for k, (x, _) in enumerate(samples)]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) != 1 or not all(array.ndim for array in arrays):
        raise ShapeError(
            f"collate: found samples of shapes {sorted({array.shape for array in arrays})}; expected [T, *shape] with "
            "one shape; give all recordings the same transform"
        )
    lengths = torch.tensor([len(array) for array in arrays])
    x = torch.zeros(int(lengths.max()), len(arrays), *shapes.pop())
    for k, array in enumerate(arrays):
        x[: len(array), k] = torch.from_numpy(np.array(array, np.float32))
    mask = torch.arange(len(x))[:, None] < lengths
    return Padded(x, torch.tensor(labels), lengths, mask)


class Samples(Dataset[tuple[NDArray[Any], int]]):
    """Recordings as samples for a DataLoader and for `fit`: read, changed at random, made an array, when asked for.

    What is random comes from (seed, epoch, number of the sample) alone: it is the same for any number of worker
    processes, in any order. Index with a number, or with (epoch, number). A batch is padded to its longest sample;
    `fit` and `evaluate` leave the padded steps out, so that each sample of a causal model counts as it does alone.

    Args:
        recordings: R recordings.
        to_array: makes [T, *shape] of events, such as `functools.partial(bin_events, dt="5 ms")`.
        augment: functions `(events, rng) -> events`, in turn, with `rng` a `numpy.random.Generator`.
        seed: of the augmentation.
        epoch: whose draws to take where the index names none.
        dt: [s] length of a step, which `fit` compares with the layers'; None where there is none.
        cache: folder that keeps the arrays; only without augmentation.

    Raises:
        ShapeError: no recordings, or a cache of what is random.
        UnsupportedError: a cache of a function that cannot be told exactly, such as a lambda.
    """

    def __init__(
        self,
        recordings: Recordings,
        to_array: Callable[[Events], NDArray[Any]],
        *,
        augment: Sequence[Callable[[Events, np.random.Generator], Events]] = (),
        seed: int = 0,
        epoch: int = 0,
        dt: Quantity | None = None,
        cache: str | None = None,
    ) -> None:
        must_be_recordings(recordings, "Samples")
        if cache is not None and augment:
            raise ShapeError(
                "Samples: found cache and augment; expected one of them, as what is random is new each time"
            )
        if not all(is_whole(number) and number >= 0 for number in (seed, epoch)):
            raise ShapeError(f"Samples: found seed={seed!r}, epoch={epoch!r}; expected whole numbers from 0")
        self.recordings, self.to_array, self.augment = recordings, to_array, tuple(augment)
        self.seed, self.epoch = seed, epoch
        self.dt = None if dt is None else seconds(dt)
        self.labels = recordings.labels
        key = None if cache is None else f"{said(to_array)} of {fingerprint(recordings)}"
        self._cache = None if cache is None or key is None else Cache(cache, key)

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: Any) -> tuple[NDArray[Any], int]:
        """Array [T, *shape] and class number of one sample."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[Any]) -> list[tuple[NDArray[Any], int]]:
        """Several samples; their file is opened once."""
        with self.recordings.open() as get:
            return [self._sample(get, *self._place(index)) for index in indices]

    def _place(self, index: Any) -> tuple[int, int]:
        epoch, number = index if isinstance(index, tuple) else (self.epoch, index)
        if not (is_whole(number) and is_whole(epoch)):
            raise ShapeError(f"Samples: found index {index!r}; expected a number or (epoch, number)")
        return int(epoch), range(len(self))[int(number)]

    def _sample(self, get: Callable[[int], Events], epoch: int, number: int) -> tuple[NDArray[Any], int]:
        def make() -> NDArray[Any]:
            events, rng = get(number), np.random.default_rng([self.seed, epoch, number])
            for change in self.augment:
                events = change(events, rng)
            return self.to_array(events)

        return (make() if self._cache is None else self._cache.get(number, make)), int(self.labels[number])

    def at_epoch(self, epoch: int) -> Samples:
        """The same samples with the draws of another epoch; `fit` takes them so."""
        other = copy(self)
        other.epoch = int(epoch)
        return other

    def padded(self, indices: Any) -> Padded:
        """Some samples as a batch with their lengths: what `fit` and `evaluate` read."""
        return collate(self.__getitems__(np.asarray(indices).tolist()))

    def batch(self, indices: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """x [T, B, *shape], padded to the longest of them, and labels [B]."""
        padded = self.padded(indices)
        return padded.x.numpy(), padded.labels.numpy()


class _Order(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, number) in the order that (seed, epoch) gives."""

    def __init__(self, count: int, size: int, seed: int, shuffle: bool) -> None:
        self.count, self.size, self.seed, self.shuffle, self.epoch = count, size, seed, shuffle, 0

    def __len__(self) -> int:
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng, epoch = np.random.default_rng([self.seed, self.epoch]), self.epoch
        order = rng.permutation(self.count) if self.shuffle else np.arange(self.count)
        for first in range(0, self.count, self.size):
            yield [(epoch, int(k)) for k in order[first : first + self.size]]


class Loader:
    """Padded batches of an epoch, made by worker processes that stay between epochs.

    Order and augmentation of an epoch come from the seed and its number: the batches are the same, bit for bit, for
    any number of workers, and for an epoch that is asked for again.

    Args:
        samples: the samples.
        batch_size: samples per batch; the last one may be smaller.
        seed: of the order.
        shuffle: False takes them as they stand.
        workers: number of processes; 0 works in this one.

    Raises:
        ShapeError: no samples, or a batch size below 1.
    """

    def __init__(
        self, samples: Samples, batch_size: int = 64, *, seed: int = 0, shuffle: bool = True, workers: int = 0
    ) -> None:
        if not len(samples) or not is_whole(batch_size) or batch_size < 1:
            raise ShapeError(
                f"Loader: found {len(samples)} samples and batch_size={batch_size!r}; expected at least one of each"
            )
        self._order = _Order(len(samples), batch_size, seed, shuffle)
        self._loader = DataLoader(
            samples,
            batch_sampler=self._order,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(seed),  # else it draws from the global one
        )

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._order)

    def epoch(self, number: int) -> Iterator[Padded]:
        """The batches of an epoch; one epoch at a time."""
        self._order.epoch = number
        return iter(self._loader)
