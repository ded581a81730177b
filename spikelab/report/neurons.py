"""Plots of single neurons: what one does with an input, how its rate follows a current, how it answers one pulse.

The neurons are run on the float32 reference, one time step after the other, as they stand in a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from spikelab.arrays import to_array
from spikelab.clocked import Run, run
from spikelab.errors import ShapeError, UnsupportedError, brief, unknown_name
from spikelab.network import Network, Population, Projection
from spikelab.neurons.model import Discretisation, NeuronModel
from spikelab.report.lettering import common_prefix, shortened
from spikelab.report.plots import COLOURS, GREY, time_axis
from spikelab.units import Quantity, seconds

__all__ = ["dynamics", "fi_curve", "responses"]

_STYLES = ("-", "--", ":", "-.")


def dynamics(
    ax: Axes,
    model: NeuronModel,
    x: Mapping[str, ArrayLike] | ArrayLike,
    dt: Quantity,
    *,
    of: str | None = None,
    discretisation: Discretisation = "exponential",
) -> None:
    """Draw the course of one neuron under an input, with its spikes as marks along the top.

    Args:
        ax: where to draw.
        model: the neuron.
        x: [T] input in the unit of the neuron's port, or a mapping from port to [T]; ports left out get nothing.
        dt: [s] time step, or a string with a unit.
        of: state variable, after the reset, or `"margin"`, what the comparison saw (v - v_threshold, before the
            reset); None takes v where there is one, else the margin.
        discretisation: `"exponential"` or `"euler"`.

    Raises:
        ShapeError: inputs that are not [T], empty, or of different lengths.
        UnsupportedError: an unknown port, state or discretisation, or no neuron.
        UnitError: `dt` has no unit of time or is not above zero.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikelab.neurons import LIF
        >>> ax = Figure().add_subplot()
        >>> dynamics(ax, LIF(), [0.2] * 50, "1 ms")
        >>> ax.get_ylabel()
        'v (V)'
    """
    _must_be_neuron("dynamics", model)
    names = model.State._fields
    known = (*names, *(("margin",) if model.spiking else ()))
    of = ("v" if "v" in names else known[-1]) if of is None else of
    if of not in known:
        raise unknown_name("dynamics: of", of, known)
    inputs = x if isinstance(x, Mapping) else {next(iter(model.ports)): x}
    given = {port: _course(f"dynamics: input {port}", values) for port, values in inputs.items()}
    result = _run(model, {p: v[:, None, None] for p, v in given.items()}, dt, discretisation, (of,))
    course, z = (np.asarray(v, np.float64).reshape(-1) for v in (result.traces["out"][of], result.output))
    step = time_axis(ax, len(course), seconds(dt, "dynamics: dt"))
    time = (np.arange(len(course)) + 0.5) * step
    unit = "V" if of == "margin" else dict(zip(names, model.state_units, strict=True))[of]
    level = _level(model, of)
    factor, label = _scaled(course if level is None else np.append(course, level), unit)
    ax.plot(time, course / factor, color=COLOURS[0], linewidth=1.4)
    ax.set_ylabel(f"{'v - threshold' if of == 'margin' else of}{label}")
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.margins(y=0.1)
    if level is not None:
        ax.axhline(level / factor, color=GREY, linewidth=0.9, linestyle="--")
    if model.spiking:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.18 * (high - low))  # room for the marks
        for sign, colour in ((1, "black"), (-1, COLOURS[3])):
            at = time[sign * z > 0]
            if len(at):
                marks: Any = {"transform": ax.get_xaxis_transform(), "clip_on": False, "rasterized": len(at) > 1500}
                ax.plot(at, np.full(len(at), 0.94), "|", color=colour, markersize=8, markeredgewidth=1.1, **marks)


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
    _must_be_neurons("fi_curve", models)
    values = _course("fi_curve: x", x)
    dt = seconds(dt, "fi_curve: dt")
    steps = round(seconds(time, "fi_curve: time") / dt)
    if steps < 2:
        raise ShapeError(f"fi_curve: time: found {steps} steps of {dt} s; expected at least 2; lengthen it")
    units = set()
    for name, model in models.items():
        if not model.spiking:
            raise UnsupportedError(f"fi_curve: {name}: found {type(model).__name__}, which never spikes; leave it out")
        units.add(model.ports[_port("fi_curve", model, port)].unit)
    if len(units) > 1:
        raise UnsupportedError(
            f"fi_curve: found inputs in {', '.join(sorted(units))}; expected one unit; draw two plots"
        )
    factor, label = _scaled(values, units.pop())
    for k, (name, model) in enumerate(models.items()):
        drive = np.broadcast_to(values, (steps, 1, len(values)))
        z = _run(model, {_port("fi_curve", model, port): drive}, dt, discretisation).output[steps // 2 :, 0]
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
    _must_be_neurons("responses", models)
    dt = seconds(dt, "responses: dt")
    steps = round(seconds(time, "responses: time") / dt)
    if steps < 1:
        raise ShapeError(f"responses: time: found {steps} steps of {dt} s; expected at least 1; lengthen it")
    step = time_axis(ax, steps, dt)
    for k, (name, model) in enumerate(models.items()):
        x = np.zeros((steps, 2, 1))  # with the input, and without
        x[0, 0] = size
        result = _run(
            model, {_port("responses", model, port): x}, dt, discretisation, ("margin",) if model.spiking else ()
        )
        if model.spiking and np.any(result.output):
            raise UnsupportedError(f"responses: {name}: found spikes with size={size}; expected none; lower size")
        v = result.traces["out"]["margin"] if model.spiking else result.output
        answer = (v[:, 0, 0].astype(np.float64) - v[:, 1, 0]) / size
        ax.plot((np.arange(steps) + 0.5) * step, answer, **_line(k), label=shortened(name, 24))
    ax.axhline(0, color="#BDBDBD", linewidth=0.8, zorder=0)
    ax.set_ylabel("response / input")
    ax.legend(frameon=False, fontsize="small")


def _run(
    model: NeuronModel, x: Mapping[str, Any], dt: Quantity, discretisation: Discretisation, traces: tuple[str, ...] = ()
) -> Run:
    """Run neurons that receive x as it is, by port [T, B, N]."""
    for port in x:
        _port("input", model, port)
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


def _port(where: str, model: NeuronModel, port: str | None) -> str:
    if port is None:
        return next(iter(model.ports))
    if port not in model.ports:
        raise unknown_name(f"{where}: port of {type(model).__name__}", port, model.ports)
    return port


def _must_be_neuron(where: str, model: Any) -> None:
    if not isinstance(model, NeuronModel):
        raise UnsupportedError(f"{where}: found {brief(model)}; expected a neuron model; pass LIF(), say")


def _must_be_neurons(where: str, models: Any) -> None:
    if not isinstance(models, Mapping) or not models:
        raise ShapeError(f"{where}: models: found {brief(models)}; expected neurons by name, as in {{'LIF': LIF()}}")
    for model in models.values():
        _must_be_neuron(where, model)


def _course(where: str, value: ArrayLike) -> NDArray[np.float64]:
    values = to_array(value, where).astype(np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ShapeError(f"{where}: found {brief(values)}; expected one axis of finite numbers; give at least one")
    return values


def _scaled(values: NDArray[np.float64], unit: str) -> tuple[float, str]:
    """Factor to divide by, and the unit for the axis."""
    if unit == "1":
        return 1.0, ""
    if unit not in ("V", "A", "S"):
        return 1.0, f" ({unit})"
    factor, prefix = common_prefix([1.01 * float(v) for v in (values.min(), values.max())])
    return factor, f" ({prefix}{unit})"


def _level(model: NeuronModel, of: str) -> float | None:
    """Where to draw the threshold: only where the variable is compared with one number."""
    if of == "margin":
        return 0.0
    threshold = getattr(model, "v_threshold", None)
    return threshold if of == "v" and isinstance(threshold, float) else None


def _line(k: int) -> dict[str, Any]:
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": _STYLES[k % len(_STYLES)], "linewidth": 1.7}
