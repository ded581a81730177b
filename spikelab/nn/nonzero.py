"""Where [rows, inputs] is not zero: one bit a value, found in one pass at about the speed of reading.

A list of indices would have to be sized first and filled after, which reads the values twice. Bits
have a fixed place: 64 flags are compared and stored as bytes, eight of them are squeezed into a byte
by one multiplication, and a product takes the indices out of the words of its row, in order, when it
needs them. The bits are 1/32 of the float32 values and serve the weight gradient too, so that
autograd need not keep spikes as numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from spikelab.neurons.threads import usable

__all__ = ["BLOCK", "JIT", "NonZero", "compiled", "find", "positions"]

JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
"""How kernels are compiled: no multiply-add fusion and no reordering, so that sums have the reference's bits."""
BLOCK = 256
"""Rows that one task packs, and rows of the output gradient that stay in the second cache (256 KB at 256 outputs)."""

_SAMPLE = 64
"""Rows looked at first, so that dense input costs little."""
_SQUEEZE = np.uint64(0x0102040810204080)
"""Times a word of eight bytes 0 or 1: they become the bits of the highest byte, in order."""
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""Its 64 windows of 6 bits all differ, so a multiple by a power of two tells the power."""
_PLACE = np.zeros(64, np.int64)
for _k in range(64):
    _PLACE[((int(_DE_BRUIJN) << _k) & (2**64 - 1)) >> 58] = _k


class NonZero(NamedTuple):
    """The values that are not zero.

    Args:
        bits: [rows, W] words of 64 inputs each, the first in the lowest bit.
        counts: [blocks] non-zero values in each `BLOCK` rows.
        binary: all of them are 1.
        inputs: values in a row.
    """

    bits: NDArray[np.uint64]
    counts: NDArray[np.int64]
    binary: bool
    inputs: int


def compiled(function: Any) -> tuple[Any, Any]:
    """A kernel with `prange` as `(serial, parallel)`."""
    return njit(**JIT)(function), njit(parallel=True, **JIT)(function)


@njit(**JIT)
def _tally(x: Any, every: int) -> Any:
    """Non-zero values in every n-th row of x [rows, inputs]."""
    total: Any = 0
    for r in range(0, x.shape[0], every):
        row = x[r]
        n = np.int32(0)
        for i in range(row.size):
            n += np.int32(row[i] != 0)
        total += n
    return total


@njit(**JIT)
def _flag(row: Any, flags: Any) -> Any:
    """One byte a value; how many are 1."""
    n = np.int32(0)
    for i in range(row.size):
        flags[i] = row[i] != 0
        n += np.int32(row[i] == 1)
    return n


@njit(**JIT)
def _squeeze(flags: Any, line: Any) -> Any:
    """Eight bytes to one; how many are set."""
    n = np.uint64(0)
    for i in range(line.size):
        byte = (flags[i] * _SQUEEZE) >> np.uint64(56)
        line[i] = byte
        n += (flags[i] * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return n


@njit(**JIT)
def _pack_row(row: Any, flags: Any, line: Any) -> Any:
    """The bits of a row into `line`, by way of `flags`, which has 64 bytes for each of its words.

    Returns:
        How many values are 1, and how many are not 0.
    """
    ones = _flag(row, flags)
    return ones, np.int64(_squeeze(flags.view(np.uint64), line))


def _pack(x: Any, bits: Any, counts: Any, ones: Any) -> None:
    for b in prange(counts.size):
        flags = np.zeros(8 * bits.shape[1], np.uint8)
        for r in range(b * BLOCK, min((b + 1) * BLOCK, x.shape[0])):
            one, n = _pack_row(x[r], flags, bits[r])
            ones[b] += one
            counts[b] += n


_PACK = compiled(_pack)


@njit(**JIT)
def positions(words: Any, at: Any) -> Any:
    """Indices of the bits that are set in a row, ascending, into `at`; how many."""
    n = 0
    for w in range(words.size):
        word = words[w]
        while word != 0:
            lowest = word & (~word + np.uint64(1))
            at[n] = 64 * w + _PLACE[(lowest * _DE_BRUIJN) >> np.uint64(58)]
            n += 1
            word ^= lowest
    return n


def find(x: NDArray[Any], most: float, threads: int) -> NonZero | None:
    """Find the non-zero values of x [rows, inputs], contiguous; None where their share exceeds `most`.

    A NaN is not zero. Dense input is recognised by a few rows.

    Args:
        x: [rows, inputs] values.
        most: share of non-zeros up to which they are wanted.
        threads: most threads to use.
    """
    rows, inputs = x.shape
    if most < 1:
        every = max(rows // _SAMPLE, 1)
        sampled = len(range(0, rows, every)) * inputs
        if _tally(x, every) > 2 * most * sampled:
            return None
    words, blocks = -(-inputs // 64), -(-rows // BLOCK)
    bits = np.empty((rows, words), np.uint64)
    counts, ones = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
    _PACK[usable(threads, x.size // 16) > 1](x, bits.view(np.uint8), counts, ones)
    total = int(counts.sum())
    if total > most * x.size:
        return None
    return NonZero(bits, counts, total == int(ones.sum()), inputs)
