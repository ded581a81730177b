"""Plot of what one neuron does with an input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from spikelab.errors import unknown_name
from spikelab.neurons.model import Discretisation, NeuronModel
from spikelab.report.alone import must_be_neuron, numbers, run_alone, scaled
from spikelab.report.plots import COLOURS, GREY, time_axis
from spikelab.units import Quantity, seconds

__all__ = ["dynamics"]


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
    must_be_neuron("dynamics", model)
    names = model.State._fields
    known = (*names, *(("margin",) if model.spiking else ()))
    of = ("v" if "v" in names else known[-1]) if of is None else of
    if of not in known:
        raise unknown_name("dynamics: of", of, known)
    inputs = x if isinstance(x, Mapping) else {next(iter(model.ports)): x}
    given = {port: numbers(f"dynamics: input {port}", values) for port, values in inputs.items()}
    result = run_alone(model, {p: v[:, None, None] for p, v in given.items()}, dt, discretisation, (of,))
    course, z = (np.asarray(v, np.float64).reshape(-1) for v in (result.traces["out"][of], result.output))
    step = time_axis(ax, len(course), seconds(dt, "dynamics: dt"))
    time = (np.arange(len(course)) + 0.5) * step
    unit = "V" if of == "margin" else dict(zip(names, model.state_units, strict=True))[of]
    level = _level(model, of)
    factor, label = scaled(course if level is None else np.append(course, level), unit)
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


def _level(model: NeuronModel, of: str) -> float | None:
    """Where to draw the threshold: only where the variable is compared with one number."""
    if of == "margin":
        return 0.0
    threshold = getattr(model, "v_threshold", None)
    return threshold if of == "v" and isinstance(threshold, float) else None
