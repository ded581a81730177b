"""Recipes: how a network is built and trained on a bundled data set, in one place.

The demonstration, the command line, the notebooks and the accuracy bench all read these, so the
figures that one reports are the figures of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from spikelab import nn
from spikelab.errors import unknown_name
from spikelab.train.augment import ChannelWarp, ImageShift, SpikeDrop, TimeWarp

__all__ = ["RECIPES", "Recipe", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """A network and how to train it.

    Args:
        dataset: name of the data set.
        dt: [s] time step, as a string.
        steps: T.
        late: what becomes of events after the last step.
        build: makes the untrained module from the input's shape and the number of classes.
        settings: arguments of `fit`.
        seed: of the start weights and of training.
    """

    dataset: str
    dt: str
    steps: int
    late: str
    build: Callable[[tuple[int, ...], int], torch.nn.Module]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def model(self, shape: tuple[int, ...], classes: int, seed: int | None = None) -> torch.nn.Module:
        """The untrained module; its weights hang on the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed if seed is None else seed)
            module = self.build(shape, classes)
        nn.set_dt(module, self.dt)
        return module


def _recurrent(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """Two recurrent layers of 128 current-based neurons and a leaky read-out."""

    def neurons() -> nn.CubaLIF:
        return nn.CubaLIF(tau_syn="10 ms", tau_mem="20 ms", recurrent=True, surrogate=nn.SuperSpike(5.0))

    module = nn.Sequential(
        nn.Linear(shape[0], 128),
        neurons(),
        nn.Dropout(0.2),
        nn.Linear(128, 128),
        neurons(),
        nn.Dropout(0.2),
        nn.Linear(128, classes),
        nn.LI(tau_mem="100 ms"),
    )
    nn.initialise(module)
    return module


def _convolutional(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """Two convolutional layers with sum pooling, one dense layer and a leaky read-out."""

    def neurons() -> nn.LIF:
        return nn.LIF(tau_mem="30 ms", surrogate=nn.SuperSpike(5.0))

    side = (shape[1] // 2 // 2, shape[2] // 2 // 2)
    module = nn.Sequential(
        nn.Conv2d(shape[0], 16, 5, padding=2, bias=False),
        neurons(),
        nn.SumPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        neurons(),
        nn.SumPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * side[0] * side[1], classes),
        nn.LI(tau_mem="100 ms"),
    )
    nn.initialise(module)
    return module


_SPEECH: dict[str, Any] = {
    "epochs": 20,
    "label_smoothing": 0.1,
    "augment": (TimeWarp(), ChannelWarp(), SpikeDrop()),
}

RECIPES: dict[str, Recipe] = {
    "fsdd-spikes": Recipe("fsdd-spikes", "10 ms", 80, "drop", _recurrent, _SPEECH),
    "fsdd-spikes-mini": Recipe("fsdd-spikes-mini", "10 ms", 80, "drop", _recurrent, {**_SPEECH, "batch_size": 16}),
    "nmnist-sim": Recipe(
        "nmnist-sim", "10 ms", 32, "drop", _convolutional, {"epochs": 15, "batch_size": 50, "augment": (ImageShift(2),)}
    ),
}
"""One recipe per bundled data set."""


def recipe(name: str) -> Recipe:
    """Recipe of a data set.

    Raises:
        UnsupportedError: no recipe of this name.

    Example:
        >>> recipe("fsdd-spikes").steps
        80
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
