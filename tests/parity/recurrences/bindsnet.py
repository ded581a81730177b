"""bindsnet: at or above the threshold; r counts the refractory steps down."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, on, walk

__all__ = ["NEURONS"]


def _neuron(x: Array, p: Any, waits: str = "before", current: bool = False, theta: bool = False) -> Array:
    a = np.exp(F(-1) / F(p.tc_decay)) if hasattr(p, "tc_decay") else F(1)
    b = np.exp(F(-1) / F(p.tc_i_decay)) if current else None
    c = np.exp(F(-1) / F(p.tc_theta_decay)) if theta else None
    rest = F(getattr(p, "rest", 0))

    def step(u: Array, s: States) -> Array:
        v = (s["v"] - rest) * a + rest if a != 1 else s["v"]
        s["t"] = s["t"] * c if c is not None else s["t"]
        free = on(s["r"] <= 0)
        s["r"] = s["r"] - 1
        free = on(s["r"] <= 0) if waits == "after" else free
        s["i"] = s["i"] * b + u if b is not None else u
        v = v + free * s["i"]
        z = on(v >= F(p.thresh) + s["t"])
        s["r"] = np.where(z > 0, F(p.refrac), s["r"])
        s["v"] = np.where(z > 0, F(p.reset), v)
        s["t"] = s["t"] + F(p.theta_plus) * z if c is not None else s["t"]
        return z

    return walk(step, x, v=rest, i=0, r=0, t=0)


def lif(x: Array, p: Any) -> Array:
    return _neuron(x, p)


def current(x: Array, p: Any) -> Array:
    return _neuron(x, p, waits="after", current=True)


def adaptive(x: Array, p: Any) -> Array:
    return _neuron(x, p, theta=True)


def izhikevich(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        v, w = np.where(s["z"] > 0, F(p.c), s["v"]), np.where(s["z"] > 0, s["u"] + F(p.d), s["u"])
        for _ in range(2):
            v = v + F(0.5 * p.dt) * (F(0.04) * (v * v) + 5 * v + 140 - w + u)
        s["u"] = w + F(p.dt * p.a) * (F(p.b) * v - w)
        s["v"], s["z"] = v, on(v >= F(p.thresh))
        return s["z"]

    return walk(step, x, v=p.rest, u=F(p.b) * F(p.rest), z=0)


NEURONS = {
    "LIFNodes": lif,
    "IFNodes": lif,
    "CurrentLIFNodes": current,
    "AdaptiveLIFNodes": adaptive,
    "IzhikevichNodes": izhikevich,
}
"""By name of the neuron in the library."""
