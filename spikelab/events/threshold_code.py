"""MNIST's images as spike trains: pixel by pixel, a neuron per grey value, which fires when the value crosses its own.

The code is that of tonic's SMNIST with its defaults: 99 neurons, two spikes for each crossing, 1 ms a half step.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.events.array import EVENT, Events
from spikelab.events.recordings import Recordings

__all__ = ["encode", "read"]

NEURONS: Final = 99
_STEP_US = 1000


def encode(image: NDArray[np.uint8]) -> Events:
    """Spikes of one image.

    Args:
        image: pixels, in the order of time.

    Returns:
        Events of 99 channels: 98 to 51 for rises through their thresholds 0 to 254, 49 to 2 for falls, 0 at white.

    Source:
        tonic 1.7, tonic/datasets/s_mnist.py; Bellec et al., Long short-term memory and learning-to-learn in networks of
        spiking neurons, NeurIPS 2018.
    """
    pixels, half = np.asarray(image, np.uint8).reshape(-1), NEURONS // 2
    above = pixels[:, None] >= np.linspace(0, 254, half).astype(np.uint8)
    rise = np.argwhere(~above[:-1] & above[1:])
    fall = np.argwhere(above[:-1] & ~above[1:])
    white = np.flatnonzero(pixels == 255)
    step = np.concatenate([rise[:, 0], fall[:, 0], white])
    channel = np.concatenate([NEURONS - rise[:, 1], NEURONS - half - fall[:, 1], np.zeros(len(white), np.int64)])
    order = np.lexsort((channel, step))
    array = np.zeros(2 * len(step), EVENT)
    array["x"], array["p"] = np.repeat(channel[order], 2), True
    array["t"] = (2 * np.repeat(step[order], 2) + np.tile([0, 1], len(step))) * _STEP_US
    array = array[np.argsort(array["t"], kind="stable")]
    array.flags.writeable = False
    return Events(array, (NEURONS,))


def read(place: Path, card: Mapping[str, Any]) -> Recordings:
    """Read images and labels of MNIST, as `<name>-images-idx3-ubyte` (the place) and `<name>-labels-idx1-ubyte`.

    Raises:
        FormatError: missing, foreign, or cut.
    """
    images = _idx(place, 3)
    folder, name = (text.replace("images-idx3", "labels-idx1") for text in (place.parent.name, place.name))
    labels = _idx(place.parent.with_name(folder) / name, 1)
    if len(labels) != len(images):
        raise FormatError(
            place, f"found {len(images)} images and {len(labels)} labels; expected as many; copy them again"
        )
    return Recordings(partial(_open, images), labels.astype(np.int64), (NEURONS,), tuple(card["classes"]))


def _idx(path: Path, rank: int) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
        magic, *sizes = struct.unpack_from(f">{1 + rank}I", data)
        if magic != 0x800 + rank:
            raise FormatError(path, f"found magic number {magic}; expected {0x800 + rank}; this is no part of MNIST", 0)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(sizes)
    except (OSError, struct.error, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"cannot be read ({error}); expected a file of MNIST; copy it again") from error


@contextmanager
def _open(images: NDArray[np.uint8]) -> Iterator[Callable[[int], Events]]:
    yield lambda k: encode(images[k])
