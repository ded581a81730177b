"""The libraries that we measure ourselves against: one module each, one function per task, in the fastest way we know.

Each module imports its library in its functions only, so that a library that is not installed costs nothing. What
they mean by a leaky neuron differs (order of reset and decay, decay of the reset, surrogate); each does its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikelab.bench.tasks import Task
    from spikelab.bench.timing import Reference, Settings

__all__ = ["PEERS", "peers"]

PEERS = {
    "norse": ("norse",),
    "snntorch": ("snntorch",),
    "spikingjelly": ("spikingjelly",),
    "sinabs": ("sinabs",),
    "spyx": ("spyx", "jax", "flax", "optax"),
}
"""Each peer with the distributions that decide its speed."""


def peers(task: Task, settings: Settings) -> list[Reference]:
    """One reference per peer for a task.

    Example:
        >>> from spikelab.bench.tasks import NeuronTask
        >>> from spikelab.bench.timing import Settings
        >>> [r.name for r in peers(NeuronTask.sized(2, 2, 2), Settings())]
        ['norse', 'snntorch', 'spikingjelly', 'sinabs', 'spyx']
    """
    # Here, since these load torch, and the memory of event readers is measured without it.
    from spikelab.bench.tasks import ConvTask, NeuronTask
    from spikelab.bench.timing import Reference

    kind = "neuron" if isinstance(task, NeuronTask) else "conv" if isinstance(task, ConvTask) else "shd"

    def reference(name: str, needs: tuple[str, ...]) -> Reference:
        module = importlib.import_module(f"spikelab.bench.peers.{name}")
        return Reference(name, lambda: getattr(module, kind)(task, settings), needs)

    return [reference(name, needs) for name, needs in PEERS.items()]
