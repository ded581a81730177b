"""Neurons that receive their input as it is, one time step after the other, on the float32 reference: for plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.arrays import to_array
from spikelab.clocked import Run, run
from spikelab.errors import ShapeError, UnsupportedError, brief, unknown_name
from spikelab.network import Network, Population, Projection
from spikelab.neurons.model import Discretisation, NeuronModel
from spikelab.report.lettering import common_prefix
from spikelab.units import Quantity

__all__ = ["must_be_neuron", "must_be_neurons", "numbers", "port_of", "run_alone", "scaled"]


def run_alone(
    model: NeuronModel, x: Mapping[str, Any], dt: Quantity, discretisation: Discretisation, traces: tuple[str, ...] = ()
) -> Run:
    """Run neurons.

    Args:
        model: the neuron.
        x: [T, B, N] input by port.
        dt: [s] time step, or a string with a unit.
        discretisation: `"exponential"` or `"euler"`.
        traces: what to record of the population `"out"`.

    Raises:
        ShapeError: inputs of different lengths.
        UnsupportedError: an unknown port.
    """
    for port in x:
        port_of("input", model, port)
    shape = next(iter(x.values())).shape
    if any(v.shape != shape for v in x.values()):
        found = ", ".join(f"{p} of {len(v)} steps" for p, v in x.items())
        raise ShapeError(f"{type(model).__name__}: found {found}; expected inputs of one length; cut or pad them")
    net = Network(
        {**{p: Population(shape[2:], kind="input") for p in x}, "out": Population(shape[2:], model)},
        [Projection(p, "out", port=p) for p in x],
        dt,
        discretisation,
    )
    return run(net, dict(x), traces={"out": traces} if traces else None)


def port_of(where: str, model: NeuronModel, port: str | None) -> str:
    """A port by its name; None is the first."""
    if port is None:
        return next(iter(model.ports))
    if port not in model.ports:
        raise unknown_name(f"{where}: port of {type(model).__name__}", port, model.ports)
    return port


def must_be_neuron(where: str, model: Any) -> None:
    """Refuse what is no neuron model."""
    if not isinstance(model, NeuronModel):
        raise UnsupportedError(f"{where}: found {brief(model)}; expected a neuron model; pass LIF(), say")


def must_be_neurons(where: str, models: Any) -> None:
    """Refuse what is no mapping from names to neuron models, or empty."""
    if not isinstance(models, Mapping) or not models:
        raise ShapeError(f"{where}: models: found {brief(models)}; expected neurons by name, as in {{'LIF': LIF()}}")
    for model in models.values():
        must_be_neuron(where, model)


def numbers(where: str, value: ArrayLike) -> NDArray[np.float64]:
    """At least one finite number along one axis."""
    values = to_array(value, where).astype(np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ShapeError(f"{where}: found {brief(values)}; expected one axis of finite numbers; give at least one")
    return values


def scaled(values: NDArray[np.float64], unit: str) -> tuple[float, str]:
    """Factor to divide values by, and the unit for the label of their axis."""
    if unit == "1":
        return 1.0, ""
    if unit not in ("V", "A", "S"):
        return 1.0, f" ({unit})"
    factor, prefix = common_prefix([1.01 * float(v) for v in (values.min(), values.max())])
    return factor, f" ({prefix}{unit})"
