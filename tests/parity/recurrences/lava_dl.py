"""lava-dl: whole numbers, 4096 to 1 (64 with a scale of 1), decays in 4096ths, products cut towards zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.recurrences.walk import Array, F, on

__all__ = ["NEURONS"]


def _units(p: Any) -> int:
    return 64 * getattr(p, "scale_of_states", 64)


def _cut(n: Array, k: int) -> Array:
    """n k / 4096 towards zero."""
    return np.sign(n) * (np.abs(n * k) >> 12)


def _whole(x: Array, units: int) -> Array:
    return np.trunc(x.astype(np.float64) * units).astype(np.int64)


def _kept(decay: float) -> int:
    return 4096 - int(np.rint(F(4096 * decay)))


def _threshold(value: float, p: Any) -> int:
    weights = _units(p) // 64
    return int(value * weights) * 64


def cuba_states(x: Array, p: Any) -> tuple[Array, Array, Array]:
    """Spikes, and the last current and potential (before its reset) in whole numbers."""
    u = v = np.zeros(x.shape[1:], np.int64)
    spikes = []
    for step in _whole(x, _units(p)):
        u = _cut(u, _kept(p.current_decay)) + step
        v = h = _cut(v, _kept(p.voltage_decay)) + u
        z = h > _threshold(p.threshold, p)
        v = np.where(z, 0, h)
        spikes.append(z)
    return np.stack(spikes).astype(np.float32), u, h


def cuba(x: Array, p: Any) -> Array:
    return cuba_states(x, p)[0]


def alif(x: Array, p: Any) -> Array:
    base = _threshold(p.threshold, p)
    u = v = r = np.zeros(x.shape[1:], np.int64)
    h = u + base
    spikes = []
    for step in _whole(x, _units(p)):
        u = _cut(u, _kept(p.current_decay)) + step
        v = _cut(v, _kept(p.voltage_decay)) + u
        r = _cut(r, _kept(p.refractory_decay))
        h = _cut(h - base, _kept(p.threshold_decay)) + base
        z = v >= h + r
        r, h = r + 2 * h * z, h + _threshold(p.threshold_step, p) * z
        spikes.append(z)
    return np.stack(spikes).astype(np.float32)


def resonate_and_fire(x: Array, p: Any) -> Array:
    angle, size = 2 * np.pi / p.period, 1 - p.decay
    sin, cos = (int(np.rint(F(4096 * size * f(angle)))) for f in (np.sin, np.cos))
    re = im = np.zeros(x.shape[1:], np.int64)
    spikes = []
    for a, b in zip(_whole(x, _units(p)), _whole(x[::-1], _units(p)), strict=True):
        before = im
        re, im = _cut(re, cos) - _cut(im, sin) + a, _cut(re, sin) + _cut(im, cos) + b
        spikes.append((re >= _threshold(p.threshold, p)) & (before < 0) & (im >= 0))
    return np.stack(spikes).astype(np.float32)


def sigma_delta(x: Array, p: Any) -> Array:
    threshold = F(_threshold(p.threshold, p) / _units(p))
    before = rest = np.zeros(x.shape[1:], np.float32)
    outputs = []
    for a in np.maximum(np.cumsum(x, axis=0, dtype=np.float32), F(0)):
        d = a - before + rest
        z = d * on(np.abs(d) >= threshold)
        before, rest = a, d - z
        outputs.append(np.floor(z * _units(p)) / F(_units(p)))
    return np.stack(outputs)


NEURONS = {"CUBA": cuba, "ALIF": alif, "RF": resonate_and_fire, "SDNN": sigma_delta}
"""By name of the neuron in the library."""
