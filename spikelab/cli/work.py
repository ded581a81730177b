"""What the commands do, as plain functions on paths."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.clocked import Float32, Run
from spikelab.errors import FormatError, UnitError, UnsupportedError, unknown_name
from spikelab.files import check_place, whole_file
from spikelab.hardware import nir
from spikelab.hardware.accounting import EnergyReport, energy
from spikelab.hardware.event_driven import EventDriven
from spikelab.hardware.loss import LossReport
from spikelab.network import Network
from spikelab.units import seconds

__all__ = [
    "energy_of",
    "export_file",
    "load_inputs",
    "run_file",
    "save_arrays",
    "target",
    "train_recipe",
]


def target(name: str, mode: str = "exact") -> Float32:
    """Target by the name that `--on` takes.

    Raises:
        UnsupportedError: unknown target or mode.
    """
    if name == "float":
        if mode != "exact":
            raise UnsupportedError(
                f"--mode: found {mode!r} with --on float, which has no modes; expected --on event; add it, or leave "
                "--mode out"
            )
        return Float32()
    if name == "event":
        return EventDriven(mode, threads=os.cpu_count() or 1)  # type: ignore[arg-type]
    raise unknown_name("--on", name, ("float", "event"))


def load_inputs(path: Path, net: Network) -> Mapping[str, NDArray[Any]]:
    """Inputs of a network from an npz: `x`, or `x_<population>` for each input; `dt` [s] is compared if it is there.

    Raises:
        FormatError: not an npz, or arrays missing or of objects.
        UnitError: the arrays were binned at another dt.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        raise FormatError(path, "not an npz file; expected one with the array x [T, B, *shape]; write it with np.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {n: file[n] for n in file.files}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(path, "not a whole npz file of plain numbers; write it with np.savez") from error
    if "dt" in arrays:
        dt = seconds(arrays["dt"].item() if arrays["dt"].size == 1 else arrays["dt"], f"{path}: dt")
        if not math.isclose(dt, float(net.dt), rel_tol=1e-9):
            raise UnitError(
                f"{path}: found input binned at dt {dt} s; expected {net.dt} s, as the network has; bin anew"
            )
    if len(net.inputs) == 1 and "x" in arrays:
        return {net.inputs[0]: arrays["x"]}
    missing = [f"x_{n}" for n in net.inputs if f"x_{n}" not in arrays]
    if missing:
        wanted = "x" if len(net.inputs) == 1 else ", ".join(f"x_{n}" for n in net.inputs)
        raise FormatError(
            path, f"found the arrays {sorted(arrays)}; expected {wanted}; name them as the inputs {net.inputs}"
        )
    return {n: arrays[f"x_{n}"] for n in net.inputs}


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an npz, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _spikes(result: Run) -> dict[str, NDArray[Any]]:
    arrays = {f"spikes_{n}": z for n, z in result.spikes.items()}
    if len(result.outputs) == 1:
        return {"z": result.output, **arrays}
    return {**{f"z_{n}": result.spikes[n] for n in result.outputs}, **arrays}


def run_file(
    model: Path, on: str, input_: Path, output: Path, dt: str | None, mode: str, foreign: bool
) -> dict[str, Any]:
    """Run a `.nir` file on the inputs of an npz and write the spikes."""
    where = target(on, mode)
    check_place(output)
    net = nir.read(model, dt=dt, foreign=foreign)
    result = where.run(net, load_inputs(input_, net))
    save_arrays(output, _spikes(result))
    counts = result.counts
    return {
        "on": on,
        "dt_s": float(net.dt),
        "samples": counts.samples,
        "steps": counts.sample_steps // counts.samples,
        "outputs": list(result.outputs),
        "spikes": {n: p.spikes for n, p in counts.populations.items() if p.spiking},
        "synaptic_ops": counts.synaptic_ops,
        "dense_ops": counts.dense_ops,
        "neuron_updates": counts.neuron_updates,
        "output": str(output),
    }


def energy_of(model: Path, input_: Path, costs: str, on: str, dt: str | None, foreign: bool) -> EnergyReport:
    """Energy of a run of a `.nir` file."""
    net = nir.read(model, dt=dt, foreign=foreign)
    return energy(target(on).run(net, load_inputs(input_, net)).counts, costs)


def export_file(
    model: Path, output: Path, to: str, extensions: bool, if_convention: str, dt: str | None, foreign: bool
) -> LossReport:
    """Read a network and write it in another format."""
    if to != "nir":
        raise unknown_name("--to", to, ("nir",))
    net = nir.read(model, dt=dt, foreign=foreign)
    return nir.write(net, output, extensions=extensions, if_convention=if_convention)  # type: ignore[arg-type]


def train_recipe(
    dataset: str,
    output: Path,
    epochs: int | None,
    seed: int | None,
    checkpoint: Path | None,
    root: Path | None,
    *,
    progress: bool,
) -> dict[str, Any]:
    """Train the recipe of a data set, test it and write the network."""
    from spikelab.events.dataset import dataset as find
    from spikelab.nn import to_network
    from spikelab.train import evaluate, fit
    from spikelab.train.recipes import recipe

    plan = recipe(dataset)
    check_place(output)
    train, test = find(dataset, root=root).frames(dt=plan.dt, steps=plan.steps, late=plan.late)
    model = plan.model(train.shape, len(train.classes), seed)
    settings = dict(plan.settings) | ({"epochs": epochs} if epochs else {})
    history = fit(
        model, train, seed=plan.seed if seed is None else seed, checkpoint=checkpoint, progress=progress, **settings
    )
    result = evaluate(model, test)
    report = nir.write(to_network(model, train.shape), output)
    return {
        "dataset": dataset,
        "epochs": len(history),
        "train_accuracy": history[-1]["accuracy"],
        "test_accuracy": result.accuracy,
        "test_samples": len(test),
        "output": str(output),
        "exact": report.exact,
    }
