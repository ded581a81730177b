"""Frames whose numbers are made of binary frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, brief

__all__ = ["binary_frames"]


def binary_frames(frames: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Join each `bits` frames to one: a cell's bits say in which of them it had an event, the first one counts most.

    Args:
        frames: [T * bits, *shape] counts, such as those of `bin_events`; above zero is 1.
        bits: 1 to 24.

    Returns:
        [T, *shape] numbers from 0 to 1: the binary number over 2**bits - 1.

    Raises:
        ShapeError: the number of frames is no multiple of `bits`, or bits is not from 1 to 24.

    Source:
        Barchid, Mennesson, Djeraba, Bina-Rep event frames: a simple and effective representation for event-based
        cameras, IEEE ICIP 2022.

    Example:
        >>> binary_frames(np.array([[3, 0], [0, 1], [0, 0], [0, 1]]), 2)
        array([[0.6666667 , 0.33333334],
               [0.        , 0.33333334]], dtype=float32)
    """
    frames = np.asarray(frames)
    if not is_whole(bits) or not 1 <= bits <= 24:  # float32 holds 24 bits
        raise ShapeError(f"binary_frames: found bits={bits!r}; expected an integer from 1 to 24; pass 8, say")
    if not frames.ndim or len(frames) % bits or frames.dtype.kind not in "biuf":
        raise ShapeError(
            f"binary_frames: found {brief(frames)}; expected numbers [T * {bits}, ...]; bin into a multiple of "
            f"{bits} steps"
        )
    number = np.zeros((len(frames) // bits, *frames.shape[1:]), np.float32)
    for k in range(bits):
        number += np.float32(2 ** (bits - 1 - k)) * (frames[k::bits] > 0)
    number /= np.float32(2**bits - 1)
    return number
