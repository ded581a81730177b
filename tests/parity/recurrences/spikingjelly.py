"""spikingjelly: at or above the threshold; v_reset=None subtracts it; the leak goes to v_reset."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, on, sigmoid, walk

__all__ = ["NEURONS"]

Charge = Callable[[Array, States], Array]


def _reset(h: Array, z: Array, p: Any, threshold: Array | None = None) -> Array:
    if p.v_reset is None:
        return h - z * (F(p.v_threshold) if threshold is None else threshold)
    return z * F(p.v_reset) + (1 - z) * h


def _rest(p: Any) -> Array:
    return F(0 if p.v_reset is None else p.v_reset)


def _fire(charge: Charge, p: Any) -> Callable[[Array, States], Array]:
    def step(u: Array, s: States) -> Array:
        h = charge(u, s)
        z = on(h - F(p.v_threshold) >= 0)
        s["v"] = _reset(h, z, p)
        return z

    return step


def _leak(u: Array, v: Array, p: Any) -> Array:
    if p.decay_input:
        return v + (u - (v - _rest(p))) / F(p.tau)
    return v - (v - _rest(p)) / F(p.tau) + u


def integrate(x: Array, p: Any) -> Array:
    return walk(_fire(lambda u, s: s["v"] + u, p), x, v=_rest(p))


def lif(x: Array, p: Any) -> Array:
    return walk(_fire(lambda u, s: _leak(u, s["v"], p), p), x, v=_rest(p))


def plif(x: Array, p: Any) -> Array:
    rate = sigmoid(F(-math.log(p.init_tau - 1)))

    def charge(u: Array, s: States) -> Array:
        v = s["v"]
        return v + (u - (v - _rest(p))) * rate if p.decay_input else v - (v - _rest(p)) * rate + u

    return walk(_fire(charge, p), x, v=_rest(p))


def cuba(x: Array, p: Any) -> Array:
    def charge(u: Array, s: States) -> Array:
        s["c"] = s["c"] * F(p.c_decay) + u
        return s["v"] * F(p.v_decay) + s["c"]

    return walk(_fire(charge, p), x, v=_rest(p), c=0)


def qif(x: Array, p: Any) -> Array:
    def charge(u: Array, s: States) -> Array:
        v = s["v"]
        return v + (u + F(p.a0) * (v - F(p.v_rest)) * (v - F(p.v_c))) / F(p.tau)

    return walk(_fire(charge, p), x, v=_rest(p))


def eif(x: Array, p: Any) -> Array:
    def charge(u: Array, s: States) -> Array:
        v = s["v"]
        return v + (u + F(p.v_rest) - v + F(p.delta_T) * np.exp((v - F(p.theta_rh)) / F(p.delta_T))) / F(p.tau)

    return walk(_fire(charge, p), x, v=_rest(p))


def izhikevich(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        v = s["v"]
        h = v + (u + F(p.a0) * (v - F(p.v_rest)) * (v - F(p.v_c)) - s["w"]) / F(p.tau)
        z = on(h - F(p.v_threshold) >= 0)
        s["w"] = s["w"] + (F(p.a) * (h - F(p.v_rest)) - s["w"]) / F(p.tau_w) + F(p.b) * z
        s["v"] = _reset(h, z, p)
        return z

    return walk(step, x, v=_rest(p), w=p.w_rest)


def klif(x: Array, p: Any) -> Array:
    k = F(p.k)

    def step(u: Array, s: States) -> Array:
        h = np.maximum(k * _leak(u, s["v"], p), F(0))
        z = on(h - F(p.v_threshold) >= 0)
        s["v"] = _reset(h / k, z, p, F(p.v_threshold) / k) if p.scale_reset else _reset(h, z, p)
        return z

    return walk(step, x, v=_rest(p))


def clif(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        h = s["v"] - s["v"] / F(p.tau) + u
        m = s["m"] * sigmoid(h / F(p.tau))
        z = on(h - F(p.v_threshold) >= 0)
        s["m"] = m = m + z
        s["v"] = h - z * (F(p.v_threshold) + sigmoid(m))
        return z

    return walk(step, x, v=0, m=0)


def glif(x: Array, p: Any) -> Array:
    a, b, g, tau, threshold, decay, lost, conduct = (
        sigmoid(F(value))
        for value in (p.alpha, p.beta, p.gamma, p.tau, p.v_threshold, p.linear_decay, p.v_subreset, p.conduct)
    )
    one = F(1)

    def step(u: Array, s: States) -> Array:
        v = (one - a * (one - tau)) * s["v"] - (one - a) * decay + u * (one - b * (one - conduct))
        v = v - (one - a * (one - tau)) * s["v"] * g * s["z"] - (one - g) * lost * s["z"]
        s["v"], s["z"] = v, on(v - threshold >= 0)
        return s["z"]

    return walk(step, x, v=0, z=0)


def ternary(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        h = _leak(u, s["v"], p) if hasattr(p, "tau") else s["v"] + u
        above, below = on(h - F(p.v_threshold) >= 0), on(-h - F(p.v_threshold) >= 0)
        s["v"] = _reset(h, above - below if p.v_reset is None else above + below, p)
        return above - below

    return walk(step, x, v=_rest(p))


def ilif(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        h = F(1 - 1 / p.tau) * s["v"] + u
        z = np.rint(np.clip(h / F(p.v_threshold), 0, 4))
        s["v"] = h - z * F(p.v_threshold)
        return z

    return walk(step, x, v=0)


def raf(x: Array, p: Any) -> Array:
    size, cos, sin = (F(f) for f in (math.exp(p.b * p.dt), math.cos(p.omega * p.dt), math.sin(p.omega * p.dt)))

    def step(u: Array, s: States) -> Array:
        re, im = s["u"], s["v"]
        s["u"] = size * (re * cos - im * sin) + u
        h = size * (re * sin + im * cos)
        z = on(h - F(p.v_threshold) >= 0)
        s["v"] = _reset(h, z, p)
        return z

    return walk(step, x, v=_rest(p), u=0)


def psn(x: Array, p: Any) -> Array:
    weight = np.array(p.weight, np.float32)
    if hasattr(p, "k"):
        lag = np.subtract.outer(range(p.steps), range(p.steps))
        share = F(getattr(p, "lambda"))
        weight = weight * (share * on((lag >= 0) & (lag < p.k)) + (F(1) - share))
    h = weight @ x.reshape(p.steps, -1) + F(p.bias)
    return on(h >= 0).reshape(x.shape)


def sliding_psn(x: Array, p: Any) -> Array:
    h = np.full_like(x, p.bias)
    for lag, weight in enumerate(reversed(p.weight)):
        h[lag:] += F(weight) * x[: len(x) - lag]
    return on(h >= 0)


NEURONS = {
    "IF": integrate,
    "LIF": lif,
    "ParametricLIF": plif,
    "CUBALIF": cuba,
    "QIF": qif,
    "EIF": eif,
    "Izhikevich": izhikevich,
    "KLIF": klif,
    "ComplementaryLIF": clif,
    "GatedLIF": glif,
    "TernaryIF": ternary,
    "TernaryLIF": ternary,
    "ILIF": ilif,
    "RAF": raf,
    "PSN": psn,
    "MaskedPSN": psn,
    "SlidingPSN": sliding_psn,
}
"""By name of the neuron in the library."""
