"""Spikes kept as bits between forward and backward pass: 1 instead of 32 bits each.

A layer behind a neuron keeps that neuron's output for the gradient of its weights. It holds zeros and
ones only, so that a bit each is enough. Tensors with any other value are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from spikelab.neurons.threads import usable
from spikelab.nn.memory import empty

__all__ = ["spikes_as_bits"]

SMALLEST = 1024
"""Numbers from which a tensor is packed."""
CHUNK = 1 << 12
"""Bytes that one thread packs in a row."""


def _pack(x: Any, bits: Any, parts: int) -> bool:
    """Set the bits; False, with bits undefined, if a number is neither 0 nor 1."""
    whole = x.size // 8
    chunks = (whole + CHUNK - 1) // CHUNK
    other = np.zeros(chunks + 1, np.uint8)
    for part in prange(parts):
        for chunk in range(chunks * part // parts, chunks * (part + 1) // parts):
            bad = False
            for k in range(chunk * CHUNK, min((chunk + 1) * CHUNK, whole)):
                byte = np.uint8(0)
                for j in range(8):
                    v = x[8 * k + j]
                    byte |= np.uint8(np.uint8(v == 1) << np.uint8(j))
                    bad |= (v != 0) & (v != 1)
                bits[k] = byte
            if bad:
                other[chunk] = 1
                break
    if x.size % 8:
        bits[whole] = 0
        for j in range(8 * whole, x.size):
            if x[j] != 0 and x[j] != 1:
                other[chunks] = 1
            bits[whole] |= np.uint8(np.uint8(x[j] == 1) << np.uint8(j % 8))
    return not other.any()


def _unpack(bits: Any, x: Any, parts: int) -> None:
    whole = x.size // 8
    for part in prange(parts):
        for k in range(whole * part // parts, whole * (part + 1) // parts):
            byte = bits[k]
            for j in range(8):
                x[8 * k + j] = (byte >> np.uint8(j)) & np.uint8(1)
    for j in range(8 * whole, x.size):
        x[j] = (bits[whole] >> np.uint8(j % 8)) & np.uint8(1)


_PACK = [njit(nogil=True, cache=True, parallel=p)(_pack) for p in (False, True)]
_UNPACK = [njit(nogil=True, cache=True, parallel=p)(_unpack) for p in (False, True)]


class _Bits(NamedTuple):
    """A packed tensor: the bits in the order of memory, and what it takes to lay them out again."""

    bits: Tensor
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


def _in_memory_order(x: Tensor) -> Tensor | None:
    """The numbers as they lie in memory, or None if there are gaps between them."""
    if x.is_contiguous():
        return x.view(-1)
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return None


def _packed(x: Tensor) -> Tensor | _Bits:
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64) or x.numel() < SMALLEST:
        return x
    flat = _in_memory_order(x.detach())
    if flat is None or flat[0] not in (0, 1):
        return x
    bits = torch.empty((x.numel() + 7) // 8, dtype=torch.uint8)
    parts = usable(torch.get_num_threads(), x.numel())
    if not _PACK[parts > 1](flat.numpy(), bits.numpy(), parts):
        return x
    return _Bits(bits, tuple(x.shape), x.stride(), x.dtype)


def _unpacked(kept: Tensor | _Bits) -> Tensor:
    if isinstance(kept, Tensor):
        return kept
    size = int(np.prod(kept.shape))
    x = empty((size,), kept.dtype)
    parts = usable(torch.get_num_threads(), size)
    _UNPACK[parts > 1](kept.bits.numpy(), x.numpy(), parts)
    return x.as_strided(kept.shape, kept.stride)


@contextmanager
def spikes_as_bits() -> Iterator[None]:
    """Keep spikes as bits for backward passes whose forward pass runs inside; the numbers are the same.

    It works for every layer, torch's own too, on CPU tensors; it costs a pass over the spikes each way.
    With `recompute=True` in the neuron layers nothing else is kept but their input currents.

    Example:
        >>> from spikelab import nn
        >>> model = nn.Sequential(nn.Linear(64, 64), nn.LIF(dt="1 ms"), nn.Linear(64, 2))
        >>> x = torch.rand(20, 8, 64)
        >>> with spikes_as_bits():
        ...     y, _ = model(x)
        >>> y.sum().backward()
    """
    with torch.autograd.graph.saved_tensors_hooks(_packed, _unpacked):
        yield
