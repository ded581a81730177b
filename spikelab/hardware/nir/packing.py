"""A tree of arrays to HDF5, under a temporary name until it is complete."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.files import whole_file
from spikelab.hardware.nir.container import Tree

__all__ = ["save"]

_TEXT = h5py.string_dtype()


@contextlib.contextmanager
def save(name: str, tree: Tree, compression: str | int | None) -> Iterator[str]:
    """Write a tree to a temporary file beside `name`; it takes that name when the block ends well.

    Args:
        name: the file.
        tree: nested groups; leaves are numbers, arrays, strings, or lists of pairs of strings.
        compression: `"gzip"`, `"lzf"`, a gzip level, or None.

    Yields:
        Name of the temporary file, complete and closed.

    Raises:
        FormatError: the file cannot be written.
    """
    with whole_file(name) as part:
        with h5py.File(part, "w") as file:
            _fill(file, tree, compression)
        yield str(part)


def _fill(group: Any, tree: Tree, compression: str | int | None) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _fill(group.create_group(key, track_order=True), value, compression)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=_TEXT)
        elif isinstance(value, list):
            pairs = np.array(value, dtype=object).reshape(len(value), 2)
            group.create_dataset(key, data=pairs, shape=(len(value), 2), dtype=_TEXT)
        else:
            array: NDArray[Any] = np.asarray(value)
            packed = compression is not None and array.size >= 64
            group.create_dataset(key, data=array, **({"compression": compression, "shuffle": True} if packed else {}))
