"""sinabs: at or above the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, on, walk

__all__ = ["NEURONS"]


def _whole(v: Array, threshold: Array) -> Array:
    return np.where(v > 0, np.trunc(v / threshold), F(0))


def lif(x: Array, p: Any) -> Array:
    a = np.exp(F(-1) / F(p.tau_mem)) if hasattr(p, "tau_mem") else F(1)
    b = np.exp(F(-1) / F(p.tau_syn)) if hasattr(p, "tau_syn") else None
    gain = F(1) - a if hasattr(p, "tau_mem") and getattr(p, "norm_input", True) else F(1)

    def step(u: Array, s: States) -> Array:
        s["i"] = u if b is None else b * (s["i"] + u)
        v = a * s["v"] + gain * s["i"]
        z = on(v - 1 >= 0) if p.spike_fn == "one" else _whole(v, F(1))
        z = np.minimum(z, 3) if p.spike_fn == "three" else z
        v = v - z if p.reset_fn == "subtract" else v * on(z == 0)
        s["v"] = np.maximum(v - F(p.min_v_mem), 0) + F(p.min_v_mem) if hasattr(p, "min_v_mem") else v
        return z

    return walk(step, x, v=0, i=0)


def alif(x: Array, p: Any) -> Array:
    a, c = np.exp(F(-1) / F(p.tau_mem)), np.exp(F(-1) / F(p.tau_adapt))
    b = np.exp(F(-1) / F(p.tau_syn)) if hasattr(p, "tau_syn") else None

    def step(u: Array, s: States) -> Array:
        i = u if b is None else b * (s["i"] + u)
        s["i"] = (F(1) - a) * i if getattr(p, "norm_input", True) else i
        v = a * s["v"] + s["i"]
        threshold = F(1) + F(p.adapt_scale) * s["q"]
        z = on(v - threshold >= 0)
        s["v"] = v - z * threshold
        s["q"] = c * s["q"] + (F(1) - c) * z
        return z

    return walk(step, x, v=0, i=0, q=0)


NEURONS = {"LIF": lif, "IAF": lif, "ALIF": alif}
"""By name of the neuron in the library."""
