"""What two networks differ in: the check that a file gives back what was written."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.hardware.nir import neurons
from spikelab.network import Network, Population, Projection

__all__ = ["differences", "weight_errors"]


def differences(a: Network, b: Network) -> list[str]:
    """Places where two networks differ, weights left out; numbers must be equal to the bit.

    Args:
        a: one network.
        b: the other.

    Example:
        >>> from spikelab.network import Projection
        >>> populations = {"in": Population((2,), kind="input"), "out": Population((2,))}
        >>> net = Network(populations, [Projection("in", "out")], dt=1e-3)
        >>> differences(net, net)
        []
    """
    found = []
    if (a.dt, a.discretisation) != (b.dt, b.discretisation):
        found.append("dt or discretisation")
    if list(a.populations) != list(b.populations):
        return [*found, "names or order of populations"]
    found += [f"population {n}" for n, p in a.populations.items() if _population(p) != _population(b.populations[n])]
    if len(a.projections) != len(b.projections):
        return [*found, "number of projections"]
    pairs = zip(a.projections, b.projections, strict=True)
    return found + [f"projection {a.label(p)}" for p, q in pairs if _projection(p) != _projection(q)]


def _bits(value: Any) -> tuple[Any, ...]:
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
    return array.shape, array.tobytes() if array.dtype.kind == "f" else tuple(array.reshape(-1).tolist())


def _population(p: Population) -> tuple[Any, ...]:
    initial = {k: _bits(v) for k, v in p.initial.items()}
    if p.model is None:
        return p.shape, p.kind, initial
    parameters = {k: _bits(v) for k, v in neurons.numbers(p.model).items()}
    return p.shape, p.kind, initial, type(p.model), p.model.flags(), parameters


def _projection(p: Projection) -> tuple[Any, ...]:
    ops = []
    for op in p.ops:
        facts = {k: v for k, v in vars(op).items() if k not in ("weight", "bias", "scale", "order")}
        ops.append((op.kind, {k: _bits(v) for k, v in facts.items()}, [np.shape(w) for w in _weights(op)]))
    return p.pre, p.post, p.port, _bits(p.delay), ops


def _weights(op: Any) -> list[Any]:
    return [getattr(op, name) for name in ("weight", "bias", "scale") if getattr(op, name, None) is not None]


def weight_errors(a: Network, b: Network) -> list[float]:
    """Per projection, the largest |difference| of a weight over the largest |weight|; 0 if equal to the bit.

    Args:
        a: one network.
        b: one that `differences` finds equal.
    """
    errors = []
    for p, q in zip(a.projections, b.projections, strict=True):
        worst = 0.0
        for op, other in zip(p.ops, q.ops, strict=True):
            for w, v in zip(_weights(op), _weights(other), strict=True):
                if w.tobytes() != v.tobytes():
                    off = float(np.abs(w.astype(np.float64) - v).max())
                    largest = float(np.abs(w).max())
                    worst = max(worst, off / largest if largest else off, 1e-300)
        errors.append(worst)
    return errors
