"""What was computed from recordings, kept on disk: one HDF5 file per sample, named by a hash of what was done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events.array import EVENT, Events
from spikelab.events.hdf5 import open_hdf5
from spikelab.events.identity import fingerprint, said
from spikelab.events.recordings import Opened, Recordings, must_be_recordings
from spikelab.files import make_folder, whole_file

__all__ = ["Cache", "cached"]

_FIELDS = ("t", "x", "y", "p")


class Cache:
    """Arrays on disk, by number.

    A file is written whole or not at all, by any number of processes at once, and holds a checksum; one that does not
    match is made anew.

    Args:
        folder: where the files lie, in a folder of their own for each `key`.
        key: what was done, such as `said(function)` and `fingerprint(recordings)`; hashed.
    """

    def __init__(self, folder: str | PathLike[str], key: str) -> None:
        self.identity = hashlib.sha256(key.encode()).hexdigest()[:32]
        self.folder = Path(folder) / self.identity

    def get(self, number: int, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of this number; made and kept where it is not there yet.

        Raises:
            ShapeError: `make` gives something else than an array of numbers.
            FormatError: the folder cannot be written to.
        """
        path = self.folder / f"{number}.h5"
        found = _load(path)
        if found is None:
            found = np.asarray(make())
            if found.dtype.kind not in "iufb":
                raise ShapeError(f"Cache: found an array of {found.dtype}; expected numbers; convert it")
            make_folder(path)
            _save(path, found)
        return found


def cached(recordings: Recordings, transform: Callable[[Events], Events], folder: str | PathLike[str]) -> Recordings:
    """Recordings after a transform, which is done once for each and kept on disk.

    Args:
        recordings: R recordings.
        transform: pure; a named function, `functools.partial` of one with its options, or a dataclass to call, or a
            method of one. Its options count by value, arrays by all their bytes.
        folder: of the cache.

    Raises:
        UnsupportedError: a transform whose work cannot be told exactly, such as a lambda or one with a generator.

    Example:
        >>> import tempfile
        >>> one = Events.from_columns(t=[0, 5], x=[2, 1], shape=(4,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     late = cached(Recordings.of([one], [0], ("a",)), partial(Events.between, start_us=3, stop_us=9), folder)
        ...     print(late[0])
        Events(1 events, 4 channels, t 5 to 5 us)
    """
    must_be_recordings(recordings, "cached")
    cache = Cache(folder, f"{said(transform)} of {fingerprint(recordings)}")
    if not len(recordings):
        return recordings
    shape = _columns(transform(recordings[0]))[1]
    return Recordings(
        partial(_open, recordings.open, cache, transform, shape),
        recordings.labels,
        shape,
        recordings.classes,
        recordings.metadata,
    )


@contextmanager
def _open(
    opener: Callable[[], Opened], cache: Cache, transform: Callable[[Events], Events], shape: tuple[int, ...]
) -> Iterator[Callable[[int], Events]]:
    with opener() as get:

        def events(k: int) -> Events:
            table = cache.get(k, lambda: _columns(transform(get(k)))[0])
            array = np.empty(table.shape[1], EVENT)
            for name, column in zip(_FIELDS, table, strict=True):
                array[name] = column
            array.flags.writeable = False
            return Events(array, shape)

        yield events


def _columns(events: Any) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    if not isinstance(events, Events):
        raise ShapeError(
            f"cached: found {type(events).__name__} from the transform; expected Events; use Cache for arrays"
        )
    return np.stack([events.array[name].astype(np.int64) for name in _FIELDS]), events.shape


def _save(path: Path, array: NDArray[Any]) -> None:
    import h5py

    flat = np.ascontiguousarray(array.astype(np.uint8) if array.dtype == bool else array).reshape(-1)
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        if flat.size:
            file.create_dataset(
                "values",
                data=flat,
                chunks=(min(flat.size, 1 << 16),),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
        file["shape"] = np.array([*array.shape, -1], np.int64)  # -1 ends it, so that a scalar's is not empty
        file["dtype"] = np.array([array.dtype.str.encode()])
        file["sum"] = np.array([_sum(flat)])


def _load(path: Path) -> NDArray[Any] | None:
    """The array in a file; None where it is missing or not as it was written."""
    if not path.exists():
        return None
    try:
        with open_hdf5(path) as file:
            dtype = np.dtype(file.read("dtype")[0].decode())
            shape = tuple(int(size) for size in file.read("shape")[:-1])
            flat = file.read("values") if "values" in file else np.zeros(0, np.uint8 if dtype.kind == "b" else dtype)
            whole = file.read("sum").tolist() == [_sum(flat)]
            return flat.astype(dtype).reshape(shape) if whole else None
    except (FormatError, ValueError, TypeError):
        return None


def _sum(flat: NDArray[Any]) -> bytes:
    return hashlib.sha256(flat.tobytes()).hexdigest().encode()
