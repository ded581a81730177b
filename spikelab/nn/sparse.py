"""Products of sparse rows and dense weights, on arrays: y = x W^T and its weight gradient.

The product adds whole rows of the transposed weights, one for each input that is not zero, in
the order of the inputs, starting from 0, the bias last: the sums of the float32 reference, to the
bit. Four rows are added in one sweep, so that the sum is loaded and stored once for four.

The weight gradient adds rows of the output gradient to the row of an input, in the order of the
samples. They are taken in blocks that stay in the second cache, and a thread owns a range of
inputs: no atomics, and the same bits for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from spikelab.neurons.threads import usable
from spikelab.nn.nonzero import BLOCK, JIT, NonZero, compiled, positions

__all__ = ["product", "sparse_up_to", "weight_gradient"]

Array = NDArray[Any]

_ROWS = 32
"""Rows of a product that one task computes."""
_PER_THREAD = 32
"""Additions that take about as long as one element of a neuron's step, for which `usable` is made."""


def sparse_up_to(rows: int, outputs: int) -> float:
    """Share of non-zero inputs up to which product and weight gradient are faster by the non-zeros.

    0.25 (1 - 40 / outputs) (1 - 80 / rows): few outputs do not pay for finding the non-zeros, few rows not for
    transposing weights and gradient. It lies at or below what was measured, so that a wrong choice costs little.

    Share at which both take the same CPU time (one thread, float32, both products, 128 to 2,048 inputs, Zen 3 under
    other load; below it the gain grows: at 2 % and 256 outputs the non-zeros take 0.15 to 0.4 of the dense time):

    | rows | 32 outputs | 64 | 128 | 256 | 512 | 2,048 |
    |---|---|---|---|---|---|---|
    | 128 | - | 0-0.03 | 0.05-0.11 | 0.08-0.11 | 0.13 | - |
    | 512 | - | 0.08-0.13 | 0.15-0.19 | 0.22-0.23 | 0.24 | - |
    | 1,024 | 0-0.08 | 0.06-0.15 | 0.16-0.21 | 0.21-0.26 | 0.26-0.3 | 0.26-0.3 |
    | 6,400 | 0-0.02 | 0.11 | 0.23 | 0.27 | 0.3 | 0.3 |

    `spikelab bench sparse` measures it again.

    Args:
        rows: of the input, T * B.
        outputs: of the product.
    """
    return 0.25 * max(0.0, 1 - 40 / outputs) * max(0.0, 1 - 80 / rows)


@njit(**JIT)
def _add(row: Any, lines: Any, at: Any, first: int, last: int) -> None:
    """Add `lines[at[first:last]]` to a row, in that order."""
    k = first
    while k + 4 <= last:
        a, b, c, d = lines[at[k]], lines[at[k + 1]], lines[at[k + 2]], lines[at[k + 3]]
        for j in range(row.size):
            row[j] = row[j] + a[j] + b[j] + c[j] + d[j]
        k += 4
    while k < last:
        a = lines[at[k]]
        for j in range(row.size):
            row[j] += a[j]
        k += 1


@njit(**JIT)
def _add_scaled(row: Any, lines: Any, at: Any, value: Any, first: int, last: int) -> None:
    """Add `value[k] * lines[at[k]]` to a row, in that order."""
    k = first
    while k + 4 <= last:
        a, b, c, d = lines[at[k]], lines[at[k + 1]], lines[at[k + 2]], lines[at[k + 3]]
        p, q, s, t = value[k], value[k + 1], value[k + 2], value[k + 3]
        for j in range(row.size):
            row[j] = row[j] + p * a[j] + q * b[j] + s * c[j] + t * d[j]
        k += 4
    while k < last:
        a = lines[at[k]]
        p = value[k]
        for j in range(row.size):
            row[j] += p * a[j]
        k += 1


def _product(x: Any, bits: Any, binary: bool, weight: Any, bias: Any, y: Any) -> None:
    for b in prange(-(-y.shape[0] // _ROWS)):
        at = np.empty(64 * bits.shape[1], np.int64)
        value = np.empty(0 if binary else at.size, y.dtype)
        for r in range(b * _ROWS, min((b + 1) * _ROWS, y.shape[0])):
            row = y[r]
            row[:] = 0
            n = positions(bits[r], at)
            if binary:
                _add(row, weight, at, 0, n)
            else:
                for k in range(n):
                    value[k] = x[r, at[k]]
                _add_scaled(row, weight, at, value, 0, n)
            for j in range(bias.size):
                row[j] += bias[j]


_PRODUCT = compiled(_product)


def product(x: Array, found: NonZero, weight: Array, bias: Array, y: Array, threads: int) -> None:
    """y = x W^T + b, by the non-zero values of x.

    Args:
        x: [rows, inputs] values; not read where all non-zeros are 1.
        found: where x is not zero.
        weight: [inputs, outputs] transposed weights, contiguous.
        bias: [outputs], or empty.
        y: [rows, outputs] result, written.
        threads: most threads to use.
    """
    work = int(found.counts.sum()) * y.shape[1] // _PER_THREAD
    _PRODUCT[usable(threads, work) > 1](x, found.bits, found.binary, weight, bias, y)


def _columns(x: Any, bits: Any, counts: Any, binary: bool, start: Any, first: Any, rows: Any, value: Any) -> None:
    """The non-zeros of each block of rows, sorted by input: `rows[first[b, i]:first[b, i + 1]]` for input i."""
    for b in prange(start.size):
        bottom, top = b * BLOCK, min((b + 1) * BLOCK, bits.shape[0])
        at = np.empty(counts[b] + 1, np.int64)
        n = np.zeros(top - bottom + 1, np.int64)
        ends = first[b]
        ends[:] = 0
        for r in range(bottom, top):
            n[r - bottom + 1] = n[r - bottom] + positions(bits[r], at[n[r - bottom] :])
        for k in range(n[-1]):
            ends[at[k] + 1] += 1
        ends[0] = start[b]
        for i in range(1, ends.size):
            ends[i] += ends[i - 1]
        free = ends[:-1].copy()
        for r in range(bottom, top):
            for k in range(n[r - bottom], n[r - bottom + 1]):
                i = at[k]
                rows[free[i]] = r
                if not binary:
                    value[free[i]] = x[r, i]
                free[i] += 1


def _gradient(binary: bool, first: Any, rows: Any, value: Any, cuts: Any, g: Any, gw: Any) -> None:
    for c in prange(cuts.size - 1):
        gw[cuts[c] : cuts[c + 1]] = 0
        for b in range(first.shape[0]):
            for i in range(cuts[c], cuts[c + 1]):
                if binary:
                    _add(gw[i], g, rows, first[b, i], first[b, i + 1])
                else:
                    _add_scaled(gw[i], g, rows, value, first[b, i], first[b, i + 1])


_COLUMNS, _GRADIENT = compiled(_columns), compiled(_gradient)


def weight_gradient(x: Array, found: NonZero, g: Array, threads: int) -> Array:
    """g^T x transposed, [inputs, outputs], by the non-zero values of x.

    Args:
        x: [rows, inputs] values; not read where all non-zeros are 1.
        found: where x is not zero.
        g: [rows, outputs] output gradient, contiguous.
        threads: most threads to use.
    """
    total = int(found.counts.sum())
    start = np.cumsum(found.counts) - found.counts
    first = np.empty((len(start), found.inputs + 1), np.int64)
    rows, value = np.empty(total, np.int64), np.empty(0 if found.binary else total, g.dtype)
    _COLUMNS[usable(threads, total) > 1](x, found.bits, found.counts, found.binary, start, first, rows, value)
    used = usable(threads, total * g.shape[1] // _PER_THREAD)
    ends = (first[:, 1:] - first[:, :1]).sum(0)  # non-zeros up to each input
    cuts = np.searchsorted(ends, np.arange(used + 1) * (total / used)).astype(np.int64)
    cuts[0], cuts[-1] = 0, found.inputs
    gw = np.empty((found.inputs, g.shape[1]), g.dtype)
    _GRADIENT[used > 1](found.binary, first, rows, value, cuts, g, gw)
    return gw
