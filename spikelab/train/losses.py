"""From outputs over time to class scores and a loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikelab.errors import ShapeError, unknown_name

__all__ = ["READOUTS", "model_scores", "must_be_model", "scores"]

READOUTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": lambda y, n: _masked(y, n, 0.0).sum(0) / n[:, None],
    "sum": lambda y, n: _masked(y, n, 0.0).sum(0),
    "max": lambda y, n: _masked(y, n, -math.inf).amax(0),
    "last": lambda y, n: y[n - 1, torch.arange(len(n), device=n.device)],
}
"""How an output [T, B, classes] of samples of [B] steps becomes scores [B, classes]."""


def scores(y: Tensor, readout: str, lengths: Tensor | None = None) -> Tensor:
    """Class scores of an output over time.

    Args:
        y: [T, B, classes] potentials or spikes.
        readout: `"mean"`, `"sum"`, `"max"` or `"last"` over the steps.
        lengths: [B] steps of each sample, where some are padded: the steps behind its end do not count. None for T.

    Returns:
        [B, classes] scores.

    Raises:
        UnsupportedError: unknown readout.
        ShapeError: y has other axes, or a sample has no steps or more than T.

    Example:
        >>> y = torch.tensor([[[0.0, 1.0]], [[2.0, 1.0]]])
        >>> scores(y, "max"), scores(y, "max", torch.tensor([1]))
        (tensor([[2., 1.]]), tensor([[0., 1.]]))
    """
    if readout not in READOUTS:
        raise unknown_name("readout", readout, READOUTS)
    if y.ndim != 3:
        raise ShapeError(
            f"readout: found output of shape {tuple(y.shape)}; expected [T, B, classes]; "
            "put Flatten() before the last Linear"
        )
    steps, samples = y.shape[:2]
    n = torch.full((samples,), steps) if lengths is None else lengths
    if n.shape != (samples,) or int(n.min()) < 1 or int(n.max()) > steps:
        raise ShapeError(
            f"readout: found samples of {n.tolist()} steps for an output of shape {tuple(y.shape)}; expected 1 to "
            f"{steps} steps for each of {samples}; leave out samples without steps, and keep the axis of time in the "
            "model"
        )
    return READOUTS[readout](y, n.to(y.device))


def _masked(y: Tensor, lengths: Tensor, value: float) -> Tensor:
    """y with `value` in the steps behind the end of each sample."""
    behind = torch.arange(len(y), device=y.device)[:, None] >= lengths
    return y.masked_fill(behind[:, :, None], value)


def must_be_model(model: Any, where: str) -> None:
    """Refuse what is no torch module, and `torch.nn.Sequential`, which cannot hold neuron layers.

    Raises:
        ShapeError: it is something else; `where` is the function that was called.
    """
    if not isinstance(model, torch.nn.Module):
        advice = "turn it into a module with nn.from_network" if type(model).__name__ == "Network" else "pass a model"
        raise ShapeError(f"{where}: found {type(model).__name__} as model; expected a torch module; {advice}")
    if type(model) is torch.nn.Sequential:
        raise ShapeError(
            f"{where}: found torch.nn.Sequential as model, which does not pass on the (y, state) of neuron layers; "
            "expected spikelab's; use spikelab.nn.Sequential(*model)"
        )


def model_scores(model: torch.nn.Module, x: Tensor, readout: str, where: str, lengths: Tensor | None = None) -> Tensor:
    """Run a model on x [T, B, *shape], of samples of [B] steps, and make class scores [B, classes] of its output.

    Raises:
        ShapeError: the model does not return (y [T, B, classes], state); `where` is the function that was called.
    """
    out = model(x)
    if not isinstance(out, tuple) or len(out) != 2 or not isinstance(out[0], Tensor):
        raise ShapeError(
            f"{where}: the model returned {type(out).__name__}; expected (y, state), as nn.Sequential does; "
            "return the state too, or None"
        )
    y = out[0]
    if y.ndim == 3 and y.shape[1] != x.shape[1]:
        raise ShapeError(
            f"{where}: the model returned y of shape {tuple(y.shape)} for {x.shape[0]} steps of {x.shape[1]} samples; "
            "expected [T, B, classes]; bring the axes into this order"
        )
    return scores(y, readout, lengths)
