"""Spread active sources over their targets, in the order of the sources.

One kernel per pattern: dense rows, convolution windows, and rows of a sparse matrix. Each adds
`value * weight` to an accumulator for every active source in turn, so the sum at a target is the
float32 sum in source order, whoever calls it and however many threads run: a row of the batch
belongs to one thread.

The accumulator of a convolution keeps the channels innermost, where the weights lie side by side;
`layout` tells where each output stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from spikelab.neurons.threads import usable

__all__ = ["Active", "Conv", "CsrRows", "DenseRows", "Scatter", "active", "apply"]

_JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


class Active(NamedTuple):
    """The values that are not zero, row by row, sorted by index within a row.

    Row r holds `index[start[r]:start[r + 1]]` with `value` beside it.
    """

    start: NDArray[np.int64]
    index: NDArray[np.int32]  # type: ignore[assignment]
    value: NDArray[np.float32]


@njit(**_JIT)
def _count_active(x: Any, start: Any) -> None:
    total = 0
    for r in range(x.shape[0]):
        start[r] = total
        n = 0
        for i in range(x.shape[1]):
            n += x[r, i] != 0
        total += n
    start[x.shape[0]] = total


@njit(**_JIT)
def _fill_active(x: Any, start: Any, index: Any, value: Any) -> None:
    for r in range(x.shape[0]):
        k = start[r]
        for i in range(x.shape[1]):
            if x[r, i] != 0:
                index[k] = i
                value[k] = x[r, i]
                k += 1


def active(x: NDArray[Any]) -> Active:
    """Find the non-zero values of [rows, n]."""
    x = np.ascontiguousarray(x)
    start = np.empty(len(x) + 1, np.int64)
    _count_active(x, start)
    index, value = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    _fill_active(x, start, index, value)
    return Active(start, index, value)


def _dense(start: Any, index: Any, value: Any, weight: Any, acc: Any, touched: Any, mark: bool) -> None:
    for r in prange(acc.shape[0]):
        row = acc[r]
        for k in range(start[r], start[r + 1]):
            v = value[k]
            w = weight[index[k]]
            for j in range(row.shape[0]):
                row[j] += v * w[j]
        if mark and start[r + 1] > start[r]:
            touched[r, :] = 1


def _csr(
    start: Any, index: Any, value: Any, indptr: Any, indices: Any, weight: Any, acc: Any, touched: Any, mark: bool
) -> None:
    for r in prange(acc.shape[0]):
        row = acc[r]
        for k in range(start[r], start[r + 1]):
            v = value[k]
            i = index[k]
            for q in range(indptr[i], indptr[i + 1]):
                row[indices[q]] += v * weight[q]
                if mark:
                    touched[r, indices[q]] = 1


def _conv(start: Any, index: Any, value: Any, weight: Any, g: Any, acc: Any, touched: Any, mark: bool) -> None:
    # g: channels per group in, H, W, Ho, Wo, stride, padding, dilation (each y, x)
    cig, h, w, ho, wo, sy, sx, py, px, dy, dx = g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10]
    kh, kw, cog = weight.shape[1], weight.shape[2], weight.shape[3]
    co = acc.shape[1] // (ho * wo)
    for r in prange(acc.shape[0]):
        row = acc[r]
        for k in range(start[r], start[r + 1]):
            v = value[k]
            ci, at = divmod(index[k], h * w)
            y, x = divmod(at, w)
            first = (ci // cig) * cog
            for ky in range(kh):
                oy, rest = divmod(y + py - ky * dy, sy)
                if rest != 0 or oy < 0 or oy >= ho:
                    continue
                for kx in range(kw):
                    ox, rest = divmod(x + px - kx * dx, sx)
                    if rest != 0 or ox < 0 or ox >= wo:
                        continue
                    to = (oy * wo + ox) * co + first
                    line = weight[ci, ky, kx]
                    part = row[to : to + cog]
                    for c in range(cog):
                        part[c] += v * line[c]
                    if mark:
                        touched[r, to : to + cog] = 1


_NONE = np.zeros((1, 1), np.uint8)
_KERNELS = {
    name: (njit(**_JIT)(function), njit(parallel=True, **_JIT)(function))
    for name, function in (("dense", _dense), ("csr", _csr), ("conv", _conv))
}


def _kernel(name: str, a: Active, rows: int, reach: float, threads: int) -> Any:
    """The serial kernel, or the parallel one for many rows with much to do."""
    import numba

    # An addition takes about 1/32 of the time of a neuron's step, for which `usable` is made.
    work = int((a.start[-1] - a.start[0]) * reach) // 32 if rows > 1 else 0
    return _KERNELS[name][usable(threads or numba.config.NUMBA_NUM_THREADS, work) > 1]


@dataclass(frozen=True, eq=False)
class Scatter:
    """Base of the three patterns.

    Args:
        outputs: number of targets n.
        layout: [n] place of each output in the accumulator; None where they are in order.
        divisor: the sum is divided by this (average pooling).
        bias: [n] added after that, in order of the outputs; None for no bias.
    """

    outputs: int
    layout: NDArray[np.int32] | None
    divisor: float
    bias: NDArray[np.float32] | None

    def add(
        self, a: Active, acc: NDArray[np.float32], touched: NDArray[np.uint8] | None = None, threads: int = 0
    ) -> None:
        """Add the active sources of every row to `acc` [rows, n].

        Args:
            a: the active sources.
            acc: [rows, n] accumulator in the order of `layout`, added to.
            touched: [rows, n] set to 1 where something was added, if given.
            threads: most threads to use; 0 means all.
        """
        raise NotImplementedError

    def finish(self, acc: NDArray[np.float32]) -> NDArray[np.float32]:
        """[rows, n] accumulator to outputs: put in order, divide, add the bias."""
        y = acc if self.layout is None else acc[:, self.layout]
        if self.divisor != 1:
            y = y / np.float32(self.divisor)
        return y if self.bias is None else y + self.bias

    def row(self, source: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Targets and non-zero weights of one source, in order of the targets."""
        acc = np.zeros((1, self.outputs), np.float32)
        one = Active(np.array([0, 1]), np.array([source], np.int32), np.ones(1, np.float32))
        self.add(one, acc)
        y = acc[0] if self.layout is None else acc[0][self.layout]
        y = y / np.float32(self.divisor)
        at = np.flatnonzero(y).astype(np.int32)
        return at, y[at]


@dataclass(frozen=True, eq=False)
class DenseRows(Scatter):
    """Every source reaches every target: weight [n_in, n_out]."""

    weight: NDArray[np.float32]

    def add(
        self, a: Active, acc: NDArray[np.float32], touched: NDArray[np.uint8] | None = None, threads: int = 0
    ) -> None:
        """See `Scatter.add`."""
        run = _kernel("dense", a, len(acc), self.outputs, threads)
        run(*a, self.weight, acc, _NONE if touched is None else touched, touched is not None)


@dataclass(frozen=True, eq=False)
class CsrRows(Scatter):
    """Rows of a sparse matrix by source."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weight: NDArray[np.float32]

    def add(
        self, a: Active, acc: NDArray[np.float32], touched: NDArray[np.uint8] | None = None, threads: int = 0
    ) -> None:
        """See `Scatter.add`."""
        run = _kernel("csr", a, len(acc), len(self.weight) / (len(self.indptr) - 1), threads)
        mark = touched is not None
        run(*a, self.indptr, self.indices, self.weight, acc, _NONE if touched is None else touched, mark)

    def row(self, source: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Targets and weights of one source, as they are stored."""
        at = slice(self.indptr[source], self.indptr[source + 1])
        return self.indices[at], self.weight[at]


@dataclass(frozen=True, eq=False)
class Conv(Scatter):
    """Windows of a convolution: weight [n_in channels, kh, kw, channels per group out]."""

    weight: NDArray[np.float32]
    geometry: NDArray[np.int64]

    def add(
        self, a: Active, acc: NDArray[np.float32], touched: NDArray[np.uint8] | None = None, threads: int = 0
    ) -> None:
        """See `Scatter.add`."""
        run = _kernel("conv", a, len(acc), self.weight[0].size, threads)
        mark = touched is not None
        run(*a, self.weight, self.geometry, acc, _NONE if touched is None else touched, mark)


def apply(scatter: Scatter, x: NDArray[Any], out_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Apply a linear op to [rows, *in_shape]: float32 sums in source order, zeros skipped."""
    rows = len(x)
    flat = x.reshape(rows, -1) if rows else np.zeros((0, math.prod(x.shape[1:])), np.float32)
    acc = np.zeros((rows, scatter.outputs), np.float32)
    scatter.add(active(flat), acc)
    return scatter.finish(acc).reshape(rows, *out_shape)
