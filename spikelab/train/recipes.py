"""Recipes: how a network is built and trained on a bundled data set, in one place.

The demonstration, the command line, the notebooks and the accuracy bench all read these, so the
figures that one reports are the figures of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from spikelab import nn
from spikelab.errors import unknown_name
from spikelab.train.augment import ChannelWarp, ImageWarp, SpikeDrop, TimeWarp

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
    late: Literal["error", "drop"]
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
        nn.Dropout(0.4),
        nn.Linear(128, 128),
        neurons(),
        nn.Dropout(0.4),
        nn.Linear(128, classes),
        nn.LI(tau_mem="500 ms"),
    )
    nn.initialise(module)
    return module


def _convolutional(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """Three convolutional layers with stride 2 and a leaky read-out."""
    layers: list[torch.nn.Module] = []
    channels, height, width = shape
    for features, kernel in ((32, 5), (48, 3), (64, 3)):
        layers.append(nn.Conv2d(channels, features, kernel, stride=2, padding=kernel // 2, bias=False))
        layers.append(nn.LIF(tau_mem="50 ms", surrogate=nn.SuperSpike(5.0)))
        channels, height, width = features, (height + 1) // 2, (width + 1) // 2
    layers += [nn.Flatten(), nn.Dropout(0.4), nn.Linear(channels * height * width, classes), nn.LI(tau_mem="150 ms")]
    module = nn.Sequential(*layers)
    nn.initialise(module, gain=2.0)
    with torch.no_grad():
        layers[0].weight.mul_(2.0)  # type: ignore[operator]  # few of the pixels are active
    return module


_SPEECH: dict[str, Any] = {
    "epochs": 24,
    "lr": 5e-3,
    "label_smoothing": 0.1,
    "augment": (TimeWarp(), ChannelWarp(), SpikeDrop()),
}

_IMAGES: dict[str, Any] = {
    "epochs": 40,
    "batch_size": 25,
    "label_smoothing": 0.1,
    "augment": (ImageWarp(), SpikeDrop(0.05)),
}

RECIPES: dict[str, Recipe] = {
    "fsdd-spikes": Recipe("fsdd-spikes", "10 ms", 80, "drop", _recurrent, _SPEECH),
    "fsdd-spikes-mini": Recipe("fsdd-spikes-mini", "10 ms", 80, "drop", _recurrent, {**_SPEECH, "batch_size": 16}),
    "nmnist-sim": Recipe("nmnist-sim", "32 ms", 10, "error", _convolutional, _IMAGES),
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
