"""Plots that compare neurons: how the rate follows a current, and how the potential answers one pulse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.neurons.model import Discretisation, NeuronModel
from spikelab.report.alone import must_be_neurons, numbers, port_of, run_alone, scaled
from spikelab.report.lettering import shortened
from spikelab.report.plots import COLOURS, time_axis
from spikelab.units import Quantity, seconds

__all__ = ["fi_curve", "responses"]

_STYLES = ("-", "--", ":", "-.")


def fi_curve(
    ax: Axes,
    models: Mapping[str, NeuronModel],
    x: ArrayLike,
    dt: Quantity,
    *,
    time: Quantity = 1.0,
    port: str | None = None,
    discretisation: Discretisation = "exponential",
) -> None:
    """Draw firing rates under constant inputs, once the first half of the time has passed.

    Args:
        ax: where to draw.
        models: neurons by name; the inputs of all have one unit.
        x: [K] input per step.
        dt: [s] time step, or a string with a unit.
        time: [s] length of the run, or a string with a unit.
        port: the input that is fed; None takes the first.
        discretisation: `"exponential"` or `"euler"`.

    Raises:
        ShapeError: no neuron, no inputs, or less than two steps.
        UnsupportedError: a neuron that does not spike, inputs of different units, an unknown port.
        UnitError: a time that is none.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikelab.neurons import LIF
        >>> ax = Figure().add_subplot()
        >>> fi_curve(ax, {"LIF": LIF()}, [0.0, 0.05, 0.1], "1 ms")
        >>> ax.lines[0].get_ydata()[0]
        np.float64(0.0)
    """
    must_be_neurons("fi_curve", models)
    values = numbers("fi_curve: x", x)
    dt = seconds(dt, "fi_curve: dt")
    steps = round(seconds(time, "fi_curve: time") / dt)
    if steps < 2:
        raise ShapeError(f"fi_curve: time: found {steps} steps of {dt} s; expected at least 2; lengthen it")
    units = set()
    for name, model in models.items():
        if not model.spiking:
            raise UnsupportedError(f"fi_curve: {name}: found {type(model).__name__}, which never spikes; leave it out")
        units.add(model.ports[port_of("fi_curve", model, port)].unit)
    if len(units) > 1:
        raise UnsupportedError(
            f"fi_curve: found inputs in {', '.join(sorted(units))}; expected one unit; draw two plots"
        )
    factor, label = scaled(values, units.pop())
    for k, (name, model) in enumerate(models.items()):
        drive = np.broadcast_to(values, (steps, 1, len(values)))
        z = run_alone(model, {port_of("fi_curve", model, port): drive}, dt, discretisation).output[steps // 2 :, 0]
        rate = np.count_nonzero(z, axis=0) / (len(z) * dt)
        ax.plot(values / factor, rate, **_line(k), label=shortened(name, 24))
    ax.set_xlabel(f"constant input{label}")
    ax.set_ylabel("rate (Hz)")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize="small")


def responses(
    ax: Axes,
    models: Mapping[str, NeuronModel],
    dt: Quantity,
    *,
    time: Quantity = 0.1,
    size: float = 0.1,
    port: str | None = None,
    discretisation: Discretisation = "exponential",
) -> None:
    """Draw how the potential answers one input: the difference to the same run without it, over the input.

    The potential is what a spiking neuron compares with its threshold, and the output of any other.

    Args:
        ax: where to draw.
        models: neurons by name.
        dt: [s] time step, or a string with a unit.
        time: [s] length of the run, or a string with a unit; the input comes in the first step.
        size: of the input, in the unit of its port; small enough that nothing spikes.
        port: the input that is fed; None takes the first.
        discretisation: `"exponential"` or `"euler"`.

    Raises:
        ShapeError: no neuron, or no step.
        UnsupportedError: a neuron that spikes, or an unknown port.
        UnitError: a time that is none.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikelab.neurons import LIF, SlidingPSN
        >>> ax = Figure().add_subplot()
        >>> responses(ax, {"LIF": LIF(), "kernel": SlidingPSN()}, "1 ms", time="5 ms")
        >>> ax.lines[1].get_ydata().round(3).tolist()
        [1.0, 0.5, 0.25, 0.125, 0.0]
    """
    must_be_neurons("responses", models)
    dt = seconds(dt, "responses: dt")
    steps = round(seconds(time, "responses: time") / dt)
    if steps < 1:
        raise ShapeError(f"responses: time: found {steps} steps of {dt} s; expected at least 1; lengthen it")
    step = time_axis(ax, steps, dt)
    for k, (name, model) in enumerate(models.items()):
        x = np.zeros((steps, 2, 1))  # with the input, and without
        x[0, 0] = size
        result = run_alone(
            model, {port_of("responses", model, port): x}, dt, discretisation, ("margin",) if model.spiking else ()
        )
        if model.spiking and np.any(result.output):
            raise UnsupportedError(f"responses: {name}: found spikes with size={size}; expected none; lower size")
        v = result.traces["out"]["margin"] if model.spiking else result.output
        answer = (v[:, 0, 0].astype(np.float64) - v[:, 1, 0]) / size
        ax.plot((np.arange(steps) + 0.5) * step, answer, **_line(k), label=shortened(name, 24))
    ax.axhline(0, color="#BDBDBD", linewidth=0.8, zorder=0)
    ax.set_ylabel("response / input")
    ax.legend(frameon=False, fontsize="small")


def _line(k: int) -> dict[str, Any]:
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": _STYLES[k % len(_STYLES)], "linewidth": 1.7}
