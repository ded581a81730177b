"""`Recordings`: a labelled set of recordings, read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.arrays import is_whole, selected
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events

__all__ = ["Recordings", "must_be_number", "must_be_recordings"]

Opened = AbstractContextManager[Callable[[int], Events]]


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(Sequence[Events]):
    """R recordings of one sensor with their labels; each is read from its file when it is asked for.

    Args:
        open: opens the file and gives a function from the number of a recording to its events; closes it after.
        labels: [R] int64, index into `classes`.
        shape: (width, height) or (channels,) of the sensor.
        classes: name of each class.
        metadata: [R, ...] arrays such as `"speaker"`, by name.

    Example:
        >>> one = Events.from_columns(t=[5], x=[2], shape=(4,))
        >>> recordings = Recordings.of([one, one], labels=[0, 1], classes=("a", "b"))
        >>> recordings
        Recordings(2 recordings, 2 classes, 4 channels)
        >>> [len(events) for events in recordings]
        [1, 1]
    """

    open: Callable[[], Opened]
    labels: NDArray[np.int64]
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    metadata: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = np.array(self.labels)
        if labels.size and labels.dtype.kind not in "iu":
            raise ShapeError(f"Recordings: found labels of {labels.dtype}; expected whole numbers from 0")
        labels = labels.astype(np.int64)
        if labels.ndim != 1:
            raise ShapeError(f"Recordings: found labels of shape {labels.shape}; expected [R]; flatten them")
        wrong = (labels < 0) | (labels >= len(self.classes))
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ShapeError(
                f"Recordings: found labels[{k}] = {labels[k]}; expected 0 to {len(self.classes) - 1}; add the "
                "class's name"
            )
        for name, values in self.metadata.items():
            if len(values) != len(labels):
                raise ShapeError(
                    f"Recordings: found {len(values)} of metadata {name!r}; expected {len(labels)}, one per "
                    "recording; add the rest"
                )
        labels.flags.writeable = False
        object.__setattr__(self, "labels", labels)

    @classmethod
    def of(
        cls,
        events: Sequence[Events],
        labels: ArrayLike,
        classes: Sequence[str],
        metadata: Mapping[str, NDArray[np.generic]] | None = None,
    ) -> Recordings:
        """Make recordings from events in memory.

        Raises:
            ShapeError: no events, something else than events, sensors that differ, labels that are no whole
                numbers, or as many labels or metadata as do not fit.
        """
        if not isinstance(events, Iterable):
            raise ShapeError(
                f"Recordings.of: found {type(events).__name__}; expected a list of recordings; "
                "make each with Events.from_columns(t, x, y, p, shape=...)"
            )
        events = [] if isinstance(events, Events) else list(events)
        for k, one in enumerate(events):
            must_be_events(one, f"Recordings.of: recording {k}")
        if np.ndim(classes) != 1 or not all(isinstance(name, str) for name in classes):
            raise ShapeError(
                f"Recordings.of: found classes {classes!r}; expected a name for each class; pass ('left', 'right'), say"
            )
        shapes = {e.shape for e in events}
        if len(shapes) != 1 or np.shape(labels) != (len(events),):
            raise ShapeError(
                f"Recordings.of: found {len(events)} recordings with sensors {sorted(shapes)} and "
                f"labels of shape {np.shape(labels)}; expected a list of recordings, one sensor and a label for each; "
                "split them by sensor"
            )
        opener = partial(_held, tuple(events))
        return cls(opener, np.asarray(labels), shapes.pop(), tuple(classes), dict(metadata or {}))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        sensor = " x ".join(map(str, self.shape)) if len(self.shape) == 2 else f"{self.shape[0]} channels"
        return f"Recordings({len(self)} recordings, {len(self.classes)} classes, {sensor})"

    @overload
    def __getitem__(self, index: int) -> Events: ...
    @overload
    def __getitem__(self, index: slice) -> Recordings: ...
    def __getitem__(self, index: int | slice) -> Events | Recordings:
        if isinstance(index, slice):
            return self.select(index)
        must_be_number(index, "Recordings", "select([0, 2])")
        k = range(len(self))[index]
        with self.open() as get:
            return get(k)

    def __iter__(self) -> Iterator[Events]:
        with self.open() as get:
            for k in range(len(self)):
                yield get(k)

    def select(self, indices: ArrayLike | slice) -> Recordings:
        """Take the recordings with these numbers (of a slice, or where a mask is true), in this order.

        Raises:
            ShapeError: something else, or a mask of another length.
            IndexError: a number is outside.

        Example:
            >>> one = Events.from_columns(t=[5], x=[2], shape=(4,))
            >>> Recordings.of([one, one], [0, 1], ("a", "b")).select([1]).labels
            array([1])
        """
        chosen = selected(indices, len(self), "Recordings.select: indices")
        return Recordings(
            partial(_reordered, self.open, chosen),
            self.labels[chosen],
            self.shape,
            self.classes,
            {name: values[chosen] for name, values in self.metadata.items()},
        )

    @staticmethod
    def join(parts: Sequence[Recordings]) -> Recordings:
        """Put several sets of the same sensor and classes one after the other; keeps the metadata that all have.

        Raises:
            ShapeError: the sensors or the classes differ, there are no parts, or they are no recordings.
        """
        if isinstance(parts, Recordings) or not isinstance(parts, Sequence):
            raise ShapeError(
                f"Recordings.join: found {type(parts).__name__}; expected a list of Recordings; pass [first, second]"
            )
        for k, part in enumerate(parts):
            must_be_recordings(part, f"Recordings.join: part {k}")
        if len({(part.shape, part.classes) for part in parts}) != 1:
            raise ShapeError(
                f"Recordings.join: found {list(parts)}; expected one sensor and one list of classes; join like to like"
            )
        names = set.intersection(*(set(part.metadata) for part in parts))
        return Recordings(
            partial(_joined, [part.open for part in parts], np.cumsum([0, *map(len, parts)])),
            np.concatenate([part.labels for part in parts]),
            parts[0].shape,
            parts[0].classes,
            {name: np.concatenate([part.metadata[name] for part in parts]) for name in sorted(names)},
        )


def must_be_recordings(value: Any, where: str) -> None:
    """Refuse what is not `Recordings`; `where` is the function that was called.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, Recordings):
        raise ShapeError(
            f"{where}: found {type(value).__name__}; expected Recordings; "
            "make them with Recordings.of(events, labels, classes)"
        )


def must_be_number(index: Any, where: str, several: str) -> None:
    """Refuse to index by anything but a whole number; `several` takes more than one.

    Raises:
        ShapeError: it is something else.
    """
    if not is_whole(index):
        found = f"an array of shape {index.shape}" if isinstance(index, np.ndarray) else repr(index)
        raise ShapeError(f"{where}[...]: found {found}; expected a whole number or a slice; use {several}")


@contextmanager
def _held(events: tuple[Events, ...]) -> Iterator[Callable[[int], Events]]:
    yield lambda k: events[k]


@contextmanager
def _reordered(opener: Callable[[], Opened], chosen: NDArray[np.int64]) -> Iterator[Callable[[int], Events]]:
    with opener() as get:
        yield lambda k: get(int(chosen[k]))


@contextmanager
def _joined(openers: Sequence[Callable[[], Opened]], first: NDArray[np.int64]) -> Iterator[Callable[[int], Events]]:
    with ExitStack() as stack:
        gets = [stack.enter_context(opener()) for opener in openers]

        def get(k: int) -> Events:
            part = int(np.searchsorted(first, k, side="right")) - 1
            return gets[part](k - int(first[part]))

        yield get
