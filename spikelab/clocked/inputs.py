"""From what a user passes to a run to float32 inputs by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import to_array
from spikelab.errors import ShapeError, unknown_name
from spikelab.network import Network

__all__ = ["as_inputs"]


def as_inputs(net: Network, x: Any) -> dict[str, NDArray[np.float32]]:
    """Inputs by name as float32 [T, B, *shape].

    Args:
        net: the network.
        x: array or tensor [T, B, *shape], `Events` (binned by `dt`, one sample), or a mapping of these.

    Raises:
        ShapeError: an input is missing, unknown, empty, of the wrong shape or dtype, or holds NaN.
    """
    given = dict(x) if isinstance(x, Mapping) else {net.inputs[0]: x}
    if not isinstance(x, Mapping) and len(net.inputs) > 1:
        raise ShapeError(f"input: the network has the inputs {net.inputs}; pass a mapping by name")
    for name in given:
        if name not in net.inputs:
            raise unknown_name("input: population", name, net.inputs)
    result: dict[str, NDArray[np.float32]] = {}
    for name in net.inputs:
        if name not in given:
            raise ShapeError(f"input {name}: missing; pass a mapping with {net.inputs}")
        result[name] = _as_input(name, given[name], net.populations[name].shape, net.dt)
    lengths = {n: v.shape[:2] for n, v in result.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"inputs of (T, B) {lengths}; all must have the same steps and samples")
    return result


def _as_input(name: str, x: Any, shape: tuple[int, ...], dt: Any) -> NDArray[np.float32]:
    if not isinstance(x, np.ndarray) and not hasattr(x, "detach"):
        from spikelab.events import Events, bin_events

        if isinstance(x, Events):
            x = bin_events(x, dt=dt)[:, None]
    array = to_array(x, f"input {name}")
    if array.ndim != len(shape) + 2 or array.shape[2:] != shape:
        axes = ", ".join(map(str, shape))
        hint = "; add the batch axis with x[:, None]" if array.shape[1:] == shape else ""
        raise ShapeError(f"input {name}: found shape {array.shape}; expected [T, B, {axes}]{hint}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise ShapeError(
            f"input {name}: found {array.shape[0]} steps and {array.shape[1]} samples; expected at least one of each"
        )
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32, order="C")  # a copy: the result of a run holds it
    if array.dtype.kind == "f" and not np.isfinite(result).all():
        bad = np.argwhere(~np.isfinite(result))[0].tolist()
        raise ShapeError(f"input {name}: found {result[tuple(bad)]} at {bad}; expected finite numbers")
    return result
