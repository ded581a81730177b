"""spyx: the spike is that of the potential left by the step before."""

from __future__ import annotations

from typing import Any

from tests.parity.recurrences.walk import Array, F, States, on, walk

__all__ = ["NEURONS"]


def lif(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        z = on(s["v"] - F(p.threshold) > 0)
        s["v"] = F(getattr(p, "beta", 1)) * s["v"] + u - z * F(p.threshold)
        return z

    return walk(step, x, v=0)


def cuba(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        z = on(s["v"] - F(p.threshold) > 0)
        v = s["v"] - z * F(p.threshold)
        s["i"] = F(p.alpha) * s["i"] + u
        s["v"] = F(p.beta) * v + s["i"]
        return z

    return walk(step, x, v=0, i=0)


def alif(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        threshold = F(p.threshold) + s["t"]
        z = on(s["v"] - threshold > 0)
        s["v"] = F(p.beta) * s["v"] + u - z * threshold
        s["t"] = F(p.gamma) * s["t"] + (F(1) - F(p.gamma)) * z
        return z

    return walk(step, x, v=0, t=0)


def parallel(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        s["v"] = F(p.beta) * s["v"] + u
        return on(s["v"] - F(p.threshold) > 0)

    return walk(step, x, v=0)


NEURONS = {
    "IF": lif,
    "LIF": lif,
    "CuBaLIF": cuba,
    "ALIF": alif,
    "PSU_LIF": parallel,
}
"""By name of the neuron in the library."""
