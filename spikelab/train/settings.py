"""The settings of a training run, checked once and the same from its first update to its last."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from spikelab.arrays import is_whole
from spikelab.errors import UnsupportedError, brief, unknown_name
from spikelab.train.augment import Transform
from spikelab.train.losses import READOUTS

__all__ = ["Settings", "takes", "whole"]


def whole(value: Any, name: str, least: int) -> int:
    """A whole number from `least`, as a Python int.

    Raises:
        UnsupportedError: something else; `name` says where.

    Example:
        >>> whole(np.int64(3), "fit: epochs", 1)
        3
    """
    if not is_whole(value) or value < least:
        where, _, argument = name.rpartition(": ")
        raise UnsupportedError(
            f"{where}: found {argument}={brief(value)}; expected a whole number from {least}; pass {max(least, 1)}, say"
        )
    return int(value)


def takes(function: Any, *arguments: Any) -> bool:
    """Whether a function can be called with these arguments, as far as it says.

    Example:
        >>> takes(lambda x, rng: x, 1, 2), takes(lambda x: x, 1, 2), takes(3)
        (True, False, False)
    """
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some of those that are written in C do not say
        return True
    return True


@dataclass(frozen=True)
class Settings:
    """What `fit` was told, except for model, data and files; the arguments are explained there.

    Args:
        epochs: passes over the data.
        batch_size: samples per update.
        lr: largest learning rate.
        weight_decay: of weights.
        schedule: factor on lr for the share of the run done.
        label_smoothing: of the cross entropy.
        readout: how the output becomes scores.
        augment: transforms of the training input, in turn; or a single one.
        clip: largest norm of the gradient; 0 for none.
        seed: of order, dropout and augmentation.

    Raises:
        UnsupportedError: a setting of the wrong type or out of range, by name.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    schedule: Callable[[float], float]
    label_smoothing: float
    readout: str
    augment: Sequence[Transform]
    clip: float
    seed: int

    def __post_init__(self) -> None:
        augment: Any = self.augment
        transforms = (augment,) if callable(augment) or not np.iterable(augment) else tuple(augment)
        for name in ("epochs", "batch_size", "seed"):
            object.__setattr__(self, name, whole(getattr(self, name), f"fit: {name}", 0 if name == "seed" else 1))
        for name, expected in (
            ("lr", "above zero"),
            ("weight_decay", "from 0"),
            ("label_smoothing", "from 0, below 1"),
            ("clip", "from 0"),
        ):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
            beyond = number and ((name == "lr" and value == 0) or (name == "label_smoothing" and value >= 1))
            if not number or value < 0 or beyond:
                raise UnsupportedError(
                    f"fit: found {name}={brief(value)}; expected a finite number {expected}; change it"
                )
            object.__setattr__(self, name, float(value))
        if self.readout not in READOUTS:
            raise unknown_name("readout", self.readout, READOUTS)
        if not takes(self.schedule, 0.0):
            raise UnsupportedError(
                f"fit: found schedule={self.schedule!r}; expected a function of the share of the run done; "
                "pass lambda share: 1.0 for a constant rate"
            )
        for transform in transforms:
            if isinstance(transform, type) or not takes(transform, None, None):
                raise UnsupportedError(
                    f"fit: found {transform!r} in augment; expected a transform of x [T, B, ...] and a generator; "
                    "pass SpikeDrop(), or lambda x, rng: x"
                )
        object.__setattr__(self, "augment", transforms)

    def facts(self) -> dict[str, Any]:
        """The settings as a checkpoint holds them: numbers, and texts for what is called."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**found, "schedule": _name(self.schedule), "augment": [_name(t) for t in self.augment]}


def _name(part: Any) -> str:
    """What a setting is called in a checkpoint: dataclasses by their values, functions by their name."""
    return str(getattr(part, "__qualname__", None) or repr(part))
