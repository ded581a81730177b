"""rockpool: at or above the threshold, as many spikes as thresholds fit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, walk

__all__ = ["NEURONS"]


def lif(x: Array, p: Any) -> Array:
    if hasattr(p, "alpha"):
        a, b = F(p.alpha), F(p.beta)
    elif hasattr(p, "dash_mem"):
        a, b = (F(1 - 2.0**-dash) for dash in (p.dash_mem, p.dash_syn))
    else:
        a, b = (np.exp(F(-p.dt) / F(tau)) for tau in (p.tau_mem, p.tau_syn))
    return _neuron(x, p, a, b)


def bitshift(x: Array, p: Any) -> Array:
    a, b = (F(1 - 2.0 ** -np.rint(np.log2(tau / p.dt))) for tau in (p.tau_mem, p.tau_syn))
    return _neuron(x, SimpleNamespace(**vars(p), max_spikes_per_dt=31), a, b)


def _neuron(x: Array, p: Any, a: Array, b: Array) -> Array:
    threshold, bias = F(getattr(p, "threshold", 1)), F(getattr(p, "bias", 0))
    most, w_after = F(getattr(p, "max_spikes_per_dt", 2**16)), F(getattr(p, "w_ahp", 0))
    c = np.exp(F(-p.dt) / F(getattr(p, "tau_ahp", 1)))

    def step(u: Array, s: States) -> Array:
        s["i"] = b * (s["i"] + u)
        s["h"] = c * (s["h"] + s["z"] * w_after)
        v = a * s["v"] + (s["i"] + s["h"]) + bias
        z = np.where(v >= threshold, np.floor(v / threshold), F(0))
        s["z"] = z = np.minimum(z, most)
        s["v"] = v - z * threshold
        return z

    return walk(step, x, i=0, h=0, v=0, z=0)


NEURONS = {"LIFTorch": lif, "LIFBitshiftTorch": bitshift, "aLIFTorch": lif}
"""By name of the neuron in the library."""
