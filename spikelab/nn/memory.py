"""Tensors in memory that is used again; see `spikelab.memory`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelab.memory import SMALLEST, take

__all__ = ["empty"]

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.uint8: np.uint8}


def empty(shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool = False) -> Tensor:
    """Dense CPU tensor with undefined values.

    A tensor of `SMALLEST` bytes or more cannot be made larger in place (`resize_`).

    Args:
        shape: of the tensor.
        dtype: of the tensor.
        channels_last: the third axis from the end lies innermost in memory, as in images `[..., C, H, W]`.
    """
    size = math.prod(shape) * dtype.itemsize
    inner = (*shape[:-3], *shape[-2:], shape[-3]) if channels_last else shape
    if size < SMALLEST or dtype not in _NUMPY:
        if not channels_last:
            return torch.empty(shape, dtype=dtype)
        laid = torch.empty(inner, device="meta")
        return torch.empty_strided(shape, laid.movedim(-1, -3).stride(), dtype=dtype)
    # It has the tensor's shape and dtype already, because autograd treats a view of a tensor unlike a tensor.
    lent: Any = take(size, huge=True).lend(size).view(_NUMPY[dtype]).reshape(inner)
    return torch.from_numpy(np.moveaxis(lent, -1, -3) if channels_last else lent)
