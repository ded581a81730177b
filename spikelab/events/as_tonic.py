"""To tonic and back: its structured arrays, its data sets, and our functions within its `Compose`.

tonic holds a recording as a structured array with fields x, y, t, p (a cochlea's with t, x, p) and passes the sensor's
size (width, height, polarities) along by hand. Nothing here imports tonic: arrays and the two methods of a data set,
`len` and `[k]`, are all that both sides need. A transform of tonic on `Events` is
`from_tonic(transform(to_tonic(events)), sensor_size)`; ours within `tonic.transforms.Compose` is `InCompose`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events
from spikelab.events.recordings import Recordings, must_be_number, must_be_recordings

__all__ = ["CAMERA", "COCHLEA", "InCompose", "TonicSamples", "from_tonic", "recordings_from_tonic", "to_tonic"]

CAMERA: Final = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)])
"""Dtype of a camera's events in tonic (`tonic.io.events_struct`, tonic 1.7)."""
COCHLEA: Final = np.dtype([("t", np.int64), ("x", np.int64), ("p", np.int64)])
"""Dtype of the events of tonic's SHD and SSC (`tonic.datasets.hsd`, tonic 1.7)."""


def to_tonic(events: Events) -> NDArray[np.void]:
    """Make tonic's structured array; a new one, that tonic may change.

    Args:
        events: E events.

    Returns:
        [E] of dtype `CAMERA`, or `COCHLEA` for a sensor with one axis.

    Raises:
        ShapeError: no events, or a coordinate above 32,767, which int16 cannot hold.

    Example:
        >>> to_tonic(Events.from_columns(t=[5], x=[2], y=[1], p=[0], shape=(4, 3)))
        array([(2, 1, 5, False)],
              dtype=[('x', '<i2'), ('y', '<i2'), ('t', '<i8'), ('p', '?')])
    """
    must_be_events(events, "to_tonic")
    dtype = CAMERA if len(events.shape) == 2 else COCHLEA
    if dtype is CAMERA and max(events.shape) > 1 << 15:
        raise ShapeError(
            f"to_tonic: found a sensor of {events.shape}; expected at most 32768 pixels along an axis, as int16 holds; "
            "crop it first"
        )
    array = np.empty(len(events), dtype)
    for name in dtype.names or ():
        array[name] = events.array[name]
    return array


def from_tonic(array: NDArray[np.void], sensor_size: Sequence[int]) -> Events:
    """Make events from a structured array of tonic.

    Args:
        array: [E] with fields t, x, p, and y for a camera, in any order and of any integer type.
        sensor_size: (width, height, polarities), as tonic's data sets have it; without a field y, the first
            is the number of channels.

    Raises:
        ShapeError: as `Events`; also times out of order, as tonic's jitter and noise leave them.

    Example:
        >>> array = np.array([(5, 2, 1)], [("t", int), ("x", int), ("p", int)])
        >>> from_tonic(array, (700, 1, 1))
        Events(1 events, 700 channels, t 5 to 5 us)
    """
    sizes = tuple(sensor_size) if np.iterable(sensor_size) else (sensor_size,)
    if len(sizes) != 3 or not isinstance(array, np.ndarray) or array.dtype.names is None:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ShapeError(
            f"from_tonic: found {found} and sensor_size={sensor_size!r}; expected a structured array and "
            "(width, height, polarities); pass dataset.sensor_size"
        )
    return Events(array, sizes[:2] if "y" in array.dtype.names else sizes[:1])


@dataclass(frozen=True)
class InCompose:
    """One of our functions of `Events` as a step of `tonic.transforms.Compose`.

    What the function returns goes on as tonic's array where it is events, else as it is (frames, say). tonic's
    `Compose` leaves a recording without events as it is, whatever follows (its issue 292).

    Args:
        function: takes `Events`; `functools.partial` for its options.
        sensor_size: (width, height, polarities) of what comes in.

    Example:
        >>> from spikelab.events import bin_events
        >>> step = InCompose(partial(bin_events, dt="1 ms", steps=2), (4, 3, 2))
        >>> step(np.array([(2, 1, 1500, True)], CAMERA)).shape
        (2, 2, 3, 4)
    """

    function: Callable[[Events], Any]
    sensor_size: tuple[int, int, int]

    def __call__(self, array: NDArray[np.void]) -> Any:
        """tonic's array [E] to tonic's array, or to whatever the function returns."""
        found = self.function(from_tonic(array, self.sensor_size))
        return to_tonic(found) if isinstance(found, Events) else found


class TonicSamples(Sequence[Any]):
    """Recordings as a data set of tonic: (array, label) by number, `sensor_size`, `classes` and `targets`.

    `tonic.SlicedDataset`, its caches and torch's DataLoader take it.

    Args:
        recordings: R recordings.
        transform: applied to each array, such as a `tonic.transforms.Compose`.

    Raises:
        ShapeError: no recordings.
    """

    def __init__(self, recordings: Recordings, transform: Callable[[Any], Any] | None = None) -> None:
        must_be_recordings(recordings, "TonicSamples")
        self.recordings, self.transform = recordings, transform
        two = len(recordings.shape) == 2
        self.sensor_size = (*recordings.shape, 2) if two else (*recordings.shape, 1, 1)
        self.classes, self.targets = list(recordings.classes), recordings.labels.tolist()

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: Any) -> Any:
        must_be_number(index, "TonicSamples", "recordings.select([0, 2])")
        array = to_tonic(self.recordings[index])
        return (array if self.transform is None else self.transform(array)), self.targets[index]


def recordings_from_tonic(dataset: Any, classes: Sequence[str], sensor_size: Sequence[int] | None = None) -> Recordings:
    """A data set of tonic as `Recordings`; each is read when it is asked for.

    Args:
        dataset: gives (array, label) by number, has a length, and no transform but of events; its `targets` are the
            labels where it has them, else every recording is read once for its label.
        classes: name of each class; labels are their numbers, or the names themselves.
        sensor_size: (width, height, polarities); None takes `dataset.sensor_size`.

    Raises:
        ShapeError: labels beyond the classes, or a sensor's size that is missing.
    """
    sizes = tuple(getattr(dataset, "sensor_size", None) or ()) if sensor_size is None else tuple(sensor_size)
    if len(sizes) != 3 or not len(dataset):
        raise ShapeError(
            f"recordings_from_tonic: found {len(dataset)} recordings of sensor_size={sizes}; expected some, and "
            "(width, height, polarities); pass sensor_size"
        )
    targets = list(getattr(dataset, "targets", None) or ())
    if len(targets) != len(dataset):
        targets = [dataset[k][1] for k in range(len(dataset))]
    names = {name: k for k, name in enumerate(classes)}
    labels = np.array([names.get(label, -1) if isinstance(label, str) else int(label) for label in targets])
    first = from_tonic(dataset[0][0], sizes)
    return Recordings(partial(_opened, dataset, sizes), labels, first.shape, tuple(classes))


@contextmanager
def _opened(dataset: Any, sizes: tuple[int, ...]) -> Iterator[Callable[[int], Events]]:
    yield lambda k: from_tonic(dataset[k][0], sizes)
