"""snntorch: the reset reads the potential that the last step left; strictly above."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, on, walk

__all__ = ["NEURONS"]


def _resets(p: Any, mem: Array, r: Array, s: States) -> Array:
    """Spikes of the new potential; at once or not."""
    z = on(mem - F(p.threshold) > 0)
    s["mem"] = mem if getattr(p, "reset_delay", True) else mem - (z - r) * _size(p, mem)
    return z


def _size(p: Any, mem: Array) -> Array:
    return F(p.threshold) if p.reset_mechanism == "subtract" else mem


def leaky(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        r = on(s["mem"] - F(p.threshold) > 0)
        if p.reset_mechanism == "zero":
            mem = F(p.beta) * ((1 - r) * s["mem"]) + u
        else:
            mem = F(p.beta) * s["mem"] + u
            mem = mem - r * F(p.threshold) if p.reset_mechanism == "subtract" else mem
        return _resets(p, mem, r, s)

    return walk(step, x, mem=0)


def synaptic(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        r = on(s["mem"] - F(p.threshold) > 0)
        s["syn"] = F(p.alpha) * s["syn"] + u
        mem = F(p.beta) * s["mem"] + s["syn"]
        return _resets(p, mem - r * _size(p, mem), r, s)

    return walk(step, x, syn=0, mem=0)


def alpha(x: Array, p: Any) -> Array:
    log_a, log_b = np.log(F(p.alpha)), np.log(F(p.beta))
    k = log_a / (log_b - log_a) + F(1)

    def step(u: Array, s: States) -> Array:
        r = on(s["mem"] - F(p.threshold) > 0)
        before = s["n"]
        e, n = F(p.alpha) * s["e"] + u, F(p.beta) * s["n"] - u
        mem = k * (e + n)
        lost = (e, n, mem) if p.reset_mechanism == "zero" else (F(p.threshold), n, -before)
        s["e"], s["n"], s["mem"] = (new - gone * r for new, gone in zip((e, n, mem), lost, strict=True))
        return on(s["mem"] - F(p.threshold) > 0)

    return walk(step, x, e=0, n=0, mem=0)


def lapicque(x: Array, p: Any) -> Array:
    capacity = F(1) / np.log(F(1) / F(p.beta))

    def step(u: Array, s: States) -> Array:
        r = on(s["mem"] - F(p.threshold) > 0)
        s["mem"] = u * (F(1) / capacity) + (F(1) - F(1) / capacity) * s["mem"]
        s["mem"] = s["mem"] - r * _size(p, s["mem"])
        return on(s["mem"] - F(p.threshold) > 0)

    return walk(step, x, mem=0)


NEURONS = {
    "Leaky": leaky,
    "Synaptic": synaptic,
    "Alpha": alpha,
    "Lapicque": lapicque,
}
"""By name of the neuron in the library."""
