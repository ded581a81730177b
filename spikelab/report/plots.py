"""Plots of a run and of its training: pure functions that draw into a matplotlib Axes and return nothing.

None of them makes a figure, sets a title or touches `pyplot`; what must be known to read a plot (that
neurons were left out, that nothing spiked) is written into it. Colours are those of Okabe and Ito,
which colour-blind readers tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from spikelab.counts import Counts
from spikelab.errors import ShapeError, UnsupportedError, unknown_name
from spikelab.report.lettering import common_prefix, count_text, drawable, shortened, with_prefix
from spikelab.units import Quantity, seconds

__all__ = [
    "COLOURS",
    "GREY",
    "bar_line",
    "confusion",
    "learning_curve",
    "potentials",
    "raster",
    "spike_rates",
    "time_axis",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
"""Blue, orange, green, vermilion, sky blue, purple, yellow, black (Okabe and Ito, 2008)."""
GREY = "#8C8C8C"
_VECTOR_POINTS = 1500  # more points than this become pixels inside the SVG
_NUMBERED_FROM = 13  # classes; names of so many do not fit along an axis


def raster(ax: Axes, spikes: ArrayLike, dt: Quantity, *, most: int = 400) -> None:
    """Draw a mark for each spike.

    Args:
        ax: where to draw.
        spikes: [T, N] spikes; anything but zero is one.
        dt: [s] time step, or a string with a unit.
        most: neurons to draw; of a larger population evenly spaced ones are taken, and the plot says so.

    Raises:
        ShapeError: not [T, N], empty, not real numbers, NaN or infinity, or `most` below one.
        UnitError: `dt` has no unit of time or is not above zero.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().add_subplot()
        >>> raster(ax, [[0, 1], [1, 0], [0, 0]], "1 ms")
        >>> ax.get_xlabel()
        'time (ms)'
    """
    z = _real("raster: spikes", spikes, "[T, N]", 2)
    rows, note = _picked("raster", z.shape[1], most)
    factor = time_axis(ax, len(z), seconds(dt, "raster: dt"))
    step, neuron = np.nonzero(z[:, rows])
    height = 72 / ax.figure.dpi * ax.get_window_extent().height  # points
    size = float(np.clip(0.8 * height / len(rows), 2.2, 9.0))
    ax.plot(
        (step + 0.5) * factor,
        rows[neuron],
        linestyle="none",
        marker="|",
        markersize=size,
        markeredgewidth=1.1,
        color=COLOURS[0],
        rasterized=len(step) > _VECTOR_POINTS,
    )
    _neuron_axis(ax, z.shape[1])
    ax.set_ylabel("neuron")
    if (z.max() > 1 or z.min() < 0) and len(step):
        note.append(f"values {z.min():.3g} to {z.max():.3g}")
    if not np.count_nonzero(z):
        _remark(ax, "no spikes")
    _note(ax, note)


def potentials(
    ax: Axes,
    values: ArrayLike,
    dt: Quantity,
    *,
    unit: str = "V",
    named: Mapping[int, str] | None = None,
    most: int = 50,
) -> None:
    """Draw the course of real-valued outputs, such as the potentials of a readout.

    Args:
        ax: where to draw.
        values: [T, N] values in `unit`.
        dt: [s] time step, or a string with a unit.
        unit: unit of the values; empty if unknown.
        named: neurons that stand out, with the names to give them (at most four); the others are grey.
        most: neurons to draw; of a larger population evenly spaced ones are taken, and the plot says so.

    Raises:
        ShapeError: not [T, N], empty, not real numbers, NaN or infinity, or a named neuron outside 0..N-1.
        UnitError: `dt` has no unit of time or is not above zero.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().add_subplot()
        >>> potentials(ax, [[0.0, 0.1], [0.2, 0.1]], 1e-3, named={0: "yes"})
        >>> ax.get_ylabel()
        'value (V)'
    """
    v = _real("potentials: values", values, "[T, N]", 2)
    named = named or {}
    if len(named) > 4 or any(not 0 <= n < v.shape[1] for n in named):
        raise ShapeError(
            f"potentials: named: found neurons {list(named)}; expected at most 4 of 0 to {v.shape[1] - 1}; "
            "name those that matter"
        )
    rows, note = _picked("potentials", v.shape[1], most)
    factor = time_axis(ax, len(v), seconds(dt, "potentials: dt"))
    time = (np.arange(len(v)) + 0.5) * factor
    marker = "." if len(v) == 1 else ""
    ax.plot(time, v[:, [r for r in rows if r not in named]], color="#BDBDBD", linewidth=0.9, marker=marker)
    for k, (neuron, name) in enumerate(named.items()):
        style = ("-", "--", ":", "-.")[k]
        ax.plot(
            time, v[:, neuron], color=COLOURS[k], linewidth=2, linestyle=style, marker=marker, label=_label(name, 34)
        )
    if named:
        _legend_above(ax, 1)
        note = [*note, "others grey"] if v.shape[1] > len(named) else note
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_ylabel(f"value ({unit})" if unit else "value")
    _note(ax, note, below=bool(named))


def learning_curve(
    ax: Axes, history: Sequence[Mapping[str, Any]], quantity: Literal["accuracy", "loss"] = "accuracy"
) -> None:
    """Draw how accuracy or loss went from epoch to epoch, in training and in validation.

    Args:
        ax: where to draw.
        history: one mapping per epoch with any of `epoch`, `loss`, `accuracy`, `validation_loss`,
            `validation_accuracy`; a value that is missing or None leaves a gap, a missing epoch counts on.
        quantity: `"accuracy"` (shares of 1, drawn in per cent) or `"loss"`.

    Raises:
        ShapeError: no epoch, none with this quantity, NaN or infinity, or an accuracy outside 0 to 1.
        UnsupportedError: another quantity.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().add_subplot()
        >>> learning_curve(ax, [{"epoch": 1, "accuracy": 0.5}, {"epoch": 2, "accuracy": 0.75}])
        >>> ax.get_ylabel()
        'accuracy (%)'
    """
    if quantity not in ("accuracy", "loss"):
        raise unknown_name("learning_curve: quantity", quantity, ("accuracy", "loss"))
    epochs = [_number(f"history[{k}]['epoch']", row.get("epoch", k + 1)) for k, row in enumerate(history)]
    drawn = 0
    for k, (key, name) in enumerate(((quantity, "training"), (f"validation_{quantity}", "validation"))):
        pairs = [
            (e, _number(f"history[{i}][{key!r}]", row[key], share=quantity == "accuracy"))
            for i, (e, row) in enumerate(zip(epochs, history, strict=True))
            if row.get(key) is not None
        ]
        if pairs:
            scale = 100 if quantity == "accuracy" else 1
            ax.plot(
                [e for e, _ in pairs],
                [scale * y for _, y in pairs],
                color=COLOURS[k],
                linestyle=("-", "--")[k],
                marker=("o", "s")[k],
                markersize=4,
                label=name,
            )
            drawn += 1
    if not drawn:
        found = sorted({str(key) for row in history for key in row})
        raise ShapeError(
            f"learning_curve: history: found {len(history)} epochs with {', '.join(found) or 'nothing'}; expected "
            f"{quantity} or validation_{quantity} in one of them; record it, or draw the other quantity"
        )
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if min(epochs) == max(epochs):
        ax.set_xlim(epochs[0] - 1, epochs[0] + 1)
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy (%)" if quantity == "accuracy" else "loss")
    ax.grid(axis="y", color="#E0E0E0", linewidth=0.8)
    _legend_above(ax, drawn)


def confusion(ax: Axes, matrix: ArrayLike, classes: Sequence[str]) -> None:
    """Draw a confusion matrix: a row per true class, a column per predicted class.

    The colour is the share of the row. Up to twelve classes are named and their samples written into
    the cells where they fit; more are numbered in the order of `classes`, as are names that are too
    long or that the font cannot draw.

    Args:
        ax: where to draw.
        matrix: [C, C] number of samples.
        classes: C names.

    Raises:
        ShapeError: not square, empty, not whole numbers of at least zero, or not C names.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().add_subplot()
        >>> confusion(ax, [[3, 1], [0, 2]], ["no", "yes"])
        >>> ax.get_ylabel()
        'true class'
    """
    m = _real("confusion: matrix", matrix, "[C, C]", 2)
    if m.shape[0] != m.shape[1] or (m < 0).any() or (m != np.rint(m)).any():
        raise ShapeError(
            f"confusion: matrix: found shape {m.shape} with values {m.min():.6g} to {m.max():.6g}; "
            "expected [C, C] whole numbers of samples; count pairs of true and predicted class"
        )
    n = len(m)
    if isinstance(classes, str) or len(classes) != n:
        raise ShapeError(f"confusion: classes: found {classes!r}; expected {n} names, one for each row of the matrix")
    rows = m.sum(axis=1, keepdims=True)
    share = np.divide(m, rows, out=np.zeros_like(m), where=rows > 0)
    image = ax.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="equal", interpolation="nearest")
    names = [str(c) for c in classes]
    numbered = n >= _NUMBERED_FROM or any(len(c) > 14 or not drawable(c) for c in names)
    if numbered:
        ticks = list(range(0, n, 1 if n < _NUMBERED_FROM else 5))
        labels = [str(t) for t in ticks]
    else:
        ticks, labels = list(range(n)), [shortened(c, 14) for c in names]
    upright = max(map(len, labels)) <= (3 if n > 5 else 7)
    ax.set_xticks(ticks, labels, rotation=0 if upright else 90, parse_math=False)
    ax.set_yticks(ticks, labels, parse_math=False)
    ax.set_xlabel("predicted class" + (" (number)" if numbered else ""))
    ax.set_ylabel("true class" + (" (number)" if numbered else ""))
    if n * max(len(count_text(m.max())), 2) <= 30:
        for i, j in np.argwhere(m > 0):
            colour = "white" if share[i, j] > 0.55 else "black"
            ax.text(j, i, count_text(m[i, j]), ha="center", va="center", color=colour)
    else:
        bar = ax.inset_axes((1.04, 0.0, 0.05, 1.0))
        ax.figure.colorbar(image, cax=bar, label="share of the true class (%)")


def spike_rates(ax: Axes, counts: Counts) -> None:
    """Draw the mean firing rate of each spiking population, inputs included, with its spikes per sample.

    Args:
        ax: where to draw; each population takes two lines of text in height.
        counts: of a run.

    Raises:
        ShapeError: the run has no samples or steps.
        UnsupportedError: no population spikes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikelab.counts import Counts, PopulationCount
        >>> ax = Figure().add_subplot()
        >>> row = PopulationCount("LIF", neurons=4, updates=400, spikes=20, per_update={}, spiking=True)
        >>> spike_rates(ax, Counts("float", 1, 100, 1e-3, {}, {"hidden": row}))
        >>> ax.get_xlabel()
        'mean rate of a neuron (Hz)'
    """
    if counts.samples < 1 or counts.sample_steps < 1:
        raise ShapeError(
            f"spike_rates: counts: found {counts.samples} samples of {counts.sample_steps} steps in all; "
            "expected at least one of each; pass the counts of a run"
        )
    spiking = {n: p for n, p in counts.populations.items() if p.spiking}
    if not spiking:
        raise UnsupportedError(
            f"spike_rates: none of {', '.join(counts.populations) or 'no populations'} spikes; leave this plot out"
        )
    for k, (name, p) in enumerate(spiking.items()):
        rate = p.spikes / (p.neurons * counts.sample_steps * counts.dt)
        ax.barh(k + 0.22, rate, height=0.4, color=GREY if p.model == "input" else COLOURS[0])
        value = f"{with_prefix(rate, 'Hz')}; {count_text(p.spikes / counts.samples)} spikes" if p.spikes else "silent"
        bar_line(ax, k - 0.2, shortened(name, 18), value)
    ax.set_ylim(len(spiking) - 0.45, -0.55)
    ax.set_xlim(left=0)
    if not any(p.spikes for p in spiking.values()):
        ax.set_xlim(0, 1)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_yticks([])
    ax.set_xlabel("mean rate of a neuron (Hz)")
    ax.spines[["top", "right"]].set_visible(False)


def bar_line(ax: Axes, y: float, name: str, value: str) -> None:
    """Write a line above a bar: its name at the left end of the Axes, its value at the right end.

    Args:
        ax: where to draw.
        y: height in data.
        name: what to write at the left.
        value: what to write at the right; both together must fit into the width.
    """
    line = ax.get_yaxis_transform()
    ax.text(0.01, y, name, transform=line, ha="left", va="center", parse_math=False)
    ax.text(0.99, y, value, transform=line, ha="right", va="center", parse_math=False)


def _real(where: str, value: ArrayLike, axes: str, ndim: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{where}: found rows of unequal length ({error}); expected {axes}; pass one array") from None
    if array.ndim != ndim or array.size == 0:
        raise ShapeError(
            f"{where}: found shape {array.shape}; expected {axes} with nothing empty; take one sample, flatten the rest"
        )
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"{where}: found dtype {array.dtype}; expected real numbers; convert it")
    result = array.astype(np.float64)
    if not np.isfinite(result).all():
        bad = np.argwhere(~np.isfinite(result))[0].tolist()
        raise ShapeError(
            f"{where}: found {result[tuple(bad)]} at {bad}; expected finite numbers; look for the step that made it"
        )
    return result


def _number(where: str, value: Any, share: bool = False) -> float:
    fits = (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )
    if not fits or (share and not 0 <= value <= 1):
        expected = "a share of 0 to 1" if share else "a finite number"
        raise ShapeError(
            f"learning_curve: {where}: found {value!r}; expected {expected}; leave out what was not measured"
        )
    return float(value)


def _picked(where: str, n: int, most: int) -> tuple[NDArray[np.int64], list[str]]:
    """Indices of the neurons to draw, and what to say about it."""
    if most < 1:
        raise ShapeError(f"{where}: most: found {most}; expected at least 1; leave it out for the default")
    if n <= most:
        return np.arange(n), []
    return np.unique(np.rint(np.linspace(0, n - 1, most)).astype(np.int64)), [f"{most:,} of {n:,} neurons shown"]


def time_axis(ax: Axes, steps: int, dt: float) -> float:
    """Set the time axis.

    Args:
        ax: where to draw.
        steps: T.
        dt: [s] time step.

    Returns:
        Length of a step on the axis.
    """
    factor, prefix = common_prefix([0.99 * steps * dt])
    if factor > 1:
        factor, prefix = 1.0, ""
    ax.set_xlim(0, steps * dt / factor)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(f"time ({prefix}s)")
    return dt / factor


def _neuron_axis(ax: Axes, n: int) -> None:
    ax.set_ylim(n - 0.5, -0.5)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True) if n > 6 else FixedLocator(list(range(n))))


def _label(name: object, most: int) -> str:
    text = shortened(name, most)
    return f"\u200a{text}" if text.startswith("_") else text  # matplotlib hides labels that start with _


def _legend_above(ax: Axes, columns: int) -> None:
    legend = ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=max(columns, 1),
        frameon=False,
        borderaxespad=0.2,
        handlelength=2.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _remark(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="#555555")


def _note(ax: Axes, parts: list[str], below: bool = False) -> None:
    """Small print above the Axes, or inside at the foot where a legend stands above."""
    if parts:
        y, va = (0.02, "bottom") if below else (1.015, "bottom")
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0} if below else None
        ax.text(
            1.0 if not below else 0.99,
            y,
            "; ".join(parts),
            transform=ax.transAxes,
            ha="right",
            va=va,
            color="#555555",
            bbox=box,
        )
