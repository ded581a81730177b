"""Recordings that all tests of transforms use, and their form in tonic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from spikelab.events import Events

Tonic = Callable[..., np.ndarray[Any, Any]]


@pytest.fixture(scope="session")
def moving() -> Events:
    """20,000 events of an edge that moves over a camera of 40 x 30 pixels, and of noise, from 5 ms to 405 ms."""
    rng = np.random.default_rng(7)
    t = np.sort(rng.integers(5_000, 405_000, 20_000))
    edge = rng.random(len(t)) < 0.7
    x = np.where(edge, (t // 4_000 + rng.integers(0, 3, len(t))) % 40, rng.integers(0, 40, len(t)))
    return Events.from_columns(t, x, rng.integers(0, 30, len(t)), rng.integers(0, 2, len(t)), shape=(40, 30))


@pytest.fixture(scope="session")
def tonic_events() -> Tonic:
    """Events as tonic takes them; a copy, for tonic writes into what it gets."""

    def convert(events: Events, polarity: str = "?") -> np.ndarray[Any, Any]:
        array = np.zeros(len(events), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", polarity)])
        for name in ("x", "y", "t", "p"):
            array[name] = events.array[name]
        return array

    return convert


@st.composite
def recordings(draw: st.DrawFn, cameras_only: bool = False) -> Events:
    """Events of a camera or a cochlea, perhaps none."""
    shapes = [(5, 3), (1, 1), (16, 16)] + ([] if cameras_only else [(7,)])
    shape: tuple[int, ...] = draw(st.sampled_from(shapes))
    t = sorted(draw(st.lists(st.integers(0, 20_000), max_size=60)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    y = rng.integers(0, shape[1], len(t)) if len(shape) == 2 else None
    return Events.from_columns(t, rng.integers(0, shape[0], len(t)), y, rng.integers(0, 2, len(t)), shape=shape)
