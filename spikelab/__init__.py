"""spikelab: spiking networks from a real recording to spikes, joules and an exported file.

Everything is loaded on first use: `import spikelab` loads neither torch, norse nor tonic.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

_WHERE = {
    "Events": "spikelab.events",
    "Network": "spikelab.network",
    "Population": "spikelab.network",
    "Projection": "spikelab.network",
    "dataset": "spikelab.events.dataset",
    "fit": "spikelab.train",
    "read": "spikelab.hardware.nir",
    "run": "spikelab.clocked",
    "write": "spikelab.hardware.nir",
}
_MODULES = ("events", "hardware", "neurons", "nn", "ops", "report", "testing", "train", "units")

__all__ = [
    "Events",
    "Network",
    "Population",
    "Projection",
    "__version__",
    "dataset",
    "fit",
    "read",
    "run",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"spikelab.{name}")
    raise AttributeError(f"module 'spikelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
