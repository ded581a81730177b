"""From outputs over time to class scores and a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikelab.errors import ShapeError, unknown_name

__all__ = ["READOUTS", "model_scores", "must_be_model", "scores"]

READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda y: y.mean(0),
    "sum": lambda y: y.sum(0),
    "max": lambda y: y.amax(0),
    "last": lambda y: y[-1],
}
"""How an output [T, B, classes] becomes scores [B, classes]."""


def scores(y: Tensor, readout: str) -> Tensor:
    """Class scores of an output over time.

    Args:
        y: [T, B, classes] potentials or spikes.
        readout: `"mean"`, `"sum"`, `"max"` or `"last"` over the steps.

    Returns:
        [B, classes] scores.

    Raises:
        UnsupportedError: unknown readout.
        ShapeError: y has other axes.

    Example:
        >>> import torch
        >>> scores(torch.tensor([[[0.0, 1.0]], [[2.0, 1.0]]]), "max")
        tensor([[2., 1.]])
    """
    if readout not in READOUTS:
        raise unknown_name("readout", readout, READOUTS)
    if y.ndim != 3:
        raise ShapeError(
            f"readout: found output of shape {tuple(y.shape)}; expected [T, B, classes]; "
            "put Flatten() before the last Linear"
        )
    return READOUTS[readout](y)


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


def model_scores(model: torch.nn.Module, x: Tensor, readout: str, where: str) -> Tensor:
    """Run a model on x [T, B, *shape] and make class scores [B, classes] of its output.

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
    return scores(y, readout)
