"""Memory for large results, used again.

Fresh memory is expensive: the system hands it out in pages of 4 KB and clears each when it is first
touched, which for a result of 26 MB takes longer than the kernel that fills it (7.5 against 2.8 ms),
and torch gives it back to the system with every tensor. So the memory of a large result is kept when
its tensor is gone, and the next result of that size takes it; at most `MOST` bytes lie idle.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["empty"]

SMALLEST = 1 << 20
"""Bytes from which memory is kept."""
MOST = 1 << 29
"""Bytes that are kept idle at most."""

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.uint8: np.uint8}
_idle: dict[int, list[NDArray[np.uint8]]] = {}
"""Kept memory by size. Single operations on it are atomic, so threads and finalisers need no lock."""


def _keep(memory: NDArray[np.uint8]) -> None:
    _idle.setdefault(memory.size, []).append(memory)
    excess = sum(size * len(kept) for size, kept in list(_idle.items())) - MOST
    for size, kept in list(_idle.items()):
        while excess > 0 and kept:
            with contextlib.suppress(IndexError):  # another thread was faster
                kept.pop(0)
            excess -= size


def _take(size: int) -> NDArray[np.uint8]:
    try:
        return _idle[size].pop()
    except (KeyError, IndexError):
        return np.empty(size, np.uint8)


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
    memory = _take(size)
    # An array of its own, which lives as long as the tensor's storage. It has the tensor's shape and dtype
    # already, because autograd treats a view of a tensor unlike a tensor.
    lent: Any = memory.view(_NUMPY[dtype]).reshape(inner)
    lent = np.moveaxis(lent, -1, -3) if channels_last else lent
    weakref.finalize(lent, _keep, memory).atexit = False
    return torch.from_numpy(lent)
