"""SHD layout: spike trains of a (real or simulated) cochlea in HDF5, one sequence per recording.

`spikes/times` [R] sequences of seconds, `spikes/units` [R] sequences of channels, `labels` [R], and `extra/`:
`keys` names the classes, whatever else has R values is metadata (speaker, index).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import EVENT, Events, sensor_shape
from spikelab.events.hdf5 import Hdf5, open_hdf5
from spikelab.events.hdf5_heap import Sequences
from spikelab.events.labels import read_labels, write_labels
from spikelab.events.recordings import Recordings, must_be_recordings
from spikelab.files import whole_file

__all__ = ["read", "write"]

_LATEST_S = 1e12  # 30,000 years; beyond it a time in us leaves int64 far before it means anything


def read(path: str | PathLike[str], channels: int | None = None) -> Recordings:
    """Read a file in SHD layout; recordings are read from it one at a time, later.

    Args:
        path: the file.
        channels: number of channels N, 700 for SHD; None takes the highest that occurs, plus one.

    Returns:
        Recordings of shape (N,), every event with polarity 1; times rounded to whole us.

    Raises:
        FormatError: damaged, cut, foreign, or without recordings. A damaged recording raises when it is asked for.

    Source:
        Cramer et al., The Heidelberg spiking data sets, IEEE TNNLS 2022.
    """
    name = fspath(path)
    if channels is not None:
        sensor_shape((channels,))
    with open_hdf5(path) as file:
        times, units = _trains(file)
        labels, classes, metadata = read_labels(file, len(times))
        if channels is None:
            channels = 1 + max((int(train.max()) for k in range(len(units)) if len(train := units[k])), default=0)
            if channels > 65536:
                raise file.error(f"found {channels} channels; expected 1 to 65536; the file is damaged")
    return Recordings(partial(_open, name, channels), labels, (channels,), classes, metadata)


def write(recordings: Recordings, path: str | PathLike[str]) -> None:
    """Write a file in SHD layout, under a temporary name first.

    Times become float32 seconds where that is exact after rounding to us, as in SHD itself, else float64.

    Raises:
        ShapeError: the sensor has two axes, or events have polarity 0, which the layout cannot hold.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> one = Events.from_columns(t=[125, 2_000_001], x=[0, 127], shape=(128,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Recordings.of([one], labels=[0], classes=("zero",)), f"{folder}/a.h5")
        ...     read(f"{folder}/a.h5")[0].equals(one)
        True
    """
    import h5py

    must_be_recordings(recordings, "SHD")
    if len(recordings.shape) != 1:
        raise ShapeError(
            f"SHD: found a sensor of shape {recordings.shape}; expected (channels,); write N-MNIST .bin files instead"
        )
    trains = list(recordings)
    if not all(events.p.all() for events in trains):
        raise ShapeError(
            "SHD: found events of polarity 0; expected 1 only, the layout has no polarity; drop them, or use "
            "another format"
        )
    exact = all(np.array_equal(_us((events.t / 1e6).astype(np.float32)), events.t) for events in trains)
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        times = file.create_dataset("spikes/times", len(trains), h5py.vlen_dtype(np.float32 if exact else np.float64))
        units = file.create_dataset("spikes/units", len(trains), h5py.vlen_dtype(np.uint16))
        for k, events in enumerate(trains):
            times[k], units[k] = events.t / 1e6, events.x
        write_labels(file, recordings)


def _trains(file: Hdf5) -> tuple[Sequences, Sequences]:
    times, units = file.sequences("spikes/times"), file.sequences("spikes/units")
    if len(times) != len(units) or times.dtype.kind != "f" or units.dtype.kind not in "iu":
        raise file.error(
            f"found {len(times)} times of {times.dtype} and {len(units)} units of {units.dtype}; expected as many, "
            "floats and integers; "
            "the file is damaged, or has another layout"
        )
    return times, units


@contextmanager
def _open(path: str, channels: int) -> Iterator[Callable[[int], Events]]:
    with open_hdf5(path) as file:
        times, units = _trains(file)

        def get(k: int) -> Events:
            t, unit = times[k], units[k]
            if len(t) != len(unit):
                raise file.error(
                    f"found {len(t)} times and {len(unit)} units in recording {k}; expected as many; the file is "
                    "damaged"
                )
            if len(t):
                # Written so that a NaN is refused too.
                if not (abs(t.min()) < _LATEST_S and abs(t.max()) < _LATEST_S):
                    raise file.error(
                        f"found times {t.min()} to {t.max()} s in recording {k}; expected finite ones; the file is "
                        "damaged"
                    )
                if unit.min() < 0 or unit.max() >= channels:
                    raise file.error(
                        f"found units {unit.min()} to {unit.max()} in recording {k}; expected 0 to {channels - 1}; "
                        "pass channels, or the file is damaged"
                    )
            array = np.zeros(len(t), EVENT)
            array["t"], array["x"], array["p"] = _us(t), unit, True
            if (array["t"][1:] < array["t"][:-1]).any():
                raise file.error(
                    f"found times that run backwards in recording {k}; expected sorted ones; the file is damaged"
                )
            array.flags.writeable = False
            return Events(array, (channels,))

        yield get


def _us(times: NDArray[np.generic]) -> NDArray[np.int64]:
    """Seconds to whole us, to the nearest."""
    return np.rint(times.astype(np.float64) * 1e6).astype(np.int64)
