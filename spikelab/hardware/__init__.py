"""Back-ends, chips, files and energy: what a network runs on or is written for."""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "CostTable": "costing",
    "EventDriven": "event_driven",
    "Float32": "spikelab.clocked",
    "Target": "target",
    "ann_energy": "accounting",
    "cost_table": "costing",
    "energy": "accounting",
}

__all__ = ["CostTable", "EventDriven", "Float32", "Target", "ann_energy", "cost_table", "energy"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        where = _WHERE[name]
        return getattr(importlib.import_module(where if "." in where else f"spikelab.hardware.{where}"), name)
    if name in ("accounting", "costing", "event_driven", "loss", "nir", "target"):
        return importlib.import_module(f"spikelab.hardware.{name}")
    raise AttributeError(f"module 'spikelab.hardware' has no attribute {name!r}")
