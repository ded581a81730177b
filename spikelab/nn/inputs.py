"""What a layer takes: a dense tensor of finite numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.errors import ShapeError

__all__ = ["must_be_finite", "must_be_tensor"]


def must_be_tensor(x: Any, where: str) -> None:
    """Refuse an input that is no tensor, with what to do about the slips that happen; `where` is the layer.

    Raises:
        ShapeError: an array, the pair that a neuron layer returns, or something else.
    """
    if isinstance(x, Tensor):
        return
    advice = "pass torch.as_tensor(x)"
    if isinstance(x, tuple):
        advice = (
            "a neuron layer returns (y, state): take y, state = layer(x), "
            "or put the layers into spikelab.nn.Sequential, which passes y on; torch.nn.Sequential does not"
        )
    raise ShapeError(f"{where}: found input of type {type(x).__name__}; expected a tensor [T, B, *shape]; {advice}")


def must_be_finite(x: Tensor, where: str) -> None:
    """Refuse NaN and infinity, which a neuron turns into silence or endless spikes. Fused kernels look by themselves.

    Raises:
        ShapeError: x holds such a number.
    """
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(x).all()):
        raise ShapeError(
            f"{where}: found NaN or infinity in the input; expected finite numbers; mend the data; where it comes from "
            "a layer before, its weights have diverged: use a smaller learning rate, or clip the gradients"
        )
