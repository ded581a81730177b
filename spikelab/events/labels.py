"""Labels, names of the classes and metadata of a set in HDF5: the part that SHD and packed sets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikelab.events.hdf5 import Hdf5
from spikelab.events.recordings import Recordings

if TYPE_CHECKING:
    import h5py

__all__ = ["read_labels", "write_labels"]


def read_labels(file: Hdf5, count: int) -> tuple[NDArray[np.int64], tuple[str, ...], dict[str, NDArray[np.generic]]]:
    """Read `labels` and `extra/` of an open file.

    Args:
        file: the open file.
        count: number of recordings R.

    Returns:
        [R] labels, names of the classes (`extra/keys`, or the numbers from 0), and the arrays of `extra/` of length R.

    Raises:
        FormatError: labels are missing, or are not one class each.
    """
    stored = file.read("labels")
    if stored.shape != (count,) or stored.dtype.kind not in "iu" or not count:
        raise file.error(
            f"found {len(stored)} labels of {stored.dtype} for {count} recordings; expected one integer each, and "
            "some; "
            "the file is damaged"
        )
    labels = stored.astype(np.int64)
    if "extra/keys" in file:
        classes = _texts(file.read("extra/keys"))
    else:
        classes = tuple(str(k) for k in range(min(int(labels.max()), 65535) + 1))
    if labels.min() < 0 or labels.max() >= len(classes):
        raise file.error(
            f"found labels {labels.min()} to {labels.max()}; expected 0 to {len(classes) - 1}; the file is damaged"
        )
    metadata: dict[str, NDArray[np.generic]] = {}
    for name in file.names("extra"):
        short = name.removeprefix("extra/")
        if short != "keys" and not short.endswith("_names"):
            values = file.read(name)
            if len(values) == count:
                metadata[short] = np.array(_texts(values)) if values.dtype.kind == "S" else values
    return labels, classes, metadata


def write_labels(file: h5py.File, recordings: Recordings) -> None:
    """Write `labels` and `extra/` into a file that h5py has open."""
    file["labels"] = recordings.labels.astype(np.uint16)
    file["extra/keys"] = np.array([name.encode() for name in recordings.classes])
    for name, values in recordings.metadata.items():
        texts = [value.encode() for value in values.tolist() if isinstance(value, str)]
        file[f"extra/{name}"] = np.array(texts) if values.dtype.kind == "U" else values


def _texts(values: NDArray[np.generic]) -> tuple[str, ...]:
    return tuple(value.decode("utf-8", "replace") for value in values.tolist() if isinstance(value, bytes))
