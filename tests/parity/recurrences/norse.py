"""norse: everything strictly above the threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, States, Step, on, walk

__all__ = ["NEURONS"]


def _value(v: Array, z: Array, p: Any) -> Array:
    return (1 - z) * v + z * F(p.v_reset)


def box(x: Array, p: Any) -> Array:
    m = F(1e-3) * F(p.tau_mem_inv)

    def step(u: Array, s: States) -> Array:
        v = s["v"] + m * (u + F(p.v_leak) - s["v"])
        z = on(v - F(p.v_th) > 0)
        s["v"] = _value(v, z, p) if p.reset_method == "value" else (1 - z) * v + z * (v - F(p.v_th))
        return z

    return walk(step, x, v=p.v_leak)


def iaf(x: Array, p: Any) -> Array:
    def step(u: Array, s: States) -> Array:
        v = s["v"] + u
        z = on(v - F(p.v_th) > 0)
        s["v"] = _value(v, z, p)
        return z

    return walk(step, x, v=0)


def _current(p: Any, drive: Callable[[Array, States], Array]) -> Step:
    """i + x drives the membrane, beside `drive`; then the current decays."""
    m, c = F(1e-3) * F(p.tau_mem_inv), F(-1e-3) * F(p.tau_syn_inv)

    def step(u: Array, s: States) -> Array:
        i = s["i"] + u
        v = s["v"] + m * drive(i, s)
        s["i"] = i + c * i
        z = on(v - F(p.v_th) > 0)
        s["v"] = _value(v, z, p)
        return z

    return step


def lif(x: Array, p: Any) -> Array:
    return walk(_current(p, lambda i, s: F(p.v_leak) - s["v"] + i), x, v=p.v_leak, i=0)


def refrac(x: Array, p: Any) -> Array:
    lif = _current(p, lambda i, s: F(p.v_leak) - s["v"] + i)

    def step(u: Array, s: States) -> Array:
        before = s["v"]
        z = lif(u, s)
        held = on(s["r"] > 0)
        s["v"] = (1 - held) * s["v"] + held * before
        z = (1 - held) * z
        s["r"] = (1 - z) * np.maximum(s["r"] - held, 0) + z * F(p.rho_reset)
        return z

    return walk(step, x, v=p.v_leak, i=0, r=0)


def _exponential(s: States, p: Any) -> Array:
    return F(p.v_leak) - s["v"] + F(p.delta_T) * np.exp((s["v"] - F(p.v_th)) / F(p.delta_T))


def ex(x: Array, p: Any) -> Array:
    return walk(_current(p, lambda i, s: _exponential(s, p) + i), x, v=0, i=0)


def adex(x: Array, p: Any) -> Array:
    lif = _current(p, lambda i, s: _exponential(s, p) + i - s["a"])
    rate = F(1e-3) * F(p.tau_ada_inv)

    def step(u: Array, s: States) -> Array:
        a = s["a"] + rate * (F(p.adaptation_current) * (s["v"] - F(p.v_leak)) - s["a"])
        z = lif(u, s)
        s["a"] = a + z * F(p.adaptation_spike)
        return z

    return walk(step, x, v=0, i=0, a=0)


def lsnn(x: Array, p: Any) -> Array:
    m, c, d = (F(1e-3) * F(rate) for rate in (p.tau_mem_inv, p.tau_syn_inv, p.tau_adapt_inv))

    def step(u: Array, s: States) -> Array:
        v = s["v"] + m * (F(p.v_leak) - s["v"] + s["i"])
        i = s["i"] + -c * s["i"]
        b = s["b"] + d * (F(p.v_th) - s["b"])
        z = on(v - b > 0)
        s["v"], s["i"], s["b"] = _value(v, z, p), i + u, b + z * F(p.beta)
        return z

    return walk(step, x, v=0, i=0, b=p.v_th)


def izhikevich(x: Array, p: Any) -> Array:
    d = p.tau_inv * 1e-3

    def step(u: Array, s: States) -> Array:
        v = s["v"] + F(d) * (F(p.sq) * (s["v"] * s["v"]) + F(p.mn) * s["v"] + F(p.bias) - s["u"] + u)
        w = s["u"] + F(d * p.a) * (F(p.b) * s["v"] - s["u"])
        z = on(v - F(p.v_th) > 0)
        s["v"], s["u"] = (1 - z) * v + z * F(p.c), (1 - z) * w + z * (w + F(p.d))
        return z

    return walk(step, x, v=p.v_start, u=p.u_start)


def coba(x: Array, p: Any) -> Array:
    e, i, m = F(-1e-3) * F(p.tau_syn_exc_inv), F(-1e-3) * F(p.tau_syn_inh_inv), F(1e-3) * F(p.c_m_inv)

    def step(u: Array, s: States) -> Array:
        ge, gi = s["e"] + np.maximum(u, 0), s["i"] + np.maximum(-u, 0)
        s["e"], s["i"] = ge, gi = ge + e * ge, gi + i * gi
        v = s["v"]
        v = v + m * (F(p.g_l) * (F(p.v_rest) - v) + ge * (F(p.e_rev_E) - v) + gi * (F(p.e_rev_I) - v))
        z = on(v - F(p.v_thresh) > 0)
        s["v"] = _value(v, z, p)
        return z

    return walk(step, x, v=p.v_start, e=0, i=0)


NEURONS = {
    "LIFBox": box,
    "IAF": iaf,
    "LIF": lif,
    "LIFRefrac": refrac,
    "LIFEx": ex,
    "LIFAdEx": adex,
    "LSNN": lsnn,
    "Izhikevich": izhikevich,
    "CobaLIF": coba,
}
"""By name of the neuron in the library."""
