"""Events dropped by chance: some of them, those of a time, those of an area, those of some pixels.

How many were dropped is `len(events)` before less after.
"""

from __future__ import annotations

import numpy as np

from spikelab.events.array import Events, must_be_events
from spikelab.events.transform.chance import Rng, generator, must_be_share
from spikelab.events.transform.records import kept, must_be_moderate, must_have_memory, strides

__all__ = ["drop_area", "drop_events", "drop_part", "drop_random_pixels", "drop_time"]


def drop_events(events: Events, share: float, rng: Rng) -> Events:
    """Drop events by chance, exactly round(share * E) of them.

    Args:
        events: E events.
        share: from 0 to 1.
        rng: generator or seed.

    Raises:
        ShapeError: a share that is none, or no generator or seed.

    Example:
        >>> len(drop_events(Events.from_columns(t=range(10), x=[0] * 10, shape=(1,)), 0.3, rng=0))
        7
    """
    must_be_events(events, "drop_events")
    share, random = must_be_share(share, "share", "drop_events"), generator(rng, "drop_events")
    mask = np.ones(len(events), np.bool_)
    mask[random.choice(len(events), round(share * len(events)), replace=False)] = False
    return kept(events, mask)


def drop_time(events: Events, share: float, rng: Rng) -> Events:
    """Drop the events of one stretch of time at a random place between the first event and the last.

    Args:
        events: E events.
        share: of the time that is dropped, from 0 to 1.
        rng: generator or seed.

    Raises:
        ShapeError: a share that is none, no generator or seed, or times beyond 2**61 us.

    Example:
        >>> drop_time(Events.from_columns(t=range(0, 100, 10), x=[0] * 10, shape=(1,)), 0.3, rng=0).t
        array([ 0, 10, 20, 30, 40, 50, 90])
    """
    must_be_events(events, "drop_time")
    must_be_moderate(events, "drop_time")
    share, random = must_be_share(share, "share", "drop_time"), generator(rng, "drop_time")
    if not len(events):
        return events
    duration = events.duration_us + 1
    length = round(share * duration)
    first = int(events.t[0]) + int(random.integers(0, duration - length, endpoint=True))
    return kept(events, (events.t < first) | (events.t >= first + length))


def drop_area(events: Events, share: float, rng: Rng) -> Events:
    """Drop the events of one box at a random place, whose sides are `share` of those of the sensor, rounded.

    Args:
        events: E events.
        share: of each side, from 0 to 1.
        rng: generator or seed.

    Raises:
        ShapeError: a share that is none, or no generator or seed.

    Example:
        >>> drop_area(Events.from_columns(t=range(8), x=range(8), shape=(8,)), 0.5, rng=1).x
        array([0, 1, 6, 7], dtype=uint16)
    """
    must_be_events(events, "drop_area")
    share, random = must_be_share(share, "share", "drop_area"), generator(rng, "drop_area")
    inside = np.ones(len(events), np.bool_)
    for name, size in zip(("x", "y"), events.shape, strict=False):
        side = round(share * size)
        first = int(random.integers(0, size - side, endpoint=True))
        inside &= (events.array[name] >= first) & (events.array[name] < first + side)
    return kept(events, ~inside)


def drop_random_pixels(events: Events, share: float, rng: Rng) -> Events:
    """Drop the events of random pixels, exactly round(share * pixels) of the sensor's.

    Args:
        events: E events.
        share: of the pixels, from 0 to 1.
        rng: generator or seed.

    Raises:
        ShapeError: a share that is none, no generator or seed, or more than 2**28 pixels.

    Example:
        >>> len(drop_random_pixels(Events.from_columns(t=range(8), x=range(8), shape=(8,)), 0.5, rng=1))
        4
    """
    must_be_events(events, "drop_random_pixels")
    share, random = must_be_share(share, "share", "drop_random_pixels"), generator(rng, "drop_random_pixels")
    pixels = int(np.prod(events.shape))
    if not round(share * pixels):
        return events
    must_have_memory(events, "drop_random_pixels")
    on = np.ones(pixels, np.bool_)
    on[random.choice(pixels, round(share * pixels), replace=False)] = False
    return kept(events, on[events.x + strides(events.shape)[0] * events.y.astype(np.int64)])


def drop_part(events: Events, rng: Rng) -> Events:
    """Drop by chance nothing, a time, an area or events, each as likely (EventDrop).

    Of the time and of the events 10 to 90 % are dropped, of the sides of the area 5 to 25 %, in steps of 10 and 5 %.

    Args:
        events: E events.
        rng: generator or seed.

    Raises:
        ShapeError: no generator or seed, or times beyond 2**61 us.

    Source:
        Gu, Sng, Hu, Yu, EventDrop: data augmentation for event-based learning, IJCAI 2021.

    Example:
        >>> [len(drop_part(Events.from_columns(t=range(8), x=range(8), shape=(8,)), seed)) for seed in range(4)]
        [3, 4, 6, 7]
    """
    must_be_events(events, "drop_part")
    random = generator(rng, "drop_part")
    kind, tenths, twentieths = int(random.integers(4)), int(random.integers(1, 10)), int(random.integers(1, 6))
    if kind == 0:
        return events
    if kind == 1:
        return drop_time(events, tenths / 10, random)
    if kind == 2:
        return drop_area(events, twentieths / 20, random)
    return drop_events(events, tenths / 10, random)
