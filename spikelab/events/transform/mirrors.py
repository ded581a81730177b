"""Events mirrored: left and right, up and down, ON and OFF, forwards and backwards. None is dropped."""

from __future__ import annotations

import numpy as np

from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, trusted
from spikelab.events.transform.records import altered, must_be_moderate

__all__ = ["flip_polarity", "flip_x", "flip_y", "merge_polarities", "reverse_time"]


def flip_x(events: Events) -> Events:
    """Swap left and right, or the order of the channels.

    Example:
        >>> flip_x(Events.from_columns(t=[7], x=[33], y=[2], shape=(34, 34))).x
        array([0], dtype=uint16)
    """
    must_be_events(events, "flip_x")
    return altered(events, x=events.shape[0] - 1 - events.x.astype(np.int64))


def flip_y(events: Events) -> Events:
    """Swap up and down.

    Raises:
        ShapeError: a sensor with one axis.

    Example:
        >>> flip_y(Events.from_columns(t=[7], x=[33], y=[2], shape=(34, 34))).y
        array([31], dtype=uint16)
    """
    must_be_events(events, "flip_y")
    if len(events.shape) == 1:
        raise ShapeError(f"flip_y: found a sensor of shape {events.shape}; expected (width, height); use flip_x")
    return altered(events, y=events.shape[1] - 1 - events.y.astype(np.int64))


def flip_polarity(events: Events) -> Events:
    """Swap ON and OFF.

    Example:
        >>> flip_polarity(Events.from_columns(t=[7, 8], x=[0, 0], p=[1, 0], shape=(1,))).p
        array([False,  True])
    """
    must_be_events(events, "flip_polarity")
    return altered(events, p=~events.p)


def merge_polarities(events: Events) -> Events:
    """Make all events OFF, polarity 0, so that they add up in one channel of each frame.

    Example:
        >>> merge_polarities(Events.from_columns(t=[7, 8], x=[0, 0], p=[1, 0], shape=(1,))).p
        array([False, False])
    """
    must_be_events(events, "merge_polarities")
    return altered(events, p=np.zeros(len(events), np.bool_))


def reverse_time(events: Events, *, polarity: bool = True) -> Events:
    """Let the recording run backwards, between the same first and last time.

    Args:
        events: E events.
        polarity: whether ON and OFF are swapped too: what gets brighter gets darker when seen backwards.

    Raises:
        ShapeError: times beyond 2**61 us.

    Example:
        >>> reverse_time(Events.from_columns(t=[7, 8, 20], x=[0, 1, 2], shape=(3,))).array.tolist()
        [(7, 2, 0, False), (19, 1, 0, False), (20, 0, 0, False)]
    """
    must_be_events(events, "reverse_time")
    must_be_moderate(events, "reverse_time")
    array = events.array[::-1].copy()
    if len(array):
        array["t"] = events.t[0] + events.t[-1] - array["t"]
    if polarity:
        array["p"] = ~array["p"]
    return trusted(array, events.shape)
