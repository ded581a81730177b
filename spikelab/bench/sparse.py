"""`spikelab bench sparse`: products by the non-zeros against torch's dense ones, over the share of non-zeros.

The share at which the ratio passes 1 is what `spikelab.nn.sparse.sparse_up_to` must stay below.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from spikelab import nn
from spikelab.bench.lines import Line
from spikelab.bench.timing import Reference, Settings, Step, compare
from spikelab.nn.sparse import sparse_up_to

__all__ = ["ACTIVITIES", "SIZES", "cases"]

ACTIVITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of inputs that are 1."""
SIZES = ((6400, 700, 256), (6400, 256, 256), (6400, 256, 64), (1024, 1024, 1024))
"""Rows, inputs and outputs of the products; the first are those of a step on spiking speech (T = 100, B = 64)."""


def cases(
    settings: Settings,
    sizes: tuple[tuple[int, int, int], ...] = SIZES,
    activities: tuple[float, ...] = ACTIVITIES,
) -> Iterator[Line]:
    """Time `nn.Linear(sparse=True)`, forward and weight gradient.

    Args:
        settings: rounds, threads, choice.
        sizes: rows, inputs and outputs of each product.
        activities: shares of inputs that are 1.
    """
    with settings.in_force():
        for rows, inputs, outputs in sizes:
            for activity in activities:
                yield from _layer(rows, inputs, outputs, activity, settings)


def _passes(layer: torch.nn.Module, x: torch.Tensor, g: torch.Tensor) -> Step:
    def run() -> None:
        layer.zero_grad()
        layer(x).backward(g)

    return run


def _layer(rows: int, inputs: int, outputs: int, activity: float, settings: Settings) -> Iterator[Line]:
    x = (torch.rand(rows, inputs, generator=torch.Generator().manual_seed(0)) < activity).float()
    g = torch.randn(rows, outputs, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Linear(inputs, outputs, bias=False, sparse=True), torch.nn.Linear(inputs, outputs, bias=False)
    counts = {"rows": rows, "inputs": inputs, "outputs": outputs, "activity": activity}
    counts["chosen"] = activity <= sparse_up_to(rows, outputs)
    case = f"Linear {rows} x {inputs} -> {outputs}, {activity:.0%} ones, forward+backward"
    dense = Reference("torch.nn.Linear", lambda: _passes(theirs, x, g))
    return compare(case, lambda: _passes(ours, x, g), [dense], counts, settings)
