"""Parallel spiking neurons: one learnt matrix over all T steps, one comparison, no reset and no state.

They exist in torch only: their parameters differ from step to step, and T is fixed when they are made.
`SlidingPSN` is the form that runs on any length and on every back-end.

Source:
    Fang et al., Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies,
    NeurIPS 2023.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.nn.inputs import must_be_finite, must_be_tensor
from spikelab.nn.sliding import fire
from spikelab.nn.surrogate import Surrogate
from spikelab.nn.surrogate import surrogate as by_name

__all__ = ["PSN", "at_least_one"]


class PSN(torch.nn.Module):
    """Parallel spiking neuron: `h = W x` over time, `z = [h > v_threshold]` with a threshold for each step.

    W [T, T] is full: what comes out at one step depends on the input of later ones. All T steps must be there.

    Args:
        steps: T.
        surrogate: derivative of the spike, by name or as a `Surrogate`.

    Shape:
        x [T, B, *shape] -> spikes [T, B, *shape]; there is no state.

    Example:
        >>> layer = PSN(steps=5)
        >>> layer(torch.ones(5, 2, 3)).shape
        torch.Size([5, 2, 3])
    """

    why: ClassVar[str] = (
        "its weights differ from step to step, and it reads inputs of later steps; a Network runs forward in time "
        "with the same parameters at every step; keep it outside, or train nn.SlidingPSN instead"
    )
    """Why a `Network` cannot hold it."""

    def __init__(self, steps: int, *, surrogate: str | Surrogate = "superspike") -> None:
        super().__init__()
        self.steps = at_least_one(steps, f"{type(self).__name__}.steps")
        self.surrogate = by_name(surrogate)
        bound = 1 / math.sqrt(self.steps)  # Kaiming, uniform, as published
        self.weight = torch.nn.Parameter(torch.empty(self.steps, self.steps).uniform_(-bound, bound))
        self.v_threshold = torch.nn.Parameter(torch.ones(self.steps))

    def mixing(self) -> Tensor:
        """[T, T] weight of the input of step j in the sum of step i."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of all T steps.

        Args:
            x: [T, B, *shape] input.

        Returns:
            [T, B, *shape] spikes.

        Raises:
            ShapeError: another T, no batch and shape, or another number type than the weights.
        """
        self.check(x, (self.steps, "B", "*shape"))
        h = torch.addmm(-self.v_threshold[:, None], self.mixing(), x.flatten(1))
        return fire(h.view(x.shape), self.surrogate)

    def check(self, x: Tensor, axes: tuple[int | str, ...]) -> None:
        """Refuse an input of other axes, or of another number type or device than the weights."""
        name, expected = type(self).__name__, f"[{', '.join(map(str, axes))}]"
        must_be_tensor(x, name)
        if x.ndim < len(axes) or x.numel() == 0:
            raise ShapeError(
                f"{name}: found input of shape {tuple(x.shape)}; expected {expected}; add axes with x[:, None]"
            )
        if axes[0] == self.steps and len(x) != self.steps:
            raise ShapeError(
                f"{name}: found {len(x)} steps in an input of shape {tuple(x.shape)}; expected {expected}, "
                f"for it weighs exactly {self.steps} steps; cut or pad the input, or use nn.SlidingPSN for any length"
            )
        if (x.dtype, x.device) != (self.weight.dtype, self.weight.device):
            raise ShapeError(
                f"{name}: found input of {x.dtype} on {x.device}; expected {self.weight.dtype} on "
                f"{self.weight.device}, as its weights have; use x.to(layer.weight)"
            )
        must_be_finite(x, name)

    def extra_repr(self) -> str:
        """Parameters in short."""
        return f"steps={self.steps}, surrogate={self.surrogate!r}"


def at_least_one(value: int, where: str) -> int:
    """A whole number from 1."""
    if not is_whole(value) or value < 1:
        raise ShapeError(f"{where}: found {value!r}; expected a whole number from 1")
    return int(value)
