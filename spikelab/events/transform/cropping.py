"""Parts of the sensor and of the time. What lies outside is dropped: `len(events)` before and after says how much."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events, must_be_events, sensor_shape
from spikelab.events.steps import step_us
from spikelab.events.transform.chance import Rng, generator
from spikelab.events.transform.records import altered, kept, must_be_moderate
from spikelab.units import Quantity

__all__ = ["crop", "crop_centre", "crop_random", "crop_random_time"]


def crop(events: Events, shape: tuple[int, ...], origin: Sequence[int]) -> Events:
    """Take a part of the sensor; its first pixel becomes pixel 0. For a part of the time, see `Events.between`.

    Args:
        events: E events.
        shape: (width, height) or (channels,) of the part.
        origin: (x, y) or (channel,) where it begins.

    Raises:
        ShapeError: the part does not lie within the sensor.

    Example:
        >>> two = Events.from_columns(t=[0, 1], x=[3, 30], y=[20, 20], shape=(34, 34))
        >>> part = crop(two, (9, 10), origin=(25, 15))
        >>> part, part.x, part.y
        (Events(1 events, 9 x 10, t 1 to 1 us), array([5], dtype=uint16), array([5], dtype=uint16))
    """
    return _crop(events, _fitting(shape, events, "crop"), origin, "crop")


def crop_centre(events: Events, shape: tuple[int, ...]) -> Events:
    """Take the middle of the sensor; of an odd rest, the larger part is cut behind.

    Args:
        events: E events.
        shape: (width, height) or (channels,) of the part.

    Raises:
        ShapeError: the part does not lie within the sensor.

    Example:
        >>> crop_centre(Events.from_columns(t=[0], x=[16], y=[17], shape=(34, 34)), (4, 3)).array.tolist()
        [(0, 1, 2, True)]
    """
    shape = _fitting(shape, events, "crop_centre")
    return _crop(events, shape, [(a - b) // 2 for a, b in zip(events.shape, shape, strict=True)], "crop_centre")


def crop_random(events: Events, shape: tuple[int, ...], rng: Rng) -> Events:
    """Take a part of the sensor at a random place, each as likely.

    Args:
        events: E events.
        shape: (width, height) or (channels,) of the part.
        rng: generator or seed.

    Raises:
        ShapeError: the part does not lie within the sensor.

    Example:
        >>> crop_random(Events.from_columns(t=[0], x=[16], y=[17], shape=(34, 34)), (32, 32), rng=0).shape
        (32, 32)
    """
    shape = _fitting(shape, events, "crop_random")
    origin = [a - b for a, b in zip(events.shape, shape, strict=True)]
    return _crop(
        events, shape, generator(rng, "crop_random").integers(0, origin, endpoint=True).tolist(), "crop_random"
    )


def crop_random_time(events: Events, duration: Quantity, rng: Rng) -> Events:
    """Take a part of the time at a random place between first and last event; times stay as they are.

    Args:
        events: E events; all are taken when they last no longer than `duration`.
        duration: [s] or a string with a unit.
        rng: generator or seed.

    Raises:
        UnitError: no duration above zero.
        ShapeError: no generator or seed, or times beyond 2**61 us.

    Example:
        >>> five = Events.from_columns(t=range(0, 50, 10), x=[0] * 5, shape=(1,))
        >>> crop_random_time(five, "20 us", rng=1).t
        array([10, 20])
    """
    must_be_events(events, "crop_random_time")
    must_be_moderate(events, "crop_random_time")
    us, random = step_us(duration, "crop_random_time: duration"), generator(rng, "crop_random_time")
    rest = (events.duration_us if len(events) else 0) + 1 - us
    if not len(events) or rest <= 0:
        return events
    first = int(events.t[0]) + int(random.integers(0, _floor(rest), endpoint=True))
    return events.between(first, first + _floor(us + Fraction(999_999, 1_000_000)))


def _crop(events: Events, shape: tuple[int, ...], origin: Sequence[int], where: str) -> Events:
    sizes = np.asarray(origin)
    if sizes.shape != (len(shape),) or sizes.dtype.kind not in "iu":
        raise ShapeError(f"{where}: found origin={brief(origin)}; expected {len(shape)} integers; pass (0, 0), say")
    first = [int(size) for size in sizes]
    if any(a < 0 or a + b > c for a, b, c in zip(first, shape, events.shape, strict=True)):
        raise ShapeError(
            f"{where}: found a part of shape {shape} at {tuple(first)}; expected it within the sensor {events.shape}; "
            "move it, or make it smaller"
        )
    mask = np.ones(len(events), np.bool_)
    for name, a, b in zip(("x", "y"), first, shape, strict=False):
        mask &= (events.array[name] >= a) & (events.array[name] < a + b)
    inside = kept(events, mask)
    return altered(
        inside, shape, **{n: inside.array[n] - np.uint16(a) for n, a in zip(("x", "y"), first, strict=False)}
    )


def _fitting(shape: tuple[int, ...], events: Events, where: str) -> tuple[int, ...]:
    must_be_events(events, where)
    sizes = sensor_shape(shape)
    if len(sizes) != len(events.shape) or any(a > b for a, b in zip(sizes, events.shape, strict=True)):
        raise ShapeError(
            f"{where}: found shape {sizes} for a sensor of shape {events.shape}; expected a part of it; make it smaller"
        )
    return sizes


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator
