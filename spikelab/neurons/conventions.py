"""The conventions in which published integrate-and-fire neurons differ, as small pure functions.

Every library's LIF is one choice from each row:

| row | choices |
|---|---|
| comparison | `">"` strictly above the threshold; `">="` at or above |
| spikes | `"one"` per step; `"many"`: as many as whole thresholds fit |
| reset | `"hard"` sets `v_reset`; `"soft"` subtracts the threshold; `"undecayed"` subtracts it after the next decay |
| | `"none"` (LIF, CubaLIF) leaves v: it spikes in every step in which v is above the threshold |
| input_gain | `"one"`; `"1-a"`: constant input x settles at x; `"dt/tau"`: the same in Euler steps |
| synapse (CubaLIF) | `"decay_then_add"` i = b i + x; `"add_then_decay"` i = b (i + x) |

An output delay of one step is the projection's delay, not the neuron's.
The reset reads the spike through `f.detach`; a layer that lets the gradient through the reset makes
`detach` the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikelab.arrays import to_array
from spikelab.errors import ShapeError, UnitError, UnsupportedError, Violation

__all__ = ["COMPARISONS", "GAINS", "RESETS", "RESETS_OR_NONE", "SPIKES", "check", "fire", "gain", "reset", "scaled"]

COMPARISONS = (">", ">=")
"""v against the threshold."""
SPIKES = ("one", "many")
"""Spikes per step."""
RESETS = ("hard", "soft", "undecayed")
"""What a spike does to v."""
RESETS_OR_NONE = (*RESETS, "none")
"""The same for neurons that may leave v as it is."""
GAINS = ("one", "1-a", "dt/tau")
"""Factor on the input."""


def _strictly_above(v: Any, c: Any, f: Any) -> Any:
    return f.spike(v - c.v_threshold)


def _at_or_above(v: Any, c: Any, f: Any) -> Any:
    return f.reach(v - c.v_threshold)


def _whole_thresholds(v: Any, c: Any, f: Any) -> Any:
    return f.count(v, c.v_threshold, c.most)


def _to_value(z: Any, v: Any, c: Any, f: Any) -> Any:
    return f.select(f.detach(z), c.v_reset, v)


def _by_subtraction(z: Any, v: Any, c: Any, f: Any) -> Any:
    return v - f.detach(z) * c.v_threshold


def _not_at_all(z: Any, v: Any, c: Any, f: Any) -> Any:
    return v


def _plain(x: Any, c: Any) -> Any:
    return x


def _scaled(x: Any, c: Any) -> Any:
    return c.gain * x


def fire(comparison: str, spikes: str) -> Callable[[Any, Any, Any], Any]:
    """Pure function `(v, c, f) -> z` that compares the membrane with the threshold."""
    if spikes == "many":
        return _whole_thresholds
    return _strictly_above if comparison == ">" else _at_or_above


def reset(kind: str) -> Callable[[Any, Any, Any, Any], Any]:
    """Pure function `(z, v, c, f) -> v` after the comparison."""
    if kind == "none":
        return _not_at_all
    return _to_value if kind == "hard" else _by_subtraction


def scaled(input_gain: str) -> Callable[[Any, Any], Any]:
    """Pure function `(x, c) -> x` that applies the input gain."""
    return _plain if input_gain == "one" else _scaled


def gain(input_gain: str, a: Any, dt: float, tau: Any) -> Any:
    """Value of the input gain for decay `a`, step `dt` [s] and time constant `tau` [s]."""
    if input_gain == "one":
        return 1.0
    return 1 - a if input_gain == "1-a" else dt / tau


def check(model: Any) -> None:
    """Refuse what has no meaning.

    Whole thresholds are above zero, counted at or above, and subtracted. A hard reset sets a value that is
    no spike itself; tensors, which may be learnt and pass through such values, are looked at when they have
    become numbers.

    Args:
        model: a neuron with `v_threshold`, `v_reset`, `comparison`, `reset` and, where it has a choice, `spikes`.

    Raises:
        UnitError: a threshold or a reset value out of its range.
        UnsupportedError: flags that do not go together.
        ShapeError: threshold and reset value do not broadcast.
    """
    name = type(model).__name__
    potentials = (model.v_threshold, model.v_reset)
    threshold, start = (to_array(v, name) for v in potentials)
    many = getattr(model, "spikes", "one") == "many"
    if many and not (threshold > 0).all():
        raise UnitError(
            f"{name}.v_threshold: found {threshold.min()} V with spikes='many'; expected thresholds above zero"
        )
    if many and (model.comparison == ">" or model.reset == "hard"):
        found = f"comparison={model.comparison!r}, reset={model.reset!r}"
        rule = "whole_thresholds_are_counted_at_or_above_and_subtracted"
        expected = "comparison='>=' and reset='soft' or 'undecayed'"
        violation = Violation(rule, f"{name}(spikes='many')", found, expected, "set both, or spikes='one'")
        raise UnsupportedError(violations=[violation])
    if model.reset != "hard" or any(hasattr(v, "detach") for v in potentials):
        return
    try:
        threshold, start = np.broadcast_arrays(threshold, start)
    except ValueError:
        raise ShapeError(
            f"{name}.v_reset: found shape {start.shape} beside v_threshold of {threshold.shape}; "
            "expected shapes that broadcast; give one number, or one per neuron, for both"
        ) from None
    fires = start > threshold if model.comparison == ">" else start >= threshold
    if fires.any():
        relation = "at or below" if model.comparison == ">" else "below"
        raise UnitError(
            f"{name}.v_reset: found {start[fires][0]} V with v_threshold of {threshold[fires][0]} V; expected a value "
            f"{relation} the threshold, or every spike brings the next; lower v_reset, or use reset='soft'"
        )
