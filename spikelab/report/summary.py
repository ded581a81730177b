"""The page that sums up a trained network: what it was tested on, what it did, what it costs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spikelab
from spikelab.clocked import Run
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.hardware.accounting import EnergyReport
from spikelab.network import Network
from spikelab.report.energy import energy_basis, energy_section, energy_text
from spikelab.report.lettering import common_prefix, count_text, share_text, with_prefix
from spikelab.report.page import Picture, Section, write_page
from spikelab.report.plots import confusion, learning_curve, potentials, raster, spike_rates

__all__ = ["report_page"]

_MOST_RASTERS = 12
_PACKAGES = ("numpy", "numba", "torch", "norse", "nir", "tonic", "h5py", "matplotlib")
_ACCURACY, _ENERGY = "Test accuracy", "Energy of an inference"


def report_page(
    path: str | PathLike[str],
    *,
    title: str,
    network: Network,
    run: Run,
    energy: EnergyReport | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    labels: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
    classes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    sample: int = 0,
) -> None:
    """Write the page of a trained network, as one HTML file that needs nothing else.

    Its parts: headline, one sample, learning, test, spikes, energy, software; what is not given is left out.

    Args:
        path: file to write; its folder must exist.
        title: heading.
        network: what ran.
        run: its run on the test set, or on a few samples of it.
        energy: energies of a run; the page says that they are estimates.
        history: one mapping per epoch, see `learning_curve`.
        labels: [S] true class of each test sample, as whole numbers.
        predictions: [S] predicted class of each.
        classes: names of the classes.
        facts: what to know at once, such as the data set in plain words, spikes that differ between
            back-ends, the file exported; after a line break in a value the rest is small print.
        sample: index of the sample of the run that is drawn.

    Raises:
        FormatError: the file cannot be written.
        ShapeError: run and network differ, labels do not fit predictions or classes, no such sample, bad history.
        UnsupportedError: a fact that the page works out itself.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikelab.clocked import run
        >>> from spikelab.network import Population, Projection
        >>> from spikelab.neurons import LIF
        >>> from spikelab.ops import Linear
        >>> populations = {"in": Population((2,), kind="input"), "out": Population((2,), LIF())}
        >>> net = Network(populations, [Projection("in", "out", Linear([[1.5, 0.0], [0.0, 0.5]]))], dt="1 ms")
        >>> ran = run(net, np.ones((20, 1, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report_page(f"{folder}/report.html", title="Two neurons", network=net, run=ran)
        ...     "<svg" in Path(folder, "report.html").read_text(encoding="utf-8")
        True
    """
    _check(network, run, sample)
    truth, guess = _checked_labels(labels, predictions, classes)
    facts = dict(facts or {})
    for name in (_ACCURACY, _ENERGY):
        if name in facts:
            raise UnsupportedError(f"facts: found {name!r}, which the page works out itself; leave it out")
    known: dict[str, str] = {}
    if truth is not None:
        right = int((truth == guess).sum())
        known[_ACCURACY] = f"{100 * right / len(truth):.2f} %\n{right:,} of {len(truth):,} samples"
    if energy is not None:
        known[_ENERGY] = f"{energy_text(energy)}\n{energy_basis(energy)}"
    sections = [Section("", facts=known | facts)] if known | facts else []
    sections.append(_one_sample(network, run, sample, truth, guess, classes))
    if history:
        sections.append(_learning(history))
    if truth is not None and guess is not None:
        sections.append(_test(truth, guess, classes))
    sections.append(_spikes(network, run))
    if energy is not None:
        sections.append(energy_section(energy))
    sections.append(Section("Made with", tables={"Software": _software()}))
    write_page(path, title, sections)


def _check(network: Network, run: Run, sample: int) -> None:
    missing = [n for n in network.populations if n not in run.spikes or n not in run.counts.populations]
    if missing:
        raise ShapeError(
            f"report: run: found nothing for population {missing[0]!r}; expected a run of this network; run it again"
        )
    for name, population in network.populations.items():
        shape = np.shape(run.spikes[name])
        if len(shape) < 3 or shape[2:] != population.shape or 0 in shape:
            raise ShapeError(
                f"report: run: {name}: found shape {shape}; expected [T, B, *{population.shape}]; "
                "pass a run of this network"
            )
        if not 0 <= sample < shape[1]:
            raise ShapeError(
                f"report: sample: found {sample!r}; expected 0 to {shape[1] - 1}; the run has {shape[1]} samples"
            )


def _checked_labels(
    labels: ArrayLike | None, predictions: ArrayLike | None, classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
    if labels is None and predictions is None:
        return None, None
    if labels is None or predictions is None:
        given = "labels" if predictions is None else "predictions"
        raise ShapeError(f"report: found {given} alone; expected labels and predictions; pass both or neither")
    if isinstance(classes, str) or not len(classes):
        raise ShapeError(f"report: classes: found {classes!r}; expected a name for each class; pass a list of names")
    arrays = []
    for name, value in (("labels", labels), ("predictions", predictions)):
        array = np.asarray(value)
        if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
            raise ShapeError(
                f"report: {name}: found {array.dtype} of shape {array.shape}; expected [S] whole numbers; "
                "pass one class for each sample"
            )
        if array.min() < 0 or array.max() >= len(classes):
            raise ShapeError(
                f"report: {name}: found {array.min()} to {array.max()}; expected 0 to {len(classes) - 1}; "
                "name every class in classes"
            )
        arrays.append(array.astype(np.int64))
    if arrays[0].shape != arrays[1].shape:
        raise ShapeError(
            f"report: found {len(arrays[0])} labels and {len(arrays[1])} predictions; expected as many of each"
        )
    return arrays[0], arrays[1]


def _one_sample(
    network: Network,
    run: Run,
    sample: int,
    truth: NDArray[np.int64] | None,
    guess: NDArray[np.int64] | None,
    classes: Sequence[str],
) -> Section:
    names = list(network.populations)
    if len(names) > _MOST_RASTERS:
        ends = [n for n in names if n in network.inputs or n in run.outputs]
        keep = set((ends + [n for n in names if n not in ends])[:_MOST_RASTERS])
        names = [n for n in names if n in keep]
    steps = len(run.spikes[names[0]])
    factor, prefix = common_prefix([float(network.dt)])
    text = [
        f"Sample {sample} of the run: {steps:,} steps of {float(network.dt) / factor:g} {prefix}s. A mark is a spike."
    ]
    named: dict[int, str] = {}
    if truth is not None and guess is not None and len(truth) == run.counts.samples:
        is_, said = int(truth[sample]), int(guess[sample])
        text.append(f"It is of class {classes[is_]!r}; the network said {classes[said]!r}.")
        named = {is_: f"true: {classes[is_]}"} | ({said: f"predicted: {classes[said]}"} if said != is_ else {})
        named[is_] = named[is_] if said != is_ else f"true and predicted: {classes[is_]}"
    if len(names) < len(network.populations):
        text.append(f"Drawn are {len(names)} of {len(network.populations)} populations, inputs and outputs first.")
    pictures = []
    for name in names:
        z = np.asarray(run.spikes[name])[:, sample].reshape(steps, -1)
        count, model = run.counts.populations[name], network.populations[name].model
        shape = " x ".join(map(str, network.populations[name].shape))
        caption = f"{name} ({count.model}, {shape})"
        if count.spiking or (model is None and not np.any((z != 0) & (z != 1))):
            what = (
                f"{count_text(float(np.abs(z).sum()))} spikes in this sample" if z.any() else "no spike in this sample"
            )
            if np.any(z != np.rint(z)):
                what = f"{count_text(int(np.count_nonzero(z)))} values that are not zero, each drawn as a mark"
            pictures.append(Picture(f"{caption}: {what}.", partial(raster, spikes=z, dt=network.dt)))
        else:
            unit = model.output_unit if model is not None else ""
            marked = named if name in run.outputs and z.shape[1] == len(classes) else {}
            draw = partial(potentials, values=z, dt=network.dt, unit=unit, named=marked)
            pictures.append(Picture(f"{caption}: its output, a real number per neuron and step.", draw))
    return Section("One sample, from input to output", text=text, pictures=pictures)


def _learning(history: Sequence[Mapping[str, Any]]) -> Section:
    pictures = []
    quantities: dict[Literal["accuracy", "loss"], str] = {"accuracy": "Accuracy", "loss": "Loss"}
    for quantity, words in quantities.items():
        if any(row.get(k) is not None for row in history for k in (quantity, f"validation_{quantity}")):
            draw = partial(learning_curve, history=history, quantity=quantity)
            pictures.append(Picture(f"{words} after each epoch.", draw))
    if not pictures:
        raise ShapeError(
            f"report: history: found {len(history)} epochs without accuracy and loss; "
            "expected accuracy, validation_accuracy, loss or validation_loss; record one of them"
        )
    return Section("Learning", pictures=pictures)


def _test(truth: NDArray[np.int64], guess: NDArray[np.int64], classes: Sequence[str]) -> Section:
    n = len(classes)
    matrix = np.zeros((n, n), np.int64)
    np.add.at(matrix, (truth, guess), 1)
    rows = []
    for k, name in enumerate(classes):
        wrong = matrix[k].copy()
        wrong[k] = 0
        worst = int(wrong.argmax())
        mistaken = classes[worst] if len(classes[worst]) <= 18 else f"number {worst}"
        rows.append(
            {
                "number": k,
                "class": name,
                "samples": count_text(matrix[k].sum()),
                "right": count_text(matrix[k, k]),
                "share right": share_text(float(matrix[k, k]), float(matrix[k].sum())),
                "most often mistaken for": f"{mistaken} ({wrong[worst]:,})" if wrong[worst] else "-",
            }
        )
    size = float(np.clip(2.6 + 0.2 * n, 3.6, 4.4))
    picture = Picture(
        "Confusion matrix: a row for each true class, a column for what the network said; darker is more of the row.",
        lambda ax: confusion(ax, matrix, classes),
        size,
    )
    return Section("Test", pictures=[picture], tables={"Classes": rows})


def _spikes(network: Network, run: Run) -> Section:
    counts = run.counts
    samples = max(counts.samples, 1)
    text, rows = [], []
    for name, p in counts.populations.items():
        active = np.any(np.asarray(run.spikes[name]) != 0, axis=(0, 1))
        silent = int(active.size - np.count_nonzero(active))
        rate = p.spikes / (p.neurons * max(counts.sample_steps, 1) * counts.dt)
        rows.append(
            {
                "population": name,
                "model": p.model,
                "neurons": count_text(p.neurons),
                "spikes": count_text(p.spikes / samples) if p.spiking else "-",
                "mean rate": with_prefix(rate, "Hz") if p.spiking else "-",
                "never spiked": count_text(silent) if p.spiking else "-",
                "updates": count_text(p.updates / samples),
            }
        )
        if p.spiking and not p.spikes:
            text.append(
                f"{name} is silent: none of its {p.neurons:,} neurons spiked in {counts.samples:,} samples. "
                "Nothing passes through it."
            )
    maps = [
        {
            "projection": label,
            "op": op.kind,
            "inputs": op.operand,
            "operations": count_text(op.synaptic_ops / samples),
            "dense": count_text(op.dense_ops / samples),
            "share done": share_text(op.synaptic_ops, op.dense_ops),
        }
        for label, ops in counts.projections.items()
        for op in ops
    ]
    pictures = []
    spiking = sum(p.spiking for p in counts.populations.values())
    if spiking:
        caption = (
            f"Mean firing rate by population over {counts.samples:,} samples, and spikes of a sample (inputs grey)."
        )
        pictures.append(Picture(caption, lambda ax: spike_rates(ax, counts), 0.8 + 0.5 * spiking))
    tables = {
        "Populations, for a sample": rows,
        "Synaptic operations, for a sample (dense: if no zero were skipped)": maps,
    }
    return Section("Spikes per layer", text=text, pictures=pictures, tables=tables)


def _software() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"package": "spikelab", "version": str(getattr(spikelab, "__version__", "unknown"))},
        {"package": "Python", "version": f"{platform.python_version()} on {platform.system()} {platform.machine()}"},
    ]
    for name in _PACKAGES:
        try:
            rows.append({"package": name, "version": version(name)})
        except PackageNotFoundError:
            continue
    return rows
