"""From outputs over time to class scores and a loss."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from spikelab.errors import ShapeError, unknown_name

__all__ = ["READOUTS", "scores"]

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
