"""Events moved a little in space or in time, by chance."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events, must_be_events
from spikelab.events.steps import step_us
from spikelab.events.transform.chance import Rng, generator
from spikelab.events.transform.records import altered, kept, must_be_moderate
from spikelab.units import Quantity

__all__ = ["Border", "jitter_space", "jitter_time"]

Border = Literal["drop", "clip"]
"""What to do with events that leave the sensor."""


def jitter_space(events: Events, sigma: float, rng: Rng, *, border: Border = "drop") -> Events:
    """Move each event by a random whole number of pixels in x and in y (in its channel, for a sensor with one axis).

    Args:
        events: E events.
        sigma: standard deviation in pixels of the normal distribution that is rounded to whole pixels.
        rng: generator or seed.
        border: `"drop"` leaves out the events that leave the sensor, `len(events)` before and after says how many;
            `"clip"` keeps them at its border.

    Raises:
        ShapeError: sigma is no number of at least 0, or an unknown border.

    Example:
        >>> jitter_space(Events.from_columns(t=[7, 8], x=[16, 9], shape=(34,)), 2.0, rng=0).x
        array([16, 9], dtype=uint16)
    """
    must_be_events(events, "jitter_space")
    number = isinstance(sigma, int | float | np.integer | np.floating) and not isinstance(sigma, bool)
    if not number or not 0 <= sigma <= 65536:
        raise ShapeError(f"jitter_space: found sigma={brief(sigma)}; expected 0 to 65536 pixels; pass 1.0, say")
    if border not in ("drop", "clip"):
        raise ShapeError(f"jitter_space: found border={border!r}; expected 'drop' or 'clip'; choose one")
    random, mask, moved = generator(rng, "jitter_space"), np.ones(len(events), np.bool_), {}
    for name, size in zip(("x", "y"), events.shape, strict=False):
        place = events.array[name] + np.rint(random.normal(0.0, sigma, len(events))).astype(np.int64)
        moved[name] = np.clip(place, 0, size - 1)
        if border == "drop":
            mask &= place == moved[name]
    return altered(kept(events, mask), **{name: column[mask] for name, column in moved.items()})


def jitter_time(events: Events, sigma: Quantity, rng: Rng) -> Events:
    """Move each event by a random whole number of microseconds, and sort them again; none is dropped.

    Times may become negative where the recording starts at 0; `shift_time` brings them back.

    Args:
        events: E events.
        sigma: [s] standard deviation of the normal distribution that is rounded to whole microseconds.
        rng: generator or seed.

    Raises:
        UnitError: sigma is not a duration above zero.
        ShapeError: times beyond 2**61 us.

    Example:
        >>> jitter_time(Events.from_columns(t=[700, 701], x=[0, 1], shape=(2,)), "10 us", rng=0).array.tolist()
        [(700, 1, 0, True), (701, 0, 0, True)]
    """
    must_be_events(events, "jitter_time")
    must_be_moderate(events, "jitter_time")
    us = min(float(step_us(sigma, "jitter_time: sigma")), 2.0**50)
    moves = np.rint(generator(rng, "jitter_time").normal(0.0, us, len(events))).astype(np.int64)
    return altered(events, t=events.t + moves)
