"""What the kernels of EVT2 and DAT share."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled

__all__ = ["word32"]


@compiled
def word32(data: Any, place: int) -> Any:
    """Four bytes, little-endian, as int64."""
    low = np.int64(data[place]) | np.int64(data[place + 1]) << 8
    return low | np.int64(data[place + 2]) << 16 | np.int64(data[place + 3]) << 24
