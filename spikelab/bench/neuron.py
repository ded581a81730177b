"""`spikelab bench neuron`: a neuron layer, forward and backward, against a plain torch loop and the memory bound.

T = 100 steps of 64 x 1024 neurons, float32: 6.55 million decisions a pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from spikelab import nn
from spikelab.bench.timing import Case, alternate

__all__ = ["cases"]


class _SuperSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(d)
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (d,) = ctx.saved_tensors
        slope: torch.Tensor = 1.0 / (10.0 * d.abs() + 1.0).square()
        return g * slope


def _spike(d: torch.Tensor) -> torch.Tensor:
    z: torch.Tensor = _SuperSpike.apply(d)  # type: ignore[no-untyped-call]
    return z


def _plain_lif(x: torch.Tensor, a: float) -> torch.Tensor:
    """The loop that a user writes: soft reset, detached, over `unbind`."""
    v, out = torch.zeros_like(x[0]), []
    for u in x.unbind(0):
        v = a * v + u
        z = _spike(v - 1.0)
        v = v - z.detach()
        out.append(z)
    return torch.stack(out)


def _plain_cuba(x: torch.Tensor, b: float, a: float) -> torch.Tensor:
    i, v, out = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for u in x.unbind(0):
        i = b * i + u
        v = a * v + i
        z = _spike(v - 1.0)
        v = v - z.detach()
        out.append(z)
    return torch.stack(out)


def cases(
    steps: int = 100, samples: int = 64, neurons: int = 1024, threads: int = 2, rounds: int = 15
) -> Iterator[Case]:
    """Time the layers.

    Args:
        steps: T.
        samples: B.
        neurons: N.
        threads: of torch and of the kernels.
        rounds: per case.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield from _cases(steps, samples, neurons, threads, rounds)
    finally:
        torch.set_num_threads(before)


def _cases(steps: int, samples: int, neurons: int, threads: int, rounds: int) -> Iterator[Case]:
    generator = torch.Generator().manual_seed(0)
    x = torch.empty(steps, samples, neurons).normal_(0.12, 0.35, generator=generator).requires_grad_(True)
    g = torch.randn(steps, samples, neurons, generator=generator)
    counts = {"steps": steps, "samples": samples, "neurons": neurons, "threads": threads}

    def passes(layer: Any) -> Any:
        def run() -> None:
            x.grad = None
            y = layer(x)
            (y[0] if isinstance(y, tuple) else y).backward(g)

        return run

    lif = nn.LIF(tau_mem="10 ms", reset="soft", dt="1 ms", surrogate=nn.SuperSpike(10.0))
    cuba = nn.CubaLIF(tau_syn="5 ms", tau_mem="10 ms", reset="soft", dt="1 ms", surrogate=nn.SuperSpike(10.0))
    a, b = float(np.exp(-0.1)), float(np.exp(-0.2))
    loop = passes(lambda x: _plain_lif(x, a))
    yield alternate("LIF forward+backward", "plain torch loop over unbind", passes(lif), loop, counts, rounds=rounds)
    loop = passes(lambda x: _plain_cuba(x, b, a))
    yield alternate(
        "CubaLIF forward+backward", "plain torch loop over unbind", passes(cuba), loop, counts, rounds=rounds
    )
    learnt = nn.LIF(tau_mem="10 ms", reset="soft", dt="1 ms", learn=("tau_mem", "v_threshold"), shape=neurons)
    loop = passes(lambda x: _plain_lif(x, a))
    yield alternate(
        "LIF, learnt per neuron, forward+backward",
        "plain torch loop over unbind, nothing learnt",
        passes(learnt),
        loop,
        counts,
        rounds=rounds,
    )
    source, target = torch.ones(3, steps * samples * neurons), torch.empty(3, steps * samples * neurons)
    bound = lambda: target.copy_(source)  # noqa: E731  6 streams: as many bytes as x, z, and in the backward x, gz, gx, and one spare
    yield alternate(
        "LIF forward+backward", "memory bound (6 streams at copy speed)", passes(lif), bound, counts, rounds=rounds
    )
