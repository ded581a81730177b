"""`spikelab bench sparse`: products by the non-zeros against torch's dense ones, over the share of non-zeros.

The share at which the ratio passes 1 is what `spikelab.nn.sparse.sparse_up_to` must stay below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from spikelab import nn
from spikelab.bench.timing import Case, alternate
from spikelab.nn.sparse import sparse_up_to

__all__ = ["ACTIVITIES", "SIZES", "cases"]

ACTIVITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of inputs that are 1."""
SIZES = ((6400, 700, 256), (6400, 256, 256), (6400, 256, 64), (1024, 1024, 1024))
"""Rows, inputs and outputs of the products; the first are those of a step on spiking speech (T = 100, B = 64)."""


def cases(
    sizes: tuple[tuple[int, int, int], ...] = SIZES,
    activities: tuple[float, ...] = ACTIVITIES,
    threads: int = 2,
    rounds: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Case]:
    """Time `nn.Linear(sparse=True)`, forward and weight gradient.

    Args:
        sizes: rows, inputs and outputs of each product.
        activities: shares of inputs that are 1.
        threads: of torch and of the kernels.
        rounds: per case.
        clock: [s] what tells the time; `time.process_time` on a machine that others use too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for rows, inputs, outputs in sizes:
            for activity in activities:
                yield _layer(rows, inputs, outputs, activity, threads, rounds, clock)
    finally:
        torch.set_num_threads(before)


def _spikes(shape: tuple[int, ...], activity: float) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < activity).float()


def _passes(layer: torch.nn.Module, x: torch.Tensor, g: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        layer.zero_grad()
        layer(x).backward(g)

    return run


def _layer(rows: int, inputs: int, outputs: int, activity: float, threads: int, rounds: int, clock: Any) -> Case:
    x = _spikes((rows, inputs), activity)
    g = torch.randn(rows, outputs, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Linear(inputs, outputs, bias=False, sparse=True), torch.nn.Linear(inputs, outputs, bias=False)

    counts = {"rows": rows, "inputs": inputs, "outputs": outputs, "activity": activity, "threads": threads}
    counts["chosen"] = activity <= sparse_up_to(rows, outputs)
    case = f"Linear {rows} x {inputs} -> {outputs}, {activity:.0%} ones, forward+backward"
    return alternate(
        case, "torch.nn.Linear", _passes(ours, x, g), _passes(theirs, x, g), counts, rounds=rounds, clock=clock
    )
