"""Randomness that is passed in, and transforms that are applied now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events, must_be_events

__all__ = ["Rng", "generator", "must_be_share", "sometimes"]

Rng = np.random.Generator | int
"""A generator, or a seed: the same seed gives the same result."""


def generator(rng: Rng, where: str) -> np.random.Generator:
    """The generator itself, or a new one for a seed.

    Raises:
        ShapeError: something else.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if is_whole(rng) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise ShapeError(
        f"{where}: found rng={brief(rng)}; expected a seed of at least 0 or "
        "np.random.default_rng(seed); pass rng=0, say"
    )


def must_be_share(value: Any, name: str, where: str) -> float:
    """A number from 0 to 1.

    Raises:
        ShapeError: something else.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ShapeError(f"{where}: found {name}={brief(value)}; expected a number from 0 to 1; pass 0.2, say")
    return float(value)


def sometimes(events: Events, transform: Callable[[Events], Events], probability: float, rng: Rng) -> Events:
    """Apply a transform with some probability, or give the events as they are.

    Args:
        events: E events.
        transform: makes events of events.
        probability: from 0 (never) to 1 (always).
        rng: generator or seed.

    Raises:
        ShapeError: a transform or a probability that is none, or no generator or seed.

    Example:
        >>> from spikelab.events.transform import flip_x
        >>> one = Events.from_columns(t=[7], x=[1], shape=(34,))
        >>> [int(sometimes(one, flip_x, 0.5, seed).x[0]) for seed in range(6)]
        [1, 1, 32, 32, 1, 1]
    """
    must_be_events(events, "sometimes")
    if not callable(transform):
        raise ShapeError(
            f"sometimes: found transform={brief(transform)}; expected a function of events; pass flip_x, say"
        )
    chance = must_be_share(probability, "probability", "sometimes")
    return transform(events) if generator(rng, "sometimes").random() < chance else events
