"""Parallel spiking neuron whose matrix over time is masked to the last k steps, so that it becomes causal.

Source:
    Fang et al., Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies,
    NeurIPS 2023.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.nn.psn import PSN, at_least_one
from spikelab.nn.sliding import fire
from spikelab.nn.surrogate import Surrogate

__all__ = ["MaskedPSN", "MaskedPSNState"]


class MaskedPSNState(NamedTuple):
    """step: steps done so far; x: their inputs, newest first, as many as are still weighed, each [B, *shape]."""

    step: int
    x: tuple[Tensor, ...]


class MaskedPSN(PSN):
    """Parallel spiking neuron of order k: a mask leaves each step the inputs of the last k steps.

    Training moves from the full matrix to the masked one: W is weighed by `masking * M + (1 - masking)`, where M is
    1 for the last k steps and 0 elsewhere. Once `layer.masking` is 1 the neuron is causal, and `step` runs it one
    step at a time.

    Args:
        steps: T.
        order: k, from 1 to T.
        masking: share of the mask at the start, from 0 (full matrix) to 1; set `layer.masking` while training.
        surrogate: derivative of the spike, by name or as a `Surrogate`.

    Shape:
        x [T, B, *shape] -> spikes [T, B, *shape].

    Example:
        >>> layer = MaskedPSN(steps=5, order=2)
        >>> layer.masking = 1.0
        >>> z, state = layer.step(torch.ones(2, 3))
        >>> bool((z == layer(torch.ones(5, 2, 3))[0]).all())
        True
    """

    why = (
        "its weights differ from step to step; a Network has the same parameters at every step; "
        "keep it outside, or train nn.SlidingPSN instead"
    )
    masked_share: Tensor
    band: Tensor

    def __init__(
        self, steps: int, order: int, *, masking: float = 0.0, surrogate: str | Surrogate = "superspike"
    ) -> None:
        super().__init__(steps, surrogate=surrogate)
        self.order = at_least_one(order, f"{type(self).__name__}.order")
        if self.order > self.steps:
            raise ShapeError(
                f"{type(self).__name__}.order: found {order} with {steps} steps; expected at most {steps}; lower it"
            )
        full = torch.ones(self.steps, self.steps)
        self.register_buffer("band", full.tril().triu(1 - self.order), persistent=False)
        self.register_buffer("masked_share", torch.zeros(()))
        self.masking = masking

    @property
    def masking(self) -> float:
        """Share of the mask, from 0 to 1."""
        return float(self.masked_share)

    @masking.setter
    def masking(self, share: float) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise UnitError(f"{type(self).__name__}.masking: found {share!r}; expected a share from 0 to 1")
        self.masked_share.fill_(share)

    def mixing(self) -> Tensor:
        """[T, T] weight of the input of step j in the sum of step i."""
        return self.weight * (self.masked_share * self.band + (1 - self.masked_share))

    def step(self, x: Tensor, state: MaskedPSNState | None = None) -> tuple[Tensor, MaskedPSNState]:
        """Run one step: the recurrent form.

        Args:
            x: [B, *shape] input.
            state: of the step before; None starts with the first.

        Returns:
            Spikes [B, *shape], and the state to continue with.

        Raises:
            UnsupportedError: the mask is not complete, so that later inputs count.
            ShapeError: more steps than T, or a state of another batch.
        """
        name = type(self).__name__
        if self.masking < 1:
            raise UnsupportedError(
                f"{name}.step: found masking={self.masking:.6g}; expected 1, for with less the inputs of later steps "
                "count; set layer.masking = 1.0"
            )
        self.check(x, ("B", "*shape"))
        t, before = (0, ()) if state is None else state
        if t >= self.steps:
            raise ShapeError(f"{name}.step: found step {t + 1}; expected at most {self.steps}; start with state=None")
        if any(past.shape != x.shape for past in before):
            raise ShapeError(
                f"{name}.step: found a state of shape {tuple(before[0].shape)}; expected {tuple(x.shape)}; "
                "a state belongs to one batch: start the new one with state=None"
            )
        known = (x, *before)
        h = -self.v_threshold[t]
        for k, past in enumerate(known):
            h = h + self.weight[t, t - k] * past
        return fire(h[None], self.surrogate)[0], MaskedPSNState(t + 1, known[: self.order - 1])

    def extra_repr(self) -> str:
        """Parameters in short."""
        return f"{super().extra_repr()}, order={self.order}, masking={self.masking:.6g}"
