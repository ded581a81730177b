"""What kernels make of a counter of 32 bits that wraps: each time lies where it is nearest to the time before it."""

from __future__ import annotations

from typing import Any, Final

from spikelab.events.compiled import inlined

__all__ = ["NEAR", "RANGE", "unwrapped"]

RANGE: Final = 1 << 32
"""Time after which the counter starts again [us]."""
NEAR: Final = RANGE // 64
"""How near to a wrap the times before and behind a step must be, for the step to lead back over the wrap [us]."""
_HALF = RANGE // 2


@inlined
def unwrapped(low: Any, epoch: Any, seen: Any) -> Any:
    """Time [us] of a counter: `RANGE` or more above `epoch` means that it has wrapped once more.

    A step back by more than half of the range is a wrap. A step ahead by more than that is a pause, unless it starts
    just behind a wrap and ends just before one: then it leads back over the wrap, and events are out of order.

    Args:
        low: the counter.
        epoch: what the wraps until now have added.
        seen: the time before.
    """
    t = epoch + low
    if t < seen - _HALF:
        t += RANGE
    elif t > seen + _HALF and epoch > 0 and low >= RANGE - NEAR and seen < epoch + NEAR:
        t -= RANGE
    return t
